"""Whether the process lives, and whether it can answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from db.engine import failure_of

if TYPE_CHECKING:
    from api.app import State

_PATIENCE = 2.0  # seconds for the database to answer; a probe commonly waits for few more


def health_routes() -> list[Route]:
    """`/healthz` is 200 as long as the process runs; `/readyz` is 200 when it can answer, else 503 and says why."""
    return [Route("/healthz", alive, methods=["GET"]), Route("/readyz", ready, methods=["GET"])]


async def alive(_request: Request) -> JSONResponse:
    """The process runs. Restarting it would not bring a lost database back, so that is not asked here."""
    return _answer(200, {"status": "ok"})


async def ready(request: Request[State]) -> JSONResponse:
    """The database answers, its tables are there, and the process is not about to end."""
    if request.state["stopping"].is_set():
        return _answer(503, {"status": "stopping"})
    if not request.state["started"].is_set():
        return _answer(503, {"status": "unavailable", "database": "not reached yet"})
    problem = await _database_problem(request.state["engine"])
    if problem:
        return _answer(503, {"status": "unavailable", "database": problem})
    return _answer(200, {"status": "ok", "database": "ok"})


async def _database_problem(engine: AsyncEngine) -> str | None:
    try:
        async with asyncio.timeout(_PATIENCE), engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except TimeoutError:
        return "slow"
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is no; its text may hold an address
        return failure_of(error) or "failing"
    return None


def _answer(status: int, body: Mapping[str, str]) -> JSONResponse:
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})
