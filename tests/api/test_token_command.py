"""`catalograph token`: what an operator types, what a script gets, and what both are told when it is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.operators import operator
from api.token_command import token
from db.rules.scopes import Scope
from tests.ingesting import Catalog

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[Result]]

READ = ("--scope", "catalog:read")


@pytest.fixture
def run(database_url: str) -> Run:
    """Run the command."""
    environ = {"DATABASE_URL": database_url, "COLUMNS": "160"}
    return lambda *arguments: asyncio.to_thread(CliRunner(env=environ).invoke, token, arguments)


async def listed(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((await run("list", "--json")).stdout)
    return found


async def test_the_token_stands_alone_on_standard_output(run: Run) -> None:
    scopes = ("--scope", "kpis:write", "--scope", "catalog:read")
    result = await run("create", "--name", "ci", *scopes, "--user", "Ada")
    assert result.exit_code == 0
    assert re.fullmatch(r"cg_[A-Za-z0-9_-]{43}\n", result.stdout)
    until = (datetime.now(UTC) + timedelta(days=90)).strftime("%Y-%m-%d")
    told = f"ci may use kpis:write, catalog:read as user:default/ada, until {until} "
    assert result.stderr.startswith(told), result.stderr
    assert result.stdout[3:].strip() not in result.stderr


async def test_the_list_says_all_of_a_token_but_the_token(run: Run, catalog: Catalog) -> None:
    made = await run("create", "--name", "ci", *READ, "--scope", "kpis:write", "--user", "ada", "--expires", "2w")
    (one,) = await listed(run)
    created_at, expires_at = (datetime.fromisoformat(one.pop(name)) for name in ("createdAt", "expiresAt"))
    assert timedelta(days=14) - timedelta(minutes=1) < expires_at - created_at <= timedelta(days=14)
    operator = f"command:{pwd.getpwuid(os.getuid()).pw_name}"
    assert one == {
        "name": "ci",
        "prefix": made.stdout[:11],
        "scopes": ["catalog:read", "kpis:write"],
        "user": "user:default/ada",
        "createdBy": operator,
        "lastUsedAt": None,
        "state": "ACTIVE",
    }
    table = (await run("list")).stdout.splitlines()
    assert table[0].split() == ["Name", "Prefix", "State", "Scopes", "User", "Expires", "Last", "used"]
    assert table[1].split() == [
        *("ci", made.stdout[:11], "ACTIVE", "catalog:read", "kpis:write", "user:default/ada"),
        *(expires_at.strftime("%Y-%m-%d %H:%MZ").split()),
        "never",
    ]
    assert await catalog.rows('SELECT action, subject, "by", request_id FROM audit') == [
        ("tokenCreate", "token:ci", operator, None)
    ]


async def test_a_token_for_ever_has_to_be_said(run: Run) -> None:
    await run("create", "--name", "short", *READ)
    for_ever = await run("create", "--name", "long", *READ, "--expires", "never")
    assert for_ever.stderr.startswith("long may use catalog:read, until it is revoked.")
    expiries = {one["name"]: one["expiresAt"] for one in await listed(run)}
    assert (expiries["long"], expiries["short"] is None) == (None, False)


async def test_a_revoked_token_is_listed_and_its_name_can_be_used_again(run: Run, catalog: Catalog) -> None:
    assert (await run("list")).stdout == "There is no token yet.\n"
    await run("create", "--name", "ci", *READ)
    assert (await run("revoke", "ci")).stdout == "ci is revoked.\n"
    again = await run("revoke", "ci")
    assert (again.exit_code, again.stderr) == (1, "Error: There is no token ci, or it is revoked already.\n")
    assert (await run("create", "--name", "ci", *READ)).exit_code == 0
    assert [one["state"] for one in await listed(run)] == ["REVOKED", "ACTIVE"]
    assert await catalog.rows("SELECT action FROM audit ORDER BY id") == ["tokenCreate", "tokenRevoke", "tokenCreate"]


async def test_a_mistake_is_told_in_a_line_and_makes_no_token(run: Run, catalog: Catalog) -> None:
    await run("create", "--name", "ci", *READ)
    span = "is no span: that is a number with h, d, w or y, such as 90d; or `never`."
    for arguments, code, message in (
        (("--name", "ci", *READ), 1, "There is a token ci already; choose another name, or revoke that one first."),
        (("--name", "c i", *READ), 1, "A name has 1 to 63 letters, digits, `.`, `_` and `-`"),
        (("--name", "x", "--scope", "catalog:raed"), 2, ", ".join(f"'{scope}'" for scope in Scope)),
        (("--name", "x"), 2, "Missing option '--scope'"),
        (READ, 2, "Missing option '--name'"),
        (("--name", "x", *READ, "--expires", "90"), 2, f"'90' {span}"),
        (("--name", "x", *READ, "--expires", "0d"), 2, f"'0d' {span}"),
        (("--name", "x", *READ, "--expires", "-1d"), 2, f"'-1d' {span}"),
        (("--name", "x", *READ, "--expires", "٣d"), 2, f"'٣d' {span}"),
        (("--name", "x", *READ, "--expires", "9999y"), 2, "'9999y' is later than the year 9999"),
        (("--name", "x", *READ, "--user", "a/"), 2, "has an empty name"),
        (("--name", "x", *READ, "--user", "group:a"), 1, "A token acts as a User, and group:default/a is none."),
    ):
        result = await run("create", *arguments)
        assert (result.exit_code, message in " ".join(result.stderr.split())) == (code, True), result.output
        assert (result.stdout, "Traceback" in result.stderr) == ("", False)
    assert await catalog.rows("SELECT name FROM api_token") == ["ci"]


async def test_without_a_database_the_operator_is_told_where_it_was_looked_for() -> None:
    runner = CliRunner(env={"DATABASE_URL": "postgresql://catalog:hunter2@127.0.0.1:1/catalog"})
    result = await asyncio.to_thread(runner.invoke, token, ("create", "--name", "ci", *READ))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: DATABASE_URL: 127.0.0.1:1 cannot be reached: ")
    assert "hunter2" not in result.output


async def test_an_operator_without_a_login_name_is_known_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(uid)  # as in a container that runs as any number

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert operator().by == f"command:{os.getuid()}"
