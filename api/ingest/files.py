"""Files of a source: which there are, and reading them, never beyond the source's root and never without a bound.

A file goes by its real path, relative to the root, however it is reached: it counts once. Links to files inside the
root are followed. Folders behind links are not entered: their files are inside the root anyway, or outside it.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Self

from db.rules.allowed import AllowedKinds
from db.rules.placeholders import Include, IncludeError
from db.rules.yaml import MAX_BYTES
from db.runs import Source

SUFFIXES = (".yaml", ".yml")

# In bytes; longer ones do not fit into the database's indexes.
MAX_PATH = 1000

# Git's own store: no file that anybody wrote. All other folders are entered, hidden ones too.
_NOT_ENTERED = ".git"


class SourceError(Exception):
    """A source that is not there, or leads to nothing. The message is for the operator."""


class UnreadableError(Exception):
    """A file that cannot be read, and why, without its name."""


class OutsideError(UnreadableError):
    """A file that is not inside the root."""


class ShutError(UnreadableError):
    """A path that does not open now: what is behind it may well be there."""

    def __init__(self, path: str, reason: str) -> None:
        """`path` is relative to the root, its links followed as far as they open."""
        super().__init__(reason)
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource(Source):
    """A source whose documents are in files."""

    root: Path  # real and absolute; no file outside it is ever read
    pattern: str  # relative to the root: a file's name, a glob, or `**` for all

    @classmethod
    def at(
        cls, place: str, *, name: str | None = None, trusted: bool = True, kinds: AllowedKinds | None = None
    ) -> Self:
        """The file, the folder or the glob that an operator names.

        Its root is the folder, the file's folder, or the glob's fixed prefix; its name is the root, or the file.
        Raises SourceError when there is none.
        """
        path = Path(place)
        try:
            if not place:
                raise SourceError("the path is empty")
            if "://" in place:
                raise SourceError(f"{place}: URLs are not read; clone it, or download it, and name the folder or file")
            if path.is_dir():
                type_, found, pattern = "folder", path.resolve(strict=True), "**"
            elif path.exists():
                type_, found, pattern = "file", path.resolve(strict=True), ""
            elif glob.has_magic(place):
                prefix, pattern = split_glob(place)
                type_, found = "glob", Path(prefix).resolve(strict=True)
            else:
                raise SourceError(f"{place}: there is no such file or folder")
        except OSError as error:
            raise SourceError(f"{place}: {error.strerror}") from error
        root = found.parent if type_ == "file" else found
        return cls(
            name=name or str(found),
            type=type_,
            trusted=trusted,
            kinds=kinds,
            root=root,
            pattern=pattern or found.name,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What looking for files came upon. Paths are relative to the root, with `/`."""

    path: str  # the real one
    reached: str  # the way to it: another one where that led over a link
    unreadable: str | None = None  # why it is no file to read: a folder that does not open, a link to nowhere
    outside: bool = False  # a link that leads out of the root, and is not followed


def find(source: FileSource) -> list[Found]:
    """The files of a source.

    Raises SourceError when its root does not open, and when a glob leads to nothing: who names one expects something.
    """
    if source.type == "file":
        return [Found(source.pattern, source.pattern)]
    found = list(matching(source.root, source.root, source.pattern))
    if unopened := next((f.unreadable for f in found if not f.path), None):
        raise SourceError(f"{source.root}: {unopened}")
    if not found and source.type == "glob":
        raise SourceError(f"{source.root}: no YAML file in it matches {source.pattern}")
    return found


