"""What a GraphQL request holds, read from an HTTP request: POST with a JSON body, or GET with a query string."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import NoneType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from api import media_types
from db import jsonb
from schema.errors import (
    BadRequest,
    BadUserInput,
    DocumentTooLong,
    MethodNotAllowed,
    RequestTimeout,
    RequestTooLarge,
    UnsupportedMediaType,
)

JSON = "application/json"

# In the variables of one request, however they are nested.
MOST_VALUES = 10_000

# Characters of a document. To read so many takes 25 ms, and 2,000 tokens are seldom a fifth of it.
LONGEST_DOCUMENT = 100_000

_TEXT_OR_NULL = (str, NoneType)
_OBJECT_OR_NULL = (dict, NoneType)

# Each digit as a zero and every other byte as a blank: long numbers are found ten times as fast as by an expression.
_DIGITS_ALONE = bytes(ord("0") if chr(byte).isdecimal() else ord(" ") for byte in range(256))
_LONG_NUMBER = b"0" * 19


class Parameters(NamedTuple):
    """What a GraphQL request holds, with its types checked. It has a document, or says which one is meant."""

    query: str | None
    operation_name: str | None
    variables: dict[str, Any]
    document_id: str | None = None
    sha256: str | None = None  # of the document, as Apollo's clients send it


async def read_parameters(
    scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, *, body_limit: int, body_timeout: float
) -> Parameters:
    """The parameters of a request; its body may have `body_limit` bytes, and take `body_timeout` seconds to come.

    Raises MethodNotAllowed, UnsupportedMediaType, RequestTooLarge, RequestTimeout and what `checked` raises;
    ClientDisconnect when the client leaves within its body.
    """
    match scope["method"]:
        case "POST":
            _check_content(headers)
            return _from_body(await _body_in_time(headers, receive, body_limit, body_timeout))
        case "GET":
            return _from_query_string(scope["query_string"])
    raise MethodNotAllowed("GraphQL is asked by GET or POST", allow="GET, POST")


def _check_content(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a body that is not plain JSON in UTF-8. Raises UnsupportedMediaType."""
    media_type, charset = media_types.parse(headers.get(b"content-type", b"").decode("latin-1"))
    if media_type != JSON:
        raise UnsupportedMediaType(f"The body must be {JSON}, and the Content-Type header must say so")
    if charset not in {None, "utf-8", "utf8"}:
        raise UnsupportedMediaType("The body must be in UTF-8")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMediaType("The body must not be compressed")


async def _body_in_time(headers: Mapping[bytes, bytes], receive: Receive, limit: int, seconds: float) -> bytearray:
    try:
        async with asyncio.timeout(seconds):
            return await _body(headers, receive, limit)
    except TimeoutError:
        raise RequestTimeout(f"The body must come within {seconds:g} seconds") from None


async def _body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytearray:
    """The whole body; refused as soon as it is known to be longer than `limit` bytes, without keeping it."""
    if int(headers.get(b"content-length", b"0")) > limit:
        raise _too_large(limit)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return body


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body may have {limit} bytes")


def _from_body(body: bytearray) -> Parameters:
    fields = decoded(body, "The body")
    refuse_nul(body, fields, "The body")
    if isinstance(fields, list):
        raise BadRequest("The body must be one JSON object; a list of requests is not taken")
    if not isinstance(fields, dict):
        raise BadRequest("The body must be a JSON object")
    return checked(fields)


def _from_query_string(query_string: bytes) -> Parameters:
    try:
        fields: dict[str, Any] = dict(parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise BadRequest("The query string is not UTF-8") from None
    for name in ("variables", "extensions"):
        if text := fields.pop(name, None):
            what = f"The parameter '{name}'"
            fields[name] = decoded(text.encode(), what)
            refuse_nul(text.encode(), fields[name], what)
    return checked(fields)


def decoded(text: bytes | bytearray, what: str) -> Any:
    """The value in `text`, as `jsonb.decode_foreign` has it. Raises BadRequest."""
    try:
        if _LONG_NUMBER in text.translate(_DIGITS_ALONE):
            return jsonb.decode_foreign(text.decode())
        return orjson.loads(text)
    except ValueError as error:
        raise BadRequest(f"{what} is {_fault(text, error)}") from None


def refuse_nul(text: bytes | bytearray, value: object, what: str) -> None:
    """Refuse what came out of `text`, if it holds the character that no text in Postgres may. Raises BadUserInput."""
    if rb"\u0000" in text and _holds_nul(value):
        raise BadUserInput(f"{what} holds the character NUL, which no text may hold")


def _fault(text: bytes | bytearray, error: ValueError) -> str:
    try:
        text.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return f"not JSON: {error}"


def _holds_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any("\0" in key or _holds_nul(item) for key, item in value.items())
        case list():
            return any(_holds_nul(item) for item in value)
    return False


def checked(fields: Mapping[str, Any]) -> Parameters:
    """The parameters in a decoded request.

    Raises BadRequest for a wrong type, DocumentTooLong, BadUserInput for too many values.
    """
    query, document_id, sha256 = _document(fields)
    name, variables = fields.get("operationName"), fields.get("variables")
    if not isinstance(name, _TEXT_OR_NULL):
        raise BadRequest("'operationName' must be a string or null")
    if not isinstance(variables, _OBJECT_OR_NULL):
        raise BadRequest("'variables' must be an object or null")
    if variables and _is_large(variables):
        raise BadUserInput(f"'variables' holds more than {MOST_VALUES} values")
    return Parameters(query, name or None, variables or {}, document_id, sha256)


def _document(fields: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """The document's text, its id and its hash: the id alone, or the text, the hash, or both. Raises as `checked`."""
    query, document_id, extensions = fields.get("query"), fields.get("documentId"), fields.get("extensions")
    if not isinstance(extensions, _OBJECT_OR_NULL):
        raise BadRequest("'extensions' must be an object or null")
    if not isinstance(document_id, _TEXT_OR_NULL):
        raise BadRequest("'documentId' must be a string or null")
    if document_id is not None:
        if query is not None:
            raise BadRequest("'query' and 'documentId' cannot be combined: each says which document is meant")
        return None, document_id, None
    sha256 = _sha256(extensions or {})
    if query is None and sha256 is not None:
        return None, None, sha256
    if not isinstance(query, str):
        raise BadRequest("'query' must be a string that holds a GraphQL document")
    if len(query) > LONGEST_DOCUMENT:
        raise DocumentTooLong(
            f"The document has {len(query)} characters; {LONGEST_DOCUMENT} are allowed: move long values into variables"
        )
    return query, None, sha256


def _sha256(extensions: Mapping[str, Any]) -> str | None:
    """What Apollo's clients send as the hash of the document. Raises BadRequest."""
    match extensions.get("persistedQuery"):
        case None:
            return None
        case {"version": 1, "sha256Hash": str(sha256)}:
            return sha256
    raise BadRequest("'extensions.persistedQuery' must have the 'version' 1 and a string 'sha256Hash'")


def _is_large(variables: object) -> bool:
    """Whether it holds more values than may be: each is read several times before a field can look at it."""
    values, waiting = 0, [variables]
    while waiting and values <= MOST_VALUES:
        value = waiting.pop()
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        values += len(inner)
        waiting.extend(inner)
    return values > MOST_VALUES
