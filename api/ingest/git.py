"""Git repositories as trees: a working copy on disk, a branch of a repository on disk, or of one behind https.

No git program takes part, and nothing is checked out: files are read from the objects of a commit.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from stat import S_IFDIR, S_ISDIR, S_ISLNK, S_ISREG
from typing import TypeVar

from dulwich.objects import S_ISGITLINK, Blob, Commit, ObjectID, ShaFile, Tag, Tree
from dulwich.refs import HEADREF, LOCAL_BRANCH_PREFIX, Ref
from dulwich.repo import Repo

from api.ingest.clone import fetched, in_words
from api.ingest.errors import OutsideError, ShutError, SourceError, UnreadableError
from api.ingest.files import Folder
from api.ingest.trees import FileTree, Kind, TreeSource
from api.ingest.web import shown
from db.rules.yaml import MAX_BYTES

# As Linux counts them.
_MAX_LINKS = 40

_URL = re.compile(r"https?://")
_ELSEWHERE = re.compile(r"\w[\w+.-]*://|[^/]+@[^/]+:")  # the second is git's own way to write an ssh address

_T = TypeVar("_T", bound=ShaFile)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitSource(TreeSource):
    """The files of a git repository."""

    type: str = "git"
    repository: str  # path of a working copy or of a bare repository, or an https URL
    branch: str | None = None  # None: HEAD, and of a working copy its files as they are
    pattern: str = "**"  # which files, relative to the repository's root
    clones: Path  # folder for what is fetched from URLs

    def open(self, opened: ExitStack) -> FileTree:
        """As `TreeSource`. Fetches what is new where the repository is behind a URL."""
        if _ELSEWHERE.match(self.repository) and not _URL.match(self.repository):
            raise SourceError(f"{shown(self.repository)}: a repository is read from a path or over https, not over ssh")
        return self._behind_url(opened) if _URL.match(self.repository) else self._on_disk(opened)

    def _behind_url(self, opened: ExitStack) -> CommitTree:
        # Of its own for each source: two that want other branches must not fetch into one.
        key = sha256(f"{self.name}\n{self.repository}".encode()).hexdigest()
        folder = self.clones / f"{key[:32]}.git"
        repository, commit = fetched(self.repository, self._ref, folder, self.hosts, opened)

        def make_anew() -> None:
            rmtree(folder, ignore_errors=True)

        return CommitTree(shown(self.repository), repository, commit, self.pattern, damaged=make_anew)

    def _on_disk(self, opened: ExitStack) -> FileTree:
        root = Path(self.repository).resolve()
        if not root.is_dir():
            raise SourceError(f"{root}: there is no such folder")
        with in_words(f"{root}: it is no git repository, or a damaged one"):
            repository = opened.enter_context(Repo(str(root)))
            commit = _commit_at(repository, self._ref)
        committed = commit and CommitTree(str(root), repository, commit, self.pattern)
        if not repository.bare and self.branch is None:
            return WorkingCopy(root, self.pattern, committed or None)
        if not committed:
            raise SourceError(f"{root}: it has no branch {self.branch}" if self.branch else f"{root}: it has no commit")
        return committed

    @property
    def _ref(self) -> Ref:
        return Ref(LOCAL_BRANCH_PREFIX + self.branch.encode()) if self.branch else HEADREF


class CommitTree(FileTree):
    """The files of a commit."""

    def __init__(
        self,
        place: str,
        repository: Repo,
        commit: ObjectID,
        pattern: str,
        *,
        damaged: Callable[[], None] = lambda: None,
    ) -> None:
        """`damaged` is called when an object is. Raises SourceError for what is no commit."""
        super().__init__(place, pattern)
        self._repository = repository
        self._damaged = damaged
        self._trees: dict[ObjectID, dict[str, tuple[int, ObjectID]]] = {}
        self._root = self._object(commit, Commit).tree
        self.commit = commit.decode()

    def entries(self, folder: str) -> Iterator[tuple[str, Kind]]:
        """As `FileTree`; submodules are not entered, and names that no file system could hold are left out."""
        _, id_ = self._entry(_parts(folder))
        for name, (mode, _) in self._tree(id_).items():
            if name not in {"", ".", ".."} and "/" not in name and not S_ISGITLINK(mode):
                yield name, "link" if S_ISLNK(mode) else "folder" if S_ISDIR(mode) else "file"

    def real(self, path: str) -> str:
        """As `FileTree`."""
        here: list[str] = []
        ahead = deque(_parts(path))
        links = 0
        while ahead:
            here.append(ahead.popleft())
            if here[-1] == "..":
                if len(here) == 1:
                    raise OutsideError("it is outside the source's root")
                del here[-2:]
                continue
            mode, id_ = self._entry(here)
            if S_ISLNK(mode):
                links += 1
                if links > _MAX_LINKS:
                    raise ShutError("/".join(here), "Too many levels of symbolic links")
                here.pop()
                ahead.extendleft(reversed(_parts(_text(self._object(id_, Blob).data))))
        return "/".join(here)

    def is_folder(self, path: str) -> bool:
        """As `FileTree`; never of a link, which may lead out."""
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
        """Whether a file of the commit has this content."""
        try:
            _, id_ = self._entry(_parts(path))
        except UnreadableError:
            return False
        return id_ == Blob.from_string(content).get_id(self._repository.object_format)

    def _entry(self, parts: Iterable[str]) -> tuple[int, ObjectID]:
        """Mode and id of what a path without links names."""
        mode, id_ = S_IFDIR, self._root
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
            self._trees[id_] = {_text(name): (mode, id_) for name, mode, id_ in items}
        return self._trees[id_]

    def _object(self, id_: ObjectID, type_: type[_T]) -> _T:
        try:
            with in_words(f"{self._place}: its object {id_.decode()} is missing or damaged"):
                found = self._repository.object_store[id_]
                while isinstance(found, Tag):
                    found = self._repository.object_store[found.object[1]]
                if not isinstance(found, type_):
                    raise TypeError(found.type_name)
                return found
        except SourceError:
            self._damaged()
            raise


class WorkingCopy(Folder):
    """The files of a working copy as they are, committed or not."""

    def __init__(self, root: Path, pattern: str, head: CommitTree | None) -> None:
        """`head`: its last commit; None: there is none yet."""
        super().__init__(root, pattern)
        self._head = head
        self.commit = head.commit if head else None

    def commit_of(self, path: str, content: bytes) -> str | None:
        """As `Tree`: of a file that is not as committed, none."""
        return self.commit if self._head and self._head.holds(path, content) else None


def _commit_at(repository: Repo, ref: Ref) -> ObjectID | None:
    try:
        return repository.refs[ref]
    except (KeyError, ValueError):  # the second for what can be no name
        return None


def _parts(path: str) -> list[str]:
    """The names in a path. Raises OutsideError for an absolute one: a commit does not know where it is."""
    if path.startswith("/"):
        raise OutsideError("it is outside the source's root")
    return [part for part in path.split("/") if part not in {"", "."}]


def _text(name: bytes) -> str:
    """A name as the file system would give it: what is no UTF-8 shows when it is stored."""
    return name.decode(errors="surrogateescape")
