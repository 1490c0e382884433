"""How much a caller may ask for in an hour: who pays, how much, until when, and what other processes make of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import pytest
import strawberry
import structlog
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

import api.rate
from api.app import create_app
from api.rate import HOUR, RateLimit, share
from api.settings import Settings, SettingsError
from db import spending
from db.engine import create_engine
from db.spending import Spent, Total
from schema.build import create_schema
from schema.caller import Caller
from schema.errors import RateLimited
from tests.api.streams import running
from tests.postgres import connected

pytestmark = pytest.mark.anyio

ADA, BOB = Caller("token:ada"), Caller("oidc:bob@example.com")
LIMIT = 100


class Clock:
    """Seconds, which pass when a test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Ledger:
    """What the database keeps, without one; its clock is the processes' own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hours: dict[str, tuple[float, int]] = {}
        self.told: list[Sequence[Spent]] = []
        self.away = False

    async def add(self, spent: Sequence[Spent]) -> Mapping[str, Total]:
        self.told.append(spent)
        if self.away:
            raise ConnectionError("no route")
        for identity, age, points in spent:
            began, before = self._hours.get(identity, (-HOUR, 0))
            if began + HOUR <= self._clock():
                began, before = self._clock() - age, 0
            self._hours[identity] = began, before + points
        return {
            identity: Total(self._hours[identity][1], self._hours[identity][0] + HOUR - self._clock())
            for identity, _, _ in spent
        }


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(clock)


def left(rate: RateLimit, caller: Caller = ADA) -> int | None:
    """The points that the headers tell."""
    told = dict(rate.headers(caller)).get(b"ratelimit")
    return int(told.split(b"r=")[1].split(b";")[0]) if told else None


def refusal(rate: RateLimit, caller: Caller = ADA, cost: int = 1) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        rate.admit(caller, cost)
    return caught.value


# One process


@pytest.mark.parametrize(
    ("cost", "points"), [(0, 1), (1, 1), (100, 1), (101, 2), (200, 2), (223, 3), (9_901, 100), (10_000, 100)]
)
def test_each_started_hundred_of_cost_is_a_point_and_nothing_is_free(clock: Clock, cost: int, points: int) -> None:
    rate = RateLimit(LIMIT, clock=clock)
    rate.admit(ADA, cost)
    assert left(rate) == LIMIT - points


def test_the_last_point_can_be_spent_and_no_other(clock: Clock) -> None:
    rate = RateLimit(LIMIT, clock=clock)
    rate.admit(ADA, 9_800)
    clock.now += 100.5
    error = refusal(rate, cost=300)
    assert error.message == (
        "This operation takes 3 of the caller's points, and of 100 an hour 2 are left; the next hour begins in 3500 seconds"
    )
    assert (error.status, error.status_in_json, error.formatted["extensions"]) == (
        429, True, {"code": "RATE_LIMITED", "retryAfter": 3500}
    )  # fmt: skip
    assert error.headers == {
        "retry-after": "3500",
        "ratelimit-policy": '"hour";q=100;w=3600',
        "ratelimit": '"hour";r=2;t=3500',
    }
    rate.admit(ADA, 200)  # what was refused has cost nothing
    assert refusal(rate).retry_after == 3500


def test_an_hour_begins_with_the_first_operation_and_ends_to_the_second(clock: Clock) -> None:
    rate = RateLimit(LIMIT, clock=clock)
    clock.now += 5000
    rate.admit(ADA, 5_000)
    clock.now += 1800
    rate.admit(ADA, 5_000)
    clock.now += 1799
    assert refusal(rate).retry_after == 1
    clock.now += 1
    rate.admit(ADA, 100)
    assert left(rate) == 99


def test_callers_do_not_spend_for_each_other(clock: Clock) -> None:
    rate = RateLimit(LIMIT, clock=clock)
    rate.admit(ADA, 10_000)
    rate.admit(BOB, 100)
    here, there = (Caller("anonymous", address=address) for address in ("192.0.2.1", "192.0.2.2"))
    rate.admit(here, 10_000)
    rate.admit(there, 100)
    assert [left(rate, caller) for caller in (ADA, BOB, here, there)] == [0, 99, 0, 99]
    neighbours = [Caller("anonymous", address=f"2001:db8:0:1::{host}") for host in (1, 2)]
    for caller in neighbours:
        rate.admit(caller, 100)
    assert [left(rate, caller) for caller in neighbours] == [98, 98]  # one customer has them all


def test_without_a_limit_nothing_is_counted(clock: Clock) -> None:
    rate = RateLimit(0, clock=clock)
    for _ in range(3):
        rate.admit(ADA, 1_000_000)
    assert rate.headers(ADA) == ()


def test_quiet_callers_are_forgotten(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    rate = RateLimit(LIMIT, clock=clock)
    for number in range(50):
        rate.admit(Caller(f"old {number}"), 100)
    clock.now += HOUR
    for number in range(50):
        rate.admit(Caller(f"new {number}"), 100)
    assert list(rate._hours) == [f"new {number}" for number in range(50)]
    monkeypatch.setattr(api.rate, "MOST_KEPT", 50)
    rate.admit(Caller("new 0"), 100)  # not quiet
    rate.admit(ADA, 100)
    assert list(rate._hours) == [*(f"new {number}" for number in range(2, 50)), "new 0", "token:ada"]


@pytest.mark.parametrize("subject", ["token:" + "x" * 10_000, "a\0b", "\ud800"])
async def test_a_name_that_postgres_does_not_take_is_counted_too(database_url: str, subject: str) -> None:
    engine = create_engine(database_url)
    rate = RateLimit(LIMIT)
    rate.admit(Caller(subject), 100)
    await rate.settle(lambda spent: spending.add(engine, spent))
    assert left(rate, Caller(subject)) == 99
    await engine.dispose()


# Several processes


async def test_processes_learn_what_was_spent_elsewhere(clock: Clock, ledger: Ledger) -> None:
    one, other = RateLimit(LIMIT, clock=clock), RateLimit(LIMIT, clock=clock)
    one.admit(ADA, 6_000)
    await one.settle(ledger.add)
    clock.now += 10
    other.admit(ADA, 3_900)  # it does not know yet
    assert left(other) == 61
    await other.settle(ledger.add)
    assert dict(other.headers(ADA))[b"ratelimit"] == b'"hour";r=1;t=3590'  # of the hour that began there
    refusal(other, cost=101)
    assert left(one) == 40
    one.admit(ADA, 100)
    await one.settle(ledger.add)
    assert left(one) == 0


async def test_a_caller_of_two_processes_gets_at_most_what_they_let_through_unknowing(
    clock: Clock, ledger: Ledger
) -> None:
    processes = [RateLimit(5000, clock=clock) for _ in range(2)]
    got = 0
    for _ in range(10_000):
        for rate in processes:
            try:
                rate.admit(ADA, 100)
            except RateLimited:
                continue
            got += 1
            if rate.due.is_set():  # a twentieth
                await rate.settle(ledger.add)
    assert got == 5000 + 250


async def test_what_is_spent_while_a_statement_runs_is_told_by_the_next(clock: Clock, ledger: Ledger) -> None:
    rate = RateLimit(LIMIT, clock=clock)

    async def slowly(spent: Sequence[Spent]) -> Mapping[str, Total]:
        totals = await ledger.add(spent)
        rate.admit(ADA, 200)
        return totals

    rate.admit(ADA, 100)
    await rate.settle(slowly)
    assert left(rate) == 97
    clock.now += 30
    await rate.settle(ledger.add)
    await rate.settle(ledger.add)  # nothing to tell
    assert ledger.told == [[Spent("token:ada", 0, 1)], [Spent("token:ada", 30, 2)]]
    assert left(rate) == 97


async def test_without_the_database_each_process_counts_and_tells_it_later(clock: Clock, ledger: Ledger) -> None:
    rate = RateLimit(LIMIT, clock=clock)
    ledger.away = True
    for _ in range(3):
        rate.admit(ADA, 2_000)
        with pytest.raises(ConnectionError):
            await rate.settle(ledger.add)
    assert left(rate) == 40
    ledger.away = False
    await rate.settle(ledger.add)
    assert [[each.points for each in spent] for spent in ledger.told] == [[20], [40], [60], [60]]
    assert left(rate) == 40


async def test_what_was_not_told_by_the_end_of_its_hour_is_of_no_interest(clock: Clock, ledger: Ledger) -> None:
    rate = RateLimit(LIMIT, clock=clock)
    ledger.away = True
    rate.admit(ADA, 2_000)
    rate.admit(BOB, 2_000)
    with pytest.raises(ConnectionError):
        await rate.settle(ledger.add)
    ledger.away = False
    clock.now += HOUR
    rate.admit(ADA, 100)
    await rate.settle(ledger.add)
    clock.now += HOUR - 1
    rate.admit(BOB, 100)
    rate.admit(ADA, 100)
    clock.now += 1
    await rate.settle(ledger.add)
    assert ledger.told[1:] == [[Spent("token:ada", 0, 1)], [Spent(BOB.subject, 1, 1)]]


async def test_the_database_decides_when_an_hour_ends(clock: Clock, ledger: Ledger) -> None:
    one = RateLimit(LIMIT, clock=clock)
    other = RateLimit(LIMIT, clock=Clock(now=-7.0))  # which begins elsewhere
    one.admit(ADA, 100)
    await one.settle(ledger.add)
    clock.now += 3000
    other.admit(ADA, 100)
    await other.settle(ledger.add)
    assert dict(other.headers(ADA))[b"ratelimit"] == b'"hour";r=98;t=600'


# With a database


@asynccontextmanager
async def sharing(rate: RateLimit, url: str) -> AsyncIterator[asyncio.Task[None]]:
    """As a process does; it ends in order."""
    engine = create_engine(url, pool_timeout=0.2, connect_timeout=0.5)
    task = asyncio.create_task(share(rate, engine))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        await engine.dispose()


async def until_left(rate: RateLimit, points: int) -> None:
    async with asyncio.timeout(10):
        while left(rate) != points:
            await asyncio.sleep(0.01)


async def test_who_spends_much_is_told_of_at_once(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.rate, "_EVERY", 1000)
    one, other = RateLimit(LIMIT), RateLimit(LIMIT)
    async with sharing(one, database_url), sharing(other, database_url):
        one.admit(ADA, 500)
        async with asyncio.timeout(5):
            while one._untold:
                await asyncio.sleep(0.01)
        other.admit(ADA, 500)
        await until_left(other, 90)


async def test_an_orderly_end_tells_the_last(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.rate, "_EVERY", 1000)
    rate = RateLimit(LIMIT)
    async with sharing(rate, database_url):
        await asyncio.sleep(0)
        rate.admit(ADA, 100)
    engine = create_engine(database_url)
    assert (await spending.add(engine, [Spent("token:ada", 0, 1)]))["token:ada"].points == 2
    await engine.dispose()


async def test_a_database_that_is_away_stops_nothing_and_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.rate, "_EVERY", 0.01)
    rate = RateLimit(LIMIT)
    with structlog.testing.capture_logs() as log:
        async with sharing(rate, "postgresql://127.0.0.1:1/nowhere") as task:
            for _ in range(20):
                rate.admit(ADA, 100)
                await asyncio.sleep(0.01)
            assert not task.done()
    assert left(rate) == 80
    assert [line["event"] for line in log] == ["callers are counted by this process alone"]


# Asked by clients

QUERY = "{ __typename }"


def settings_of(url: str, **given: Any) -> Settings:
    return Settings.model_validate(
        {"database_url": url, "port": 0, "anonymous_scopes": "catalog:read", "rate_limit": 3, "cost_limit": 300} | given
    )


@pytest.fixture(scope="module")
def schema() -> strawberry.Schema:
    return create_schema()


Serve = Callable[[Settings], AbstractAsyncContextManager[httpx2.AsyncClient]]


@pytest.fixture
def client_of(schema: strawberry.Schema) -> Serve:
    @asynccontextmanager
    async def client_of(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
        async with (
            running(create_app(settings, schema=schema), settings) as serving,
            httpx2.AsyncClient(base_url=f"http://{serving.address}") as client,
        ):
            yield client

    return client_of


async def ask(client: httpx2.AsyncClient, accept: str = "application/json", query: str = QUERY) -> httpx2.Response:
    return await client.post("/graphql", json={"query": query}, headers={"accept": accept})


async def test_a_client_is_told_what_is_left_and_then_429_however_it_asks(client_of: Serve, database_url: str) -> None:
    async with client_of(settings_of(database_url)) as client:
        for _ in range(5):  # what is refused before it runs is free
            assert (await ask(client, query="{ nowhere }")).json()["errors"]
        answers = [await ask(client) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert [answer.headers["ratelimit"].split(";t=")[0] for answer in answers] == [
            '"hour";r=2', '"hour";r=1', '"hour";r=0'
        ]  # fmt: skip
        for accept in ("application/json", "application/graphql-response+json"):
            answer = await ask(client, accept)
            assert answer.status_code == 429
            (error,) = answer.json()["errors"]
            assert error["extensions"]["code"] == "RATE_LIMITED"
            assert 3590 <= int(answer.headers["retry-after"]) <= 3600
            assert answer.headers["ratelimit-policy"] == '"hour";q=3;w=3600'
        stream = await ask(client, "text/event-stream", "subscription { entityChanges { __typename } }")
        assert "RATE_LIMITED" in stream.text
        address = f"ws://{client.base_url.netloc.decode()}/graphql"
        async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            await socket.send('{"type":"connection_init"}')
            await socket.recv()
            await socket.send('{"type":"subscribe","id":"1","payload":{"query":"{ __typename }"}}')
            told = str(await socket.recv())
            assert '"type":"error"' in told
            assert "RATE_LIMITED" in told
        assert (await client.get("/healthz")).status_code == 200


async def test_two_servers_on_one_database_count_together(client_of: Serve, database_url: str) -> None:
    settings = settings_of(database_url, rate_limit=19)
    async with client_of(settings) as one, client_of(settings) as other, connected(database_url) as database:

        async def until_told(points: int) -> None:
            async with asyncio.timeout(10):
                while await database.fetchval("SELECT sum(points) FROM spending") != points:
                    await asyncio.sleep(0.01)

        for _ in range(15):
            assert (await ask(one)).status_code == 200
        await until_told(15)
        for points in (16, 17):  # once it tells the second it has learnt of all before the first
            assert (await ask(other)).status_code == 200
            await until_told(points)
        assert [(await ask(other)).status_code for _ in range(3)] == [200, 200, 429]


async def test_nobody_is_limited_where_nobody_is_asked_and_only_this_machine_is_there(
    client_of: Serve, database_url: str
) -> None:
    settings = settings_of(database_url, anonymous_scopes=None)
    async with client_of(settings) as client:
        answers = [await ask(client) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit" not in answers[0].headers


# The setting


@pytest.mark.parametrize(("given", "limit"), [("off", 0), ("0", 0), ("500", 500), (None, 5000)])
def test_the_limit_can_be_switched_off(given: str | None, limit: int) -> None:
    settings = Settings.from_environ({"CATALOGRAPH_RATE_LIMIT": given} if given else {})
    assert settings.rate_limit == limit


def test_an_hour_is_enough_for_the_dearest_operation() -> None:
    with pytest.raises(
        SettingsError, match=r"^CATALOGRAPH_RATE_LIMIT must be at least 500, or off: so many points one "
    ):
        Settings.from_environ({"CATALOGRAPH_RATE_LIMIT": "499"})
    Settings.from_environ({"CATALOGRAPH_RATE_LIMIT": "3", "CATALOGRAPH_COST_LIMIT": "300"})
