"""Documents in files: one in a file of its own, or many in a manifest, as the tools of frontends write it.

    *.graphql   a document; its id is the name of the file, without the ending
    *.json      {"<id>": "<text>", ...}                                           graphql-codegen, Relay
                {"format": "apollo-persisted-query-manifest", "version": 1,
                 "operations": [{"id": ..., "name": ..., "type": ..., "body": "<text>"}, ...]}

An id is a custom one of GraphQL over HTTP: letters, digits, `-`, `.`, `_` and `~`; in a manifest also `sha256:` with a
hash. What looks like a SHA-256 must be that of the text, since that is what clients will take it for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from graphql import GraphQLError

from api.documents import SHA256, Document, hash_of
from api.settings import Settings, SettingsError
from schema.errors import CatalogError, DocumentError

APOLLO = "apollo-persisted-query-manifest"

_HASH = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[A-Za-z0-9._~-]+|sha256:[0-9a-f]{64}")


class DocumentsError(SettingsError):
    """Documents that cannot be trusted; `problems` has a line `file:line: reason` for each thing that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(("These documents cannot be trusted:", *problems)))
        self.problems = problems


class Found(NamedTuple):
    """Documents, and what is wrong with others."""

    documents: list[Document]
    problems: list[str]


def trusted_documents(settings: Settings) -> Found:
    """What the folder of the settings holds, if they name one and do not turn it off. Raises DocumentsError."""
    if settings.documents is None or settings.documents_mode == "off":
        return Found([], [])
    return read_folder(settings.documents)


def read_folder(folder: Path) -> Found:
    """The documents that lie in a folder, not in folders within it. Raises DocumentsError where it cannot be read."""
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise DocumentsError([f"{folder}: {error.strerror}"]) from None
    return read_files(file for file in files if file.suffix in {".graphql", ".json"} and not file.name.startswith("."))


def read_files(files: Iterable[Path]) -> Found:
    """The documents in some files."""
    return told_apart(one for file in files for one in _read(file))


def told_apart(read: Iterable[Document | str]) -> Found:
    """What was read, or what is wrong with it: each document once. An id stands for one text only."""
    found = Found([], [])
    by_id: dict[str, Document] = {}
    for one in read:
        if isinstance(one, str):
            found.problems.append(one)
            continue
        first = by_id.setdefault(one.id, one)
        if problem := _problem(one, first):
            found.problems.append(f"{one.place(1)}: {problem}")
        elif first is one:
            found.documents.append(one)
    return found


def check(found: Found, prepare: Callable[[Document], object]) -> None:
    """Raises DocumentsError with all that is wrong: with the files, and with whatever `prepare` refuses."""
    problems = list(found.problems)
    for one in found.documents:
        try:
            prepare(one)
        except CatalogError as error:
            problems += _told(one, error)
    if problems:
        raise DocumentsError(problems)


def apollo_manifest(operations: Iterable[Mapping[str, str]]) -> bytes:
    """A manifest in Apollo's format; each operation has `id`, `name`, `type` and `body`."""
    manifest = {"format": APOLLO, "version": 1, "operations": list(operations)}
    return orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _read(file: Path) -> Iterator[Document | str]:
    """The documents in a file, or what is wrong with it."""
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        yield f"{file}:1: {error.strerror}"
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        yield f"{file}:{line}: this is not UTF-8"
    else:
        if file.suffix == ".json":
            yield from _in_manifest(str(file), text)
        else:
            yield Document(file.stem, text, f"{file}:{{}}".format)


def _in_manifest(file: str, text: str) -> Iterator[Document | str]:
    try:
        manifest = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        yield f"{file}:{error.lineno}: this is not JSON: {error.msg}"
        return
    bodies = _bodies(manifest)
    if bodies is None:
        yield f"{file}:1: this is no manifest of documents that is known here"
        return
    line, end = 1, 0
    for id_, body in bodies:
        begin, end = end, max(end, text.find(orjson.dumps(id_).decode(), end))
        line += text.count("\n", begin, end)
        yield Document(id_, body, _always(f"{file}:{line}: {id_}"))


def _always(place: str) -> Callable[[int], str]:
    return lambda _: place


def _bodies(manifest: Any) -> list[tuple[str, str]] | None:
    """Each id with its text; None where the manifest is of no known kind."""
    match manifest:
        case {"format": _}:
            bodies = _apollo_bodies(manifest)
        case dict():
            bodies = [*manifest.items()]
        case _:
            return None
    return bodies if bodies is not None and all(isinstance(body, str) for _, body in bodies) else None


def _apollo_bodies(manifest: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
    match manifest:
        case {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [*operations]}:
            bodies = [(one["id"], one["body"]) for one in operations if _is_apollo_operation(one)]
            return bodies if len(bodies) == len(operations) else None
    return None


def _is_apollo_operation(one: object) -> bool:
    match one:
        case {"id": str(), "body": str()}:
            return True
    return False


def _problem(document: Document, first: Document) -> str | None:
    """What is wrong with a document's id; `first` was the first to have it."""
    id_ = document.id
    if document.text != first.text:
        return f"another document has the id {id_}: {first.place(1)}"
    if not _ID.fullmatch(id_):
        return f"{id_!r} is no id: it may have letters, digits, '-', '.', '_' and '~'"
    hashed = id_.removeprefix(SHA256)
    if _HASH.fullmatch(hashed) and hashed != hash_of(document.text):
        return f"the SHA-256 of the text is another one: {hash_of(document.text)}"
    return None


def _told(document: Document, error: CatalogError) -> Iterator[str]:
    """A line for each reason."""
    reasons: Iterable[GraphQLError] = error.reasons if isinstance(error, DocumentError) else [error]
    for reason in reasons:
        line = reason.locations[0].line if reason.locations else 1
        yield f"{document.place(line)}: {reason.message}"
