"""Which media type a client wants, and which it has sent: RFC 9110, sections 8.3 and 12.5.1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from email.message import Message
from functools import lru_cache


@lru_cache(maxsize=32)  # clients repeat themselves
def preferred(accept: str | None, offers: tuple[str, ...]) -> str | None:
    """The offer that an Accept header likes best; the first of equals; None when it takes none of them.

    A header that is absent or empty takes everything. A more specific range decides for its types, whatever the
    others say: `*/*, application/json;q=0` does not take `application/json`.
    """
    ranges = list(_ranges(accept)) if accept and accept.strip() else [("*/*", 1.0)]
    best = max(offers, key=lambda offer: _quality(offer, ranges))  # `max` keeps the first of equals
    return best if _quality(best, ranges) > 0 else None


def accepts(accept: str | None, media_type: str) -> bool:
    """Whether an Accept header names `media_type` itself, not only by a wildcard."""
    return any(name == media_type and quality > 0 for name, quality in _ranges(accept or ""))


@lru_cache(maxsize=32)
def parse(content_type: str) -> tuple[str, str | None]:
    """A Content-Type's media type and its charset, both in lower case: `("application/json", "utf-8")`."""
    header = Message()
    header["content-type"] = content_type
    return header.get_content_type() if "/" in content_type else "", header.get_content_charset()


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name:
            yield name, next((_number(p[2:]) for p in parameters if p.startswith("q=")), 1.0)


def _number(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """What the most specific range that covers `offer` gives it."""
    for covering in (offer, offer.partition("/")[0] + "/*", "*/*"):
        for name, quality in ranges:
            if name == covering:
                return quality
    return 0.0
