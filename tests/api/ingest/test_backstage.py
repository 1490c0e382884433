"""A running Backstage as a source: the mirror is what upstream is, whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from api.ingest.backstage import BackstageSource
from api.ingest.errors import SourceError
from api.ingest.mirror import Mirror
from api.ingest.run import RemovalsHeldError, Report, ingest
from api.ingest.web import Host
from db.rules.allowed import AllowedKinds
from db.runs import DIED
from db.staging import Known
from tests.backstage import Answer, Backstage, Entity, Request, entity, ref_of
from tests.ingesting import Catalog, Tree, component

pytestmark = pytest.mark.anyio

CORE = "group:default/core"
ADDED_UPSTREAM = {"uid", "etag"}
RUNS = "SELECT finished_at IS NOT NULL, error FROM source_run ORDER BY id"
STATE = "SELECT state FROM source"


@pytest.fixture
def backstage() -> Iterator[Backstage]:
    """A Backstage with the group that owns what the tests declare."""
    backstage = Backstage()
    backstage.put(entity("core", "Group"))
    with backstage.serving():
        yield backstage


def source(backstage: Backstage, **options: Any) -> BackstageSource:
    """The mirror of a Backstage."""
    host = Host(backstage.url.removeprefix("http://"), private=True)
    return BackstageSource(**{"name": "up", "type": "backstage", "url": backstage.url, "hosts": (host,), **options})


async def mirror(catalog: Catalog, backstage: Backstage, *, allow_removals: bool = False, **options: Any) -> Report:
    """A run of the mirror."""
    return await ingest(catalog.engine, source(backstage, **options), allow_removals=allow_removals)


async def failure(catalog: Catalog, backstage: Backstage, **options: Any) -> str:
    """The error of a run that fails, which is also recorded."""
    with pytest.raises(SourceError) as raised:
        await mirror(catalog, backstage, **options)
    recorded = "SELECT error FROM source_run ORDER BY id DESC LIMIT 1"
    assert await catalog.rows(recorded) == [str(raised.value)]
    assert await catalog.rows(STATE) == ["FAILED"]
    return str(raised.value).replace(backstage.url, "UP")


async def assert_exact(catalog: Catalog, backstage: Backstage) -> None:
    """The catalog has what upstream has: refs, metadata, spec and relations."""
    held = await catalog.rows(
        "SELECT e.ref, e.api_version, e.kind, d.metadata, d.spec FROM entity e JOIN document d ON d.entity_id = e.id"
    )
    assert {ref: rest for ref, *rest in held} == {
        ref_of(each): [each["apiVersion"], each["kind"], _declared(each["metadata"]), each["spec"]]
        for each in backstage.entities()
    }
    assert set(await relations(catalog)) == {
        (ref_of(each), said["type"], said["targetRef"]) for each in backstage.entities() for said in each["relations"]
    }


def _declared(metadata: Entity) -> Entity:
    return {key: value for key, value in metadata.items() if key not in ADDED_UPSTREAM}


async def relations(catalog: Catalog) -> list[tuple[str, str, str]]:
    """All relations of what is in the catalog."""
    return await catalog.rows(
        "SELECT DISTINCT e.ref, r.type, t.ref FROM relation r JOIN entity e ON e.id = r.source_id"
        " JOIN ref t ON t.id = r.target_id ORDER BY 1, 2, 3"
    )


async def problems(catalog: Catalog) -> list[tuple[str, str]]:
    """Rule and place of each problem."""
    return await catalog.rows("SELECT rule, location FROM problem ORDER BY location, rule")


def company(entities: int) -> list[Entity]:
    """Components that depend on each other, all with a text of their own."""
    return [
        entity(f"c{n}", description=f"Number {n}.", spec={"dependsOn": [f"component:c{(n * 7 + 1) % entities}"]})
        for n in range(entities)
    ]


def counted(report: Report) -> tuple[int, int, int, int]:
    """Added, changed, removed and unchanged."""
    counts = report.counts
    return counts.added, counts.changed, counts.removed, counts.unchanged


# What a mirror is


async def test_a_mirror_is_what_upstream_is(catalog: Catalog, backstage: Backstage) -> None:
    backstage.put(
        entity("ann", "User", spec={"memberOf": ["core"]}),
        entity("sub", "Group", spec={"parent": "core", "members": ["user:ann"]}),
        entity("shop", "Domain", spec={"owner": "core"}),
        entity("web", "System", spec={"owner": "core", "domain": "shop"}),
        entity(
            "api", "API", spec={"type": "grpc", "lifecycle": "x", "owner": "user:ann", "definition": "\u2028\x7f😀"}
        ),
        entity("DB", "Resource", spec={"type": "database", "owner": CORE}, namespace="data", labels={"a/b": ""}),
        entity(
            "Web",
            title="The web",
            tags=["a"],
            annotations={"example.com/on": "yes"},
            spec={
                "system": "web",
                "dependsOn": ["resource:data/db", "component:gone"],
                "dependencyOf": ["component:web"],
                "providesApis": ["api"],
                "x": {"$text": "./left.alone"},
            },
        ),
        {
            **entity("thing", "Robot", spec={"keeper": "user:ann", "n": [1, 1.5, None, True]}),
            "apiVersion": "acme.io/v1",
        },
    )

    report = await mirror(catalog, backstage)

    assert (report.counts.documents, report.counts.entities, counted(report)) == (9, 9, (9, 0, 0, 0))
    await assert_exact(catalog, backstage)
    assert await problems(catalog) == [("dangling-reference", "component:default/web")]
    assert await catalog.rows("SELECT DISTINCT location = ref, document, line, commit FROM entity") == [
        (True, 1, 1, None)
    ]
    assert await catalog.rows("SELECT type, state, trusted FROM source") == [("backstage", "IDLE", True)]


@pytest.mark.parametrize("end", ["", "/", "/api/catalog", "/api/catalog/"])
async def test_the_url_may_be_of_the_backstage_or_of_its_catalog(
    catalog: Catalog, backstage: Backstage, end: str
) -> None:
    await mirror(catalog, backstage, url=backstage.url + end)
    assert await catalog.refs() == [CORE]


async def test_a_run_without_changes_costs_the_pages_of_the_listing(catalog: Catalog, backstage: Backstage) -> None:
    backstage.put(*company(25))
    backstage.page_limit = 10
    await mirror(catalog, backstage)
    backstage.forget()

    report = await mirror(catalog, backstage)

    assert [request.path for request in backstage.requests] == ["/entities/by-query"] * 3
    assert (counted(report), report.counts.documents) == ((0, 0, 0, 26), 26)
    assert len(await catalog.changes()) == 26


async def test_only_what_has_another_etag_is_fetched_again(catalog: Catalog, backstage: Backstage) -> None:
    backstage.put(*company(25))
    await mirror(catalog, backstage)
    backstage.forget()
    backstage.put(entity("c3", description="Changed.", spec={"dependsOn": ["component:c22"]}), entity("new"))
    backstage.remove("component:default/c9")

    report = await mirror(catalog, backstage)

    assert counted(report) == (1, 1, 1, 24)
    assert sorted(backstage.fetched.items()) == [
        ("component:default/c14", 1),  # on which c9 depended
        ("component:default/c3", 1),
        ("component:default/new", 1),
        (CORE, 1),  # which owned c9
    ]
    await assert_exact(catalog, backstage)


async def test_a_full_run_fetches_everything_anew(catalog: Catalog, backstage: Backstage) -> None:
    backstage.put(*company(25))
    await mirror(catalog, backstage)
    backstage.forget()

    report = await mirror(catalog, backstage, full=True)

    assert (sum(backstage.fetched.values()), counted(report)) == (26, (0, 0, 0, 26))


# Stopped half way


HALF = 13  # the request for entities at which runs are stopped: two batches of 1,000 are in the catalog by then


@dataclass
class Barrier:
    """Holds an answer back until a test lets it go."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    async def until_reached(self) -> None:
        """Wait for the request."""
        assert await asyncio.to_thread(self.reached.wait, 60)


