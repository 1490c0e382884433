"""Edges: our executor, and graphql-core that calls the same bodies object by object, on random operations."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, cast

import pytest
import strawberry
from graphql import DocumentNode, GraphQLSchema, parse, validate
from sqlalchemy.ext.asyncio import AsyncEngine

from db.reading import Reads
from schema import ids
from schema.context import Context
from schema.levels import alone, level, operation, outline
from schema.live import Live
from tests.callers import ANYBODY
from tests.ingesting import Catalog
from tests.schema.graph import Graph
from tests.schema.levels.comparing import reference, run
from tests.schema.levels.families import NAMES, REFS, write_families
from tests.schema.levels.mixed_schema import mixed_schema
from tests.schema.levels.operations import RandomOperation, Style, Writer, seeded
from tests.schema.levels.ours import Ours
from tests.schema.levels.remembering import remembering
from tests.schema.levels.shrinking import smallest
from tests.schema.levels.values import Drawers, among, several

pytestmark = pytest.mark.anyio

CURSORS = frozenset({"after", "before"})
STYLE = Style(
    selections=26,
    depth=5,
    breadth=5,
    introspection=0.01,
    crowd=0.03,
    argument=0.4,
    arguments={"first": 0.95, "last": 0.95, "after": 0.7, "before": 0.7, "orderBy": 0.4, "filter": 0.3},
    either=(frozenset({"first", "after"}), frozenset({"last", "before"})),
    always_variable=CURSORS,
    companions={"after": "pageInfo { endCursor }", "before": "pageInfo { startCursor }"},
)
MIXED = replace(STYLE, kinds=("query",) * 9 + ("mutation",))
PLAYS = 4  # of each document, with other values; the later ones have cursors of the earlier ones


def drawers(schema: GraphQLSchema, *, sizes: tuple[Any, ...]) -> Drawers:
    """Values as this catalog has them, and some that it has not."""
    words = ("service", "go", "production", "worker", "1", "e", "Service", "squad-1", "web", "database", "")
    relations = ("ownedBy", "dependsOn", "hasPart", "partOf", "no such")
    node_ids = [
        *(ids.encode(ids.Sort.ENTITY, ref) for ref in _canonical()),
        ids.encode(ids.Sort.SOURCE, "families"),
    ]

    size = among(*sizes, seldom=(0, -1, 101))
    return {
        **{f"Query.{kind.lower()}.ref": among(*names) for kind, names in NAMES.items()},
        **{f"{name}.relations.type": several(*relations) for name in schema.type_map},
        "Query.source.name": among("families", "company", "none"),
        "EntityRef": among(*REFS, seldom=("", "a:b:c", "x\0")),
        "String": among(*words, seldom=("a\0b",)),
        "DateTime": among("2020-01-01T00:00:00Z", "2100-01-01T00:00:00+02:00"),
        "id": among(*node_ids, seldom=("!",)),
        "ids": several(*node_ids, seldom=("!",)),
        "keys": several("tier", "runtime", "example.com/pager", "no"),
        "rule": several("dangling-reference", "tag-format", "duplicate-ref", "no"),
        "by": among("source:families", "source:company", "nobody"),
        **dict.fromkeys(("depth", "maxDepth"), among(1, 2, 3, seldom=(0, 11))),
        "first": size,
        "last": size,
        **dict.fromkeys(CURSORS, among(None, seldom=("!", "e30", "é"))),
    }


def _canonical() -> list[str]:
    return ["component:default/service-1", "group:default/everyone", "rota:ops/rota-1", "api:default/gone"]


@dataclass(frozen=True)
class Still:
    """A change log in which nothing happens."""

    position: int = 1
    is_known: bool = True


@dataclass
class Trials:
    """One catalog, asked by our executor and by the reference."""

    schema: strawberry.Schema
    engine: AsyncEngine
    reads: Reads
    seen: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def context(self) -> Iterator[Context]:
        with Context(caller=ANYBODY, reads=self.reads, request_id="test", live=cast("Live", Still())) as context:
            yield context

    def document(self, text: str) -> DocumentNode | None:
        document = parse(text)
        return None if validate(self.schema._schema, document) else document

    def prepared(self, drawn: RandomOperation) -> Ours:
        """A valid operation, ready to run; its plans last."""
        document = self.document(drawn.text)
        assert document
        return Ours(self.schema, document, drawn.name)

    async def difference(
        self, document: DocumentNode, prepared: Ours, name: str | None, variables: dict[str, Any]
    ) -> tuple[str | None, Any]:
        """What differs, and the data."""
        with self.context() as context:
            answer = await reference(self.schema._schema, document, name, variables, context)
        with self.context() as context:
            result = await run(prepared, variables, context)
        self.seen["operations"] += 1
        self.seen["errors"] += len(answer.result.errors or ())
        self.seen["positions nulled from below"] += len(answer.nulled)
        self.seen["answers without data"] += answer.result.data is None
        return answer.difference(result), answer.result.data

    async def cost(self, prepared: Ours, variables: dict[str, Any]) -> tuple[int, int]:
        """How many statements an operation costs, and how long its answer is, in characters."""
        with self.context() as context:
            result = await prepared.run(variables, context)
        return context.reader.statements, len(json.dumps(result.data))

    async def report(self, drawn: RandomOperation, variables: dict[str, Any]) -> str:
        """What to tell about an operation that differs, by the smallest document that still does."""

        async def difference(text: str) -> str | None:
            if (document := self.document(text)) is None:
                return None
            prepared = Ours(self.schema, document, drawn.name)
            return (await self.difference(document, prepared, drawn.name, variables))[0]

        async def differs(text: str) -> bool:
            return await difference(text) is not None

        text = await smallest(drawn.text, differs)
        return f"{text}\nvariables {variables}\n{await difference(text)}"


async def play(trials: Trials, seed: int, operations: int, style: Style = STYLE) -> Counter[str]:
    """Play so many operations; how often what happened. The first that differs fails the test."""
    core, number = trials.schema._schema, 0
    values = drawers(core, sizes=(1, 1, 2, 2, 3))
    while trials.seen["operations"] < operations:
        number += 1
        random = seeded(seed, number)
        drawn = Writer(core, random, style, values).operation()
        if (document := trials.document(drawn.text)) is None:
            trials.seen["invalid documents"] += 1
            continue
        prepared = Ours(trials.schema, document, drawn.name)
        cursors: dict[str, list[str]] = defaultdict(list)
        for _ in range(PLAYS):
            variables = {**drawn.values(random, misfits=0.002), **_places(drawn, cursors, random, trials.seen)}
            wrong, data = await trials.difference(document, prepared, drawn.name, variables)
            if wrong:
                pytest.fail(f"seed {seed}, document {number}\n{await trials.report(drawn, variables)}", pytrace=False)
            _collect(data, (), cursors)
    return trials.seen


def _places(
    drawn: RandomOperation, cursors: dict[str, list[str]], random: Random, seen: Counter[str]
) -> dict[str, str | None]:
    """Cursors for the variables that take one: mostly of the same field, as far as its response key tells."""
    places: dict[str, str | None] = {}
    for variable in drawn.variables:
        if variable.coordinate.rpartition(".")[2] in CURSORS and cursors and random.random() < 0.8:
            known = cursors.get(variable.response_key)
            own = known if known and random.random() < 0.95 else random.choice(list(cursors.values()))
            places[variable.name] = random.choice(own)
            seen["cursors"] += 1
            seen["cursors of the same field"] += own is known
    return places


def _collect(data: Any, keys: tuple[str, ...], cursors: dict[str, list[str]]) -> None:
    """The cursors in an answer, by the response key of their connection: two above `pageInfo.endCursor`, `edges.cursor`."""
    if isinstance(data, list):
        for item in data:
            _collect(item, keys, cursors)
    elif isinstance(data, dict):
        for key, value in data.items():
            _collect(value, (*keys, key), cursors)
    elif isinstance(data, str) and data.startswith("WyI") and len(keys) > 2:  # `["` in base64; ids do not start so
        cursors[keys[-3]].append(data)


@pytest.fixture
async def trials(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trials:
    """Two families and a company, with some absent types, from two sources."""
    monkeypatch.setattr(alone, "rows", remembering(alone.rows))
    catalog = Catalog(graph.engine)
    write_families(tmp_path, 2)
    await catalog.ingest(tmp_path, name="families")
    await catalog.ingest(Path(__file__).parents[1] / "company.yaml", name="company")
    await catalog.rows("UPDATE entity SET type = NULL WHERE sort_name LIKE 'worker-%'")
    return Trials(graph.schema, graph.engine, graph.reads)


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little is joined, and kept, that the limits are met all the time."""
    monkeypatch.setattr(outline, "MAX_JOINS", 3)
    monkeypatch.setattr(level, "MOST_SHAPES", 2)
    monkeypatch.setattr(operation, "MOST_PLANS", 2)


