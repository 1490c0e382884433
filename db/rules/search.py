"""What a text search asks, and where in an entity's texts the answer stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

MAX_LENGTH = 256
"""The longest text that is searched for, in characters."""

MAX_WORDS = 10

LIKENESS = 0.35
"""Of a misspelt word to the one that was meant, at least. One letter left out of a word of six makes 0.44."""

MARK = "**"
"""Stands before and after what was found."""

_SURROUNDINGS = 60  # characters of a text that are shown on either side of what was found
_LIKE = re.compile(r"[\\%_]")
_ESCAPED = r"\\\g<0>"
_TRIGRAM = 3  # characters


class SearchTextError(ValueError):
    """A text that cannot be searched for; the message says why."""


@dataclass(frozen=True, slots=True)
class SearchWord:
    """A word to find, as SQL looks for it.

    It stands anywhere in a text, as the `pattern` for LIKE says. One that `is_short` is found as a word only, or as the
    first two letters of one, for an index of trigrams knows it nowhere else. One of four letters and more, without
    digits, `may_be_misspelt`; another digit makes another name.
    """

    text: str
    pattern: str
    is_short: bool
    may_be_misspelt: bool

    @classmethod
    def of(cls, text: str) -> SearchWord:
        """The word that is written so, in any case."""
        return cls(
            text,
            pattern=f"%{_LIKE.sub(_ESCAPED, text)}%",
            is_short=len(text) < _TRIGRAM and any(map(str.isalnum, text)),
            may_be_misspelt=len(text) > _TRIGRAM and not any(map(str.isdigit, text)),
        )


@dataclass(frozen=True, slots=True)
class SearchText:
    """The words of a text, each of which an entity has to have."""

    words: tuple[SearchWord, ...]

    @classmethod
    def parse(cls, text: str) -> SearchText:
        """The words between the blanks. Raises SearchTextError."""
        words = dict.fromkeys(text.split())
        if len(text) > MAX_LENGTH:
            raise SearchTextError(f"it has {len(text)} characters; at most {MAX_LENGTH} are searched for")
        if not 1 <= len(words) <= MAX_WORDS:
            raise SearchTextError(f"it has {len(words)} words; 1 to {MAX_WORDS} are searched for")
        return cls(tuple(map(SearchWord.of, words)))


class Found(NamedTuple):
    """Where a text search found something: a field, and what stands there, between marks."""

    field: str
    fragment: str


def highlights(texts: Mapping[str, str | Sequence[str] | None], words: Sequence[str]) -> Iterator[Found]:
    """What of these texts was found, field by field. A field without a match has none; of a list, each item is one.

    A word that stands nowhere as it is was meant for the one most like it.
    """
    items = [
        (field, item) for field, text in texts.items() for item in ([text] if isinstance(text, str) else text or ())
    ]
    found = [_meant(word, [item for _, item in items]) for word in words]
    pattern = re.compile("|".join(map(_pattern, sorted(found, key=len, reverse=True))), re.IGNORECASE)
    for field, item in items:
        if first := pattern.search(item):
            yield Found(field, _fragment(item, first, pattern))


def _pattern(word: str) -> str:
    return rf"\b{re.escape(word)}" if SearchWord.of(word).is_short else re.escape(word)


def _fragment(text: str, first: re.Match[str], pattern: re.Pattern[str]) -> str:
    start, end = max(0, first.start() - _SURROUNDINGS), min(len(text), first.end() + _SURROUNDINGS)
    marked = pattern.sub(rf"{MARK}\g<0>{MARK}", text[start:end])
    return f"{'…' if start else ''}{marked}{'…' if end < len(text) else ''}"


def _meant(word: str, texts: Sequence[str]) -> str:
    if any(word.lower() in text.lower() for text in texts):
        return word
    known = [other for text in texts for other in re.findall(r"[^\W_]+", text)]
    nearest = max(known, key=lambda other: likeness(word, other), default=word)
    return nearest if likeness(word, nearest) >= LIKENESS else word


def likeness(one: str, other: str) -> float:
    """How alike two words are, from 0 to 1: how many of all their trigrams they share, as in Postgres' `pg_trgm`."""
    first, second = _trigrams(one), _trigrams(other)
    return len(first & second) / len(first | second)


def _trigrams(word: str) -> set[str]:
    padded = f"  {word.lower()} "
    return {padded[start : start + 3] for start in range(len(padded) - 2)}
