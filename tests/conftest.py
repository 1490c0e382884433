"""Fixtures of all tests."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.postgres import anyio_backend, database_url, postgres, run_dir, template

__all__ = ["anyio_backend", "database_url", "postgres", "run_dir", "template"]


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """A command that a test runs in this process sets the log up; the next test must not notice."""
    root, settings = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**settings)
    root.handlers[:] = handlers
    root.setLevel(level)
