"""What a caller may do, in words: the scopes of tokens."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    """A right to use a part of the graph, as tokens carry it: `catalog:read`."""

    CATALOG_READ = "catalog:read"
    CATALOG_WRITE = "catalog:write"
    KPIS_WRITE = "kpis:write"
    MIGRATIONS_WRITE = "migrations:write"
    PIPELINES_WRITE = "pipelines:write"
    LINEAGE_WRITE = "lineage:write"
    CLUSTERS_READ = "clusters:read"
    CLUSTERS_LOGS = "clusters:logs"
    ADMIN = "admin"  # all others, too


EVERYTHING = frozenset(Scope)
READING = frozenset({Scope.CATALOG_READ, Scope.CLUSTERS_READ})


def scopes_of(words: Iterable[str]) -> frozenset[Scope]:
    """The scopes of these names; `admin` brings all others. Raises ValueError, naming one that does not exist."""
    scopes = set()
    for word in words:
        try:
            scopes.add(Scope(word))
        except ValueError:
            raise ValueError(f"{word!r} is no scope; there are {', '.join(Scope)}") from None
    return EVERYTHING if Scope.ADMIN in scopes else frozenset(scopes)
