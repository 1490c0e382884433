"""Fixtures of all tests."""

import logging
import signal
from collections.abc import Iterator

import pytest
import structlog

from tests.postgres import anyio_backend, database_url, postgres, run_dir, template

__all__ = ["anyio_backend", "database_url", "postgres", "run_dir", "template"]

# A shell that starts the tests in its background makes them deaf to Ctrl-C, and so all that they start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """A command that a test runs in this process sets the log up; the next test must not notice."""
    root, settings = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**settings)
    root.handlers[:] = handlers
    root.setLevel(level)
