"""Numbers that depend on the variables of a request: written down once, worked out for each request.

    formula = Formula()
    size = formula.unknown(lambda variables: variables["first"])
    total = 1 + 2 * size                        # a number to come
    formula.at({"first": 10})(total)            # 21

What is known from the start is an int, and stays one: `1 + 2 * 3`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MOST = 10**15  # Whatever would be larger stops here. Every reader of JSON has it exactly.

Variables = Mapping[str, Any]
_Line = Callable[[Variables, list[int]], int]  # from the variables and the lines above


class Formula:
    """Numbers to come, each on a line of its own, below the lines that it is made of.

    A number that is used in many places is worked out once, so the work is linear in what was written down.
    """

    def __init__(self) -> None:
        self._lines: list[_Line] = []

    def unknown(self, read: Callable[[Variables], int]) -> Unknown:
        """A number that is read from the variables."""
        return self._write(lambda variables, _: read(variables))

    def at(self, variables: Variables) -> Callable[[Amount], int]:
        """What each amount is with these variables."""
        known: list[int] = []
        for line in self._lines:
            known.append(min(line(variables, known), MOST))
        return lambda amount: amount if isinstance(amount, int) else known[amount.line]

    def combine(self, combined: Callable[[int, int], int], left: Unknown, right: Amount) -> Unknown:
        """The sum or the product of two amounts."""
        first = left.line
        if isinstance(right, int):
            return self._write(lambda _, known: combined(known[first], right))
        second = right.line
        return self._write(lambda _, known: combined(known[first], known[second]))

    def _write(self, line: _Line) -> Unknown:
        self._lines.append(line)
        return Unknown(self, len(self._lines) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Unknown:
    """A number to come. It is added and multiplied as an int is, with its like and with ints."""

    formula: Formula
    line: int

    def __add__(self, other: Amount) -> Unknown:
        return self if other == 0 else self.formula.combine(operator.add, self, other)

    __radd__ = __add__

    def __mul__(self, other: Amount) -> Unknown:
        return self if other == 1 else self.formula.combine(operator.mul, self, other)

    __rmul__ = __mul__


Amount = int | Unknown


def capped(amount: Amount) -> Amount:
    """The amount, at most MOST. A number to come is capped when it comes."""
    return min(amount, MOST) if isinstance(amount, int) else amount
