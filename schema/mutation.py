"""Where mutations start.

A mutation is an object and a verb, with one input and a payload: what it did, or `userErrors`. Work that takes long is
left to `api.workers`: the mutation writes a row that one of them takes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import strawberry

from db import audit, registering, schedules, tokens
from db.queries import tokens as token_queries
from db.registering import REGISTERED, NotWrittenError
from db.rules.descriptors import read, read_value
from db.rules.placeholders import IncludeError
from db.rules.records import Record
from db.rules.refs import Ref
from db.rules.registrations import EntityRegisterInput, EntityUnregisterInput, EntityUpdateInput
from db.rules.scopes import Scope
from db.rules.sources import SourceRegisterInput, SourceRunInput, SourceUnregisterInput
from db.rules.tokens import TokenCreateInput, TokenRevokeInput
from db.schedules import MUTATION, SETTINGS, DeclarationError, Held
from db.tokens import TokenRefusedError
from schema.calls import write
from schema.context import Context
from schema.inputs import graphql_name
from schema.levels.alone import answer
from schema.scalars import EntityRef
from schema.types.payload import (
    EntityPayload,
    SourcePayload,
    TokenCreatePayload,
    TokenRevokePayload,
    UserError,
    UserErrorCode,
)


async def _source_run(context: Context, *, input: SourceRunInput) -> SourcePayload:
    async with context.writes.engine.begin() as connection:
        held = await schedules.held(connection, input.name)
        if held is None:
            return _no_such_source(input.name)
        if held.name == REGISTERED.name:
            return _declared_elsewhere(context, held)
        if not held.is_read:
            message = "No process reads it by itself: `catalograph ingest` reads it."
            return SourcePayload.refused(UserErrorCode.CONFLICT, message, field="name")
        await schedules.run_now(connection, input.name, allow_removals=input.allow_removals)
        asked = {"allowRemovals": input.allow_removals}
        await audit.append(connection, context.author, "sourceRun", f"source:{input.name}", after=asked)
    return await _done(context, input.name)


async def _source_register(context: Context, *, input: SourceRegisterInput) -> SourcePayload:
    given = {name: value for name, value in asdict(input).items() if value is not None}
    try:
        declaration = context.writes.sources.registered(given)
    except DeclarationError as error:
        field = graphql_name(error.field) if error.field else None
        return SourcePayload.refused(UserErrorCode.INVALID, f"{error}.", field=field)
    async with context.writes.engine.begin() as connection:
        await schedules.held(connection, declaration.name)  # so that it stays as it was found
        was = await schedules.find(connection, declaration.name)
        if not await schedules.register(connection, declaration):
            held = await schedules.held(connection, declaration.name)
            return _declared_elsewhere(context, held)
        subject, before = f"source:{declaration.name}", was and was.definition
        await audit.append(
            connection, context.author, "sourceRegister", subject, before=before, after=declaration.definition
        )
    return await _done(context, declaration.name)


async def _source_unregister(context: Context, *, input: SourceUnregisterInput) -> SourcePayload:
    async with context.writes.engine.begin() as connection:
        held = await schedules.held(connection, input.name)
        if held is None:
            return _no_such_source(input.name)
        if held.declared_in != MUTATION:
            return _declared_elsewhere(context, held)
        entities = await schedules.count_entities(connection, input.name)
        if entities and not input.remove_entities:
            message = f"It holds {entities:,} entities, which would go with it. If that is right, say `removeEntities`."
            return SourcePayload.refused(UserErrorCode.CONFLICT, message, field="removeEntities")
        was = await schedules.find(connection, input.name)
        await schedules.remove_soon(connection, input.name)
        before = was and was.definition
        await audit.append(connection, context.author, "sourceUnregister", f"source:{input.name}", before=before)
    return await _done(context, input.name)


async def _token_create(context: Context, *, input: TokenCreateInput) -> TokenCreatePayload:
    try:
        async with context.writes.engine.begin() as connection:
            made = await tokens.create(connection, input, context.author)
    except TokenRefusedError as error:
        return TokenCreatePayload(token=None, secret=None, user_errors=[_token_error(error)])
    return TokenCreatePayload(token=await _token(context, made.id), secret=made.secret, user_errors=[])


async def _token_revoke(context: Context, *, input: TokenRevokeInput) -> TokenRevokePayload:
    try:
        async with context.writes.engine.begin() as connection:
            token_id = await tokens.revoke(connection, input.name, context.author)
    except TokenRefusedError as error:
        return TokenRevokePayload(token=None, user_errors=[_token_error(error)])
    return TokenRevokePayload(token=await _token(context, token_id), user_errors=[])


async def _token(context: Context, token_id: int) -> Any:
    (token,) = await answer(token_queries.by_id, context.reader, id=token_id)
    return token


def _token_error(error: TokenRefusedError) -> UserError:
    return UserError(code=UserErrorCode(error.code), message=str(error), field=graphql_name(error.field))


async def _entity_register(context: Context, *, input: EntityRegisterInput) -> EntityPayload:
    async def write(record: Record) -> None:
        await registering.register(context.writes.engine, record, by=context.caller.subject)

    return await _written(context, input, write)


async def _entity_update(context: Context, *, input: EntityUpdateInput) -> EntityPayload:
    async def write(record: Record) -> None:
        await _check_owner(context, Ref.parse(record.ref))
        by = context.caller.subject
        await registering.update(context.writes.engine, record, expected_etag=input.expected_etag, by=by)

    return await _written(context, input, write)


async def _entity_unregister(context: Context, *, input: EntityUnregisterInput) -> EntityPayload:
    async def write() -> None:
        await _check_owner(context, input.ref)
        by, etag = context.caller.subject, input.expected_etag
        await registering.unregister(context.writes.engine, input.ref, expected_etag=etag, by=by)

    return await _outcome(context, str(input.ref), write())


async def _check_owner(context: Context, ref: Ref) -> None:
    if not await context.may(Scope.CATALOG_WRITE, owner_of=ref):
        message = f"You do not own {ref}, and to write what others own takes the scope {Scope.CATALOG_WRITE}."
        raise NotWrittenError("FORBIDDEN", message)


async def _written(
    context: Context, input: EntityRegisterInput | EntityUpdateInput, write: Callable[[Record], Awaitable[None]]
) -> EntityPayload:
    if (input.entity is None) == (input.yaml is None):
        return EntityPayload.refused(_invalid("Give either `entity` or `yaml`."))
    if input.yaml is None:
        reading = await asyncio.to_thread(read_value, input.entity, kinds=REGISTERED.kinds)
    else:
        reading = await asyncio.to_thread(read, input.yaml.encode(), include=_no_files, kinds=REGISTERED.kinds)
    if reading.skipped:
        return EntityPayload.refused(_invalid("A document of one of Kubernetes' own API groups is no entity."))
    if reading.documents > 1 or not (reading.rejected or reading.records):
        return EntityPayload.refused(_invalid(f"There are {reading.documents} documents; one is written at a time."))
    if reading.rejected:
        return EntityPayload.refused(*(_invalid(found.message, found.field) for found in reading.findings))
    (record,) = reading.records
    return await _outcome(context, record.ref, write(record))


def _no_files(path: str) -> bytes:
    raise IncludeError(f"there is no file {path} beside it")


def _invalid(message: str, field: str | None = None) -> UserError:
    return UserError(code=UserErrorCode.INVALID, message=message, field=field)


async def _outcome(context: Context, ref: str, writing: Awaitable[None]) -> EntityPayload:
    try:
        await writing
    except NotWrittenError as error:
        return EntityPayload.refused(UserError(code=UserErrorCode(error.code), message=str(error)), ref=ref)
    loader = context.loaders.entity_by_ref.clear(ref)  # a mutation before this one may have asked
    return EntityPayload(entity_ref=EntityRef(ref), entity=await loader.load(ref), user_errors=[])


async def _done(context: Context, name: str) -> SourcePayload:
    loader = context.loaders.source_by_name.clear(name)  # a mutation before this one may have asked
    return SourcePayload(source=await loader.load(name), user_errors=[])


def _no_such_source(name: str) -> SourcePayload:
    return SourcePayload.refused(UserErrorCode.NOT_FOUND, f"There is no source {name}.", field="name")


def _declared_elsewhere(context: Context, held: Held | None) -> SourcePayload:
    if held and held.declared_in == SETTINGS:
        message = f"It is declared in {context.writes.sources.file or 'the settings'}, and is changed there."
    elif held and held.name == REGISTERED.name:
        message = "It holds what entityRegister wrote; entityUnregister removes it, entity by entity."
    else:
        message = "It was read by a command, and no mutation declared it: `catalograph sources delete` removes it."
    return SourcePayload.refused(UserErrorCode.CONFLICT, message, field="name")


@strawberry.type(description="Everything that can be done.")
class Mutation:
    """The root of every mutation."""

    entity_register: EntityPayload = write(
        _entity_register,
        "Add an entity that no file declares. The same again does nothing, so it may be tried again.",
        scope=Scope.CATALOG_WRITE,
    )
    entity_update: EntityPayload = write(
        _entity_update,
        "Replace an entity that `entityRegister` added.",
        scope=Scope.CATALOG_WRITE,
        or_owner=True,
    )
    entity_unregister: EntityPayload = write(
        _entity_unregister,
        "Remove an entity that `entityRegister` added.",
        scope=Scope.CATALOG_WRITE,
        or_owner=True,
    )
    source_run: SourcePayload = write(
        _source_run,
        "Read a declared source now, or as soon as a process is free; `lastRun` says what came of it.",
        scope=Scope.CATALOG_WRITE,
    )
    source_register: SourcePayload = write(
        _source_register,
        "Declare a source, which is then read again and again. Its host must be on the list of those that may be read.",
        scope=Scope.ADMIN,
    )
    source_unregister: SourcePayload = write(
        _source_unregister,
        "Remove a source that a mutation declared, with its entities: soon, or when the run under way has ended.",
        scope=Scope.ADMIN,
    )
    token_create: TokenCreatePayload = write(
        _token_create, "Make an API token. Its secret is in this answer, and nowhere else.", scope=Scope.ADMIN
    )
    token_revoke: TokenRevokePayload = write(
        _token_revoke, "Let an API token be good no more: at once, in every process.", scope=Scope.ADMIN
    )
