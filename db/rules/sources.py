"""What a client may say of a source: the inputs of mutations, as plain values."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from db.rules.filters import asks


@dataclass(frozen=True, slots=True)
class SourceRunInput:
    """Which source to read now."""

    name: str = asks("Its name.", default=MISSING)
    allow_removals: bool = asks("Whether that run may remove however many entities are gone.", default=False)


@dataclass(frozen=True, slots=True)
class SourceRegisterInput:
    """A source to declare: exactly one place, and how to read it. What it declares gives nobody rights."""

    name: str | None = asks("Its name; else it is called by its place. Naming one again declares that one anew.")
    git: str | None = asks("A git repository: its https URL, or a path on the server below a folder that allows it.")
    url: str | None = asks("The URL of a catalog file.")
    backstage: str | None = asks("The URL of a Backstage to mirror.")
    folder: str | None = asks("A folder on the server, below one that allows it.")
    branch: str | None = asks("Of a git repository: the branch; else its HEAD.")
    files: str | None = asks("Of a git repository: a glob of the files to read; else every YAML file.")
    filters: tuple[str, ...] | None = asks("Of a Backstage: only what one of these matches, such as `kind=component`.")
    every: str | None = asks("How often it is read, such as `30s`, `5m`, `1h` or `1d`.")
    kinds: tuple[str, ...] | None = asks(
        "The only kinds that it may declare; each with a `-` before it: all but these. Else all but User, Group and "
        "what Catalograph itself acts upon."
    )


@dataclass(frozen=True, slots=True)
class SourceUnregisterInput:
    """Which source to remove."""

    name: str = asks("Its name.", default=MISSING)
    remove_entities: bool = asks("Whether the entities that it holds may go with it.", default=False)
