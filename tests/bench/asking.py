"""Asking the graph, with a watch in hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import orjson

from api.operation import Operations
from db.reading import Reads
from schema.build import create_schema
from schema.context import Context
from schema.limits import Limits
from tests.callers import ANYBODY

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


class WatchedReads(Reads):
    """One connection, and a note of every statement that has ended on it."""

    def __init__(self, url: str) -> None:
        super().__init__(url, pool_size=1, statement_timeout=600)
        self.ended: list[Statement] = []

    async def fetch(self, text: str, values: Sequence[Any], *, varying: bool = False, named: bool = False) -> list[Any]:
        """As `Reads.fetch`."""
        started = perf_counter()
        rows = await super().fetch(text, values, varying=varying, named=named)
        self.ended.append(Statement(text, tuple(values), perf_counter() - started))
        return rows

    @property
    def connection(self) -> Any:
        """The driver's own connection, once a statement has run on it."""
        (place,) = self._free
        return place._connection


@dataclass(frozen=True, slots=True)
class Asker:
    """The schema over one database, through one connection: what was prepared once stays prepared."""

    reads: WatchedReads
    operations: Operations

    async def ask(self, query: str, **variables: Any) -> Answer:
        """The answer, which must hold no error."""
        answer = Answer()
        self.reads.ended = answer.statements
        with Context(caller=ANYBODY, reads=self.reads, request_id="bench") as context:
            started = perf_counter()
            result = await self.operations.ready(query).run(variables, context)
            answer.seconds = perf_counter() - started
        if result.errors or result.data is None:
            raise RuntimeError(f"{query}: {result.errors}")
        answer.data = result.data
        return answer

    async def plans(self, query: str, **variables: Any) -> list[Plan]:
        """The plans by which the query's statements run, with their actual rows and buffers. It was asked before."""
        said: list[str] = []

        def listen(_connection: Any, message: Any) -> None:
            said.append(message.message)

        connection = self.reads.connection
        await connection.execute("LOAD 'auto_explain'")
        await connection.execute("; ".join(f"SET {name} = {value}" for name, value in _EXPLAINING.items()))
        connection.add_log_listener(listen)
        await self.ask(query, **variables)
        await asyncio.sleep(0)  # the driver hands messages over in the loop's next turn
        connection.remove_log_listener(listen)
        await connection.execute("; ".join(f"RESET {name}" for name in _EXPLAINING))
        return [orjson.loads(message[message.index("{") :]) for message in said if "plan:" in message]


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[Asker]:
    """Somebody to ask the database at `url`."""
    reads = WatchedReads(url)
    try:
        yield Asker(reads, Operations(create_schema(), Limits()))
    finally:
        await reads.close()
