"""What each filter and each order costs: the first page of 20, each alone.

Asked of a landscape whose entities have labels, annotations and further values in their specs, as a company's have.
Paths are asked about twice, before they are indexed and after.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from statistics import median

from db.engine import create_engine
from db.indexes import keep
from db.revisions import upgrade
from db.rules.pointers import Pointer
from tests.bench import plans
from tests.bench.asking import Asker, asking
from tests.bench.databases import loaded_database, say
from tests.bench.landscape import Landscape
from tests.postgres import connected, database_at

WARMING = 3  # turns before the watch runs

# One of 500 has the label `pci`, and each region; the tier is one of five, the score one of 100,000.
_DRESSED = """
    UPDATE document SET
        metadata = metadata || jsonb_build_object(
            'labels', jsonb_build_object('tier', (ARRAY['gold', 'silver', 'iron'])[1 + entity_id % 3],
                                         'region', 'r-' || entity_id % 500)
                || CASE WHEN entity_id % 500 = 0 THEN '{"pci": "yes"}' ELSE '{}' END::jsonb,
            'annotations', jsonb_build_object('example.com/slug', metadata ->> 'name',
                                              'example.com/url', 'https://example.com/' || (metadata ->> 'name'))),
        spec = spec || jsonb_build_object(
            'score', (entity_id * 7919 % 100000)::numeric / 10, 'tier', entity_id % 5, 'critical', entity_id % 200 = 0,
            'language', (ARRAY['go', 'java', 'python'])[1 + entity_id % 3],
            'regions', jsonb_build_array('r-' || entity_id % 500, 'all'))
"""

PATHS = ("/spec/score", "/spec/tier", "/spec/critical", "/spec/language", "/spec/regions")

_TEXTS = (
    *('kind: {eq: "system"}', 'kind: {ne: "component"}', 'namespace: {eq: "default"}', 'namespace: {eq: "other"}'),
    *('name: {eq: "system-00077"}', 'name: {in: ["system-00077", "domain-0001"]}', 'name: {prefix: "res-"}'),
    *('name: {contains: "07777"}', 'title: {eq: "System 00077"}', 'title: {prefix: "System 0007"}'),
    *('type: {eq: "grpc"}', 'type: {eq: "robot"}', "type: {exists: false}", 'lifecycle: {eq: "deprecated"}'),
    *('tag: {eq: "tag-19"}', 'tag: {in: ["tag-18", "tag-19"]}', 'tag: {ne: "tag-0"}', 'tag: {prefix: "tag-19"}'),
    *('ref: ["system:system-00077", "domain:domain-0001"]', 'createdAt: {after: "2020-01-01T00:00:00Z"}'),
    'updatedAt: {before: "2020-01-01T00:00:00Z"}',
)
_KEYS = (
    *('label: {key: "pci"}', 'label: {key: "tier"}', 'label: {key: "gone"}', 'not: {label: {key: "tier"}}'),
    *('label: {key: "tier", value: {eq: "gold"}}', 'label: {key: "region", value: {eq: "r-77"}}'),
    *('label: {key: "region", value: {in: ["r-77", "r-78"]}}', 'label: {key: "region", value: {ne: "r-77"}}'),
    *('label: {key: "region", value: {prefix: "r-77"}}', 'label: {key: "pci", value: {contains: "e"}}'),
    'annotation: {key: "example.com/slug", value: {eq: "system-00077"}}',
    'annotation: {key: "example.com/slug", value: {in: ["system-00077", "domain-0001"]}}',
)
_LINKS = (
    *('ownedBy: "squad-00007"', 'partOf: "system-00077"', "hasProblem: true", "hasProblem: false"),
    'anyOf: [{type: {eq: "grpc"}}, {tag: {eq: "tag-19"}}]',
    'kind: {eq: "component"}, label: {key: "region", value: {eq: "r-77"}}',
)
_VALUES = (
    *('"/spec/score", number: {eq: 77.7}', '"/spec/score", number: {gt: 9999}', '"/spec/score", number: {gt: 100}'),
    *('"/spec/score", number: {gte: 50, lt: 50.5}', '"/spec/tier", number: {eq: 3}', '"/spec/critical", boolean: true'),
    *('"/spec/language", text: {eq: "go"}', '"/spec/language", text: {eq: "cobol"}'),
    *('"/spec/language", text: {in: ["ada", "cobol"]}', '"/spec/language", text: {prefix: "co"}'),
    *('"/spec/language", text: {contains: "obo"}', '"/spec/language", text: {ne: "go"}'),
    *('"/spec/regions", text: {eq: "r-77"}', '"/spec/regions", text: {in: ["r-77", "r-78"]}'),
)
_ORDERS = ("NAME", "TITLE", "KIND", "NAMESPACE", "TYPE", "LIFECYCLE", "OWNER", "CREATED_AT", "UPDATED_AT")
_PATH_ORDERS = (
    *('path: "/spec/score"', 'path: "/spec/score", nulls: FIRST', 'path: "/spec/score", direction: DESC'),
    *('path: "/spec/language"', 'path: "/spec/tier"'),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one filter or order costs, in milliseconds of SQL, and what Postgres read for it."""

    question: str
    indexed: bool | None  # whether its path is; None: it has none
    sql_ms: float
    read: str


