"""What an operator's commands share: their settings, the database that these name, and who runs them."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from api import log
from api.database import database, engine_of
from api.settings import Settings
from db import revisions
from db.audit import Author
from db.engine import check_server

T = TypeVar("T")


def settings_of_environment() -> Settings:
    """The settings; the log is set up by them. Raises SettingsError."""
    settings = Settings.from_environ(os.environ)
    log.configure(settings.log_level, settings.log_format)
    return settings


def on_database(settings: Settings, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    """What `work` gives, on the database of the settings, brought up to date."""
    with database(settings) as found:
        return asyncio.run(_work(engine_of(found), work))


async def _work(engine: AsyncEngine, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    try:
        await check_server(engine)
        await revisions.upgrade(engine)
        return await work(engine)
    finally:
        await engine.dispose()


def operator() -> Author:
    """Who runs the command, for the audit trail: by the login name, or the number of a user without one."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return Author(f"command:{name}")
