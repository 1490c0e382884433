"""Sources that are declared, in a file or by a mutation, and read by processes by themselves.

A declaration names one place (`folder`, `file`, `glob`, `git`, `url` or `backstage`) and how to read it. What the
database keeps of it, its definition, holds no secret: a token is named by the environment variable that has it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    SecretStr,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails

from api.ingest.backstage import BackstageSource
from api.ingest.errors import SourceError
from api.ingest.files import FileSource
from api.ingest.git import GitSource
from api.ingest.trees import split_glob
from api.ingest.url import UrlSource, host_read_for
from api.ingest.web import Host, WebError
from db.rules.allowed import UNTRUSTED, AllowedKinds
from db.rules.records import Json
from db.rules.yaml import Document, YamlError, parse, split
from db.runs import Source
from db.schedules import MUTATION, Declaration, DeclarationError, Due

_INTERVAL = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=30)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SCP = re.compile(r"[\w.-]+@[\w.-]+:")  # git's own way to write an ssh address


class DeclaredError(Exception):
    """A file of sources that cannot be used: one line for each mistake, with its place in the file."""


def _interval(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not (match := _INTERVAL.fullmatch(value)):
        raise ValueError("must be a number with s, m, h or d, such as 30s or 5m")
    interval = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if interval > _LONGEST:
        raise ValueError("must be at most 30d")
    return interval


def _kinds(value: object) -> AllowedKinds:
    if isinstance(value, AllowedKinds):
        return value
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise ValueError("must be a list of kinds, such as [component, api]")  # noqa: TRY004 - pydantic's convention
    return AllowedKinds.of(value)


def _place(value: object, info: ValidationInfo) -> str:
    """An absolute path; a relative one is so to the file that names it."""
    text = _text(value)
    base = (info.context or {}).get("base", Path("/"))
    return os.path.normpath(base / Path(text).expanduser())


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be a text that is not empty")
    return value


def _url(value: object) -> str:
    text = _text(value)
    try:
        host_read_for(text)
    except WebError as error:
        raise ValueError(str(error)) from None
    return text


def _repository(value: object, info: ValidationInfo) -> str:
    text = _text(value)
    if text.startswith("ssh://") or _SCP.match(text):
        raise ValueError("must be a path or an https URL: ssh is not supported")
    return _url(text) if _SCHEME.match(text) else _place(text, info)


def _host(value: object) -> str:
    text = _text(value).lower()
    Host(text)  # raises ValueError
    return text


Text = Annotated[str, BeforeValidator(_text), Field(max_length=1000)]
Place = Annotated[str, BeforeValidator(_place)]
Url = Annotated[str, BeforeValidator(_url)]
Repository = Annotated[str, BeforeValidator(_repository)]
HostName = Annotated[str, BeforeValidator(_host)]
Interval = Annotated[
    timedelta, BeforeValidator(_interval), PlainSerializer(lambda every: f"{int(every.total_seconds())}s")
]
Kinds = Annotated[AllowedKinds, BeforeValidator(_kinds), PlainSerializer(lambda kinds: list(kinds.words))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the process lets sources read, and with which secrets."""

    hosts: tuple[Host, ...] = ()  # that http(s) may read
    roots: tuple[Path, ...] = ()  # folders below which mutations may declare sources
    clones: Path  # where clones of git repositories are kept
    environ: Mapping[str, str]  # that has the tokens

    def with_own(self, url: str, *, private: bool, token: SecretStr | None) -> tuple[Host, ...]:
        """The hosts of a source at `url`: its own, which need not be listed, and all that are."""
        name = host_read_for(url)
        listed = self.host(name)
        own = Host(
            name=name,
            private=private or (listed is not None and listed.private),
            token=token or (listed.token if listed else None),
        )
        return (own, *(host for host in self.hosts if host.name != name))

    def host(self, name: str) -> Host | None:
        """The listed host of this name."""
        return next((host for host in self.hosts if host.name == name), None)

    def token(self, variable: str | None) -> SecretStr | None:
        """The token that an environment variable has. Raises SourceError where it has none."""
        if variable is None:
            return None
        if not self.environ.get(variable):
            raise SourceError(f"the environment has no {variable}, which is to hold its token")
        return SecretStr(self.environ[variable])


