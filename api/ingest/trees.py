"""Trees: where the files of a source are, whatever holds them.

A folder, a commit of a git repository and the web are each a `Tree`. Of the first two this module knows the rules for
links and globs; what they add is how to list, to follow and to read. `Reach` joins a source's own tree and the web.

A file goes by its real path, relative to the root, however it is reached: it counts once. Links to files inside the
root are followed. Folders behind links are not entered: their files are inside the root anyway, or outside it.
"""

from __future__ import annotations

import glob
import posixpath
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from api.ingest.errors import OutsideError, ShutError, SourceError, UnreadableError
from api.ingest.web import Host
from db.runs import Source

SUFFIXES = (".yaml", ".yml")

# In bytes; longer ones do not fit into the database's indexes.
MAX_PATH = 1000

# Git's own store: no file that anybody wrote. All other folders are entered, hidden ones too.
_NOT_ENTERED = ".git"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")

Kind = Literal["file", "folder", "link"]


@dataclass(frozen=True, slots=True)
class Found:
    """What looking for files came upon. Paths are relative to the root, with `/`; the path of a page is its URL."""

    path: str  # the real one
    reached: str  # the way to it: another one where that led over a link
    unreadable: str | None = None  # why it is no file to read: a folder that does not open, a link to nowhere
    outside: bool = False  # a link that leads out of the root, and is not followed
    optional: bool = False  # it may be missing


