"""What a run has read, kept in temporary tables of its transaction until it is compared with the catalog.

Files are added in batches as they are read, by COPY, so a run needs memory for one batch only. The tables are dropped
by the end of the transaction, which makes them safe behind PgBouncer too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import jsonb
from db.rules.kinds import inverse
from db.rules.matches import LONGEST_KEPT
from db.rules.records import Finding, Json, Reading, Record
from db.tables import document, entity, source_file

# Findings by which a document is turned away without being broken: the entity is declared elsewhere, or not allowed.
NOT_BROKEN = frozenset({"duplicate-ref", "kind-not-allowed"})

# The finding that stands for further ones, which may be of any document.
UNSEEN = "too-many-problems"

_TABLES = """
    CREATE TEMP TABLE staged_file (
        path text COLLATE "C", digest text, included text, documents int, rejected int, skipped int,
        keeps boolean,      -- its entities stay, unless another file claims them, or their kind is not allowed
        unchanged boolean,  -- not parsed: its digest is that of the last run
        commit text
    ) ON COMMIT DROP;
    CREATE TEMP TABLE staged_keep (
        ref text COLLATE "C"  -- of a document that was rejected
    ) ON COMMIT DROP;
    CREATE TEMP TABLE staged_finding (
        path text COLLATE "C", rule text COLLATE "C", severity text, message text, hint text,
        document int, line int, field text COLLATE "C", ref text COLLATE "C"
    ) ON COMMIT DROP;
    CREATE TEMP TABLE staged (
        position int, path text COLLATE "C", document int, line int, ref text COLLATE "C", graph_type text COLLATE "C",
        api_version text COLLATE "C", kind text COLLATE "C", namespace text COLLATE "C", name text COLLATE "C",
        title text COLLATE "C", description text COLLATE "C", type text COLLATE "C", lifecycle text COLLATE "C",
        tags text[] COLLATE "C", owner text COLLATE "C", system text COLLATE "C", domain text COLLATE "C",
        parent text COLLATE "C", etag text COLLATE "C", metadata text, spec text,
        lost text,     -- the rule by which another document has the ref
        lost_to text   -- where that one stands
    ) ON COMMIT DROP;
    CREATE TEMP TABLE staged_reference (
        position int,  -- of the entity that declares it
        type text COLLATE "C",
        inverse text COLLATE "C",  -- null: it has none
        target text COLLATE "C", field text COLLATE "C", line int
    ) ON COMMIT DROP;
"""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One file, as a run found it."""

    path: str  # relative to the source's root
    reading: Reading
    digest: str | None = None  # None: to be read again by the next run, whether it changes or not
    unchanged: bool = False  # then the reading holds no records, only the counts of the last run
    commit: str | None = None  # that it was read from, where the source has commits


class KnownFile(NamedTuple):
    """What the last run noted about a file that it read without a finding."""

    digest: str
    included: dict[str, str]  # file that a placeholder read -> sha256 of its bytes
    documents: int
    skipped: int


class KnownLocation(NamedTuple):
    """A Location entity that the source holds."""

    path: str
    ref: str
    spec: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a source's files before a run."""

    files: dict[str, KnownFile] = field(default_factory=dict)
    paths: frozenset[str] = frozenset()  # of all files that hold entities
    locations: tuple[KnownLocation, ...] = ()


def kept(reading: Reading) -> frozenset[str] | None:
    """The refs whose last good entity a file's broken documents keep; None: all that the file holds, but `refused`."""
    broken = {f.ref for f in reading.findings if f.severity == "ERROR" and f.rule not in NOT_BROKEN}
    unseen = any(f.rule == UNSEEN for f in reading.findings)
    return None if unseen or None in broken else frozenset(ref for ref in broken if ref)


def refused(reading: Reading) -> frozenset[str]:
    """The refs that a file declares and may not; they go, even where `kept` is None."""
    return frozenset(f.ref for f in reading.findings if f.rule == "kind-not-allowed" and f.ref)


