"""What the log says while the database is away: a line at once, then one a minute, whatever the number of requests.

Each request has its own line anyway, with its status.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from schema.errors import Unavailable

_MINUTE = 60.0


@contextmanager
def told_seldom(logger: str) -> Iterator[None]:
    """In the block, a logger of structlog's tells of UNAVAILABLE once a minute, with how often it was `unsaid`."""
    told = logging.getLogger(logger)
    outage = _Outage()
    told.addFilter(outage)
    try:
        yield
    finally:
        told.removeFilter(outage)


class _Outage(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self._silent_until = 0.0
        self._unsaid = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        fields = record.msg
        if not isinstance(fields, dict) or fields.get("code") != Unavailable.code:
            return True
        if monotonic() < self._silent_until:
            self._unsaid += 1
            return False
        fields["unsaid"] = self._unsaid
        self._silent_until, self._unsaid = monotonic() + _MINUTE, 0
        return True
