"""Minimal-diff writes: what a run has staged is compared with the catalog, and only what differs is written.

Every statement works on sets, so their number does not depend on the number of entities. `compare` says who has each
ref, and which entities are created, updated and deleted by that; `write` writes it, the change log last.

An entity counts as changed when its etag does. One that merely moved (to another line or file) is updated without that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Column, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import changes, locks, runs
from db.rules.records import Json
from db.runs import Counts, Run, Source
from db.staging import script

# A document may have megabytes.
_DOCUMENTS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """How much a run is about to write, and the moment that everything it writes carries."""

    at: datetime
    added: int
    changed: int
    removed: int
    held: int  # entities that the source holds before
    whole: bool  # what was compared is the whole source

    def after(self, earlier: Iterable[Difference]) -> Difference:
        """The same together with what the run has written `earlier`, which has removed nothing."""
        added, changed = self.added, self.changed
        for each in earlier:
            added, changed = added + each.added, changed + each.changed
        return replace(self, added=added, changed=changed, held=self.held - (added - self.added))


class Change(NamedTuple):
    """One entity that a run creates, updates or deletes; documents are `{apiVersion, kind, metadata, spec}`."""

    kind: str  # CREATED, UPDATED or DELETED
    ref: str
    before: dict[str, Json] | None
    after: dict[str, Json] | None


async def compare(connection: AsyncConnection, source_id: int, *, whole: bool = True) -> Difference:
    """Compare what is staged with the catalog, which nobody else writes to from here until the transaction ends.

    What is staged is the whole source, or only the files that may differ: the others then stay as they are. A file
    that is gone is staged as one without documents.
    """
    await locks.lock(connection, locks.CATALOG)
    await script(connection, _TABLES)
    values = {"source": source_id, "whole": whole}
    for statement in (*_CLAIMS, _WRITTEN):
        await connection.execute(text(statement), values)
    at, added, changed, removed, held = (await connection.execute(text(_DIFFERENCE), values)).one()
    return Difference(at, added, changed, removed, held, whole)


async def differences(connection: AsyncConnection) -> AsyncIterator[Change]:
    """Each entity that `compare` found different, by ref; a few are in memory at a time."""
    columns = (Column("kind", Text), Column("ref", Text), Column("before", JSONB), Column("after", JSONB))
    statement = text('SELECT kind, ref, "before", "after" FROM written ORDER BY ref').columns(*columns)
    rows = await connection.stream(statement, execution_options={"max_row_buffer": _DOCUMENTS_AT_ONCE})
    async for row in rows:
        yield Change(*row)


async def write(connection: AsyncConnection, run: Run, declared: Source, difference: Difference) -> Counts:
    """Write what `compare` found, the end of the run and the change log; to be committed at once.

    Returns what the run amounts to.
    """
    await apply(connection, run.source_id, difference)
    totals = await connection.execute(text(_TOTALS), {"source": run.source_id})
    documents, rejected, skipped, problems = totals.one()
    entities = difference.held + difference.added - difference.removed
    counts = Counts(
        documents=documents,
        entities=entities,
        added=difference.added,
        changed=difference.changed,
        removed=difference.removed,
        unchanged=entities - difference.added - difference.changed,
        rejected=rejected,
        skipped=skipped,
        problems=problems,
    )
    await runs.finish(connection, run, declared, counts)
    await log(connection, difference, by=f"source:{declared.name}")
    return counts


async def apply(connection: AsyncConnection, source_id: int, difference: Difference) -> None:
    """Write what `compare` found, without the change log: `log` has to follow, last before the commit."""
    values = {"source": source_id, "at": difference.at, "whole": difference.whole}
    for statement in (*_NAMES, *_ENTITIES, *_RELATIONS, *_PROBLEMS, *_FILES):
        await connection.execute(text(statement), values)


async def log(connection: AsyncConnection, difference: Difference, *, by: str) -> None:
    """Append what was written to the change log; to be committed at once."""
    await changes.append(connection, text(_ENTRIES).bindparams(by=by, at=difference.at))


async def refresh_statistics(connection: AsyncConnection) -> None:
    """Tell the planner how large the tables have become; not of one that somebody else is just counting."""
    await connection.execute(text("ANALYZE (SKIP_LOCKED) ref, entity, document, relation, problem"))


# All text is compared byte by byte, as in the tables proper.
_TABLES = """
    -- which entities are created, updated and deleted
    CREATE TEMP TABLE written (
        kind text, ref text COLLATE "C", "before" jsonb, "after" jsonb, links_before jsonb, links_after jsonb
    ) ON COMMIT DROP;
    -- the accepted documents, with ids for names
    CREATE TEMP TABLE claim (
        position int, id bigint, owner_id bigint, system_id bigint, domain_id bigint, parent_id bigint
    ) ON COMMIT DROP;
    -- entities that were deleted
    CREATE TEMP TABLE gone (id bigint) ON COMMIT DROP;
    -- the relations that the accepted documents declare, in both directions
    CREATE TEMP TABLE said (
        source_id bigint, type text COLLATE "C", target_id bigint, declared_by bigint, field text COLLATE "C", line int
    ) ON COMMIT DROP;
    -- the problems that there are, as far as this run can tell
    CREATE TEMP TABLE found (
        key text COLLATE "C", rule text COLLATE "C", severity text COLLATE "C", message text COLLATE "C",
        hint text COLLATE "C", entity_id bigint, target_id bigint, source_id int,
        location text COLLATE "C", document int, line int, field text COLLATE "C"
    ) ON COMMIT DROP;
