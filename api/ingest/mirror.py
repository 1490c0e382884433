"""Reading a running Backstage as a source: each entity is a file of one document, whose path is its ref.

All refs are listed first, with their etags. Fetched is only what has another etag than the last run noted, and what is
not listed any more: a listing may miss what changes while it is read, so an entity is gone when asking for it says so.
A run over a catalog that has not changed costs its listing, and one that is resumed fetches what is still missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import islice
from typing import Self

from api.ingest.backstage import AT_ONCE, Backstage, BackstageSource, TooLargeError
from api.ingest.errors import SourceError
from api.ingest.reader import Progress, rules_digest
from db.rules import upstream
from db.rules.records import Finding, Json, Reading
from db.rules.refs import RefError
from db.staging import Known, StagedFile

# So much is fetched before it is handed on.
_BATCH_ENTITIES = 1_000
_BATCH_BYTES = 16_000_000


class Mirror:
    """One reading of a Backstage. It blocks, so it belongs into a thread; never into two at a time."""

    commit = None

    def __init__(self, source: BackstageSource, known: Known) -> None:
        """`known` is what the catalog holds of the source. Raises SourceError for a host that is not listed."""
        self._source = source
        self._known = known
        self._backstage = Backstage(source)
        self._basis = f"{rules_digest()}\n{self._backstage.root}"
        self.progress = Progress()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._backstage.close()

    def batches(self) -> Iterator[list[StagedFile]]:
        """All entities that upstream has: with records those that may differ from what the last run noted.

        Raises SourceError.
        """
        listed, settled = self._listed()
        for ref, etag in listed.items():
            if file := self._without_fetching(ref, etag):
                settled.append(file)
        asked = [*(listed.keys() - {file.path for file in settled}), *(self._known.paths - listed.keys())]
        self.progress.done = len(settled)
        self.progress.files = len(settled) + len(asked)
        yield settled
        yield from self._batched(sorted(asked))

    def again(self, paths: Iterable[str]) -> list[StagedFile]:
        """Entities read in full, whether they have changed or not."""
        return [file for batch in self._batched(paths) for file in batch]

    def _listed(self) -> tuple[dict[str, str | None], list[StagedFile]]:
        """The etag of each ref; and what upstream lists without one, as findings."""
        listed: dict[str, str | None] = {}
        nameless: list[StagedFile] = []
        for page in self._backstage.stubs():
            for stub in page:
                try:
                    listed[str(upstream.ref_of(stub))] = upstream.etag_of(stub)
                except RefError as error:
                    found = Finding("reference-syntax", "ERROR", str(error), 1, 1)
                    nameless.append(_refused(f"without a ref, {len(nameless) + 1}", found))
            self.progress.files = len(listed)
        return listed, nameless

    def _without_fetching(self, ref: str, etag: str | None) -> StagedFile | None:
        """What can be said of a listed entity at once; None: it has to be fetched."""
        kind = ref.partition(":")[0]
        if self._source.kinds is not None and kind not in self._source.kinds:
            message = f"the source may not declare an entity of kind {kind}"
            return _refused(ref, Finding("kind-not-allowed", "ERROR", message, 1, 1, "kind", ref=ref))
        known = None if self._source.full else self._known.files.get(ref)
        if known is None or known.digest != self._digest_of(etag):
            return None
        return StagedFile(ref, Reading(documents=1), known.digest, unchanged=True)

    def _batched(self, refs: Iterable[str]) -> Iterator[list[StagedFile]]:
        waiting = iter(refs)
        batch: list[StagedFile] = []
        begun = self._backstage.received
        while some := list(islice(waiting, AT_ONCE)):
            for file in self._fetched(some):
                batch.append(file)
                if len(batch) >= _BATCH_ENTITIES or self._backstage.received - begun >= _BATCH_BYTES:
                    yield batch
                    batch, begun = [], self._backstage.received
            self.progress.done += len(some)
        yield batch

    def _fetched(self, refs: list[str]) -> Iterator[StagedFile]:
        """The entities that are there, of so many refs that one request may ask for."""
        try:
            entities = self._backstage.entities(refs)
        except TooLargeError:
            if len(refs) == 1:
                yield _refused(refs[0], Finding("file-too-large", "ERROR", "it is larger than an entity may be", 1))
            else:
                half = len(refs) // 2
                yield from self._fetched(refs[:half])
                yield from self._fetched(refs[half:])
            return
        for ref, entity in zip(refs, entities, strict=True):
            if entity is not None:
                yield self._staged(ref, entity)

    def _staged(self, ref: str, entity: Json) -> StagedFile:
        if not _is_of(entity, ref):  # or it could take the place of another one
            raise SourceError(f"{self._source.url}: asked for {ref}, it gives another entity")
        reading = upstream.read(entity, kinds=self._source.kinds)
        return StagedFile(ref, reading, None if reading.findings else self._digest_of(upstream.etag_of(entity)))

    def _digest_of(self, etag: str | None) -> str | None:
        return None if etag is None else sha256(f"{self._basis}\n{etag}".encode(errors="replace")).hexdigest()


def _is_of(entity: Json, ref: str) -> bool:
    try:
        return str(upstream.ref_of(entity)) == ref
    except RefError:
        return False


def _refused(path: str, finding: Finding) -> StagedFile:
    return StagedFile(path, Reading(documents=1, rejected=1, findings=[finding]))
