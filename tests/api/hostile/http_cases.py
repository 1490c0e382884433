"""The table of hostile HTTP requests: what is sent, and what is answered."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

from tests.api.hostile.cases import (
    Answers,
    Case,
    Request,
    answered,
    asked,
    asked_as,
    failed,
    got,
    got_document,
    headed,
    malformed,
    posted,
    raw,
    refused,
    turned_away,
    unread,
)

PLAIN = b'{"query":"{__typename}"}'
CHUNKED = "Transfer-Encoding: chunked"
AS_JSON = "Content-Type: application/json"
POST = "POST /graphql HTTP/1.1"

UPGRADE = (
    "GET /graphql HTTP/1.1",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)

FIRST = "query($n:Int){components(first:$n){totalCount}}"
REF = "query($r:EntityRef!){component(ref:$r){name}}"
REFS = "query($r:[EntityRef!]!){entitiesByRef(refs:$r){name}}"
NODE = "query($i:ID!){node(id:$i){id}}"
AFTER = "query($c:String){components(first:1 after:$c){nodes{name}}}"
FILTER = "query($f:EntityFilter){entities(filter:$f){totalCount}}"
ORDER = "query($o:[EntityOrder!]){entities(orderBy:$o){totalCount}}"
SEARCH = "query($t:String!){search(text:$t){totalCount}}"
SOURCE = "query($n:String!){source(name:$n){name}}"


# What many are answered

ANSWERED = answered({"__typename": "Query"})
NOBODY = answered({"component": None})
NO_ENTITY = answered({"entities": {"totalCount": 0}})
NO_HIT = answered({"search": {"totalCount": 0}})
NO_DOCUMENT = malformed("'query' must be a string that holds a GraphQL document")
NOT_JSON = turned_away(
    415, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json, and the Content-Type header must say so"
)
NOT_UTF_8 = turned_away(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be in UTF-8")
COMPRESSED = turned_away(415, "UNSUPPORTED_MEDIA_TYPE", "The body must not be compressed")
TOO_LARGE = turned_away(413, "REQUEST_TOO_LARGE", "The body may have 1000000 bytes")
HEAD_TOO_LARGE = unread(431, "The head of the request may have 65536 bytes.\n")
OTHER_METHOD = turned_away(405, "METHOD_NOT_ALLOWED", "GraphQL is asked by GET or POST")
NUL = refused("BAD_USER_INPUT", "The body holds the character NUL, which no text may hold")
TOO_DEEP = refused("GRAPHQL_PARSE_FAILED", "Syntax Error: Document is nested too deeply. Parsing aborted.")
TOO_MANY_TOKENS = refused("TOKEN_LIMIT", "Syntax Error: Document contains more than 2000 tokens. Parsing aborted.")
REPEATS = refused(
    "GRAPHQL_VALIDATION_FAILED",
    "The document repeats fields so often that it takes too long to check; ask for each field once",
)
FILTER_TOO_LARGE = failed("`filter` is too large: 200 tests, 10 levels deep, is the most.")


def no_graphql(reason: str) -> Answers:
    return refused("GRAPHQL_PARSE_FAILED", f"Syntax Error: {reason}")


def misfit(message: str) -> Answers:
    return refused("GRAPHQL_VALIDATION_FAILED", message)


def bad_input(message: str) -> Answers:
    """Of variables, before anything is run."""
    return refused("BAD_USER_INPUT", message)


def no_id(shown: str) -> Answers:
    reason = "is not an id of this graph. Ids are opaque; to look up by name use `entity(ref:)`."
    return failed(f"{shown!r} {reason}", {"node": None})


def no_cursor(shown: str) -> Answers:
    return failed(f"{shown!r} is not a cursor. A cursor comes from `edges` or `pageInfo`.")


# What is sent


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def chunked(*bodies: bytes) -> Request:
    return headed(POST, AS_JSON, CHUNKED, body=b"".join(map(chunk, bodies)) + b"0\r\n\r\n")


def given(variables: str, document: str = "{__typename}") -> Request:
    """A request with these variables, in JSON as it stands."""
    return asked_as(f'{{"query":{json.dumps(document)},"variables":{variables}}}')


def opaque(text: str | bytes) -> str:
    """As ids and cursors are written."""
    return urlsafe_b64encode(text.encode() if isinstance(text, str) else text).decode().rstrip("=")


def nested(levels: int, filter_: dict[str, Any] | None = None) -> dict[str, Any]:
    """A filter in filters."""
    inner = filter_ or {}
    for _ in range(levels):
        inner = {"not": inner}
    return inner


def chain(length: int, spreads: int, last: str, on: str = "Query") -> str:
    """Fragments, each of which spreads the next one several times."""
    fragments = (f"fragment F{n} on {on}{{{f' ...F{n + 1}' * spreads}}}" for n in range(length))
    return "{...F0}" + "".join(fragments) + f"fragment F{length} on {on}{{{last}}}"


# fmt: off

BODIES = [
    Case("no body", posted(b""), malformed("The body is not JSON: Input is a zero-length, empty document: line 1 column 1 (char 0)")),
    Case("a blank body", posted(b" \r\n\t "), malformed("The body is not JSON: input data is empty: line 1 column 1 (char 0)")),
    Case("null", posted(b"null"), malformed("The body must be a JSON object")),
    Case("a number", posted(b"1"), malformed("The body must be a JSON object")),
    Case("a text", posted(b'"x"'), malformed("The body must be a JSON object")),
    Case("true", posted(b"true"), malformed("The body must be a JSON object")),
    Case("an empty list", posted(b"[]"), malformed("The body must be one JSON object; a list of requests is not taken")),
    Case("an empty object", posted(b"{}"), NO_DOCUMENT),
    Case("a batch", posted(b"[" + PLAIN + b"]"), malformed("The body must be one JSON object; a list of requests is not taken")),
    Case("10,000 requests in a batch", posted(b"[" + b",".join([PLAIN] * 10_000) + b"]"), malformed("The body must be one JSON object; a list of requests is not taken")),
    Case("half an object", posted(b'{"query":"{__typename}"'), malformed("The body is not JSON: unexpected end of data: line 1 column 24 (char 23)")),
    Case("two objects", posted(PLAIN + PLAIN), malformed("The body is not JSON: unexpected content after document: line 1 column 25 (char 24)")),
    Case("rubbish after the object", posted(PLAIN + b"\0"), malformed("The body is not JSON: unexpected content after document: line 1 column 25 (char 24)")),
    Case("a trailing comma", posted(b'{"query":"{__typename}",}'), malformed("The body is not JSON: trailing comma is not allowed: line 1 column 24 (char 23)")),
    Case("single quotes", posted(b"{'query':'{__typename}'}"), malformed("The body is not JSON: unexpected character, expected a string key: line 1 column 2 (char 1)")),
    Case("a comment", posted(b'{/**/"query":"{__typename}"}'), malformed("The body is not JSON: unexpected character, expected a string key: line 1 column 2 (char 1)")),
    Case("lists 100,000 deep", posted(b"[" * 100_000 + b"]" * 100_000), malformed("The body is not JSON: depth limit exceeded: line 1 column 1026 (char 1025)")),
    Case("objects 100,000 deep", posted(b'{"a":' * 100_000), malformed("The body is not JSON: depth limit exceeded: line 1 column 5122 (char 5121)")),
    Case("lists 100,000 deep for a document", posted(b'{"query":' + b"[" * 100_000), malformed("The body is not JSON: depth limit exceeded: line 1 column 1034 (char 1033)")),
    Case("70,000 keys", posted(b"{" + b",".join(b'"%d":0' % n for n in range(70_000)) + b"}"), NO_DOCUMENT),
    Case("a key of 900,000 characters", posted(b'{"' + b"k" * 900_000 + b'":0}'), NO_DOCUMENT),
    Case("a number of 6,000 digits for a document", posted(b'{"query":' + b"1" * 6_000 + b"}"), malformed("The body is not JSON: number is infinity when parsed as double: line 1 column 10 (char 9)")),
    Case("bytes that are no UTF-8", posted(b'{"query":"{__typename}\xff"}'), malformed("The body is not UTF-8")),
    Case("UTF-16", posted('{"query":"{__typename}"}'.encode("utf-16")), malformed("The body is not UTF-8")),
    Case("UTF-16 without a mark", posted('{"query":"{__typename}"}'.encode("utf-16-le")), malformed("The body is not JSON: unexpected character, expected a string key: line 1 column 2 (char 1)")),
    Case("UTF-32", posted('{"query":"{__typename}"}'.encode("utf-32-be")), malformed("The body is not JSON: unexpected character, expected a JSON value: line 1 column 1 (char 0)")),
    Case("UTF-7", posted(b"+AHs-+ACI-query+ACI-:+ACI-+AHs-a+AH0-+ACI-+AH0-"), malformed("The body is not JSON: no digit after sign: line 1 column 1 (char 0)")),
    Case("a byte order mark", posted(b"\xef\xbb\xbf" + PLAIN), malformed("The body is not JSON: UTF-8 byte order mark (BOM) is not supported: line 1 column 1 (char 0)")),
    Case("an overlong slash", posted(b'{"query":"\xc0\xaf"}'), malformed("The body is not UTF-8")),
    Case("half a surrogate pair as UTF-8", posted(b'{"query":"\xed\xa0\x80"}'), malformed("The body is not UTF-8")),
    Case("a letter beyond Unicode", posted(b'{"query":"\xf4\x90\x80\x80"}'), malformed("The body is not UTF-8")),
    Case("NUL as it is", posted(b'{"query":"\0"}'), malformed("The body is not JSON: unexpected control character in string: line 1 column 11 (char 10)")),
    Case("NUL escaped, in the document", posted(rb'{"query":"{__typename}\u0000"}'), NUL),
    Case("NUL in a key that nobody reads", posted(rb'{"query":"{__typename}","\u0000":1}'), NUL),
    Case("half a surrogate pair in the document", posted(rb'{"query":"\ud800"}'), malformed("The body is not JSON: no low surrogate in string: line 1 column 11 (char 10)")),
    Case("half a surrogate pair in a key", posted(rb'{"\udc00":1}'), malformed("The body is not JSON: invalid high surrogate in string: line 1 column 3 (char 2)")),
    Case("a key given twice", posted(b'{"query":"{","query":"{__typename}"}'), ANSWERED),
    Case("a document that is a number", posted(b'{"query":1}'), NO_DOCUMENT),
    Case("a document that is null", posted(b'{"query":null}'), NO_DOCUMENT),
    Case("a document that is a list", posted(b'{"query":["{__typename}"]}'), NO_DOCUMENT),
    Case("variables that are a list", given("[]"), malformed("'variables' must be an object or null")),
    Case("variables that are a text", given('"{}"'), malformed("'variables' must be an object or null")),
    Case("a name that is a number", asked_as('{"query":"{__typename}","operationName":1}'), malformed("'operationName' must be a string or null")),
    Case("a name that is an object", asked_as('{"query":"{__typename}","operationName":{}}'), malformed("'operationName' must be a string or null")),
    Case("a name of 900,000 characters", asked_as(f'{{"query":"{{__typename}}","operationName":"{"x" * 900_000}"}}'), refused("OPERATION_NOT_FOUND", "The document has no operation named '" + "x" * 463 + "...")),
    Case("extensions that are a number", asked_as('{"query":"{__typename}","extensions":1}'), malformed("'extensions' must be an object or null")),
    Case("extensions that are a list", asked_as('{"query":"{__typename}","extensions":[]}'), malformed("'extensions' must be an object or null")),
    Case("a body one byte too long", posted(PLAIN.ljust(1_000_001)), TOO_LARGE),
    Case("a body just short enough", posted(PLAIN.ljust(1_000_000)), ANSWERED),
]

HEADERS = [
    Case("no content type", posted(PLAIN, content_type=""), NOT_JSON),
    Case("a form", posted(b"query={__typename}", content_type="application/x-www-form-urlencoded"), NOT_JSON),
    Case("an upload", posted(b"--x--", content_type="multipart/form-data; boundary=x"), NOT_JSON),
    Case("a bare document", posted(b"{__typename}", content_type="application/graphql"), NOT_JSON),
    Case("plain text, as a page without CORS may send it", posted(PLAIN, content_type="text/plain"), NOT_JSON),
    Case("JSON in its last part only", posted(PLAIN, content_type="text/plain; application/json"), NOT_JSON),
    Case("another JSON", posted(PLAIN, content_type="application/vnd.api+json"), NOT_JSON),
    Case("two media types", posted(PLAIN, content_type="application/json, text/plain"), NOT_JSON),
    Case("another charset", posted(PLAIN, content_type="application/json; charset=utf-16"), NOT_UTF_8),
    Case("a charset without a name", posted(PLAIN, content_type="application/json; charset"), NOT_UTF_8),
    Case("a charset of 60,000 quotes", posted(PLAIN, content_type='application/json; charset="' + '\\"' * 30_000), NOT_UTF_8),
    Case("12,000 parameters of the media type", posted(PLAIN, content_type="application/json" + ";a=b" * 12_000), ANSWERED),
    Case("a charset in 3,000 parts", posted(PLAIN, content_type="application/json;charset*0=u" + ";charset*9=x" * 3_000), NOT_UTF_8),
    Case("gzip", posted(bytes.fromhex("1f8b0800000000000003"), "Content-Encoding: gzip"), COMPRESSED),
    Case("a bomb in gzip", posted(bytes.fromhex("1f8b080000000000000363") + b"\0" * 9_000, "Content-Encoding: gzip"), COMPRESSED),
    Case("brotli", posted(PLAIN, "Content-Encoding: br"), COMPRESSED),
    Case("gzip in gzip", posted(PLAIN, "Content-Encoding: gzip, gzip"), COMPRESSED),
    Case("an encoding that nobody knows", posted(PLAIN, "Content-Encoding: x-hostile"), COMPRESSED),
    Case("6,000 media types that it would take", headed(POST.replace("graphql", "graphql?a"), AS_JSON, "Accept: " + "a/b;q=0.1," * 6_000, "Content-Length: 24", body=PLAIN), ANSWERED),
    Case("a request id to write into the log", posted(PLAIN, 'X-Request-Id: a"}\\n{"event":"forged"'), ANSWERED),
    Case("a cookie of 50,000 characters", posted(PLAIN, "Cookie: " + "x" * 50_000), ANSWERED),
    Case("a forwarded address that is none", posted(PLAIN, "X-Forwarded-For: ' OR 1=1 --", "X-Forwarded-Host: evil.example"), ANSWERED),
    Case("another method by a header", posted(PLAIN, "X-HTTP-Method-Override: DELETE"), ANSWERED),
    Case("an expectation that nobody can meet", posted(PLAIN, "Expect: magic"), ANSWERED),
    Case("an expectation of 100", posted(PLAIN, "Expect: 100-continue"), ANSWERED),
]

FLOODS = [
    Case("a header of 900,000 characters", posted(PLAIN, "X: " + "x" * 900_000), HEAD_TOO_LARGE),
    Case("20,000 headers", posted(PLAIN, *["a: "] * 20_000), HEAD_TOO_LARGE),
    Case("a cookie in 9,000 parts", posted(PLAIN, *["Cookie: a=b"] * 9_000), HEAD_TOO_LARGE),
    Case("a method of 900,000 letters", raw(b"G" * 900_000), unread()),
    Case("900,000 bytes without an end", raw(b"GET /graphql HTTP/1.1\r\nX: " + b"x" * 900_000), HEAD_TOO_LARGE),
    Case("1,000 requests at once", raw(b"GET /graphql?query={__typename} HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000), ANSWERED),
]

METHODS = [
    Case("the method PUT", headed("PUT /graphql?query={__typename} HTTP/1.1"), OTHER_METHOD),
    Case("the method DELETE", headed("DELETE /graphql?query={__typename} HTTP/1.1"), OTHER_METHOD),
    Case("the method PATCH", headed("PATCH /graphql?query={__typename} HTTP/1.1"), OTHER_METHOD),
    Case("the method OPTIONS", headed("OPTIONS /graphql?query={__typename} HTTP/1.1"), OTHER_METHOD),
    Case("the method TRACE", headed("TRACE /graphql?query={__typename} HTTP/1.1"), OTHER_METHOD),
    Case("the method PROPFIND", headed("PROPFIND /graphql?query={__typename} HTTP/1.1"), OTHER_METHOD),
    Case("the method PURGE", headed("PURGE /graphql?query={__typename} HTTP/1.1"), OTHER_METHOD),
    Case("the method QUERY", headed("QUERY /graphql?query={__typename} HTTP/1.1"), OTHER_METHOD),
    Case("the method BREW", headed("BREW /graphql?query={__typename} HTTP/1.1"), unread()),
    Case("the method post", headed("post /graphql?query={__typename} HTTP/1.1"), unread()),
    Case("the method G\tET", headed("G\tET /graphql?query={__typename} HTTP/1.1"), unread()),
    Case("the method GET\u0000", headed("GET\u0000 /graphql?query={__typename} HTTP/1.1"), unread()),
    Case("the method CONNECT", headed("CONNECT /graphql?query={__typename} HTTP/1.1"), OTHER_METHOD),
]

QUERY_STRINGS = [
    Case("GET without a query string", headed("GET /graphql HTTP/1.1"), NO_DOCUMENT),
    Case("GET with an empty query string", got(""), NO_DOCUMENT),
    Case("half an escape", got("query={__typename}%2"), no_graphql("Unexpected character: '%'.")),
    Case("an escape that is none", got("query={__typename}%zz"), no_graphql("Unexpected character: '%'.")),
    Case("NUL in the query string", got("query={__typename}%00"), no_graphql("Unexpected character: U+0000.")),
    Case("bytes that are no UTF-8, escaped", got("query={__typename}%ff"), malformed("The query string is not UTF-8")),
    Case("an overlong slash, escaped", got("query={__typename}%c0%af"), malformed("The query string is not UTF-8")),
    Case("half a surrogate pair, escaped", got("query={__typename}%ed%a0%80"), malformed("The query string is not UTF-8")),
    Case("an escape within an escape", got("query=%257B__typename%257D"), no_graphql("Unexpected character: '%'.")),
    Case("a document given twice", got("query={nope}&query={__typename}"), ANSWERED),
    Case("a semicolon between parameters", got("query={__typename};operationName=A"), no_graphql("Unexpected character: ';'.")),
    Case("10,000 parameters", got("query={__typename}" + "&a" * 10_000), ANSWERED),
    Case("variables that are no JSON", got("query={__typename}&variables={'a':1}"), malformed("The parameter 'variables' is not JSON: unexpected character, expected a string key: line 1 column 2 (char 1)")),
    Case("variables that are no word of JSON", got("query={__typename}&variables=x"), malformed("The parameter 'variables' is not JSON: unexpected character, expected a JSON value: line 1 column 1 (char 0)")),
    Case("variables that are a number, by GET", got("query={__typename}&variables=1"), malformed("'variables' must be an object or null")),
    Case("variables 5,000 deep", got("query={__typename}&variables=" + "[" * 5_000), malformed("The parameter 'variables' is not JSON: depth limit exceeded: line 1 column 1026 (char 1025)")),
    Case("variables of 6,000 digits", got("query={__typename}&variables=" + "1" * 6_000), malformed("The parameter 'variables' is not JSON: number is infinity when parsed as double: line 1 column 1 (char 0)")),
    Case("variables with NUL", got_document(REF, "&variables=" + "%7B%22r%22:%22%5Cu0000%22%7D"), bad_input("The parameter 'variables' holds the character NUL, which no text may hold")),
    Case("variables with half a surrogate pair", got_document(REF, "&variables=" + "%7B%22r%22:%22%5Cud800%22%7D"), malformed("The parameter 'variables' is not JSON: no low surrogate in string: line 1 column 7 (char 6)")),
    Case("extensions that are a list, by GET", got("query={__typename}&extensions=[]"), malformed("'extensions' must be an object or null")),
    Case("a mutation by GET", got("query=mutation{__typename}"), turned_away(405, "METHOD_NOT_ALLOWED", "A mutation is not run by GET")),
    Case("a mutation by GET, among queries", got("query=query%20A{__typename}%20mutation%20B{__typename}&operationName=B"), turned_away(405, "METHOD_NOT_ALLOWED", "A mutation is not run by GET")),
    Case("a mutation by GET, as POST says", headed("GET /graphql?query=mutation{__typename} HTTP/1.1", "X-HTTP-Method: POST"), turned_away(405, "METHOD_NOT_ALLOWED", "A mutation is not run by GET")),
    Case("a subscription by GET, for one answer", got("query=subscription{entityChanges{cursor}}"), malformed("A subscription has no single answer: accept text/event-stream, or ask for it on a websocket at this address, with the subprotocol graphql-transport-ws")),
    Case("an address of 60,000 characters", got("query={__typename}&" + "x" * 60_000), ANSWERED),
    Case("an address of 900,000 characters", got("query={__typename}&" + "x" * 900_000), HEAD_TOO_LARGE),
    Case("GET with a body", headed("GET /graphql?query={__typename} HTTP/1.1", "Content-Length: 24", body=PLAIN), ANSWERED),
    Case("POST with a query string", headed("POST /graphql?query={nope} HTTP/1.1", AS_JSON, "Content-Length: 24", body=PLAIN), ANSWERED),
    Case("a path with dots", headed("GET /graphiql/../../../../etc/passwd HTTP/1.1"), unread(404, "Not Found")),
    Case("a path with escaped dots", headed("GET /graphiql/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1"), unread(404, "Not Found")),
    Case("a path with NUL", headed("GET /graphql%00 HTTP/1.1"), unread(404, "Not Found")),
    Case("a path with two slashes", headed("GET //graphql?query={__typename} HTTP/1.1"), unread(404, "Not Found")),
    Case("a path with bytes that are no ASCII", headed("GET /\xff\xfe HTTP/1.1"), unread()),
    Case("another server's address", headed("GET http://evil.example/graphql?query={__typename} HTTP/1.1"), ANSWERED),
]

WIRE = [
    Case("no HTTP", raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200), unread()),
    Case("HTTP/2", raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), unread()),
    Case("HTTP/9.9", raw(b"GET /graphql?query={__typename} HTTP/9.9\r\nHost: x\r\n\r\n"), unread()),
    Case("HTTP/1.0", raw(b"POST /graphql HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n" + PLAIN), ANSWERED),
    Case("lines that end in LF", raw(b"POST /graphql HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 24\n\n" + PLAIN), unread()),
    Case("a negative length", headed(POST, AS_JSON, "Content-Length: -1", body=PLAIN), unread()),
    Case("a length that is no number", headed(POST, AS_JSON, "Content-Length: many", body=PLAIN), unread()),
    Case("a length with a sign", headed(POST, AS_JSON, "Content-Length: +24", body=PLAIN), unread()),
    Case("a length as Python writes it", headed(POST, AS_JSON, "Content-Length: 2_4", body=PLAIN), unread()),
    Case("a length in hexadecimal", headed(POST, AS_JSON, "Content-Length: 0x18", body=PLAIN), unread()),
    Case("no number for a length", headed(POST, AS_JSON, "Content-Length: ", body=PLAIN), unread()),
    Case("two lengths", headed(POST, AS_JSON, "Content-Length: 24", "Content-Length: 5", body=PLAIN), unread()),
    Case("the same length twice", headed(POST, AS_JSON, "Content-Length: 24", "Content-Length: 24", body=PLAIN), unread()),
    Case("a list of lengths", headed(POST, AS_JSON, "Content-Length: 24, 24", body=PLAIN), unread()),
    Case("a length of 2^63", headed(POST, AS_JSON, f"Content-Length: {2**63}", body=PLAIN), TOO_LARGE),
    Case("a length of 2^64", headed(POST, AS_JSON, f"Content-Length: {2**64}", body=PLAIN), unread()),
    Case("a length that is too short, and a request in the rest", headed(POST, AS_JSON, "Content-Length: 24", body=PLAIN + b"GET /nowhere HTTP/1.1\r\n\r\n"), ANSWERED),
    Case("a length, and chunks", headed(POST, AS_JSON, "Content-Length: 24", CHUNKED, body=chunk(PLAIN) + b"0\r\n\r\n"), unread()),
    Case("chunks, and a length", headed(POST, AS_JSON, CHUNKED, "Content-Length: 5", body=chunk(PLAIN) + b"0\r\n\r\n"), unread()),
    Case("chunks that are no chunks", headed(POST, AS_JSON, CHUNKED, body=PLAIN), unread()),
    Case("a chunk of negative length", headed(POST, AS_JSON, CHUNKED, body=b"-1\r\n" + PLAIN), unread()),
    Case("a chunk of 2^70 bytes", headed(POST, AS_JSON, CHUNKED, body=b"f" * 18 + b"\r\n" + PLAIN), unread()),
    Case("chunks that end in LF", headed(POST, AS_JSON, CHUNKED, body=b"18\n" + PLAIN + b"\n0\n\n"), unread()),
    Case("chunks of one byte", chunked(*(bytes([byte]) for byte in PLAIN)), ANSWERED),
    Case("20,000 chunks of a blank", chunked(*[b" "] * 20_000, PLAIN), ANSWERED),
    Case("chunks beyond the limit", chunked(*[b" " * 50_000] * 21), TOO_LARGE),
    Case("chunks with something to say", headed(POST, AS_JSON, CHUNKED, body=b"18;" + b"x" * 60_000 + b"\r\n" + PLAIN + b"\r\n0\r\n\r\n"), ANSWERED),
    Case("chunks with a trailer", headed(POST, AS_JSON, CHUNKED, body=chunk(PLAIN) + b"0\r\nContent-Length: 5\r\n\r\n"), unread()),
    Case("chunks in capitals", headed(POST, AS_JSON, "Transfer-Encoding: CHUNKED", body=chunk(PLAIN) + b"0\r\n\r\n"), ANSWERED),
    Case("nearly chunked", headed(POST, AS_JSON, "Transfer-Encoding: xchunked", body=chunk(PLAIN) + b"0\r\n\r\n"), unread()),
    Case("chunked with a blank before the colon", headed(POST, AS_JSON, "Transfer-Encoding : chunked", body=chunk(PLAIN) + b"0\r\n\r\n"), unread()),
    Case("chunked, but not last", headed(POST, AS_JSON, "Transfer-Encoding: chunked, gzip", body=chunk(PLAIN) + b"0\r\n\r\n"), unread()),
    Case("another transfer coding", headed(POST, AS_JSON, "Transfer-Encoding: gzip", body=PLAIN), unread()),
    Case("a header over two lines", headed(POST, AS_JSON, "X: a\r\n b", "Content-Length: 24", body=PLAIN), unread()),
    Case("a header without a colon", headed(POST, AS_JSON, "hostile", "Content-Length: 24", body=PLAIN), unread()),
    Case("a header without a name", headed(POST, AS_JSON, ": x", "Content-Length: 24", body=PLAIN), unread()),
    Case("NUL in a header", headed(POST, AS_JSON, "X: a\0b", "Content-Length: 24", body=PLAIN), unread()),
    Case("CR in a header", headed(POST, AS_JSON, "X: a\rb", "Content-Length: 24", body=PLAIN), unread()),
    Case("a websocket by POST", headed(POST, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), unread(405, "Failed to open a WebSocket connection: unsupported HTTP method: POST.\n")),
    Case("a websocket without a key", headed("GET /graphql HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"), unread(400, "Failed to open a WebSocket connection: missing Sec-WebSocket-Key header.\n")),
    Case("a websocket with half a key", headed("GET /graphql HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA"), unread(400, "Failed to open a WebSocket connection: invalid Sec-WebSocket-Key header: AAAA.\n")),
    Case("a websocket of another version", headed("GET /graphql HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 8", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), unread(400, "Failed to open a WebSocket connection: invalid Sec-WebSocket-Version header: 8.\n")),
    Case("a websocket with 300 headers", headed(*UPGRADE, *["X: a"] * 300), unread(431, "Failed to open a WebSocket connection: expected no more than 128 headers.\n")),
    Case("a websocket with a cookie of 9,000 characters", headed(*UPGRADE, "Cookie: " + "x" * 9_000), unread(431, "Failed to open a WebSocket connection: read 9010 bytes, expected no more than 8192 bytes.\n")),
    Case("a websocket with a body", headed(*UPGRADE, "Content-Length: 5", body=b"hello"), unread(400, "")),
    Case("a websocket in chunks", headed(*UPGRADE, CHUNKED, body=chunk(PLAIN)), unread(400, "")),
    Case("a websocket elsewhere", headed("GET /healthz HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), unread(403, "")),
]

DOCUMENTS = [
    Case("an empty document", asked(""), no_graphql("Unexpected <EOF>.")),
    Case("a comment only", asked("# hostile"), no_graphql("Unexpected <EOF>.")),
    Case("no operation", asked("fragment F on Query{__typename}"), misfit("Fragment 'F' is never used.")),
    Case("half a document", asked("{component(ref:"), no_graphql("Unexpected <EOF>.")),
    Case("an invisible letter", asked("{__type\u200bname}"), no_graphql("Unexpected character: U+200B.")),
    Case("a letter of another script", asked("{__typen\u0430me}"), no_graphql("Unexpected character: U+0430.")),
    Case("a text that runs backwards", asked("{__typename \u202e}"), no_graphql("Unexpected character: U+202E.")),
    Case("half a surrogate pair, escaped twice", asked(r'{component(ref:"\ud800"){name}}'), no_graphql("Invalid Unicode escape sequence: '\\ud800'.")),
    Case("a surrogate pair the wrong way round", asked(r'{component(ref:"\udc00\ud800"){name}}'), no_graphql("Invalid Unicode escape sequence: '\\udc00'.")),
    Case("a letter beyond Unicode, in braces", asked(r'{component(ref:"\u{110000}"){name}}'), no_graphql("Invalid Unicode escape sequence: '\\u{110000}'.")),
    Case("NUL, in braces", asked(r'{component(ref:"\u{0}"){name}}'), bad_input("A string in the document holds the character NUL, which no text may hold")),
    Case("NUL in a block text", asked('{component(ref:"""\0"""){name}}'), NUL),
    Case("NUL in a comment", asked("{__typename #\0\n}"), NUL),
    Case("an escape of 90,000 digits", asked(r'{component(ref:"\u{' + "0" * 90_000 + r'}"){name}}'), no_graphql("Invalid Unicode escape sequence: '\\u{000000000'.")),
    Case("a text without an end", asked('{component(ref:"' + "x" * 90_000), no_graphql("Unterminated string.")),
    Case("a block text without an end", asked('{component(ref:"""' + "x\n" * 40_000), no_graphql("Unterminated string.")),
    Case("a block text of 30,000 lines", asked('{component(ref:"""' + "x\n" * 30_000 + '"""){name}}'), failed("`ref` has 59999 characters; at most 10000 are read.", {"component": None})),
    Case("a name of 90,000 letters", asked("{" + "x" * 90_000 + "}"), misfit("Cannot query field '" + "x" * 480 + "...")),
    Case("a document of 900,000 letters", asked("{" + "x" * 900_000 + "}"), refused("TOKEN_LIMIT", "The document has 900002 characters; 100000 are allowed: move long values into variables")),
    Case("900,000 commas", asked("{" + "," * 900_000 + "__typename}"), refused("TOKEN_LIMIT", "The document has 900012 characters; 100000 are allowed: move long values into variables")),
    Case("a comment of 900,000 letters", asked("#" + "x" * 900_000 + "\n{__typename}"), refused("TOKEN_LIMIT", "The document has 900014 characters; 100000 are allowed: move long values into variables")),
    Case("a text of 128,000 escapes", asked('{component(ref:"' + r"\u0041" * 128_000 + '"){name}}'), refused("TOKEN_LIMIT", "The document has 768025 characters; 100000 are allowed: move long values into variables")),
    Case("a document just short enough", asked("{__typename}".ljust(100_000)), ANSWERED),
    Case("a document one character too long", asked("{__typename}".ljust(100_001)), refused("TOKEN_LIMIT", "The document has 100001 characters; 100000 are allowed: move long values into variables")),
    Case("2,001 comments", asked("#\n" * 2_001 + "{__typename}"), refused("TOKEN_LIMIT", "Syntax Error: Document contains more than 2000 comments. Parsing aborted.")),
    Case("3,000 dots", asked("." * 3_000), no_graphql("Unexpected '...'.")),
    Case("2,000 opening braces", asked("{" * 2_000), no_graphql("Expected Name, found '{'.")),
    Case("selections 40,000 deep", asked("{a" * 40_000), TOO_DEEP),
    Case("selections 600 deep, and closed", asked("{component" * 600 + "}" * 600), TOO_DEEP),
    Case("selections 190 deep", asked("{component" * 190 + "}" * 190), misfit("Cannot query field 'component' on type 'Component'. Did you mean 'subcomponents'?")),
    Case("objects 60 deep", asked('{component(ref:"player"){' + "owner{" * 59 + "name" + "}" * 61), refused("DEPTH_LIMIT", "The operation is nested 60 levels deep; 15 are allowed")),
    Case("a list literal 40,000 deep", asked("{entities(filter:" + "[" * 40_000), TOO_DEEP),
    Case("a list literal 150 deep", asked("{entitiesByRef(refs:" + "[" * 150 + "]" * 150 + "){name}}"), misfit("Expected value of type 'EntityRef', but encountered error 'an EntityRef is a text such as component:default/dice-roller, not a list'; found: [\n  [\n    [\n      [\n        [\n          [\n            [\n              [\n                [\n                  [\n                    [\n                      [\n                        [\n                          [\n                            [\n" + " " * 30 + "[\n" + " " * 32 + "[\n" + " " * 34 + "[\n                 ...")),
    Case("an input object 40,000 deep", asked("{entities(filter:" + "{not:" * 15_000), TOO_DEEP),
    Case("an input object 100 deep", asked("{entities(filter:" + "{not:" * 100 + "{}" + "}" * 100 + "){totalCount}}"), FILTER_TOO_LARGE),
    Case("a type 190 deep", asked("query($v:" + "[" * 190 + "Int" + "]" * 190 + "){__typename}"), misfit("Variable '$v' is never used.")),
    Case("10,000 aliases", asked("{" + "".join(f" a{n}:x" for n in range(10_000)) + "}"), TOO_MANY_TOKENS),
    Case("660 aliases", asked("{" + "".join(f" a{n}:__typename" for n in range(660)) + "}"), refused("ALIAS_LIMIT", "The operation has 660 aliases; 30 are allowed")),
    Case("1,900 times the same field", asked("{" + " __typename" * 1_900 + "}"), REPEATS),
    Case("fields that may or may not be the same", asked('{component(ref:"player"){' + "owner{owner{owner{name}}}" * 190 + "}}"), REPEATS),
    Case("fields that clash", asked('{component(ref:"player"){' + " x:name x:title" * 300 + "}}"), REPEATS),
    Case("a fragment in itself", asked("{...A} fragment A on Query{...A}"), misfit("Cannot spread fragment 'A' within itself.")),
    Case("two fragments in each other", asked("{...A} fragment A on Query{...B} fragment B on Query{...A}"), misfit("Cannot spread fragment 'A' within itself via 'B'.")),
    Case("150 fragments in a circle", asked("{...F0}" + "".join(f"fragment F{n} on Query{{...F{(n + 1) % 150}}}" for n in range(150))), misfit("Cannot spread fragment 'F0' within itself via 'F1', 'F2', 'F3', 'F4', 'F5', 'F6', 'F7', 'F8', 'F9', 'F10', 'F11', 'F12', 'F13', 'F14', 'F15', 'F16', 'F17', 'F18', 'F19', 'F20', 'F21', 'F22', 'F23', 'F24', 'F25', 'F26', 'F27', 'F28', 'F29', 'F30', 'F31', 'F32', 'F33', 'F34', 'F35', 'F36', 'F37', 'F38', 'F39', 'F40', 'F41', 'F42', 'F43', 'F44', 'F45', 'F46', 'F47', 'F48', 'F49', 'F50', 'F51', 'F52', 'F53', 'F54', 'F55', 'F56', 'F57', 'F58', 'F59', 'F60', 'F61', 'F62', 'F63', 'F64', 'F65', 'F66', '...")),
    Case("20 fragments, each in all", asked("{...F0}" + "".join(f"fragment F{n} on Query{{{''.join(f' ...F{m}' for m in range(20))}}}" for n in range(20))), misfit("Cannot spread fragment 'F0' within itself.")),
    Case("a fragment that is not there", asked("{...Nowhere}"), misfit("Unknown fragment 'Nowhere'.")),
    Case("900 fragments that are not there", asked("{" + "".join(f" ...N{n}" for n in range(900)) + "}"), misfit("Unknown fragment 'N0'.")),
    Case("a fragment that nobody spreads", asked("{__typename} fragment F on Query{__typename}"), misfit("Fragment 'F' is never used.")),
    Case("a fragment named on", asked("{...on} fragment on on Query{__typename}"), no_graphql("Expected Name, found '}'.")),
    Case("250 types that are not there", asked("{__typename}" + "".join(f"fragment F{n} on ComponentConnectio{n}{{a}}" for n in range(250))), misfit("Unknown type 'ComponentConnectio0'. Did you mean 'ComponentConnection', 'ApiTokenConnection', 'DomainConnection', 'ChangeConnection', or 'SourceConnection'?")),
    Case("1,900 fields that are not there", asked("{" + "".join(f" componen{n}" for n in range(1_900)) + "}"), misfit("Cannot query field 'componen0' on type 'Query'. Did you mean 'component' or 'components'?")),
    Case("600 arguments that are not there", asked("{entities(" + "".join(f" filtr{n}:1" for n in range(600)) + "){totalCount}}"), misfit("Unknown argument 'filtr0' on field 'Query.entities'. Did you mean 'filter'?")),
    Case("600 input fields that are not there", asked("{entities(filter:{" + "".join(f" dependencyO{n}:1" for n in range(600)) + "}){totalCount}}"), misfit("Expected value of type 'EntityFilter' not to include unknown field 'dependencyO0'. Did you mean 'dependencyOf' or 'dependsOn'? Found: {\n  dependencyO0: 1\n  dependencyO1: 1\n  dependencyO2: 1\n  dependencyO3: 1\n  dependencyO4: 1\n  dependencyO5: 1\n  dependencyO6: 1\n  dependencyO7: 1\n  dependencyO8: 1\n  dependencyO9: 1\n  dependencyO10: 1\n  dependencyO11: 1\n  dependencyO12: 1\n  dependencyO13: 1\n  dependencyO14: 1\n  dependencyO15: 1\n  dependencyO16: 1\n  dependencyO17: 1\n  dependencyO18: 1\n  dependencyO...")),
    Case("390 enum values that are not there", asked("{entities(orderBy:[" + "".join(f"{{field:CREATED_A{n}}}" for n in range(390)) + "]){totalCount}}"), misfit("Value 'CREATED_A0' does not exist in 'EntityOrderField' enum. Did you mean the enum value 'CREATED_AT' or 'UPDATED_AT'?")),
    Case("an enum as a text", asked('{entities(orderBy:{field:"NAME"}){totalCount}}'), misfit("Enum 'EntityOrderField' cannot represent non-enum value: \"NAME\". Did you mean the enum value 'NAME'?")),
    Case("the same argument 600 times", asked("{entities(" + " first:1" * 600 + "){totalCount}}"), misfit("There can be only one argument named 'first'.")),
    Case("the same input field 600 times", asked("{entities(filter:{" + " hasProblem:true" * 600 + "}){totalCount}}"), misfit("There can be only one input field named 'hasProblem'.")),
    Case("60 directives", asked("{" + " __typename @include(if:true)" * 60 + "}"), refused("ROOT_FIELD_LIMIT", "The operation has 60 root fields; 20 are allowed")),
    Case("a directive 200 times at one place", asked("{__typename" + " @include(if:true)" * 200 + "}"), misfit("The directive '@include' can only be used once at this location.")),
    Case("900 directives that are not there", asked("{__typename" + " @nope" * 900 + "}"), misfit("Unknown directive '@nope'.")),
    Case("a directive with a text for its condition", asked('{__typename @skip(if:"true")}'), misfit('Boolean cannot represent a non boolean value: "true"')),
    Case("@defer", asked("{... @defer{__typename}}"), misfit("Unknown directive '@defer'.")),
    Case("1,000 operations", asked("".join(f"query Q{n}{{__typename}}" for n in range(1_000))), TOO_MANY_TOKENS),
    Case("300 operations", asked_as(json.dumps({"query": "".join(f"query Q{n}{{__typename}}" for n in range(300)), "operationName": "Q7"})), refused("OPERATION_LIMIT", "The document has 300 operations; 10 are allowed")),
    Case("300 operations of one name", asked("query Q{__typename}" * 300), misfit("There can be only one operation named 'Q'.")),
    Case("several operations, and no name", asked("query A{__typename} query B{__typename}"), refused("OPERATION_NOT_FOUND", "The document has several operations: say which one in 'operationName'")),
    Case("an operation's name of 80,000 letters, in 150 mistakes", asked(f"query {'Q' * 80_000}{{" + "".join(f" a{n}:component(ref:$v{n}){{name}}" for n in range(150)) + "}"), misfit("Variable '$v0' is not defined by operation '" + "Q" * 456 + "...")),
    Case("10,000 variables", asked("query(" + "".join(f"$v{n}:A " for n in range(10_000)) + "){__typename}"), TOO_MANY_TOKENS),
    Case("480 variables", asked("query(" + "".join(f"$v{n}:Int " for n in range(480)) + "){__typename}"), misfit("Variable '$v0' is never used.")),
    Case("480 variables of one name", asked("query(" + "$v:Int " * 480 + "){__typename}"), misfit("There can be only one variable named '$v'.")),
    Case("a variable in its own default", asked("query($v:Int=$v){components(first:$v){totalCount}}"), no_graphql("Unexpected variable '$v' in constant value.")),
    Case("a variable of an object type", asked("query($v:Component){__typename}"), misfit("Variable '$v' is never used.")),
    Case("a schema to add", asked("{__typename} type Query{hostile:Int}"), misfit("The 'Query' definition is not executable.")),
    Case("a subscription for one answer", asked("subscription{entityChanges{cursor}}"), malformed("A subscription has no single answer: accept text/event-stream, or ask for it on a websocket at this address, with the subprotocol graphql-transport-ws")),
    Case("two fields of a subscription", asked("subscription{a:entityChanges{cursor} b:entityChanges{cursor}}"), misfit("Anonymous Subscription must select only one top level field.")),
    Case("30 root fields", asked("{" + "".join(f" a{n}:components{{totalCount}}" for n in range(30)) + "}"), refused("ROOT_FIELD_LIMIT", "The operation has 30 root fields; 20 are allowed")),
    Case("lists in lists", asked("{entities(first:100){nodes{relations(first:100){nodes{target{relations(first:100){nodes{type}}}}}}}}"), refused("COST_LIMIT", "The operation costs up to 1030201; 50000 is allowed; its dearest list is `relations`")),
    Case("introspection within introspection", asked("{__schema{types{" + "fields{type{" * 8 + "name" + "}}" * 8 + "}}}"), misfit("Maximum introspection depth exceeded")),
    Case("introspection of a type that is not there", asked('{__type(name:"pg_shadow"){name}}'), answered({"__type": None})),
]

