"""The limit: what no server in Python can beat by much.

A route that answers each operation of `operations` by one SQL statement, written by hand for that answer alone
(`sql/Q1.sql`, ...). Postgres makes the JSON, and it is passed through as bytes. No GraphQL is read: the operation's
name says which statement it is. The answers are the project's own, but for white space.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import asyncpg
import click
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.bench.cursors import closed, opened
from tests.bench.operations import Variables

# Those by which all these statements are fastest: found by trying. Plans are made once, and random reads are of memory.
_SETTINGS = {"plan_cache_mode": "force_generic_plan", "random_page_cost": "1.1", "enable_mergejoin": "off"}


@dataclass(frozen=True, slots=True)
class Statement:
    """How to answer an operation: the arguments of its SQL, and the value of its only field, from the only row."""

    field: str
    arguments: Callable[[Variables], tuple[Any, ...]]
    value: Callable[[asyncpg.Record, Variables], bytes]


def _one(field: str, *more: str) -> Statement:
    """SQL from a ref, and maybe more variables, to a value as a whole."""
    return Statement(field, lambda variables: tuple(variables[name] for name in ("ref", *more)), lambda row, _: row[0])


def _page(field: str, *more: str, items: str = "nodes") -> Statement:
    """SQL from a place in a list, and maybe more, to the items after it and whether there are more.

    They are followed by name and id of the last item, and maybe a total. `fingerprint` is that of the list's cursors.
    """

    def arguments(variables: Variables) -> tuple[Any, ...]:
        fingerprint, *place = opened(variables["after"])
        return (*place, *(fingerprint if name == "fingerprint" else variables[name] for name in more))

    def value(row: asyncpg.Record, variables: Variables) -> bytes:
        found, is_more, name, last, *total = row
        cursor = None if last is None else closed(opened(variables["after"])._replace(name=name, id=last))
        info = orjson.dumps({"hasNextPage": is_more, "endCursor": cursor})
        count = b'"totalCount":%d,' % total[0] if total else b""
        return b'{%s"%s":%s,"pageInfo":%s}' % (count, items.encode(), found, info)

    return Statement(field, arguments, value)


STATEMENTS = {
    "Q1": _one("entity"),
    "Q2": _page("components"),
    "Q3": _one("group"),
    "Q4": _page("components", "lifecycle", "tag"),
    "Q5": _one("domain"),
    "Q1b": _one("component"),
    "Q2b": _page("entities", "fingerprint", items="edges"),
    "Q3b": _one("system", "lifecycle"),
    "Q4b": _page("apis", "type"),
    "Q5b": _one("domain"),
}


def sql(operation: str) -> str:
    """The text of a statement."""
    return (Path(__file__).with_name("sql") / f"{operation}.sql").read_text(encoding="utf-8")


class Endpoint:
    """Answers the requests for the operations of `STATEMENTS`."""

    def __init__(self) -> None:
        self._sql = {operation: sql(operation) for operation in STATEMENTS}

    async def answer(self, request: Request[_State]) -> Response:
        """The answer to one of them."""
        asked = orjson.loads(await request.body())
        operation, variables = asked["operationName"], asked["variables"]
        statement = STATEMENTS[operation]
        async with request.state["pool"].acquire() as connection:
            row = await connection.fetchrow(self._sql[operation], *statement.arguments(variables))
        data = b'{"data":{"%s":%s}}' % (statement.field.encode(), statement.value(row, variables))
        return Response(data, media_type="application/json")


class _State(TypedDict):
    pool: asyncpg.Pool


@asynccontextmanager
async def _lifespan(_app: Starlette) -> AsyncIterator[_State]:
    pool = asyncpg.create_pool(
        os.environ["DATABASE_URL"], min_size=10, init=_read_json_as_bytes, reset=_leave, server_settings=_SETTINGS
    )
    async with pool:
        yield _State(pool=pool)


async def _read_json_as_bytes(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")


async def _leave(connection: asyncpg.Connection) -> None:
    """Nothing has to be reset: no request leaves anything behind."""


def main() -> None:
    """Serve the database of DATABASE_URL on a free port of loopback."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    click.echo(f"http://127.0.0.1:{listener.getsockname()[1]}", err=True)
    app = Starlette(routes=[Route("/graphql", Endpoint().answer, methods=["POST"])], lifespan=_lifespan)
    config = uvicorn.Config(app, access_log=False, log_level="warning", loop="uvloop", http="httptools", lifespan="on")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
