"""JSON to and from Postgres and clients, with whole numbers of any length.

orjson writes no number above 64 bits, and reads one as a float. Postgres keeps them, and a descriptor may hold one.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_LONG_NUMBER = re.compile(r"\d{19}")


def encode(value: Any) -> bytes:
    """`value` as UTF-8. Raises TypeError for what JSON cannot hold."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def encode_text(value: Any) -> str:
    """As `encode`, for a driver that wants text."""
    return encode(value).decode()


def decode(text: str) -> Any:
    """The value in `text`, which Postgres has checked."""
    return json.loads(text) if _LONG_NUMBER.search(text) else orjson.loads(text)


def decode_foreign(text: str) -> Any:
    """The value in `text`, which anybody may have written.

    Raises ValueError for what RFC 8259 does not allow, for numbers beyond a double, lone surrogates and deep nesting.
    """
    value = orjson.loads(text)
    if not _LONG_NUMBER.search(text):
        return value
    try:
        return json.loads(text)
    except RecursionError:  # orjson goes deeper
        raise ValueError("depth limit exceeded") from None