# Of 500 operations; fewer would mean that the catalog, or the documents, have become dull.
OFTEN = {"errors": 35, "positions nulled from below": 25, "cursors of the same field": 50}
MIXED_OFTEN = {"errors": 150, "positions nulled from below": 100, "cursors of the same field": 25}


async def test_edges_answer_as_object_by_object(trials: Trials) -> None:
    seen = await play(trials, 20261122, 500)
    assert {what: seen[what] >= least for what, least in OFTEN.items()} == dict.fromkeys(OFTEN, True), seen


@pytest.mark.usefixtures("few_at_once")
async def test_edges_among_resolvers_answer_as_object_by_object(trials: Trials) -> None:
    seen = await play(replace(trials, schema=mixed_schema()), 20261122, 500, MIXED)
    assert {what: seen[what] >= least for what, least in MIXED_OFTEN.items()} == dict.fromkeys(MIXED_OFTEN, True), seen


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
async def test_edges_answer_as_object_by_object_at_length(trials: Trials, record_property: Any) -> None:
    seed = int(os.environ.get("CATALOGRAPH_TEST_SEED") or SystemRandom().randrange(10**9))
    record_property("seed", seed)
    await play(trials, seed, 50_000)


async def test_the_number_of_statements_does_not_depend_on_the_number_of_rows(trials: Trials, tmp_path: Path) -> None:
    """Every list is read from its start or its end, or whole: so the same edges lead on, from more or fewer objects."""
    core, catalog = trials.schema._schema, Catalog(trials.engine)
    values = {**drawers(core, sizes=(2, 100, 100)), **dict.fromkeys(CURSORS, lambda _: None)}
    style = replace(STYLE, introspection=0, careless_alias=0, arguments={**STYLE.arguments, "filter": 0.1})
    drawn = [Writer(core, seeded("rows", place), style, values).operation() for place in range(250)]
    # A loader takes together what comes at the same time: of several lists, as Postgres happens to answer them.
    drawn = [one for one in drawn if "mermaid" not in one.text]
    asked = [(trials.prepared(one), one.values(seeded(one.text), misfits=0)) for one in drawn]
    costs = []
    for families in (4, 8):
        write_families(tmp_path, families)
        await catalog.ingest(tmp_path, name="families")
        await catalog.rows("UPDATE entity SET type = NULL WHERE sort_name LIKE 'worker-%'")
        costs.append([await trials.cost(*one) for one in asked])
    for one, (_, given), (statements, size), (statements_then, size_then) in zip(drawn, asked, *costs, strict=True):
        assert statements_then == statements, f"{one.text}\n{given}"
        trials.seen["more rows"] += size_then > size * 1.3
        trials.seen["statements"] += statements
    assert trials.seen["more rows"] > 30, trials.seen
    assert trials.seen["statements"] > 200, trials.seen


