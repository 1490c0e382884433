"""Fixtures of all tests."""

from tests.postgres import anyio_backend, database_url, postgres, run_dir, template

__all__ = ["anyio_backend", "database_url", "postgres", "run_dir", "template"]
