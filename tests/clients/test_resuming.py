"""graphql-ws loses its server, finds it again by itself, and has missed nothing."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest

from api.app import create_app
from api.settings import Settings
from schema.build import create_schema
from tests.api.streams import running
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
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(graph["GRAPH_URL"], json=body, headers=headers)
    assert answer.json()["data"] == {"entityRegister": {"entityRef": f"component:{NAMESPACE}/{name}"}}


async def test_nothing_is_lost_while_the_server_is_away(
    workshop: Workshop, company_url: str, graph: dict[str, str]
) -> None:
    schema = create_schema()
    environ = {"DATABASE_URL": company_url, "CATALOGRAPH_ANONYMOUS_SCOPES": "none", "CATALOGRAPH_PORT": "0"}
    settings = Settings.from_environ(environ)
    async with AsyncExitStack() as stack:
        async with running(create_app(settings, schema=schema), settings) as first:
            url = f"http://{first.address}/graphql"
            said = await stack.enter_async_context(following(workshop, **graph | {"GRAPH_URL": url}))
            assert await anext(said) == ["SYNCED", None]
            await register(graph, "cut")  # the script cuts its socket when it hears of this
            assert await anext(said) == ["CREATED", "cut"]
            await register(graph, "after-the-cut")
            assert await anext(said) == ["CREATED", "after-the-cut"]
        await register(graph, "while-it-was-away")
        settings = settings.model_copy(update={"port": int(first.address.partition(":")[2])})
        async with running(create_app(settings, schema=schema), settings):
            await register(graph, "last")
            assert [line async for line in said] == [["CREATED", "while-it-was-away"], ["CREATED", "last"]]
