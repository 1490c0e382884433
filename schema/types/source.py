"""Sources: where entities come from."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from db.queries import entities, sources
from schema import ids
from schema.levels.edge import connection, derived, edge, value
from schema.types.connection import Connection
from schema.types.node import Node

SourceConnection = Connection[Annotated["Source", strawberry.lazy("schema.types.source")]]


@strawberry.enum(description="What a source is doing.")
class SourceState(Enum):
    """The values of `source.state`."""

    IDLE = strawberry.enum_value("IDLE", description="Nothing; its last run went well.")
    RUNNING = strawberry.enum_value("RUNNING", description="Being read.")
    FAILED = strawberry.enum_value("FAILED", description="Its last run failed; its entities are as they were before.")
    HELD = strawberry.enum_value("HELD", description="Its last run would have removed too much, and changed nothing.")


def _seconds(started_at: datetime, finished_at: datetime | None) -> float | None:
    return None if finished_at is None else (finished_at - started_at).total_seconds()


@strawberry.type(description="One reading of a source.")
class SourceRun:
    """A row of the source_run table."""

    started_at: datetime = strawberry.field(description="When it began.")
    finished_at: datetime | None = strawberry.field(description="When it ended; null while it runs.")
    added: int = strawberry.field(description="How many entities were new.")
    changed: int = strawberry.field(description="How many entities had changed.")
    removed: int = strawberry.field(description="How many entities were gone.")
    unchanged: int = strawberry.field(description="How many entities were as before.")
    rejected: int = strawberry.field(description="How many documents gave no entity: a rule broken, or a ref taken.")
    skipped: int = strawberry.field(description="How many documents were of Kubernetes' own API groups.")
    documents: int = strawberry.field(description="How many documents there were, in unchanged files too.")
    entities: int = strawberry.field(description="How many entities the source held after it.")
    problems: int = strawberry.field(description="How many problems the source had after it.")
    seconds: float | None = derived(
        _seconds, "started_at", "finished_at", description="How long it took; null while it runs."
    )
    commit: str | None = strawberry.field(description="The commit that was read, where the source has commits.")
    error: str | None = strawberry.field(description="Why it failed or was held.")


SourceRunConnection = Connection[SourceRun]


def _id(name: str) -> str:
    return ids.encode(ids.Sort.SOURCE, name)


def _type(type_: str) -> str:
    return type_


def _kinds(kinds: list[str] | None) -> list[str]:
    return kinds or []


@strawberry.type(description="Somewhere that entities come from: a folder, a repository, a Backstage, ...")
class Source(Node):
    """A row of the source table."""

    id: strawberry.ID = derived(_id, "name", description="Opaque; it encodes the name.")
    name: str = strawberry.field(description="Its name: its root, unless it was given another.")
    source_type: str = derived(
        _type, "type", description="What it is: `file`, `folder`, `glob`, `git`, `url` or `backstage`."
    )
    source_state: SourceState = derived(SourceState, "state", description="What it is doing.")
    kinds: list[str] = derived(
        _kinds,
        "kinds",
        description="The kinds that it may declare, lower case; `-user` is one that it may not. Empty: all.",
    )
    trusted: bool = strawberry.field(description="Whether owner rights follow the relations that it declares.")
    last_run: SourceRun | None = edge(sources.last_run_of, "Its latest run, finished or not.")
    runs: SourceRunConnection = connection(
        sources.runs_of, "Its runs, the latest first; the last 1,000 are kept.", order=sources.LATEST
    )
    next_run_at: datetime | None = strawberry.field(
        description="When a process reads it next, at the earliest; null: none does so by itself."
    )
    entity_count: int = value(entities.count_of_source, "How many entities it holds.")
