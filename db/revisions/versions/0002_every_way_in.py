"""Every way in, every question: sources that are read by themselves, a log that can be followed, text search.

Adds columns that are null or have a constant default, so no table is written anew. The indexes are built while others
wait: a second or so for every 100,000 entities.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

_WORD = sa.Text(collation="C")
_JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    """Apply."""
    _sources()
    _changes()


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


def downgrade() -> None:
    """Undo."""
    op.drop_table("feed")
    op.drop_index("change_by_writer", table_name="change")
    op.drop_column("change", "links_after")
    op.drop_column("change", "links_before")
    op.drop_column("source_run", "commit")
    op.drop_index("source_by_next_run", table_name="source")
    for column in ("allow_removals", "next_run_at", "definition", "declared_in"):
        op.drop_column("source", column)