class Tree(Protocol):
    """Files by path, and what they name."""

    @property
    def commit(self) -> str | None:
        """The commit that it shows, where it has commits."""
        ...

    def find(self) -> list[Found]:
        """The files of the source. Raises SourceError when it is not there, or leads to nothing."""
        ...

    def owns(self, path: str) -> bool:
        """Whether a file is inside the root, and as trustworthy as the source."""
        ...

    def read(self, path: str) -> bytes:
        """The content of a file; of one that is too long, a little more than is allowed, or UnreadableError."""
        ...

    def commit_of(self, path: str, content: bytes) -> str | None:
        """The commit that holds a file with this content, where that is known."""
        ...

    def included(self, file: str, path: str) -> bytes:
        """The content of what a placeholder in `file` names. Raises UnreadableError."""
        ...

    def named(self, file: str, target: str) -> list[Found]:
        """The files that a Location in `file` names.

        Raises ShutError where that does not open now, UnreadableError where it leads nowhere.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSource(Source, ABC):
    """A source whose documents are in files."""

    hosts: tuple[Host, ...] = ()  # that its Locations may point to, beside what is in its own tree

    @abstractmethod
    def open(self, opened: ExitStack) -> Tree:
        """Its own tree; `opened` takes what is to be closed after use. Blocks. Raises SourceError.

        Another thread may close it meanwhile, so that nobody waits for what a source does not send.
        """


class FileTree(ABC):
    """A tree with folders and links."""

    commit: str | None = None

    def __init__(self, place: str, pattern: str, *, alone: bool = False) -> None:
        """`place`: the root's name, for messages. `pattern`: a glob below the root; or, `alone`, a file."""
        self._place = place
        self._pattern = pattern
        self._alone = alone

    @abstractmethod
    def entries(self, folder: str) -> Iterable[tuple[str, Kind]]:
        """Names in a folder. Raises ShutError."""

    @abstractmethod
    def real(self, path: str) -> str:
        """Where a path leads, links followed; it is relative to the root, or absolute.

        Raises OutsideError when out of the root, ShutError when that cannot be told now, UnreadableError when nowhere.
        """

    @abstractmethod
    def is_folder(self, path: str) -> bool:
        """Whether a path leads to a folder."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """As `Tree`."""

    def find(self) -> list[Found]:
        """As `Tree`. A glob that leads to nothing is an error: who names one expects something."""
        if self._alone:
            return [Found(self._pattern, self._pattern)]
        found = list(self.matching("", self._pattern))
        if unopened := next((each.unreadable for each in found if not each.path), None):
            raise SourceError(f"{self._place}: {unopened}")
        if not found and self._pattern != "**":
            raise SourceError(f"{self._place}: no YAML file in it matches {self._pattern}")
        return found

    def owns(self, path: str) -> bool:
        """As `Tree`: nothing else can be reached."""
        return True

    def commit_of(self, path: str, content: bytes) -> str | None:
        """As `Tree`."""
        return self.commit

    def included(self, file: str, path: str) -> bytes:
        """As `Tree`."""
        if "://" in path:
            raise UnreadableError("only files of the source are read, no URLs")
        return self.read(self.real(_beside(file, path)))

    def named(self, file: str, target: str) -> list[Found]:
        """As `Tree`: a path, a glob or a `file:` URL, relative to the file and inside the root."""
        path = _path_of(target)
        try:
            real = self.real(_beside(file, path))
        except UnreadableError:
            if not glob.has_magic(path):
                raise
            return self._globbed(file, path)
        if self.is_folder(real):
            raise UnreadableError(f"it is a folder; a glob such as {path.rstrip('/')}/**/*.yaml names the files in it")
        return [Found(real, real)]

    def matching(self, folder: str, pattern: str) -> Iterator[Found]:
        """The YAML files below `folder` whose path from there matches; `**` stands for any number of folders, or none.

        Also folders that do not open, and links that lead out of the root.
        """
        depth = len(folder.split("/")) if folder else 0
        pieces = pattern.split("/")
        for found in self._walk(folder):
            if found.unreadable or found.outside or _matches(found.reached.split("/")[depth:], pieces):
                yield found

    def _globbed(self, file: str, path: str) -> list[Found]:
        prefix, pattern = split_glob(path)
        found = list(self.matching(self.real(_beside(file, prefix)), pattern))
        if not found:
            raise UnreadableError("no file matches")
        return found

    def _walk(self, folder: str) -> Iterator[Found]:
        """All YAML files below a folder."""
        folders = [folder]
        while folders:
            here = folders.pop()
            try:
                entries = self.entries(here)
            except ShutError as error:
                yield Found(here, here, unreadable=str(error))
                continue
            for name, kind in entries:
                path = f"{here}/{name}" if here else name
                if kind == "link":
                    yield from self._behind_link(path)
                elif kind == "file":
                    if path.endswith(SUFFIXES):
                        yield Found(path, path)
                elif name != _NOT_ENTERED:
                    folders.append(path)

    def _behind_link(self, path: str) -> Iterator[Found]:
        named_so = path.endswith(SUFFIXES)
        try:
            real = self.real(path)
        except OutsideError:
            if named_so or self.is_folder(path):
                yield Found(path, path, outside=True)
        except ShutError as error:
            if named_so:
                yield Found(error.path, path, unreadable=str(error))
        except UnreadableError as error:
            if named_so:
                yield Found(path, path, unreadable=str(error))
        else:
            if named_so and not self.is_folder(real):
                yield Found(real, path)


def split_glob(pattern: str) -> tuple[str, str]:
    """The fixed prefix of a glob, and the rest: `a/b` and `*/c.yaml` for `a/b/*/c.yaml`."""
    parts = PurePath(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return str(PurePath(*parts[:fixed])), "/".join(parts[fixed:])


def storable(path: str) -> bool:
    """Whether the database can hold this path: it is UTF-8, and at most MAX_PATH long."""
    try:
        return len(path.encode()) <= MAX_PATH
    except UnicodeEncodeError:
        return False


def _matches(parts: list[str], pieces: list[str]) -> bool:
    """Whether a path matches a glob, both split at `/`; in time that is bounded by the product of their lengths."""
    matched = {0}  # how many parts the pieces so far can stand for
    for position, piece in enumerate(pieces):
        if piece != "**":
            matched = {n + 1 for n in matched if n < len(parts) and fnmatchcase(parts[n], piece)}
        elif matched:
            matched = set(range(min(matched), len(parts) + (position + 1 == len(pieces))))
    return len(parts) in matched


def _beside(file: str, path: str) -> str:
    return posixpath.join(posixpath.dirname(file), path)


def _path_of(target: str) -> str:
    """The path in a target: `./a.yaml`, `file:./a.yaml`, `file:///srv/a.yaml`. Raises UnreadableError for others."""
    if not _SCHEME.match(target):
        return target
    parts = urlsplit(target)
    if parts.scheme != "file" or parts.netloc:
        raise UnreadableError("only files inside the source's root are followed, and http(s) URLs")
    return unquote(parts.path)
