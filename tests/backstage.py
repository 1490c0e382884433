"""A small Backstage: the part of its catalog's API that a mirror reads, over HTTP on loopback.

After `plugins/catalog-backend` there: `schema/openapi.yaml`, `DefaultEntitiesCatalog.ts`, `performStitching.ts`. Entities
have random uids, and are listed in their order; a cursor is the base64 of the query and the last uid. An etag is a hash
of the entity with its relations, which come from the spec of both ends.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

Entity = dict[str, Any]

EXPRESS_LIMIT = 100 * 1024  # bytes of a request's body
DEFAULT_LIMIT = 20

# Field of a spec, the kind it names by default, the relation it means, and the same from the other end.
_LINKS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "Component": (
        ("owner", "group", "ownedBy", "ownerOf"),
        ("system", "system", "partOf", "hasPart"),
        ("dependsOn", "", "dependsOn", "dependencyOf"),
        ("dependencyOf", "", "dependencyOf", "dependsOn"),
        ("providesApis", "api", "providesApi", "apiProvidedBy"),
    ),
    "API": (("owner", "group", "ownedBy", "ownerOf"), ("system", "system", "partOf", "hasPart")),
    "Resource": (("owner", "group", "ownedBy", "ownerOf"), ("system", "system", "partOf", "hasPart")),
    "System": (("owner", "group", "ownedBy", "ownerOf"), ("domain", "domain", "partOf", "hasPart")),
    "Domain": (("owner", "group", "ownedBy", "ownerOf"),),
    "Group": (("members", "user", "hasMember", "memberOf"), ("parent", "group", "childOf", "parentOf")),
    "User": (("memberOf", "group", "memberOf", "hasMember"),),
}
_PARAMETERS = {
    "/entities/by-query": {"fields", "limit", "offset", "orderField", "cursor", "filter", "fullTextFilterTerm"},
    "/entities/by-refs": {"filter"},
}


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = name


@dataclass
class Answer:
    """What a test makes the server answer with instead; `body` is cut where `length` says more."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass
class Request:
    """One request, as the server got it."""

    number: int  # of all requests, from 1
    path: str  # below /api/catalog
    query: dict[str, list[str]]
    body: Any
    token: str | None


def ref_of(entity: Entity) -> str:
    """`component:default/web`."""
    metadata = entity["metadata"]
    return f"{entity['kind']}:{metadata.get('namespace', 'default')}/{metadata['name']}".lower()


def entity(name: str, kind: str = "Component", *, spec: Entity | None = None, **metadata: Any) -> Entity:
    """An entity as its file says it."""
    specs: dict[str, Entity] = {
        "Component": {"type": "service", "lifecycle": "production", "owner": "group:core"},
        "Group": {"type": "team", "children": []},
        "User": {"memberOf": []},
    }
    whole = {**specs.get(kind, {}), **(spec or {})}
    return {"apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": whole}


