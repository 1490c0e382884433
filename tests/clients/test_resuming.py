"""graphql-ws loses its server, finds it again by itself, and has missed nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest

from tests.clients.running import Serve, url_of
from tests.clients.workshop import Workshop

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("clients"), pytest.mark.timeout(300)]

NAMESPACE = "resuming"
REGISTER = "mutation ($input: EntityRegisterInput!) { entityRegister(input: $input) { entityRef } }"


@asynccontextmanager
async def following(workshop: Workshop, **environ: str) -> AsyncIterator[AsyncIterator[Any]]:
    """What the script says, line by line."""
    process = await asyncio.create_subprocess_exec(
        *(workshop.node, "graphql_ws_resume.mjs"),
        cwd=workshop.folder,
        env={**os.environ, **environ, "GRAPH_NAMESPACE": NAMESPACE},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        yield (json.loads(line) async for line in process.stdout)
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def register(graph: dict[str, str], name: str) -> None:
    entity = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"type": "tool", "lifecycle": "experimental", "owner": "nobody"},
    }
    body = {"query": REGISTER, "variables": {"input": {"entity": entity}}}
    headers = {"Authorization": f"Bearer {graph['GRAPH_TOKEN']}"}
    async with httpx2.AsyncClient() as client:
        answer = await client.post(graph["GRAPH_URL"], json=body, headers=headers)
    assert answer.json()["data"] == {"entityRegister": {"entityRef": f"component:{NAMESPACE}/{name}"}}


async def test_nothing_is_lost_while_the_server_is_away(
    workshop: Workshop, serve: Serve, graph: dict[str, str]
) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(100):
        async with serve(0) as first:
            said = await stack.enter_async_context(following(workshop, **graph | {"GRAPH_URL": url_of(first)}))
            assert await anext(said) == ["SYNCED", None]
            await register(graph, "before")
            assert await anext(said) == ["CREATED", "before"]
        await register(graph, "while-it-was-stopped")
        async with serve(first.port) as second:
            assert await anext(said) == ["CREATED", "while-it-was-stopped"]
            os.kill(second.pid, signal.SIGKILL)
        await register(graph, "while-it-was-dead")
        async with serve(first.port):
            await register(graph, "last")
            assert [line async for line in said] == [["CREATED", "while-it-was-dead"], ["CREATED", "last"]]
