"""Fixtures of all tests."""

from tests.postgres import anyio_backend, database_url, postgres, postgres_users, template

__all__ = ["anyio_backend", "database_url", "postgres", "postgres_users", "template"]
