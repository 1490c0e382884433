"""The app as a whole: it starts without its database, says so, and recovers by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import asyncpg
import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from api import app as app_module
from api.app import State, create_app
from api.settings import Settings

pytestmark = pytest.mark.anyio


ASKED = "/graphql?query={entities{totalCount}}"


@asynccontextmanager
async def running(url: str, **settings: str) -> AsyncIterator[tuple[httpx2.AsyncClient, State]]:
    app = create_app(Settings.from_environ({"DATABASE_URL": url, **settings}))

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state or {})}, receive, send)

    async with (
        app.router.lifespan_context(app) as state,
        httpx2.AsyncClient(transport=httpx2.ASGITransport(with_state), base_url="http://test") as client,
    ):
        yield client, cast("State", state)


async def status(client: httpx2.AsyncClient, path: str) -> tuple[int, dict[str, str]]:
    response = await client.get(path)
    return response.status_code, response.json()


async def test_a_started_server_is_alive_and_ready(database_url: str) -> None:
    async with running(database_url) as (client, _):
        assert await status(client, "/healthz") == (200, {"status": "ok"})
        assert await status(client, "/readyz") == (200, {"status": "ok", "database": "ok"})


async def test_the_root_leads_a_browser_to_the_explorer(database_url: str) -> None:
    async with running(database_url) as (client, _):
        response = await client.get("/")
        assert (response.status_code, response.headers["location"]) == (307, "/graphiql")


async def test_a_browser_at_the_endpoint_gets_the_explorer(database_url: str) -> None:
    async with running(database_url) as (client, _):
        accept = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        assert (await client.get("/graphql", headers=accept)).headers["content-type"] == "text/html; charset=utf-8"
        query = await client.get("/graphql?query={__typename}", headers=accept)
        assert query.json() == {"data": {"__typename": "Query"}, "extensions": {"cost": 0}}


async def test_a_database_that_comes_late_is_found(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "_RETRY_SECONDS", 0.01)
    _, _, name = database_url.partition("?")[0].rpartition("/")
    late = database_url.replace(f"/{name}", f"/{name}_late")
    admin = await asyncpg.connect(database_url)
    try:
        async with running(late) as (client, state):
            assert await status(client, "/healthz") == (200, {"status": "ok"})
            assert await status(client, "/readyz") == (503, {"status": "unavailable", "database": "not reached yet"})
            asked = await client.get(ASKED)
            assert (asked.status_code, asked.headers["retry-after"]) == (503, "1")
            await admin.execute(f'CREATE DATABASE "{name}_late"')
            await asyncio.wait_for(state["started"].wait(), 60)
            assert await status(client, "/readyz") == (200, {"status": "ok", "database": "ok"})
            assert (await client.get(ASKED)).json()["data"] == {"entities": {"totalCount": 0}}
    finally:
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}_late" WITH (FORCE)')
        await admin.close()


async def test_connections_that_were_cut_are_no_clients_concern(database_url: str) -> None:
    admin = await asyncpg.connect(database_url)
    async with running(database_url) as (client, _):
        assert (await client.get(ASKED)).status_code == 200
        await admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                            " AND datname = current_database()")  # fmt: skip
        assert (await client.get(ASKED)).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
    await admin.close()


async def test_only_pages_of_the_named_origins_may_ask_from_a_browser(database_url: str) -> None:
    ours, theirs = {"origin": "http://localhost:5173"}, {"origin": "http://evil.example"}
    wish = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    async with running(database_url, CATALOGRAPH_CORS_ORIGINS="http://localhost:5173") as (client, _):
        preflight = await client.options("/graphql", headers=ours | wish)
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, ours["origin"])
        answer = await client.get(ASKED, headers=ours)
        assert answer.headers["access-control-allow-origin"] == ours["origin"]
        assert (await client.options("/graphql", headers=theirs | wish)).status_code == 400
        assert "access-control-allow-origin" not in (await client.get(ASKED, headers=theirs)).headers
    async with running(database_url) as (client, _):
        assert "access-control-allow-origin" not in (await client.get(ASKED, headers=ours)).headers


async def test_an_operation_that_takes_too_long_is_cancelled_down_to_postgres(database_url: str) -> None:
    admin = await asyncpg.connect(database_url)
    running_for = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with running(database_url, CATALOGRAPH_OPERATION_TIMEOUT="0.5") as (client, _):
        async with admin.transaction():
            await admin.execute("LOCK TABLE entity")
            answer = await client.get(ASKED)
            assert answer.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"
            async with asyncio.timeout(5):  # well under the 8 seconds after which Postgres would end it anyway
                while await admin.fetchval(running_for):
                    await asyncio.sleep(0.01)
        assert (await client.get(ASKED)).json() == {"data": {"entities": {"totalCount": 0}}, "extensions": {"cost": 2}}
    await admin.close()
