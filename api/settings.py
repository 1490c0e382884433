"""Every setting of the process, read once from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from db.engine import connection_url
from db.rules.pointers import Pointer
from db.rules.scopes import EVERYTHING, Scope, scopes_of

PREFIX = "CATALOGRAPH_"
COST_OF_A_POINT = 100  # what a caller has in an hour is counted in points
_WITHOUT_PREFIX = ("database_url", "database_listen_url")
# Names under the prefix that are read by the tests, not by the process.
_TEST_NAMES = ("CATALOGRAPH_TEST_", "CATALOGRAPH_CHROMIUM")

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")


# OpenID Connect Discovery 1.0, section 3; without TLS only where nobody is in between.
_ISSUER = re.compile(r"https://[^/?#\s]+[^?#\s]*|http://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?(/[^?#\s]*)?")


class SettingsError(Exception):
    """Settings that cannot be used: one line for each variable, with what is allowed. Secrets are never shown."""


def _usable_url(value: str) -> str:
    connection_url(value)
    return value


def _under_home(value: str | Path) -> Path:
    return Path(value).expanduser().absolute()


def _origins(value: str | tuple[str, ...]) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin: scheme, host and port only, such as http://localhost:5173")
    return origins


def _folders(value: str | tuple[Path, ...]) -> tuple[Path, ...]:
    folders = tuple(map(Path, value.split(os.pathsep))) if isinstance(value, str) else value
    for folder in folders:
        if not folder.is_absolute():
            raise ValueError(f"{str(folder)!r} is no absolute path")
    return tuple(Path(os.path.realpath(folder)) for folder in folders)


def _pointers(value: str | tuple[Pointer, ...]) -> tuple[Pointer, ...]:
    return tuple(Pointer.parse(part.strip()) for part in value.split(",")) if isinstance(value, str) else value


FolderPath = Annotated[Path, BeforeValidator(_under_home)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
Folders = Annotated[tuple[Path, ...], BeforeValidator(_folders)]
Pointers = Annotated[tuple[Pointer, ...], BeforeValidator(_pointers), Field(max_length=20)]


def _scopes(value: str | frozenset[Scope]) -> frozenset[Scope]:
    if not isinstance(value, str):
        return value
    return frozenset() if value.strip() == "none" else scopes_of(word.strip() for word in value.split(","))


def _issuer(value: str) -> str:
    if not _ISSUER.fullmatch(value):
        raise ValueError("it is an https:// URL without query and fragment; http:// only on this machine")
    return value


def _off(value: str | int) -> str | int:
    return 0 if value == "off" else value


Scopes = Annotated[frozenset[Scope], BeforeValidator(_scopes)]
IssuerUrl = Annotated[str, AfterValidator(_issuer)]
Points = Annotated[int, BeforeValidator(_off)]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Settings(BaseModel):
    """The settings. A field `port` is the variable CATALOGRAPH_PORT; only those of the database have no prefix."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: Annotated[SecretStr, BeforeValidator(_usable_url)] | None = Field(
        default=None,
        description="URL of a Postgres 15 or later: `postgresql://user:password@host:5432/name?sslmode=require`. "
        "Unset: an embedded Postgres, so that one command is enough to try it.",
    )
    database_listen_url: Annotated[SecretStr, BeforeValidator(_usable_url)] | None = Field(
        default=None,
        description="URL of the same database straight to Postgres, where DATABASE_URL leads to a pooler: for one "
        "connection, on which this process hears of changes. Without it they come up to two seconds late there.",
    )
    change_retention: float = Field(
        default=90,
        gt=0,
        le=36_500,
        description="How long the log of changes is kept, in days: as far as history goes back, and as long as a "
        "subscriber may be away and go on where it was.",
    )
    indexed_paths: Pointers = Field(
        default=(),
        description="Paths into documents that clients filter or order by, with commas between them: "
        "`/spec/tier,/spec/profile/email`; at most 20. Each has four indexes, made while the server runs. A "
        "filter or an order by any other path may read every document, and costs ten times as much.",
    )
    data_dir: FolderPath = Field(
        default=Path("~/.local/share/catalograph"),
        validate_default=True,
        description="Folder of the embedded Postgres. The default is where programs keep a user's data "
        "(`$XDG_DATA_HOME/catalograph` where that is set); for root it is `/var/lib/catalograph`, since Postgres then "
        "runs as `nobody`, who cannot look into root's home.",
    )
    postgres_bin_dir: FolderPath | None = Field(
        default=None,
        description="Folder with `postgres` and `initdb` for the embedded Postgres. "
        "Unset: the binaries that are installed with the package.",
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. As long as nobody is asked who they are, others than loopback need "
        "`--insecure`.",
    )
    port: int = Field(
        default=8080,
        ge=0,
        le=65535,
        description="TCP port to listen on; 0 takes a free one. 8080 is what people expect of a local web server.",
    )
    anonymous_scopes: Scopes | None = Field(
        default=None,
        description="What may be done without a token: scopes with commas between them, such as `catalog:read`, or "
        "`none`. Unset: nothing where an issuer is set; else everything, and callers are not asked who they are.",
    )
    oidc_issuer: IssuerUrl | None = Field(
        default=None,
        description="URL of the OpenID Connect provider whose tokens (JWT) are taken, as in their `iss`. Its keys are "
        "found by `/.well-known/openid-configuration` below it.",
    )
    oidc_audience: str | None = Field(
        default=None,
        min_length=1,
        description="What such a token must have in its `aud`: this API, as the provider knows it. It goes with the "
        "issuer.",
    )
    oidc_user_claim: str = Field(
        default="email",
        min_length=1,
        description="The claim that says who somebody is. `email` is looked for in the profiles of Users, unless it is "
        "said to be unverified; any other claim is the name of a User, or a ref. Where it is missing, `sub` names the "
        "caller, who is then no User.",
    )
    oidc_scope_claim: str = Field(
        default="scope",
        min_length=1,
        description="The claim with scopes: a text with blanks between them, or a list; dots lead into objects, as in "
        "`realm_access.roles`. Words that are no scope here are passed over.",
    )
    oidc_scopes: Scopes = Field(
        default=frozenset({Scope.CATALOG_READ, Scope.CLUSTERS_READ}),
        validate_default=True,
        description="Scopes that everybody has who comes with such a token, beside those in it; `none` is possible.",
    )
    oidc_leeway: float = Field(
        default=30,
        ge=0,
        le=300,
        description="By how much the provider's clock may differ from ours, in seconds.",
    )
    body_limit: int = Field(
        default=1_000_000,
        ge=1000,
        description="Longest request body, in bytes; longer ones are 413. "
        "The longest sensible query with its variables is a tenth of that.",
    )
    token_limit: int = Field(
        default=2000,
        ge=100,
        description="Most tokens in a GraphQL document. GraphiQL's introspection has about 300, a whole page 500.",
    )
    operation_limit: int = Field(
        default=10,
        ge=1,
        description="Most operations in a GraphQL document. One is run; the others only make it larger.",
    )
    depth_limit: int = Field(
        default=15,
        ge=1,
        description="Deepest nesting of objects in an operation, where a connection with its nodes is one level. "
        "A whole page has 4 to 6; introspection has a limit of its own.",
    )
    alias_limit: int = Field(
        default=30,
        ge=0,
        description="Most aliases in an operation; one in a fragment counts wherever that is spread. "
        "A dashboard with a dozen lists of one kind has a dozen.",
    )
    root_field_limit: int = Field(
        default=20,
        ge=1,
        description="Most fields at the root of an operation. Each costs a statement or more, and all start at once.",
    )
    directive_limit: int = Field(
        default=50,
        ge=0,
        description="Most directives in an operation, counted as aliases are. "
        "A page that shows and hides its parts with `@include` has about twenty.",
    )
    cost_limit: int = Field(
        default=50_000,
        ge=1,
        description="Highest cost of an operation: about as many objects as it may read, by the rules in "
        "docs/errors.md. 100 components with all that a page shows of them, in lists of 20, cost 22,000.",
    )
    response_limit: int = Field(
        default=20_000_000,
        ge=10_000,
        description="Longest answer, in bytes. The longest sensible page is a hundredth of that; a longer one keeps "
        "others waiting while it is made.",
    )
    rate_limit: Points = Field(
        default=5000,
        ge=0,
        description="Points that each caller has in an hour, over all processes: an operation takes one for each "
        "started 100 of its cost. `off` or 0: no limit. There is none either while callers are not asked who they "
        "are and only this machine is listened to. At least a hundredth of CATALOGRAPH_COST_LIMIT: one operation may "
        "take so many.",
    )
    read_timeout: Seconds = Field(
        default=10,
        description="Longest time in which the head of a request must be whole, and then its body, in seconds; then "
        "the answer is 408, and the connection is closed.",
    )
    documents: FolderPath | None = Field(
        default=None,
        description="Folder of trusted documents: files `*.graphql`, and manifests `*.json` as the tools of frontends "
        "write them. docs/documents.md says what clients do with them. They are read at the start.",
    )
    trusted_documents: Literal["off", "prefer", "required"] | None = Field(
        default=None,
        description="`prefer` takes trusted documents by their id, and all others too; `required` takes no others; "
        "`off` knows no ids. Unset: `prefer` where there is a folder of them.",
    )
    automatic_persisted_queries: bool = Field(
        default=True,
        description="Whether other documents are kept by the hash that Apollo's clients send: `true` or `false`.",
    )
    introspection: bool = Field(
        default=True,
        description="Whether everybody may ask for the schema: `true` or `false`. Callers with a token for `admin` may "
        "in any case.",
    )
    report_only: bool = Field(
        default=False,
        description="With `true` the limits of documents, the rate and `trusted_documents` refuse nothing: the log has "
        "a line `over a limit` for each operation that they would refuse. For trying them out.",
    )
    socket_message_limit: int = Field(
        default=256_000,
        ge=1000,
        description="Longest message from a client on a websocket, in bytes; a longer one closes it with 1009. "
        "A whole page's query is 10 kB; what is long belongs into a request by POST.",
    )
    socket_operation_limit: int = Field(
        default=50,
        ge=1,
        description="Most operations that run at once on a websocket. A page has a handful; more sockets carry more.",
    )
    socket_init_timeout: Seconds = Field(
        default=10,
        description="Longest time from a websocket's handshake to its `connection_init`, in seconds; "
        "then it is closed with 4408.",
    )
    slow_client_timeout: Seconds = Field(
        default=30,
        description="Longest time for which a client may take nothing of what waits for it, in seconds; then its "
        "connection is cut, so that it does not hold memory. A subscriber resumes by its cursor.",
    )
    operation_timeout: Seconds = Field(
        default=10,
        description="Longest time for one operation, in seconds; then it is cancelled, its SQL too. "
        "Longer than a statement may take, so that the statement's own error is seen.",
    )
    statement_timeout: Seconds = Field(
        default=8,
        description="Longest time for one SQL statement, in seconds; Postgres cancels it then.",
    )
    pool_size: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Most connections to Postgres on which this process answers clients. One operation holds one for "
        "each statement that runs, at most 4. Writing has up to 4 of its own, and reading sources 5; "
        "Postgres allows 100 in all by default.",
    )
    pool_timeout: Seconds = Field(
        default=2,
        description="Longest wait for a free connection, in seconds; then the answer is UNAVAILABLE, "
        "since a queue that grows helps nobody.",
    )
    pgbouncer: bool = Field(
        default=False,
        description="Whether DATABASE_URL leads to PgBouncer, or another pooler, in transaction mode: `true` or "
        "`false`. Then no statement stays prepared, and each takes four round trips instead of one.",
    )
    sources: FolderPath | None = Field(
        default=None,
        description="A YAML file of sources that this process reads by itself, and of hosts that they may read; "
        "docs/ingestion.md says what is in it. All processes on one database need the same.",
    )
    source_roots: Folders = Field(
        default=(),
        description="Folders below which a mutation may declare a source, with colons between them: "
        "`/srv/catalogs:/srv/repositories`. None by default, since what is in a source can be read in the graph.",
    )
    cors_origins: Origins = Field(
        default=(),
        description="Origins of web pages that may ask from a browser, with commas between them: "
        "`http://localhost:5173,https://portal.example.com`. Exact ones only; none by default.",
    )
    shutdown_timeout: int = Field(
        default=20,
        ge=0,
        le=3600,
        description="Longest time for running requests to end after SIGTERM, in whole seconds; "
        "under the 30 seconds that Kubernetes grants.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="Least level that is logged. At `info` there is one line for each request; the explorer's own "
        "files, and probes that succeed, are at `debug`.",
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="`json` is one object on each line, `console` is for reading; "
        "`auto` is `console` on a terminal and `json` elsewhere.",
    )

    @property
    def guest_scopes(self) -> frozenset[Scope]:
        """What may be done without a token: everything, as long as callers are not asked who they are."""
        if self.anonymous_scopes is not None:
            return scopes_of(self.anonymous_scopes)
        return EVERYTHING if self.oidc_issuer is None else frozenset()

    @property
    def documents_mode(self) -> Literal["off", "prefer", "required"]:
        """What clients may do with trusted documents."""
        return self.trusted_documents or ("prefer" if self.documents else "off")

    @model_validator(mode="after")
    def _trusted_documents_with_folder(self) -> Self:
        if self.documents is None and self.documents_mode != "off":
            raise ValueError("CATALOGRAPH_TRUSTED_DOCUMENTS needs a folder of them in CATALOGRAPH_DOCUMENTS")
        return self

    @model_validator(mode="after")
    def _issuer_with_audience(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("CATALOGRAPH_OIDC_ISSUER and CATALOGRAPH_OIDC_AUDIENCE go together: set both, or none")
        return self

    @model_validator(mode="after")
    def _rate_of_one_operation(self) -> Self:
        dearest = -(-self.cost_limit // COST_OF_A_POINT)
        if 0 < self.rate_limit < dearest:
            raise ValueError(
                f"CATALOGRAPH_RATE_LIMIT must be at least {dearest}, or off: so many points one operation takes "
                f"that costs CATALOGRAPH_COST_LIMIT, {self.cost_limit}"
            )
        return self

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """The settings that `environ` gives. An empty value counts as unset.

        Raises SettingsError, naming every variable that is unknown or has a value that is not allowed.
        """
        values = {name: environ[variable] for name, variable in variables() if environ.get(variable)}
        if "data_dir" not in values:
            if data_home := environ.get("XDG_DATA_HOME"):
                values["data_dir"] = str(Path(data_home) / "catalograph")
            elif os.geteuid() == 0:
                values["data_dir"] = "/var/lib/catalograph"
        problems = list(_unknown_names(environ))
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            problems += (_problem(details) for details in error.errors(include_url=False))
            raise SettingsError("\n".join(problems)) from None
        if problems:
            raise SettingsError("\n".join(problems))
        return settings


def variables() -> Iterator[tuple[str, str]]:
    """Each field's name with its environment variable: `("port", "CATALOGRAPH_PORT")`."""
    for name in Settings.model_fields:
        yield name, variable_of(name)


def variable_of(field: str) -> str:
    """The environment variable that sets `field`."""
    return field.upper() if field in _WITHOUT_PREFIX else PREFIX + field.upper()


def _unknown_names(environ: Mapping[str, str]) -> Iterator[str]:
    known = [variable for _, variable in variables()]
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in known or name.startswith(_TEST_NAMES):
            continue
        nearest = get_close_matches(name, known, n=1, cutoff=0)
        yield f"{name}: there is no such setting; did you mean {nearest[0]}?"


def _problem(details: ErrorDetails) -> str:
    """One line: `CATALOGRAPH_PORT: 'http' must be a valid integer, unable to parse string as an integer`."""
    if not details["loc"]:  # of no single one
        return str(details["ctx"]["error"])
    field = str(details["loc"][0])
    if details["type"] == "value_error":  # in words of our own; the value of some may hold a password
        return f"{variable_of(field)}: {details['ctx']['error']}"
    return f"{variable_of(field)}: {details['input']!r} {details['msg'].replace('Input should', 'must')}"
