"""Text search over all kinds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, Text, select
from sqlalchemy.dialects.postgresql import array

from db.queries.matching import entity_matches
from db.queries.trigrams import mentions, rank
from db.rules.filters import EntityFilter
from db.rules.search import SearchText
from db.tables import entity as entities


def hits(*, text: SearchText, filter: EntityFilter | None = None) -> Select[Any]:
    """The entities that mention the text and match, with their `rank`, and the words that were `asked` for."""
    found = entities.alias()
    asked = array([word.text for word in text.words], type_=Text())
    ranked = (
        select(found, rank(found.c, text).label("rank"), asked.label("asked"))
        .where(mentions(found.c, text), entity_matches(found, filter))
        .offset(0)  # else Postgres would rank each of them again wherever the rank is named
    )
    return select(ranked.subquery())