EXPONENTIAL = [
    Case("2^30 paths to a root field", asked(chain(30, 2, "__typename")), refused("ROOT_FIELD_LIMIT", "The operation has 1073741824 root fields; 20 are allowed")),
    Case("2^30 paths to a leaf", asked('{component(ref:"player"){...F0}}' + chain(30, 2, "name", "Component").removeprefix("{...F0}")), answered({"component": {"name": "Player"}})),
    Case("2^30 paths to an object", asked('{component(ref:"player"){...F0}}' + chain(30, 2, "owner{name}", "Component").removeprefix("{...F0}")), refused("COST_LIMIT", "The operation costs up to 1073741825; 50000 is allowed")),
    Case("2^97 paths in 1,000 tokens", asked(chain(97, 2, "__typename")), refused("ROOT_FIELD_LIMIT", "The operation has 1000000000000000 or more root fields; 20 are allowed")),
    Case("3^76 paths in 1,000 tokens", asked(chain(76, 3, 'component(ref:"a"){name}')), refused("ROOT_FIELD_LIMIT", "The operation has 1000000000000000 or more root fields; 20 are allowed")),
    Case("as many paths as 30 things have orders", asked("{...F0}" + "".join(f"fragment F{n} on Query{{__typename{''.join(f' ...F{m}' for m in range(n + 1, 30))}}}" for n in range(30))), REPEATS),
]

