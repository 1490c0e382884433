"""Hostile websockets: each has its exact answer, keeps nobody waiting and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.frames import Close, Frame, Opcode

from tests.api.hostile.conftest import Hostile
from tests.api.hostile.socket_cases import (
    CASES,
    HANDSHAKES,
    INIT,
    PING,
    PONG,
    PROTOCOL,
    Handshake,
    Message,
    SocketCase,
)
from tests.api.hostile.wire import Wire, framed

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("hostile")]

UPGRADE = (
    "GET /graphql HTTP/1.1",
    "Host: catalog",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case."""

    heard: list[Message]
    closed: tuple[int | None, str] | None
    stall: float  # seconds
    is_well: bool


@dataclass(frozen=True, slots=True)
class Played:
    """What came of all cases, by name."""

    outcomes: dict[str, Outcome]
    grown: int  # bytes of memory


@pytest.fixture(scope="module")
async def played(hostile: Hostile) -> Played:
    """All cases, played once."""
    assert await hostile.is_well()
    before = (await hostile.meter()).resident
    outcomes = {case.name: await outcome(hostile, case) for case in CASES}
    return Played(outcomes, (await hostile.meter()).resident - before)


async def outcome(hostile: Hostile, case: SocketCase) -> Outcome:
    """Play one case on a socket of its own."""
    async with hostile.address.connected() as wire:
        await opened(wire, PROTOCOL)
        if case.is_greeted:
            await wire.say(INIT)
            assert read(await wire.frame()) == {"type": "connection_ack"}
        await wire.say(case.sent)
        heard, closed = await what_follows(wire, len(case.heard), stays=case.closed is None)
    stall = (await hostile.meter()).stall
    return Outcome(heard, closed, stall, await hostile.is_well())


async def opened(wire: Wire, *headers: str) -> int:
    """The status of a handshake."""
    return (await wire.answers("\r\n".join((*UPGRADE, *headers, "\r\n")).encode())).status


async def what_follows(wire: Wire, expected: int, *, stays: bool) -> tuple[list[Message], Any]:
    """All that is said until the socket is closed; of one that stays open, until it has answered one ping more."""
    heard: list[Message] = []
    is_asked = False
    while True:
        if stays and len(heard) == expected and not is_asked:
            await wire.say(PING)
            is_asked = True
        frame = await wire.frame()
        if frame.opcode is Opcode.CLOSE:
            return heard, end(frame)
        heard.append(read(frame))
        if is_asked and heard[-1] == PONG:
            return heard[:-1], None


def read(frame: Frame) -> Message:
    """A message, or what a pong of the websocket itself carries."""
    data = bytes(frame.data).decode()
    if frame.opcode is Opcode.PONG:
        return {"pong": data}
    assert frame.opcode is Opcode.TEXT
    message: Message = json.loads(data)
    return message


def end(frame: Frame) -> tuple[int | None, str]:
    if not frame.data:
        return None, ""
    close = Close.parse(bytes(frame.data))
    return int(close.code), close.reason


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_it_is_answered(played: Played, case: SocketCase) -> None:
    found = played.outcomes[case.name]
    assert found.closed == case.closed
    assert in_any_order(found.heard) == in_any_order(case.heard)
    assert found.stall < 0.1
    assert found.is_well


def in_any_order(messages: Any) -> list[Message]:
    """Operations take turns as they like, each in its own order."""
    return sorted(messages, key=lambda message: str(message.get("id")))


@pytest.mark.parametrize("handshake", HANDSHAKES, ids=lambda handshake: handshake.name)
async def test_a_hostile_handshake_opens_nothing(hostile: Hostile, handshake: Handshake) -> None:
    async with hostile.address.connected() as wire:
        assert await opened(wire, *handshake.headers) == handshake.status
        if handshake.closed:
            assert end(await wire.frame()) == handshake.closed
    assert await hostile.is_well()


async def test_pings_of_a_client_that_never_reads_are_not_kept(hostile: Hostile) -> None:
    before = (await hostile.meter()).resident
    async with hostile.address.connected() as wire:
        await opened(wire, PROTOCOL)
        wire.reader._transport.pause_reading()  # type: ignore[attr-defined]
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await wire.say(framed(Opcode.PING, b"x" * 125) * 400_000)
        meter = await hostile.meter()
    assert meter.resident - before < 10_000_000
    assert meter.stall < 0.1


async def test_the_whole_table_leaves_little_behind(played: Played) -> None:
    assert played.grown < 20_000_000


@pytest.mark.usefixtures("played")
async def test_nothing_of_it_is_a_fault_of_ours(hostile: Hostile) -> None:
    assert hostile.faults() == []


def test_each_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 90