COLUMNS = "... on Component { lifecycle } ... on Group { tags } ... on Owner { title }"
PAGE = (
    f"nodes {{ %s {COLUMNS} ... on Component {{ spec }} ... on Group {{ email }} ... on System {{ domain {{ id }} }} }}"
)
PLACES = {
    "a page": f"query ($kinds: [String!]) {{ entities(filter: {{kind: {{in: $kinds}}}}, first: 100) {{ {PAGE} }} }}",
    "loaded": f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Entity {{ %s {COLUMNS} }} }} }}",
    "loaded by ref": f"query ($refs: [EntityRef!]!) {{ entitiesByRef(refs: $refs) {{ %s {COLUMNS} }} }}",
}
LISTS = {
    "labels { key }": 1,
    "links { url } annotations { key }": 2,
    "problems(first: 1) { totalCount }": 1,
    "relations(first: 100) { nodes { target { name labels { key } } } }": 2,
    "relations(first: 100) { edges { node { target { ... on Group { tags } labels { key } links { url } } } } }": 3,
    # Pages that have more, or that end where the list does.
    "relations(first: 2) { nodes { target { name labels { key } } } }": 2,
    "relations(first: 2) { edges { node { target { ... on Group { tags } labels { key } links { url } } } } }": 3,
    "relations(last: 100) { nodes { target { name labels { key } } } }": 2,
    "...F": 2,
}
FRAGMENT = "fragment F on Entity { labels { key } ...G } fragment G on Entity { links { url } }"


async def test_the_number_of_statements_does_not_depend_on_the_types_of_the_rows(trials: Trials) -> None:
    """Types that select different things share the statement of a list that all of them select."""
    refs = {"Component": "component:default/service-1", "Group": "group:default/squad-1", "User": "user:default/user-1"}
    for place, (edges, cost) in product(PLACES, LISTS.items()):
        text = PLACES[place] % edges + (FRAGMENT if "...F" in edges else "")
        prepared = Ours(trials.schema, parse(text), None)
        for kinds in (["Component"], ["Group", "User"], ["Component", "Group", "User"]):
            wanted = [refs[kind] for kind in kinds]
            node_ids = [ids.encode(ids.Sort.ENTITY, ref) for ref in wanted]
            statements, _ = await trials.cost(prepared, {"kinds": kinds, "ids": node_ids, "refs": wanted})
            assert statements == 1 + cost, (place, edges, kinds)