NUMBERS = [
    Case("a page of -1", asked(FIRST, n=-1), failed("`first` is -1; a page has 1 to 100.")),
    Case("a page of 0", asked(FIRST, n=0), failed("`first` is 0; a page has 1 to 100.")),
    Case("a page of 101", asked(FIRST, n=101), failed("`first` is 101; a page has 1 to 100.")),
    Case("a page of 2^31", asked(FIRST, n=2**31), bad_input("Variable '$n' has invalid value: Int cannot represent non 32-bit signed integer value: 2147483648")),
    Case("a page of -2^31", asked(FIRST, n=-(2**31)), failed("`first` is -2147483648; a page has 1 to 100.")),
    Case("a page of 2^63", asked(FIRST, n=2**63), bad_input("Variable '$n' has invalid value: Int cannot represent non 32-bit signed integer value: 9223372036854775808")),
    Case("a page of 1.5", asked(FIRST, n=1.5), bad_input("Variable '$n' has invalid value: Int cannot represent non-integer value: 1.5")),
    Case("a page of 1.0", asked(FIRST, n=1.0), answered({"components": {"totalCount": 4}})),
    Case("a page of a text", asked(FIRST, n="1"), bad_input("Variable '$n' has invalid value: Int cannot represent non-integer value: '1'")),
    Case("a page of true", asked(FIRST, n=True), bad_input("Variable '$n' has invalid value: Int cannot represent non-integer value: True")),
    Case("a page of a list", asked(FIRST, n=[1]), bad_input("Variable '$n' has invalid value: Int cannot represent non-integer value: [1]")),
    Case("a page of an object", asked(FIRST, n={}), bad_input("Variable '$n' has invalid value: Int cannot represent non-integer value: {}")),
    Case("a page of a text of 900,000 characters", asked(FIRST, n="1" * 900_000), bad_input("Variable '$n' has invalid value: Int cannot represent non-integer value: '" + "1" * 117 + "..." + "1" * 118 + "'")),
    Case("a page of NaN", given('{"n":NaN}', FIRST), malformed("The body is not JSON: unexpected character, expected a JSON value: line 1 column 77 (char 76)")),
    Case("a page of Infinity", given('{"n":-Infinity}', FIRST), malformed("The body is not JSON: no digit after sign: line 1 column 78 (char 77)")),
    Case("a page of 1e400", given('{"n":1e400}', FIRST), malformed("The body is not JSON: number is infinity when parsed as double: line 1 column 77 (char 76)")),
    Case("a page of 1e300", given('{"n":1e300}', FIRST), bad_input("Variable '$n' has invalid value: Int cannot represent non 32-bit signed integer value: 1e+300")),
    Case("a page of 300 digits", given('{"n":' + "1" * 300 + "}", FIRST), bad_input("Variable '$n' has invalid value: Int cannot represent non 32-bit signed integer value: " + "1" * 118 + "..." + "1" * 119)),
    Case("a page of 6,000 digits", given('{"n":' + "1" * 6_000 + "}", FIRST), malformed("The body is not JSON: number is infinity when parsed as double: line 1 column 77 (char 76)")),
    Case("a page of a leading zero", given('{"n":01}', FIRST), malformed("The body is not JSON: number with leading zero is not allowed: line 1 column 77 (char 76)")),
    Case("a page of 0x10", given('{"n":0x10}', FIRST), malformed("The body is not JSON: unexpected character, expected ',' or '}': line 1 column 78 (char 77)")),
    Case("a page of NaN, in the document", asked("{components(first:NaN){totalCount}}"), misfit("Int cannot represent non-integer value: NaN")),
    Case("a page of 2^31, in the document", asked("{components(first:2147483648){totalCount}}"), misfit("Int cannot represent non 32-bit signed integer value: 2147483648")),
    Case("a page of 4,000 digits, in the document", asked("{components(first:" + "1" * 4_000 + "){totalCount}}"), misfit("Int cannot represent non 32-bit signed integer value: " + "1" * 446 + "...")),
    Case("a page of a leading zero, in the document", asked("{components(first:01){totalCount}}"), no_graphql("Invalid number, unexpected digit after 0: '1'.")),
    Case("both ends of a list", asked("{components(first:1 last:1){totalCount}}"), failed("A page is asked for with `first` and `after`, or with `last` and `before`, not with both.")),
    Case("before without last", asked('{components(before:"x"){totalCount}}'), failed("`before` needs `last`: how many to give before the cursor.")),
    Case("eleven steps", asked('{component(ref:"player"){mermaid(depth:11)}}'), failed("`depth` is 11; 1 to 10 steps are followed.", {"component": None})),
    Case("a path of -1 steps", asked('{path(from:"component:player" to:"component:index" maxDepth:-1){type}}'), failed("`maxDepth` is -1; 1 to 10 steps are followed.", {"path": None})),
    Case("a number beyond a Float, in a filter", asked('{entities(filter:{path:{path:"/spec/x" number:{gt:1e400}}}){totalCount}}'), failed("`filter.path.number.gt` is beyond the numbers that a Float can hold.")),
    Case("a number as a condition", asked("query($b:Boolean!){__typename @include(if:$b)}", b=1), bad_input("Variable '$b' has invalid value: Boolean cannot represent a non boolean value: 1")),
]

