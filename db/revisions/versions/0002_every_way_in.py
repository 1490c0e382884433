"""Every way in, every question: sources that are read by themselves, a log that can be followed, text search.

Writes the table of entities anew, with a column for text search, and builds indexes, while others wait: some ten
seconds for every 100,000 entities. All other columns are null or have a constant default.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from db.engine import MissingExtensionError

revision = "0002"
down_revision = "0001"

_WORD = sa.Text(collation="C")
_JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    """Apply."""
    _sources()
    _changes()
    _search()
    _filters()


def _sources() -> None:
    op.add_column(
        "source",
        sa.Column("declared_in", _WORD, comment="settings or mutation; null: by a command, and read when that is run"),
    )
    op.add_column(
        "source",
        sa.Column(
            "definition", _JSON, comment="how to read it, as declared, without secrets; null: no process reads it"
        ),
    )
    op.add_column(
        "source",
        sa.Column("next_run_at", sa.DateTime(timezone=True), comment="when a process is to read it; null: never"),
    )
    op.add_column(
        "source",
        sa.Column(
            "allow_removals", sa.Boolean(), server_default="false", nullable=False, comment="of its next run only"
        ),
    )
    op.alter_column("source", "type", comment="file, folder, glob, git, url, backstage or api")
    op.alter_column("source_file", "path", comment="relative to the source's root, or a URL, or a ref")
    op.create_index("source_by_next_run", "source", ["next_run_at"])
    op.add_column("source_run", sa.Column("commit", _WORD, comment="that was read, where the source has commits"))


def _changes() -> None:
    op.add_column(
        "change",
        sa.Column(
            "links_before", _JSON, comment="{owner, system, domain, parent}: the refs that `before` names, or null"
        ),
    )
    op.add_column("change", sa.Column("links_after", _JSON, comment="the same of `after`"))
    op.create_index("change_by_writer", "change", ["by", "seq"])
    op.create_table(
        "feed",
        sa.Column("topic", _WORD, nullable=False, comment="catalog"),
        sa.Column("forgotten", sa.BigInteger(), nullable=False, comment="the last position that is not kept any more"),
        sa.PrimaryKeyConstraint("topic"),
        comment="how far back each log of changes reaches",
    )


def _search() -> None:
    _trigrams()
    # Postgres calls `array_to_string` stable, for arrays in general; of texts it always gives the same.
    op.execute(
        """CREATE FUNCTION search_names(name text, title text, tags text[]) RETURNS text
           LANGUAGE sql IMMUTABLE PARALLEL SAFE
           RETURN lower(concat_ws(' ', name, title, array_to_string(tags, ' ')) COLLATE "default")"""
    )
    op.add_column(
        "entity",
        sa.Column(
            "search_names",
            _WORD,
            sa.Computed("search_names(name, title, tags)", persisted=True),
            nullable=False,
            comment="name, title and tags in lower case, for text search",
        ),
    )
    op.create_index(
        "entity_by_trigrams_of_names",
        "entity",
        ["search_names"],
        postgresql_using="gin",
        postgresql_ops={"search_names": "gin_trgm_ops"},
    )
    op.create_index(
        "entity_by_trigrams_of_description",
        "entity",
        [sa.literal_column('lower("left"(COALESCE(description, \'\'), 1000) COLLATE "default")').label("description")],
        postgresql_using="gin",
        postgresql_ops={"description": "gin_trgm_ops"},
    )


def _filters() -> None:
    for mapping, index in (("labels", "document_by_label"), ("annotations", "document_by_annotation")):
        op.create_index(index, "document", [sa.text(f"(metadata -> '{mapping}')")], postgresql_using="gin")
    op.create_index("entity_by_created_at", "entity", ["created_at", "sort_name", "id"])
    op.create_index("entity_by_type_created_at", "entity", ["graph_type", "created_at", "sort_name", "id"])
    # Of constants Postgres works this out before it plans, which it does with no query. It always gives the same.
    op.execute(
        """CREATE FUNCTION json_entries(key text, texts text[]) RETURNS jsonb[]
           LANGUAGE sql IMMUTABLE PARALLEL SAFE
           RETURN ARRAY(SELECT jsonb_build_object(key, one) FROM unnest(texts) AS one)"""
    )


def _trigrams() -> None:
    """The extension comes with every Postgres, but some package it apart, and some let only an administrator add it."""
    try:
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except sa.exc.DBAPIError as error:
        message = f"text search needs Postgres' extension pg_trgm, which could not be added: {error.orig}"
        raise MissingExtensionError(message) from error


def downgrade() -> None:
    """Undo."""
    op.execute("DROP FUNCTION json_entries")
    op.drop_index("entity_by_type_created_at", table_name="entity")
    op.drop_index("entity_by_created_at", table_name="entity")
    op.drop_index("document_by_annotation", table_name="document")
    op.drop_index("document_by_label", table_name="document")
    op.drop_index("entity_by_trigrams_of_description", table_name="entity")
    op.drop_index("entity_by_trigrams_of_names", table_name="entity")
    op.drop_column("entity", "search_names")
    op.execute("DROP FUNCTION search_names")
    op.drop_table("feed")
    op.drop_index("change_by_writer", table_name="change")
    op.drop_column("change", "links_after")
    op.drop_column("change", "links_before")
    op.drop_column("source_run", "commit")
    op.drop_index("source_by_next_run", table_name="source")
    for column in ("allow_removals", "next_run_at", "definition", "declared_in"):
        op.drop_column("source", column)
