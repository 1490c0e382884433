"""Hostile HTTP requests: each has its exact answer, keeps nobody waiting and leaves nothing behind.

They are all made once, one after the other, of one server; each test looks at what came of one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.api.hostile.cases import MEDIA_TYPES, NOTHING, Answer, Answers, Case
from tests.api.hostile.conftest import Hostile
from tests.api.hostile.http_cases import CASES, EXPONENTIAL

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("hostile")]

LONGEST_ANSWER = 25_000  # bytes; many places in a document take some


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case: its answers, and how the server did meanwhile and afterwards."""

    answers: Answers
    longest: int  # bytes of an answer
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


async def outcome(hostile: Hostile, case: Case) -> Outcome:
    """Play one case."""
    replies, stalls = [], []
    for media_type in MEDIA_TYPES:
        replies.append(await hostile.address.answers(case.request(media_type)))
        stalls.append((await hostile.meter()).stall)
    first, second = map(Answer.of, replies)
    longest = max(len(reply.body) for reply in replies)
    stall = min(stalls) if first.data is NOTHING else stalls[0]  # of what was refused nothing is kept: both are true
    return Outcome((first, second), longest, stall, await hostile.is_well())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_it_is_answered(played: Played, case: Case) -> None:
    found = played.outcomes[case.name]
    assert found.answers == case.answers
    assert found.longest < LONGEST_ANSWER
    assert found.stall < 0.1
    assert found.is_well


@pytest.mark.parametrize("case", EXPONENTIAL, ids=lambda case: case.name)
async def test_paths_that_double_are_not_walked(played: Played, case: Case) -> None:
    assert played.outcomes[case.name].stall < 0.05


async def test_the_whole_table_leaves_little_behind(played: Played) -> None:
    assert played.grown < 20_000_000


@pytest.mark.usefixtures("played")
async def test_nothing_of_it_is_a_fault_of_ours(hostile: Hostile) -> None:
    assert hostile.faults() == []


def test_each_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 400
