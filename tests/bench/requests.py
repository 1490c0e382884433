"""The requests that are made of a server, and single answers to them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

import asyncpg
import orjson

from tests.bench.cursors import Cursor, closed, opened
from tests.bench.landscape import Landscape
from tests.bench.operations import After, Operation, Variables
from tests.bench.processes import Server


@dataclass(frozen=True, slots=True)
class Requester:
    """Makes requests that the project understands: their cursors are its own, for places that nobody has read up to."""

    project: Server
    connection: asyncpg.Connection

    async def requests(self, operation: Operation, landscape: Landscape) -> list[Variables]:
        """The variables of the requests of one round."""
        return [await self._with_cursor(operation, drawn) for drawn in operation.drawn(landscape)]

    async def _with_cursor(self, operation: Operation, drawn: Variables) -> Variables:
        after = drawn.get("after")
        if not isinstance(after, After):
            return drawn
        (page,) = answer(self.project, operation, {**drawn, "after": None}).values()
        fingerprint = opened(page["pageInfo"]["endCursor"]).fingerprint
        place = await self.connection.fetchrow("SELECT sort_name, id FROM entity WHERE ref = $1", after.ref)
        return {**drawn, "after": closed(Cursor(fingerprint, *place))}


def body(operation: Operation, variables: Variables) -> bytes:
    """What is posted."""
    return orjson.dumps({"query": operation.text, "operationName": operation.name, "variables": variables})


def answer(server: Server, operation: Operation, variables: Variables) -> Any:
    """The data that a server answers with. A failure, or an answer that has found nothing, is a RuntimeError."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        headers = {"content-type": "application/json", **server.headers}
        connection.request("POST", "/graphql", body(operation, variables), headers)
        response = connection.getresponse()
        content = response.read()
    decoded = orjson.loads(content) if response.status == HTTPStatus.OK else None
    if decoded is None or "errors" in decoded or None in decoded["data"].values():
        raise RuntimeError(f"{operation.name} {variables}: {response.status} {content[:2000].decode()}")
    return decoded["data"]
