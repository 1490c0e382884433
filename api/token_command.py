"""`catalograph token`: the tokens with which programs ask."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click
import orjson
from rich.console import Console
from rich.table import Column, Table
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import in_plain_words
from api.operators import on_database, operator, settings_of_environment
from db import tokens
from db.rules.refs import Ref, RefError
from db.rules.scopes import Scope
from db.rules.tokens import TokenCreateInput
from db.tokens import Made, TokenRefusedError

T = TypeVar("T")

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1), "y": timedelta(days=365)}
_SPAN = re.compile(r"(\d{1,6})([hdwy])", re.ASCII)


def _instant(_context: click.Context, _option: click.Parameter, span: str) -> datetime | None:
    """When that span from now has passed; None: never. Raises click.BadParameter."""
    if span == "never":
        return None
    found = _SPAN.fullmatch(span)
    if not found or not int(found[1]):
        raise click.BadParameter(f"{span!r} is no span: that is a number with h, d, w or y, such as 90d; or `never`.")
    try:
        return datetime.now(UTC) + int(found[1]) * _UNITS[found[2]]
    except OverflowError:
        raise click.BadParameter(f"{span!r} is later than the year 9999; what is to last says `never`.") from None


def _user(_context: click.Context, _option: click.Parameter, given: str | None) -> Ref | None:
    """The ref of a User. Raises click.BadParameter."""
    try:
        return None if given is None else Ref.parse(given, kind="user")
    except RefError as error:
        raise click.BadParameter(f"{error}.") from None


@click.group()
def token() -> None:
    """Make, list and revoke the tokens with which programs ask."""


@token.command()
@click.option("--name", required=True, help="Its name: what it writes is by `token:<name>`.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    required=True,
    multiple=True,
    metavar="SCOPE",
    help=f"What it may do, once for each: {', '.join(Scope)} (which brings all others).",
)
@click.option(
    "--expires",
    callback=_instant,
    default="90d",
    show_default=True,
    metavar="SPAN",
    help="After how long: a number with h, d, w or y (365 days); or `never`.",
)
@click.option("--user", callback=_user, metavar="REF", help="The User that it acts as, such as `ada`.")
def create(name: str, scopes: tuple[str, ...], expires: datetime | None, user: Ref | None) -> None:
    """Make a token. It is printed once, alone on standard output, and kept nowhere."""
    wanted = TokenCreateInput(name=name, scopes=scopes, expires_at=expires, user=user)
    made = _with_database(lambda engine: _create(engine, wanted))
    until = f"until {_when(expires)}" if expires else "until it is revoked"
    acts_as = f" as {user}" if user else ""
    click.echo(f"{name} may use {', '.join(scopes)}{acts_as}, {until}. It is shown this once.", err=True)
    click.echo(made.secret)


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def list_(*, as_json: bool) -> None:
    """List all tokens, also those that are not good any more."""
    found = [_shown(row) for row in _with_database(_all)]
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2))
    else:
        _print_all(found)


@token.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Let the token NAME be good no more, at once and everywhere."""
    _with_database(lambda engine: _revoke(engine, name))
    click.echo(f"{name} is revoked.")


def _with_database(work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    with in_plain_words():
        try:
            return on_database(settings_of_environment(), work)
        except TokenRefusedError as error:
            raise click.ClickException(str(error)) from error


async def _create(engine: AsyncEngine, wanted: TokenCreateInput) -> Made:
    async with engine.begin() as connection:
        return await tokens.create(connection, wanted, operator())


async def _revoke(engine: AsyncEngine, name: str) -> None:
    async with engine.begin() as connection:
        await tokens.revoke(connection, name, operator())


async def _all(engine: AsyncEngine) -> Sequence[Row[Any]]:
    async with engine.connect() as connection:
        return await tokens.listed(connection)


def _shown(row: Row[Any]) -> dict[str, Any]:
    """A token, under the names that it has in the graph."""
    return {
        "name": row.name,
        "prefix": row.prefix,
        "scopes": row.scopes,
        "user": row.user_ref,
        "createdAt": row.created_at,
        "createdBy": row.created_by,
        "expiresAt": row.expires_at,
        "lastUsedAt": row.last_used_at,
        "state": row.state,
    }


def _print_all(found: list[dict[str, Any]]) -> None:
    if not found:
        click.echo("There is no token yet.")
        return
    titles = ("Name", "Prefix", "State", "Scopes", "User", "Expires", "Last used")
    table = Table(*(Column(title, no_wrap=title != "Scopes") for title in titles), box=None, pad_edge=False)
    for one in found:
        table.add_row(
            one["name"],
            one["prefix"],
            one["state"],
            " ".join(one["scopes"]),
            one["user"] or "-",
            _when(one["expiresAt"]) if one["expiresAt"] else "never",
            _when(one["lastUsedAt"]) if one["lastUsedAt"] else "never",
        )
    Console().print(table)


def _when(instant: datetime) -> str:
    """An instant to the minute, in UTC as in the logs."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
