"""One operation over the odd schema, played by our executor and by the reference, and what differs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import strawberry
from graphql import DocumentNode, parse, validate

from tests.schema.levels.chance import Play
from tests.schema.levels.comparing import Answer, reference, reference_events, run
from tests.schema.levels.odd_schema import Asked
from tests.schema.levels.shrinking import smallest


@dataclass(frozen=True)
class Trial:
    """A document to play, any number of times."""

    schema: strawberry.Schema
    executor: Any  # the class of our executor, or what stands in for it
    text: str
    kind: str
    name: str | None
    seen: Counter[str] = field(default_factory=Counter)  # how often what the test is about happened

    def document(self) -> DocumentNode | None:
        """The document, if it is valid."""
        document = parse(self.text)
        return None if validate(self.schema._schema, document) else document

    def prepared(self, document: DocumentNode) -> Any:
        """The operation, ready to run; its plans last from play to play."""
        return self.executor(self.schema, document, self.name)

    async def difference(
        self, document: DocumentNode, operation: Any, variables: dict[str, Any], salt: int
    ) -> str | None:
        """What differs between the two; None when nothing does."""
        theirs, ours = Asked(Play(salt)), Asked(Play(salt))
        answers: list[Answer]
        results: list[Any]
        before = asyncio.all_tasks()
        self.seen["operations"] += 1
        if self.kind == "subscription":
            asked = self.schema._schema, document, self.name, variables
            answers, their_end = await _all(reference_events(*asked, theirs))
            results, our_end = await _all(operation.subscribe(variables, ours))
            if their_end != our_end or len(answers) != len(results):
                return f"{len(answers)} events, then {their_end}; {len(results)} events of ours, then {our_end}"
        else:
            answers = [await reference(self.schema._schema, document, self.name, variables, theirs)]
            results = [await run(operation, variables, ours)]
        for answer, result in zip(answers, results, strict=True):
            self._count(answer)
            if wrong := answer.difference(result):
                return wrong
        if left := asyncio.all_tasks() - before:
            return f"left behind: {left}"
        return _misdone(answers, theirs.play, ours.play)

    def _count(self, answer: Answer) -> None:
        self.seen["answers"] += 1
        self.seen["answers with errors"] += bool(answer.result.errors)
        self.seen["errors"] += len(answer.result.errors or ())
        self.seen["positions nulled from below"] += len(answer.nulled)
        self.seen["errors below a nulled position"] += answer.failures - len(answer.result.errors or ()) > 0
        self.seen["answers without data"] += answer.result.data is None

    async def report(self, variables: dict[str, Any], salt: int) -> str:
        """What to tell about a play that differs, by the smallest document that still does."""

        async def differs(text: str) -> bool:
            return await replace(self, text=text, seen=Counter())._first_difference(variables, salt) is not None

        text = await smallest(self.text, differs)
        wrong = await replace(self, text=text, seen=Counter())._first_difference(variables, salt)
        return f"{text}\nvariables {variables}\nsalt {salt}\n{wrong}"

    async def _first_difference(self, variables: dict[str, Any], salt: int) -> str | None:
        document = self.document()
        return None if document is None else await self.difference(document, self.prepared(document), variables, salt)


def _misdone(answers: list[Answer], theirs: Play, ours: Play) -> str | None:
    """What was done that should not have been, or not done."""
    if ours.effects != theirs.effects:
        return f"effects {theirs.effects}\nof ours  {ours.effects}"
    if more := ours.calls - theirs.calls:
        return f"called too often: {dict(more)}"
    # Below a position that becomes null anyway nothing has to be called.
    fewer = theirs.calls - ours.calls
    if fewer and not any(answer.nulled for answer in answers):
        return f"not called: {dict(fewer)}"
    return None


async def _all(events: AsyncIterator[Any]) -> tuple[list[Any], str]:
    """All events, and how the stream ended."""
    found = []
    try:
        async for event in events:
            found.append(event)  # noqa: PERF401 - those before an error count
    except Exception as error:  # noqa: BLE001 - any may be raised, and has to be the same
        return found, repr(error)
    return found, "nothing more"
