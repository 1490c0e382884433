"""Errors of one run, and what they leave of its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, located_error

from schema.levels.positions import Path, Positions

if TYPE_CHECKING:
    from schema.levels.plan import Field


Keys = tuple[str | int, ...]


class Failures:
    """Values that failed. Each is null in the data so far, whether null is allowed there or not."""

    def __init__(self) -> None:
        self._noted: list[tuple[Path, Exception, Field]] = []

    def __bool__(self) -> bool:
        return bool(self._noted)

    def note(self, error: Exception, field: Field, positions: Positions, at: int, below: Path = ()) -> None:
        """Value `at` of the field failed, or what is `below` it in its lists."""
        self._noted.extend((path + below, error, field) for path in positions.paths(at))

    def nulls_all(self) -> bool:
        """Whether the answer is null as a whole."""
        return any(all(step.is_nonnull for step in path) for path, _, _ in self._noted)

    def settle(self, data: Any) -> tuple[Any, list[GraphQLError]]:
        """The data, with nulls moved up to where null is allowed, and the errors, in the order of the response.

        Each null has one error: of several that lead to it, the first; the specification leaves the choice. What is
        wrong below a null is not told.
        """
        self._noted.sort(key=lambda noted: [step.order for step in noted[0]])
        ends = {_nulled(path) for path, _, _ in self._noted}
        told: dict[Keys, GraphQLError] = {}
        for path, error, field in self._noted:
            end = _nulled(path)
            if end not in told and not any(end[:length] in ends for length in range(len(end))):
                told[end] = located_error(error, field.nodes, [step.key for step in path])
        for end in told:
            if not end:
                return None, list(told.values())
            _set_null(data, end)
        return data, list(told.values())


def _nulled(path: Path) -> Keys:
    """The innermost position on the path that may be null; that of the whole answer has no keys."""
    end = len(path)
    while end and path[end - 1].is_nonnull:
        end -= 1
    return tuple(step.key for step in path[:end])


def _set_null(data: Any, keys: Keys) -> None:
    for key in keys[:-1]:
        data = data[key]
    data[keys[-1]] = None
