"""What can go wrong with where files are. Every message is for the operator, and none holds a secret.

SourceError          a source that is not there, or leads to nothing: its run fails
└─ WebError          a URL that gives nothing (`api.ingest.web`)
UnreadableError      one file that gives nothing: a problem of it, and what it gave before stays
├─ MissingError      a page that is not there, for which a Location may say that this is fine
├─ OutsideError      it is not inside the root
└─ ShutError         it does not open now, but may well be there
"""

from __future__ import annotations


class SourceError(Exception):
    """A source that is not there, or leads to nothing."""


class UnreadableError(Exception):
    """A file that cannot be read, and why, without its name."""


class MissingError(UnreadableError):
    """A page that is not there."""


class OutsideError(UnreadableError):
    """A file that is not inside the root."""


class ShutError(UnreadableError):
    """A path that does not open now: what is behind it may well be there."""

    def __init__(self, path: str, reason: str) -> None:
        """`path` is relative to the root, its links followed as far as they open."""
        super().__init__(reason)
        self.path = path
