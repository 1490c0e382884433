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

from db.rules.pointers import Pointer
from db.rules.refs import Ref
from db.rules.search import SearchText

MAX_STEPS = 10
"""The most steps that a closure follows."""


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
    OWNER = "owner_ref", "By the ref of its owner, as declared."
    CREATED_AT = "created_at", "By when it first came into the catalog."
    UPDATED_AT = "updated_at", "By when its metadata or spec last changed."
    PATH = "path", "By the value at `path`: numbers as numbers, before texts."


@dataclass(frozen=True, slots=True)
class EntityOrder:
    """One key of an order of entities."""

    field: EntityOrderField = asks("What to order by.", default=MISSING)
    path: Pointer | None = asks("Of PATH: a JSON pointer (RFC 6901) such as `/spec/tier` or `/metadata/labels/region`.")
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
class NumberFilter:
    """A test of a number. What is absent, or no number, fails every operator but `exists: false` and `ne`.

    Numbers are compared as the shortest decimals that mean them, with all their digits: 0.1 is 0.1.
    """

    eq: float | None = asks("Equal to.")
    ne: float | None = asks("Not equal to, or absent.")
    gt: float | None = asks("Greater than.")
    gte: float | None = asks("Greater than or equal to.")
    lt: float | None = asks("Less than.")
    lte: float | None = asks("Less than or equal to.")
    exists: bool | None = asks("Present, or absent.")


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """A test of a label or an annotation."""

    key: str = asks("The key, with its prefix: `backstage.io/kubernetes-id`.", default=MISSING)
    value: StringFilter | None = asks("What its value must be. Left out, or asking nothing: the key is there.")


@dataclass(frozen=True, slots=True)
class PathFilter:
    """A test of a value anywhere in `spec` or `metadata`. A list is a field of many values: its items.

    With several of `text`, `number` and `boolean` all must hold; with none, or where these ask nothing, the value is
    there. A value of another type is as if absent: the text "3" is no number. Null is absent to all of them.
    """

    path: Pointer = asks(
        "A JSON pointer (RFC 6901): `/spec/profile/email`, `/metadata/labels/a.b~1c`.", default=MISSING
    )
    text: StringFilter | None = asks("What the text there must be.")
    number: NumberFilter | None = asks("What the number there must be.")
    boolean: bool | None = asks("What the boolean there must be.")


@dataclass(frozen=True, slots=True)
class ClosureFilter:
    """What is reached from an entity by following relations of one type."""

    ref: Ref = asks("The entity to start from. A ref needs its kind: `component:dice-roller`.", default=MISSING)
    depth: int | None = asks("How many steps to follow: 1 to 10. Left out: 1.")


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
    label: KeyFilter | None = asks("A label. To test two of them, use `allOf`.")
    annotation: KeyFilter | None = asks("An annotation.")
    path: PathFilter | None = asks("A value anywhere in `spec` or `metadata`.")
    owned_by: Ref | None = asks("Owned by this group or user directly. The kind defaults to Group.", kind="group")
    in_tree_of: Ref | None = asks(
        "Owned by this group, by a group anywhere below it, or by a member of one. The kind defaults to Group.",
        kind="group",
    )
    part_of: Ref | None = asks(
        "Directly part of this system, domain or component. The kind defaults to System.", kind="system"
    )
    depends_on: ClosureFilter | None = asks("Depends on this entity, directly or in so many steps.")
    dependency_of: ClosureFilter | None = asks("Is a dependency of this entity, directly or in so many steps.")
    has_problem: bool | None = asks("Has a problem, or has none.")
    text: SearchText | None = asks(
        "Every word of this is in its name, title, description or tags, or nearly so: as `search` finds it."
    )
    created_at: DateTimeFilter | None = asks("When it first came into the catalog.")
    updated_at: DateTimeFilter | None = asks("When its metadata or spec last changed.")


class FacetField(Described):
    """What entities can be counted by."""

    KIND = "kind", "By kind, as declared."
    NAMESPACE = "namespace", "By namespace."
    TYPE = "type", "By `spec.type`."
    LIFECYCLE = "lifecycle", "By `spec.lifecycle`."
    OWNER = "owner", "By the ref of the owner, as declared."
    SYSTEM = "system", "By the ref of the system, as declared."
    TAG = "tag", "By tag; an entity counts once for each of its tags."
    LABEL = "label", "By the value of the label `key`."


@dataclass(frozen=True, slots=True)
class FacetInput:
    """One way to count entities."""

    field: FacetField = asks("What to count by.", default=MISSING)
    key: str | None = asks("Of LABEL: which label.")
    first: int = asks("How many values to give, the most frequent first: 1 to 100.", default=20)


@dataclass(frozen=True, slots=True)
class ProblemFilter:
    """Which problems."""

    area: tuple[ProblemArea, ...] | None = asks("About one of these areas.")
    rule: tuple[str, ...] | None = asks("Of one of these rules, such as `dangling-reference`.")
    severity: tuple[Severity, ...] | None = asks("Of one of these severities.")
