"""Every error that a client of the graph can see, and how all others are masked.

    CatalogError
    ├── RequestError                   nothing was run: the answer has no `data`
    │   ├── BadRequest                 BAD_REQUEST                   the body or a parameter has the wrong shape
    │   ├── MethodNotAllowed           METHOD_NOT_ALLOWED            another HTTP method is needed
    │   ├── NotAcceptable              NOT_ACCEPTABLE                no media type that the client takes
    │   ├── Unauthenticated            UNAUTHENTICATED               a token is missing, or is not good any more
    │   ├── Forbidden                  FORBIDDEN                     the caller lacks a scope
    │   ├── RequestTimeout             REQUEST_TIMEOUT               the body does not come
    │   ├── RateLimited                RATE_LIMITED                  the caller has spent what it has in an hour
    │   ├── RequestTooLarge            REQUEST_TOO_LARGE             the body or the address is too long
    │   ├── UnsupportedMediaType       UNSUPPORTED_MEDIA_TYPE        the body is not plain UTF-8 JSON
    │   ├── ParseFailed                GRAPHQL_PARSE_FAILED          the document is not GraphQL
    │   ├── TokenLimit                 TOKEN_LIMIT                   the document has too many tokens
    │   ├── DocumentTooLong            TOKEN_LIMIT                   the document has too many characters
    │   ├── ValidationFailed           GRAPHQL_VALIDATION_FAILED     the document does not fit the schema
    │   ├── DocumentNotFound           DOCUMENT_NOT_FOUND            there is no document with this id
    │   ├── UntrustedDocument          UNTRUSTED_DOCUMENT            only trusted documents are taken
    │   ├── PersistedQueryNotFound     PERSISTED_QUERY_NOT_FOUND     no document with this hash is kept
    │   ├── PersistedQueryNotSupported PERSISTED_QUERY_NOT_SUPPORTED documents are not kept by their hash
    │   ├── IntrospectionDisabled      INTROSPECTION_DISABLED        the schema is told to administrators only
    │   ├── VariablesRefused           BAD_USER_INPUT                variables have values that are refused
    │   ├── OperationNotFound          OPERATION_NOT_FOUND           which operation to run is not clear
    │   ├── OperationLimit             OPERATION_LIMIT               the document has too many operations
    │   ├── DepthLimit                 DEPTH_LIMIT                   the operation is nested too deep
    │   ├── AliasLimit                 ALIAS_LIMIT                   the operation has too many aliases
    │   ├── RootFieldLimit             ROOT_FIELD_LIMIT              the operation has too many root fields
    │   ├── DirectiveLimit             DIRECTIVE_LIMIT               the operation has too many directives
    │   └── CostLimit                  COST_LIMIT                    the operation may read too many objects
    ├── BadUserInput                   BAD_USER_INPUT                a value that is refused
    ├── ResponseLimit                  RESPONSE_LIMIT                the answer is too long
    ├── Timeout                        TIMEOUT                       it took longer than it may
    ├── Unavailable                    UNAVAILABLE                   the database cannot be reached, or is overloaded
    ├── CursorExpired                  CURSOR_EXPIRED                what came after a cursor is forgotten
    ├── GoneMeanwhile                  GONE_MEANWHILE                an object was removed while the operation ran
    └── InternalError                  INTERNAL                      a fault of ours; the log has the rest

A lookup that finds nothing is not an error: the field is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from graphql import FieldNode, GraphQLError, GraphQLFormattedError, Node

from db.engine import failure_of

_LONGEST_MESSAGE = 500  # characters


class CatalogError(GraphQLError):
    """An error that is meant for the client: its message and its `extensions.code` are sent as they are.

    Raise one of the classes below from a resolver, a loader or the endpoint; whatever else is raised is masked.
    """

    code: ClassVar[str]
    #: The HTTP status, when this error is the whole answer in `application/graphql-response+json`.
    status: ClassVar[int]
    #: Whether `application/json` sends that status too; GraphQL over HTTP wants 200 there for a well-formed request.
    status_in_json: ClassVar[bool] = False

    def __init__(self, message: str, node: Node | None = None, **extensions: Any) -> None:
        super().__init__(_shortened(message), node, extensions={"code": self.code, **extensions})

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers that belong to the status."""
        return {}

    def all(self) -> list[GraphQLFormattedError]:
        """What stands in the answer's `errors` when this is the whole answer."""
        return [self.formatted]


class RequestError(CatalogError):
    """The request is refused before anything of it was run."""

    status = 400


class BadRequest(RequestError):
    """The body, or a parameter in it, is not what GraphQL over HTTP describes."""

    code = "BAD_REQUEST"
    status_in_json = True


