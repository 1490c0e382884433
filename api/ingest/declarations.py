"""One declared source: a place, and how to read it.

    Declared
    ├── DeclaredFolder, DeclaredFile, DeclaredGlob    watched
    └── DeclaredGit, DeclaredUrl, DeclaredBackstage   may be behind http(s), with a token

A declaration is read strictly, from a file or from what a mutation was given. Written as JSON it is the source's
definition in the database; that holds no secret: a token is named by the environment variable that has it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
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
    ValidationInfo,
)

from api.ingest.backstage import BackstageSource
from api.ingest.errors import SourceError
from api.ingest.files import FileSource
from api.ingest.git import GitSource
from api.ingest.trees import TreeSource, split_glob
from api.ingest.url import UrlSource, host_read_for
from api.ingest.web import Host, WebError
from db.rules.allowed import UNTRUSTED, AllowedKinds
from db.rules.records import Json
from db.runs import Source, refusal_of
from db.schedules import Declaration

Readable = TreeSource | BackstageSource

_INTERVAL = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=30)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SCP = re.compile(r"[\w.-]+@[\w.-]+:")  # git's own way to write an ssh address


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the process lets sources read, and with which secrets."""

    hosts: tuple[Host, ...] = ()  # that http(s) may read
    roots: tuple[Path, ...] = ()  # folders below which mutations may declare sources
    clones: Path  # where clones of git repositories are kept
    environ: Mapping[str, str]  # that has the tokens

    def with_own(self, name: str, *, private: bool, token: SecretStr | None) -> tuple[Host, ...]:
        """All listed hosts, and the one that a source names itself; what is listed of that one holds too."""
        listed = self.listed(name) or Host(name)
        own = Host(name, private or listed.private, token or listed.token)
        return (own, *(host for host in self.hosts if host.name != name))

    def listed(self, name: str) -> Host | None:
        """The listed host of this name."""
        return next((host for host in self.hosts if host.name == name), None)

    def token(self, variable: str | None) -> SecretStr | None:
        """The token that an environment variable has. Raises SourceError where it has none."""
        if variable is None:
            return None
        if not self.environ.get(variable):
            raise SourceError(f"the environment has no {variable}, which is to hold its token")
        return SecretStr(self.environ[variable])


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be a text that is not empty")
    return value


def _name(value: object) -> str:
    text = _text(value)
    if refusal := refusal_of(text):
        raise ValueError(refusal)
    return text


def _interval(value: object) -> timedelta:
    match = _INTERVAL.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError("must be a number with s, m, h or d, such as 30s or 5m")
    interval = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if interval > _LONGEST:
        raise ValueError("must be at most 30d")
    return interval


def _kinds(value: object) -> AllowedKinds:
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise ValueError("must be a list of kinds, such as [component, api]")
    return AllowedKinds.of(value)


def _path(value: object, info: ValidationInfo) -> str:
    """An absolute path; a relative one is so to the file that names it."""
    base: Path = (info.context or {}).get("base", Path("/"))
    return os.path.normpath(base / Path(_text(value)).expanduser())


def _glob(value: object, info: ValidationInfo) -> str:
    path = _path(value, info)
    if not any(character in path for character in "*?["):
        raise ValueError("must have a wildcard; without one it is a `file`")
    return path


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
    return _url(text) if _SCHEME.match(text) else _path(text, info)


Name = Annotated[str, BeforeValidator(_name), Field(max_length=1000)]
Text = Annotated[str, BeforeValidator(_text), Field(max_length=1000)]
PathText = Annotated[str, BeforeValidator(_path), Field(max_length=1000)]
GlobText = Annotated[str, BeforeValidator(_glob), Field(max_length=1000)]
UrlText = Annotated[str, BeforeValidator(_url), Field(max_length=1000)]
Repository = Annotated[str, BeforeValidator(_repository), Field(max_length=1000)]
Interval = Annotated[
    timedelta, BeforeValidator(_interval), PlainSerializer(lambda every: f"{int(every.total_seconds())}s")
]
Kinds = Annotated[AllowedKinds, BeforeValidator(_kinds), PlainSerializer(lambda kinds: list(kinds.words))]