class Declared(BaseModel):
    """What all declarations may say."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: ClassVar[str]
    name: Text | None = None
    every: Interval = timedelta(minutes=5)
    kinds: Kinds | None = None
    trusted: bool = True

    @property
    def place(self) -> str:
        """What it names: a path or a URL."""
        place: str = getattr(self, self.type)
        return place

    @property
    def path(self) -> str | None:
        """The path on this machine that it reads; None: it reads none."""
        return None

    @property
    def address(self) -> str | None:
        """The URL that it reads; None: it reads none."""
        return None

    @property
    def default_name(self) -> str:
        """Its name, unless it is given one."""
        return self.place

    @property
    def source(self) -> Source:
        """Who it is in the catalog."""
        kinds = self.kinds or (None if self.trusted else UNTRUSTED)
        return Source(name=self.name or self.default_name, type=self.type, trusted=self.trusted, kinds=kinds)

    @property
    def called(self) -> Self:
        """The same with its name, which stays when what a link leads to changes."""
        return self.model_copy(update={"name": self.source.name})

    @property
    def declaration(self) -> Declaration:
        """What the database holds of it."""
        definition: dict[str, Json] = self.model_dump(mode="json", exclude_none=True)
        return Declaration(**_named(self.source), definition=definition)

    def opened(self, access: Access, *, by_mutation: bool) -> Source:
        """The source, to be read now. Raises SourceError."""
        raise NotImplementedError

    def watched(self) -> Path | None:
        """The folder whose changes are a reason to read it."""
        return None


class _Files(Declared):
    watch: bool = True

    @property
    def path(self) -> str:
        return self.place

    @property
    def default_name(self) -> str:
        return os.path.realpath(self.place)

    def opened(self, access: Access, *, by_mutation: bool) -> Source:
        own = self.source
        found = FileSource.at(self.place, name=own.name, trusted=own.trusted, kinds=own.kinds, hosts=access.hosts)
        if found.type != self.type:
            raise SourceError(f"{self.place}: it is declared as a {self.type}, and is a {found.type}")
        return found

    def watched(self) -> Path | None:
        return Path(self._root) if self.watch else None

    @property
    def _root(self) -> str:
        return os.path.realpath(self.place)


class DeclaredFolder(_Files):
    """A folder, with all that is below it."""

    type = "folder"
    folder: Place


class DeclaredFile(_Files):
    """A file, and what its Locations point to."""

    type = "file"
    file: Place

    @property
    def _root(self) -> str:
        return str(Path(super()._root).parent)


def _glob(value: object, info: ValidationInfo) -> str:
    place = _place(value, info)
    if not any(character in place for character in "*?["):
        raise ValueError("must have a wildcard; a file without one is a `file`")
    return place


class DeclaredGlob(_Files):
    """The files whose path matches."""

    type = "glob"
    glob: Annotated[str, BeforeValidator(_glob)]

    @property
    def default_name(self) -> str:
        return self._root

    @property
    def _root(self) -> str:
        return os.path.realpath(split_glob(self.glob)[0])


class _Remote(Declared):
    private: bool = False
    token_env: Text | None = None

    def _hosts(self, access: Access, *, by_mutation: bool) -> tuple[Host, ...]:
        """Its own host too, where an operator declared it. Raises SourceError."""
        if self.address is None or by_mutation:
            return access.hosts
        return access.with_own(self.address, private=self.private, token=access.token(self.token_env))


class DeclaredGit(_Remote):
    """A git repository: a working copy, a bare one, or one behind https."""

    type = "git"
    git: Repository
    branch: Text | None = None
    files: Text = "**"

    @property
    def path(self) -> str | None:
        return None if self.address else self.git

    @property
    def address(self) -> str | None:
        return self.git if _SCHEME.match(self.git) else None

    @property
    def default_name(self) -> str:
        return self.git if self.address else os.path.realpath(self.git)

    def opened(self, access: Access, *, by_mutation: bool) -> Source:
        return GitSource(
            **_named(self.source),
            repository=self.git,
            branch=self.branch,
            pattern=self.files,
            clones=access.clones,
            hosts=self._hosts(access, by_mutation=by_mutation),
        )


class DeclaredUrl(_Remote):
    """A file behind http(s), and what its Locations point to."""

    type = "url"
    url: Url

    def opened(self, access: Access, *, by_mutation: bool) -> Source:
        return UrlSource(**_named(self.source), url=self.url, hosts=self._hosts(access, by_mutation=by_mutation))


class DeclaredBackstage(_Remote):
    """A running Backstage, mirrored."""

    type = "backstage"
    backstage: Url
    filters: tuple[Text, ...] = ()

    @property
    def address(self) -> str:
        return self.backstage

    def opened(self, access: Access, *, by_mutation: bool) -> Source:
        hosts = self._hosts(access, by_mutation=by_mutation)  # its token is that of its host
        return BackstageSource(**_named(self.source), url=self.backstage, hosts=hosts, filters=self.filters)


def _named(source: Source) -> dict[str, Any]:
    return {"name": source.name, "type": source.type, "trusted": source.trusted, "kinds": source.kinds}


TYPES = ("folder", "file", "glob", "git", "url", "backstage")


def _type_of(value: object) -> str | None:
    """The type of a declaration; None: it names no place, or several."""
    if isinstance(value, Declared):
        return value.type
    named = [type_ for type_ in TYPES if isinstance(value, dict) and value.get(type_) is not None]
    return named[0] if len(named) == 1 else None


AnyDeclared = Annotated[
    Annotated[DeclaredFolder, Tag("folder")]
    | Annotated[DeclaredFile, Tag("file")]
    | Annotated[DeclaredGlob, Tag("glob")]
    | Annotated[DeclaredGit, Tag("git")]
    | Annotated[DeclaredUrl, Tag("url")]
    | Annotated[DeclaredBackstage, Tag("backstage")],
    Discriminator(
        _type_of,
        custom_error_type="place",
        custom_error_message=f"must name one place, by one of the keys {', '.join(TYPES)}",
    ),
]
_ANY: TypeAdapter[Declared] = TypeAdapter(AnyDeclared)


class DeclaredHost(BaseModel):
    """A host that http(s) may read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    host: HostName
    private: bool = False
    token_env: Text | None = None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sources: list[AnyDeclared] = []
    hosts: list[DeclaredHost] = []


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources that the settings declare, and what others may be declared."""

    access: Access
    declared: tuple[Declared, ...] = ()
    file: Path | None = None  # that declares them

    @classmethod
    def read(cls, file: Path, access: Access) -> Self:
        """What a file declares. Raises DeclaredError, which names every mistake."""
        document = _document(file)
        try:
            content = _File.model_validate(document.value or {}, context={"base": file.parent})
        except ValidationError as error:
            problems = [_problem(details) for details in error.errors(include_url=False)]
            raise _error(file, document, problems) from None
        problems = [*_shared_names(content), *_missing_tokens(content, access)]
        if problems:
            raise _error(file, document, problems)
        hosts = tuple(
            Host(name=host.host, private=host.private, token=access.token(host.token_env)) for host in content.hosts
        )
        return cls(replace(access, hosts=hosts), tuple(declared.called for declared in content.sources), file)

    @property
    def declarations(self) -> list[Declaration]:
        """What the database holds of the sources that the settings declare."""
        return [declared.declaration for declared in self.declared]

    def watched(self) -> dict[str, Path]:
        """The folders whose changes are a reason to read a source, by its name; links followed as they lead now."""
        folders = ((declared.source.name, declared.watched()) for declared in self.declared)
        return {name: folder for name, folder in folders if folder}

    def known(self, due: Due) -> Declared | None:
        """How to read a source.

        None: only processes with other settings know, or those of another version.
        """
        if due.declared_in == MUTATION:
            try:
                return _ANY.validate_python(due.definition)
            except ValidationError:
                return None
        return next((declared for declared in self.declared if declared.declaration.definition == due.definition), None)

    def opened(self, declared: Declared, *, by: str) -> Source:
        """The source, to be read now; `by`: who declared it. Raises SourceError."""
        if by != MUTATION:
            return declared.opened(self.access, by_mutation=False)
        try:
            self._check(declared)
        except DeclarationError as error:
            raise SourceError(str(error)) from error
        return declared.opened(self.access, by_mutation=True)

    def registered(self, given: Mapping[str, Any]) -> Declaration:
        """What a mutation declares, by the keys of a file: never trusted, and only where the settings let it.

        Raises DeclarationError.
        """
        try:
            declared = _ANY.validate_python({**given, "trusted": False})
        except ValidationError as error:
            path, message = _problem(error.errors(include_url=False)[0])
            raise DeclarationError(str(path[0]) if path else None, message) from None
        self._check(declared)
        return declared.called.declaration

    def _check(self, declared: Declared) -> None:
        if declared.address is not None and self.access.host(host_read_for(declared.address)) is None:
            message = f"the host {host_read_for(declared.address)} is not on the list of hosts that may be read"
            raise DeclarationError(declared.type, message)
        if declared.path is not None:
            real = Path(os.path.realpath(declared.path))
            if not any(real.is_relative_to(root) for root in self.access.roots):
                raise DeclarationError(declared.type, "the path is not below a folder that may be read")


def _document(file: Path) -> Document:
    try:
        chunks = split(file.read_bytes())
        if len(chunks) != 1:
            raise DeclaredError(f"{file}: it must hold one YAML document, and has {len(chunks)}")
        return parse(chunks[0])
    except OSError as error:
        raise DeclaredError(f"{file}: {error.strerror}") from error
    except YamlError as error:
        raise DeclaredError(f"{file}:{error.line}: {error.message}") from error


_Path = tuple[str | int, ...]


def _problem(details: ErrorDetails) -> tuple[_Path, str]:
    """Where a mistake is, and a message."""
    path = tuple(part for at, part in enumerate(details["loc"]) if not (part in TYPES and _is_tag(details["loc"], at)))
    match details["type"]:
        case "extra_forbidden":
            return path, "there is no such key"
        case "missing":
            return path, "it is missing"
        case "value_error":
            return path, str(details["ctx"]["error"])
    return path, details["msg"].replace("Input should", "must")


def _is_tag(loc: _Path, at: int) -> bool:
    """Whether a part of pydantic's path is no key but says which type of declaration it took."""
    return at == 0 or isinstance(loc[at - 1], int)


def _shared_names(content: _File) -> Iterator[tuple[_Path, str]]:
    first: dict[str, int] = {}
    for position, declared in enumerate(content.sources):
        name = declared.source.name
        if name in first:
            yield ("sources", position), f"its name is {name}, as that of sources[{first[name]}]; `name` gives another"
        first.setdefault(name, position)
    hosts = [host.host for host in content.hosts]
    for position, host in enumerate(hosts):
        if host in hosts[:position]:
            yield ("hosts", position, "host"), f"{host} is listed twice"


def _missing_tokens(content: _File, access: Access) -> Iterator[tuple[_Path, str]]:
    for key, items in (("sources", content.sources), ("hosts", content.hosts)):
        for position, item in enumerate(items):
            variable = getattr(item, "token_env", None)
            if variable and not access.environ.get(variable):
                yield (key, position, "token_env"), f"the environment has no {variable}"


def _error(file: Path, document: Document, problems: Sequence[tuple[_Path, str]]) -> DeclaredError:
    lines = (f"{file}:{document.line_of(path)}: {_shown(path)}{message}" for path, message in problems)
    return DeclaredError("\n".join(lines))


def _shown(path: _Path) -> str:
    """`sources[1].every: `."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{text.removeprefix('.')}: " if text else ""
