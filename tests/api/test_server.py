"""The server around the app: how its answers leave, and what it does to its process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterable
from typing import cast

import pytest

from api.server import _Pairing

pytestmark = pytest.mark.anyio


class Wire:
    """A transport that notes what is written, packet by packet."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.packets.append(data)

    def writelines(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


@pytest.fixture
def wire() -> Wire:
    return Wire()


def pairing(wire: Wire) -> _Pairing:
    return _Pairing(cast("asyncio.Transport", wire), asyncio.get_running_loop(), patience=30)


async def test_a_head_and_its_body_are_one_packet(wire: Wire) -> None:
    transport = pairing(wire)
    for head, body in ((b"head", b" body"), (b"second", b" answer")):
        transport.write(head)
        transport.write(body)
    assert wire.packets == [b"head body", b"second answer"]


async def test_a_head_without_a_body_does_not_wait_for_the_next_answer(wire: Wire) -> None:
    pairing(wire).write(b"head")
    assert wire.packets == []
    await asyncio.sleep(0)
    assert wire.packets == [b"head"]


async def test_what_was_written_leaves_before_the_connection_is_closed(wire: Wire) -> None:
    transport = pairing(wire)
    transport.write(b"farewell")
    transport.close()
    await asyncio.sleep(0)
    assert (wire.packets, wire.closed, transport.is_closing()) == ([b"farewell"], True, True)


async def test_nothing_is_written_to_a_client_that_has_gone(wire: Wire) -> None:
    pairing(wire).write(b"head")
    wire.close()
    await asyncio.sleep(0)
    assert wire.packets == []


async def test_all_else_is_asked_of_the_transport_itself(wire: Wire) -> None:
    assert pairing(wire).get_extra_info("peername") == "the peername"


STARTED = """
import asyncio, gc
from starlette.applications import Starlette
from api.server import _Server, listen, uvicorn_config
from api.settings import Settings

async def start():
    config = uvicorn_config(Starlette(), settings)
    config.load()
    server = _Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([listener.socket])
    print(gc.get_threshold(), gc.get_freeze_count() > 10_000)
    await server.shutdown([listener.socket])

settings = Settings(port=0)
listener = listen(settings, insecure=False)
asyncio.run(start())
"""


def test_the_collector_leaves_alone_what_was_made_at_the_start() -> None:
    ended = subprocess.run([sys.executable, "-c", STARTED], check=True, capture_output=True, text=True)
    assert ended.stdout == "(50000, 20, 50) True\n"
