"""Where mutations start.

A mutation is an object and a verb, with one input and a payload: what it did, or `userErrors`. Work that takes long is
left to `api.workers`: the mutation writes a row that one of them takes.
"""

from dataclasses import asdict

import strawberry

from db import schedules
from db.rules.sources import SourceRegisterInput, SourceRunInput, SourceUnregisterInput
from db.schedules import MUTATION, SETTINGS, DeclarationError, Held
from schema.calls import write
from schema.context import Context
from schema.inputs import graphql_name
from schema.types.payload import SourcePayload, UserErrorCode


async def _source_run(context: Context, *, input: SourceRunInput) -> SourcePayload:
    async with context.writes.engine.begin() as connection:
        held = await schedules.held(connection, input.name)
        if held is None:
            return _no_such_source(input.name)
        if not held.is_read:
            message = "No process reads it by itself: `catalograph ingest` reads it."
            return SourcePayload.refused(UserErrorCode.CONFLICT, message, field="name")
        await schedules.run_now(connection, input.name, allow_removals=input.allow_removals)
    return await _done(context, input.name)


async def _source_register(context: Context, *, input: SourceRegisterInput) -> SourcePayload:
    given = {name: value for name, value in asdict(input).items() if value is not None}
    try:
        declaration = context.writes.sources.registered(given)
    except DeclarationError as error:
        field = graphql_name(error.field) if error.field else None
        return SourcePayload.refused(UserErrorCode.INVALID, f"{error}.", field=field)
    async with context.writes.engine.begin() as connection:
        if not await schedules.register(connection, declaration):
            held = await schedules.held(connection, declaration.name)
            return _declared_elsewhere(context, held)
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
        await schedules.remove_soon(connection, input.name)
    return await _done(context, input.name)


async def _done(context: Context, name: str) -> SourcePayload:
    loader = context.loaders.source_by_name.clear(name)  # a mutation before this one may have asked
    return SourcePayload(source=await loader.load(name), user_errors=[])


def _no_such_source(name: str) -> SourcePayload:
    return SourcePayload.refused(UserErrorCode.NOT_FOUND, f"There is no source {name}.", field="name")


def _declared_elsewhere(context: Context, held: Held | None) -> SourcePayload:
    if held and held.declared_in == SETTINGS:
        message = f"It is declared in {context.writes.sources.file or 'the settings'}, and is changed there."
    else:
        message = "It was read by a command, and no mutation declared it: `catalograph sources delete` removes it."
    return SourcePayload.refused(UserErrorCode.CONFLICT, message, field="name")


@strawberry.type(description="Everything that can be done.")
class Mutation:
    """The root of every mutation."""

    source_run: SourcePayload = write(
        _source_run, "Read a declared source now, or as soon as a process is free; `lastRun` says what came of it."
    )
    source_register: SourcePayload = write(
        _source_register,
        "Declare a source, which is then read again and again. Its host must be on the list of those that may be read.",
    )
    source_unregister: SourcePayload = write(
        _source_unregister, "Remove a source that a mutation declared, and its entities, within moments."
    )
