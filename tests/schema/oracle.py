"""What filters and orders mean in a catalog, in plain Python: what SQL is held to.

What an image answers is judged by `db.rules.matches`, as a live feed does; what only the whole catalog answers, by the
breadth-first searches here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from db.rules.descriptors import read
from db.rules.filters import ClosureFilter, DateTimeFilter, EntityFilter, EntityOrder, NullsOrder, OrderDirection
from db.rules.matches import Image, compiled, image_of, unanswerable, value_at
from db.rules.refs import Ref
from tests.ingesting import Catalog

Refs = list[str]

_NOT_OF_IMAGES = (
    *("all_of", "any_of", "not_", "has_problem", "depends_on", "dependency_of", "text", "created_at", "updated_at"),
)


@dataclass(frozen=True)
class Oracle:
    """A catalog in plain Python, and what filters and orders mean in it."""

    images: dict[str, Image]  # by ref
    ids: dict[str, int]
    instants: dict[str, tuple[datetime, datetime]]  # of the first and the last writing
    dependencies: set[tuple[str, str]]  # who depends on whom, existing or not
    below: set[tuple[str, str]]  # a group and one right below it
    members: set[tuple[str, str]]  # a group and a member
    with_problem: set[str]

    def matching(self, wanted: EntityFilter) -> set[str]:
        """The refs that match."""
        if unanswerable(wanted) is None:
            judge = compiled(wanted, self.tree)
            return {ref for ref, image in self.images.items() if judge(image)}
        return self.all.intersection(*self._matching_parts(wanted))

    @property
    def all(self) -> set[str]:
        return set(self.images)

    def _matching_parts(self, wanted: EntityFilter) -> Iterator[set[str]]:
        """What matches each field that no image answers, or that holds such a one; and what matches the rest."""
        yield self.matching(replace(wanted, **dict.fromkeys(_NOT_OF_IMAGES)))
        yield from (self.matching(part) for part in wanted.all_of or ())
        if wanted.any_of is not None:
            yield set().union(*(self.matching(part) for part in wanted.any_of))
        if wanted.not_ is not None:
            yield self.all - self.matching(wanted.not_)
        if wanted.has_problem is not None:
            yield self.with_problem if wanted.has_problem else self.all - self.with_problem
        if wanted.depends_on is not None:
            yield self._reached(wanted.depends_on, {(target, source) for source, target in self.dependencies})
        if wanted.dependency_of is not None:
            yield self._reached(wanted.dependency_of, self.dependencies)
        for position, asked in enumerate((wanted.created_at, wanted.updated_at)):
            if asked is not None:
                yield {ref for ref, instants in self.instants.items() if is_within(asked, instants[position])}

    def _reached(self, asked: ClosureFilter, steps: set[tuple[str, str]]) -> set[str]:
        return reached({str(asked.ref)}, steps, asked.depth or 1)

    def tree(self, root: Ref) -> set[str]:
        """The owners inside the tree of a group."""
        groups = {str(root)} | reached({str(root)}, self.below, 10)
        return groups | reached(groups, self.members, 1)

    def ordered(self, refs: set[str], keys: Sequence[EntityOrder]) -> Refs:
        """The refs by these keys, then by name and id, in the direction of the last key."""
        found = sorted(refs, key=lambda ref: (self.images[ref].name.lower(), self.ids[ref]), reverse=is_downward(keys))
        for key in reversed(keys):
            found = by_key(found, partial(self.value, key), key)
        return found

    def value(self, key: EntityOrder, ref: str) -> Any:
        """What a key is of an entity; None: absent."""
        image, (created, updated) = self.images[ref], self.instants[ref]
        match key.field.name:
            case "NAME":
                return image.name.lower()
            case "CREATED_AT":
                return created
            case "UPDATED_AT":
                return updated
            case "PATH":
                assert key.path is not None
                return place_of(value_at(key.path)(image))
            case name:
                return getattr(image, name.lower())


def is_within(asked: DateTimeFilter, at: datetime) -> bool:
    return (asked.after is None or at > asked.after) and (asked.before is None or at < asked.before)


def reached(starts: set[str], steps: set[tuple[str, str]], depth: int) -> set[str]:
    """What is one to `depth` steps away from one of the starts; in a circle these themselves, too."""
    found: set[str] = set()
    front = starts
    for _ in range(depth):
        front = {target for source, target in steps if source in front} - found
        found |= front
    return found


def is_downward(keys: Sequence[EntityOrder]) -> bool:
    """Whether ties go downward."""
    return bool(keys) and keys[-1].direction is OrderDirection.DESC


def by_key(refs: Refs, value: Callable[[str], Any], key: EntityOrder) -> Refs:
    """The refs by one key, in their order where it is equal."""
    present = [ref for ref in refs if value(ref) is not None]
    absent = [ref for ref in refs if value(ref) is None]
    present.sort(key=value, reverse=key.direction is OrderDirection.DESC)
    return absent + present if key.nulls is NullsOrder.FIRST else present + absent


def place_of(value: Any) -> tuple[int, Any] | None:
    """The place of a JSON value in an order: numbers, then texts; others have none."""
    if isinstance(value, bool):
        return (1, str(value).lower())
    if isinstance(value, int | float):
        return (0, float(value))
    return (1, value) if isinstance(value, str) else None


async def oracle_of(catalog: Catalog, written: bytes) -> Oracle:
    """The images from the change log; relations and problems from the files."""
    changes = await catalog.rows(
        "SELECT r.ref, c.after, c.links_after FROM change c JOIN ref r ON r.id = c.entity_id ORDER BY seq"
    )
    images = {ref: image_of(after, links) for ref, after, links in changes}
    assert [image.ref for image in images.values()] == list(images)
    reading = read(written, include=_nothing)
    said = {
        (record.ref, reference.type, reference.target) for record in reading.records for reference in record.references
    }
    return Oracle(
        images=images,
        ids=dict(await catalog.rows("SELECT ref, id FROM ref")),
        instants={ref: (*at,) for ref, *at in await catalog.rows("SELECT ref, created_at, updated_at FROM entity")},
        dependencies=_related(said, "dependsOn", "dependencyOf"),
        below=_related(said, "parentOf", "childOf"),
        members=_related(said, "hasMember", "memberOf"),
        with_problem={finding.ref for finding in reading.findings if finding.ref}
        | {ref for ref, _, target in said if target not in images},
    )


def _nothing(path: str) -> bytes:
    raise AssertionError(f"no document of these includes {path}")


def _related(said: set[tuple[str, str, str]], forward: str, inverse: str) -> set[tuple[str, str]]:
    """The pairs of a relation, whichever of the two says so."""
    return {(source, target) for source, relation, target in said if relation == forward} | {
        (target, source) for source, relation, target in said if relation == inverse
    }
