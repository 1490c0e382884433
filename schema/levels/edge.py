"""How a type names its fields that come from SQL.

    owner: Owner | None = edge(entities.owner_of, "The group or user that owns it.")
    labels: list[KeyValue] = edges(documents.key_values("labels"), "Its labels.", order=("key",))
    email: str | None = value(documents.spec_text("profile", "email"), "Its email address.")
    dependents: EntityConnection = connection(relations.related("dependencyOf"), "What depends on it.")

The first argument is a body: a function of `db.queries`, from the columns of its parent to a Select. Its keyword-only
parameters become the field's arguments, under the names and types that they have there.

A field that is no column, but is made of some, says so beside them:

    id: ID = derived(_id, "ref", description="Opaque.")          _id("component:default/dice-roller")
    origin: EntityOrigin | None = part("Where it was declared.")  the same row, read as another type

and an ordinary resolver names the columns that it reads of its parent:

    @needs("name")
    def _greeting(row: strawberry.Parent[Any]) -> str: ...
"""

from __future__ import annotations

import hashlib
import inspect
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, TypeVar, cast

from sqlalchemy import Select, bindparam, func, literal_column, select
from sqlalchemy.types import TypeEngine
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryOptional
from strawberry.types.field import StrawberryField
from strawberry.types.unset import UNSET

from db.queries.keyset import ForeignPlaceError, Key, following, ordered, reading_order
from db.queries.orders import keys_of, with_columns
from db.rules.filters import EntityOrder, EntityOrderField
from db.tables import metadata
from schema.errors import BadUserInput, gone_meanwhile
from schema.inputs import DESCRIPTIONS, Cursor, arguments_of, graphql_name, graphql_type
from schema.levels import alone
from schema.levels.asked import Asked, Parameter, everything, otherwise, put_together, taken_apart
from schema.levels.reading import Reader
from schema.paging import PageRequest, page_request

Body = Callable[..., Select[Any]]
F = TypeVar("F", bound=Callable[..., Any])

ORDER = {"order_by": tuple[EntityOrder, ...] | None}
FORWARD = {"first": int | None, "after": Cursor | None}
BACKWARD = {"last": int | None, "before": Cursor | None}
Descriptions = Mapping[str, str]
NONE: Descriptions = {}


def edge(body: Body, description: str, *, kind: str | None = None) -> Any:
    """At most one row. `kind` is the default kind of a ref in its arguments."""
    return EdgeField(body, description, kind=kind)


def value(body: Body, description: str) -> Any:
    """The first column of at most one row."""
    return ValueField(body, description)


def edges(body: Body, description: str, *, order: Sequence[str], arguments: Descriptions = NONE) -> Any:
    """All rows, in the order of these columns, the last of which is never null. For lists that are short by nature."""
    return ListField(body, description, order=order, arguments=arguments)


def connection(
    body: Body,
    description: str,
    *,
    order: Sequence[str | Key] = ("sort_name", "id"),
    both_ways: bool = False,
    order_by: bool = False,
    arguments: Descriptions = NONE,
) -> Any:
    """The rows in pages. The order ends in a column that is unique; `order_by` lets the client put others before it."""
    paging = {**(ORDER if order_by else {}), **FORWARD, **(BACKWARD if both_ways else {})}
    return ConnectionField(body, description, order=order, arguments=arguments, more=paging)


def derived(function: Callable[..., Any], *columns: str, description: str) -> Any:
    """What `function` makes of these columns of the field's own row."""
    return DerivedField(function, columns, description)


def part(description: str) -> Any:
    """The field's own row, as an object of another type."""
    return PartField(description=description)


def needs(*columns: str) -> Callable[[F], F]:
    """Mark an ordinary resolver with the columns that it reads of its parent; without the mark it may read all."""

    def mark(resolver: F) -> F:
        resolver.__dict__["needs"] = columns
        return resolver

    return mark


def needs_of(field: StrawberryField) -> tuple[str, ...] | None:
    """The columns that an ordinary field's resolver is marked with; None for all."""
    resolver = field.base_resolver
    return getattr(resolver.wrapped_func, "needs", None) if resolver else None


class Columns:
    """The parent, as a body sees it: columns by attribute. It remembers which ones were read.

    They are plain text, for SQLAlchemy would silently add the parent to an inner FROM: a cross join.
    """

    def __init__(self, table: str, alias: str = "parent") -> None:
        self._table, self.alias = metadata.tables[table], alias
        self.read: dict[str, TypeEngine[Any]] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in self._table.c:
            raise AttributeError(f"table {self._table.name!r} has no column {name!r}")
        type_ = self.read[name] = self._table.c[name].type
        return literal_column(f"{self.alias}.{name}", type_)


