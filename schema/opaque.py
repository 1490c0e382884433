"""Texts that clients hand back as they got them: ids and cursors, in base64url without padding.

They are not signed: what comes out is a client's word.
"""

from __future__ import annotations

import base64


def packed(content: bytes) -> str:
    """The content as clients have it."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def unpacked(text: str) -> bytes:
    """The content again. Raises ValueError for a text that cannot be one of ours."""
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True)
