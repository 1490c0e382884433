"""Counts of entities by what they have in common."""

from collections.abc import Sequence
from typing import Any

import strawberry

from db.queries import facets
from db.rules.filters import FacetField, FacetInput
from schema.errors import BadUserInput
from schema.levels.asked import Asked
from schema.levels.edge import ListField, derived

MAX_FACETS = 10
MAX_VALUES = 100


@strawberry.type(description="A value, and how many entities have it.")
class FacetValue:
    """One of the pairs in `counts`."""

    value: str | None = strawberry.field(description="The value; null for those that have none.")
    count: int = strawberry.field(description="How many entities have it.")


def _values(counts: list[tuple[str | None, int]]) -> list[FacetValue]:
    return [FacetValue(value=value, count=count) for value, count in counts]


@strawberry.type(description="How many entities there are of each value of a field.")
class Facet:
    """A row of `db.queries.facets.counted`."""

    field: FacetField = derived(FacetField, "field", description="What they are counted by.")
    key: str | None = strawberry.field(description="Of LABEL: which label.")
    values: list[FacetValue] = derived(_values, "counts", description="The most frequent first, then by value.")


class FacetsField(ListField):
    """A list of facets. What is asked of each is checked here, beyond what its types say."""

    def _asked(self, arguments: dict[str, Any]) -> Asked:
        _check(arguments["of"])
        return super()._asked(arguments)


def facets_of_entities(description: str) -> Any:
    """The field that counts entities, in one statement."""
    return FacetsField(
        facets.counted,
        description,
        order=("position",),
        arguments={"of": f"What to count by: 1 to {MAX_FACETS} facets, which are given in this order."},
    )


def _check(asked: Sequence[FacetInput]) -> None:
    if not 1 <= len(asked) <= MAX_FACETS:
        raise BadUserInput(f"`of` has {len(asked)} facets; 1 to {MAX_FACETS} are counted.")
    for facet in asked:
        if not 1 <= facet.first <= MAX_VALUES:
            raise BadUserInput(f"`of.first` is {facet.first}; 1 to {MAX_VALUES} values are given.")
        if (facet.key is None) is (facet.field is FacetField.LABEL):
            raise BadUserInput("`of.key` says which label: LABEL needs it, and no other field takes it.")