@contextmanager
def held_at(backstage: Backstage, number: int) -> Iterator[Barrier]:
    """The answer to the request for entities of this number waits; all are answered when the block ends."""
    barrier = Barrier()

    def instead(_request: Request) -> None:
        if backstage.count("by-refs") == number:
            barrier.reached.set()
            barrier.opened.wait(60)

    backstage.instead = instead
    try:
        yield barrier
    finally:
        backstage.instead = lambda _request: None
        barrier.opened.set()


async def cancelled(catalog: Catalog, backstage: Backstage, _database_url: str) -> str:
    """A run whose process is told to stop."""
    with held_at(backstage, HALF) as barrier:
        run = asyncio.create_task(mirror(catalog, backstage))
        await barrier.until_reached()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    return "It was interrupted. What it had fetched until then is kept: 2,000 new or changed entities."


async def upstream_dies(catalog: Catalog, backstage: Backstage, _database_url: str) -> str:
    """A run whose upstream breaks."""
    broken = Answer(500)
    backstage.instead = lambda _request: broken if backstage.count("by-refs") >= HALF else None
    with pytest.raises(SourceError):
        await mirror(catalog, backstage)
    backstage.instead = lambda _request: None
    return (
        f"{backstage.url}/api/catalog/entities/by-refs: it answers 500"
        " What it had fetched until then is kept: 2,000 new or changed entities."
    )


