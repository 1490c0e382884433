"""Chance that repeats itself: two executions of one operation see the same values, and the same errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import Any


@dataclass
class Play:
    """One execution: the salt that decides what every field gives, and what was done in it.

    What was done so far is not in its text, for that depends on which sibling came first, and answers hold that text.
    """

    salt: int
    #: Of resolvers and what wraps them: object, field, arguments.
    calls: Counter[str] = field(default_factory=Counter, repr=False)
    #: Of mutations, in the order in which they happened.
    effects: list[tuple[Any, ...]] = field(default_factory=list, repr=False)

    def draw(self, among: int, *about: Any) -> int:
        """A number below `among`, always the same for this salt and what it is about."""
        digest = blake2s(repr((self.salt, *about)).encode(), digest_size=6).digest()
        return int.from_bytes(digest) % among


@dataclass(frozen=True, slots=True)
class Thing:
    """What stands behind an object of the graph; its number decides all that the object does."""

    play: Play
    number: int

    def draw(self, among: int, *about: Any) -> int:
        """A number below `among`."""
        return self.play.draw(among, self.number, *about)

    def call(self, name: str, *arguments: Any) -> None:
        """Note that a resolver was called."""
        self.play.calls[f"{self.number} {name} {arguments}"] += 1

    def other(self, *about: Any) -> Thing:
        """Some other thing."""
        return Thing(self.play, self.draw(10**6, *about))

    def gives(
        self,
        name: str,
        good: Callable[[Thing], Any],
        *arguments: Any,
        null: int = 0,
        error: int = 0,
        wrong: Sequence[Any] = (),
    ) -> Any:
        """What the resolver `name` gives: something good, or, so many times in a hundred, null or an error.

        An error is raised, or handed over as if it were a value. Each of the `wrong` values comes once in a hundred.
        """
        self.call(name, *arguments)
        chance = self.draw(100, name, arguments)
        if chance < null:
            return None
        if chance < null + error:
            failure = ValueError(f"{name} of {self.number} failed")
            if self.draw(3, name, "is handed over"):
                raise failure
            return failure
        chance -= null + error
        return wrong[chance] if chance < len(wrong) else good(self)

    def several(self, name: str, one: Callable[[Thing], Any], *, null: int = 0, error: int = 0) -> list[Any]:
        """Up to three things, of which so many in a hundred are null, or errors."""
        others = [self.other(name, place) for place in range(self.draw(4, name, "length"))]
        return [other._item(one, null, error) for other in others]

    def _item(self, one: Callable[[Thing], Any], null: int, error: int) -> Any:
        chance = self.draw(100, "as an item")
        if chance < null + error:
            return None if chance < null else ValueError(f"{self.number} failed as an item")
        return one(self)
