"""Ordinary resolvers: our executor and graphql-core, on random operations over a schema in which everything goes wrong."""

from __future__ import annotations

import os
from collections import Counter
from random import SystemRandom
from typing import Any

import pytest
import strawberry

from tests.schema.levels.odd_schema import DRAWERS, odd_schema
from tests.schema.levels.operations import Style, Writer, seeded
from tests.schema.levels.ours import Ours
from tests.schema.levels.playing import Trial

pytestmark = pytest.mark.anyio

STYLE = Style(kinds=("query",) * 8 + ("mutation", "subscription"))
PLAYS = 4  # of each document, with other values
# Of 800 operations; fewer would mean that the schema has lost its oddities.
OFTEN = {
    "answers with errors": 400,
    "positions nulled from below": 200,
    "errors below a nulled position": 120,  # answers in which there were some
    "answers without data": 80,
}


@pytest.fixture(scope="module")
def schema() -> strawberry.Schema:
    return odd_schema()


async def play(schema: strawberry.Schema, executor: Any, seed: int, operations: int) -> Counter[str]:
    """Play so many operations; how often what happened. The first that differs fails the test."""
    seen: Counter[str] = Counter()
    number = 0
    while seen["operations"] < operations:
        number += 1
        random = seeded(seed, number)
        drawn = Writer(schema._schema, random, STYLE, DRAWERS).operation()
        trial = Trial(schema, executor, drawn.text, drawn.kind, drawn.name, seen)
        if (document := trial.document()) is None:
            seen["invalid documents"] += 1
            continue
        operation = trial.prepared(document)
        for _ in range(PLAYS):
            variables, salt = drawn.values(random), random.randrange(10**6)
            if await trial.difference(document, operation, variables, salt):
                pytest.fail(f"seed {seed}, document {number}\n{await trial.report(variables, salt)}", pytrace=False)
    return seen


async def test_ordinary_resolvers_answer_as_under_graphql_core(schema: strawberry.Schema) -> None:
    seen = await play(schema, Ours, 20261122, 800)
    assert {what: seen[what] >= least for what, least in OFTEN.items()} == dict.fromkeys(OFTEN, True), seen


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
async def test_ordinary_resolvers_answer_as_under_graphql_core_at_length(
    schema: strawberry.Schema, record_property: Any
) -> None:
    seed = int(os.environ.get("CATALOGRAPH_TEST_SEED") or SystemRandom().randrange(10**9))
    record_property("seed", seed)
    await play(schema, Ours, seed, 50_000)