class EdgeField(StrawberryField):
    """A field that a body answers, with at most one row."""

    is_single = True

    def __init__(
        self,
        body: Body,
        description: str,
        *,
        order: Sequence[str | Key] = (),
        kind: str | None = None,
        arguments: Descriptions = NONE,
        more: Mapping[str, Any] = NONE,
    ) -> None:
        super().__init__(description=description)
        self.init = self.repr = self.compare = False
        self.body, self._kind = body, kind
        self.order = tuple(key if isinstance(key, Key) else Key(key) for key in order)
        parameters = inspect.signature(body).parameters.values()
        # Whose columns the body reads: the table that its positional parameter is named after. None for a root.
        self.parent = next((p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD), None)
        self._own, named = keywords_of(body)
        self._hints = {**self._own, **more}
        self.arguments = [
            argument(name, hint, named.get(name), {**DESCRIPTIONS, **arguments}[name])
            for name, hint in self._hints.items()
        ]

    @property
    def is_basic_field(self) -> bool:
        """It is no attribute of its parent."""
        return False

    @cached_property
    def identity(self) -> Hashable:
        """What two edges have in common that read the same, given the same arguments."""
        return (type(self), self.body, self.order)

    @cached_property
    def keys(self) -> dict[str, TypeEngine[Any]]:
        """The columns of its parent that the body reads, with their types; none for a root."""
        if self.parent is None:
            return {}
        columns = Columns(self.parent)
        for _, arguments in self.tries():
            self.select(columns, **arguments)
        return columns.read

    @cached_property
    def columns(self) -> dict[str, TypeEngine[Any]]:
        """The columns that it gives, with their types."""
        _, arguments = next(self.tries())
        return {str(column.key): column.type for column in self.select(**arguments).selected_columns}

    def tries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Arguments for the body, by which is seen what it does with them before anybody asks; each try has a title.

        They are all given at first, then each one is absent, or another boolean or enum, and then all are so.
        """
        given = {name: everything(hint, _unnamed) for name, hint in self._own.items()}
        others = {name: values for name, hint in self._own.items() if (values := otherwise(hint))}
        yield "", given
        for name, values in others.items():
            for value in values:
                yield f" with {name}={value!r}", {**given, name: value}
        if len(others) > 1:
            yield " without arguments", {**given, **{name: values[0] for name, values in others.items()}}

    def select(self, parent: Any = None, **arguments: Any) -> Select[Any]:
        """The body's Select, for a parent with these columns."""
        if self.parent is None:
            return self.body(**arguments)
        return self.body(parent or Columns(self.parent), **arguments)

    def select_of(self, asked: Any, parent: Any, parameter: Parameter) -> Select[Any]:
        """The same, for arguments of this shape."""
        if not self._own and isinstance(parent, Columns):
            return _without_arguments(self, parent.alias)
        return self.select(parent, **dict(zip(self._own, put_together(asked, parameter), strict=True)))

    def asked(self, given: dict[str, Any]) -> Asked:
        """What the field asks, from its arguments as graphql-core reads them. Raises `BadUserInput`."""
        return self._asked(arguments_of(self._hints, given, kind=self._kind))

    def _asked(self, arguments: dict[str, Any]) -> Asked:
        values: list[Any] = []
        shape = tuple(taken_apart(arguments[name], values) for name in self._own)
        return Asked(shape, values, shape)

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What the field answers for one object, by statements of its own: only graphql-core asks so."""
        return self._alone(alone.Parent(source, self.keys), self.asked(alone.arguments(info)), info.context.reader)

    async def _alone(self, parent: alone.Parent, asked: Asked, reader: Reader) -> Any:
        return self._picked(await alone.rows(self.select_of, parent, asked, reader))

    def _picked(self, rows: list[Any]) -> Any:
        return rows[0] if rows else self._nothing()

    @cached_property
    def is_optional(self) -> bool:
        """Whether there may be no row. Where one has to be, it can only have gone while the operation ran."""
        return isinstance(self.type, StrawberryOptional)

    def _nothing(self) -> None:
        if not self.is_optional:
            raise gone_meanwhile()


class ValueField(EdgeField):
    """A field that is the first column of that row."""

    column = "value"  # its name here

    def select(self, parent: Any = None, **arguments: Any) -> Select[Any]:
        """The body's Select of that column."""
        query = super().select(parent, **arguments)
        return query.with_only_columns(query.selected_columns[0].label(self.column), maintain_column_froms=True)

    def _picked(self, rows: list[Any]) -> Any:
        value = rows[0][0] if rows else None
        return self._nothing() if value is None else value


class ListField(EdgeField):
    """A field that is a list of all rows."""

    is_single = False

    def select_of(self, asked: Any, parent: Any, parameter: Parameter) -> Select[Any]:
        """All rows, in order."""
        return ordered(super().select_of(asked, parent, parameter), self.order)

    def _picked(self, rows: list[Any]) -> Any:
        return rows


