"""Database revisions: Alembic's scripts, and the one function that applies them.

"Migration" is a noun of the catalog here, so a change of the database is a revision.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

# Any constant that no other program on the same database is likely to use.
LOCK = 0x_CA7A_106


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; `connection` is what `env.py` runs on."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent))
    alembic.attributes["connection"] = connection
    return alembic


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the database to the newest revision, in one transaction; others who try at the same time wait.

    The lock is held by the transaction, not by the session, so that it also works behind PgBouncer.
    """
    async with engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        await connection.run_sync(lambda sync: command.upgrade(config(sync), "head"))