def split_glob(pattern: str) -> tuple[str, str]:
    """The fixed prefix of a glob, and the rest: `a/b` and `*/c.yaml` for `a/b/*/c.yaml`."""
    parts = PurePath(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return str(PurePath(*parts[:fixed])), "/".join(parts[fixed:])


def matching(root: Path, folder: Path, pattern: str) -> Iterator[Found]:
    """The YAML files below `folder` whose path from there matches; `**` stands for any number of folders, or none.

    Also folders that do not open, and links that lead out of the root.
    """
    base = folder.relative_to(root).parts
    pieces = pattern.split("/")
    for found in _walk(root, "/".join(base)):
        if found.unreadable or found.outside or _matches(found.reached.split("/")[len(base) :], pieces):
            yield found


def _walk(root: Path, folder: str) -> Iterator[Found]:
    """All YAML files below a folder."""
    folders = [folder]
    while folders:
        here = folders.pop()
        try:
            entries = list(os.scandir(root / here))
        except OSError as error:
            yield Found(here, here, unreadable=error.strerror)
            continue
        for entry in entries:
            path = f"{here}/{entry.name}" if here else entry.name
            if entry.is_symlink():
                yield from _behind_link(root, path)
            elif not entry.is_dir():
                if path.endswith(SUFFIXES):
                    yield Found(path, path)
            elif entry.name != _NOT_ENTERED:
                folders.append(path)


def _behind_link(root: Path, path: str) -> Iterator[Found]:
    named_so = path.endswith(SUFFIXES)
    try:
        real = real_path(root, root / path)
    except OutsideError:
        if named_so or (root / path).is_dir():
            yield Found(path, path, outside=True)
    except ShutError as error:
        if named_so:
            yield Found(error.path, path, unreadable=str(error))
    except UnreadableError as error:
        if named_so:
            yield Found(path, path, unreadable=str(error))
    else:
        if named_so and not real.is_dir():
            yield Found(real.relative_to(root).as_posix(), path)


def _matches(parts: list[str], pieces: list[str]) -> bool:
    """Whether a path matches a glob, both split at `/`; in time that is bounded by the product of their lengths."""
    matched = {0}  # how many parts the pieces so far can stand for
    for position, piece in enumerate(pieces):
        if piece != "**":
            matched = {n + 1 for n in matched if n < len(parts) and fnmatchcase(parts[n], piece)}
        elif matched:
            matched = set(range(min(matched), len(parts) + (position + 1 == len(pieces))))
    return len(parts) in matched


def real_path(root: Path, path: Path) -> Path:
    """Where a path leads, links followed.

    Raises OutsideError when out of the root, ShutError when that cannot be told now, UnreadableError when nowhere.
    """
    try:
        real = Path(os.path.realpath(path, strict=True))
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise UnreadableError("there is no such file") from error
    except OSError as error:
        apparent = _inside(root, Path(os.path.realpath(path)))
        raise ShutError(apparent.relative_to(root).as_posix(), error.strerror or type(error).__name__) from error
    return _inside(root, real)


def _inside(root: Path, path: Path) -> Path:
    if not path.is_relative_to(root):
        raise OutsideError("it is outside the source's root")
    return path


def read(path: Path | str) -> bytes:
    """The content of a file; of one that is too long, a little more than is allowed. Raises UnreadableError."""
    try:
        # Opening a pipe would wait for a writer otherwise.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableError("it is not a file")
            return file.read(min(status.st_size, MAX_BYTES) + 1)
    except FileNotFoundError as error:
        raise UnreadableError("there is no such file") from error
    except IsADirectoryError as error:
        raise UnreadableError("it is not a file") from error
    except OSError as error:
        raise UnreadableError(error.strerror or type(error).__name__) from error


def includes(root: Path, file: str) -> Include:
    """What reads the files that placeholders in the file at `file` name, relative to it and inside the root."""

    def include(path: str) -> bytes:
        if "://" in path:
            raise IncludeError("only files of the source are read, no URLs")
        try:
            return read(real_path(root, (root / file).parent / path))
        except UnreadableError as error:
            raise IncludeError(str(error)) from error

    return include


def storable(path: str) -> bool:
    """Whether the database can hold this path: it is UTF-8, and at most MAX_PATH long."""
    try:
        return len(path.encode()) <= MAX_PATH
    except UnicodeEncodeError:
        return False
