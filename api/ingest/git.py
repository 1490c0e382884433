"""Git repositories as trees: a working copy on disk, a branch of a repository on disk, or of one behind https.

No git program takes part, and nothing is checked out: files are read from the objects of a commit. A repository behind
a URL is kept as a shallow bare clone, one for each source, and what is new in it is fetched by each run through
`api.ingest.web`, with its list of hosts and its checks of addresses.
"""

from __future__ import annotations

import fcntl
import io
import re
import shutil
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import Any

from dulwich.client import AbstractHttpGitClient
from dulwich.errors import NotGitRepository
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tag, Tree
from dulwich.objects import S_ISGITLINK
from dulwich.refs import HEADREF, Ref
from dulwich.repo import Repo

from api.ingest.errors import OutsideError, ShutError, SourceError, UnreadableError
from api.ingest.files import Folder
from api.ingest.trees import FileTree, Kind, TreeSource
from api.ingest.web import Answer, Place, Web, WebError, shown
from db.rules.yaml import MAX_BYTES

# What one fetch may take: bytes, and seconds.
_MAX_FETCH = 1_000_000_000
_FETCH_WITHIN = 600

# Each fetch leaves a pack; a clone of more is made anew.
_MAX_PACKS = 50

# As Linux counts them.
_MAX_LINKS = 40

# The one branch of a clone: what was read last.
_READ = Ref(b"refs/heads/read")

_SSH = re.compile(r"(ssh|git)://|[^/]+@[^/]+:|[^/]+:[^/].*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitSource(TreeSource):
    """The files of a git repository."""

    type: str = "git"
    repository: str  # path of a working copy or of a bare repository, or an https URL
    branch: str | None = None  # None: HEAD, and of a working copy its files as they are
    pattern: str = "**"  # which files, relative to the repository's root
    clones: Path  # folder for what is fetched from URLs

    def open(self) -> FileTree:
        """As `TreeSource`. Fetches what is new, if it is behind a URL."""
        if re.match(r"https?://", self.repository):
            return _fetched(self)
        if _SSH.match(self.repository):
            raise SourceError(f"{self.repository}: repositories are read from a path, or over https; ssh is not there")
        return _on_disk(self)


class CommitTree(FileTree):
    """The files of a commit."""

    def __init__(self, place: str, repository: Repo, commit: ObjectID, pattern: str, opened: ExitStack) -> None:
        """`opened` is closed with the tree. Raises SourceError for what is no commit."""
        super().__init__(place, pattern)
        self._repository = repository
        self._opened = opened
        self._trees: dict[ObjectID, dict[str, tuple[int, ObjectID]]] = {}
        self._root = self._object(commit, Commit).tree
        self.commit = commit.decode()

    def entries(self, folder: str) -> Iterator[tuple[str, Kind]]:
        """As `FileTree`; submodules are not entered, and what no file system could hold is left out."""
        mode, id_ = self._entry(folder.split("/") if folder else [])
        if not S_ISDIR(mode):
            raise ShutError(folder, "it is not a folder")
        for name, (kind, _) in self._tree(id_).items():
            if name not in {"", ".", ".."} and "/" not in name and not S_ISGITLINK(kind):
                yield name, "link" if S_ISLNK(kind) else "folder" if S_ISDIR(kind) else "file"

    def real(self, path: str) -> str:
        """As `FileTree`."""
        here: list[str] = []
        ahead = deque(_parts(path))
        links = 0
        while ahead:
            part = ahead.popleft()
            if part == "..":
                if not here:
                    raise OutsideError("it is outside the repository")
                here.pop()
                continue
            mode, id_ = self._entry([*here, part])
            if not S_ISLNK(mode):
                here.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise ShutError("/".join([*here, part]), "Too many levels of symbolic links")
            ahead.extendleft(reversed(_parts(self._object(id_, Blob).data.decode(errors="surrogateescape"))))
        return "/".join(here)

    def is_folder(self, path: str) -> bool:
        """As `FileTree`; never of a link that leads out."""
        try:
            return S_ISDIR(self._entry(_parts(path))[0])
        except UnreadableError:
            return False

    def read(self, path: str) -> bytes:
        """As `Tree`."""
        mode, id_ = self._entry(_parts(path))
        if not S_ISREG(mode):
            raise UnreadableError("it is not a file")
        return self._object(id_, Blob).data[: MAX_BYTES + 1]

    def holds(self, path: str, content: bytes) -> bool:
        """Whether a file has this content."""
        try:
            return self._entry(_parts(path))[1] == Blob.from_string(content).get_id(self._repository.object_format)
        except UnreadableError:
            return False

    def close(self) -> None:
        """As `Tree`."""
        self._opened.close()

    def _entry(self, parts: Iterable[str]) -> tuple[int, ObjectID]:
        """Mode and id of what a path without links names."""
        mode, id_ = 0o040000, self._root
        for part in parts:
            entry = self._tree(id_).get(part) if S_ISDIR(mode) else None
            if entry is None:
                raise UnreadableError("there is no such file")
            mode, id_ = entry
        if S_ISGITLINK(mode):
            raise UnreadableError("it is a submodule, which is not read")
        return mode, id_

    def _tree(self, id_: ObjectID) -> dict[str, tuple[int, ObjectID]]:
        if id_ not in self._trees:
            items = self._object(id_, Tree).iteritems()
            self._trees[id_] = {name.decode(errors="surrogateescape"): (mode, sha) for name, mode, sha in items}
        return self._trees[id_]

    def _object[T: ShaFile](self, id_: ObjectID, type_: type[T]) -> T:
        with _in_words(self._place, f"its object {id_.decode(errors='replace')} is missing or damaged"):
            found = self._repository.object_store[id_]
            while isinstance(found, Tag):
                found = self._repository.object_store[found.object[1]]
            if not isinstance(found, type_):
                raise TypeError
            return found


class WorkingCopy(Folder):
    """The files of a working copy as they are, committed or not."""

    def __init__(self, root: Path, pattern: str, head: CommitTree | None) -> None:
        """`head`: its last commit; None: there is none yet."""
        super().__init__(root, pattern)
        self._head = head
        self.commit = head and head.commit

    def commit_of(self, path: str, content: bytes) -> str | None:
        """As `Tree`: of a file that is not as committed, none."""
        return self.commit if self._head and self._head.holds(path, content) else None

    def close(self) -> None:
        """As `Tree`."""
        if self._head:
            self._head.close()


def _on_disk(source: GitSource) -> FileTree:
    root = Path(source.repository).resolve()
    with ExitStack() as opened:
        with _in_words(source.repository, "it is no git repository"):
            repository = opened.enter_context(Repo(str(root)))
            branch = source.branch and _branch(source.branch)
            head = repository.refs.as_dict().get(branch or HEADREF)
        if head is None and (branch or repository.bare):
            raise SourceError(f"{source.repository}: {_missing(source)}")
        as_it_is = not (branch or repository.bare)
        committed = head and CommitTree(
            source.repository, repository, head, source.pattern, opened if as_it_is else opened
        )
        tree = WorkingCopy(root, source.pattern, committed or None) if as_it_is else committed
        opened.pop_all()
    raise NotImplementedError


def _branch(name: str) -> Ref:
    return Ref(b"refs/heads/" + name.encode())