async def killed(_catalog: Catalog, backstage: Backstage, database_url: str) -> str:
    """A run whose process is killed."""
    with held_at(backstage, HALF) as barrier:
        process = _started(database_url, backstage.url)
        await barrier.until_reached()
        process.kill()
        process.wait()
    return DIED


def _started(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _RUN, *arguments])


_RUN = """
import asyncio, sys
from api.ingest.backstage import BackstageSource
from api.ingest.run import ingest
from api.ingest.web import Host
from db.engine import create_engine
url, host = sys.argv[2], Host(sys.argv[2].removeprefix("http://"), private=True)
asyncio.run(ingest(create_engine(sys.argv[1]), BackstageSource(name="up", type="backstage", url=url, hosts=(host,))))
"""


@pytest.mark.parametrize("stop", [cancelled, upstream_dies, killed])
async def test_5000_entities_stopped_half_way_and_resumed_end_exact_and_none_that_was_there_is_fetched_twice(
    catalog: Catalog, database_url: str, backstage: Backstage, stop: Callable[[Catalog, Backstage, str], Awaitable[str]]
) -> None:
    backstage.put(*company(4_999))

    error = await stop(catalog, backstage, database_url)

    there = await catalog.refs()
    assert len(there) == 2_000
    report = await mirror(catalog, backstage)
    assert await catalog.rows(RUNS) == [(True, error), (True, None)]
    assert counted(report) == (3_000, 0, 0, 2_000)
    assert {backstage.fetched[ref] for ref in there} == {1}
    assert len(await catalog.changes()) == 5_000
    assert await problems(catalog) == []
    await assert_exact(catalog, backstage)


async def test_the_next_run_does_not_begin_while_one_is_between_two_batches(
    catalog: Catalog, backstage: Backstage
) -> None:
    backstage.put(*company(1_500))
    with held_at(backstage, 7) as barrier:
        first = asyncio.create_task(mirror(catalog, backstage))
        await barrier.until_reached()
        assert len(await catalog.refs()) == 1_000
        second = asyncio.create_task(mirror(catalog, backstage))
        await catalog.until_one_waits_for_a_lock()
        assert backstage.count("by-query") == 2
    assert [counted(await first), counted(await second)] == [(1_501, 0, 0, 0), (0, 0, 0, 1_501)]


# Mass removal


async def test_half_of_upstream_gone_is_held_until_somebody_allows_it(catalog: Catalog, backstage: Backstage) -> None:
    backstage.put(*company(99))
    await mirror(catalog, backstage)
    before = await catalog.refs()
    backstage.remove(*(f"component:default/c{n}" for n in range(50)))

    with pytest.raises(RemovalsHeldError, match="would remove 50 of the 100 entities of this source, so nothing was w"):
        await mirror(catalog, backstage)

    assert (await catalog.rows(STATE), await catalog.refs()) == (["HELD"], before)
    report = await mirror(catalog, backstage, allow_removals=True)
    assert counted(report)[2:] == (50, 50)
    assert await catalog.rows(STATE) == ["IDLE"]
    await assert_exact(catalog, backstage)


