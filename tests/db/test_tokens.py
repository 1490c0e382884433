"""API tokens in the database: what is kept of one, and who may have which name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db import tokens
from db.audit import Author
from db.engine import create_engine
from db.rules.refs import Ref
from db.rules.scopes import Scope
from db.rules.tokens import TokenCreateInput
from db.tokens import Made, TokenRefusedError
from tests.asserts import sql_queries
from tests.ingesting import Catalog

pytestmark = pytest.mark.anyio

SOON = datetime(2099, 1, 1, tzinfo=UTC)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def catalog(engine: AsyncEngine) -> Catalog:
    return Catalog(engine)


async def create(engine: AsyncEngine, name: str = "ci", *scopes: str, by: str = "test", **wanted: Any) -> Made:
    """A token, by default for reading."""
    given = TokenCreateInput(name=name, scopes=scopes or ("catalog:read",), **wanted)
    async with engine.begin() as connection:
        return await tokens.create(connection, given, Author(by, "r1"))


async def revoke(engine: AsyncEngine, name: str = "ci", *, by: str = "test") -> int:
    async with engine.begin() as connection:
        return await tokens.revoke(connection, name, Author(by))


async def refusal(engine: AsyncEngine, name: str = "ci", *scopes: str, **wanted: Any) -> tuple[str, str, str]:
    """Why a token is not made."""
    with pytest.raises(TokenRefusedError) as refused:
        await create(engine, name, *scopes, **wanted)
    return refused.value.code, refused.value.field, str(refused.value)


async def test_a_token_is_256_random_bits_of_which_a_digest_is_kept(engine: AsyncEngine, catalog: Catalog) -> None:
    one, other = await create(engine, "one"), await create(engine, "other")
    assert re.fullmatch(r"cg_[A-Za-z0-9_-]{43}", one.secret)
    assert one.secret != other.secret
    rows = await catalog.rows("SELECT id, prefix, digest FROM api_token ORDER BY name")
    assert rows == [(made.id, made.secret[:11], sha256(made.secret.encode()).digest()) for made in (one, other)]


async def test_no_row_anywhere_and_no_repr_holds_a_token(engine: AsyncEngine, catalog: Catalog) -> None:
    made = await create(engine)
    await revoke(engine)
    rows = []
    for table in await catalog.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        rows += await catalog.rows(f'SELECT whole::text FROM "{table}" whole')
    everything = "\n".join(rows)
    assert made.secret[:11] in everything, "it was looked for where it could be"
    assert made.secret[11:] not in everything
    assert made.secret[11:] not in repr(made)
    assert repr(made.secret) == f"<{made.secret[:11]}…>"


async def test_a_token_may_do_what_was_said_until_it_expires(engine: AsyncEngine, catalog: Catalog) -> None:
    ada = Ref.parse("user:default/ada")
    await create(engine, "ci", "kpis:write", "catalog:read", "kpis:write", by="token:boss", expires_at=SOON, user=ada)
    columns = "name, scopes, user_ref, created_by, expires_at, last_used_at, revoked_at"
    assert await catalog.rows(f"SELECT {columns} FROM api_token") == [
        ("ci", ["catalog:read", "kpis:write"], "user:default/ada", "token:boss", SOON, None, None)
    ]


async def test_what_cannot_be_made_says_which_field_is_wrong(engine: AsyncEngine, catalog: Catalog) -> None:
    name = "A name has 1 to 63 letters, digits, `.`, `_` and `-`, and begins with a letter or a digit."
    for wrong in ("", " ci", "ci ", "c i", "-ci", "ci\n", "ĉi", "c" * 64, "a:b", "a/b"):
        assert await refusal(engine, wrong) == ("INVALID", "name", name)
    code, field, message = await refusal(engine, "ci", "catalog:read", "pets:read")
    assert (code, field) == ("INVALID", "scopes")
    assert message == f"'pets:read' is no scope; there are {', '.join(Scope)}."
    nothing = TokenCreateInput(name="ci", scopes=())
    with pytest.raises(TokenRefusedError, match="A token without a scope could do nothing"):
        async with engine.begin() as connection:
            await tokens.create(connection, nothing, Author("test"))
    past = datetime.now(UTC) - timedelta(seconds=1)
    passed = "That has passed; a token expires later than now."
    assert await refusal(engine, expires_at=past) == ("INVALID", "expires_at", passed)
    squad = "A token acts as a User, and group:default/squad is none."
    assert await refusal(engine, user=Ref.parse("group:squad")) == ("INVALID", "user", squad)
    assert await catalog.rows("SELECT 1 FROM api_token UNION ALL SELECT 1 FROM audit") == []


async def test_of_many_who_want_one_name_at_once_one_gets_it(engine: AsyncEngine, catalog: Catalog) -> None:
    outcomes = await asyncio.gather(*(create(engine) for _ in range(8)), return_exceptions=True)
    refused = [(one.code, one.field, str(one)) for one in outcomes if isinstance(one, TokenRefusedError)]
    message = "There is a token ci already; choose another name, or revoke that one first."
    assert refused == [("CONFLICT", "name", message)] * 7
    assert sum(isinstance(one, Made) for one in outcomes) == 1
    assert await catalog.rows("SELECT count(*) FROM audit") == [1]


async def test_an_expired_token_keeps_its_name_and_a_revoked_one_does_not(
    engine: AsyncEngine, catalog: Catalog
) -> None:
    await create(engine, expires_at=SOON)
    await catalog.rows("UPDATE api_token SET expires_at = now() - interval '1 day'")
    assert (await refusal(engine))[0] == "CONFLICT"
    first = await revoke(engine)
    second = await create(engine)
    assert second.id != first
    assert await revoke(engine) == second.id
    states = await catalog.rows("SELECT name, revoked_at IS NOT NULL FROM api_token")
    assert states == [("ci", True), ("ci", True)]


async def test_what_is_not_there_or_is_revoked_already_cannot_be_revoked(engine: AsyncEngine) -> None:
    await create(engine)
    await revoke(engine)
    for name in ("ci", "odd"):
        with pytest.raises(TokenRefusedError) as refused:
            await revoke(engine, name)
        assert (refused.value.code, refused.value.field) == ("NOT_FOUND", "name")
        assert str(refused.value) == f"There is no token {name}, or it is revoked already."


async def test_the_audit_trail_says_who_made_and_revoked_it(engine: AsyncEngine, catalog: Catalog) -> None:
    made = await create(engine, expires_at=SOON, user=Ref.parse("user:ada"), by="token:boss")
    await revoke(engine, by="command:root")
    image = {
        "prefix": made.secret[:11],
        "scopes": ["catalog:read"],
        "user": "user:default/ada",
        "expiresAt": "2099-01-01T00:00:00Z",
    }
    columns = '"by", action, subject, request_id, before, after, before IS NULL, after IS NULL'
    assert await catalog.rows(f"SELECT {columns} FROM audit ORDER BY id") == [
        ("token:boss", "tokenCreate", "token:ci", "r1", None, image, True, False),
        ("command:root", "tokenRevoke", "token:ci", None, image, None, False, True),
    ]


async def test_a_revocation_that_is_rolled_back_is_none(engine: AsyncEngine, catalog: Catalog) -> None:
    await create(engine)
    async with engine.connect() as connection:
        await tokens.revoke(connection, "ci", Author("test"))
        await connection.rollback()
    assert await catalog.rows("SELECT revoked_at FROM api_token") == [None]
    assert await catalog.rows("SELECT action FROM audit") == ["tokenCreate"]


async def test_the_last_use_of_all_tokens_is_noted_in_one_statement(engine: AsyncEngine, catalog: Catalog) -> None:
    a, b, _ = [await create(engine, name) for name in "abc"]
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)

    async def note(**used: datetime) -> list[Any]:
        ids = {"a": a.id, "b": b.id}
        async with engine.begin() as connection:
            with sql_queries(engine, 1):
                await tokens.note_uses(connection, {ids[name]: at for name, at in used.items()})
        return await catalog.rows("SELECT last_used_at FROM api_token ORDER BY name")

    assert await note(b=noon + timedelta(seconds=59), a=noon) == [noon, noon, None]
    assert await note(a=noon - timedelta(minutes=5)) == [noon, noon, None], "it never goes back"
    assert await note(a=noon + timedelta(seconds=60)) == [noon + timedelta(minutes=1), noon, None]


async def test_processes_that_note_the_same_tokens_never_wait_for_each_other_in_a_circle(
    engine: AsyncEngine, catalog: Catalog
) -> None:
    ids = [(await create(engine, f"t{n}")).id for n in range(50)]
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)

    async def note(order: list[int], minute: int) -> None:
        async with engine.begin() as connection:
            await tokens.note_uses(connection, dict.fromkeys(order, noon + timedelta(minutes=minute)))

    await asyncio.gather(*(note(ids if n % 2 else ids[::-1], n) for n in range(20)))
    assert await catalog.rows("SELECT DISTINCT last_used_at FROM api_token") == [noon + timedelta(minutes=19)]
