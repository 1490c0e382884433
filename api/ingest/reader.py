"""Reading a source, file by file: in batches, without parsing again what has not changed."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from importlib.resources import files as resources
from typing import Self

from api.ingest.errors import MissingError, UnreadableError
from api.ingest.locations import follow, followed_before
from api.ingest.trees import Found, Tree, TreeSource, storable
from api.ingest.url import Reach
from db.rules import descriptors
from db.rules.allowed import UNTRUSTED, AllowedKinds
from db.rules.placeholders import Include, IncludeError
from db.rules.records import Finding, Reading
from db.staging import Known, KnownFile, KnownLocation, StagedFile, kept, refused

# So much is read before it is handed on.
_BATCH_DOCUMENTS = 1_000
_BATCH_BYTES = 4_000_000

_OUTSIDE = "the link leads out of the source's root, and is not followed"


@dataclass(slots=True)
class Progress:
    """How far a reading is."""

    done: int = 0  # files
    files: int = 0  # that are known of so far


class Reader:
    """One reading of a source. It blocks, so it belongs into a thread; never into two at a time."""

    def __init__(self, source: TreeSource, known: Known) -> None:
        """`known` is what the catalog holds of the source's files."""
        self._source = source
        self._known = known
        self._opened = ExitStack()
        self._hops: dict[str, int] = {}  # of each file seen: how many Locations led to it
        self._optional: set[str] = set()
        self._waiting: deque[str] = deque()  # the nearest first, so that the hops are the fewest that lead there
        self._refused: list[StagedFile] = []
        self._locations = _Locations(known.locations)
        self._own = _Allowed(source.kinds)
        self._foreign = _Allowed(source.kinds, also=UNTRUSTED)
        self.progress = Progress()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def commit(self) -> str | None:
        """The commit that is read, where the source has commits; known with the first batch."""
        return self._tree.commit

    @cached_property
    def _tree(self) -> Tree:
        """Opened by who reads first, since that may take long."""
        return Reach(self._source, self._opened)

    def batches(self) -> Iterator[list[StagedFile]]:
        """All files of the source, and those that its Locations point to, each once.

        Raises SourceError when the source is not there.
        """
        self._note(sorted(self._tree.find(), key=lambda found: found.path), hops=0)
        batch: list[StagedFile] = []
        documents = size = 0
        while self._waiting:
            file, length = self._read(self._waiting.popleft())
            self.progress.done = len(self._hops) - len(self._waiting)
            batch.append(file)
            documents += file.reading.documents
            size += length
            if documents >= _BATCH_DOCUMENTS or size >= _BATCH_BYTES:
                yield batch
                batch, documents, size = [], 0, 0
        yield batch + self._refused

    def again(self, paths: Iterable[str]) -> list[StagedFile]:
        """Files read in full, whether they have changed or not."""
        return [self._read(path, skip=False)[0] for path in paths]

    def _note(self, found: Iterable[Found], *, hops: int) -> None:
        """Remember files to read, each once; and what is none, as a finding."""
        noted = list(found)
        for each in noted:  # which may become more meanwhile
            if each.path in self._hops:
                continue
            self._hops[each.path] = hops
            if not storable(each.path):
                reason = "its path is too long, or is not UTF-8"
                self._refused.append(_refused(_shown(each.path), _unreadable(reason)))
            elif each.outside:
                self._refused.append(_refused(each.path, Finding("file-outside-root", "WARNING", _OUTSIDE, 1)))
            elif each.unreadable:
                file = _refused(each.path, _unreadable(each.unreadable))
                self._refused.append(file)
                noted += self._known_below(each.path)
                noted += self._locations.kept_by(file, self._tree, hops)
            else:
                self._waiting.append(each.path)
                if each.optional:
                    self._optional.add(each.path)
        self.progress.files = len(self._hops)

    def _known_below(self, folder: str) -> list[Found]:
        """Files that were in a folder which does not open now are not gone: reading them says why not."""
        start = f"{folder}/" if folder else ""
        return [Found(path, path) for path in sorted(self._known.paths) if path.startswith(start)]

    def _read(self, path: str, *, skip: bool = True) -> tuple[StagedFile, int]:
        """A file, and its length in bytes."""
        try:
            content = self._tree.read(path)
        except UnreadableError as error:
            if path in self._optional and isinstance(error, MissingError):
                return StagedFile(path, Reading()), 0
            file, content = _refused(path, _unreadable(str(error))), b""
        else:
            known = self._known.files.get(path) if skip else None
            if known and self._is_unchanged(path, content, known):
                counts = Reading(documents=known.documents, skipped=known.skipped)
                return StagedFile(path, counts, known.digest, unchanged=True), len(content)
            file = self._parsed(path, content)
        hops = self._hops[path]
        self._note(self._locations.kept_by(file, self._tree, hops), hops=hops + 1)
        return file, len(content)

    def _is_unchanged(self, path: str, content: bytes, known: KnownFile) -> bool:
        include = self._include(path)
        try:
            included = {name: sha256(include(name)).hexdigest() for name in known.included}
        except IncludeError:
            return False
        return self._digest_of(path, content, included) == known.digest

    def _parsed(self, path: str, content: bytes) -> StagedFile:
        reading = descriptors.read(content, include=self._include(path), kinds=self._allowed(path))
        hops = self._hops[path]
        self._note(follow(self._tree, path, reading, hops=hops), hops=hops + 1)
        points_on = any(record.graph_type == "Location" for record in reading.records)
        digest = None if reading.findings or points_on else self._digest_of(path, content, reading.included)
        return StagedFile(path, reading, digest, commit=self._tree.commit_of(path, content))

    def _include(self, file: str) -> Include:
        """What reads the files that placeholders in a file name."""

        def include(path: str) -> bytes:
            try:
                return self._tree.included(file, path)
            except UnreadableError as error:
                raise IncludeError(str(error)) from error

        return include

    def _allowed(self, path: str) -> _Allowed:
        return self._own if self._tree.owns(path) else self._foreign

    def _digest_of(self, path: str, content: bytes, included: dict[str, str]) -> str:
        words = (word for item in sorted(included.items()) for word in item)
        return _digest(self._allowed(path).digest, sha256(content).hexdigest(), *words)