async def test_what_is_new_and_changed_is_kept_of_a_run_whose_removals_are_held(
    catalog: Catalog, backstage: Backstage
) -> None:
    backstage.put(*company(40))
    await mirror(catalog, backstage)
    backstage.remove(*(f"component:default/c{n}" for n in range(20)))
    backstage.put(*(entity(f"new{n}") for n in range(200)))

    with pytest.raises(RemovalsHeldError, match="would remove 20 of the 41 entities of this source, so nothing was r"):
        await mirror(catalog, backstage)

    assert len(await catalog.refs()) == 241
    assert counted(await mirror(catalog, backstage, allow_removals=True)) == (0, 0, 20, 221)
    await assert_exact(catalog, backstage)


@pytest.mark.parametrize("path", ["entities/by-query", None], ids=["its listing", "all of it"])
async def test_an_upstream_that_suddenly_shows_nothing_empties_no_catalog(
    catalog: Catalog, backstage: Backstage, path: str | None
) -> None:
    """A token that lost its permissions is answered like that: 200, and nothing in it."""
    backstage.put(*company(30))
    await mirror(catalog, backstage)
    before = await catalog.refs()

    def nothing(request: Request) -> Answer | None:
        if request.path == "/entities/by-query":
            return Answer(200, b'{"items": [], "totalItems": 0, "pageInfo": {}}')
        nulls = {"items": [None] * len(request.body["entityRefs"])}
        return Answer(200, json.dumps(nulls).encode()) if path is None else None

    backstage.instead = nothing
    if path is None:
        with pytest.raises(RemovalsHeldError):
            await mirror(catalog, backstage)
    else:
        assert counted(await mirror(catalog, backstage)) == (0, 0, 0, 31)
    assert await catalog.refs() == before


async def test_kinds_that_are_no_longer_allowed_go_only_with_leave(catalog: Catalog, backstage: Backstage) -> None:
    backstage.put(*company(30))
    await mirror(catalog, backstage)
    backstage.forget()
    groups = AllowedKinds.of(["group"])

    with pytest.raises(RemovalsHeldError):
        await mirror(catalog, backstage, kinds=groups)
    assert len(await catalog.refs()) == 31

    report = await mirror(catalog, backstage, kinds=groups, allow_removals=True)
    assert (report.counts.rejected, await catalog.refs()) == (30, [CORE])
    assert set(await problems(catalog)) == {("kind-not-allowed", f"component:default/c{n}") for n in range(30)}
    assert not backstage.fetched, "what is not allowed is not fetched"


# Upstream changes while it is read


async def test_an_entity_that_the_listing_missed_is_not_taken_for_gone(catalog: Catalog, backstage: Backstage) -> None:
    backstage.put(*company(29))
    backstage.page_limit = 10
    await mirror(catalog, backstage)
    passed = set(backstage.listed[:10])
    missed = backstage.listed[-1]

    def made_anew(request: Request) -> None:
        if request.number == 2:
            again = next(each for each in backstage.entities() if ref_of(each) == missed)
            while missed not in backstage.listed[:10]:
                backstage.remove(missed)
                backstage.put(again)

    backstage.forget()
    backstage.instead = made_anew
    report = await mirror(catalog, backstage)

    assert (missed in passed, backstage.fetched[missed]) == (False, 1)
    assert counted(report) == (0, 0, 0, 30)
    await assert_exact(catalog, backstage)


async def test_an_entity_that_is_listed_twice_counts_once(catalog: Catalog, backstage: Backstage) -> None:
    backstage.put(*company(29))
    backstage.page_limit = 10
    twice = backstage.listed[0]

    def made_anew(request: Request) -> None:
        if request.number == 2:
            again = next(each for each in backstage.entities() if ref_of(each) == twice)
            while twice in backstage.listed[:20]:
                backstage.remove(twice)
                backstage.put(again)

    backstage.instead = made_anew
    report = await mirror(catalog, backstage)

    assert (counted(report), backstage.fetched[twice]) == ((30, 0, 0, 0), 1)
    await assert_exact(catalog, backstage)