class MethodNotAllowed(RequestError):
    """This takes another HTTP method: `allow` lists them."""

    code = "METHOD_NOT_ALLOWED"
    status = 405
    status_in_json = True

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow

    @property
    def headers(self) -> dict[str, str]:
        """`Allow`, as RFC 9110 demands for 405."""
        return {"allow": self.allow}


class NotAcceptable(RequestError):
    """The Accept header leaves no media type that the graph can answer in."""

    code = "NOT_ACCEPTABLE"
    status = 406
    status_in_json = True


class Unauthenticated(RequestError):
    """A token is needed and there is none, or the one that was given is not good: `refused` says which."""

    code = "UNAUTHENTICATED"
    status = 401
    status_in_json = True

    def __init__(self, message: str, *, refused: bool = True) -> None:
        super().__init__(message)
        self.refused = refused

    @property
    def headers(self) -> dict[str, str]:
        """`WWW-Authenticate`, as RFC 6750 has it: without an error where there was no token."""
        more = f', error="invalid_token", error_description="{self.message}"' if self.refused else ""
        return {"www-authenticate": f'Bearer realm="catalograph"{more}'}


class Forbidden(RequestError):
    """The caller lacks a scope, which `extensions.scope` names; `nodes` are the fields that need it."""

    code = "FORBIDDEN"
    status = 403

    def __init__(self, message: str, node: Node | None = None, *, scope: str) -> None:
        super().__init__(message, node, scope=scope)
        self.scope = scope

    @property
    def headers(self) -> dict[str, str]:
        """`WWW-Authenticate`, as RFC 6750 has it."""
        return {"www-authenticate": f'Bearer realm="catalograph", error="insufficient_scope", scope="{self.scope}"'}


class RequestTimeout(RequestError):
    """The body took longer to come than it may."""

    code = "REQUEST_TIMEOUT"
    status = 408
    status_in_json = True

    @property
    def headers(self) -> dict[str, str]:
        """`Connection`, as RFC 9110 has it for 408: what still comes belongs to no request."""
        return {"connection": "close"}


