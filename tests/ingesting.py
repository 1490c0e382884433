"""For tests of ingestion: a folder of descriptors, and a catalog to read it into."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.ingest.files import FileSource
from api.ingest.run import Report, ingest


@dataclass
class Catalog:
    """A catalog, and what to ask of it."""

    engine: AsyncEngine

    async def ingest(self, place: Path | str, **options: Any) -> Report:
        """Ingest a file, folder or glob."""
        source = {key: options.pop(key) for key in ("name", "trusted", "kinds") if key in options}
        return await ingest(self.engine, FileSource.at(str(place), **source), **options)

    async def rows(self, statement: str, **values: object) -> list[Any]:
        """All rows; a row of one column is its value."""
        async with self.engine.begin() as connection:
            result = await connection.execute(text(statement), values)
            return [row[0] if len(row) == 1 else tuple(row) for row in result] if result.returns_rows else []

    async def refs(self) -> list[str]:
        """Every entity."""
        return await self.rows("SELECT ref FROM entity ORDER BY ref")

    async def changes(self) -> list[tuple[str, str]]:
        """The change log: kind and ref."""
        return await self.rows("SELECT c.kind, r.ref FROM change c JOIN ref r ON r.id = c.entity_id ORDER BY seq")

    async def problems(self) -> list[tuple[str, str, int]]:
        """Rule, file and line of each problem."""
        return await self.rows("SELECT rule, location, line FROM problem ORDER BY location, line, rule, id")

    async def until(self, statement: str) -> None:
        """Wait for a statement to have a row; Postgres only tells who asks. It is an error after half a minute."""
        async with asyncio.timeout(30):
            while not await self.rows(statement):
                await asyncio.sleep(0.01)

    async def until_one_waits_for_a_lock(self) -> None:
        """Wait for a writer of this database to wait for another one."""
        here = "SELECT oid FROM pg_database WHERE datname = current_database()"
        await self.until(f"SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND database = ({here})")


@dataclass
class Tree:
    """A folder of descriptors."""

    root: Path

    def write(self, name: str, *documents: str) -> Path:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("---\n".join(documents))
        return path


def component(name: str, **spec: str) -> str:
    """The descriptor of a component of seven lines, with further fields of its spec as YAML, one line each."""
    fields = {"type": "service", "lifecycle": "production", "owner": "user:ann", **spec}
    lines = "".join(f"  {key}: {value}\n" for key, value in fields.items())
    return f"apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}}}\nspec:\n{lines}"


def location(*targets: str, name: str = "all", presence: str | None = None) -> str:
    """The descriptor of a Location."""
    return (
        f"apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {{name: {name}}}\nspec:\n"
        + (f"  presence: {presence}\n" if presence else "")
        + f"  targets: {list(targets)}\n"
    )


ANN = "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {name: ann}\nspec: {memberOf: []}\n"
