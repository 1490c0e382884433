"""Files of a folder: which there are, and reading them, never beyond the root and never without a bound."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from api.ingest.errors import OutsideError, ShutError, SourceError, UnreadableError
from api.ingest.trees import FileTree, Kind, TreeSource, split_glob
from api.ingest.web import Host
from db.rules.allowed import AllowedKinds
from db.rules.yaml import MAX_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource(TreeSource):
    """A folder, a file or a glob."""

    root: Path  # real and absolute; no file outside it is ever read
    pattern: str  # relative to the root: a file's name, a glob, or `**` for all

    @classmethod
    def at(
        cls,
        place: str,
        *,
        name: str | None = None,
        trusted: bool = True,
        kinds: AllowedKinds | None = None,
        hosts: tuple[Host, ...] = (),
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
            hosts=hosts,
            root=root,
            pattern=pattern or found.name,
        )

    def open(self, opened: ExitStack) -> Folder:
        """As `TreeSource`."""
        return Folder(self.root, self.pattern, alone=self.type == "file")


class Folder(FileTree):
    """What is in a folder now."""

    def __init__(self, root: Path, pattern: str = "**", *, alone: bool = False) -> None:
        """`root`: real and absolute. `pattern`: a glob below it; or, `alone`, a file in it."""
        super().__init__(str(root), pattern, alone=alone)
        self._root = root

    def entries(self, folder: str) -> Iterator[tuple[str, Kind]]:
        """As `FileTree`."""
        try:
            entries = list(os.scandir(self._root / folder))
        except OSError as error:
            raise ShutError(folder, error.strerror or type(error).__name__) from error
        return ((entry.name, _kind_of(entry)) for entry in entries)

    def real(self, path: str) -> str:
        """As `FileTree`."""
        try:
            return self._inside(os.path.realpath(self._root / path, strict=True))
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise UnreadableError("there is no such file") from error
        except OSError as error:
            apparent = self._inside(os.path.realpath(self._root / path))
            raise ShutError(apparent, error.strerror or type(error).__name__) from error

    def is_folder(self, path: str) -> bool:
        """As `FileTree`."""
        return (self._root / path).is_dir()

    def read(self, path: str) -> bytes:
        """As `Tree`."""
        return read(f"{self._root}/{path}")  # as text: a pathlib path costs as much as the reading

    def _inside(self, path: str) -> str:
        if not Path(path).is_relative_to(self._root):
            raise OutsideError("it is outside the source's root")
        inside = Path(path).relative_to(self._root).as_posix()
        return "" if inside == "." else inside


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


def _kind_of(entry: os.DirEntry[str]) -> Kind:
    if entry.is_symlink():
        return "link"
    return "folder" if entry.is_dir() else "file"
