"""From what fields gave to what the response holds, column by column (section 6.4.3 of the specification)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from types import NoneType
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLBoolean,
    GraphQLError,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
    Undefined,
)
from graphql.execution.executor import Executor, default_type_resolver, invalid_return_type_error
from graphql.pyutils import is_iterable

from schema.errors import CostLimit, gone_meanwhile
from schema.levels.positions import Items, Path, Picked, Typed, Under, index_step
from schema.levels.tables import TYPE, Column, Found, Objects, Rows, Table, attempt

if TYPE_CHECKING:
    from schema.levels.execute import Job, Run
    from schema.levels.plan import Field

Values = Under | Items | Picked  # the positions of values

# Scalars whose values of these types are answered as they are.
_AS_THEY_ARE: dict[Any, type] = {GraphQLString: str, GraphQLInt: int, GraphQLBoolean: bool, GraphQLID: str}
_INT32 = range(-(2**31), 2**31)


def complete(run: Run, field: Field, raw: Column | Found, at: Under, jobs: list[Job]) -> Column:
    """The values of one field, completed; a failed one is null, and noted. What must be awaited is left to new jobs."""
    if not isinstance(raw, Found) and field.is_leaf:
        return raw if _is_complete(field.type, raw) else _Leaves(run, field, at).of(raw)
    completion = _Composites(run, field, jobs)
    return completion.found(raw, at) if isinstance(raw, Found) else completion.given(field.type, raw, at)


def _is_complete(type_: Any, column: Column) -> bool:
    """Whether the values, or the items of lists of them, are such that they are answered as they are."""
    types = set(map(type, column))
    if isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    else:
        types.discard(NoneType)
    if isinstance(type_, GraphQLList):
        if not types <= {list}:
            return False
        return _is_complete(type_.of_type, list(chain.from_iterable(value for value in column if value is not None)))
    if not types:
        return True
    if types != {_AS_THEY_ARE.get(type_)}:
        return False
    return type_ is not GraphQLInt or all(value is None or value in _INT32 for value in column)


@dataclass(frozen=True, slots=True)
class _Leaves:
    """The completion of one field of scalars or enums, value by value."""

    run: Run
    field: Field
    at: Under

    def of(self, column: Column) -> Column:
        """The values, completed."""
        return [self._leaf(self.field.type, value, number, ()) for number, value in enumerate(column)]

    def _leaf(self, type_: Any, value: Any, number: int, below: Path) -> Any:
        try:
            return self._value(type_, value, number, below)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this value's error
            self.run.failures.note(error, self.field, self.at, number, below)
            return None

    def _value(self, type_: Any, value: Any, number: int, below: Path) -> Any:
        if isinstance(value, Exception):
            raise value
        is_nonnull = isinstance(type_, GraphQLNonNull)
        if value is None or value is Undefined:
            if is_nonnull:
                raise _no_null(self.field, self.at, number)
            return None
        inner = type_.of_type if is_nonnull else type_
        if not isinstance(inner, GraphQLList):
            return Executor.complete_leaf_value(inner, value)
        if not is_iterable(value):
            raise _no_list(self.field, self.at, number)
        return [
            self._leaf(inner.of_type, item, number, (*below, index_step(index, inner)))
            for index, item in enumerate(value)
        ]


@dataclass(slots=True)
class _Composites:
    """The completion of one field of objects, or of lists of them."""

    run: Run
    field: Field
    jobs: list[Job]

    # What resolvers gave

    def given(self, type_: Any, values: Column, at: Values) -> list[Any]:
        """Python values of this type, completed."""
        is_nonnull = isinstance(type_, GraphQLNonNull)
        inner = type_.of_type if is_nonnull else type_
        if isinstance(inner, GraphQLList):
            values = [self._as_list(value, at, number) for number, value in enumerate(values)]
        present = self._present(values, at, is_nonnull=is_nonnull)
        if len(present) == len(values):
            return self._lists_or_objects(inner, values, at)
        done = self._lists_or_objects(inner, [values[one] for one in present], Picked(at, present))
        return _scattered(done, present, len(values))

    def _lists_or_objects(self, type_: Any, values: Column, at: Values) -> list[Any]:
        if not isinstance(type_, GraphQLList):
            return self._objects(Objects(values, self.run.plan.read), at)
        counts = [len(value) for value in values]
        items = list(chain.from_iterable(values))
        return _cut(self.given(type_.of_type, items, Items(at, counts, type_)), counts)

    def _as_list(self, value: Any, at: Values, number: int) -> Any:
        if type(value) is list or value is None or value is Undefined or isinstance(value, Exception):
            return value
        return list(value) if is_iterable(value) else _no_list(self.field, at, number)

    def _present(self, values: Column, at: Values, *, is_nonnull: bool) -> list[int]:
        """Which values are there. What is not is noted, unless it is null and may be."""
        present = []
        for number, value in enumerate(values):
            if isinstance(value, Exception):
                self._note(value, at, number)
            elif value is not None and value is not Undefined:
                present.append(number)
            elif is_nonnull:
                self._note(_no_null(self.field, at, number), at, number)
        return present

    # What was found

    def found(self, found: Found, at: Under) -> list[Any]:
        """What an edge found, completed once for all that share it."""
        which = found.which
        if which is None or len(which) == found.parents:
            return self._found_once(found, at)
        owners: list[list[int]] = [[] for _ in range(found.parents)]
        for number, one in enumerate(which):
            owners[one].append(number)
        done = self._found_once(found, Picked(at, owners))
        return [done[one] for one in which]

    def _found_once(self, found: Found, at: Values) -> list[Any]:
        """What each distinct parent has."""
        counts, inner = found.counts, self.field.inner
        if counts is None:
            return self._objects(found.table, at)
        if isinstance(inner, GraphQLList):
            return _cut(self._objects(found.table, Items(at, counts, inner)), counts)
        present = [number for number, count in enumerate(counts) if count]
        if self.field.is_nonnull:
            for number, count in enumerate(counts):
                if not count:
                    self._note(gone_meanwhile(), at, number)
        return _scattered(self._objects(found.table, Picked(at, present)), present, len(counts))

    # All of them, by type

    def _objects(self, table: Table, at: Values) -> list[Any]:
        field = self.field
        if table.size == 0:
            return []
        if isinstance(field.named, GraphQLObjectType):
            return self._of_type(field.named, table, at)
        every, needs_types, is_alike = self.run.plan.selections(field.named, field.details)
        if not needs_types and isinstance(table, Rows):
            return self.run.select(every[0], table, at, self.jobs)
        names = self._type_names(table, at)
        if is_alike and isinstance(table, Rows) and None not in names:
            return self.run.select(every[0], table, Typed(at, names), self.jobs)
        return self._type_by_type(table, names, at)

    def _type_by_type(self, table: Table, names: Sequence[str | None], at: Values) -> list[Any]:
        groups: dict[str, list[int]] = {}
        for number, name in enumerate(names):
            if name is not None:
                groups.setdefault(name, []).append(number)
        if isinstance(table, Objects):
            table.type_names = names
        done: list[Any] = [None] * table.size
        for name, index in groups.items():
            is_all = len(index) == table.size
            some, there = (table, at) if is_all else (table.take(index), Picked(at, index))
            of_type = self._of_type(self.run.plan.object_type(name), some, there)
            for number, one in zip(index, of_type, strict=True):
                done[number] = one
        return done

    def _of_type(self, type_: GraphQLObjectType, table: Table, at: Values) -> list[Any]:
        if type_.is_type_of is None or not isinstance(table, Objects):
            return self._selected(type_, table, at)
        index = [number for number, one in enumerate(table.sources()) if self._is_of_type(type_, one, at, number)]
        if len(index) == table.size:
            return self._selected(type_, table, at)
        return _scattered(self._selected(type_, table.take(index), Picked(at, index)), index, table.size)

    def _selected(self, type_: GraphQLObjectType, table: Table, at: Values) -> list[Any]:
        try:
            selection = self.run.plan.select(type_, self.field.details)
        except CostLimit:
            raise
        except GraphQLError as error:  # a variable of `@skip` or `@include` has no value
            for number in range(table.size):
                self._note(error, at, number)
            return [None] * table.size
        return self.run.select(selection, table, at, self.jobs)

    def _is_of_type(self, type_: Any, one: Any, at: Values, number: int) -> bool:
        answer = attempt(type_.is_type_of, one, self.run.info(self.field, at, number))
        if isinstance(answer, Exception) or not answer:
            wrong = invalid_return_type_error(type_, one, self.field.details)
            self._note(answer if isinstance(answer, Exception) else wrong, at, number)
            return False
        return True

    def _type_names(self, table: Table, at: Values) -> Sequence[str | None]:
        """The name of each object's type; None where there is no right one, which is noted."""
        if isinstance(table, Rows):
            names = table.column(TYPE)
            if self.run.plan.possible(self.field.named).issuperset(names):
                return names
            return [self._checked_name(name, _itself, at, number) for number, name in enumerate(names)]
        resolve = self.field.named.resolve_type or default_type_resolver
        return [self._checked_name(one, resolve, at, number) for number, one in enumerate(table.sources())]

    def _checked_name(self, one: Any, resolve: Callable[..., Any], at: Values, number: int) -> str | None:
        field, run = self.field, self.run
        try:
            info = run.info(field, at, number)
            name = resolve(one, info, field.named)
            return run.core.ensure_valid_runtime_type(name, field.named, field.details, info, one).name
        except Exception as error:  # noqa: BLE001 - it is the object's error
            self._note(error, at, number)
            return None

    def _note(self, error: Exception, at: Values, number: int) -> None:
        self.run.failures.note(error, self.field, at, number)


def _itself(name: str, *_: object) -> str:
    return name


def _scattered(done: Iterable[Any], index: Sequence[int], size: int) -> list[Any]:
    """The values at these places of a list that is null elsewhere."""
    out: list[Any] = [None] * size
    for at, value in zip(index, done, strict=True):
        out[at] = value
    return out


def _cut(values: list[Any], counts: Sequence[int]) -> list[list[Any]]:
    """The values in lists of these lengths."""
    if len(counts) == 1:
        return [values]
    out, start = [], 0
    for count in counts:
        out.append(values[start : start + count])
        start += count
    return out


def _no_null(field: Field, at: Values, number: int) -> TypeError:
    return TypeError(f"Cannot return null for non-nullable field {at.parent_name(number)}.{field.name}.")


def _no_list(field: Field, at: Values, number: int) -> GraphQLError:
    name = f"{at.parent_name(number)}.{field.name}"
    return GraphQLError(f"Expected Iterable, but did not find one for field '{name}'.")
