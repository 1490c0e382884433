"""JSON pointers: what they mean, and that they are written as they were read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.rules.pointers import Hop, Pointer, PointerError, Root


@given(st.sampled_from(Root), st.lists(st.text() | st.sampled_from(["~", "/", "~1", "01", "-1", " 7"]), max_size=20))
def test_a_pointer_is_written_as_it_was_read_and_its_steps_are_as_they_were(root: Root, steps: list[str]) -> None:
    escaped = (step.replace("~", "~0").replace("/", "~1") for step in steps)
    text = "/".join(["", root.value, *escaped])
    pointer = Pointer.parse(text)
    assert (pointer.root, pointer.steps, str(pointer)) == (root, tuple(steps), text)


def test_a_step_that_postgres_would_take_for_a_position_leads_into_mappings_only() -> None:
    assert Pointer.parse("/spec/a/0/01/b/-1/+2/ 3").hops == (
        Hop(("a", "0")),
        Hop(("01",), of_mapping=True),
        Hop(("b",)),
        Hop(("-1",), of_mapping=True),
        Hop(("+2",), of_mapping=True),
        Hop((" 3",), of_mapping=True),
    )
    assert Pointer.parse("/spec/10/-/1e1/٣").hops == (Hop(("10", "-", "1e1", "٣")),)


@pytest.mark.parametrize("text", ["", "/", "spec", "spec/a", "//spec", "/Spec", "/specs/a", "/spec/~", "/spec/a~2b"])
def test_what_leads_nowhere_is_no_pointer(text: str) -> None:
    with pytest.raises(PointerError):
        Pointer.parse(text)


def test_a_pointer_has_twenty_steps_at_most() -> None:
    assert len(Pointer.parse("/spec" + "/a" * 20).steps) == 20
    with pytest.raises(PointerError, match="has 21 steps below /spec; at most 20 are taken"):
        Pointer.parse("/spec" + "/a" * 21)
