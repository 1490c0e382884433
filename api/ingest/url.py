"""Pages of the web as files of a source: one that the source names, and those that Locations point to.

A file goes by its URL as people know it: the `blob` page of a repository, not the raw file that is fetched for it. What
is relative in it is relative to that URL, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urljoin

from api.ingest.errors import MissingError, UnreadableError
from api.ingest.trees import Found, Tree, TreeSource
from api.ingest.web import Host, Place, Web, WebError, host_of, shown

# So many pages are read in one run: two files that name each other's children must not keep it busy for ever.
MAX_PAGES = 5_000

# A host that gave no answer so often is not asked again in this run: each time may take as long as a page may.
_MAX_SILENCES = 3

_MISSING = frozenset({404, 410})

# The page of a file, and where the file itself is, as Backstage has it.
_RAW = (
    (r"https://github\.com/([^/]+/[^/]+)/(?:blob|raw|tree)/(.+)", r"https://raw.githubusercontent.com/\1/\2"),
    (r"https://bitbucket\.org/([^/]+/[^/]+)/(?:src|raw)/(.+)", r"https://api.bitbucket.org/2.0/repositories/\1/src/\2"),
    (r"(https?://[^/]+/.+?/-)/blob/(.+)", r"\1/raw/\2"),  # GitLab, wherever it runs
)

# What of a raw file's URL names its repository; of other hosts, the host.
_REPOSITORY = re.compile(
    r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/"
    r"|https://api\.bitbucket\.org/2\.0/repositories/[^/]+/[^/]+/"
    r"|https?://[^/]+/.+?/-/"
    r"|https?://[^/]+/"
)

_URL = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlSource(TreeSource):
    """A catalog file behind an http(s) URL. Its root is the folder of the URL."""

    type: str = "url"
    url: str

    def open(self, opened: ExitStack) -> Pages:
        """As `TreeSource`."""
        return Pages(self.hosts, opened, self.url)


class Pages:
    """Pages of the listed hosts, as a tree: a path is a URL in its one form."""

    commit = None

    def __init__(self, hosts: Iterable[Host], opened: ExitStack, url: str | None = None) -> None:
        """`url`: the source's own page, whose folder is the root; None: no page is the source's own."""
        self._hosts = tuple(hosts)
        self._opened = opened
        self._url = url and Place.of(url).url
        self._root = self._url and urljoin(raw_url(self._url), ".")
        self._read = 0
        self._silences: Counter[str] = Counter()

    @cached_property
    def _web(self) -> Web:
        return self._opened.enter_context(Web(self._hosts))

    def find(self) -> list[Found]:
        """As `Tree`: the one page."""
        return [Found(self._url, self._url)] if self._url else []

    def owns(self, path: str) -> bool:
        """As `Tree`: the one page, and what is in its folder."""
        return self._root is not None and (path == self._url or raw_url(path).startswith(self._root))

    def read(self, path: str) -> bytes:
        """As `Tree`. Raises WebError where the source's own page cannot be had: then there is no source."""
        place = Place.of(raw_url(path))
        try:
            self._count(place)
            page = self._web.get(place.url)
        except WebError as error:
            self._silences[place.origin] += error.status is None
            if path == self._url:
                raise
            raise (MissingError if error.status in _MISSING else UnreadableError)(str(error)) from error
        if self._root and path != self._url and self.owns(path) and not page.url.startswith(self._root):
            raise UnreadableError(f"it redirects to {shown(page.url)}, which is outside the source's root")
        return page.content

    def commit_of(self, path: str, content: bytes) -> None:
        """As `Tree`: nobody says."""

    def included(self, file: str, path: str) -> bytes:
        """As `Tree`, from the file's own repository or host only.

        Else whoever writes a page could have others read to him that only this process may read.
        """
        url = self._beside(file, path)
        if _repository_of(url) != _repository_of(file):
            raise UnreadableError(f"a page includes only what is below {shown(_repository_of(file))}")
        return self.read(url)

    def named(self, file: str, target: str) -> list[Found]:
        """As `Tree`: a URL, or what is relative to one; whether it is there shows when it is read."""
        url = self._beside(file, target)
        return [Found(url, url)]

    def _beside(self, file: str, path: str) -> str:
        """The URL that a path in a file means. Raises UnreadableError when its host is not listed."""
        try:
            url = Place.of(urljoin(file, path)).url
            raw = Place.of(raw_url(url))
            self._web.host(raw)
        except (WebError, ValueError) as error:
            raise UnreadableError(str(error).removeprefix(f"{shown(path)}: ")) from error
        return url

    def _count(self, place: Place) -> None:
        """Raises WebError when enough was read."""
        if self._silences[place.origin] >= _MAX_SILENCES:
            raise WebError(f"{shown(place.url)}: {place.host} did not answer {_MAX_SILENCES} times before")
        self._read += 1
        if self._read > MAX_PAGES:
            raise WebError(f"{shown(place.url)}: a run reads at most {MAX_PAGES:,} pages", status=0)


class Reach:
    """All that the files of a source may reach, as one tree: the source's own, and pages of the listed hosts."""

    def __init__(self, source: TreeSource, opened: ExitStack) -> None:
        """As `TreeSource.open`."""
        self._own = source.open(opened)
        self._pages = self._own if isinstance(self._own, Pages) else Pages(source.hosts, opened)

    @property
    def commit(self) -> str | None:
        """As `Tree`."""
        return self._own.commit

    def find(self) -> list[Found]:
        """As `Tree`."""
        return self._own.find()

    def owns(self, path: str) -> bool:
        """As `Tree`."""
        return self._holding(path).owns(path)

    def read(self, path: str) -> bytes:
        """As `Tree`."""
        return self._holding(path).read(path)

    def commit_of(self, path: str, content: bytes) -> str | None:
        """As `Tree`."""
        return self._holding(path).commit_of(path, content)

    def included(self, file: str, path: str) -> bytes:
        """As `Tree`: never from elsewhere."""
        return self._holding(file).included(file, path)

    def named(self, file: str, target: str) -> list[Found]:
        """As `Tree`: only here a file may lead to a page."""
        return self._holding(target if _URL.match(target) else file).named(file, target)

    def _holding(self, path: str) -> Tree:
        """A real path has no `//` in it."""
        return self._pages if _URL.match(path) else self._own


def raw_url(url: str) -> str:
    """Where the file is that the page of a repository at `url` shows; any other URL as it is."""
    for page, raw in _RAW:
        if match := re.fullmatch(page, url):
            return match.expand(raw)
    return url


def host_read_for(url: str) -> str:
    """The host that has to be listed for a URL, as `Host.name` has it. Raises WebError for what is no http(s) URL."""
    return host_of(raw_url(Place.of(url).url))


def _repository_of(url: str) -> str:
    match = _REPOSITORY.match(raw_url(url))
    return match[0] if match else url
