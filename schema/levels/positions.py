"""Where objects stand in the response. Nobody asks unless something goes wrong, so it is found out only then.

A level knows the level above it, and how its objects hang there. The path of an object is a tuple of steps from the
root; an object that several others share has several paths.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from graphql import GraphQLList, GraphQLNonNull

if TYPE_CHECKING:
    from schema.levels.plan import Field


class PathStep(NamedTuple):
    """One key of a path: a response key or an index, where it stands among its siblings, and whether null may."""

    order: int
    key: str | int
    is_nonnull: bool
    type_name: str | None


Path = tuple[PathStep, ...]


def index_step(index: int, type_: GraphQLList[Any]) -> PathStep:
    """The step to an item of a list of this type."""
    return PathStep(index, index, isinstance(type_.of_type, GraphQLNonNull), None)


class Positions(Protocol):
    """The positions of the objects of one level."""

    def paths(self, at: int) -> Iterator[Path]:
        """All paths of object `at`."""

    def type_name(self, at: int) -> str | None:
        """The name of its type, where its level has several and does not keep them apart."""


class Root:
    """The object that an operation starts from."""

    def paths(self, at: int) -> Iterator[Path]:
        """One, of no steps."""
        yield ()

    def type_name(self, at: int) -> None:
        """There is but one."""


class Under:
    """Value `at` is that of one field of object `at` of the level above."""

    def __init__(self, above: Positions, field: Field) -> None:
        self._above, self._field = above, field

    def paths(self, at: int) -> Iterator[Path]:
        """Those of the object, and the field's key."""
        field = self._field
        step = PathStep(field.position, field.key, field.is_nonnull, self.parent_name(at))
        for path in self._above.paths(at):
            yield (*path, step)

    def type_name(self, at: int) -> None:
        """Its field's type says it."""

    def parent_name(self, at: int) -> str:
        """The name of the type whose field it is."""
        return self._above.type_name(at) or self._field.parent.name


class Items:
    """The values are the items of the lists of the level above, one list after the other."""

    def __init__(self, above: Under | Items | Picked, counts: Sequence[int], type_: GraphQLList[Any]) -> None:
        self._above, self._counts, self._type = above, counts, type_

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(self._counts))

    def _list_of(self, at: int) -> int:
        return bisect_right(self._ends, at)

    def paths(self, at: int) -> Iterator[Path]:
        """Those of its list, and its index there."""
        which = self._list_of(at)
        index = at - self._ends[which] + self._counts[which]
        for path in self._above.paths(which):
            yield (*path, index_step(index, self._type))

    def type_name(self, at: int) -> None:
        """Its field's type says it."""

    def parent_name(self, at: int) -> str:
        """The name of the type whose field it is."""
        return self._above.parent_name(self._list_of(at))


class Picked:
    """Value `at` is one of the values of the level above, or stands for several of them."""

    def __init__(self, above: Under | Items | Picked, which: Sequence[int] | Sequence[Sequence[int]]) -> None:
        self._above, self._which = above, which

    def _those(self, at: int) -> Sequence[int]:
        which = self._which[at]
        return (which,) if isinstance(which, int) else which

    def paths(self, at: int) -> Iterator[Path]:
        """Those of all that it stands for."""
        for which in self._those(at):
            yield from self._above.paths(which)

    def type_name(self, at: int) -> None:
        """Its field's type says it."""

    def parent_name(self, at: int) -> str:
        """The name of the type whose field it is."""
        return self._above.parent_name(self._those(at)[0])


class Typed:
    """The objects of the level above, with the name of each one's type: several types share one selection."""

    def __init__(self, above: Positions, names: Sequence[str | None]) -> None:
        self._above, self._names = above, names

    def paths(self, at: int) -> Iterator[Path]:
        """The same."""
        return self._above.paths(at)

    def type_name(self, at: int) -> str | None:
        """The name of its type."""
        return self._names[at]
