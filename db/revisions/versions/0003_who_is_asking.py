"""Who is asking, and how much: tokens, what each caller spends, and who wrote what is no entity."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

_WORD = sa.Text(collation="C")
_JSON = postgresql.JSONB(astext_type=sa.Text())
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "api_token",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("name", _WORD, nullable=False),
        sa.Column("prefix", _WORD, nullable=False, comment="how the token begins, by which people know it again"),
        sa.Column(
            "digest",
            sa.LargeBinary(),
            nullable=False,
            unique=True,
            comment="SHA-256 of the token, which nobody keeps",
        ),
        sa.Column("scopes", postgresql.ARRAY(_WORD), nullable=False),
        sa.Column("user_ref", _WORD, comment="the User that it acts as; null: no person"),
        sa.Column("created_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", _WORD, nullable=False),
        sa.Column("expires_at", _INSTANT, comment="null: never"),
        sa.Column("last_used_at", _INSTANT, comment="to the minute"),
        sa.Column("revoked_at", _INSTANT),
    )
    op.create_index(
        "api_token_by_name", "api_token", ["name"], unique=True, postgresql_where=sa.text("revoked_at IS NULL")
    )
    op.create_table(
        "spending",
        sa.Column(
            "identity", _WORD, primary_key=True, comment="who asks: a subject, or the address of somebody unknown"
        ),
        sa.Column("since", _INSTANT, nullable=False, comment="when the hour began in which this was spent"),
        sa.Column("points", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("by", _WORD, nullable=False, comment="the subject of the caller"),
        sa.Column("action", _WORD, nullable=False, comment="the mutation, or the command: tokenCreate"),
        sa.Column("subject", _WORD, nullable=False, comment="what was written: token:ci"),
        sa.Column("request_id", _WORD, comment="under which the log has the rest; null: no request"),
        sa.Column("before", _JSON, comment="null: it was not there; never a secret"),
        sa.Column("after", _JSON, comment="null: it is gone"),
        comment="every write that is of no entity; those of entities are in change",
    )
    op.create_index("audit_by_writer", "audit", ["by", "id"])
    op.create_index("document_by_email", "document", [sa.text("lower(spec #>> '{profile,email}')")])
    # Only callers with the right to write have filled it, and it takes no people or groups.
    op.execute("UPDATE source SET trusted = true WHERE name = 'entityRegister'")


def downgrade() -> None:
    """Undo."""
    op.execute("UPDATE source SET trusted = false WHERE name = 'entityRegister'")
    op.drop_index("document_by_email", table_name="document")
    for table in ("audit", "spending", "api_token"):
        op.drop_table(table)
