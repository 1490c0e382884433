"""Filters as SQL conditions.

Every condition is true or false, never null, so that `not` is the exact complement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, FromClause, and_, all_, any_, cast, false, func, literal, not_, or_, select, true

from db.rules.filters import DateTimeFilter, EntityFilter, ProblemFilter, StringFilter
from db.rules.refs import Ref
from db.tables import Word, problem, ref, relation

Condition = ColumnElement[bool]


def entity_matches(entity: FromClause, wanted: EntityFilter | None) -> Condition:
    """Whether a row of the entity table is wanted."""
    return and_(true(), *_entity_conditions(entity.c, wanted)) if wanted else true()


def problem_matches(problems: FromClause, wanted: ProblemFilter | None) -> Condition:
    """Whether a row of the problem table is wanted."""
    if wanted is None:
        return true()
    asked = {"area": wanted.area, "rule": wanted.rule, "severity": wanted.severity}
    return and_(
        true(),
        *(
            problems.c[column] == any_(words([getattr(value, "value", value) for value in values]))
            for column, values in asked.items()
            if values is not None
        ),
    )


def ref_id(wanted: Ref) -> ColumnElement[int]:
    """The id of a ref, or -1, which no ref has: a comparison with it is never null, and can use an index."""
    found = select(ref.c.id).where(ref.c.ref == str(wanted)).scalar_subquery()
    return func.coalesce(found, -1)


def words(values: Iterable[str]) -> ColumnElement[Any]:
    """A list of texts as one array parameter, so that the statement's text does not depend on its length."""
    return cast(literal(list(values), ARRAY(Word)), ARRAY(Word))


def _entity_conditions(c: Any, wanted: EntityFilter) -> Iterator[Condition]:
    texts = {
        c.title: wanted.title,
        c.type: wanted.type,
        c.lifecycle: wanted.lifecycle,
    }
    for column, test in texts.items():
        if test is not None:
            yield from _text_conditions(column, test)
    for column, test in {c.kind: wanted.kind, c.namespace: wanted.namespace, c.name: wanted.name}.items():
        if test is not None:
            yield from _text_conditions(func.lower(column), _lower(test))
    if wanted.tag is not None:
        yield from _array_conditions(c.tags, wanted.tag)
    for column, span in {c.created_at: wanted.created_at, c.updated_at: wanted.updated_at}.items():
        if span is not None:
            yield from _span_conditions(column, span)
    if wanted.ref is not None:
        yield c.ref == any_(words([str(one) for one in wanted.ref]))
    if wanted.owned_by is not None:
        yield and_(c.owner_id.is_not(None), c.owner_id == ref_id(wanted.owned_by))
    if wanted.part_of is not None:
        part = relation.alias()
        yield (
            select(literal(1))
            .where(part.c.source_id == c.id, part.c.type == "partOf", part.c.target_id == ref_id(wanted.part_of))
            .exists()
        )
    if wanted.has_problem is not None:
        found = problem.alias()
        has = select(literal(1)).where(found.c.entity_id == c.id).exists()
        yield has if wanted.has_problem else not_(has)
    entity = c.id.table
    if wanted.all_of is not None:
        yield and_(true(), *(entity_matches(entity, one) for one in wanted.all_of))
    if wanted.any_of is not None:
        yield or_(false(), *(entity_matches(entity, one) for one in wanted.any_of))
    if wanted.not_ is not None:
        yield not_(entity_matches(entity, wanted.not_))


def _text_conditions(text: ColumnElement[str], test: StringFilter) -> Iterator[Condition]:
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


def _array_conditions(array: ColumnElement[Any], test: StringFilter) -> Iterator[Condition]:
    one = func.unnest(array).column_valued("one")

    def some(condition: Condition) -> Condition:
        return select(literal(1)).select_from(one).where(condition).exists()

    if test.eq is not None:
        yield array.contains(words([test.eq]))
    if test.ne is not None:
        yield not_(array.contains(words([test.ne])))
    if test.in_ is not None:
        yield array.overlap(words(test.in_))
    if test.not_in is not None:
        yield not_(array.overlap(words(test.not_in)))
    if test.prefix is not None:
        yield some(func.starts_with(one, test.prefix))
    if test.contains is not None:
        yield some(func.strpos(one, test.contains) > 0)
    if test.exists is not None:
        yield func.cardinality(array) > 0 if test.exists else func.cardinality(array) == 0


def _span_conditions(instant: ColumnElement[Any], span: DateTimeFilter) -> Iterator[Condition]:
    if span.after is not None:
        yield instant > span.after
    if span.before is not None:
        yield instant < span.before


def _lower(test: StringFilter) -> StringFilter:
    """The same test of a text that is compared without case."""

    def low(text: str | None) -> str | None:
        return None if text is None else text.lower()

    def lows(texts: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if texts is None else tuple(text.lower() for text in texts)

    return StringFilter(
        eq=low(test.eq),
        ne=low(test.ne),
        in_=lows(test.in_),
        not_in=lows(test.not_in),
        prefix=low(test.prefix),
        contains=low(test.contains),
        exists=test.exists,
    )