class Staging:
    """The temporary tables of one run."""

    def __init__(self, connection: AsyncConnection, source_id: int) -> None:
        """Use `open`, which also makes the tables."""
        self._connection = connection
        self._source_id = source_id
        self._position = 0

    @classmethod
    async def open(cls, connection: AsyncConnection, source_id: int) -> Staging:
        """Make the tables; they are gone with the transaction."""
        await script(connection, _TABLES)
        return cls(connection, source_id)

    async def known(self) -> Known:
        """What the catalog holds of the source's files."""
        file, held = source_file.c, entity.c
        files = select(file.path, file.digest, file.included, file.documents, file.skipped)
        paths = select(held.location).distinct()
        locations = select(held.location, held.ref, document.c.spec).join(document).where(held.graph_type == "Location")
        run = self._connection.execute
        return Known(
            {path: KnownFile(*noted) for path, *noted in await run(files.where(file.source_id == self._source_id))},
            frozenset((await run(paths.where(held.source_id == self._source_id))).scalars()),
            tuple(KnownLocation(*row) for row in await run(locations.where(held.source_id == self._source_id))),
        )

    async def add(self, files: Sequence[StagedFile]) -> None:
        """Add files with all that they say."""
        records = []
        for file in files:
            for record in file.reading.records:
                self._position += 1
                records.append((self._position, file.path, record))
        await self._copy("staged_file", (_file_row(file) for file in files))
        await self._copy("staged_keep", ((ref,) for file in files for ref in kept(file.reading) or ()))
        await self._copy("staged_finding", (_finding_row(f.path, found) for f in files for found in f.reading.findings))
        await self._copy("staged", (_record_row(*placed) for placed in records))
        await self._copy("staged_reference", _reference_rows(records))

    async def take_contested(self) -> list[str]:
        """Unchanged files that hold a ref which a changed file claims, in order; they are taken out again.

        Which of the two documents wins must not depend on which of them was there first: both are to be read.
        """
        contested = text(
            "DELETE FROM staged_file f USING entity e, staged s"
            " WHERE f.unchanged AND e.source_id = :source AND e.location = f.path AND s.ref = e.ref"
            " RETURNING f.path"
        )
        return sorted((await self._connection.execute(contested, {"source": self._source_id})).scalars())

    async def lost(self) -> frozenset[str]:
        """The files whose document did not get its ref; `db.sync.compare` says so."""
        lost = text("SELECT path FROM staged WHERE lost IS NOT NULL")
        return frozenset((await self._connection.execute(lost)).scalars())

    async def analyze(self) -> None:
        """Tell the planner how large the tables are; nothing else does, for temporary ones."""
        await self._connection.execute(text(f"ANALYZE {', '.join(_COLUMNS)}"))

    async def _copy(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        columns = _COLUMNS[table]
        await (await _driver(self._connection)).copy_records_to_table(table, records=rows, columns=columns)


_COLUMNS = {
    "staged_file": ["path", "digest", "included", "documents", "rejected", "skipped", "keeps", "unchanged", "commit"],
    "staged_keep": ["ref"],
    "staged_finding": ["path", "rule", "severity", "message", "hint", "document", "line", "field", "ref"],
    "staged": [
        *("position", "path", "document", "line", "ref", "graph_type", "api_version", "kind", "namespace", "name"),
        *("title", "description", "type", "lifecycle", "tags", "owner", "system", "domain", "parent", "etag"),
        *("metadata", "spec"),
    ],
    "staged_reference": ["position", "type", "inverse", "target", "field", "line"],
}  # fmt: skip


def _file_row(file: StagedFile) -> tuple[object, ...]:
    reading = file.reading
    keeps = file.unchanged or kept(reading) is None
    counts = (reading.documents, reading.rejected, reading.skipped)
    included = jsonb.encode_text(reading.included)
    return (file.path, file.digest, included, *counts, keeps, file.unchanged, file.commit)


def _finding_row(path: str, found: Finding) -> tuple[object, ...]:
    place = (found.document, found.line, found.field, found.ref)
    return (path, found.rule, found.severity, found.message, found.hint, *place)


def _record_row(position: int, path: str, record: Record) -> tuple[object, ...]:
    target_of = record.target_of
    parent = target_of("spec.parent") or target_of("spec.subcomponentOf") or target_of("spec.subdomainOf")
    return (
        *(position, path, record.document, record.line, record.ref, record.graph_type),
        *(record.api_version, record.kind, record.namespace, record.name),
        *(record.title, record.description),
        *(text and text[:LONGEST_KEPT] for text in (record.type, record.lifecycle)),
        record.tags,
        *(target_of("spec.owner"), target_of("spec.system"), target_of("spec.domain"), parent, record.etag),
        *(jsonb.encode_text(record.metadata), jsonb.encode_text(record.spec)),
    )


def _reference_rows(records: Iterable[tuple[int, str, Record]]) -> Iterator[tuple[object, ...]]:
    for position, _, record in records:
        for said in record.references:
            yield (position, said.type, inverse(said.type), said.target, said.field, said.line)


async def script(connection: AsyncConnection, statements: str) -> None:
    """Run several statements that take no values in one round trip; a transaction must have begun."""
    await (await _driver(connection)).execute(statements)


async def _driver(connection: AsyncConnection) -> Any:
    """The driver's own connection, for what SQLAlchemy has no words for."""
    return (await connection.get_raw_connection()).driver_connection
