"""For tests of what is read from the web: a small site on this machine, which may misbehave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from api.ingest.web import Host


@dataclass(frozen=True)
class Reply:
    """What the site answers at a path."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What the site was asked."""

    method: str
    path: str  # with its query
    headers: Mapping[str, str]  # by lower-case name
    body: bytes


Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Site:
    """Pages by path, and what was asked for them; a path without a page is a 404."""

    port: int = 0
    pages: dict[str, Reply | Behaviour] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    closing: Event = field(default_factory=Event)

    @property
    def host(self) -> Host:
        """The site as a listed host."""
        return Host(f"127.0.0.1:{self.port}", private=True)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The URL of a path."""
        return f"http://{host}:{self.port}{path}"

    def write(self, path: str, *documents: str) -> str:
        """Put documents on a page, and say where."""
        self.pages[path] = Reply("---\n".join(documents).encode())
        return self.url(path)

    def redirect(self, path: str, to: str, status: int = 302) -> str:
        """Let a page lead elsewhere, and say where the page is."""
        self.pages[path] = Reply(status=status, headers={"Location": to})
        return self.url(path)

    def asked(self) -> list[str]:
        """The paths that were asked for."""
        return [request.path for request in self.requests]


@contextmanager
def serving() -> Iterator[Site]:
    """A site that answers while the context lasts."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            site.requests.append(
                Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            )
            page = site.pages.get(self.path, Reply(status=404))
            if not isinstance(page, Reply):
                self.close_connection = True
                page(self)
                return
            self.send_response(page.status)
            for name, value in {"Content-Length": str(len(page.body)), **page.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(page.body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Whoever asked has gone: some tests are about that."""

    with Server(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield site
        finally:
            site.closing.set()
            server.shutdown()
            thread.join()