class Declared(BaseModel):
    """What all declarations may say."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: ClassVar[str]  # also the key of its place
    name: Name | None = None
    every: Interval = timedelta(minutes=5)
    kinds: Kinds | None = None
    trusted: bool = True

    @property
    def place(self) -> str:
        """The path or the URL that it names."""
        place: str = getattr(self, self.type)
        return place

    @property
    def is_local(self) -> bool:
        """Whether it reads files of this machine."""
        return True

    @property
    def default_name(self) -> str:
        """Its name, unless it is given one."""
        return os.path.realpath(self.place) if self.is_local else self.place

    @property
    def named(self) -> Self:
        """The same with its name, which then stays when what a link leads to changes."""
        return self.model_copy(update={"name": self.name or self.default_name})

    @property
    def source(self) -> Source:
        """Who it is in the catalog."""
        return Source(**self._source)

    @property
    def declaration(self) -> Declaration:
        """What the database holds of it."""
        definition: dict[str, Json] = self.model_dump(mode="json", exclude_none=True)
        return Declaration(**self._source, definition=definition)

    @property
    def _source(self) -> dict[str, Any]:
        kinds = self.kinds or (None if self.trusted else UNTRUSTED)
        return {"name": self.name or self.default_name, "type": self.type, "trusted": self.trusted, "kinds": kinds}

    def opened(self, access: Access, *, by_mutation: bool) -> Readable:
        """The source, to be read now. Raises SourceError."""
        raise NotImplementedError

    def watched(self) -> Path | None:
        """The folder whose changes are a reason to read it, links followed."""
        return None


class _Files(Declared):
    watch: bool = True

    @property
    def root(self) -> Path:
        """The folder that it is in, links followed."""
        return Path(os.path.realpath(self.place))

    def opened(self, access: Access, *, by_mutation: bool) -> Readable:
        """As `Declared`."""
        own = self.source
        found = FileSource.at(self.place, name=own.name, trusted=own.trusted, kinds=own.kinds, hosts=access.hosts)
        if found.type != self.type:
            raise SourceError(f"{self.place}: it is declared as a {self.type}, and is a {found.type}")
        return found

    def watched(self) -> Path | None:
        """As `Declared`."""
        return self.root if self.watch else None


class DeclaredFolder(_Files):
    """A folder, with all that is below it."""

    type = "folder"
    folder: PathText


class DeclaredFile(_Files):
    """A file, and what its Locations point to."""

    type = "file"
    file: PathText

    @property
    def root(self) -> Path:
        """As `_Files`."""
        return super().root.parent


class DeclaredGlob(_Files):
    """The files whose path matches."""

    type = "glob"
    glob: GlobText

    @property
    def root(self) -> Path:
        """As `_Files`."""
        return Path(os.path.realpath(split_glob(self.glob)[0]))

    @property
    def default_name(self) -> str:
        """As `Declared`."""
        return str(self.root)


class _Remote(Declared):
    private: bool = False  # its host may have a private address
    token_env: Text | None = None

    @property
    def is_local(self) -> bool:
        """As `Declared`."""
        return not _SCHEME.match(self.place)

    def _hosts(self, access: Access, *, by_mutation: bool) -> tuple[Host, ...]:
        """Those that it may read: its own need not be listed where an operator names it. Raises SourceError."""
        if self.is_local or by_mutation:
            return access.hosts
        token = access.token(self.token_env)
        return access.with_own(host_read_for(self.place), private=self.private, token=token)


class DeclaredGit(_Remote):
    """A git repository: a working copy, a bare one, or one behind https."""

    type = "git"
    git: Repository
    branch: Text | None = None
    files: Text = "**"

    def opened(self, access: Access, *, by_mutation: bool) -> Readable:
        """As `Declared`."""
        return GitSource(
            **self._source,
            repository=self.git,
            branch=self.branch,
            pattern=self.files,
            clones=access.clones,
            hosts=self._hosts(access, by_mutation=by_mutation),
        )


class DeclaredUrl(_Remote):
    """A file behind http(s), and what its Locations point to."""

    type = "url"
    url: UrlText

    def opened(self, access: Access, *, by_mutation: bool) -> Readable:
        """As `Declared`."""
        return UrlSource(**self._source, url=self.url, hosts=self._hosts(access, by_mutation=by_mutation))


class DeclaredBackstage(_Remote):
    """A running Backstage, mirrored."""

    type = "backstage"
    every: Interval = timedelta(minutes=10)
    backstage: UrlText
    filters: Annotated[tuple[Text, ...], Field(strict=False)] = ()

    def opened(self, access: Access, *, by_mutation: bool) -> Readable:
        """As `Declared`."""
        hosts = self._hosts(access, by_mutation=by_mutation)  # its token is that of its host
        return BackstageSource(**self._source, url=self.backstage, hosts=hosts, filters=self.filters)


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
        custom_error_message=f"must name one place, by one of {', '.join(TYPES)}",
    ),
]
