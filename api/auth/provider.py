"""The keys of an OpenID Connect provider: found by discovery, kept, and fetched again and again.

Nobody who can be known by the keys that are there waits for the provider: it may be slow, hang, or be away. The first
fetch begins with the process, and the next ones on time, whether somebody asks or not.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import orjson
import structlog

from api.auth.keys import KeySet
from api.wanted import ended
from schema.errors import Unavailable

MOST = 1_000_000  # bytes of a document

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OK = 200
_HEADERS = (("accept", "application/json"), ("user-agent", "catalograph"))

_log = structlog.get_logger("catalograph.auth")


class ProviderError(Exception):
    """A provider that does not give its keys, and why."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a provider is asked, in seconds."""

    every: float = 600  # after which keys are fetched again; so long may one serve that was dropped
    gap: float = 10  # between the begins of two fetches, whatever tokens come
    gap_at_first: float = 1  # the same, as long as there are no keys and nobody can be known
    fetch: float = 5  # for a fetch, both documents together
    outage: float = 86_400  # for which keys serve while the provider is away: a day, in which somebody notices


class Provider:
    """A provider, by the URL that it is known by. Needs a running event loop."""

    def __init__(self, issuer: str, pace: Pace | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds that never go back."""
        self._issuer, self._pace, self._clock = issuer, pace or Pace(), clock
        self._keys: KeySet | None = None
        self._had = self._begun = float("-inf")  # when the keys came, and when the latest fetch began
        self._away = False
        self._fetching: asyncio.Task[None] | None = None

    @property
    def keys(self) -> KeySet | None:
        """The keys; None when there are none, or they are too old. It is the same object as long as they are."""
        return self._keys if self._clock() - self._had < self._pace.outage else None

    async def run(self) -> None:
        """Keep the keys as they are at the provider, until cancelled."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(self._gap if self._away else self._pace.every)
        finally:
            if self._fetching:
                await ended(self._fetching)

    async def newer_keys(self) -> KeySet:
        """The keys after one more fetch, if it is time for one. All who wait share it. Raises Unavailable."""
        await self._look()
        if keys := self.keys:
            return keys
        raise Unavailable("Who owns a token cannot be found out now, try again later")

    @property
    def _gap(self) -> float:
        return self._pace.gap if self.keys else self._pace.gap_at_first

    async def _look(self) -> None:
        """Wait for the fetch that runs; for a new one when none does and the last is long enough ago."""
        if self._fetching is None or self._fetching.done():
            if self._clock() - self._begun < self._gap:
                return
            self._begun = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
        await asyncio.wait([self._fetching])  # who stops waiting does not stop it

    async def _fetch(self) -> None:
        """Fetch the keys. When that fails, those that are there go on serving; an outage is logged once."""
        try:
            async with asyncio.timeout(self._pace.fetch):
                keys = await self._published()
        except Exception as error:  # noqa: BLE001 - what others send may break anything; it must not end the work
            if not self._away:
                self._away = True
                _log.warning("keys of the issuer not fetched", issuer=self._issuer, reason=self._reason(error))
            return
        if self._away:
            self._away = False
            _log.info("issuer reached again", issuer=self._issuer)
        self._had = self._clock()
        if self._keys is None or self._keys.document != keys.document:
            self._keys = keys
            _log.info("keys of the issuer", issuer=self._issuer, keys=[key.kid for key in keys.keys])

    async def _published(self) -> KeySet:
        """The keys that the provider has now (OpenID Connect Discovery 1.0, section 4). Redirects are not followed."""
        async with httpcore2.AsyncConnectionPool(ssl_context=_trusted()) as pool:
            found = await _document(pool, self._issuer.rstrip("/") + "/.well-known/openid-configuration")
            if not isinstance(found, dict) or found.get("issuer") != self._issuer:
                raise ProviderError("its configuration does not name it as `issuer`, to the letter")
            url = found.get("jwks_uri")
            if not isinstance(url, str) or not _is_safe(url):
                raise ProviderError("its configuration has no `jwks_uri` with https")
            return KeySet.of(await _document(pool, url))

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._pace.fetch:g} seconds"
        return str(error) or type(error).__name__


async def _document(pool: httpcore2.AsyncConnectionPool, url: str) -> Any:
    """The JSON at a URL."""
    async with pool.stream("GET", url, headers=_HEADERS) as answer:
        if answer.status != _OK:
            raise ProviderError(f"{url} answers with status {answer.status}")
        content = bytearray()
        async for piece in answer.aiter_stream():
            content += piece
            if len(content) > MOST:
                raise ProviderError(f"{url} answers with more than {MOST:,} bytes")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        raise ProviderError(f"{url} does not answer with JSON") from None


@cache
def _trusted() -> ssl.SSLContext:
    """The certificate authorities of the machine; to read them takes 30 ms."""
    return ssl.create_default_context()


def _is_safe(url: str) -> bool:
    """Whether nobody between the provider and us can change what it says."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
