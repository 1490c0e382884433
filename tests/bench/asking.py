"""Asking the graph, with a watch in hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import orjson
import strawberry
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import create_engine
from schema.build import create_schema
from schema.context import Context

Plan = dict[str, Any]  # as EXPLAIN (FORMAT JSON) writes it

# The plan that a statement really ran by, which for a prepared one is not always the plan that EXPLAIN would make.
_EXPLAINING = {
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_format": "json",
    "client_min_messages": "log",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement as it went to the driver, and the seconds until all its rows were there."""

    text: str
    parameters: tuple[Any, ...]
    seconds: float


@dataclass(slots=True)
class Answer:
    """What a query gave, in how many seconds, by which statements."""

    data: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    statements: list[Statement] = field(default_factory=list)

    @property
    def sql_seconds(self) -> float:
        """Seconds spent in all statements together."""
        return sum(statement.seconds for statement in self.statements)


@dataclass(frozen=True, slots=True)
class Asker:
    """The schema over one database, through one connection: what was prepared once stays prepared."""

    engine: AsyncEngine
    schema: strawberry.Schema

    async def ask(self, query: str, **variables: Any) -> Answer:
        """The answer, which must hold no error."""
        answer = Answer()
        with Context(engine=self.engine, request_id="bench") as context, _recorded(self.engine, answer.statements):
            started = perf_counter()
            result = await self.schema.execute(query, variable_values=variables, context_value=context)
            answer.seconds = perf_counter() - started
        if result.errors or result.data is None:
            raise RuntimeError(f"{query}: {result.errors}")
        answer.data = result.data
        return answer

    async def plans(self, query: str, **variables: Any) -> list[Plan]:
        """The plans by which the query's statements run, with their actual rows and buffers."""
        said: list[str] = []

        def listen(_connection: Any, message: Any) -> None:
            said.append(message.message)

        async with self.engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.execute("LOAD 'auto_explain'")
            await driver.execute("; ".join(f"SET {name} = {value}" for name, value in _EXPLAINING.items()))
        driver.add_log_listener(listen)
        await self.ask(query, **variables)
        await asyncio.sleep(0)  # the driver hands messages over in the loop's next turn
        driver.remove_log_listener(listen)
        await driver.execute("; ".join(f"RESET {name}" for name in _EXPLAINING))
        return [orjson.loads(message[message.index("{") :]) for message in said if "plan:" in message]


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[Asker]:
    """Somebody to ask the database at `url`."""
    engine = create_engine(url, pool_size=1, statement_timeout=600)
    try:
        yield Asker(engine, create_schema())
    finally:
        await engine.dispose()


@contextmanager
def _recorded(engine: AsyncEngine, statements: list[Statement]) -> Iterator[None]:
    """Note every statement that ends in this block. They must come one after the other."""
    started = 0.0

    def before(*_: Any) -> None:
        nonlocal started
        started = perf_counter()

    def after(_connection: Any, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
        statements.append(Statement(text, parameters, perf_counter() - started))

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    event.listen(engine.sync_engine, "after_cursor_execute", after)
    try:
        yield
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", before)
        event.remove(engine.sync_engine, "after_cursor_execute", after)