NAMES = [
    Case("the ref ''", asked(REF, r=""), failed("`ref`: '' has an empty name: write it as [kind:][namespace/]name", {"component": None})),
    Case("the ref ':'", asked(REF, r=":"), failed("`ref`: ':' has an empty kind: write it as [kind:][namespace/]name", {"component": None})),
    Case("the ref '/'", asked(REF, r="/"), failed("`ref`: '/' has an empty namespace: write it as [kind:][namespace/]name", {"component": None})),
    Case("the ref ':/'", asked(REF, r=":/"), failed("`ref`: ':/' has an empty kind: write it as [kind:][namespace/]name", {"component": None})),
    Case("the ref 'component:'", asked(REF, r="component:"), failed("`ref`: 'component:' has an empty name: write it as [kind:][namespace/]name", {"component": None})),
    Case("the ref 'component:/'", asked(REF, r="component:/"), failed("`ref`: 'component:/' has an empty namespace: write it as [kind:][namespace/]name", {"component": None})),
    Case("the ref 'component:default/'", asked(REF, r="component:default/"), failed("`ref`: 'component:default/' has an empty name: write it as [kind:][namespace/]name", {"component": None})),
    Case("the ref 'a b/'", asked(REF, r="a b/"), failed("`ref`: 'a b/' has an empty name: write it as [kind:][namespace/]name", {"component": None})),
    Case("the ref 'player\\n'", asked(REF, r="player\n"), NOBODY),
    Case("the ref '%'", asked(REF, r="%"), NOBODY),
    Case("the ref '../../etc/passwd'", asked(REF, r="../../etc/passwd"), NOBODY),
    Case("the ref \"' OR 1=1 --\"", asked(REF, r="' OR 1=1 --"), NOBODY),
    Case("the ref \"component:default/player'; DROP TABLE entity; --\"", asked(REF, r="component:default/player'; DROP TABLE entity; --"), NOBODY),
    Case("the ref '\\x00x'", asked(REF, r="\u0000x"), NUL),
    Case("the ref 'PLAYER'", asked(REF, r="PLAYER"), answered({"component": {"name": "Player"}})),
    Case("the ref '\u212apl'", asked(REF, r="\u212apl"), NOBODY),
    Case("the ref '\\u202ereyalp'", asked(REF, r="\u202ereyalp"), NOBODY),
    Case("the ref '\ud83c\udfb5'", asked(REF, r="\ud83c\udfb5"), NOBODY),
    Case("the ref 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'", asked(REF, r="x" * 300), failed("`ref`: '" + "x" * 60 + "...' is longer than 255 characters with its kind and namespace", {"component": None})),
    Case("the ref 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'", asked(REF, r="x" * 10001), failed("`ref` has 10001 characters; at most 10000 are read.", {"component": None})),
    Case("a ref that is a number", asked(REF, r=1), bad_input("Variable '$r' has invalid value: Expected value of type 'EntityRef', but encountered error 'an EntityRef is a text such as component:default/dice-roller, not 1'; found: 1.")),
    Case("a ref that is a list", asked(REF, r=["player"]), bad_input("Variable '$r' has invalid value: Expected value of type 'EntityRef', but encountered error 'an EntityRef is a text such as component:default/dice-roller, not a list'; found: ['player'].")),
    Case("a ref that is null", asked(REF, r=None), bad_input("Variable '$r' has invalid value: Expected value of non-null type 'EntityRef!' not to be None.")),
    Case("a ref that is absent", asked(REF), bad_input("Variable '$r' has invalid value: Expected a value of non-null type 'EntityRef!' to be provided.")),
    Case("a ref with half a surrogate pair", given(r'{"r":"\ud800"}', REF), malformed("The body is not JSON: no low surrogate in string: line 1 column 76 (char 75)")),
    Case("a ref with NUL", given(r'{"r":"a\u0000"}', REF), NUL),
    Case("a ref of 900,000 characters", asked(REF, r="x" * 900_000), failed("`ref` has 900000 characters; at most 10000 are read.", {"component": None})),
    Case("1,001 refs", asked(REFS, r=["component:player"] * 1_001), failed("`refs` has 1001 items; at most 1000 are read.")),
    Case("10,001 refs", asked(REFS, r=["component:player"] * 10_001), bad_input("'variables' holds more than 10000 values")),
    Case("one bad ref among good ones", asked(REFS, r=["component:player", "player"]), failed("`refs`: 'player' has no kind: write it as kind:name or kind:namespace/name")),
    Case("the id ''", asked(NODE, i=""), no_id("")),
    Case("the id '='", asked(NODE, i="="), no_id("=")),
    Case("the id '===='", asked(NODE, i="===="), no_id("====")),
    Case("the id '!'", asked(NODE, i="!"), no_id("!")),
    Case("the id '-_-_'", asked(NODE, i="-_-_"), no_id("-_-_")),
    Case("the id '\u00e9'", asked(NODE, i="\u00e9"), no_id("\u00e9")),
    Case("the id 'ZQ=='", asked(NODE, i="ZQ=="), answered({"node": None})),
    Case("the id 'ZQ'", asked(NODE, i=opaque("e")), answered({"node": None})),
    Case("the id 'eDE'", asked(NODE, i=opaque("x1")), no_id("eDE")),
    Case("the id 'Yw'", asked(NODE, i=opaque("c")), no_id("Yw")),
    Case("the id 'Yy0x'", asked(NODE, i=opaque("c-1")), no_id("Yy0x")),
    Case("the id 'Yzk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5'", asked(NODE, i=opaque("c" + "9" * 30)), no_id("Yzk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ")),
    Case("the id 'cCc'", asked(NODE, i=opaque("p'")), answered({"node": None})),
    Case("the id 'ZQA'", asked(NODE, i=opaque("e\u0000")), no_id("ZQA")),
    Case("the id '__4'", asked(NODE, i=opaque(b"\xff\xfe")), no_id("__4")),
    Case("the id 'ZWNvbXBvbmVudDpkZWZhdWx0L3BsYXllcicgLS0'", asked(NODE, i=opaque("ecomponent:default/player' --")), answered({"node": None})),
    Case("the id 'ZXh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4'", asked(NODE, i=opaque("e" + "x" * 20000)), answered({"node": None})),
    Case("the id 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'", asked(NODE, i="A" * 900000), no_id("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
    Case("an id that is a number", asked(NODE, i=1), no_id("1")),
    Case("an id of 5,000 digits", asked("{node(id:" + "1" * 4_000 + "){id}}"), no_id("11111111111111111111111111111111111111111111111111111111111111111111111111111111")),
    Case("an id that is a fraction", asked(NODE, i=1.5), bad_input("Variable '$i' has invalid value: ID cannot represent value: 1.5")),
    Case("an id that is an object", asked(NODE, i={"$ne": None}), bad_input("Variable '$i' has invalid value: ID cannot represent value: {'$ne': None}")),
    Case("1,001 ids", asked("query($i:[ID!]!){nodes(ids:$i){id}}", i=["x"] * 1_001), failed("`ids` has 1001 items; at most 1000 are read.")),
    Case("the cursor ''", asked(AFTER, c=""), no_cursor("")),
    Case("the cursor '='", asked(AFTER, c="="), no_cursor("=")),
    Case("the cursor '!!!'", asked(AFTER, c="!!!"), no_cursor("!!!")),
    Case("the cursor '\u00e9'", asked(AFTER, c="\u00e9"), no_cursor("\u00e9")),
    Case("the cursor 'bnVsbA'", asked(AFTER, c=opaque("null")), no_cursor("bnVsbA")),
    Case("the cursor 'e30'", asked(AFTER, c=opaque("{}")), no_cursor("e30")),
    Case("the cursor 'W10'", asked(AFTER, c=opaque("[]")), no_cursor("W10")),
    Case("the cursor 'WzFd'", asked(AFTER, c=opaque("[1]")), failed("This cursor was made by another field, or with another filter or order.")),
    Case("the cursor 'WyJ4IiwiYSIsMV0'", asked(AFTER, c=opaque('["x","a",1]')), failed("This cursor was made by another field, or with another filter or order.")),
    Case("the cursor 'WyJ4IixbIngiLFsieCIsWyJ4IixbIngiLFsieCIs'", asked(AFTER, c=opaque('["x"' + ',["x"' * 500)), no_cursor("WyJ4IixbIngiLFsieCIsWyJ4IixbIngiLFsieCIsWyJ4IixbIngiLFsieCIsWyJ4IixbIngiLFsieCIs")),
    Case("the cursor 'W1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tb'", asked(AFTER, c=opaque("[" * 5000)), no_cursor("W1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tb")),
    Case("the cursor 'WyJ4Iix7ImF0IjoibmV2ZXIifV0'", asked(AFTER, c=opaque('["x",{"at":"never"}]')), no_cursor("WyJ4Iix7ImF0IjoibmV2ZXIifV0")),
    Case("the cursor 'WyJ4Iix7Im51bWJlciI6IjFlOTk5OTk5OTk5In1d'", asked(AFTER, c=opaque('["x",{"number":"1e999999999"}]')), no_cursor("WyJ4Iix7Im51bWJlciI6IjFlOTk5OTk5OTk5In1d")),
    Case("the cursor 'WyJ4IiwiXHUwMDAwIl0'", asked(AFTER, c=opaque('["x","\\u0000"]')), no_cursor("WyJ4IiwiXHUwMDAwIl0")),
    Case("the cursor '_w'", asked(AFTER, c=opaque(b"\xff")), no_cursor("_w")),
    Case("the cursor 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'", asked(AFTER, c="A" * 900000), no_cursor("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
    Case("a cursor that is a number", asked(AFTER, c=1), bad_input("Variable '$c' has invalid value: String cannot represent a non string value: 1")),
    Case("a source of 10,001 characters", asked(SOURCE, n="x" * 10_001), failed("`name` has 10001 characters; at most 10000 are read.", {"source": None})),
    Case("a source of 10,000 characters", asked(SOURCE, n="x" * 10_000), answered({"source": None})),
    Case("a source in SQL", asked(SOURCE, n="x' UNION SELECT passwd FROM pg_shadow --"), answered({"source": None})),
    Case("a writer of 10,001 characters", asked("query($b:String){changes(by:$b){totalCount}}", b="x" * 10_001), failed("`by` has 10001 characters; at most 10000 are read.")),
    Case("a key of 10,001 characters", asked('query($k:[String!]){component(ref:"player"){labels(keys:$k){key}}}', k=["x" * 10_001]), failed("`keys` has 10001 characters; at most 10000 are read.", {"component": None})),
]

FILTERS = [
    Case("names with '%'", asked(FILTER, f={"name": {"contains": "%"}}), NO_ENTITY),
    Case("names with '_'", asked(FILTER, f={"name": {"contains": "_"}}), NO_ENTITY),
    Case("names with '\\\\'", asked(FILTER, f={"name": {"contains": "\\"}}), NO_ENTITY),
    Case("names with '%%%%'", asked(FILTER, f={"name": {"contains": "%%%%"}}), NO_ENTITY),
    Case("names with \"a%' OR '1'='1\"", asked(FILTER, f={"name": {"contains": "a%' OR '1'='1"}}), NO_ENTITY),
    Case("names with '(a+)+$'", asked(FILTER, f={"name": {"contains": "(a+)+$"}}), NO_ENTITY),
    Case("names with '^.*$'", asked(FILTER, f={"name": {"contains": "^.*$"}}), NO_ENTITY),
    Case("names with '[a-z]'", asked(FILTER, f={"name": {"contains": "[a-z]"}}), NO_ENTITY),
    Case("names with '\u0130'", asked(FILTER, f={"name": {"contains": "\u0130"}}), NO_ENTITY),
    Case("names with '\u00df'", asked(FILTER, f={"name": {"contains": "\u00df"}}), NO_ENTITY),
    Case("a name that begins with a wildcard", asked(FILTER, f={"name": {"prefix": "%a"}}), NO_ENTITY),
    Case("a text of 10,001 characters in a filter", asked(FILTER, f={"title": {"eq": "x" * 10_001}}), failed("`filter.title.eq` has 10001 characters; at most 10000 are read.")),
    Case("a text of 10,000 characters in a filter", asked(FILTER, f={"title": {"contains": "x" * 10_000}}), NO_ENTITY),
    Case("a text with NUL in a filter", given(r'{"f":{"title":{"eq":"\u0000"}}}', FILTER), NUL),
    Case("a pointer into nowhere", asked(FILTER, f={"path": {"path": "spec", "boolean": True}}), failed("`filter.path.path`: 'spec' leads nowhere: a path starts with /spec or /metadata")),
    Case("a pointer with SQL", asked(FILTER, f={"path": {"path": "/spec/'||(SELECT 1)||'", "boolean": True}}), NO_ENTITY),
    Case("a pointer of 4,000 steps", asked(FILTER, f={"path": {"path": "/spec" + "/a" * 4_000, "boolean": True}}), failed("`filter.path.path`: '/spec/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/...' has 4000 steps below /spec; at most 20 are taken")),
    Case("a pointer with a broken escape", asked(FILTER, f={"path": {"path": "/spec/~2", "boolean": True}}), failed("`filter.path.path`: '/spec/~2' has a lone ~: in a path ~ is written ~0, and / in a key ~1")),
    Case("a filter 400 deep", asked(FILTER, f=nested(400)), bad_input("Variable values are nested too deeply.")),
    Case("a filter 11 deep", asked(FILTER, f=nested(11)), FILTER_TOO_LARGE),
    Case("a filter with 200 alternatives", asked(FILTER, f={"anyOf": [{"name": {"eq": "a"}}] * 200}), FILTER_TOO_LARGE),
    Case("a filter with 40 alternatives", asked(FILTER, f={"anyOf": [{"name": {"contains": "player-"}}] * 40}), answered({"entities": {"totalCount": 1}})),
    Case("a filter with 20 closures", asked(FILTER, f={"anyOf": [{"dependsOn": {"ref": "component:a", "depth": 10}}] * 20}), FILTER_TOO_LARGE),
    Case("a filter with 5 closures", asked(FILTER, f={"anyOf": [{"dependsOn": {"ref": "component:a", "depth": 10}}] * 5}), NO_ENTITY),
    Case("a filter with 10 trees", asked(FILTER, f={"anyOf": [{"inTreeOf": "a"}] * 10}), FILTER_TOO_LARGE),
    Case("a filter with 3 trees", asked(FILTER, f={"anyOf": [{"inTreeOf": "a"}] * 3}), NO_ENTITY),
    Case("a filter with 50 words", asked(FILTER, f={"anyOf": [{"text": "hostile abcde bcdef cdefg defgh"}] * 10}), FILTER_TOO_LARGE),
    Case("a filter of 9,900 fields that are not there", asked(FILTER, f={f"dependencyO{n}": 1 for n in range(9_900)}), bad_input("Variable '$f' has invalid value: Expected value of type 'EntityFilter' not to include unknown field 'dependencyO0'. Did you mean 'dependencyOf' or 'dependsOn'? Found: {'dependencyO0': 1, 'dependencyO1': 1, 'dependencyO2': 1, 'dependencyO3': 1, 'dependencyO4': 1, ..., 'dependencyO9896': 1, 'dependencyO9897': 1, 'dependencyO9898': 1, 'dependencyO9899': 1}.")),
    Case("a filter with a key of 900,000 characters", asked(FILTER, f={"x" * 900_000: 1}), bad_input("Variable '$f' has invalid value: Expected value of type 'EntityFilter' not to include unknown field '" + "x" * 399 + "...")),
    Case("a filter that is a list of 5,000", asked(FILTER, f=[{}] * 5_000), bad_input("Variable '$f' has invalid value: Expected value of type 'EntityFilter' to be an object, found: [{}, {}, {}, {}, {}, ..., {}, {}, {}, {}].")),
    Case("a prototype to pollute", asked(FILTER, f={"__proto__": {"admin": True}}), bad_input("Variable '$f' has invalid value: Expected value of type 'EntityFilter' not to include unknown field '__proto__', found: {'__proto__': {'admin': True}}.")),
    Case("an order by 1,000 paths", asked(ORDER, o=[{"field": "PATH", "path": f"/spec/{n}"} for n in range(1_000)]), failed("`orderBy` has 1000 items; at most 10 are read.")),
    Case("an order by 10 paths", asked(ORDER, o=[{"field": "PATH", "path": f"/spec/{n}"} for n in range(10)]), answered({"entities": {"totalCount": 21}})),
    Case("an order by a field twice", asked(ORDER, o=[{"field": "NAME"}] * 2), failed("`orderBy` names a field twice.")),
    Case("an order by SQL", asked(ORDER, o=[{"field": "PATH", "path": "/spec/x'; DROP TABLE entity; --"}]), answered({"entities": {"totalCount": 21}})),
    Case("11 facets", asked("query($o:[FacetInput!]!){facets(of:$o){__typename}}", o=[{"field": "KIND"}] * 11), failed("`of` has 11 items; at most 10 are read.")),
]

TEXTS = [
    Case("a search of 257 characters", asked(SEARCH, t="x" * 257), failed("`text`: it has 257 characters; at most 256 are searched for.")),
    Case("a search of 256 characters", asked(SEARCH, t="x" * 256), NO_HIT),
    Case("a search of 900,000 characters", asked(SEARCH, t="x" * 900_000), failed("`text` has 900000 characters; at most 10000 are read.")),
    Case("a search of nothing", asked(SEARCH, t=" \t\u2028"), failed("`text`: it has 0 words; 1 to 10 are searched for.")),
    Case("a search of 11 words", asked(SEARCH, t="a b c d e f g h i j k"), failed("`text`: it has 11 words; 1 to 10 are searched for.")),
    Case("a search of wildcards", asked(SEARCH, t="%_" * 128), NO_HIT),
    Case("a search of backslashes", asked(SEARCH, t="\\" * 256), NO_HIT),
    Case("a search like a regular expression", asked(SEARCH, t="(x+x+)+y [[:alpha:]] \\b .*"), NO_HIT),
    Case("a search of combining letters", asked(SEARCH, t="e" + "\u0301" * 200), NO_HIT),
    Case("a search of emoji", asked(SEARCH, t="\U0001f468\u200d\U0001f469\u200d\U0001f467" * 20), NO_HIT),
    Case("a search with NUL", given(r'{"t":"\u0000"}', SEARCH), NUL),
    Case("a search with half a surrogate pair", given(r'{"t":"\udfff"}', SEARCH), malformed("The body is not JSON: invalid high surrogate in string: line 1 column 77 (char 76)")),
    Case("variables of 10,001 values", asked("{__typename}", v=[0] * 10_001), bad_input("'variables' holds more than 10000 values")),
    Case("variables 1,000 deep", given('{"v":' + "[" * 1_000 + "]" * 1_000 + "}"), ANSWERED),
    Case("a long number in lists 1,000 deep", given('{"v":' + "[" * 1_000 + "1" * 19 + "]" * 1_000 + "}"), malformed("The body is not JSON: depth limit exceeded")),
    Case("variables 1,025 deep", given('{"v":' + "[" * 1_025 + "]" * 1_025 + "}"), malformed("The body is not JSON: depth limit exceeded: line 1 column 1065 (char 1064)")),
    Case("variables of 900,000 characters that nobody reads", asked("{__typename}", v="x" * 900_000), ANSWERED),
    Case("a time that is none", asked('{entities(filter:{createdAt:{after:"2026-13-45T99:99:99Z"}}){totalCount}}'), misfit("Expected value of type 'DateTime', but encountered error 'a DateTime is an RFC 3339 text such as 2026-11-22T10:00:00Z, not '2026-13-45T99:99:99Z''; found: \"2026-13-45T99:99:99Z\".")),
    Case("a time before all others", asked('{entities(filter:{createdAt:{after:"0000-01-01T00:00:00Z"}}){totalCount}}'), misfit("Expected value of type 'DateTime', but encountered error 'a DateTime is an RFC 3339 text such as 2026-11-22T10:00:00Z, not '0000-01-01T00:00:00Z''; found: \"0000-01-01T00:00:00Z\".")),
    Case("a time of 5,000 digits of a second", asked(f'{{entities(filter:{{createdAt:{{after:"2026-01-01T00:00:00.{"1" * 5_000}Z"}}}}){{totalCount}}}}'), answered({"entities": {"totalCount": 21}})),
]

# fmt: on

CASES = [
    *BODIES,
    *HEADERS,
    *FLOODS,
    *METHODS,
    *QUERY_STRINGS,
    *WIRE,
    *DOCUMENTS,
    *EXPONENTIAL,
    *NUMBERS,
    *NAMES,
    *FILTERS,
    *TEXTS,
]
