"""An answer that is too long is refused in whatever way it was to come."""

from __future__ import annotations

import httpx2
import pytest

from api.graphql import GRAPHQL_JSON
from api.request_parameters import JSON
from tests.api.streams import Stage, served
from tests.api.test_graphql_http import Waiting, app, connected
from tests.api.test_sse import streamed
from tests.api.test_websocket import ask, greeted, heard

pytestmark = pytest.mark.anyio

LIMIT = 10_000  # bytes; "ü" has two
TOO_LONG = "subscription { ticks(to: 2, size: 5000) { number text } }"


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize(("accept", "status"), [(JSON, 200), (GRAPHQL_JSON, 400)])
async def test_by_http_it_is_an_error_alone(accept: str, status: int) -> None:
    async with connected(app(Waiting(), response_limit=LIMIT)) as client:

        async def said(length: int) -> httpx2.Response:
            body = {"query": "query($name: String!) { hello(name: $name) }", "variables": {"name": "x" * length}}
            return await client.post("/graphql", json=body, headers={"accept": accept})

        fits = await said(LIMIT - 100)
        assert (fits.status_code, len(fits.json()["data"]["hello"])) == (200, LIMIT - 94)
        refused = await said(LIMIT)
    assert (refused.status_code, refused.json().keys()) == (status, {"errors"})
    (error,) = refused.json()["errors"]
    assert error["extensions"] == {"code": "RESPONSE_LIMIT"}
    assert error["message"].endswith(" bytes, and 10,000 are allowed: ask for less at once")


async def test_a_stream_ends_with_it(stage: Stage) -> None:
    async with served(stage, response_limit=LIMIT) as serving:
        async with streamed(serving, TOO_LONG) as stream:
            (name, data), (end, _) = await stream.rest()
        assert (name, data["errors"][0]["extensions"]["code"], end) == ("next", "RESPONSE_LIMIT", "complete")
        async with greeted(serving) as socket:
            await ask(socket, "a", TOO_LONG)
            (told,) = await heard(socket, 1)
    assert (told["type"], told["id"], told["payload"][0]["extensions"]) == ("error", "a", {"code": "RESPONSE_LIMIT"})