class Backstage:
    """A catalog that tests change while it is read."""

    def __init__(self, *, token: str | None = None) -> None:
        self.token = token
        self.page_limit: int | None = None  # smaller pages than asked for: a test need not have thousands of entities
        self.requests: list[Request] = []
        self.fetched: Counter[str] = Counter()  # how often each ref was given by `by-refs`
        self.instead: Callable[[Request], Answer | None] = lambda _request: None
        self.url = ""
        self._born = 0
        self._by_uid: dict[str, Entity] = {}  # as declared
        self._uids: dict[str, str] = {}  # by ref
        self.relations_added: dict[str, list[tuple[str, str]]] = {}  # a processor's, by ref: type, target
        self._stitched: dict[str, Entity] | None = None  # by uid, in its order
        self._lock = threading.RLock()

    def put(self, *entities: Entity) -> None:
        """Add or replace entities."""
        with self._lock:
            for each in entities:
                ref = ref_of(each)
                self._born += 1
                uid = sha1(str(self._born).encode(), usedforsecurity=False).hexdigest()  # as if by chance
                self._by_uid[self._uids.setdefault(ref, uid)] = each
            self._stitched = None

    def remove(self, *refs: str) -> None:
        """Delete entities; one that is put again gets another uid."""
        with self._lock:
            for ref in refs:
                del self._by_uid[self._uids.pop(ref)]
            self._stitched = None

    def relate(self, source: str, type: str, target: str) -> None:
        """A relation that a processor adds to the entity `source`."""
        with self._lock:
            self.relations_added.setdefault(source, []).append((type, target))
            self._stitched = None

    @property
    def refs(self) -> list[str]:
        """All entities, in order."""
        return sorted(self._uids)

    @property
    def listed(self) -> list[str]:
        """All entities, in the order in which they are listed."""
        return [ref_of(each) for each in self.stitched().values()]

    def entities(self) -> list[Entity]:
        """What the API gives of all entities, whole."""
        return list(self.stitched().values())

    def count(self, path: str) -> int:
        """How many requests there were to `by-query` or `by-refs`."""
        return sum(request.path == f"/entities/{path}" for request in self.requests)

    def forget(self) -> None:
        """Count requests from here."""
        self.requests.clear()
        self.fetched.clear()

    @contextmanager
    def serving(self) -> Iterator[Backstage]:
        """Answer until the block ends."""
        server = _Server(("127.0.0.1", 0), _Handler)
        server.backstage = self
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, request: Request) -> Any:
        """The answer to a request of the API. Raises Refusal."""
        if self.token is not None and request.token != self.token:
            raise Refusal(401, "AuthenticationError", "Missing credentials")
        if unknown := request.query.keys() - _PARAMETERS.get(request.path, set()):
            raise Refusal(400, "BadRequest", f"Unknown query parameter '{min(unknown)}'")
        if request.path == "/entities/by-query":
            return self._by_query(request.query)
        if request.path == "/entities/by-refs":
            return self._by_refs(request.query, request.body)
        raise Refusal(404, "NotFoundError", f"No route {request.path}")

    def _by_query(self, query: dict[str, list[str]]) -> Any:
        if "cursor" in query:
            cursor = _decoded(query["cursor"][0])
        else:
            cursor = {"orderFields": [], "filter": query.get("filter", []), "isPrevious": False}
        limit = int(query.get("limit", [str(DEFAULT_LIMIT)])[0])
        limit = min(limit, self.page_limit or limit)
        matching = {uid: each for uid, each in self.stitched().items() if _matches(each, cursor["filter"])}
        after = cursor.get("orderFieldValues", [""])[0]
        rows = [(uid, each) for uid, each in matching.items() if uid > after][: limit + 1]
        page = rows[:limit]
        answer = {
            "items": [_selected(each, query.get("fields")) for _, each in page],
            "totalItems": cursor.setdefault("totalItems", len(matching)),
            "pageInfo": {},
        }
        if len(rows) > limit > 0:
            cursor["orderFieldValues"] = [page[-1][0]]
            answer["pageInfo"] = {"nextCursor": base64.b64encode(json.dumps(cursor).encode()).decode()}
        return answer

    def _by_refs(self, query: dict[str, list[str]], body: Any) -> Any:
        stitched = self.stitched()
        found = [stitched.get(self._uids.get(ref, "")) for ref in body["entityRefs"]]
        items = [each if each and _matches(each, query.get("filter", [])) else None for each in found]
        self.fetched.update(ref_of(each) for each in items if each)
        return {"items": [each and _selected(each, body.get("fields")) for each in items]}

    def stitched(self) -> dict[str, Entity]:
        """All entities by uid, with what only a catalog knows."""
        with self._lock:
            if self._stitched is None:
                relations = self._relations()
                stitched = {uid: _stitched(uid, each, relations) for uid, each in self._by_uid.items()}
                self._stitched = dict(sorted(stitched.items()))
            return self._stitched

    def _relations(self) -> dict[str, set[tuple[str, str]]]:
        relations: dict[str, set[tuple[str, str]]] = {}
        for each in self._by_uid.values():
            for field_, kind, type_, inverse in _LINKS.get(each["kind"], ()):
                value = each["spec"].get(field_) or []
                for text in [value] if isinstance(value, str) else value if isinstance(value, list) else ():
                    target = _canonical(text, kind, each["metadata"].get("namespace", "default"))
                    relations.setdefault(ref_of(each), set()).add((type_, target))
                    relations.setdefault(target, set()).add((inverse, ref_of(each)))
        for ref, added in self.relations_added.items():
            relations.setdefault(ref, set()).update(added)
        return relations


