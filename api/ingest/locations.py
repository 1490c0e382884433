"""Where Location entities point: to files of the same tree and to pages of the web, which are then read too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from api.ingest.errors import ShutError, UnreadableError
from api.ingest.trees import Found, Tree
from db.rules.records import Finding, Json, Reading, Record

RULE = "location-target"

# How many Locations may lead to a file, one to the next, from what the source itself names.
MAX_HOPS = 10


def follow(tree: Tree, file: str, reading: Reading, *, hops: int = 0) -> list[Found]:
    """The files that the Locations of a file point to, also those that do not open now.

    `hops`: how many Locations led to the file. A target that leads nowhere becomes a finding of the reading.
    `presence: optional` keeps silent about such a target, as in Backstage.
    """
    found: list[Found] = []
    for record in reading.records:
        if record.graph_type != "Location":
            continue
        optional = _is_optional(record.spec)
        for field, target in _targets(record.spec):
            try:
                found += _resolved(tree, file, target, hops, optional=optional)
            except UnreadableError as error:
                if not optional:
                    reading.findings.append(_not_followed(record, field, target, error))
    return found


def followed_before(tree: Tree, file: str, spec: dict[str, Json], *, hops: int = 0) -> list[Found]:
    """The files that a Location which the catalog has points to; targets that lead nowhere are left out."""
    found: list[Found] = []
    for _, target in _targets(spec):
        try:
            found += _resolved(tree, file, target, hops, optional=_is_optional(spec))
        except UnreadableError:
            continue
    return found


def _is_optional(spec: dict[str, Json]) -> bool:
    return bool(spec.get("presence") == "optional")


def _targets(spec: dict[str, Json]) -> Iterator[tuple[str, str]]:
    if spec.get("target"):
        yield "spec.target", spec["target"]
    for position, target in enumerate(spec.get("targets") or ()):
        yield f"spec.targets[{position}]", target


def _resolved(tree: Tree, file: str, target: str, hops: int, *, optional: bool) -> list[Found]:
    """The files that a target stands for, or the place that does not open now. Raises UnreadableError for neither."""
    if hops >= MAX_HOPS:
        raise UnreadableError(f"more than {MAX_HOPS} Locations lead to it, one to the next")
    try:
        return [replace(found, optional=optional) for found in tree.named(file, target)]
    except ShutError as error:
        return [Found(error.path, error.path, unreadable=str(error))]


def _not_followed(record: Record, field: str, target: str, error: UnreadableError) -> Finding:
    return Finding(
        rule=RULE,
        severity="WARNING",
        message=f"{target} is not followed: {error}",
        line=record.line,
        document=record.document,
        field=field,
        hint="`presence: optional` says that a target may be missing.",
        ref=record.ref,
    )
