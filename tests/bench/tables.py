"""Results as a Markdown table, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of rows that have the same keys, under these as headings; numbers stand to the right."""
    columns = [_column(heading, [row[heading] for row in rows]) for heading in (rows[0] if rows else ())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in zip(*columns, strict=True))


def json(rows: Sequence[Mapping[str, Any]]) -> str:
    """A JSON list of objects."""
    return orjson.dumps(rows).decode()


def _column(heading: str, values: Sequence[object]) -> list[str]:
    """The heading, the rule below it, and the values, all of one width."""
    texts = [heading, *map(_text, values)]
    width = max(map(len, texts))
    is_number = isinstance(values[0], int | float)
    heading, *cells = (text.rjust(width) if is_number else text.ljust(width) for text in texts)
    return [heading, "-" * (width - 1) + (":" if is_number else "-"), *cells]


def _text(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
