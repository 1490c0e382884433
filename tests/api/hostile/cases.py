"""What a hostile client sends over HTTP, and what it is answered, in the words that the two tables are written in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from api.graphql import GRAPHQL_JSON
from api.request_parameters import JSON
from tests.api.hostile.wire import Reply

MEDIA_TYPES = (GRAPHQL_JSON, JSON)
NOTHING = object()  # no data: nothing was run

Request = Callable[[str], bytes]  # with this Accept header


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says: its first error, and its data. What is no JSON says its text."""

    status: int
    code: str | None = None
    message: str | None = None
    data: Any = NOTHING

    @classmethod
    def of(cls, reply: Reply) -> Answer:
        """What was received."""
        if not reply.headers.get("content-type", "").startswith(MEDIA_TYPES):
            return cls(reply.status, message=reply.body.decode())
        body = json.loads(reply.body)
        errors: list[Any] = body.get("errors", [{"message": None, "extensions": {"code": None}}])
        return cls(reply.status, errors[0]["extensions"]["code"], errors[0]["message"], body.get("data", NOTHING))


Answers = tuple[Answer, Answer]  # in each of MEDIA_TYPES


@dataclass(frozen=True, slots=True)
class Case:
    """A request, and what it is answered."""

    name: str
    request: Request
    answers: Answers


# What is sent


def raw(data: bytes) -> Request:
    """These bytes, whatever they are."""
    return lambda _accept: data


def headed(*lines: str, body: bytes = b"") -> Request:
    """A request line with headers, and what follows them."""
    first, *headers = lines

    def request(accept: str) -> bytes:
        return "\r\n".join((first, "Host: catalog", f"Accept: {accept}", *headers, "\r\n")).encode("latin-1") + body

    return request


def posted(body: bytes, *headers: str, content_type: str = JSON) -> Request:
    """A POST with this body and its true length."""
    length = f"Content-Length: {len(body)}"
    return headed("POST /graphql HTTP/1.1", f"Content-Type: {content_type}", length, *headers, body=body)


def asked(document: str, **variables: Any) -> Request:
    """A document, with its variables."""
    return posted(json.dumps({"query": document, "variables": variables}).encode())


def asked_as(body: str) -> Request:
    """A document with variables, in JSON as it stands here."""
    return posted(body.encode())


def got(query_string: str) -> Request:
    """A GET with this query string."""
    return headed(f"GET /graphql?{query_string} HTTP/1.1")


def got_document(document: str, more: str = "") -> Request:
    """A GET of a document."""
    return got(f"query={quote(document)}{more}")


# What is answered


def answered(data: Any) -> Answers:
    """All is well: it only looked hostile."""
    return Answer(200, data=data), Answer(200, data=data)


def failed(message: str, data: Any = None) -> Answers:
    """A field was refused its arguments while the operation ran."""
    answer = Answer(200, "BAD_USER_INPUT", message, data)
    return answer, answer


def refused(code: str, message: str) -> Answers:
    """Nothing was run; plain JSON keeps 200 for what is a request of GraphQL."""
    return Answer(400, code, message), Answer(200, code, message)


def turned_away(status: int, code: str, message: str) -> Answers:
    """Nothing was run, and every client is told by the status, too."""
    return Answer(status, code, message), Answer(status, code, message)


def malformed(message: str) -> Answers:
    """It is no request of GraphQL."""
    return turned_away(400, "BAD_REQUEST", message)


def unread(status: int = 400, message: str = "Invalid HTTP request received.") -> Answers:
    """It did not come as far as GraphQL."""
    return Answer(status, message=message), Answer(status, message=message)
