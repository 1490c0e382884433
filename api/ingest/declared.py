"""The sources that a process knows how to read: those of its file of sources, and those that mutations declare."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from api.ingest.declarations import TYPES, Access, AnyDeclared, Declared, Readable, Text
from api.ingest.errors import SourceError
from api.ingest.url import host_read_for
from api.ingest.web import Host
from db.rules.yaml import Document, YamlError, parse, split
from db.schedules import MUTATION, Declaration, DeclarationError, Due

_ANY: TypeAdapter[Declared] = TypeAdapter(AnyDeclared)


class SourcesError(Exception):
    """A file of sources that cannot be used: one line for each mistake, with its place in the file."""


def _host(value: str) -> str:
    Host(value.lower())  # raises ValueError
    return value.lower()


class _Host(BaseModel):
    """A host that http(s) may read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    host: Annotated[Text, AfterValidator(_host)]
    private: bool = False
    token_env: Text | None = None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sources: list[AnyDeclared] = []
    hosts: list[_Host] = []


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources that a file declares, and what others may be."""

    access: Access
    declared: tuple[Declared, ...] = ()
    file: Path | None = None  # None: no file declares any

    @classmethod
    def read(cls, file: Path, access: Access) -> Self:
        """What a file declares. Raises SourcesError, which names every mistake."""
        document = _document(file)
        content = _content(file, document)
        if problems := [*_shared_names(content), *_missing_tokens(content, access)]:
            raise _error(file, document, problems)
        hosts = tuple(Host(host.host, host.private, access.token(host.token_env)) for host in content.hosts)
        return cls(replace(access, hosts=hosts), tuple(declared.named for declared in content.sources), file)

    @property
    def declarations(self) -> list[Declaration]:
        """What the database holds of the sources that the file declares."""
        return [declared.declaration for declared in self.declared]

    def watched(self) -> dict[str, Path]:
        """The folders whose changes are a reason to read a source, by its name; links followed as they lead now."""
        folders = ((declared.source.name, declared.watched()) for declared in self.declared)
        return {name: folder for name, folder in folders if folder}

    def known(self, due: Due) -> Declared | None:
        """How to read a source. None: only processes with another file know, or of another version."""
        if due.declared_in != MUTATION:
            return next((one for one in self.declared if one.declaration.definition == due.definition), None)
        try:
            return _ANY.validate_python(due.definition)
        except ValidationError:
            return None

    def opened(self, declared: Declared, *, by: str | None) -> Readable:
        """The source, to be read now; `by`: who declared it. Raises SourceError."""
        if by == MUTATION:
            try:
                self._check(declared)
            except DeclarationError as error:
                raise SourceError(str(error)) from error
        return declared.opened(self.access, by_mutation=by == MUTATION)

    def registered(self, given: Mapping[str, Any]) -> Declaration:
        """What a mutation declares, by the keys of a file: never trusted, and only where operators let it.

        Raises DeclarationError.
        """
        try:
            declared = _ANY.validate_python({**given, "trusted": False}).named
        except ValidationError as error:
            path, message = _problem(error.errors(include_url=False)[0])
            raise DeclarationError(str(path[0]) if path else None, message) from None
        self._check(declared)
        return declared.declaration

    def _check(self, declared: Declared) -> None:
        """Refuse what a mutation may not read."""
        if declared.is_local:
            real = Path(os.path.realpath(declared.place))
            if not any(real.is_relative_to(root) for root in self.access.roots):
                raise DeclarationError(declared.type, "it is not below a folder of CATALOGRAPH_SOURCE_ROOTS")
        elif self.access.listed(host := host_read_for(declared.place)) is None:
            raise DeclarationError(declared.type, f"{host} is not on the list of hosts that may be read")


_Place = tuple[str | int, ...]  # in the file: ("sources", 1, "every")


def _document(file: Path) -> Document:
    try:
        chunks = split(file.read_bytes())
        if len(chunks) != 1:
            raise SourcesError(f"{file}: it must hold one YAML document, and has {len(chunks)}")
        return parse(chunks[0])
    except OSError as error:
        raise SourcesError(f"{file}: {error.strerror}") from error
    except YamlError as error:
        raise SourcesError(f"{file}:{error.line}: {error.message}") from error


def _content(file: Path, document: Document) -> _File:
    value = document.value
    if isinstance(value, dict):  # a key of which all items are comments is as if absent
        value = {key: items for key, items in value.items() if items is not None}
    try:
        return _File.model_validate(value, context={"base": file.parent})
    except ValidationError as error:
        raise _error(file, document, map(_problem, error.errors(include_url=False))) from None


def _problem(details: ErrorDetails) -> tuple[_Place, str]:
    """Where a mistake is, and what to say of it."""
    place = tuple(_without_types(details["loc"]))
    match details["type"]:
        case "extra_forbidden":
            return place, "there is no such key"
        case "missing":
            return place, "it is missing"
        case "model_type" | "model_attributes_type":
            return place, "must be a mapping"
        case "value_error":
            return place, str(details["ctx"]["error"])
    return place, details["msg"].replace("Input should", "must")


def _without_types(loc: _Place) -> Iterator[str | int]:
    """The place that pydantic names, without the words that only say which type of declaration it took."""
    before: str | int = 0
    for part in loc:
        if not (part in TYPES and isinstance(before, int)):
            yield part
        before = part


def _shared_names(content: _File) -> Iterator[tuple[_Place, str]]:
    names = [declared.named.name for declared in content.sources]
    for at, name in enumerate(names):
        if (first := names.index(name)) < at:
            yield ("sources", at), f"it is called {name}, as sources[{first}] is; `name` gives it another name"
    hosts = [host.host for host in content.hosts]
    for at, host in enumerate(hosts):
        if host in hosts[:at]:
            yield ("hosts", at, "host"), f"{host} is listed twice"


def _missing_tokens(content: _File, access: Access) -> Iterator[tuple[_Place, str]]:
    for key, items in (("sources", content.sources), ("hosts", content.hosts)):
        for at, item in enumerate(items):
            variable = getattr(item, "token_env", None)
            if variable and not access.environ.get(variable):
                yield (key, at, "token_env"), f"the environment has no {variable}"


def _error(file: Path, document: Document, problems: Iterable[tuple[_Place, str]]) -> SourcesError:
    lines = [(document.line_of(place), f"{_shown(place)}{message}") for place, message in problems]
    return SourcesError("\n".join(f"{file}:{line}: {text}" for line, text in sorted(lines)))


def _shown(place: _Place) -> str:
    """`sources[1].every: `."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return f"{text.removeprefix('.')}: " if text else ""
