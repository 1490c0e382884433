"""`entityChanges`: the present state, then every change once, in order, however often the follower is cut off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Self

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from api.live import LiveFeed
from api.operation import Operations
from db import changes
from db.engine import create_engine
from schema.caller import Caller
from schema.context import Context
from schema.errors import BadUserInput, CursorExpired, RateLimited, Unauthenticated, Unavailable
from schema.limits import Limits
from schema.live import Place
from tests.ingesting import ANN, Catalog, Tree, component
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio

EVENTS = """
    subscription S($filter: EntityFilter, $since: String) {
        entityChanges(filter: $filter, since: $since) {
            eventKind cursor nodeId entity { name lifecycle } change { changeKind entityRef fields { path } }
        }
    }
"""


@pytest.fixture(params=[2_000, pytest.param(10_000, marks=pytest.mark.long)])
def total(request: pytest.FixtureRequest) -> int:
    """How many changes are followed."""
    count: int = request.param
    return count


@pytest.fixture
async def live(graph: Graph, database_url: str) -> AsyncIterator[Graph]:
    """The graph, whose changes are followed."""
    feed = LiveFeed(partial(asyncpg.connect, database_url), graph.reads)
    await feed.look()
    following = asyncio.create_task(feed.run())
    yield replace(graph, live=feed)
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following


class Follower:
    """A subscriber of EVENTS."""

    def __init__(self, graph: Graph, **variables: Any) -> None:
        self._events = graph.follow(EVENTS, **variables)
        self.cursor: str | None = None

    async def next(self) -> tuple[str, str | None]:
        """The next event: its kind and the name of its entity, as it is now."""
        event = await self.whole()
        return event["eventKind"], event["entity"] and event["entity"]["name"]

    async def whole(self) -> Any:
        async with asyncio.timeout(20):
            event = (await anext(self._events))["entityChanges"]
        self.cursor = event["cursor"]
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._events.aclose()


async def test_the_state_comes_first_then_what_changes(live: Graph, tmp_path: Path) -> None:
    catalog, tree = Catalog(live.engine), Tree(tmp_path)
    tree.write("a.yaml", component("a"))
    tree.write("b.yaml", component("b"))
    await catalog.ingest(tmp_path)
    async with Follower(live) as follower:
        assert [await follower.next() for _ in range(3)] == [("PRESENT", "a"), ("PRESENT", "b"), ("SYNCED", None)]
        tree.write("a.yaml", component("a", lifecycle="deprecated"))
        (tmp_path / "b.yaml").unlink()
        tree.write("c.yaml", component("c"))
        await catalog.ingest(tmp_path)
        updated = await follower.whole()
        assert updated["eventKind"] == "UPDATED"
        assert updated["entity"] == {"name": "a", "lifecycle": "deprecated"}
        assert updated["change"] == {
            "changeKind": "UPDATED",
            "entityRef": "component:default/a",
            "fields": [{"path": "/spec/lifecycle"}],
        }
        gone = await follower.whole()
        assert (gone["eventKind"], gone["entity"], gone["change"]["entityRef"]) == (
            "DELETED",
            None,
            "component:default/b",
        )
        assert await follower.next() == ("CREATED", "c")


async def test_who_comes_to_match_is_created_and_who_ceases_to_is_deleted(live: Graph, tmp_path: Path) -> None:
    catalog, tree = Catalog(live.engine), Tree(tmp_path)
    tree.write("a.yaml", component("a"))
    await catalog.ingest(tmp_path)
    async with Follower(live, filter={"lifecycle": {"eq": "deprecated"}}) as follower:
        assert await follower.next() == ("SYNCED", None)
        for lifecycle in ("deprecated", "production"):
            tree.write("a.yaml", component("a", lifecycle=lifecycle))
            await catalog.ingest(tmp_path)
        assert [await follower.next() for _ in range(2)] == [("CREATED", "a"), ("DELETED", "a")]


async def test_a_squad_follows_what_its_tree_owns_also_when_the_tree_grows(live: Graph, tmp_path: Path) -> None:
    group = (
        "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {{name: {}}}\nspec: {{type: t, children: [{}]}}\n"
    )
    catalog, tree = Catalog(live.engine), Tree(tmp_path)
    tree.write("groups.yaml", ANN, group.format("tribe", "squad"), group.format("squad", ""))
    await catalog.ingest(tmp_path)
    wanted = {"inTreeOf": "tribe", "kind": {"eq": "component"}}
    async with Follower(live, filter=wanted) as follower:
        assert await follower.next() == ("SYNCED", None)
        tree.write("of-squad.yaml", component("a", owner="squad"))
        tree.write("of-others.yaml", component("b", owner="others"))
        await catalog.ingest(tmp_path)
        assert await follower.next() == ("CREATED", "a")
        tree.write(
            "groups.yaml",
            ANN,
            group.format("tribe", "squad, others"),
            group.format("squad", ""),
            group.format("others", ""),
        )
        tree.write("of-others-too.yaml", component("c", owner="others"))
        await catalog.ingest(tmp_path)
        assert await follower.next() == ("CREATED", "c")


async def test_a_page_follows_from_its_live_cursor(live: Graph, tmp_path: Path) -> None:
    catalog, tree = Catalog(live.engine), Tree(tmp_path)
    tree.write("a.yaml", component("a"))
    await catalog.ingest(tmp_path)
    page = await live.ask("{ entities { nodes { name } } liveCursor }", statements=1)
    tree.write("b.yaml", component("b"))
    await catalog.ingest(tmp_path)
    async with Follower(live, since=page["liveCursor"]) as follower:
        seen = [await follower.next()]
        if seen == [("CREATED", "a")]:  # this process had not heard of it yet
            seen = [await follower.next()]
        assert seen == [("CREATED", "b")]


async def test_a_follower_that_is_cut_while_the_state_comes_goes_on_there(live: Graph, tmp_path: Path) -> None:
    Tree(tmp_path).write("all.yaml", *(component(f"c{n:03}") for n in range(250)))
    await Catalog(live.engine).ingest(tmp_path)
    names, cursor, kind = [], None, "PRESENT"
    while kind == "PRESENT":
        async with Follower(live, since=cursor) as follower:
            for _ in range(40):
                kind, name = await follower.next()
                cursor = follower.cursor
                if kind != "PRESENT":
                    break
                names.append(name)
    assert kind == "SYNCED"
    assert names == [f"c{n:03}" for n in range(250)]


async def test_a_follower_that_is_cut_fifty_times_sees_each_change_once_and_in_order(
    live: Graph, database_url: str, total: int
) -> None:
    """While writers commit side by side, whose transactions take very different times."""
    cuts, chance = 50, random.Random(7)
    refs = "INSERT INTO ref (ref) SELECT 'component:default/c' || n FROM generate_series(0, 99) n"
    await Catalog(live.engine).rows(refs)
    numbers = iter(range(total))
    engine = create_engine(database_url)
    writers = [asyncio.create_task(_write(engine, numbers, random.Random(seed))) for seed in range(4)]
    seen: list[tuple[str, str]] = []
    cursor = Place(0).cursor
    for left in range(cuts, -1, -1):
        async with aclosing(
            live.follow(
                "subscription S($since: String) { entityChanges(since: $since) { cursor eventKind change { id } } }",
                since=cursor,
            )
        ) as events:
            wanted = (total - len(seen)) if not left else chance.randint(0, 2 * (total - len(seen)) // (left + 1))
            while wanted and len(seen) < total:
                async with asyncio.timeout(30):
                    event = (await anext(events))["entityChanges"]
                seen.append((event["eventKind"], event["change"]["id"]))
                cursor = event["cursor"]
                wanted -= 1
    await asyncio.gather(*writers)
    await engine.dispose()
    page = await live.ask("{ changes { totalCount } }")
    assert page["changes"]["totalCount"] == total
    assert len({change for _, change in seen}) == total
    kinds = await Catalog(live.engine).rows("SELECT kind FROM change ORDER BY seq")
    assert [kind for kind, _ in seen] == kinds


async def _write(engine: AsyncEngine, numbers: Any, chance: random.Random) -> None:
    """Changes in transactions of 1 to 50, some of which take long before they append."""
    while batch := list(islice(numbers, chance.randint(1, 50))):
        rows = ", ".join(
            f"('{('CREATED', 'UPDATED', 'DELETED')[n % 3]}', 'component:default/c{n % 100}', {n})" for n in batch
        )
        document = """jsonb_build_object('apiVersion', 'backstage.io/v1alpha1', 'kind', 'Component',
            'metadata', jsonb_build_object('name', 'c'), 'spec', jsonb_build_object('n', n))"""
        entries = f"""
            SELECT w.kind, r.id, 'test', clock_timestamp(), CASE w.kind WHEN 'CREATED' THEN NULL ELSE {document} END,
                CASE w.kind WHEN 'DELETED' THEN NULL ELSE {document} END, NULL::jsonb, NULL::jsonb
            FROM (VALUES {rows}) w(kind, ref, n) JOIN ref r USING (ref) ORDER BY n
        """
        async with engine.begin() as connection:
            await connection.execute(
                text("SELECT txid_current(), pg_sleep(:seconds)"), {"seconds": chance.choice([0, 0, 0.03])}
            )
            await changes.append(connection, text(entries))


async def test_changes_are_seen_though_the_listening_connection_is_killed(live: Graph, tmp_path: Path) -> None:
    catalog = Catalog(live.engine)
    async with Follower(live) as follower:
        assert await follower.next() == ("SYNCED", None)
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query LIKE '%FROM feed%'"
        assert await catalog.rows(kill + " AND datname = current_database() AND pid <> pg_backend_pid()")
        Tree(tmp_path).write("a.yaml", component("a"))
        await catalog.ingest(tmp_path)
        assert await follower.next() == ("CREATED", "a")


async def test_a_cursor_older_than_the_log_is_told_so(live: Graph, tmp_path: Path) -> None:
    catalog, tree = Catalog(live.engine), Tree(tmp_path)
    tree.write("a.yaml", component("a"))
    await catalog.ingest(tmp_path)
    await catalog.rows("UPDATE change SET at = now() - interval '91 days'")
    tree.write("b.yaml", component("b"))
    await catalog.ingest(tmp_path)
    assert await changes.forget(live.engine, days=90) == 1
    assert await catalog.changes() == [("CREATED", "component:default/b")]
    async with Follower(live, since=Place(0).cursor) as follower:
        with pytest.raises(CursorExpired):
            await follower.whole()
    async with Follower(live, since=Place(1).cursor) as follower:
        assert await follower.next() == ("CREATED", "b")


async def test_an_empty_log_that_was_forgotten_still_knows_its_end(live: Graph, tmp_path: Path) -> None:
    catalog = Catalog(live.engine)
    Tree(tmp_path).write("a.yaml", component("a"))
    await catalog.ingest(tmp_path)
    await catalog.rows("UPDATE change SET at = now() - interval '91 days'")
    assert await changes.forget(live.engine, days=90) == 1
    assert await changes.last_position(live.reads.fetch) == 1


async def test_a_cursor_that_the_log_has_not_come_to_is_told_so(live: Graph) -> None:
    async with Follower(live, since=Place(1_000).cursor) as follower:
        with pytest.raises(CursorExpired, match="has not come to this cursor"):
            await follower.whole()


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "",
        "e30",
        "eyJjYXRhbG9nIjotMX0",
        "eyJjYXRhbG9nIjp0cnVlfQ",
        "eyJjYXRhbG9nIjoxLCJvdGhlciI6Mn0",
        "bnVsbA",
        "WzFd",
    ],
)
async def test_what_is_no_cursor_is_refused(live: Graph, cursor: str) -> None:
    async with Follower(live, since=cursor) as follower:
        with pytest.raises(BadUserInput, match="is no place to go on from"):
            await follower.whole()


async def test_what_no_change_can_answer_is_refused_by_its_place(live: Graph) -> None:
    async with Follower(live, filter={"anyOf": [{"hasProblem": True}]}) as follower:
        with pytest.raises(BadUserInput, match=r"`filter.anyOf\[0\].hasProblem` cannot be followed"):
            await follower.whole()


async def test_without_a_feed_following_is_unavailable(graph: Graph) -> None:
    async with Follower(graph) as follower:
        with pytest.raises(Unavailable):
            await follower.whole()
    assert [error["extensions"]["code"] for error in await graph.errors("{ liveCursor }")] == ["UNAVAILABLE"]


@pytest.mark.parametrize(("page", "whole"), [(20, []), (100, [100])])
async def test_an_event_is_charged_by_its_whole_hundreds(
    live: Graph, tmp_path: Path, page: int, whole: list[int]
) -> None:
    tree = Tree(tmp_path)
    tree.write("a.yaml", ANN)
    await Catalog(live.engine).ingest(tree.root)
    charged: list[int] = []
    query = f"subscription {{ entityChanges {{ entity {{ relations(first: {page}) {{ nodes {{ type }} }} }} }} }}"
    operation = Operations(live.schema, Limits(), admit=lambda _, cost: charged.append(cost)).ready(query)
    async with aclosing(operation.subscribe({}, live.caller, live.fresh, 10)) as answers:
        answer = await anext(answers)
    assert answer.extensions
    assert charged == [answer.extensions["cost"], *whole]


async def test_a_dear_event_is_reported_and_given_where_limits_are_only_reported(live: Graph, tmp_path: Path) -> None:
    Tree(tmp_path).write("a.yaml", ANN)
    await Catalog(live.engine).ingest(tmp_path)

    def admit(_caller: Caller, cost: int) -> None:
        if cost == 100:  # of an event; the subscription itself costs some more
            raise RateLimited("enough", retry_after=1, standing={})

    query = "subscription { entityChanges { entity { relations(first: 100) { nodes { type } } } } }"
    operation = Operations(live.schema, Limits(), admit=admit, report_only=True).ready(query)
    with capture_logs() as log:
        async with aclosing(operation.subscribe({}, live.caller, live.fresh, 10)) as answers:
            assert (await anext(answers)).errors is None
    assert [(line["event"], line["code"]) for line in log] == [("over a limit", "RATE_LIMITED")]


async def test_a_stream_without_events_ends_when_its_caller_may_not_have_any_more(
    live: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.operation._LOOK_SECONDS", 0.02)
    looks = 0

    @asynccontextmanager
    async def fresh() -> AsyncIterator[Context]:
        nonlocal looks
        looks += 1
        if looks == 4:
            raise Unavailable("away")  # which says nothing of the caller
        if looks == 6:
            raise Unauthenticated("The token is revoked")
        async with live.fresh() as context:
            yield context

    assert live.live
    since = Place(live.live.position).cursor
    query = f'subscription {{ entityChanges(since: "{since}") {{ eventKind }} }}'
    operation = Operations(live.schema, Limits()).ready(query)
    async with aclosing(operation.subscribe({}, live.caller, fresh, 10)) as answers:
        with pytest.raises(Unauthenticated, match="revoked"):
            await anext(answers)
    assert looks == 6
