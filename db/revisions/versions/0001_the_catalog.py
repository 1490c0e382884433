"""The catalog: refs, entities, relations, sources, problems and the change log.

The first revision; there is nothing yet that it could hold up.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "change",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="in the order of commits"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False, comment="CREATED, UPDATED or DELETED"),
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(collation="C"), nullable=False, comment="who wrote: `source:<name>`"),
        sa.Column(
            "before",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="{apiVersion, kind, metadata, spec}; null when created",
        ),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="null when deleted"),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("change_by_entity", "change", ["entity_id", "seq"], unique=False)
    op.create_table(
        "ref",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("ref", sa.Text(collation="C"), nullable=False, comment="kind:namespace/name, lower case"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("ref"),
    )
    op.create_table(
        "relation",
        sa.Column("source_id", sa.BigInteger(), nullable=False, comment="a ref, as are target_id and declared_by"),
        sa.Column("type", sa.Text(collation="C"), nullable=False),
        sa.Column("target_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "declared_by", sa.BigInteger(), nullable=False, comment="the entity whose file says so: one of the two ends"
        ),
        sa.Column(
            "field",
            sa.Text(collation="C"),
            nullable=True,
            comment="the spec field that says so; only where source_id = declared_by",
        ),
        sa.Column("line", sa.Integer(), nullable=True, comment="in that entity's file, from 1"),
        sa.PrimaryKeyConstraint("source_id", "type", "target_id", "declared_by"),
        comment="every relation in both directions",
    )
    op.create_index("relation_by_declarer", "relation", ["declared_by"], unique=False)
    op.create_table(
        "source",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.Text(collation="C"), nullable=False, comment="file, folder or glob"),
        sa.Column(
            "kinds",
            postgresql.ARRAY(sa.Text(collation="C")),
            nullable=True,
            comment="allowed kinds, lower case; `-user` is a refused one; null: all",
        ),
        sa.Column(
            "trusted", sa.Boolean(), nullable=False, comment="owner rights follow relations of trusted sources only"
        ),
        sa.Column(
            "state",
            sa.Text(collation="C"),
            server_default="IDLE",
            nullable=False,
            comment="IDLE, RUNNING, FAILED or HELD",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "entity",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ref", sa.Text(collation="C"), nullable=False, comment="a copy of ref.ref"),
        sa.Column("graph_type", sa.Text(collation="C"), nullable=False, comment="the GraphQL type that serves it"),
        sa.Column("api_version", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "kind",
            sa.Text(collation="C"),
            nullable=False,
            comment="kind, namespace and name as declared; ref is the lower-case form",
        ),
        sa.Column("namespace", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "sort_name",
            sa.Text(collation="C"),
            sa.Computed("lower(name)", persisted=True),
            nullable=False,
            comment="names have no case",
        ),
        sa.Column("title", sa.Text(collation="C"), nullable=False, comment="metadata.title, else the name"),
        sa.Column("description", sa.Text(collation="C"), nullable=True),
        sa.Column("type", sa.Text(collation="C"), nullable=True),
        sa.Column("lifecycle", sa.Text(collation="C"), nullable=True),
        sa.Column("tags", postgresql.ARRAY(sa.Text(collation="C")), nullable=False),
        sa.Column(
            "owner_id",
            sa.BigInteger(),
            nullable=True,
            comment="refs that spec.owner, system, domain and parent name, of any kind, existing or not",
        ),
        sa.Column("system_id", sa.BigInteger(), nullable=True),
        sa.Column("domain_id", sa.BigInteger(), nullable=True),
        sa.Column("parent_id", sa.BigInteger(), nullable=True, comment="spec.parent, subcomponentOf or subdomainOf"),
        sa.Column("etag", sa.Text(collation="C"), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("location", sa.Text(collation="C"), nullable=False, comment="file, relative to the source's root"),
        sa.Column("document", sa.Integer(), nullable=False, comment="position in the file, from 1"),
        sa.Column("line", sa.Integer(), nullable=False, comment="from 1"),
        sa.Column("commit", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["ref.id"]),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("ref"),
    )
    op.create_index(
        "entity_by_any_case_kind", "entity", [sa.literal_column("lower(kind)"), "sort_name", "id"], unique=False
    )
    op.create_index(
        "entity_by_any_case_namespace",
        "entity",
        [sa.literal_column("lower(namespace)"), "sort_name", "id"],
        unique=False,
    )
    op.create_index("entity_by_domain", "entity", ["domain_id", "sort_name", "id"], unique=False)
    op.create_index("entity_by_kind", "entity", ["kind", "sort_name", "id"], unique=False)
    op.create_index("entity_by_name", "entity", ["sort_name", "id"], unique=False)
    op.create_index("entity_by_owner", "entity", ["owner_id", "sort_name", "id"], unique=False)
    op.create_index("entity_by_parent", "entity", ["parent_id", "sort_name", "id"], unique=False)
    op.create_index("entity_by_source", "entity", ["source_id", "location"], unique=False)
    op.create_index("entity_by_system", "entity", ["system_id", "graph_type", "sort_name", "id"], unique=False)
    op.create_index("entity_by_tag", "entity", ["tags"], unique=False, postgresql_using="gin")
    op.create_index(
        "entity_by_type_lifecycle_name", "entity", ["graph_type", "lifecycle", "sort_name", "id"], unique=False
    )
    op.create_index("entity_by_type_name", "entity", ["graph_type", "sort_name", "id"], unique=False)
    op.create_index("entity_by_type_type_name", "entity", ["graph_type", "type", "sort_name", "id"], unique=False)
    op.create_index(
        "entity_by_type_updated_at", "entity", ["graph_type", "updated_at", "sort_name", "id"], unique=False
    )
    op.create_index("entity_by_updated_at", "entity", ["updated_at", "sort_name", "id"], unique=False)
    op.create_table(
        "problem",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "key", sa.Text(collation="C"), nullable=False, comment="what makes it the same problem from run to run"
        ),
        sa.Column("area", sa.Text(collation="C"), nullable=False),
        sa.Column("rule", sa.Text(collation="C"), nullable=False),
        sa.Column("severity", sa.Text(collation="C"), nullable=False),
        sa.Column("message", sa.Text(collation="C"), nullable=False),
        sa.Column("hint", sa.Text(collation="C"), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "entity_id",
            sa.BigInteger(),
            nullable=True,
            comment="the ref it is about, whether that entity exists or not",
        ),
        sa.Column("target_id", sa.BigInteger(), nullable=True, comment="the missing ref, of a dangling reference"),
        sa.Column("source_id", sa.Integer(), nullable=True),
        sa.Column("location", sa.Text(collation="C"), nullable=True),
        sa.Column("document", sa.Integer(), nullable=True),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("field", sa.Text(collation="C"), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_index("problem_by_entity", "problem", ["entity_id", "location", "line", "id"], unique=False)
    op.create_index("problem_by_place", "problem", ["location", "line", "id"], unique=False)
    op.create_index("problem_by_source", "problem", ["source_id", "location"], unique=False)
    op.create_index("problem_by_target", "problem", ["target_id"], unique=False)
    op.create_table(
        "source_file",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(collation="C"), nullable=False, comment="relative to the source's root"),
        sa.Column(
            "digest",
            sa.Text(collation="C"),
            nullable=False,
            comment="of its bytes, of every file it includes, and of the rules that read it",
        ),
        sa.Column(
            "included",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="files that its placeholders read: {path: sha256}",
        ),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column(
            "skipped", sa.Integer(), nullable=False, comment="those of them that are of Kubernetes' own API groups"
        ),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("source_id", "path"),
        comment="files that were read without a finding: while the digest stands, they need not be read again",
    )
    op.create_table(
        "source_run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("documents", sa.Integer(), server_default="0", nullable=False),
        sa.Column("entities", sa.Integer(), server_default="0", nullable=False),
        sa.Column("added", sa.Integer(), server_default="0", nullable=False),
        sa.Column("changed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("removed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rejected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("skipped", sa.Integer(), server_default="0", nullable=False),
        sa.Column("problems", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(collation="C"), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("source_run_by_source", "source_run", ["source_id", "id"], unique=False)
    op.create_table(
        "document",
        sa.Column("entity_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["entity_id"], ["entity.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("entity_id"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("document")
    op.drop_index("source_run_by_source", table_name="source_run")
    op.drop_table("source_run")
    op.drop_table("source_file")
    op.drop_index("problem_by_target", table_name="problem")
    op.drop_index("problem_by_source", table_name="problem")
    op.drop_index("problem_by_place", table_name="problem")
    op.drop_index("problem_by_entity", table_name="problem")
    op.drop_table("problem")
    op.drop_index("entity_by_updated_at", table_name="entity")
    op.drop_index("entity_by_type_updated_at", table_name="entity")
    op.drop_index("entity_by_type_type_name", table_name="entity")
    op.drop_index("entity_by_type_name", table_name="entity")
    op.drop_index("entity_by_type_lifecycle_name", table_name="entity")
    op.drop_index("entity_by_tag", table_name="entity", postgresql_using="gin")
    op.drop_index("entity_by_system", table_name="entity")
    op.drop_index("entity_by_source", table_name="entity")
    op.drop_index("entity_by_parent", table_name="entity")
    op.drop_index("entity_by_owner", table_name="entity")
    op.drop_index("entity_by_name", table_name="entity")
    op.drop_index("entity_by_kind", table_name="entity")
    op.drop_index("entity_by_domain", table_name="entity")
    op.drop_index("entity_by_any_case_namespace", table_name="entity")
    op.drop_index("entity_by_any_case_kind", table_name="entity")
    op.drop_table("entity")
    op.drop_table("source")
    op.drop_index("relation_by_declarer", table_name="relation")
    op.drop_table("relation")
    op.drop_table("ref")
    op.drop_index("change_by_entity", table_name="change")
    op.drop_table("change")