"""

# Who has each ref. `staged.lost` marks the documents that do not get theirs.
_CLAIMS = (
    # What another source holds stays with it.
    """
    UPDATE staged s SET lost = 'ref-conflict', lost_to = format('%s:%s of the source %s', e.location, e.line, o.name)
    FROM entity e JOIN source o ON o.id = e.source_id
    WHERE e.ref = s.ref AND e.source_id <> :source
    """,
    # Within the source the first file has it, and in a file the first document.
    """
    UPDATE staged s SET lost = 'duplicate-ref', lost_to = format('%s:%s', c.path, c.line)
    FROM (
        SELECT position, row_number() OVER claims AS nth, first_value(path) OVER claims AS path,
            first_value(line) OVER claims AS line
        FROM staged WHERE lost IS NULL WINDOW claims AS (PARTITION BY ref ORDER BY path, document)
    ) c
    WHERE c.position = s.position AND c.nth > 1
    """,
    """
    INSERT INTO staged_finding (path, rule, severity, message, hint, document, line, field, ref)
    SELECT path, lost, 'ERROR', format('%s is declared in %s already', ref, lost_to),
        CASE lost WHEN 'ref-conflict' THEN 'The first run after that source has let go of it takes it.'
                ' If its folder has moved here, --source with its name takes it over.'
            ELSE 'The first one counts. Rename the other, or delete it.' END,
        document, line, 'metadata.name', ref
    FROM staged WHERE lost IS NOT NULL
    """,
)

# An entity goes when its file was read, or is gone, and no document speaks for it any more; also when its own document
# says that it is of a kind that is not allowed, though a broken one beside it keeps the rest of the file.
_WRITTEN = """
    INSERT INTO written (kind, ref, "before", "after", links_before, links_after)
    SELECT w.kind, w.ref,
        CASE WHEN e.id IS NOT NULL THEN jsonb_build_object(
            'apiVersion', e.api_version, 'kind', e.kind, 'metadata', d.metadata, 'spec', d.spec) END,
        CASE WHEN s.position IS NOT NULL THEN jsonb_build_object(
            'apiVersion', s.api_version, 'kind', s.kind, 'metadata', s.metadata::jsonb, 'spec', s.spec::jsonb) END,
        CASE WHEN e.id IS NOT NULL THEN jsonb_build_object(
            'owner', (SELECT ref FROM ref WHERE id = e.owner_id),
            'system', (SELECT ref FROM ref WHERE id = e.system_id),
            'domain', (SELECT ref FROM ref WHERE id = e.domain_id),
            'parent', (SELECT ref FROM ref WHERE id = e.parent_id)) END,
        CASE WHEN s.position IS NOT NULL THEN jsonb_build_object(
            'owner', s.owner, 'system', s.system, 'domain', s.domain, 'parent', s.parent) END
    FROM (
        SELECT CASE WHEN e.id IS NULL THEN 'CREATED' ELSE 'UPDATED' END AS kind, s.ref, e.id, s.position
        FROM staged s LEFT JOIN entity e ON e.ref = s.ref
        WHERE s.lost IS NULL AND e.etag IS DISTINCT FROM s.etag
        UNION ALL
        SELECT 'DELETED', e.ref, e.id, NULL
        FROM entity e
            LEFT JOIN staged_file f ON f.path = e.location
            LEFT JOIN (
                SELECT DISTINCT ref FROM staged_finding WHERE rule = 'kind-not-allowed'
            ) refused ON refused.ref = e.ref
        WHERE e.source_id = :source
            AND (NOT coalesce(f.keeps, NOT CAST(:whole AS boolean)) OR refused.ref IS NOT NULL)
            AND NOT EXISTS (SELECT FROM staged s WHERE s.ref = e.ref AND s.lost IS NULL)
            AND NOT EXISTS (SELECT FROM staged_keep k WHERE k.ref = e.ref)
    ) w LEFT JOIN entity e ON e.id = w.id LEFT JOIN document d ON d.entity_id = e.id
        LEFT JOIN staged s ON s.position = w.position
