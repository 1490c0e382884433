"""Filters as SQL conditions. Every value in a filter is an SQL parameter already.

Every condition is true or false, never null, so that `not` is the exact complement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from operator import ge, gt, le, lt
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    and_,
    any_,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import array

from db.queries import closures
from db.queries.trigrams import mentions
from db.queries.values import Condition, Texts, Value, column, entry, exact, items
from db.rules.filters import DateTimeFilter, EntityFilter, NumberFilter, PathFilter, ProblemFilter, StringFilter
from db.rules.refs import Ref
from db.tables import Word, document, problem, ref, relation

Test = tuple[bool, Condition]
"""Whether some value has to pass, or none."""


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
    yield from _document_conditions(entity, wanted)
    yield from _link_conditions(entity.c, wanted)
    if wanted.all_of is not None:
        yield and_(true(), *(entity_matches(entity, one) for one in wanted.all_of))
    if wanted.any_of is not None:
        yield or_(false(), *(entity_matches(entity, one) for one in wanted.any_of))
    if wanted.not_ is not None:
        yield not_(entity_matches(entity, wanted.not_))


def _column_conditions(c: Any, wanted: EntityFilter) -> Iterator[Condition]:
    """Conditions on the entity's own columns."""
    fields: tuple[tuple[Texts, StringFilter | None], ...] = (
        (column(func.lower(c.kind)), wanted.kind),
        (column(func.lower(c.namespace)), wanted.namespace),
        (_name(c), wanted.name),
        (column(c.title), wanted.title),
        (column(c.type), wanted.type),
        (column(c.lifecycle), wanted.lifecycle),
        (items(c.tags), wanted.tag),
    )
    for field, test in fields:
        for holds, condition in _text_tests(field, test):
            yield condition if holds else not_(condition)
    yield from _span_conditions(c.created_at, wanted.created_at)
    yield from _span_conditions(c.updated_at, wanted.updated_at)
    if wanted.ref is not None:
        yield c.ref == any_(words(wanted.ref))


def _name(c: Any) -> Texts:
    """The name in lower case. What it contains, the text for search does, too: an index of trigrams leads there."""
    name = column(c.sort_name)
    if "search_names" not in c:
        return name

    def contains(wanted: Any) -> Condition:
        part = func.regexp_replace(wanted, literal(r"([\\%_])"), literal(r"\\\1"), literal("g"))
        return and_(c.search_names.like(func.concat("%", part, "%")), name.contains(wanted))

    return replace(name, contains=contains)


def _document_conditions(entity: FromClause, wanted: EntityFilter) -> Iterator[Condition]:
    """Conditions on metadata and spec, which are beside the entity, unless its row has them as columns."""
    beside = None if "metadata" in entity.c else document.alias()

    def says(condition: Condition) -> Condition:
        if beside is None:
            return func.coalesce(condition, false())
        return exists().where(beside.c.entity_id == entity.c.id, condition)

    for tests in _document_tests(entity.c if beside is None else beside.c, wanted):
        some = [condition for holds, condition in tests if holds]
        none = [condition for holds, condition in tests if not holds]
        if some:
            yield says(and_(*some))
        if none:
            yield not_(says(or_(*none)))


def _document_tests(c: Any, wanted: EntityFilter) -> Iterator[list[Test]]:
    """The tests of each field, of which there is one at least."""
    for mapping, asked in (("labels", wanted.label), ("annotations", wanted.annotation)):
        if asked is not None:
            field = entry(c, mapping, asked.key)
            yield list(_text_tests(field, asked.value)) or [(True, field.exists)]
    if wanted.path is not None:
        value = Value.at(wanted.path.path, c)
        yield list(_value_tests(value, wanted.path)) or [(True, value.exists)]


def _link_conditions(c: Any, wanted: EntityFilter) -> Iterator[Condition]:
    """Conditions on what the entity is linked with."""
    if wanted.owned_by is not None:
        yield and_(c.owner_id.is_not(None), c.owner_id == ref_id(wanted.owned_by))
    if wanted.in_tree_of is not None:
        yield closures.is_among(c.owner_id, closures.owners_within(ref_id(wanted.in_tree_of)))
    for asked, leads in ((wanted.depends_on, "dependencyOf"), (wanted.dependency_of, "dependsOn")):
        if asked is not None:
            depth = literal(1) if asked.depth is None else asked.depth
            yield c.id.in_(closures.within(ref_id(asked.ref), closures.along(leads), depth))
    if wanted.part_of is not None:
        whole = relation.alias()  # seen from there, its parts lie together
        its = (whole.c.source_id == ref_id(wanted.part_of), whole.c.type == "hasPart", whole.c.target_id == c.id)
        yield exists().where(*its)
    if wanted.text is not None:
        yield mentions(c, wanted.text)
    if wanted.has_problem is not None:
        found = exists().where(problem.c.entity_id == c.id)
        yield found if wanted.has_problem else not_(found)


def _text_tests(field: Texts, test: StringFilter | None) -> Iterator[Test]:
    if test is None:
        return
    if test.eq is not None:
        yield True, field.equals(test.eq)
    if test.ne is not None:
        yield False, field.equals(test.ne)
    if test.in_ is not None:
        yield True, field.is_one_of(words(test.in_))
    if test.not_in is not None:
        yield False, field.is_one_of(words(test.not_in))
    if test.prefix is not None:
        yield True, field.starts_with(test.prefix)
    if test.contains is not None:
        yield True, field.contains(test.contains)
    if test.exists is not None:
        yield test.exists, field.exists


def _value_tests(value: Value, wanted: PathFilter) -> Iterator[Test]:
    yield from _text_tests(value.texts, wanted.text)
    yield from _number_tests(value, wanted.number)
    if wanted.boolean is not None:
        yield True, value.equals(literal(wanted.boolean))


def _number_tests(value: Value, test: NumberFilter | None) -> Iterator[Test]:
    if test is None:
        return
    if test.eq is not None:
        yield True, value.equals(test.eq)
    if test.ne is not None:
        yield False, value.equals(test.ne)
    bounds = ((test.gt, lt), (test.gte, le), (test.lt, gt), (test.lte, ge))  # of which the bound is the first operand
    if holds := [partial(stands, exact(bound)) for bound, stands in bounds if bound is not None]:
        yield True, value.where_number(*holds)
    if test.exists is not None:
        yield test.exists, value.has_number


def _span_conditions(instant: ColumnElement[Any], span: DateTimeFilter | None) -> Iterator[Condition]:
    if span is None:
        return
    if span.after is not None:
        yield instant > span.after
    if span.before is not None:
        yield instant < span.before
