"""The command line: `catalograph`. Each command is imported when it is used, so that `--help` is quick."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import click


class Entry(NamedTuple):
    """Where a command is, and its line in the list."""

    module: str
    attribute: str
    summary: str


COMMANDS = {
    "demo": Entry("api.commands", "demo", "Serve the catalog of a made-up company, to look around."),
    "serve": Entry("api.commands", "serve", "Serve the catalog over HTTP."),
    "ingest": Entry("api.ingest.command", "ingest", "Read catalog-info.yaml files into the catalog."),
    "sources": Entry("api.sources_command", "sources", "List the sources, read one now, or remove one."),
    "token": Entry("api.token_command", "token", "Make, list and revoke the tokens with which programs ask."),
    "documents": Entry("api.documents_command", "documents", "Check the operations of a frontend."),
    "upgrade": Entry("api.commands", "upgrade", "Bring the database to the newest revision."),
    "print-schema": Entry("api.commands", "print_schema", "Print the GraphQL schema."),
}


class LazyGroup(click.Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, most wanted first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself."""
        if cmd_name not in COMMANDS:
            return None
        entry = COMMANDS[cmd_name]
        command = getattr(import_module(entry.module), entry.attribute)
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="catalograph", message="%(prog)s %(version)s")
def main() -> None:
    """Catalograph: a company's software catalog as one graph.

    Settings come from the environment: DATABASE_URL and CATALOGRAPH_… .
    """