"""

_DIFFERENCE = """
    SELECT clock_timestamp(), count(*) FILTER (WHERE kind = 'CREATED'), count(*) FILTER (WHERE kind = 'UPDATED'),
        count(*) FILTER (WHERE kind = 'DELETED'), (SELECT count(*) FROM entity WHERE source_id = :source)
    FROM written
"""

# From here on names are ids.
_NAMES = (
    """
    INSERT INTO ref (ref)
    SELECT ref FROM (
        SELECT ref FROM staged WHERE lost IS NULL
        UNION SELECT r.target FROM staged_reference r JOIN staged s USING (position) WHERE s.lost IS NULL
        UNION SELECT ref FROM staged_finding WHERE ref IS NOT NULL
    ) named
    WHERE NOT EXISTS (SELECT FROM ref r WHERE r.ref = named.ref)
    ORDER BY ref
    """,
    """
    INSERT INTO claim (position, id, owner_id, system_id, domain_id, parent_id)
    SELECT s.position, r.id, owner.id, system.id, domain.id, parent.id
    FROM staged s JOIN ref r ON r.ref = s.ref
        LEFT JOIN ref owner ON owner.ref = s.owner LEFT JOIN ref system ON system.ref = s.system
        LEFT JOIN ref domain ON domain.ref = s.domain LEFT JOIN ref parent ON parent.ref = s.parent
    WHERE s.lost IS NULL
    """,
    "INSERT INTO gone (id) SELECT r.id FROM written w JOIN ref r USING (ref) WHERE w.kind = 'DELETED'",
    "ANALYZE written, claim, gone",
)

_ENTITIES = (
    "DELETE FROM entity e USING gone g WHERE e.id = g.id",
    """
    INSERT INTO entity AS held (
        id, ref, graph_type, api_version, kind, namespace, name, title, description, type, lifecycle, tags,
        owner_id, system_id, domain_id, parent_id, etag, source_id, location, document, line, commit,
        created_at, updated_at
    )
    SELECT c.id, s.ref, s.graph_type, s.api_version, s.kind, s.namespace, s.name, s.title, s.description, s.type,
        s.lifecycle, s.tags, c.owner_id, c.system_id, c.domain_id, c.parent_id, s.etag, :source, s.path, s.document,
        s.line, f.commit, CAST(:at AS timestamptz), CAST(:at AS timestamptz)
    FROM claim c JOIN staged s USING (position) JOIN staged_file f USING (path) LEFT JOIN entity e ON e.id = c.id
    WHERE e.id IS NULL OR (
        e.etag, e.location, e.document, e.line, e.graph_type, e.title, e.description, e.type, e.lifecycle, e.tags,
        e.owner_id, e.system_id, e.domain_id, e.parent_id
    ) IS DISTINCT FROM (
        s.etag, s.path, s.document, s.line, s.graph_type, s.title, s.description, s.type, s.lifecycle, s.tags,
        c.owner_id, c.system_id, c.domain_id, c.parent_id
    )
    ON CONFLICT (id) DO UPDATE SET
        graph_type = excluded.graph_type, api_version = excluded.api_version, kind = excluded.kind,
        namespace = excluded.namespace, name = excluded.name, title = excluded.title,
        description = excluded.description, type = excluded.type, lifecycle = excluded.lifecycle,
        tags = excluded.tags, owner_id = excluded.owner_id, system_id = excluded.system_id,
        domain_id = excluded.domain_id, parent_id = excluded.parent_id, etag = excluded.etag,
        location = excluded.location, document = excluded.document, line = excluded.line, commit = excluded.commit,
        updated_at = CASE WHEN held.etag = excluded.etag THEN held.updated_at ELSE excluded.updated_at END
    """,
    """
    INSERT INTO document (entity_id, metadata, spec)
    SELECT r.id, w."after" -> 'metadata', w."after" -> 'spec'
    FROM written w JOIN ref r USING (ref) WHERE w.kind <> 'DELETED'
    ON CONFLICT (entity_id) DO UPDATE SET metadata = excluded.metadata, spec = excluded.spec
    """,
)

_RELATIONS = (
    # Where an entity says the same twice, the first field that says so is shown.
    """
    INSERT INTO said (source_id, type, target_id, declared_by, field, line)
    SELECT DISTINCT ON (source_id, type, target_id, declared_by) * FROM (
        SELECT c.id AS source_id, r.type, t.id AS target_id, c.id AS declared_by, r.field, r.line
        FROM staged_reference r JOIN claim c USING (position) JOIN ref t ON t.ref = r.target
        UNION ALL
        SELECT t.id, r.inverse, c.id, c.id, NULL, NULL
        FROM staged_reference r JOIN claim c USING (position) JOIN ref t ON t.ref = r.target
        WHERE r.inverse IS NOT NULL
    ) both_ways
    ORDER BY source_id, type, target_id, declared_by, line, field
    """,
    "ANALYZE said",
    """
    DELETE FROM relation r USING (SELECT id FROM claim UNION ALL SELECT id FROM gone) touched
    WHERE r.declared_by = touched.id AND NOT EXISTS (
        SELECT FROM said s
        WHERE (s.source_id, s.type, s.target_id, s.declared_by) = (r.source_id, r.type, r.target_id, r.declared_by)
    )
    """,
    """
    INSERT INTO relation (source_id, type, target_id, declared_by, field, line)
    SELECT s.source_id, s.type, s.target_id, s.declared_by, s.field, s.line
    FROM said s LEFT JOIN relation r USING (source_id, type, target_id, declared_by)
    WHERE r.source_id IS NULL OR (r.field, r.line) IS DISTINCT FROM (s.field, s.line)
    ON CONFLICT (source_id, type, target_id, declared_by) DO UPDATE SET field = excluded.field, line = excluded.line
    """,
)

_PROBLEMS = (
    # The line is not part of a finding's key, so that a problem stays the same one when its document moves.
    r"""
    INSERT INTO found (
        key, rule, severity, message, hint, entity_id, source_id, location, document, line, field
    )
    SELECT encode(sha256(convert_to(
            concat_ws(E'\n', CAST(:source AS int), f.rule, f.path, f.subject, f.field, f.nth), 'UTF8')), 'hex'),
        f.rule, f.severity, f.message, f.hint, r.id, CAST(:source AS int), f.path, f.document, f.line, f.field
    FROM (
        SELECT *, row_number() OVER (PARTITION BY rule, path, subject, field ORDER BY document, line, message) AS nth
        FROM (SELECT *, coalesce(ref, document::text COLLATE "C") AS subject FROM staged_finding) named
    ) f LEFT JOIN ref r ON r.ref = f.ref
    """,
    # References that lead nowhere: of the documents that were read, and all that led to what is now gone.
    """
    INSERT INTO found (
        key, rule, severity, message, hint, entity_id, target_id, source_id, location, document, line, field
    )
    SELECT format('dangling-reference:%s:%s:%s', r.declared_by, r.type, r.target_id), 'dangling-reference', 'WARNING',
        format('%s names %s, which is not in the catalog', r.field, t.ref),
        'Correct the name, or add the entity; the problem then goes away by itself.',
        r.declared_by, r.target_id, e.source_id, e.location, e.document, r.line, r.field
    FROM (
        SELECT * FROM said
        UNION
        SELECT r.* FROM gone g JOIN relation back ON back.source_id = g.id
            JOIN relation r ON r.source_id = back.declared_by AND r.target_id = g.id AND r.declared_by = r.source_id
    ) r JOIN entity e ON e.id = r.declared_by JOIN ref t ON t.id = r.target_id
    WHERE r.field IS NOT NULL AND NOT EXISTS (SELECT FROM entity target WHERE target.id = r.target_id)
    """,
    "ANALYZE found",
    # Its own findings, and the dangling references of and to all that it wrote: these a run can judge.
    """
    DELETE FROM problem p USING (
        SELECT id FROM problem WHERE source_id = :source AND area = 'CATALOG' AND rule <> 'dangling-reference'
            AND (CAST(:whole AS boolean) OR location IN (SELECT path FROM staged_file))
        UNION
        SELECT p.id FROM problem p JOIN (SELECT id FROM claim UNION ALL SELECT id FROM gone) touched
            ON touched.id = p.entity_id AND p.rule = 'dangling-reference'
        UNION
        SELECT p.id FROM written w JOIN ref r USING (ref) JOIN problem p ON p.target_id = r.id
        WHERE w.kind = 'CREATED' AND p.rule = 'dangling-reference'
    ) judged
    WHERE p.id = judged.id AND NOT EXISTS (SELECT FROM found f WHERE f.key = p.key)
    """,
    """
    INSERT INTO problem (
        key, area, rule, severity, message, hint, since, entity_id, target_id,
        source_id, location, document, line, field
    )
    SELECT f.key, 'CATALOG', f.rule, f.severity, f.message, f.hint, CAST(:at AS timestamptz), f.entity_id, f.target_id,
        f.source_id, f.location, f.document, f.line, f.field
    FROM found f LEFT JOIN problem p USING (key)
    WHERE p.id IS NULL OR (
        p.severity, p.message, p.hint, p.entity_id, p.source_id, p.location, p.document, p.line, p.field
    ) IS DISTINCT FROM (
        f.severity, f.message, f.hint, f.entity_id, f.source_id, f.location, f.document, f.line, f.field
    )
    ON CONFLICT (key) DO UPDATE SET
        severity = excluded.severity, message = excluded.message, hint = excluded.hint, entity_id = excluded.entity_id,
        source_id = excluded.source_id, location = excluded.location, document = excluded.document,
        line = excluded.line, field = excluded.field
    """,
)

# A file whose document lost its ref is read again by each run: it may have it one day.
_FILES = (
    "UPDATE staged_file f SET digest = NULL FROM staged s WHERE s.path = f.path AND s.lost IS NOT NULL",
    """
    DELETE FROM source_file f
    WHERE f.source_id = :source
        AND (CAST(:whole AS boolean) OR f.path IN (SELECT path FROM staged_file))
        AND NOT EXISTS (SELECT FROM staged_file s WHERE s.path = f.path AND s.digest = f.digest)
    """,
    """
    INSERT INTO source_file (source_id, path, digest, included, documents, skipped)
    SELECT :source, s.path, s.digest, s.included::jsonb, s.documents, s.skipped
    FROM staged_file s
    WHERE s.digest IS NOT NULL
        AND NOT EXISTS (SELECT FROM source_file f WHERE f.source_id = :source AND f.path = s.path)
    """,
)

_TOTALS = """
    SELECT coalesce(sum(documents), 0),
        coalesce(sum(rejected), 0) + (SELECT count(*) FROM staged WHERE lost IS NOT NULL),
        coalesce(sum(skipped), 0), (SELECT count(*) FROM problem WHERE source_id = :source)
    FROM staged_file
"""

_ENTRIES = """
    SELECT w.kind, r.id, CAST(:by AS text), CAST(:at AS timestamptz), w."before", w."after",
        w.links_before, w.links_after
    FROM written w JOIN ref r USING (ref) ORDER BY w.ref
"""
