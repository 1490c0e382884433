"""Texts and numbers as JSON in Postgres holds them, and what a YAML scalar means.

The meaning is that of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema) with the numbers of
JavaScript: doubles, so that a file says here what it says in Backstage and to every client in a browser.
"""

from __future__ import annotations

import math
import re

from db.rules.records import Json
from db.rules.shown import shown

MAX_EXACT = 2**53
"""Beyond this an integer is read as the nearest double."""

_CORE = "tag:yaml.org,2002:"
_FOREIGN_TAGS = frozenset(_CORE + name for name in ("binary", "merge", "omap", "pairs", "set", "timestamp"))
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_START = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o([0-7]+)|0x([0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_EXACT_DIGITS = 15
_SURROGATE = re.compile("[\ud800-\udfff]")


class BrokenRuleError(ValueError):
    """A value that cannot be kept: the broken rule's name, and a message without a place."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message


def check_text(text: str) -> None:
    """Raise BrokenRuleError for a character that Postgres cannot store."""
    if "\0" in text:
        raise BrokenRuleError("nul-character", f"{shown(text)} contains a NUL character, which cannot be stored")
    if not text.isascii() and _SURROGATE.search(text):
        raise BrokenRuleError(
            "lone-surrogate", f"{shown(text)} contains half of a surrogate pair, which cannot be stored"
        )


def check_tag(tag: str | None) -> None:
    """Raise BrokenRuleError for a tag whose values JSON does not have, as `!!binary`. Unknown tags change nothing."""
    if tag in _FOREIGN_TAGS:
        raise BrokenRuleError("unsupported-tag", f"!!{tag.removeprefix(_CORE)} gives a value that JSON does not have")


def plain(text: str) -> Json:
    """The value of a scalar without quotes and tag. Raises BrokenRuleError for NaN and infinity."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return _number(text) if text[0] in _NUMBER_START else text


def tagged(text: str, tag: str) -> Json:
    """The value of a scalar with a tag: as if plain where it fits a tag of the core schema, else `text` as it is."""
    fits = _FITS.get(tag)
    return plain(text) if fits and fits(text) else text


def integer(text: str) -> float:
    """The number that decimal digits mean. Raises BrokenRuleError beyond the range of a double."""
    return int(text) if len(text) <= _EXACT_DIGITS else finite(text, float(text))


def finite(text: str, value: float) -> float:
    """`value` as JavaScript writes it in JSON: without a fraction where it is integral and exact.

    Raises BrokenRuleError for NaN and infinity; `text` is what the file has.
    """
    if not math.isfinite(value):
        raise BrokenRuleError("number-not-finite", f"{shown(text)} is no finite number: write it in quotes")
    return int(value) if value.is_integer() and abs(value) <= MAX_EXACT else value


def _number(text: str) -> Json:
    if _INTEGER.fullmatch(text):
        return integer(text)
    if match := _OTHER_BASE.fullmatch(text):
        return finite(text, _double(int(match[1], 8) if match[1] else int(match[2], 16)))
    if _FLOAT.fullmatch(text):
        return finite(text, float(text))
    if _NOT_FINITE.fullmatch(text):
        return finite(text, math.inf)
    return text


def _double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _is_integer(text: str) -> bool:
    return bool(_INTEGER.fullmatch(text) or _OTHER_BASE.fullmatch(text))


def _is_float(text: str) -> bool:
    if _NOT_FINITE.fullmatch(text):
        return True
    return bool(_FLOAT.fullmatch(text)) and not _INTEGER.fullmatch(text)


_FITS = {
    _CORE + "null": lambda text: text in _CONSTANTS and _CONSTANTS[text] is None,
    _CORE + "bool": lambda text: text in _CONSTANTS and _CONSTANTS[text] is not None,
    _CORE + "int": _is_integer,
    _CORE + "float": _is_float,
}
