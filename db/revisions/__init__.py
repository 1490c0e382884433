"""Database revisions: Alembic's scripts, and the one function that applies them.

"Migration" is a noun of the catalog here, so a change of the database is a revision.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from db import locks


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; `connection` is what `env.py` runs on."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent))
    alembic.attributes["connection"] = connection
    return alembic


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the database to the newest revision, in one transaction; others who try at the same time wait.

    A revision takes as long as it needs: the statement timeout is not for it.
    """
    async with engine.begin() as connection:
        await locks.without_timeout(connection)
        await locks.lock(connection, locks.REVISIONS)
        await connection.run_sync(lambda sync: command.upgrade(config(sync), "head"))
