"""The table of hostile websockets: what is sent after the greeting, what is heard, and how the socket is closed."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

from websockets.frames import Opcode

from tests.api.hostile.wire import framed

Message = dict[str, Any]

PLAIN = {"query": "{__typename}"}
# It goes on from the beginning, and nothing that has changed since is any of its business.
ENDLESS = {"query": 'subscription{entityChanges(since:"eyJjYXRhbG9nIjowfQ" filter:{name:{in:[]}}){cursor}}'}
NO_MESSAGE = (4400, "This is no message of graphql-transport-ws")


@dataclass(frozen=True, slots=True)
class SocketCase:
    """Bytes on a websocket, and their answer. Where it stays open, `closed` is None."""

    name: str
    sent: bytes
    heard: tuple[Message, ...] = ()
    closed: tuple[int | None, str] | None = None
    is_greeted: bool = True  # before that


@dataclass(frozen=True, slots=True)
class Handshake:
    """The headers that open a socket, and the status; for 101, also how it is closed at once."""

    name: str
    headers: tuple[str, ...]
    status: int
    closed: tuple[int, str] | None = None


# What is sent


def text(data: str | bytes, *, fin: bool = True) -> bytes:
    return framed(Opcode.TEXT, data.encode() if isinstance(data, str) else data, fin=fin)


def more(data: bytes, *, fin: bool = True) -> bytes:
    return framed(Opcode.CONT, data, fin=fin)


def said(**message: Any) -> bytes:
    return text(json.dumps(message))


def begun(payload: Any, name: Any = "a") -> bytes:
    return said(type="subscribe", id=name, payload=payload)


def closing(code: int, reason: bytes = b"") -> bytes:
    return framed(Opcode.CLOSE, struct.pack("!H", code) + reason)


INIT = said(type="connection_init")
PING = said(type="ping")

# What is heard

PONG: Message = {"type": "pong"}


def answered(name: str = "a") -> tuple[Message, Message]:
    body = {"data": {"__typename": "Query"}, "extensions": {"cost": 0}}
    return {"id": name, "type": "next", "payload": body}, {"id": name, "type": "complete"}


def error(code: str, message: str, name: str = "a", **more: Any) -> Message:
    return {"id": name, "type": "error", "payload": [{"message": message, **more, "extensions": {"code": code}}]}


def pong(data: str = "") -> Message:
    """A frame of the websocket itself."""
    return {"pong": data}


# fmt: off

FRAMES = [
    SocketCase("a frame without a mask", framed(Opcode.TEXT, b'{"type":"ping"}', masked=False), closed=(1002, "incorrect masking")),
    SocketCase("a reserved bit", b"\xc1\x80\0\0\0\0", closed=(1002, "reserved bits must be 0")),
    SocketCase("an opcode that is reserved", b"\x83\x80\0\0\0\0", closed=(1002, "invalid opcode")),
    SocketCase("a control opcode that is reserved", b"\x8b\x80\0\0\0\0", closed=(1002, "invalid opcode")),
    SocketCase("a ping that is too long", b"\x89\xfe\x00\x7e\0\0\0\0" + b"x" * 126, closed=(1002, "control frame too long")),
    SocketCase("a ping in parts", b"\x09\x81\0\0\0\0x", closed=(1002, "fragmented control frame")),
    SocketCase("the end of nothing", more(b"x"), closed=(1002, "unexpected continuation frame")),
    SocketCase("a message within a message", text("x", fin=False) + text("y"), closed=(1002, "expected a continuation frame")),
    SocketCase("another protocol", b"GET / HTTP/1.1\r\n\r\n" * 5, closed=(1002, "invalid opcode")),
    SocketCase("a frame of 2^62 bytes", b"\x81\xff" + struct.pack("!Q", 2**62) + b"\0" * 1_000, closed=(1009, "frame with 4611686018427387904 bytes exceeds limit of 256000 bytes")),
    SocketCase("a frame of 2^63 bytes", b"\x81\xff" + struct.pack("!Q", 2**63) + b"\0" * 1_000, closed=(1009, "frame with 9223372036854775808 bytes exceeds limit of 256000 bytes")),
    SocketCase("a frame one byte too long", text(b" " * 256_001), closed=(1009, "frame with 256001 bytes exceeds limit of 256000 bytes")),
    SocketCase("parts that are too long together", text(b" " * 200_000, fin=False) + more(b" " * 200_000), closed=(1009, "frame with 200000 bytes after reading 200000 bytes exceeds limit of 256000 bytes")),
    SocketCase("a length in more bytes than it needs", b"\x81\xfe\x00\x05\0\0\0\0hello", closed=(4400, "The message is not JSON: unexpected character, expected a JSON value: line 1 column 1 (char 0)")),
    SocketCase("a message in 40,000 parts", text(b"", fin=False) + more(b" ", fin=False) * 40_000 + more(b'{"type":"ping"}'), (PONG,)),
    SocketCase("a message that never ends, in 40,000 empty parts", text(b"", fin=False) + more(b"", fin=False) * 40_000 + framed(Opcode.PING, b"?") + more(b'{"type":"ping"}'), (pong("?"), PONG)),
    SocketCase("a letter in two parts", text(b'{"type":"ping","payload":{"a":"\xc3', fin=False) + more(b'\xa9"}}'), (PONG,)),
    SocketCase("40,000 pings", framed(Opcode.PING) * 40_000, (pong(),) * 40_000),
    SocketCase("pings within a message", text(b'{"type":', fin=False) + framed(Opcode.PING, b"x") + more(b'"ping"}'), (pong("x"), PONG)),
    SocketCase("40,000 pongs that nobody asked for", framed(Opcode.PONG, b"x") * 40_000),
    SocketCase("bytes instead of text", framed(Opcode.BINARY, b'{"type":"ping"}'), closed=(4400, "Messages are text")),
    SocketCase("bytes that are no UTF-8", text(b"\xff\xfe"), closed=(1007, "")),
    SocketCase("half a surrogate pair as UTF-8", text(b'{"type":"ping","payload":{"a":"\xed\xa0\x80"}}'), closed=(1007, "")),
    SocketCase("a close without half of its code", framed(Opcode.CLOSE, b"x"), closed=(1002, "close frame too short")),
    SocketCase("a close with a code that is none", closing(999), closed=(1002, "invalid status code")),
    SocketCase("a close with a code that is never sent", closing(1005), closed=(1002, "invalid status code")),
    SocketCase("a close with a code beyond all", closing(5000), closed=(1002, "invalid status code")),
    SocketCase("a close with a reason that is no UTF-8", closing(1000, b"\xff"), closed=(1007, "invalid start byte at position 0")),
    SocketCase("a close with a long reason", closing(4000, b"x" * 123), closed=(4000, "x" * 123)),
    SocketCase("a close without a code", framed(Opcode.CLOSE), closed=(None, "")),
    SocketCase("a message after the close", closing(1000) + PING, closed=(1000, "")),
    SocketCase("a greeting and bytes that are no UTF-8", INIT + text(b"\xff"), closed=(1007, ""), is_greeted=False),
]

MESSAGES = [
    SocketCase("nothing", text(""), closed=(4400, "The message is not JSON: Input is a zero-length, empty document: line 1 column 1 (char 0)")),
    SocketCase("half an object", text("{"), closed=(4400, "The message is not JSON: unexpected end of data: line 1 column 2 (char 1)")),
    SocketCase("null", text("null"), closed=NO_MESSAGE),
    SocketCase("a number", text("1"), closed=NO_MESSAGE),
    SocketCase("a list", text("[]"), closed=NO_MESSAGE),
    SocketCase("a list of messages", text('[{"type":"ping"}]'), closed=NO_MESSAGE),
    SocketCase("an empty object", text("{}"), closed=NO_MESSAGE),
    SocketCase("two objects", text('{"type":"ping"}{"type":"ping"}'), closed=(4400, "The message is not JSON: unexpected content after document: line 1 column 16 (char 15)")),
    SocketCase("lists 200,000 deep", text("[" * 200_000), closed=(4400, "The message is not JSON: depth limit exceeded: line 1 column 1026 (char 1025)")),
    SocketCase("a number of 6,000 digits", text('{"type":"ping","payload":{"a":' + "1" * 6_000 + "}}"), closed=(4400, "The message is not JSON: number is infinity when parsed as double: line 1 column 31 (char 30)")),
    SocketCase("a number of 300 digits", text('{"type":"ping","payload":{"a":' + "1" * 300 + "}}"), (PONG,)),
    SocketCase("NaN", text('{"type":"ping","payload":{"a":NaN}}'), closed=(4400, "The message is not JSON: unexpected character, expected a JSON value: line 1 column 31 (char 30)")),
    SocketCase("a byte order mark", text(b"\xef\xbb\xbf" + b'{"type":"ping"}'), closed=(4400, "The message is not JSON: UTF-8 byte order mark (BOM) is not supported: line 1 column 1 (char 0)")),
    SocketCase("a type that nobody knows", said(type="hostile"), closed=NO_MESSAGE),
    SocketCase("a type that is a number", said(type=1), closed=NO_MESSAGE),
    SocketCase("a type that is a list", said(type=["ping"]), closed=NO_MESSAGE),
    SocketCase("a type in capitals", said(type="PING"), closed=NO_MESSAGE),
    SocketCase("a type given twice", text('{"type":"hostile","type":"ping"}'), (PONG,)),
    SocketCase("a message of the old protocol", said(type="start", id="a", payload=PLAIN), closed=NO_MESSAGE),
    SocketCase("the end in the old protocol", said(type="connection_terminate"), closed=NO_MESSAGE),
    SocketCase("an answer, from the client", said(type="next", id="a", payload={}), closed=NO_MESSAGE),
    SocketCase("an acknowledgement, from the client", said(type="connection_ack"), closed=NO_MESSAGE),
    SocketCase("a ping that carries a list", said(type="ping", payload=[]), closed=(4400, "'payload' must be an object")),
    SocketCase("a pong that carries a text", said(type="pong", payload="x"), closed=(4400, "'payload' must be an object")),
    SocketCase("2,000 pings of the protocol", PING * 2_000, (PONG,) * 2_000),
    SocketCase("a second greeting", INIT, closed=(4429, "Too many initialisation requests")),
    SocketCase("two greetings at once", INIT + INIT, ({"type": "connection_ack"},), (4429, "Too many initialisation requests"), is_greeted=False),
    SocketCase("a greeting that carries a list", said(type="connection_init", payload=[]), closed=(4400, "'payload' must be an object"), is_greeted=False),
    SocketCase("a greeting that carries a text", said(type="connection_init", payload="Bearer x"), closed=(4400, "'payload' must be an object"), is_greeted=False),
    SocketCase("an operation before the greeting", begun(PLAIN), closed=(4401, "Unauthorized"), is_greeted=False),
    SocketCase("an end before the greeting", said(type="complete", id="a"), (), is_greeted=False),
]

OPERATIONS = [
    SocketCase("no name", said(type="subscribe", payload=PLAIN), closed=NO_MESSAGE),
    SocketCase("an empty name", begun(PLAIN, ""), closed=NO_MESSAGE),
    SocketCase("a name that is a number", begun(PLAIN, 1), closed=NO_MESSAGE),
    SocketCase("a name that is an object", begun(PLAIN, {}), closed=NO_MESSAGE),
    SocketCase("a name of 200,000 letters", begun(PLAIN, "x" * 200_000), answered("x" * 200_000)),
    SocketCase("a name with NUL", begun(PLAIN, "\0"), answered("\0")),
    SocketCase("a name with half a surrogate pair", begun(PLAIN, "\ud800"), closed=(4400, "The message is not JSON: no low surrogate in string: line 1 column 30 (char 29)")),
    SocketCase("a name that runs backwards", begun(PLAIN, "\u202e"), answered("\u202e")),
    SocketCase("no payload", said(type="subscribe", id="a"), closed=NO_MESSAGE),
    SocketCase("a payload that is null", begun(None), closed=NO_MESSAGE),
    SocketCase("a payload that is a text", begun("{__typename}"), closed=NO_MESSAGE),
    SocketCase("a payload that is a list", begun([PLAIN]), closed=NO_MESSAGE),
    SocketCase("an empty payload", begun({}), closed=(4400, "'query' must be a string that holds a GraphQL document")),
    SocketCase("a document that is a number", begun({"query": 1}), closed=(4400, "'query' must be a string that holds a GraphQL document")),
    SocketCase("a document of half a surrogate pair", begun({"query": "\ud800"}), closed=(4400, "The message is not JSON: no low surrogate in string: line 1 column 56 (char 55)")),
    SocketCase("variables that are a list", begun({**PLAIN, "variables": []}), closed=(4400, "'variables' must be an object or null")),
    SocketCase("a name of an operation that is a list", begun({**PLAIN, "operationName": []}), closed=(4400, "'operationName' must be a string or null")),
    SocketCase("extensions that are a number", begun({**PLAIN, "extensions": 1}), closed=(4400, "'extensions' must be an object or null")),
    SocketCase("a document that is none", begun({"query": "{"}), (error("GRAPHQL_PARSE_FAILED", "Syntax Error: Expected Name, found <EOF>.", locations=[{"line": 1, "column": 2}]),)),
    SocketCase("a document of 200,000 letters", begun({"query": "{" + "x" * 200_000 + "}"}), (error("TOKEN_LIMIT", "The document has 200002 characters; 100000 are allowed: move long values into variables"),)),
    SocketCase("a document of 2,100 tokens", begun({"query": "{" + " a" * 2_100 + "}"}), (error("TOKEN_LIMIT", "Syntax Error: Document contains more than 2000 tokens. Parsing aborted.", locations=[{"line": 1, "column": 4001}]),)),
    SocketCase("a document with NUL", begun({"query": "{__typename}\0"}), (error("BAD_USER_INPUT", "The message holds the character NUL, which no text may hold"),)),
    SocketCase("variables of 10,001 values", begun({**PLAIN, "variables": {"v": [0] * 10_001}}), (error("BAD_USER_INPUT", "'variables' holds more than 10000 values"),)),
    SocketCase("fragments in a circle", begun({"query": "{...A} fragment A on Query{...A}"}), (error("GRAPHQL_VALIDATION_FAILED", "Cannot spread fragment 'A' within itself.", locations=[{"line": 1, "column": 28}]),)),
    SocketCase("a subscription that goes on from nowhere", begun({"query": 'subscription{entityChanges(since:"%"){cursor}}'}), (error("BAD_USER_INPUT", "'%' is no place to go on from. It comes from `liveCursor`, or from an event."),)),
    SocketCase("a subscription that goes on from the future", begun({"query": 'subscription{entityChanges(since:"eyJjYXRhbG9nIjo5MjIzMzcyMDM2ODU0Nzc1ODA3fQ"){cursor}}'}), (error("CURSOR_EXPIRED", "The log of changes has not come to this cursor: start anew, without `since`"),)),
    SocketCase("two subscriptions in one", begun({"query": "subscription{a:entityChanges{cursor} b:entityChanges{cursor}}"}), (error("GRAPHQL_VALIDATION_FAILED", "Anonymous Subscription must select only one top level field.", locations=[{"line": 1, "column": 38}]),)),
    SocketCase("a name that is in use", begun(ENDLESS) * 2, closed=(4409, "Subscriber for a already exists")),
    SocketCase("a name that is in use, of 200 letters", begun(ENDLESS, "x" * 200) * 2, closed=(4409, "Subscriber for " + "x" * 108)),
    SocketCase("the 51st operation", b"".join(begun(ENDLESS, f"{n:02}") for n in range(51)), (error("OPERATION_LIMIT", "50 operations run on this socket; complete one of them first", "50"),)),
    SocketCase("2,000 operations that are none", b"".join(begun({"query": "{"}, "a") + said(type="complete", id="a") for _ in range(1_000))),
    SocketCase("an end of what never began", said(type="complete", id="nobody")),
    SocketCase("2,000 ends of what never began", said(type="complete", id="nobody") * 2_000),
    SocketCase("an end without a name", said(type="complete"), closed=NO_MESSAGE),
    SocketCase("an end of nothing named", said(type="complete", id=""), closed=NO_MESSAGE),
    SocketCase("an end of a number", said(type="complete", id=1), closed=NO_MESSAGE),
    SocketCase("an end twice", begun(ENDLESS) + said(type="complete", id="a") * 2 + begun(PLAIN), answered()),
]

CASES = [*FRAMES, *MESSAGES, *OPERATIONS]

PROTOCOL = "Sec-WebSocket-Protocol: graphql-transport-ws"

HANDSHAKES = [
    Handshake("no protocol", (), 101, (4406, "Subprotocol not acceptable")),
    Handshake("the old protocol", ("Sec-WebSocket-Protocol: graphql-ws",), 101, (4406, "Subprotocol not acceptable")),
    Handshake("a protocol that is nearly ours", ("Sec-WebSocket-Protocol: graphql-transport-ws2",), 101, (4406, "Subprotocol not acceptable")),
    Handshake("a protocol in capitals", ("Sec-WebSocket-Protocol: GRAPHQL-TRANSPORT-WS",), 101, (4406, "Subprotocol not acceptable")),
    Handshake("5,000 protocols", ("Sec-WebSocket-Protocol: " + "x," * 3_000 + "x",), 101, (4406, "Subprotocol not acceptable")),
    Handshake("an extension that nobody speaks", ("Sec-WebSocket-Extensions: x-hostile; a=b", "Sec-WebSocket-Protocol: graphql-ws"), 101, (4406, "Subprotocol not acceptable")),
    Handshake("a page from elsewhere", (PROTOCOL, "Origin: https://evil.example"), 403),
    Handshake("a page from a file", (PROTOCOL, "Origin: null"), 403),
    Handshake("a page without a name", (PROTOCOL, "Origin: "), 403),
    Handshake("a page whose name begins like ours", (PROTOCOL, "Origin: http://catalog.evil.example"), 403),
    Handshake("a page whose name ends like ours", (PROTOCOL, "Origin: http://evil-catalog"), 403),
    Handshake("a page at another port", (PROTOCOL, "Origin: http://catalog:8443"), 403),
    Handshake("a page that gives our name as a user", (PROTOCOL, "Origin: http://catalog@evil.example"), 403),
    Handshake("a page of two names", (PROTOCOL, "Origin: http://catalog http://evil.example"), 403),
]
