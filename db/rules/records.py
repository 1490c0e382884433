"""What reading a descriptor file gives: records to keep, findings to show.

These are plain values. `db.rules.descriptors` makes them from text, `db.sync` writes them to Postgres.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Json = Any  # a value that JSON can hold

Severity = Literal["INFO", "WARNING", "ERROR"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference that an entity declares in its spec, and the relation that it means.

    The relation is seen from the declaring entity: `spec.owner` is `ownedBy`, `spec.dependencyOf` is `dependencyOf`.
    A mirrored entity also has relations that upstream knows and no field says.
    """

    field: str | None  # dotted, with positions in brackets: `spec.dependsOn[2]`
    type: str  # `ownedBy`, `partOf`, `dependsOn`, ... (of `RELATION_PAIRS`; of a mirrored entity also others)
    target: str  # canonical ref
    line: int | None  # in the file, from 1; None where no field says it


@dataclass(frozen=True, slots=True)
class Record:
    """One accepted entity of a file."""

    ref: str  # canonical: `component:default/dice-roller`
    api_version: str
    kind: str  # kind, namespace and name keep the case of the file
    namespace: str
    name: str
    graph_type: str  # the GraphQL type that serves it: `Component`, ..., `CustomEntity`
    title: str  # metadata.title, else the name
    description: str | None
    type: str | None  # spec.type
    lifecycle: str | None  # spec.lifecycle
    tags: tuple[str, ...]
    metadata: dict[str, Json]  # whole, placeholders replaced
    spec: dict[str, Json]  # whole, placeholders replaced; `{}` where the file has none
    references: tuple[Reference, ...]
    document: int  # position in the file, from 1
    line: int  # where the document starts in the file, from 1
    etag: str  # hex digest of api_version, kind, metadata and spec

    def target_of(self, spec_field: str) -> str | None:
        """The canonical ref that a single-valued spec field names: `record.target_of("spec.owner")`."""
        return next((r.target for r in self.references if r.field == spec_field), None)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in a file, with its place. An ERROR means that the document (or file) was rejected."""

    rule: str  # of `db.rules.descriptors.RULES`, or what only a run can find, as `file-unreadable`
    severity: Severity
    message: str
    line: int  # from 1
    document: int | None = None  # position in the file, from 1; None: the whole file
    field: str | None = None  # dotted: `metadata.annotations.foo`, `spec.dependsOn[2]`
    hint: str | None = None
    ref: str | None = None  # the entity's canonical ref, where the document got far enough to have one


@dataclass(slots=True)
class Reading:
    """All that one file says."""

    documents: int = 0  # non-empty ones, the skipped included
    records: list[Record] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    rejected: int = 0  # documents that gave no record (skipped ones not counted)
    skipped: int = 0  # documents of Kubernetes' own API groups
    included: dict[str, str] = field(default_factory=dict)  # file that a placeholder read -> sha256 of its bytes
