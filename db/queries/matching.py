"""Filters as SQL conditions. Every value in a filter is an SQL parameter already.

Every condition is true or false, never null, so that `not` is the exact complement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    all_,
    and_,
    any_,
    cast,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import array

from db.rules.filters import DateTimeFilter, EntityFilter, ProblemFilter, StringFilter
from db.rules.refs import Ref
from db.tables import Word, problem, ref, relation

Condition = ColumnElement[bool]


def entity_matches(entity: FromClause, wanted: EntityFilter | None) -> Condition:
    """Whether a row of the entity table is wanted."""
    return and_(true(), *_entity_conditions(entity, wanted)) if wanted else true()


def problem_matches(problems: FromClause, wanted: ProblemFilter | None) -> Condition:
    """Whether a row of the problem table is wanted."""
    if wanted is None:
        return true()
    asked = {"area": wanted.area, "rule": wanted.rule, "severity": wanted.severity}
    return and_(true(), *(problems.c[name] == any_(words(some)) for name, some in asked.items() if some is not None))


def ref_id(wanted: Ref) -> ColumnElement[int]:
    """The id of a ref, or -1, which no ref has: a comparison with it is never null, and can use an index."""
    found = select(ref.c.id).where(ref.c.ref == wanted).scalar_subquery()
    return func.coalesce(found, -1)


def words(values: Iterable[Any]) -> ColumnElement[Any]:
    """Texts as an array: the parameter that holds them, whose length the statement does not know, or no text at all."""
    return cast(values if isinstance(values, ColumnElement) else array([], type_=Word), ARRAY(Word))


def _entity_conditions(entity: FromClause, wanted: EntityFilter) -> Iterator[Condition]:
    yield from _column_conditions(entity.c, wanted)
    yield from _link_conditions(entity.c, wanted)
    if wanted.all_of is not None:
        yield and_(true(), *(entity_matches(entity, one) for one in wanted.all_of))
    if wanted.any_of is not None:
        yield or_(false(), *(entity_matches(entity, one) for one in wanted.any_of))
    if wanted.not_ is not None:
        yield not_(entity_matches(entity, wanted.not_))


def _column_conditions(c: Any, wanted: EntityFilter) -> Iterator[Condition]:
    """Conditions on the entity's own columns."""
    for column, test in ((c.title, wanted.title), (c.type, wanted.type), (c.lifecycle, wanted.lifecycle)):
        yield from _text_conditions(column, test)
    for column, test in (
        (func.lower(c.kind), wanted.kind),
        (func.lower(c.namespace), wanted.namespace),
        (c.sort_name, wanted.name),
    ):
        yield from _text_conditions(column, test)
    yield from _array_conditions(c.tags, wanted.tag)
    yield from _span_conditions(c.created_at, wanted.created_at)
    yield from _span_conditions(c.updated_at, wanted.updated_at)
    if wanted.ref is not None:
        yield c.ref == any_(words(wanted.ref))


def _link_conditions(c: Any, wanted: EntityFilter) -> Iterator[Condition]:
    """Conditions on what the entity is linked with."""
    if wanted.owned_by is not None:
        yield and_(c.owner_id.is_not(None), c.owner_id == ref_id(wanted.owned_by))
    if wanted.part_of is not None:
        whole = relation.alias()  # seen from there, its parts lie together
        its = (whole.c.source_id == ref_id(wanted.part_of), whole.c.type == "hasPart", whole.c.target_id == c.id)
        yield exists().where(*its)
    if wanted.has_problem is not None:
        found = exists().where(problem.c.entity_id == c.id)
        yield found if wanted.has_problem else not_(found)


def _text_conditions(text: ColumnElement[str], test: StringFilter | None) -> Iterator[Condition]:
    if test is None:
        return
    present = text.is_not(None)
    if test.eq is not None:
        yield and_(present, text == test.eq)
    if test.ne is not None:
        yield text.is_distinct_from(test.ne)
    if test.in_ is not None:
        yield and_(present, text == any_(words(test.in_)))
    if test.not_in is not None:
        yield or_(text.is_(None), text != all_(words(test.not_in)))
    if test.prefix is not None:
        yield and_(present, func.starts_with(text, test.prefix))
    if test.contains is not None:
        yield and_(present, func.strpos(text, test.contains) > 0)
    if test.exists is not None:
        yield present if test.exists else text.is_(None)


def _array_conditions(values: ColumnElement[Any], test: StringFilter | None) -> Iterator[Condition]:
    if test is None:
        return
    one = func.unnest(values).column_valued("one")

    def some(condition: Condition) -> Condition:
        return select(one).where(condition).exists()

    if test.eq is not None:
        yield values.contains(_one_word(test.eq))
    if test.ne is not None:
        yield not_(values.contains(_one_word(test.ne)))
    if test.in_ is not None:
        yield values.overlap(words(test.in_))
    if test.not_in is not None:
        yield not_(values.overlap(words(test.not_in)))
    if test.prefix is not None:
        yield some(func.starts_with(one, test.prefix))
    if test.contains is not None:
        yield some(func.strpos(one, test.contains) > 0)
    if test.exists is not None:
        yield func.cardinality(values) > 0 if test.exists else func.cardinality(values) == 0


def _one_word(value: Any) -> ColumnElement[Any]:
    return cast(array([value]), ARRAY(Word))


def _span_conditions(instant: ColumnElement[Any], span: DateTimeFilter | None) -> Iterator[Condition]:
    if span is None:
        return
    if span.after is not None:
        yield instant > span.after
    if span.before is not None:
        yield instant < span.before