def _canonical(text: str, kind: str, namespace: str) -> str:
    given, colon, rest = text.rpartition(":")
    space, slash, name = rest.rpartition("/")
    return f"{given if colon else kind}:{space if slash else namespace}/{name}".lower()


def _stitched(uid: str, declared: Entity, relations: dict[str, set[tuple[str, str]]]) -> Entity:
    name = declared["metadata"]["name"]
    annotations = {
        "backstage.io/managed-by-location": f"url:https://git.example.com/{name}/catalog-info.yaml",
        **declared["metadata"].get("annotations", {}),
    }
    metadata = {"namespace": "default", **declared["metadata"], "annotations": annotations}
    whole = {**declared, "metadata": metadata}
    whole["relations"] = [
        {"type": type_, "targetRef": target} for type_, target in sorted(relations.get(ref_of(declared), ()))
    ]
    etag = sha1(json.dumps(whole, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
    return {**whole, "metadata": {"etag": etag, **metadata, "uid": uid}}


def _matches(each: Entity, filters: list[str]) -> bool:
    """Whether one of the filters, each `key=value,key`, holds all of its conditions."""
    return not filters or any(all(_holds(each, part) for part in wanted.split(",")) for wanted in filters)


def _holds(each: Entity, condition: str) -> bool:
    key, equals, value = condition.partition("=")
    found = _at(each, key)
    return found is not None and (not equals or str(found).lower() == value.lower())


def _at(each: Entity, key: str) -> Any:
    value: Any = each
    for step in key.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _selected(each: Entity, fields: list[str] | None) -> Entity:
    if not fields:
        return each
    selected: Entity = {}
    for path in (part for text in fields for part in text.split(",")):
        if (value := _at(each, path)) is not None:
            *folders, last = path.split(".")
            into = selected
            for folder in folders:
                into = into.setdefault(folder, {})
            into[last] = value
    return selected


def _decoded(cursor: str) -> Entity:
    try:
        value: Entity = json.loads(base64.b64decode(cursor, validate=True))
    except ValueError:
        raise Refusal(400, "InputError", "Malformed cursor") from None
    return value


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    backstage: Backstage


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    _PREFIX: ClassVar[str] = "/api/catalog"

    def do_GET(self) -> None:
        self._handle(None)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if len(content) > EXPRESS_LIMIT:
            self._send(Answer(413, b'{"error": {"name": "PayloadTooLargeError"}}'))
        else:
            self._handle(json.loads(content))

    def _handle(self, body: Any) -> None:
        backstage = self.server.backstage
        parts = urlsplit(self.path)
        request = Request(
            number=len(backstage.requests) + 1,
            path=parts.path.removeprefix(self._PREFIX),
            query=parse_qs(parts.query),
            body=body,
            token=(self.headers.get("Authorization") or "").removeprefix("Bearer ") or None,
        )
        backstage.requests.append(request)
        if instead := backstage.instead(request):
            self._send(instead)
            return
        try:
            answer = Answer(200, json.dumps(backstage.answer(request)).encode())
        except Refusal as refusal:
            error = {
                "error": {"name": refusal.name, "message": str(refusal)},
                "response": {"statusCode": refusal.status},
            }
            answer = Answer(refusal.status, json.dumps(error).encode())
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = answer.length is not None

    def log_message(self, *_: Any) -> None:
        """Keep silent."""
