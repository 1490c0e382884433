"""The command line: quick to help, clear about mistakes, orderly in its end. Commands run as processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import httpx2
import pytest

from api.cli import COMMANDS, main
from api.loopback import is_loopback
from tests.postgres import connected, database_at

EVERYWHERE = "0.0.0.0"  # noqa: S104 - refused, that is the point
PROGRAM = [sys.executable, "-c", "from api.cli import main; main(prog_name='catalograph')"]


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """The URL of a fresh database without tables."""
    name = f"catalograph_test_cli_{uuid4().hex[:12]}"
    asyncio.run(execute(postgres, f'CREATE DATABASE "{name}"'))
    yield database_at(postgres, name)
    asyncio.run(execute(postgres, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def execute(url: str, statement: str) -> None:
    async with connected(url) as connection:
        await connection.execute(statement)


def environment(**variables: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CATALOGRAPH_", "DATABASE_"))}
    return {**own, "CATALOGRAPH_LOG_FORMAT": "json", **variables}


def run(*arguments: str, **variables: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*PROGRAM, *arguments], env=environment(**variables), capture_output=True, text=True, timeout=90, check=False
    )
    return done.returncode, done.stdout, done.stderr


@contextmanager
def serving(*arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server, and its URL once it answers."""
    command = [*PROGRAM, *(arguments or ("serve", "--port", "0"))]
    with subprocess.Popen(command, env=environment(**variables), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            url = next(line["url"] for line in map(json.loads, process.stderr) if line["event"] == "listening")
            assert httpx2.get(f"{url}/healthz", timeout=90).status_code == 200  # waits for the start
            yield process, url
        finally:
            process.kill()


def rest(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """What the server still logs until it has ended."""
    assert process.stderr
    lines = [json.loads(line) for line in process.stderr]
    process.wait(timeout=60)
    return lines


def test_help_lists_each_command_without_importing_one() -> None:
    names = ["sqlalchemy", "strawberry", "starlette", "pydantic", "asyncpg", "yaml"]
    check = f"import sys; import api.cli; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
    status, output, _ = run("--help")
    assert status == 0
    assert all(f"  {name} " in output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_commands_line_in_the_list_is_how_its_own_help_begins(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command
    assert command.name == name
    assert (command.help or "").startswith(COMMANDS[name].summary.rstrip("."))


def test_an_unknown_command_is_told_so() -> None:
    status, _, errors = run("sreve")
    assert status == 2
    assert "No such command 'sreve'" in errors


def test_the_schema_is_printed_alone() -> None:
    status, output, errors = run("print-schema")
    assert (status, errors) == (0, "")
    assert "type Query {" in output


def test_a_wrong_setting_is_one_line() -> None:
    assert run("serve", CATALOGRAPH_PROT="1") == (
        1, "", "Error: CATALOGRAPH_PROT: there is no such setting; did you mean CATALOGRAPH_PORT?\n"
    )  # fmt: skip
    assert run("serve", "--port", "http")[2].startswith("Error: CATALOGRAPH_PORT: 'http' must be a valid integer")


def test_other_addresses_than_loopback_need_a_word() -> None:
    status, _, errors = run("serve", "--host", EVERYWHERE, "--port", "0", DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert status == 1
    assert errors.startswith("Error: Callers need no token to write, so 0.0.0.0 is not listened on")
    assert "--insecure" in errors


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), (EVERYWHERE, False), ("::", False),
     ("10.0.0.1", False), ("localhost.example", False)],
)  # fmt: skip
def test_loopback_is_known(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run("serve", "--port", port) == (
            1, "", f"Error: Cannot listen on 127.0.0.1 port {port}: Address already in use; --port takes another\n"
        )  # fmt: skip


def test_a_database_that_is_away_does_not_stop_the_start_but_the_upgrade() -> None:
    nowhere = "postgresql://ada:hunter2@127.0.0.1:1/x"
    with serving(DATABASE_URL=nowhere) as (_, url):
        assert httpx2.get(f"{url}/readyz").status_code == 503
    status, output, errors = run("upgrade", DATABASE_URL=nowhere)
    assert (status, output) == (1, "")
    assert errors.startswith("Error: ")
    assert "Traceback" not in errors
    assert "hunter2" not in errors


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
def test_the_end_is_orderly(empty_database: str, signal_: signal.Signals) -> None:
    with serving(DATABASE_URL=empty_database) as (process, url):
        assert httpx2.get(f"{url}/readyz").status_code == 200
        process.send_signal(signal_)
        assert [line["level"] for line in rest(process) if line["event"] != "request"] == []
        assert process.returncode == 0


def test_a_request_that_was_accepted_is_answered_before_the_end(empty_database: str) -> None:
    with serving(DATABASE_URL=empty_database) as (process, url):
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
            body = b'{"query": "{ __typename }"}'
            head = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            connection.sendall(head % len(body) + body[:5])
            httpx2.get(f"{url}/healthz")  # the server has read what was sent before
            process.send_signal(signal.SIGTERM)
            connection.sendall(body[5:])
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        rest(process)
        assert process.returncode == 0


def test_a_server_reads_its_sources_and_what_is_asked_for(empty_database: str, tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    descriptor = "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {name: %s}\nspec: {memberOf: []}\n"
    (tmp_path / "catalog/ann.yaml").write_text(descriptor % "ann")
    file = tmp_path / "sources.yaml"
    file.write_text("sources: [{folder: catalog, name: people, every: 1d, watch: false}]")
    with serving("serve", "--port", "0", "--sources", str(file), DATABASE_URL=empty_database) as (process, url):

        def ask(query: str) -> Any:
            return httpx2.post(f"{url}/graphql", json={"query": query}).json()["data"]

        def until_there_are(users: int) -> None:
            while ask("{ users { totalCount } }") != {"users": {"totalCount": users}}:
                time.sleep(0.05)

        until_there_are(1)
        (tmp_path / "catalog/bob.yaml").write_text(descriptor % "bob")
        ask('mutation { sourceRun(input: { name: "people" }) { userErrors { message } } }')
        until_there_are(2)
        process.send_signal(signal.SIGTERM)
        assert [line for line in rest(process) if line["level"] not in {"info", "debug"}] == []
        assert process.returncode == 0


def test_a_server_does_not_start_with_a_file_of_sources_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text("sources:\n  - folder: a\n    every: often\n")
    status, output, errors = run("serve", "--sources", str(file), DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert (status, output) == (1, "")
    assert errors == (
        f"Error: CATALOGRAPH_SOURCES:\n{file}:3: sources[0].every: must be a number with s, m, h or d, such as 30s or 5m\n"
    )


def test_upgrade_brings_the_tables(empty_database: str) -> None:
    assert run("upgrade", DATABASE_URL=empty_database) == (0, "The database is on the newest revision.\n", "")
