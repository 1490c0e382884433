"""How the server is started that the clients ask."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.bench.processes import Server

CATALOGRAPH = str(Path(sys.executable).with_name("catalograph"))

# `catalograph serve` on a port, 0 for a free one.
Serve = Callable[[int], AbstractAsyncContextManager[Server]]


def url_of(server: Server) -> str:
    """Where a server has its graph."""
    return f"http://127.0.0.1:{server.port}/graphql"
