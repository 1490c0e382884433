"""Which kinds of entity a source may declare."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class AllowedKinds:
    """A set of kinds, compared without case: either those listed, or all but those refused.

    Written as words: `component`, `api` lists two, `-user`, `-group` refuses two.
    """

    words: tuple[str, ...]  # lower case, sorted; a leading `-` on all of them or on none

    @classmethod
    def of(cls, words: Iterable[str]) -> Self:
        """Raises ValueError for no word at all, an empty one, or a mix of listed and refused kinds."""
        tidy = sorted({word.strip().lower() for word in words})
        if not all(word.removeprefix("-") for word in tidy or [""]):
            raise ValueError("name kinds with commas between them, such as component,api")
        if len({word.startswith("-") for word in tidy}) > 1:
            raise ValueError("either list the allowed kinds, or the refused ones with a '-' before each")
        return cls(tuple(tidy))

    @property
    def listed(self) -> tuple[str, ...]:
        """The kinds of a list of allowed ones; of refused ones, none."""
        return () if self.words[0].startswith("-") else self.words

    def __contains__(self, kind: object) -> bool:
        """Whether an entity of this kind may be declared."""
        name = str(kind).lower()
        return name in self.listed if self.listed else f"-{name}" not in self.words


UNTRUSTED = AllowedKinds.of(("-user", "-group", "-kpidefinition", "-migration", "-pipeline", "-dataset", "-experiment"))
"""What a source may declare that nobody vouches for: all but people, groups, and what Catalograph itself acts upon.

Whoever may commit to a repository could declare a Group with themselves in it.
"""
