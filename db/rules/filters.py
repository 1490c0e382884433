"""What a client may ask of a list: filters and orders, as plain values.

The GraphQL input types are made from these classes (`schema/inputs.py`), and `db/queries/matching.py` turns their
values into SQL, so that each is written once. A field left out and a field given as null are the same: it asks nothing.
The fields of one filter must all hold.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Self

from db.rules.refs import Ref


def asks(description: str, *, default: Any = None, kind: str | None = None, any_case: bool = False) -> Any:
    """A field of an input: absent unless given, or required with MISSING.

    `kind` is the default kind of a reference; with `any_case` the texts in it are read in lower case.
    """
    return field(default=default, metadata={"description": description, "kind": kind, "any_case": any_case})


class Described(Enum):
    """An enum whose members say what they mean: `NAME = value, description`."""

    description: str

    def __new__(cls, value: str, description: str) -> Self:
        """A member of this value."""
        member = object.__new__(cls)
        member._value_ = value
        member.description = description
        return member


class OrderDirection(Described):
    """Which end of an order comes first."""

    ASC = "ASC", "Smallest, earliest or first in the alphabet."
    DESC = "DESC", "Largest, latest or last in the alphabet."


class NullsOrder(Described):
    """Where absent values stand in an order, whatever its direction."""

    FIRST = "FIRST", "Before all others."
    LAST = "LAST", "After all others."


class Severity(Described):
    """How bad a problem is."""

    INFO = "INFO", "Good to know."
    WARNING = "WARNING", "It works, but somebody should look."
    ERROR = "ERROR", "It does not work."


class ProblemArea(Described):
    """What part of the company a problem is about."""

    CATALOG = "CATALOG", "The catalog itself: files, references, ownership."
    WORKLOAD = "WORKLOAD", "Something that runs in a cluster."
    PIPELINE = "PIPELINE", "A data pipeline or its data."
    KPI = "KPI", "A number past its line."
    MIGRATION = "MIGRATION", "A tech migration."


class EntityOrderField(Described):
    """What entities can be ordered by."""

    NAME = "sort_name", "By name, without case."
    TITLE = "title", "By title."
    KIND = "kind", "By kind."
    NAMESPACE = "namespace", "By namespace."
    TYPE = "type", "By `spec.type`."
    LIFECYCLE = "lifecycle", "By `spec.lifecycle`."
    CREATED_AT = "created_at", "By when it first came into the catalog."
    UPDATED_AT = "updated_at", "By when its metadata or spec last changed."


@dataclass(frozen=True, slots=True)
class EntityOrder:
    """One key of an order of entities."""

    field: EntityOrderField = asks("What to order by.", default=MISSING)
    direction: OrderDirection = asks("Ascending or descending.", default=OrderDirection.ASC)
    nulls: NullsOrder = asks("Where entities without a value stand.", default=NullsOrder.LAST)


@dataclass(frozen=True, slots=True)
class StringFilter:
    """A test of a text. An absent text fails every operator but `exists: false`, `ne` and `notIn`.

    Of a field with many values, such as tags, `eq`, `in`, `prefix` and `contains` hold if they hold for some value,
    `ne` and `notIn` if for none.
    """

    eq: str | None = asks("Equal to.")
    ne: str | None = asks("Not equal to, or absent.")
    in_: tuple[str, ...] | None = asks("One of these. An empty list matches nothing.")
    not_in: tuple[str, ...] | None = asks("None of these, or absent.")
    prefix: str | None = asks("Starts with.")
    contains: str | None = asks("Contains.")
    exists: bool | None = asks("Present, or absent.")


@dataclass(frozen=True, slots=True)
class DateTimeFilter:
    """A test of an instant."""

    after: datetime | None = asks("Later than.")
    before: datetime | None = asks("Earlier than.")


@dataclass(frozen=True, slots=True)
class EntityFilter:
    """Which entities. All the given fields must hold; `anyOf`, `allOf` and `not` combine filters."""

    all_of: tuple[EntityFilter, ...] | None = asks("All of these hold.")
    any_of: tuple[EntityFilter, ...] | None = asks("At least one of these holds. An empty list matches nothing.")
    not_: EntityFilter | None = asks("This does not hold.")
    ref: tuple[Ref, ...] | None = asks("One of these entities. A ref needs its kind: `component:dice-roller`.")
    kind: StringFilter | None = asks("The kind, compared without case.", any_case=True)
    namespace: StringFilter | None = asks("The namespace, compared without case.", any_case=True)
    name: StringFilter | None = asks("The name, compared without case.", any_case=True)
    title: StringFilter | None = asks("The title.")
    type: StringFilter | None = asks("`spec.type`, such as `service`.")
    lifecycle: StringFilter | None = asks("`spec.lifecycle`, such as `production`.")
    tag: StringFilter | None = asks("The tags.")
    owned_by: Ref | None = asks("Owned by this group or user directly. The kind defaults to Group.", kind="group")
    part_of: Ref | None = asks(
        "Directly part of this system, domain or component. The kind defaults to System.", kind="system"
    )
    has_problem: bool | None = asks("Has a problem, or has none.")
    created_at: DateTimeFilter | None = asks("When it first came into the catalog.")
    updated_at: DateTimeFilter | None = asks("When its metadata or spec last changed.")


@dataclass(frozen=True, slots=True)
class ProblemFilter:
    """Which problems."""

    area: tuple[ProblemArea, ...] | None = asks("About one of these areas.")
    rule: tuple[str, ...] | None = asks("Of one of these rules, such as `dangling-reference`.")
    severity: tuple[Severity, ...] | None = asks("Of one of these severities.")