class RateLimited(RequestError):
    """The caller has too little left of what it may spend in an hour; `extensions.retryAfter` is in seconds."""

    code = "RATE_LIMITED"
    status = 429
    status_in_json = True

    def __init__(self, message: str, *, retry_after: int, standing: Mapping[str, str]) -> None:
        """`standing` are headers that say what is left."""
        super().__init__(message, retryAfter=retry_after)
        self.retry_after, self.standing = retry_after, standing

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After` in seconds, and what is left."""
        return {"retry-after": str(self.retry_after), **self.standing}


class RequestTooLarge(RequestError):
    """The body is longer than the limit."""

    code = "REQUEST_TOO_LARGE"
    status = 413
    status_in_json = True


class UnsupportedMediaType(RequestError):
    """The body's Content-Type or Content-Encoding is not one that the graph reads."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415
    status_in_json = True


class DocumentError(RequestError):
    """graphql-core refused the document, for one reason or several."""

    def __init__(self, reasons: Sequence[GraphQLError]) -> None:
        super().__init__(reasons[0].message)
        self.reasons = reasons

    def all(self) -> list[GraphQLFormattedError]:
        """Each of graphql-core's errors, with our code."""
        return [_with_code(reason, self.code) for reason in self.reasons]


class ParseFailed(DocumentError):
    """The document is not GraphQL, or is nested deeper than the parser goes."""

    code = "GRAPHQL_PARSE_FAILED"


class TokenLimit(DocumentError):
    """The document has more tokens than the limit."""

    code = "TOKEN_LIMIT"


class ValidationFailed(DocumentError):
    """The document does not fit the schema."""

    code = "GRAPHQL_VALIDATION_FAILED"


class DocumentTooLong(RequestError):
    """The document has more characters than are read, whatever its tokens are."""

    code = "TOKEN_LIMIT"


class DocumentNotFound(RequestError):
    """There is no document with the id. It is 400, since 404 is a status that caches keep."""

    code = "DOCUMENT_NOT_FOUND"


class UntrustedDocument(RequestError):
    """Only trusted documents are taken here, and this one is none of them."""

    code = "UNTRUSTED_DOCUMENT"


class PersistedQueryNotFound(RequestError):
    """No document with this hash is kept. Apollo's clients know it by code, message and status, and send the text."""

    code = "PERSISTED_QUERY_NOT_FOUND"
    status = 200

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")


class PersistedQueryNotSupported(RequestError):
    """Documents are not kept by their hash. Apollo's clients then send texts, and do not try again."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"
    status = 200

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotSupported")


class IntrospectionDisabled(RequestError):
    """The operation asks for the schema, which only administrators are told; it points at the field."""

    code = "INTROSPECTION_DISABLED"


class VariablesRefused(DocumentError):
    """Variables have values that are refused: each, and why."""

    code = "BAD_USER_INPUT"


class OperationNotFound(RequestError):
    """The document has no operation of that name, or several and no name was given."""

    code = "OPERATION_NOT_FOUND"


class OperationLimit(RequestError):
    """The document, or a socket, has more operations than the limit.

    This one and the next five point at the first of a document beyond it.
    """

    code = "OPERATION_LIMIT"


class DepthLimit(RequestError):
    """Objects in the operation are nested deeper than the limit."""

    code = "DEPTH_LIMIT"


class AliasLimit(RequestError):
    """The operation has more aliases than the limit."""

    code = "ALIAS_LIMIT"


class RootFieldLimit(RequestError):
    """The operation has more root fields than the limit."""

    code = "ROOT_FIELD_LIMIT"


class DirectiveLimit(RequestError):
    """The operation has more directives than the limit."""

    code = "DIRECTIVE_LIMIT"


class CostLimit(RequestError):
    """The operation may read more objects than the limit; `extensions` has `cost` and `limit`."""

    code = "COST_LIMIT"


class BadUserInput(CatalogError):
    """A variable or an argument has a value that is refused; the message names it and says what is allowed."""

    code = "BAD_USER_INPUT"
    status = 400


class ResponseLimit(CatalogError):
    """The answer is longer than the limit. The operation has run, and what a mutation did is done."""

    code = "RESPONSE_LIMIT"
    status = 400


class Timeout(CatalogError):
    """The operation, or one of its statements, took longer than it may."""

    code = "TIMEOUT"
    status = 504


class Unavailable(CatalogError):
    """The database cannot be reached, or all its connections stay busy; trying again later is right."""

    code = "UNAVAILABLE"
    status = 503
    status_in_json = True

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After` in seconds: most outages are restarts."""
        return {"retry-after": "1"}


class CursorExpired(CatalogError):
    """What came after a cursor is not kept any more; following anew, from the present state, is right."""

    code = "CURSOR_EXPIRED"
    status = 410


class GoneMeanwhile(CatalogError):
    """Something was removed from the catalog between two statements of one operation; asking again is right."""

    code = "GONE_MEANWHILE"
    status = 200


class InternalError(CatalogError):
    """A fault of ours. The client gets the request id; the log has the rest."""

    code = "INTERNAL"
    status = 500
    status_in_json = True


def timeout() -> Timeout:
    """The operation ran out of its time."""
    return Timeout("The operation took too long and was cancelled")


def unavailable() -> Unavailable:
    """The database cannot answer now."""
    return Unavailable("The database is not available, try again later")


def gone_meanwhile() -> GoneMeanwhile:
    """An object lost what it cannot be without."""
    return GoneMeanwhile("It was removed from the catalog while it was read, ask again")


def internal_error(request_id: str) -> InternalError:
    """What the client sees of any error that nobody foresaw."""
    return InternalError("Internal error", requestId=request_id)


def for_client(error: Exception, request_id: str) -> CatalogError:
    """The error of the family that answers for `error`.

    A member of the family answers for itself; a database that is away or slow is UNAVAILABLE or TIMEOUT; graphql-core's
    complaints about variables and arguments are BAD_USER_INPUT; all else is INTERNAL and says nothing but the id.
    """
    cause = origin(error)
    if isinstance(cause, CatalogError):
        return cause
    if isinstance(cause, GraphQLError) and isinstance(error, GraphQLError) and _is_about_input(error):
        return BadUserInput(error.message)
    match failure_of(cause):
        case "timeout":
            return timeout()
        case "unavailable":
            return unavailable()
    return internal_error(request_id)


def formatted(located: GraphQLError, answer: CatalogError) -> GraphQLFormattedError:
    """`answer`, at the place in document and response that `located` names."""
    return GraphQLError(
        answer.message,
        located.nodes,
        located.source,
        located.positions,
        located.path,
        extensions=answer.extensions,
    ).formatted


def origin(error: Exception) -> Exception:
    """What was raised, below the wrappers that graphql-core puts around it to note the path."""
    while isinstance(error, GraphQLError) and not isinstance(error, CatalogError) and error.original_error:
        error = error.original_error
    return error


def _is_about_input(error: GraphQLError) -> bool:
    """Whether graphql-core complains about a value that the client sent.

    Of its own errors while it runs an operation, those about variables come before any field and have no path; those
    about arguments point at the value in the document; the rest (a result that is no Int, a null where none may be)
    point at the field, and are ours.
    """
    return error.path is None or any(not isinstance(node, FieldNode) for node in error.nodes or ())


def _shortened(message: str) -> str:
    """The message as far as people read it: a client's own names and values come back in it, however long they are."""
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}..."


def _with_code(error: GraphQLError, code: str) -> GraphQLFormattedError:
    formatted = error.formatted
    formatted["message"] = _shortened(error.message)
    formatted["extensions"] = {"code": code}
    return formatted