async def test_what_changes_between_listing_and_fetching_is_taken_as_it_is_fetched(
    catalog: Catalog, backstage: Backstage
) -> None:
    backstage.put(*company(10))
    await mirror(catalog, backstage)

    def changes(request: Request) -> None:
        if request.path == "/entities/by-refs":
            backstage.instead = lambda _request: None
            backstage.put(entity("c1", description="Twice."), entity("c3"))
            backstage.remove("component:default/c2")

    backstage.put(entity("c1", description="Once."), entity("c2", description="Once."))
    backstage.instead = changes
    assert counted(await mirror(catalog, backstage)) == (0, 1, 1, 9)
    assert counted(await mirror(catalog, backstage)) == (0, 1, 0, 9)
    await assert_exact(catalog, backstage)


# Upstream fails


async def test_an_upstream_that_is_down_is_said_and_costs_nothing(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.ingest.backstage.PAUSES", (0.0,))
    backstage = Backstage()
    backstage.put(*company(5))
    with backstage.serving():
        await mirror(catalog, backstage)
    before = await catalog.refs()
    assert await failure(catalog, backstage) == ("UP/api/catalog/entities/by-query?…: [Errno 111] Connection refused")
    assert await catalog.refs() == before


async def test_a_token_is_sent_and_one_that_is_wrong_or_missing_is_said(catalog: Catalog, backstage: Backstage) -> None:
    backstage.token = "right-one"
    refused = "UP/api/catalog/entities/by-query?…: it answers 401: it wants a token, or another one than it is given"
    assert await failure(catalog, backstage) == refused
    assert await failure(catalog, backstage, token=SecretStr("wrong-one")) == refused

    await mirror(catalog, backstage, token=SecretStr("right-one"))

    assert await catalog.refs() == [CORE]
    assert [request.token for request in backstage.requests] == [None, "wrong-one", "right-one", "right-one"]


async def test_a_host_that_is_not_listed_is_not_asked(catalog: Catalog, backstage: Backstage) -> None:
    host = backstage.url.removeprefix("http://")
    assert await failure(catalog, backstage, hosts=()) == (
        f"UP/api/catalog: {host} is not on the list of hosts that may be read"
    )
    assert backstage.requests == []


@pytest.mark.parametrize(
    "busy",
    [
        Answer(429, headers={"Retry-After": "0"}),
        Answer(503),
        Answer(200, b'{"items": [', length=100),
    ],
    ids=["429", "503", "broken off"],
)
async def test_an_upstream_that_is_busy_is_asked_again(
    catalog: Catalog, backstage: Backstage, monkeypatch: pytest.MonkeyPatch, busy: Answer
) -> None:
    monkeypatch.setattr("api.ingest.backstage.PAUSES", (0.0, 0.0))
    backstage.instead = lambda request: busy if request.number in {1, 2, 4} else None
    await mirror(catalog, backstage)
    assert (await catalog.refs(), len(backstage.requests)) == ([CORE], 5)


async def test_who_asks_for_an_hour_is_not_waited_for(catalog: Catalog, backstage: Backstage) -> None:
    backstage.instead = lambda _request: Answer(429, headers={"Retry-After": "3600"})
    assert await failure(catalog, backstage) == "UP/api/catalog/entities/by-query?…: it answers 429"
    assert len(backstage.requests) == 1


async def test_an_upstream_that_is_too_slow_is_said(
    catalog: Catalog, backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.ingest.backstage._SECONDS", 0.1)
    monkeypatch.setattr("api.ingest.backstage.PAUSES", ())
    with held_at(backstage, 1):
        assert await failure(catalog, backstage) == "UP/api/catalog/entities/by-refs: it takes too long"


async def test_a_listing_that_is_too_large_is_said(
    catalog: Catalog, backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.ingest.backstage._MOST_BYTES", 100)
    assert await failure(catalog, backstage) == (
        "UP/api/catalog/entities/by-query?…: its answer has more than 100 bytes"
    )


async def test_the_wait_that_an_answer_asks_for_ends_when_the_reading_is_closed(backstage: Backstage) -> None:
    waits = threading.Event()

    class Closed(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.set()
            return super().wait(timeout)

    backstage.instead = lambda _request: Answer(429, headers={"Retry-After": "60"})
    reading = Mirror(source(backstage), Known())
    reading._backstage._closed = Closed()
    waiting = asyncio.create_task(asyncio.to_thread(next, reading.batches()))
    assert await asyncio.to_thread(waits.wait, 30)
    with reading:
        pass
    async with asyncio.timeout(30):
        with pytest.raises(SourceError, match="it answers 429"):
            await waiting


_FOREIGN = "UP/api/catalog: it does not answer as the catalog of a Backstage does"
_NO_JSON = "UP/api/catalog: its answer is no JSON, or ends in the middle"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<!doctype html>", _NO_JSON),
        (b'{"items": [{"kind": "Gr', _NO_JSON),
        (b"\xff", _NO_JSON),
        (b"[" * 100_000, _NO_JSON),
        (b"[]", _FOREIGN),
        (b'{"items": {}, "pageInfo": {}}', _FOREIGN),
        (b'{"items": []}', _FOREIGN),
        (b'{"items": [], "pageInfo": {"nextCursor": 7}}', _FOREIGN),
        (b'{"items": [], "pageInfo": {"nextCursor": "round"}}', _FOREIGN),
    ],
)
async def test_an_answer_that_is_none_fails_the_run_and_removes_nothing(
    catalog: Catalog, backstage: Backstage, body: bytes, error: str
) -> None:
    await mirror(catalog, backstage)
    backstage.instead = lambda _request: Answer(200, body)
    assert await failure(catalog, backstage) == error
    assert await catalog.refs() == [CORE]


@pytest.mark.parametrize(
    ("items", "error"),
    [
        ([], _FOREIGN),
        ([entity("other", "Group")], "UP: asked for group:default/core, it gives another entity"),
        ([7], "UP: asked for group:default/core, it gives another entity"),
    ],
)
async def test_entities_that_nobody_asked_for_fail_the_run(
    catalog: Catalog, backstage: Backstage, items: list[Any], error: str
) -> None:
    answer = Answer(200, json.dumps({"items": items}).encode())
    backstage.instead = lambda request: answer if request.path == "/entities/by-refs" else None
    assert await failure(catalog, backstage) == error
    assert await catalog.refs() == []


# Entities that are not taken as they are


async def test_an_entity_that_breaks_a_rule_keeps_its_last_good_version_and_stops_no_other(
    catalog: Catalog, backstage: Backstage
) -> None:
    backstage.put(*(entity(name) for name in ("a", "b", "c", "d")))
    await mirror(catalog, backstage)
    good = await catalog.rows("SELECT etag FROM entity ORDER BY ref")
    backstage.put(
        entity("a", spec={"owner": 7}),
        entity("b", description="half \ud800"),
        entity("c", description="\0"),
        {**entity("d"), "extra": 1},
        {**entity("with space"), "metadata": {"name": "with space"}},
        entity("e"),
    )

    report = await mirror(catalog, backstage)

    assert await problems(catalog) == [
        ("field-type", "component:default/a"),
        ("lone-surrogate", "component:default/b"),
        ("nul-character", "component:default/c"),
        ("unknown-root-field", "component:default/d"),
        ("name-format", "component:default/with space"),
    ]
    assert (counted(report), report.counts.rejected) == ((1, 0, 0, 5), 5)
    assert [*await catalog.rows("SELECT etag FROM entity WHERE name <> 'e' ORDER BY ref")] == good
    backstage.forget()
    await mirror(catalog, backstage)
    assert sorted(backstage.fetched) == [*(f"component:default/{name}" for name in ("a", "b", "c", "d", "with space"))]


async def test_the_problem_of_an_entity_that_is_gone_upstream_is_gone_too(
    catalog: Catalog, backstage: Backstage
) -> None:
    backstage.put(entity("a", spec={"owner": 7}))
    await mirror(catalog, backstage)
    backstage.remove("component:default/a")
    await mirror(catalog, backstage)
    assert await problems(catalog) == []


async def test_an_entity_without_a_name_is_a_problem_and_stops_no_other(catalog: Catalog, backstage: Backstage) -> None:
    backstage.put(entity("x" * 300))
    await mirror(catalog, backstage)
    assert (await problems(catalog), await catalog.refs()) == ([("reference-syntax", "without a ref, 1")], [CORE])


async def test_an_entity_that_is_too_large_is_a_problem_and_stops_no_other(
    catalog: Catalog, backstage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    backstage.put(*company(20))
    await mirror(catalog, backstage)
    monkeypatch.setattr("api.ingest.backstage._MOST_BYTES", 10_000)
    backstage.put(*(entity(f"c{n}", description="New.") for n in range(20)), entity("large", description="x" * 10_000))
    backstage.put(entity("c7", description="x" * 10_000))

    report = await mirror(catalog, backstage)

    assert counted(report) == (0, 19, 0, 2)
    assert await problems(catalog) == [
        ("file-too-large", "component:default/c7"),
        ("file-too-large", "component:default/large"),
    ]


async def test_what_another_source_has_stays_its_own_until_it_lets_go(
    catalog: Catalog, backstage: Backstage, tree: Tree
) -> None:
    file = tree.write("a.yaml", component("a"))
    await catalog.ingest(tree.root)
    backstage.put(entity("a"), entity("b"))

    for _ in range(2):
        report = await mirror(catalog, backstage)
        assert report.counts.rejected == 1
        assert ("ref-conflict", "component:default/a") in await problems(catalog)
    assert "component:default/b" in await catalog.refs()

    file.unlink()
    await catalog.ingest(tree.root)
    assert counted(await mirror(catalog, backstage)) == (1, 0, 0, 2)
    assert await problems(catalog) == []


# Relations


async def test_relations_of_a_companys_own_types_are_as_upstream_has_them(
    catalog: Catalog, backstage: Backstage
) -> None:
    a, b = "component:default/a", "component:default/b"
    backstage.put(entity("a"), entity("b"))
    backstage.relate(a, "deployedTo", b)
    backstage.relate(a, "consumesApi", "api:default/gone")
    backstage.relate(b, "hosts", a)
    owned = [(a, "ownedBy", CORE), (b, "ownedBy", CORE), (CORE, "ownerOf", a), (CORE, "ownerOf", b)]

    await mirror(catalog, backstage)

    expected = [*owned, (a, "deployedTo", b), (a, "consumesApi", "api:default/gone"), (b, "hosts", a)]
    assert await relations(catalog) == sorted(expected)
    assert await problems(catalog) == [], "no field names what is not there"
    assert await catalog.rows("SELECT count(*) FROM relation WHERE type IN ('deployedTo', 'hosts')") == [2]

    backstage.relations_added.clear()
    backstage.put()
    await mirror(catalog, backstage)
    assert await relations(catalog) == sorted(owned)


async def test_a_relation_that_is_none_is_a_problem_and_its_entity_is_kept(
    catalog: Catalog, backstage: Backstage
) -> None:
    backstage.put(entity("a"))
    backstage.relate("component:default/a", "x" * 101, CORE)
    backstage.relate("component:default/a", "worksFor", "no kind")
    await mirror(catalog, backstage)
    assert await problems(catalog) == [("relation-malformed", "component:default/a")] * 2
    assert await catalog.refs() == ["component:default/a", CORE]


# Filters, dry runs


async def test_a_filter_mirrors_what_matches_and_lets_go_of_what_does_no_longer(
    catalog: Catalog, backstage: Backstage
) -> None:
    backstage.put(entity("a"), entity("b"), entity("c", spec={"type": "website"}))
    filters = ("kind=component,spec.type=service", "kind=user")

    await mirror(catalog, backstage, filters=filters)
    assert await catalog.refs() == ["component:default/a", "component:default/b"]

    backstage.put(entity("b", spec={"type": "website"}), entity("ann", "User"))
    assert counted(await mirror(catalog, backstage, filters=filters)) == (1, 0, 1, 1)
    assert await catalog.refs() == ["component:default/a", "user:default/ann"]


async def test_a_dry_run_says_all_and_writes_nothing(catalog: Catalog, backstage: Backstage) -> None:
    backstage.put(*company(3))

    report = await ingest(catalog.engine, source(backstage), dry_run=True)

    assert (counted(report), len(report.changes)) == ((4, 0, 0, 0), 4)
    assert await catalog.rows("SELECT (SELECT count(*) FROM entity) + (SELECT count(*) FROM source_run)") == [0]