class _Allowed:
    """The kinds that a file may declare: those of its source, and what it may at most where nobody vouches for it."""

    def __init__(self, kinds: AllowedKinds | None, *, also: AllowedKinds | None = None) -> None:
        self._all = [each for each in (kinds, also) if each is not None]
        self.digest = _digest(rules_digest(), *(word for each in self._all for word in each.words))

    def __contains__(self, kind: object) -> bool:
        return all(kind in each for each in self._all)


class _Locations:
    """The Locations that the catalog has. While one is kept, because its document is broken, it still points on."""

    def __init__(self, locations: Iterable[KnownLocation]) -> None:
        self._by_path: dict[str, list[KnownLocation]] = defaultdict(list)
        self._by_ref = {location.ref: location for location in locations}
        for location in self._by_ref.values():
            self._by_path[location.path].append(location)

    def kept_by(self, file: StagedFile, tree: Tree, hops: int) -> list[Found]:
        """Where those point that the broken documents of a file keep."""
        refs = kept(file.reading)
        if refs is None:
            gone = refused(file.reading)
            locations = [location for location in self._by_path[file.path] if location.ref not in gone]
        else:
            locations = [self._by_ref[ref] for ref in refs if ref in self._by_ref]
        return [found for kept in locations for found in followed_before(tree, kept.path, kept.spec, hops=hops)]


@cache
def rules_digest() -> str:
    """A digest of what makes rows of text: files are read again when the program that reads them is another one."""
    modules = sorted([*resources("db.rules").iterdir(), resources("db") / "staging.py"], key=lambda module: module.name)
    return _digest(*(sha256(m.read_bytes()).hexdigest() for m in modules if m.name.endswith(".py")))


def _digest(*words: str) -> str:
    return sha256("\n".join(words).encode()).hexdigest()


def _refused(path: str, finding: Finding) -> StagedFile:
    return StagedFile(path, Reading(findings=[finding]))


def _unreadable(reason: str) -> Finding:
    hint = "What the file, or what is below the folder, gave before is kept until it can be read."
    return Finding("file-unreadable", "ERROR", f"it cannot be read: {reason}", 1, hint=hint)


def _shown(path: str) -> str:
    """A path that the database cannot hold, as near as it can."""
    return path.encode(errors="backslashreplace").decode()[:250]
