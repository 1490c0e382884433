"""JSON pointers (RFC 6901) to a value in an entity's document: `/spec/tier`, `/metadata/labels/a.b~1c`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from db.rules.shown import shown

MAX_STEPS = 20
"""The most steps below `/spec` or `/metadata`."""

_LONE_TILDE = re.compile(r"~(?![01])")
# What Postgres takes for a position in a list, and what RFC 6901 does: without sign, blank or leading zero.
_NUMBER = re.compile(r"[ \t-\r]*[-+]?[0-9]+")
_POSITION = re.compile(r"0|[1-9][0-9]*")


class PointerError(ValueError):
    """A text that is no pointer into a document; the message says why."""


class Root(Enum):
    """What of a document a pointer leads into."""

    METADATA = "metadata"
    SPEC = "spec"


@dataclass(frozen=True, slots=True)
class Hop:
    """Steps that are taken at once: keys of mappings, and positions in lists from 0.

    A step such as `-1` or `01` is a key and no position, though Postgres would take it for one. It is a hop of its
    own, which only leads into a mapping.
    """

    steps: tuple[str, ...]
    of_mapping: bool = False


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where a value stands. `str(pointer)` parses to the same pointer."""

    root: Root
    hops: tuple[Hop, ...] = ()

    def __str__(self) -> str:
        return "/".join(["", self.root.value, *(step.replace("~", "~0").replace("/", "~1") for step in self.steps)])

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps below the root."""
        return tuple(step for hop in self.hops for step in hop.steps)

    @classmethod
    def parse(cls, text: str) -> Pointer:
        """The pointer that `text` means. Raises PointerError."""
        start, *steps = text.split("/")
        if start or not steps or steps[0] not in {root.value for root in Root}:
            raise PointerError(f"{shown(text)} leads nowhere: a path starts with /spec or /metadata")
        if _LONE_TILDE.search(text):
            raise PointerError(f"{shown(text)} has a lone ~: in a path ~ is written ~0, and / in a key ~1")
        root, *steps = (step.replace("~1", "/").replace("~0", "~") for step in steps)
        if len(steps) > MAX_STEPS:
            raise PointerError(f"{shown(text)} has {len(steps)} steps below /{root}; at most {MAX_STEPS} are taken")
        return cls(Root(root), tuple(_hops(steps)))


def _hops(steps: Iterable[str]) -> Iterator[Hop]:
    together: list[str] = []
    for step in steps:
        if _NUMBER.fullmatch(step) and not _POSITION.fullmatch(step):
            if together:
                yield Hop(tuple(together))
            yield Hop((step,), of_mapping=True)
            together = []
        else:
            together.append(step)
    if together:
        yield Hop(tuple(together))
