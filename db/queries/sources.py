"""Where entities come from."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, any_, literal, select

from db.queries.keyset import Key
from db.queries.matching import words
from db.rules.filters import OrderDirection
from db.tables import Word, source_run
from db.tables import source as sources

LATEST = (Key("id", OrderDirection.DESC),)  # the order of runs


def _all() -> tuple[Any, Select[Any]]:
    source = sources.alias()
    return source, select(source, literal("Source", Word).label("graph_type"))


def every() -> Select[Any]:
    """All sources."""
    return _all()[1]


def by_name(*, name: str) -> Select[Any]:
    """The source of this name."""
    source, found = _all()
    return found.where(source.c.name == name)


def of_entity(entity: Any) -> Select[Any]:
    """The source that holds an entity."""
    source, found = _all()
    return found.where(source.c.id == entity.source_id)


def of_problem(problem: Any) -> Select[Any]:
    """The source that a problem was found in."""
    source, found = _all()
    return found.where(source.c.id == problem.source_id)


def last_run_of(source: Any) -> Select[Any]:
    """The latest run of a source, finished or not."""
    run = source_run.alias()
    return select(run).where(run.c.source_id == source.id).order_by(run.c.id.desc()).limit(1)


def runs_of(source: Any) -> Select[Any]:
    """All runs of a source that are kept, finished or not."""
    run = source_run.alias()
    return select(run).where(run.c.source_id == source.id)


def by_names(keys: Any) -> Select[Any]:
    """The sources of these names."""
    source, found = _all()
    return found.where(source.c.name == any_(words(keys)))
