"""How a type names its edges.

    owner: Owner | None = edge(entities.owner_of, "The group or user that owns it.")
    labels: list[KeyValue] = edges(documents.key_values("labels"), "Its labels.", order=("key",))
    email: str | None = value(documents.spec_text("profile", "email"), "Its email address.")
    dependents: EntityConnection = connection(relations.related("dependencyOf"), "What depends on it.")

The first argument is a function of `db.queries`. Its keyword-only parameters become the field's arguments, under the
names and types that they have there.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryOptional
from strawberry.types.field import StrawberryField
from strawberry.types.unset import UNSET

from db.queries.keyset import Key
from db.rules.filters import EntityOrder
from schema.errors import BadUserInput, gone_meanwhile
from schema.inputs import DESCRIPTIONS, Cursor, arguments_of, graphql_name, graphql_type
from schema.levels.batch import EdgeLoader, Load, PageRows, Parent, Rows, Wanted
from schema.levels.page import Page
from schema.levels.statements import Body, keys_of
from schema.paging import page_request

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
    """All rows, in the order of these columns. Only for lists that are short by nature."""
    return ListField(body, description, order=order, arguments=arguments)


def connection(
    body: Body,
    description: str,
    *,
    order: Sequence[str] = ("sort_name", "id"),
    both_ways: bool = False,
    order_by: bool = False,
    arguments: Descriptions = NONE,
) -> Any:
    """The rows in pages. The order ends in a column that is unique; `order_by` lets the client put others before it."""
    paging = {**(ORDER if order_by else {}), **FORWARD, **(BACKWARD if both_ways else {})}
    return ConnectionField(body, description, order=order, arguments=arguments, paging=paging)


class EdgeField(StrawberryField):
    """A field that a function of `db.queries` answers, with at most one row."""

    def __init__(
        self,
        body: Body,
        description: str,
        *,
        order: Sequence[str] = (),
        kind: str | None = None,
        arguments: Descriptions = NONE,
        more: Mapping[str, Any] = NONE,
    ) -> None:
        super().__init__(description=description)
        self.init = self.repr = self.compare = False
        self._body, self._kind = body, kind
        self._order = tuple(Key(column) for column in order)
        hints = typing.get_type_hints(body)
        named = {p.name: p for p in inspect.signature(body).parameters.values() if p.kind is p.KEYWORD_ONLY}
        self._hints = {name: hints[name] for name in named} | dict(more)
        self.arguments = [
            _argument(name, hint, named.get(name), {**DESCRIPTIONS, **arguments}[name])
            for name, hint in self._hints.items()
        ]
        self._own = frozenset(named)

    @property
    def is_basic_field(self) -> bool:
        """It is no attribute of its parent."""
        return False

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What the field answers for this parent, once its level's statement has run."""
        loader: EdgeLoader = info.context.edges
        # All objects that one selection completes have the same arguments: they are read once.
        selection = (self, id(info._raw_info.field_nodes[0]))  # noqa: SLF001 - Strawberry has no other door to it
        if selection not in loader.wanted:
            loader.wanted[selection] = self._wanted(arguments_of(self._hints, kwargs, kind=self._kind))
        parent = tuple(getattr(source, column) for column in keys_of(self._body))
        return self._answer(loader, loader.wanted[selection], parent)

    def _wanted(self, asked: dict[str, Any]) -> Wanted:
        return Rows(self._body, tuple(asked.items()), self._order)

    async def _answer(self, loader: EdgeLoader, wanted: Any, parent: Parent) -> Any:
        rows = await loader.load(Load(wanted, parent))
        return rows[0] if rows else self._nothing()

    def _nothing(self) -> None:
        """The answer where there is no row. It can only be missing because it went while the operation ran."""
        if not isinstance(self.type, StrawberryOptional):
            raise gone_meanwhile()


class ValueField(EdgeField):
    """A field that is the first column of that row."""

    async def _answer(self, loader: EdgeLoader, wanted: Any, parent: Parent) -> Any:
        rows: list[Any] = await loader.load(Load(wanted, parent))
        return rows[0][1] if rows else self._nothing()  # the column before it says whose row it is


class ListField(EdgeField):
    """A field that is a list of all rows."""

    async def _answer(self, loader: EdgeLoader, wanted: Any, parent: Parent) -> Any:
        return await loader.load(Load(wanted, parent))


class ConnectionField(EdgeField):
    """A field that is a page of the rows."""

    def __init__(self, body: Body, description: str, *, paging: Mapping[str, Any], **rest: Any) -> None:
        super().__init__(body, description, more=paging, **rest)

    def _wanted(self, asked: dict[str, Any]) -> Wanted:
        own = tuple((name, value) for name, value in asked.items() if name in self._own)
        keys = _keys(asked.get("order_by") or (), self._order)
        request = page_request(keys, asked, about=f"{self.origin}.{self.python_name}{own}")
        return PageRows(self._body, own, request)

    def _answer(self, loader: EdgeLoader, wanted: Any, parent: Parent) -> Any:
        return Page(loader, wanted, parent)


def _keys(asked: Sequence[EntityOrder], order: tuple[Key, ...]) -> tuple[Key, ...]:
    """The keys that were asked for, then the field's own in the direction of the last, so that one index can do."""
    if len({one.field for one in asked}) < len(asked):
        raise BadUserInput("`orderBy` names a field twice.")
    chosen = {one.field.value: Key(one.field.value, one.direction, one.nulls) for one in asked}
    ties = (replace(key, direction=asked[-1].direction) if asked else key for key in order if key.column not in chosen)
    return (*chosen.values(), *ties)


def _argument(name: str, hint: Any, parameter: inspect.Parameter | None, description: str) -> StrawberryArgument:
    default = parameter.default if parameter is not None else None
    return StrawberryArgument(
        python_name=name,
        graphql_name=graphql_name(name),
        type_annotation=StrawberryAnnotation(graphql_type(hint)),
        description=description,
        default=UNSET if default is None or default is inspect.Parameter.empty else default,
    )
