"""The catalog of a running Backstage, as its API gives it (`plugins/catalog-backend/src/schema/openapi.yaml` there).

`/entities/by-query` lists what there is, page by page, in the order of random ids: an entity that is made while
somebody pages may be missed, and one that is made anew may come twice. `/entities/by-refs` gives entities by name, and
null for what there is not.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import orjson
from pydantic import SecretStr

from api.ingest.errors import SourceError
from api.ingest.web import Answer, Host, Place, Web, WebError, host_of, shown
from db import jsonb
from db.rules.records import Json
from db.runs import Source

AT_ONCE = 200
"""The most refs to ask for at a time: so many names fit into the 100 kB that Backstage takes."""

_PAGE = 1_000  # stubs; Backstage's own client asks for so many
_STUB = "kind,metadata.namespace,metadata.name,metadata.etag"
_MOST_BYTES = 40_000_000  # of an answer
_SECONDS = 60.0  # for an answer

# Seconds before each further try, and the longest wait that an answer may ask for.
PAUSES = (1.0, 4.0, 15.0)
_LONGEST_PAUSE = 60.0
_BUSY = frozenset({429, 502, 503, 504, None})  # None: no answer came, or not all of it

_PATH = "/api/catalog"
_JSON = {"Content-Type": "application/json"}
_REFUSALS = {
    400: "; it may be older than the filters that it is asked with",
    401: ": it wants a token, or another one than it is given",
    403: ": the token may not read the catalog",
    404: ": there is no catalog there, or one older than Backstage 1.12",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackstageSource(Source):
    """A running Backstage, whose entities are mirrored."""

    url: str  # of the Backstage, or of its catalog's API: with `/api/catalog` at its end, or without
    token: SecretStr | None = None  # None: that of its host, where it is listed with one
    hosts: tuple[Host, ...] = ()  # its own must be among them
    filters: tuple[str, ...] = ()  # only what matches one of these, as `kind=component,spec.type=service`; none: all
    full: bool = False  # fetch all entities anew, whatever their etags say


class TooLargeError(SourceError):
    """An answer that is larger than any may be."""


class Backstage:
    """The catalog of a Backstage, to be read. It blocks, so it belongs into a thread; never into two at a time."""

    def __init__(self, source: BackstageSource) -> None:
        """Raises SourceError for a host that is not listed."""
        self.root = source.url.rstrip("/").removesuffix(_PATH) + _PATH
        self._filters = [("filter", wanted) for wanted in source.filters]
        self.received = 0  # bytes of all answers
        self._closed = threading.Event()
        self._web = Web(_hosts(source), timeout=_SECONDS)
        self._web.host(Place.of(self.root))

    def close(self) -> None:
        """Give up, also what another thread waits for."""
        self._closed.set()
        self._web.close()

    def stubs(self) -> Iterator[list[Json]]:
        """All entities without their content, page by page: kind, and of metadata namespace, name and etag."""
        position = self._filters
        seen: set[str] = set()
        while True:
            query = urlencode([*position, ("limit", str(_PAGE)), ("fields", _STUB)])
            page = self._asked("GET", f"entities/by-query?{query}")
            match page:
                case {"items": list(items), "pageInfo": dict(info)}:
                    yield items
                case _:
                    raise self._foreign()
            cursor = info.get("nextCursor")
            if not cursor:
                return
            if not isinstance(cursor, str) or cursor in seen:
                raise self._foreign()
            seen.add(cursor)
            position = [("cursor", cursor)]  # which knows the filters

    def entities(self, refs: Sequence[str]) -> list[Json]:
        """The entities of so many refs, at most AT_ONCE, in their order; None for what is not there.

        Raises TooLargeError.
        """
        path = "entities/by-refs" + (f"?{urlencode(self._filters)}" if self._filters else "")
        match self._asked("POST", path, {"entityRefs": list(refs)}):
            case {"items": list(items)} if len(items) == len(refs):
                return items
        raise self._foreign()

    def _asked(self, method: str, path: str, body: Json = None) -> Json:
        content = None if body is None else orjson.dumps(body)
        headers = {} if content is None else _JSON | {"Content-Length": str(len(content))}

        def ask() -> Answer:
            url = f"{self.root}/{path}"
            return self._web.open(method, url, headers=headers, content=content, most=sys.maxsize)

        content = self._tried(ask)
        self.received += len(content)
        try:
            return _value(content)
        except ValueError as error:
            raise SourceError(f"{shown(self.root)}: its answer is no JSON, or ends in the middle") from error

    def _tried(self, ask: Callable[[], Answer]) -> bytes:
        pauses = iter(PAUSES)
        while True:
            try:
                return _content(ask())
            except WebError as error:
                pause = next(pauses, None)
                if pause is None or not self._waited(error, pause):
                    raise _in_words(error) from error

    def _waited(self, error: WebError, pause: float) -> bool:
        """Wait as long as a busy server asks for; False: it makes no sense to try again."""
        asked = error.retry_after or ""
        seconds = max(pause, float(asked)) if asked.isdecimal() else pause
        return error.status in _BUSY and seconds <= _LONGEST_PAUSE and not self._closed.wait(seconds)

    def _foreign(self) -> SourceError:
        return SourceError(f"{shown(self.root)}: it does not answer as the catalog of a Backstage does")


def _hosts(source: BackstageSource) -> Iterator[Host]:
    """The source's token goes where a host's token goes, under the same rules."""
    own = host_of(source.url)
    for host in source.hosts:
        yield replace(host, token=source.token) if source.token and host.name == own else host


def _content(answer: Answer) -> bytes:
    content = bytearray()
    try:
        for chunk in answer.chunks:
            content += chunk
            if len(content) > _MOST_BYTES:
                raise TooLargeError(f"{shown(answer.url)}: its answer has more than {_MOST_BYTES:,} bytes")
    finally:
        answer.close()
    return bytes(content)


def _value(content: bytes) -> Json:
    """Raises ValueError for what is no JSON.

    Half a surrogate pair, which JavaScript may write, is let through: its entity is refused, and not all of the answer.
    """
    text = content.decode()
    try:
        return jsonb.decode_foreign(text)
    except ValueError:
        pass
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def _in_words(error: WebError) -> WebError:
    refusal = _REFUSALS.get(error.status or 0, "")
    return WebError(f"{error}{refusal}", status=error.status, retry_after=error.retry_after)
