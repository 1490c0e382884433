"""What a client is told, whichever way it asked: the body of an answer, or why there is none.

What it is not told is logged here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog
from graphql import ExecutionResult, GraphQLError

from schema.errors import (
    CatalogError,
    InternalError,
    ResponseLimit,
    Timeout,
    Unavailable,
    for_client,
    formatted,
    origin,
)

_log = structlog.get_logger("catalograph.graphql")

Body = dict[str, Any]


def told(result: ExecutionResult, identity: str) -> tuple[Body, CatalogError | None]:
    """The body of an answer, and the error that is the whole answer; `identity` is the request's id.

    The body has no `data` where nothing was run.
    """
    body: Body = {}
    failure: CatalogError | None = None
    if result.errors:
        answers = [for_client(error, identity) for error in result.errors]
        _log_failures(result.errors, answers)
        body["errors"] = [formatted(error, answer) for error, answer in zip(result.errors, answers, strict=True)]
        failure = answers[0] if _was_refused(result) else _outage(result, answers)
    if not _was_refused(result):
        body["data"] = result.data
    if result.extensions:
        body["extensions"] = result.extensions
    return body, failure


def refusal(error: Exception, identity: str) -> CatalogError:
    """What a client is told instead of an answer."""
    answer = for_client(error, identity)
    _log_failure(error, answer)
    return answer


def check_size(text: bytes, limit: int) -> None:
    """Refuse to send an answer that is longer than so many bytes. Raises ResponseLimit."""
    if len(text) > limit:
        raise ResponseLimit(f"The answer has {len(text):,} bytes, and {limit:,} are allowed: ask for less at once")


def _was_refused(result: ExecutionResult) -> bool:
    """Whether nothing was run: an error of the request as a whole has no path."""
    return result.data is None and all(error.path is None for error in result.errors or ())


def _outage(result: ExecutionResult, answers: list[CatalogError]) -> Timeout | Unavailable | None:
    """What kept the whole answer away, when not one root field has a value."""
    if any(value is not None for value in (result.data or {}).values()):
        return None
    return next((answer for answer in answers if isinstance(answer, Timeout | Unavailable)), None)


def _log_failures(errors: Iterable[GraphQLError], answers: Iterable[CatalogError]) -> None:
    """Log each exception once; one may have failed many fields."""
    logged: set[int] = set()
    for error, answer in zip(errors, answers, strict=True):
        if id(origin(error)) not in logged:
            logged.add(id(origin(error)))
            _log_failure(error, answer)


def _log_failure(error: Exception, answer: CatalogError) -> None:
    """Log what the client is not told; what the client did wrong is not ours to log."""
    cause = origin(error)
    path = error.path if isinstance(error, GraphQLError) else None
    if isinstance(answer, InternalError):
        _log.error("unexpected error", path=path, exc_info=cause)
    elif isinstance(answer, Timeout | Unavailable):
        reason = str(getattr(cause, "orig", cause))  # SQLAlchemy's own words hold the whole statement
        event = "not available" if isinstance(cause, CatalogError) else "no answer from the database"
        _log.warning(event, path=path, code=answer.code, reason=reason)
