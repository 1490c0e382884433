"""What is wrong."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, any_, literal, or_, select

from db.queries.matching import problem_matches, words
from db.rules.filters import ProblemFilter
from db.tables import Word
from db.tables import entity as entities
from db.tables import problem as problems
from db.tables import ref as refs


def all_of_them() -> tuple[Any, Select[Any]]:
    """The table, and a Select of all its rows."""
    problem = problems.alias()
    return problem, select(problem, literal("Problem", Word).label("graph_type"))


def every(*, filter: ProblemFilter | None = None) -> Select[Any]:
    """All problems that match."""
    problem, found = all_of_them()
    return found.where(problem_matches(problem, filter))


def of_entity(entity: Any, *, filter: ProblemFilter | None = None, owned: bool = False) -> Select[Any]:
    """An entity's problems; with `owned`, also those of what it owns."""
    problem, found = all_of_them()
    if not owned:
        return found.where(problem.c.entity_id == entity.id, problem_matches(problem, filter))
    # As one list of ids, so that each is looked up in the index; an OR would read all problems.
    its = select(entities.c.id).where(or_(entities.c.id == entity.id, entities.c.owner_id == entity.id))
    return found.where(problem.c.entity_id.in_(its), problem_matches(problem, filter))


def entity_of(problem: Any) -> Select[Any]:
    """The entity that the problem is about."""
    entity = entities.alias()
    return select(entity).where(entity.c.id == problem.entity_id)


def entity_ref_of(problem: Any) -> Select[Any]:
    """The ref that the problem is about, whether such an entity exists or not."""
    return select(refs.c.ref).where(refs.c.id == problem.entity_id)


def by_keys(keys: Any) -> Select[Any]:
    """The problems with these keys."""
    problem, found = all_of_them()
    return found.where(problem.c.key == any_(words(keys)))
