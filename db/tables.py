"""The tables, as SQLAlchemy sees them. Revisions in `db/revisions` create and change them.

    ref ──< relation >── ref            an interned name; everything that points at an entity points at its ref
     │
    entity ── document                  narrow typed columns; the whole metadata and spec beside them
     │
    source ──< source_run, source_file  where entities come from, each reading of it, each file's last digest
     │
    problem, change                     what is wrong now; every write of an entity, until it is forgotten
    api_token, spending, audit          who may ask without being a person; what each spent; every other write

An entity's id is the id of its ref. A reference to something that does not exist is therefore a ref without an entity,
and when the entity arrives, nothing that points at it has to change. Refs are never deleted.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

# Text is compared byte by byte everywhere: the order of a page must not depend on the server's locale.
Word = Text(collation="C")
Instant = DateTime(timezone=True)


ref = Table(
    "ref",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("ref", Word, nullable=False, unique=True, comment="kind:namespace/name, lower case"),
)

source = Table(
    "source",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("name", Word, nullable=False, unique=True),
    Column("type", Word, nullable=False, comment="file, folder, glob, git, url, backstage or api"),
    Column("kinds", ARRAY(Word), comment="allowed kinds, lower case; `-user` is a refused one; null: all"),
    Column("trusted", Boolean, nullable=False, comment="owner rights follow relations of trusted sources only"),
    Column("state", Word, nullable=False, server_default="IDLE", comment="IDLE, RUNNING, FAILED or HELD"),
    Column("created_at", Instant, nullable=False, server_default=text("now()")),
    Column("declared_in", Word, comment="settings or mutation; null: by a command, and read when that is run"),
    Column("definition", JSONB, comment="how to read it, as declared, without secrets; null: no process reads it"),
    Column("next_run_at", Instant, comment="when a process is to read it; null: never"),
    Column("allow_removals", Boolean, nullable=False, server_default="false", comment="of its next run only"),
    Index("source_by_next_run", "next_run_at"),
)

source_run = Table(
    "source_run",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("source_id", ForeignKey("source.id", ondelete="CASCADE"), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    *(
        Column(count, Integer, nullable=False, server_default="0")
        for count in (
            "documents",
            "entities",
            "added",
            "changed",
            "removed",
            "unchanged",
            "rejected",
            "skipped",
            "problems",
        )
    ),
    Column("error", Word),
    Column("commit", Word, comment="that was read, where the source has commits"),
    Index("source_run_by_source", "source_id", "id"),
)

source_file = Table(
    "source_file",
    metadata,
    Column("source_id", ForeignKey("source.id", ondelete="CASCADE"), nullable=False),
    Column("path", Word, nullable=False, comment="relative to the source's root, or a URL, or a ref"),
    Column(
        "digest", Word, nullable=False, comment="of its bytes, of every file it includes, and of the rules that read it"
    ),
    Column("included", JSONB, nullable=False, comment="files that its placeholders read: {path: sha256}"),
    Column("documents", Integer, nullable=False),
    Column("skipped", Integer, nullable=False, comment="those of them that are of Kubernetes' own API groups"),
    PrimaryKeyConstraint("source_id", "path"),
    comment="files that were read without a finding: while the digest stands, they need not be read again",
)

entity = Table(
    "entity",
    metadata,
    Column("id", ForeignKey("ref.id"), primary_key=True, autoincrement=False),
    Column("ref", Word, nullable=False, unique=True, comment="a copy of ref.ref"),
    Column("graph_type", Word, nullable=False, comment="the GraphQL type that serves it"),
    Column("api_version", Word, nullable=False),
    Column("kind", Word, nullable=False, comment="kind, namespace and name as declared; ref is the lower-case form"),
    Column("namespace", Word, nullable=False),
    Column("name", Word, nullable=False),
    Column("sort_name", Word, Computed("lower(name)", persisted=True), nullable=False, comment="names have no case"),
    Column("title", Word, nullable=False, comment="metadata.title, else the name"),
    Column("description", Word),
    Column(
        "search_names",
        Word,
        Computed("search_names(name, title, tags)", persisted=True),
        nullable=False,
        comment="name, title and tags in lower case, for text search",
    ),
    Column("type", Word),
    Column("lifecycle", Word),
    Column("tags", ARRAY(Word), nullable=False),
    Column(
        "owner_id",
        BigInteger,
        comment="refs that spec.owner, system, domain and parent name, of any kind, existing or not",
    ),
    Column("system_id", BigInteger),
    Column("domain_id", BigInteger),
    Column("parent_id", BigInteger, comment="spec.parent, subcomponentOf or subdomainOf"),
    Column("etag", Word, nullable=False),
    Column("source_id", ForeignKey("source.id"), nullable=False),
    Column("location", Word, nullable=False, comment="file, relative to the source's root"),
    Column("document", Integer, nullable=False, comment="position in the file, from 1"),
    Column("line", Integer, nullable=False, comment="from 1"),
    Column("commit", Word),
    Column("created_at", Instant, nullable=False, server_default=text("now()")),
    Column("updated_at", Instant, nullable=False, server_default=text("now()")),
    Index("entity_by_name", "sort_name", "id"),
    Index("entity_by_type_name", "graph_type", "sort_name", "id"),
    Index("entity_by_type_lifecycle_name", "graph_type", "lifecycle", "sort_name", "id"),
    Index("entity_by_type_type_name", "graph_type", "type", "sort_name", "id"),
    Index("entity_by_owner", "owner_id", "sort_name", "id"),
    Index("entity_by_system", "system_id", "graph_type", "sort_name", "id"),
    Index("entity_by_domain", "domain_id", "sort_name", "id"),
    Index("entity_by_parent", "parent_id", "sort_name", "id"),
    Index("entity_by_source", "source_id", "location"),
    Index("entity_by_created_at", "created_at", "sort_name", "id"),
    Index("entity_by_type_created_at", "graph_type", "created_at", "sort_name", "id"),
    Index("entity_by_updated_at", "updated_at", "sort_name", "id"),
    Index("entity_by_type_updated_at", "graph_type", "updated_at", "sort_name", "id"),
    Index("entity_by_kind", "kind", "sort_name", "id"),
    Index("entity_by_any_case_kind", text("lower(kind)"), "sort_name", "id"),
    Index("entity_by_any_case_namespace", text("lower(namespace)"), "sort_name", "id"),
    Index("entity_by_tag", "tags", postgresql_using="gin"),
    Index(
        "entity_by_trigrams_of_names",
        "search_names",
        postgresql_using="gin",
        postgresql_ops={"search_names": "gin_trgm_ops"},
    ),
    Index(
        "entity_by_trigrams_of_description",
        literal_column('lower("left"(COALESCE(description, \'\'), 1000) COLLATE "default")').label("description"),
        postgresql_using="gin",
        postgresql_ops={"description": "gin_trgm_ops"},
    ),
)

document = Table(
    "document",
    metadata,
    Column("entity_id", ForeignKey("entity.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("metadata", JSONB, nullable=False),
    Column("spec", JSONB, nullable=False),
    Index("document_by_label", text("(metadata -> 'labels')"), postgresql_using="gin"),
    Index("document_by_annotation", text("(metadata -> 'annotations')"), postgresql_using="gin"),
    Index("document_by_email", text("lower(spec #>> '{profile,email}')")),
)

relation = Table(
    "relation",
    metadata,
    Column("source_id", BigInteger, nullable=False, comment="a ref, as are target_id and declared_by"),
    Column("type", Word, nullable=False),
    Column("target_id", BigInteger, nullable=False),
    Column("declared_by", BigInteger, nullable=False, comment="the entity whose file says so: one of the two ends"),
    Column("field", Word, comment="the spec field that says so; only where source_id = declared_by"),
    Column("line", Integer, comment="in that entity's file, from 1"),
    PrimaryKeyConstraint("source_id", "type", "target_id", "declared_by"),
    Index("relation_by_declarer", "declared_by"),
    comment="every relation in both directions",
)

problem = Table(
    "problem",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Word, nullable=False, unique=True, comment="what makes it the same problem from run to run"),
    Column("area", Word, nullable=False),
    Column("rule", Word, nullable=False),
    Column("severity", Word, nullable=False),
    Column("message", Word, nullable=False),
    Column("hint", Word),
    Column("since", Instant, nullable=False, server_default=text("now()")),
    Column("entity_id", BigInteger, comment="the ref it is about, whether that entity exists or not"),
    Column("target_id", BigInteger, comment="the missing ref, of a dangling reference"),
    Column("source_id", ForeignKey("source.id", ondelete="CASCADE")),
    Column("location", Word),
    Column("document", Integer),
    Column("line", Integer),
    Column("field", Word),
    Index("problem_by_place", "location", "line", "id"),
    Index("problem_by_entity", "entity_id", "location", "line", "id"),
    Index("problem_by_target", "target_id"),
    Index("problem_by_source", "source_id", "location"),
)

change = Table(
    "change",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True, comment="in the order of commits"),
    Column("at", Instant, nullable=False, server_default=text("now()")),
    Column("kind", Word, nullable=False, comment="CREATED, UPDATED or DELETED"),
    Column("entity_id", BigInteger, nullable=False),
    Column("by", Word, nullable=False, comment="who wrote: `source:<name>`"),
    Column("before", JSONB, comment="{apiVersion, kind, metadata, spec}; null when created"),
    Column("after", JSONB, comment="null when deleted"),
    Column("links_before", JSONB, comment="{owner, system, domain, parent}: the refs that `before` names, or null"),
    Column("links_after", JSONB, comment="the same of `after`"),
    Index("change_by_entity", "entity_id", "seq"),
    Index("change_by_writer", "by", "seq"),
)

feed = Table(
    "feed",
    metadata,
    Column("topic", Word, primary_key=True, comment="catalog"),
    Column("forgotten", BigInteger, nullable=False, comment="the last position that is not kept any more"),
    comment="how far back each log of changes reaches",
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Word, nullable=False),
    Column("prefix", Word, nullable=False, comment="how the token begins, by which people know it again"),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the token, which nobody keeps"),
    Column("scopes", ARRAY(Word), nullable=False),
    Column("user_ref", Word, comment="the User that it acts as; null: no person"),
    Column("created_at", Instant, nullable=False, server_default=text("now()")),
    Column("created_by", Word, nullable=False),
    Column("expires_at", Instant, comment="null: never"),
    Column("last_used_at", Instant, comment="to the minute"),
    Column("revoked_at", Instant),
    Index("api_token_by_name", "name", unique=True, postgresql_where=text("revoked_at IS NULL")),
)

spending = Table(
    "spending",
    metadata,
    Column("identity", Word, primary_key=True, comment="who asks: a subject, or the address of somebody unknown"),
    Column("since", Instant, nullable=False, comment="when the hour began in which this was spent"),
    Column("points", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", Instant, nullable=False, server_default=text("now()")),
    Column("by", Word, nullable=False, comment="the subject of the caller"),
    Column("action", Word, nullable=False, comment="the mutation, or the command: tokenCreate"),
    Column("subject", Word, nullable=False, comment="what was written: token:ci"),
    Column("request_id", Word, comment="under which the log has the rest; null: no request"),
    Column("before", JSONB, comment="null: it was not there; never a secret"),
    Column("after", JSONB, comment="null: it is gone"),
    Index("audit_by_writer", "by", "id"),
    comment="every write that is of no entity; those of entities are in change",
)
