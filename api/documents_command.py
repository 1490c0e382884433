"""`catalograph documents`: the operations of a frontend, checked before they are trusted. No database is needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Column, Table

from api.database import in_plain_words
from api.documents import SHA256, Document
from api.gathering import gather
from api.manifests import DocumentsError, Found, apollo_manifest, check, read_folder
from api.operation import Operations, Ready, limits_of
from api.settings import Settings
from schema.build import create_schema

_SHOWN = 12  # digits of a hash; the manifest has them all

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def documents() -> None:
    """Check the operations of a frontend, and write them into a folder that the server trusts.

    The limits are those of the settings. With CATALOGRAPH_DOCUMENTS the server trusts what is in a folder.
    """


@documents.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--to", "folder", required=True, type=_FOLDER, help="The folder that the server trusts.")
@click.option("--name", default="documents", show_default=True, help="What the manifest in it is called.")
def build(sources: tuple[Path, ...], folder: Path, name: str) -> None:
    """Write a manifest of all operations in SOURCES, and say what each costs.

    A source is a manifest that a tool has written, a file of GraphQL, or a folder of such files.
    """
    with _problem_by_problem():
        checked = _checked(gather(sources))
    if not checked:
        places = " ".join(map(str, sources))
        raise click.ClickException(
            f"There is no operation in {places}: give manifests, or files that end in .graphql or .gql. Operations in "
            "TypeScript are in the manifest that their tool writes, such as persisted-documents.json."
        )
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / f"{name}.json"
    manifest.write_bytes(apollo_manifest(_entry(document, ready) for document, ready in checked))
    Console().print(_table(checked))
    click.echo(f"{_number(checked)} in {manifest}")


@documents.command("check")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def check_folder(folder: Path) -> None:
    """Check whether the server would trust what is in FOLDER. If not, it is said why, and the exit status is 1."""
    with _problem_by_problem():
        checked = _checked(read_folder(folder))
    click.echo(f"{_number(checked)} in {folder}, and all can be trusted.")


Checked = list[tuple[Document, list[Ready]]]


def _checked(found: Found) -> Checked:
    """Each document with its operations. Raises DocumentsError."""
    settings = Settings.from_environ(os.environ)
    operations = Operations(create_schema(), limits_of(settings), token_limit=settings.token_limit)
    checked: Checked = []
    check(found, lambda one: checked.append((one, operations.all_in(one.text))))
    return sorted(checked, key=lambda each: (_names(each[1]), each[0].id))


@contextmanager
def _problem_by_problem() -> Iterator[None]:
    """Tell what is wrong as compilers do, a line each, for editors and logs that make links of them."""
    try:
        with in_plain_words():
            yield
    except click.ClickException as error:
        if not isinstance(error.__cause__, DocumentsError):
            raise
        for problem in dict.fromkeys(error.__cause__.problems):  # a fragment's is that of each operation with it
            click.echo(problem, err=True)
        sys.exit(1)


def _entry(document: Document, operations: list[Ready]) -> dict[str, str]:
    return {
        "id": document.id.removeprefix(SHA256),
        "name": _names(operations),
        "type": operations[0].type.value,
        "body": document.text,
    }


def _table(checked: Checked) -> Table:
    numbers = (Column("Depth", justify="right"), Column("Cost", justify="right"))
    table = Table(Column("Operation", overflow="fold"), "Id", *numbers, "Scopes", box=None, pad_edge=False)
    for document, operations in checked:
        for one in operations:
            cost = one.weight.cost(one.operation.defaults)
            scopes = sorted({rule.scope for rule in one.weight.needed})
            table.add_row(one.name, _shown(document.id), f"{one.weight.depth}", f"{cost:,}", " ".join(scopes))
    return table


def _shown(id_: str) -> str:
    hashed = id_.removeprefix(SHA256)
    return hashed[:_SHOWN] if len(hashed) > _SHOWN and hashed.isalnum() else id_


def _names(operations: list[Ready]) -> str:
    return ", ".join(one.name or "" for one in operations)


def _number(checked: Checked) -> str:
    return "1 document" if len(checked) == 1 else f"{len(checked):,} documents"
