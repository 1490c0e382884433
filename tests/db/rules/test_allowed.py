"""Which kinds a source may declare."""

from __future__ import annotations

import pytest

from db.rules.allowed import UNTRUSTED, AllowedKinds


def test_listed_kinds_are_the_only_ones() -> None:
    kinds = AllowedKinds.of(["Component", " api "])
    assert kinds.words == ("api", "component")
    assert ["component" in kinds, "API" in kinds, "group" in kinds] == [True, True, False]


def test_all_but_the_refused_kinds_are_allowed() -> None:
    kinds = AllowedKinds.of(["-Group"])
    assert ["group" in kinds, "GROUP" in kinds, "component" in kinds, "-group" in kinds] == [False, False, True, True]


@pytest.mark.parametrize("words", [[], [""], ["-"], ["a", ""], ["a", "-b"]])
def test_a_list_that_means_nothing_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="kinds"):
        AllowedKinds.of(words)


def test_nobody_becomes_a_member_through_a_source_that_nobody_vouches_for() -> None:
    assert [kind in UNTRUSTED for kind in ("User", "Group", "Migration", "Component", "Location", "Robot")] == [
        *(False, False, False),
        *(True, True, True),
    ]


def test_only_a_list_of_allowed_kinds_lists_any() -> None:
    assert [AllowedKinds.of([word]).listed for word in ("Component", "-Component")] == [("component",), ()]