def questions(*, with_paths: bool) -> Iterator[str]:
    """Arguments of `entities` in GraphQL; those with paths, or all others."""
    if with_paths:
        yield from (f"filter: {{path: {{path: {value}}}}}" for value in _VALUES)
        yield from (f"orderBy: {{field: PATH, {order}}}" for order in _PATH_ORDERS)
    else:
        yield from (f"filter: {{{one}}}" for one in (*_TEXTS, *_KEYS, *_LINKS))
        yield from (f"orderBy: {{field: {order}}}" for order in _ORDERS)


async def measured(server_url: str, entities: int, turns: int) -> AsyncIterator[Cost]:
    """The costs of each question, each asked so many times."""
    url = await _dressed_database(server_url, entities)
    async with asking(url) as asker:
        engine = create_engine(url, pool_size=2, statement_timeout=0)
        try:
            await keep(engine, ())
            for arguments in questions(with_paths=False):
                yield await _cost(asker, arguments, turns, None)
            for indexed in (False, True):
                await keep(engine, map(Pointer.parse, PATHS if indexed else ()))
                for arguments in questions(with_paths=True):
                    yield await _cost(asker, arguments, turns, indexed)
        finally:
            await engine.dispose()


async def _cost(asker: Asker, arguments: str, turns: int, indexed: bool | None) -> Cost:  # noqa: FBT001
    query = f"{{ entities(first: 20, {arguments}) {{ nodes {{ ref }} }} }}"
    seconds = [(await asker.ask(query)).sql_seconds for _ in range(WARMING + turns)][WARMING:]
    plan = (await asker.plans(query))[-1]  # what Postgres works out while it plans has one, too
    read = re.sub(r"document_at_\w+", "document_at_…", plans.summary(plan))
    return Cost(arguments, indexed, round(median(seconds) * 1000, 2), read)


async def _dressed_database(server_url: str, entities: int) -> str:
    """The URL of a copy of the landscape, with more to ask about; where the server has one already, that is taken."""
    name, making = f"filters_{entities}", f"filters_{entities}_making"
    await loaded_database(server_url, f"landscape_{entities}", Landscape(entities))
    async with connected(server_url) as connection:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'DROP DATABASE IF EXISTS "{making}" WITH (FORCE)')
            await connection.execute(f'CREATE DATABASE "{making}" TEMPLATE "landscape_{entities}"')
            await _dress(database_at(server_url, making))
            await connection.execute(f'ALTER DATABASE "{making}" RENAME TO "{name}"')
    return database_at(server_url, name)


async def _dress(url: str) -> None:
    say("Adding labels, annotations and values ...")
    engine = create_engine(url)
    try:
        await upgrade(engine)
    finally:
        await engine.dispose()
    async with connected(url) as connection:
        await connection.execute(_DRESSED)
        await connection.execute("VACUUM (ANALYZE)")
