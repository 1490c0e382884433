"""A server that is told to stop while many use it."""

from __future__ import annotations

import asyncio
from functools import partial

import httpx2
import pytest

from tests.faults.world import FINE, GRACE, World, followed, until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("faults")]

CLIENTS = 20


async def test_nothing_that_was_accepted_is_dropped(patient: World) -> None:
    """The last of its server."""
    start = len(patient.served.lines())
    async with followed(patient.served, "stopping") as followers:
        asking = [asyncio.create_task(answered(patient)) for _ in range(CLIENTS)]
        async with patient.locked("entity"):
            slow = await patient.begun(patient.query(), patient.register("stopping"))
            await until(5, partial(patient.has_statements, 2))
            ending = asyncio.create_task(patient.served.end())
            await until(2, partial(is_closed, patient))
            assert [one.done() for one in slow] == [False, False]
        assert [await one for one in slow] == [FINE, FINE]
        code, seconds = await ending
        assert (code, seconds < GRACE) == (0, True)
        assert [follower.end for follower in followers] == [1012, "complete"]
        statuses = [line["status"] for line in patient.served.lines() if line.get("operation") == "Quick"]
        assert statuses == [200] * sum(await asyncio.gather(*asking))
        assert len(statuses) >= CLIENTS
        assert not patient.warned(start)


async def answered(world: World) -> int:
    """Ask again and again, until nobody takes a connection; how often there was an answer."""
    count = 0
    async with httpx2.AsyncClient(base_url=world.served.url, timeout=30, trust_env=False) as client:
        while True:
            try:
                answer = await client.post("/graphql", json={"query": "query Quick { __typename }"})
                assert answer.json()["data"] == {"__typename": "Query"}
                count += 1
            except httpx2.ConnectError:
                return count
            except httpx2.TransportError:  # an open connection that was closed before it was read again
                continue


async def is_closed(world: World) -> bool:
    """Whether the server takes no connection any more, which takes it off a load balancer, too."""
    try:
        await world.probe("/readyz")
    except httpx2.TransportError as error:
        return isinstance(error, httpx2.ConnectError)
    return False
