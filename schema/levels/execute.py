"""The run of a plan, level by level.

A level is all objects that one selection completes, as a table: its columns are the fields, its rows the objects. What
is there at once is completed at once; what must be awaited becomes a job, which fills its column in when it comes.

Errors interrupt nothing. A value that failed is null for now, and its error is noted with its position; at the end the
nulls move up to where null is allowed, as the specification has it (section 6.4.4, Handling Execution Errors). So no
resolver runs twice, and the answer equals that of graphql-core.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property, partial
from typing import Any, cast

from graphql import ExecutionResult, GraphQLResolveInfo
from graphql.execution.executor import Executor, default_field_resolver, default_type_resolver
from graphql.execution.values import VariableValues
from graphql.pyutils import Path as ResponsePath

from schema.levels.asked import Asked
from schema.levels.complete import complete
from schema.levels.edge import EdgeField
from schema.levels.failures import Failures
from schema.levels.follow import follow
from schema.levels.plan import Budget, Field, Plan, Selection
from schema.levels.positions import Positions, Root, Under
from schema.levels.reading import Reader
from schema.levels.settling import close, listed, must_wait, settled
from schema.levels.tables import Column, Found, Later, Objects, Raw, Rows, Table, attempt, each

Job = Callable[[], Awaitable[None]]
Data = dict[str, Any]


class Run:
    """One run of a plan."""

    def __init__(self, plan: Plan, variables: VariableValues, context: Any, root: Any) -> None:
        self.plan, self.variables, self.context, self.root = plan, variables, context, root
        self.failures, self.budget = Failures(), Budget()
        self._asked: dict[Field, Asked] = {}
        self._unawaited: dict[int, list[Any]] = {}

    async def execute(self) -> ExecutionResult:
        """The answer. Raises CostLimit."""
        try:
            return self._result(await (self._one_by_one() if self.plan.is_serial else self._side_by_side()))
        finally:
            for values in self._unawaited.values():  # only when this was refused or cancelled half-way
                close(values)

    async def _side_by_side(self) -> Data:
        jobs: list[Job] = []
        (data,) = self.select(self.plan.root, self._start(), Root(), jobs)
        await finish(jobs)
        return data

    def _start(self) -> Objects:
        return Objects([self.root], self.plan.read)

    def _result(self, data: Data) -> ExecutionResult:
        if not self.failures:
            return ExecutionResult(data, None)
        return ExecutionResult(*self.failures.settle(data))

    async def _one_by_one(self) -> Data:
        """The root fields of a mutation: each begins when the one before has ended; none after one that nulls all."""
        data: Data = {field.key: None for field in self.plan.root.fields}
        for field in self.plan.root.fields:
            if self.failures.nulls_all():
                break
            table = self._start()
            await self._fill([data], field, self._raw(field, table, Root()), table, Root())
        return data

    def select(self, selection: Selection, table: Table, positions: Positions, jobs: list[Job]) -> list[Data]:
        """One dict for each object of the table; what must be awaited is left to new jobs."""
        columns: list[Column] = []
        late: list[tuple[Field, Later]] = []
        for field in selection.fields:
            if field.as_it_is and isinstance(table, Rows):
                column = table.column(field.column or "")
                if field.as_it_is.issuperset(map(type, column)):
                    columns.append(column)
                    continue
            raw = self._raw(field, table, positions)
            if isinstance(raw, partial):
                late.append((field, raw))
                columns.append([None] * table.size)
            else:
                columns.append(complete(self, field, raw, Under(positions, field), jobs))
        data = selection.objects(columns) if columns else [{} for _ in range(table.size)]
        jobs.extend(partial(self._fill, data, field, raw, table, positions) for field, raw in late)
        return data

    async def _fill(self, data: list[Data], field: Field, raw: Raw, table: Table, positions: Positions) -> None:
        """Put the values of one field into the dicts of its objects, and all that is below them."""
        jobs: list[Job] = []
        found = await raw() if isinstance(raw, partial) else raw
        for one, value in zip(data, complete(self, field, found, Under(positions, field), jobs), strict=True):
            one[field.key] = value
        await finish(jobs)

    def _raw(self, field: Field, table: Table, positions: Positions) -> Raw:
        """What a field gives to each object, not yet completed: values, found objects, or these to be awaited."""
        if field.is_typename:
            return [positions.type_name(at) or field.parent.name for at in range(table.size)]
        if field.column is not None:
            column = table.column(field.column)
            return self._given(field, list(cast("Column", column))) if isinstance(table, Objects) else column
        if field.edge is not None:
            return follow(self, field, field.edge, table)
        if field.derived is not None:
            columns: list[Any] = [table.column(name) for name in field.derived.columns]
            return [_derived(field.derived.function, values) for values in each(columns, table.size)]
        if field.is_part:
            return Found(table)
        return self._resolved(field, table, positions)

    def _resolved(self, field: Field, table: Table, positions: Positions) -> Raw:
        """What the field's resolver gives, asked once for each object."""
        try:
            arguments = field.arguments(self.variables)
        except Exception as error:  # noqa: BLE001 - it is the error of each of these fields
            return [error] * table.size
        resolve = field.definition.resolve or default_field_resolver
        under = Under(positions, field)
        values = [
            attempt(resolve, source, self.info(field, under, at), **arguments)
            for at, source in enumerate(table.sources())
        ]
        return self._given(field, values)

    def _given(self, field: Field, values: list[Any]) -> Raw:
        """What Python gave, with lists as lists; to be awaited where anything of it is."""
        if field.depth:
            values = [listed(value, field.depth) for value in values]
        if not must_wait(values, field.depth):
            return values
        self._unawaited[id(values)] = values
        return partial(self._settled, values, field.depth)

    async def _settled(self, values: list[Any], depth: int) -> list[Any]:
        del self._unawaited[id(values)]
        return await settled(values, depth)

    def asked(self, field: Field, edge: EdgeField) -> Asked:
        """What the field's edge asks. Raises GraphQLError."""
        if field not in self._asked:
            self._asked[field] = field.asked(edge, self.variables)
        return self._asked[field]

    def selecting(self, field: Field, table: Table) -> list[int]:
        """Which objects of the table are of a type that selects the field."""
        names = table.names_of_types()
        if field.parent.name not in names:  # they have one type, or this is a field of a part of them
            return list(range(table.size))
        selections = {name: self.plan.selected(name, field.within) for name in set(names)}
        selecting = {name for name, selection in selections.items() if selection and field.site in selection.sites}
        return [at for at, name in enumerate(names) if name in selecting]

    @property
    def reader(self) -> Reader:
        """What runs the statements."""
        reader: Reader = self.context.reader
        return reader

    @cached_property
    def core(self) -> Executor[Any]:
        """graphql-core's executor: for what resolvers are told, and for checks with their messages."""
        plan = self.plan
        return Executor(
            plan.schema,
            {name: fragment.definition for name, fragment in plan.fragments.items()},
            plan.fragments,
            self.root,
            self.context,
            plan.operation,
            self.variables,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
        )

    def info(self, field: Field, positions: Positions, at: int) -> Info:
        """What the resolver of value `at` is told."""
        core = self.core
        return Info._make(
            (
                field.name,
                field.nodes,
                field.type,
                field.parent,
                (positions, at),
                core.schema,
                core.fragment_definitions,
                core.root_value,
                core.operation,
                core.variable_values,
                core.context_value,
                core.is_awaitable,
                core.abort_signal,
                core.async_helpers,
            )
        )


def _derived(function: Callable[..., Any], values: tuple[Any, ...]) -> Any:
    failed = next((value for value in values if isinstance(value, Exception)), None)
    return attempt(function, *values) if failed is None else failed


class Info(GraphQLResolveInfo[Any]):
    """What a resolver is told; the path is made when it is asked for."""

    @property
    def path(self) -> ResponsePath:
        """Where the value stands in the response; of several places, the first."""
        positions, at = cast("tuple[Positions, int]", self[4])
        path: Any = None
        for step in next(positions.paths(at)):
            path = ResponsePath(path, step.key, step.type_name)
        return cast("ResponsePath", path)


async def finish(jobs: Sequence[Job]) -> None:
    """Do all jobs, side by side. None is left running when one raises, or this is cancelled."""
    if len(jobs) == 1:
        await jobs[0]()
    elif jobs:
        tasks = [asyncio.ensure_future(job()) for job in jobs]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
