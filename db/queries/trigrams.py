"""Which entities a text is found in, and how well: by trigrams of their names, titles, tags and descriptions.

A word that is found nowhere as it is may be misspelt: then it is found in names, titles and tags that have a word like
it. How alike is a setting of every connection, `pg_trgm.strict_word_similarity_threshold`.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Text,
    and_,
    case,
    cast,
    collate,
    exists,
    func,
    literal,
    literal_column,
    not_,
    or_,
)

from db.queries.values import Condition
from db.rules.search import SearchText, SearchWord
from db.tables import entity as entities


def mentions(c: Any, text: SearchText) -> Condition:
    """Whether the entity with these columns has every word of the text, or one like it."""
    return and_(*(or_(_has(c, word), *_has_like(c, word)) for word in text.words))


def rank(c: Any, text: SearchText) -> ColumnElement[int]:
    """How well an entity that mentions the text does so: 1 to 1000, of several words the mean.

    Its name goes before its title, then tags, then description, then what is only alike. A name goes before others the
    more of it the word is.
    """
    ranks = (_rank(c, word) for word in text.words)
    return reduce(add, ranks) // len(text.words)


def _rank(c: Any, word: SearchWord) -> ColumnElement[int]:
    share = 99 * func.char_length(func.lower(word.text)) // func.char_length(c.name)
    places = [
        (c.sort_name == func.lower(word.text), literal(1000)),
        (func.starts_with(c.sort_name, func.lower(word.text)), 900 + share),
        (_finds(word, c.sort_name), 800 + share),
        (_finds(word, func.lower(collate(c.title, "default"))), literal(700)),
        (_finds(word, _names(c)), literal(600)),
    ]
    if word.may_be_misspelt:
        likeness = (func.strict_word_similarity(_misspelt(word), text) for text in (c.sort_name, _names(c)))
        places.append((_misspelt(word).is_not(None), cast(200 * reduce(add, likeness), Integer)))
    return case(*places, else_=literal(500))


def _has(c: Any, word: SearchWord) -> Condition:
    return or_(_finds(word, _names(c)), _finds(word, _description(c)))


def _has_like(c: Any, word: SearchWord) -> list[Condition]:
    if not word.may_be_misspelt:
        return []
    return [and_(_misspelt(word).is_not(None), _misspelt(word).op("<<%", is_comparison=True)(_names(c)))]


def _misspelt(word: SearchWord) -> ColumnElement[str]:
    """The word where no entity has it as it is, else null. It is looked up before any entity is read."""
    known = entities.alias()
    return case((not_(exists().where(_has(known.c, word))), func.lower(word.text))).self_group()


def _finds(word: SearchWord, text: ColumnElement[str]) -> Condition:
    if word.is_short:
        return func.lower(word.text).op("<%", is_comparison=True)(text)
    return text.like(func.lower(word.pattern))


def _names(c: Any) -> ColumnElement[str]:
    """Name, title and tags: a column of the entity, which a row that only looks like one need not have."""
    return c.search_names if "search_names" in c else func.search_names(c.name, c.title, c.tags, type_=Text())


def _description(c: Any) -> ColumnElement[str]:
    """As the index has it."""
    return func.lower(collate(func.left(func.coalesce(c.description, literal_column("''")), literal(1000)), "default"))