class ConnectionField(EdgeField):
    """A field that is a page of the rows."""

    is_single = False

    def _asked(self, arguments: dict[str, Any]) -> Asked:
        asked = super()._asked(arguments)
        orders = arguments.get("order_by") or ()
        keys, pointers = _keys(orders, self.order), tuple(one.path for one in orders if one.path is not None)
        paths = taken_apart(pointers, asked.values)
        own = tuple((name, arguments[name]) for name in self._own)
        bound_to = _fingerprint(f"{self.origin}.{self.python_name}", own, keys, pointers)
        page = page_request(keys, arguments, fingerprint=bound_to)
        place = None if page.place is None else tuple(map(type, page.place))
        asked.values.extend(value for value in page.place or () if value is not None)
        shape = (asked.arguments, paths, keys, page.size, page.backward, place)
        return replace(asked, arguments=(*asked.arguments, paths), shape=shape, page=page)

    def select_of(self, asked: Any, parent: Any, parameter: Parameter) -> Select[Any]:
        """One page, and one row more, which says whether there is another page. Raises `BadUserInput`."""
        own, paths, keys, size, backward, place = asked
        query, order = super().select_of(own, parent, parameter), reading_order(keys, backward=backward)
        query = with_columns(query, keys, put_together(paths, parameter))
        if place is not None:
            try:
                query = following(query, order, place, parameter)
            except ForeignPlaceError:
                raise BadUserInput("This cursor was not made by this graph.") from None
        return ordered(query, order).limit(size + 1)

    def count_of(self, asked: Any, parent: Any, parameter: Parameter) -> Select[Any]:
        """How many rows all pages have together."""
        own = asked[0]
        return select(func.count().label("total")).select_from(super().select_of(own, parent, parameter).subquery())

    async def _alone(self, parent: alone.Parent, asked: Asked, reader: Reader) -> Any:
        page = cast("PageRequest", asked.page)
        if page.place is not None:  # a cursor may be refused, whatever is asked of the page
            self.select_of(asked.shape, parent, _unnamed)
        return alone.Page(self.select_of, self.count_of, parent, asked, page, reader)


class DerivedField(StrawberryField):
    """A field that is made of columns of its own row."""

    def __init__(self, function: Callable[..., Any], columns: Sequence[str], description: str) -> None:
        super().__init__(description=description)
        self.init = self.repr = self.compare = False
        self.function, self.columns = function, tuple(columns)

    @property
    def is_basic_field(self) -> bool:
        """It is no attribute of its parent."""
        return False

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What the function makes of one object's attributes."""
        return self.function(*(getattr(source, column) for column in self.columns))


class PartField(StrawberryField):
    """A field that is its own row."""

    @property
    def is_basic_field(self) -> bool:
        """It is no attribute of its parent."""
        return False

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The object itself."""
        return source


@lru_cache(maxsize=100)  # of 0.1 MB each
def _without_arguments(edge: EdgeField, parent: str) -> Select[Any]:
    """The Select of an edge without arguments. It is the same in all statements that call the parent so.

    SQLAlchemy takes longer to make it, with a table's columns anew, than to write it down.
    """
    return edge.select(Columns(str(edge.parent), parent))


def _unnamed(type_: TypeEngine[Any]) -> Any:
    """A parameter of a statement that is not run."""
    return bindparam(None, None, type_)


def _keys(asked: Sequence[EntityOrder], order: tuple[Key, ...]) -> tuple[Key, ...]:
    """The keys that were asked for, then the field's own in the direction of the last, so that one index can do."""
    if not asked:
        return order
    for one in asked:
        if (one.field is EntityOrderField.PATH) != (one.path is not None):
            raise BadUserInput("`orderBy`: PATH needs a `path`, and no other field has one.")
    if len({(one.field, one.path) for one in asked}) < len(asked):
        raise BadUserInput("`orderBy` names a field twice.")
    chosen = {key.column: key for key in keys_of(asked)}
    ties = (replace(key, direction=asked[-1].direction) for key in order if key.column not in chosen)
    return (*chosen.values(), *ties)


def _fingerprint(field: str, *arguments: object) -> str:
    """What a cursor is bound to: its field, and the arguments that say which rows there are, in which order."""
    return hashlib.blake2s(f"{field}{arguments}".encode(), digest_size=6).hexdigest()


def keywords_of(function: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, inspect.Parameter]]:
    """The keyword-only parameters of a function by name: their types, and themselves."""
    parameters = inspect.signature(function).parameters.values()
    named = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
    hints = typing.get_type_hints(function)
    return {name: hints[name] for name in named}, named


def argument(name: str, hint: Any, parameter: inspect.Parameter | None, description: str) -> StrawberryArgument:
    """The argument of a field whose function has this parameter."""
    default = parameter.default if parameter is not None else None
    return StrawberryArgument(
        python_name=name,
        graphql_name=graphql_name(name),
        type_annotation=StrawberryAnnotation(graphql_type(hint)),
        description=description,
        default=UNSET if default is None or default is inspect.Parameter.empty else default,
    )
