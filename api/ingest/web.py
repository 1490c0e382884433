"""Pages of the web: http and https, from listed hosts only, at addresses that were checked, and never without a bound.

What a catalog file says decides which URLs are fetched, and anybody may write one. So a URL is parsed once, here, and
its host must be listed; so must that of each redirect. The name is looked up once, every address is checked, and the
connection goes to a checked address: the name cannot lead elsewhere between the check and the use. Proxies of the
environment are not used; they would look up the name themselves.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Self
from urllib.parse import quote, unquote, urldefrag, urlencode, urljoin, urlsplit

import httpcore2
import orjson
from pydantic import SecretStr

from api.ingest.errors import SourceError
from db.rules.records import Json
from db.rules.yaml import MAX_BYTES

MAX_REDIRECTS = 5

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SUCCESSES = range(200, 300)
_NOT_MODIFIED = 304
_PIECE = 65_536  # bytes that are decompressed at a time

# What IPv6-only networks reach IPv4 by; the last 32 bits are the address that is meant (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")


class WebError(SourceError):
    """A URL that gives nothing, and why. The message names the URL without its query, which may hold a secret."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: str | None = None) -> None:
        """`status` and `retry_after` are those of the answer, where there was one; the second is the header as sent."""
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Host:
    """A host that may be read."""

    name: str  # `github.com` means its ports 80 and 443; `backstage.internal:7007` that one
    private: bool = False  # it may have private and loopback addresses, and be given its token without TLS
    token: SecretStr | None = None  # sent as `Authorization: Bearer` to exactly this host

    def __post_init__(self) -> None:
        """Raises ValueError for what is no host."""
        _ports_of(self.name)


@dataclass(frozen=True, slots=True)
class Place:
    """A URL that was parsed and found harmless in form; what is checked is what is used."""

    scheme: str  # http or https
    host: str  # lower case; an IPv6 address without brackets
    port: int
    target: str  # path and query, in ASCII

    @classmethod
    def of(cls, url: str) -> Self:
        """Raises WebError for what is no http(s) URL, or tries to look like another one. A fragment is dropped."""
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme, parts.hostname or "", parts.port
        except ValueError as error:
            raise WebError(f"{shown(url)}: it is no URL") from error
        if scheme not in _PORTS:
            raise WebError(f"{shown(url)}: only http and https are read")
        if "@" in parts.netloc:
            raise WebError("a URL must not hold a user name or password; a host's token is set where hosts are listed")
        if not _is_host(host) or "\\" in url or not url.isprintable():
            raise WebError(f"{shown(url)}: it is no URL")
        if not {".", ".."}.isdisjoint(unquote(parts.path).split("/")):
            raise WebError(f"{shown(url)}: its path holds `.` or `..`")
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        query = quote(parts.query, safe="/%:@!$&'()*+,;=~?")
        return cls(scheme, host, port or _PORTS[scheme], f"{path}?{query}" if query else path)

    @property
    def origin(self) -> str:
        """Scheme, host and port, as `https://example.com` or `http://[::1]:8080`."""
        return f"{self.scheme}://{_joined(self.host, None if self.port == _PORTS[self.scheme] else self.port)}"

    @property
    def url(self) -> str:
        """The URL in its one form."""
        return self.origin + self.target


@dataclass(frozen=True, slots=True)
class Page:
    """What a URL gave."""

    content: bytes
    url: str  # where redirects led to
    status: int  # 200 to 299, or 304 where the request was conditional
    headers: Mapping[str, str] = field(default_factory=dict)  # by lower-case name

    @property
    def etag(self) -> str | None:
        """What `If-None-Match` may ask with the next time."""
        return self.headers.get("etag")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it arrives; to be read or closed before the next request."""

    url: str
    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]  # decompressed; raises WebError
    response: httpcore2.Response

    def close(self) -> None:
        """Read no further."""
        self.response.close()


class Web:
    """Reads pages of the listed hosts, one at a time: an object belongs to one thread."""

    def __init__(self, hosts: Iterable[Host], *, timeout: float = 30) -> None:
        """`timeout`: seconds for one page, from the look-up of its name to its last byte, redirects included."""
        self._hosts = {(_ports_of(host.name)[0], port): host for host in hosts for port in _ports_of(host.name)[1]}
        self._timeout = timeout
        self._deadline = _Deadline(timeout)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            keepalive_expiry=timeout,
            network_backend=_CheckedAddresses(self._hosts, self._deadline),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; a request that another thread waits for ends with a WebError."""
        self._deadline.end()
        self._pool.close()

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        most: int = MAX_BYTES,
    ) -> Page:
        """The page at a URL, redirects followed. `most`: in bytes, decompressed.

        Raises WebError for a host that is not listed, an address that may not be read, an answer that is none or not
        2xx, and for more than `most`.
        """
        if params:
            url = urldefrag(url).url + ("&" if "?" in url else "?") + urlencode(params)
        return _page(self.open("GET", url, headers=headers, most=most))

    def post(self, url: str, json: Json, *, headers: Mapping[str, str] | None = None, most: int = MAX_BYTES) -> Page:
        """What a URL answers to a JSON value. Redirects are errors; all else is as with `get`."""
        typed = {"Content-Type": "application/json", **(headers or {})}
        return _page(self.open("POST", url, headers=typed, content=orjson.dumps(json), most=most))

    def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        most: int = MAX_BYTES,
        within: float | None = None,
    ) -> Answer:
        """As `get` and `post`, without waiting for the whole answer.

        `within`: seconds for all of it, in which the timeout bounds each step only; None: the timeout is for all.
        """
        self._deadline.start(within or self._timeout)
        place, headers = Place.of(url), headers or {}
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._answer(method, place, headers, content, most)
            leads_to = answer.headers.get("location")
            if answer.status not in _REDIRECTS or leads_to is None:
                return _accepted(answer)
            answer.close()
            if method != "GET":
                raise WebError(f"{shown(place.url)}: it redirects, which only a page may", status=answer.status)
            here, place = place, Place.of(urljoin(place.url, leads_to))
            if place.origin != here.origin:  # which is not told what was meant for the first one
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        raise WebError(f"{shown(url)}: it redirects more than {MAX_REDIRECTS} times")

    def host(self, place: Place) -> Host:
        """The listed host of a URL. Raises WebError when there is none."""
        host = self._hosts.get((place.host, place.port))
        if host is None:
            name = _joined(place.host, None if place.port in _PORTS.values() else place.port)
            raise WebError(f"{shown(place.url)}: {name} is not on the list of hosts that may be read")
        return host

    def _answer(
        self, method: str, place: Place, headers: Mapping[str, str], content: bytes | None, most: int
    ) -> Answer:
        sent = {
            "host": place.origin.partition("://")[2],
            "user-agent": "catalograph",
            "accept": "*/*",
            "accept-encoding": "gzip",
            **_authorization(self.host(place), place),
            **({} if content is None else {"content-length": str(len(content))}),
            **{name.lower(): value for name, value in headers.items()},
        }
        request = httpcore2.Request(
            method,
            httpcore2.URL(scheme=place.scheme, host=place.host, port=place.port, target=place.target),
            headers=list(sent.items()),
            content=content,
        )
        with _in_words(place):
            response = self._pool.handle_request(request)
        received = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        chunks = _chunks(place, response, received.get("content-encoding", "identity"), most)
        return Answer(place.url, response.status, received, chunks, response)


def host_of(url: str) -> str:
    """The host of a URL as `Host.name` has it: `github.com`, `backstage.internal:7007`. Raises WebError for no URL."""
    place = Place.of(url)
    return _joined(place.host, None if place.port in _PORTS.values() else place.port)


def shown(url: str) -> str:
    """A URL for a message: its query and its user may hold a secret."""
    kept = re.sub(r"//[^/?#]*@", "//", url.partition("?")[0])
    return f"{kept}?…" if "?" in url else kept


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name. Raises OSError when it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_allowed(address: str, *, private: bool) -> bool:
    """Whether an address may be read: a public one, and of a private host also a private or loopback one."""
    meant = _meant(ip_address(address))
    if meant.is_link_local or meant.is_multicast or meant.is_unspecified:
        return False  # link-local: where clouds serve a machine's own credentials
    local = isinstance(meant, IPv6Address) and meant.is_site_local
    return private or (meant.is_global and not meant.is_reserved and not local)


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that is inside an IPv6 one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


class _Deadline:
    """When a request has to be done, whatever it is doing."""

    def __init__(self, step: float) -> None:
        self._step = step  # seconds
        self._at = 0.0

    def start(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def end(self) -> None:
        self._at = 0.0

    def left(self) -> float:
        """Seconds that the next step may take."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout
        return min(left, self._step)


class _CheckedAddresses(httpcore2.NetworkBackend):
    """Connects to addresses that may be read, and to no name."""

    def __init__(self, hosts: Mapping[tuple[str, int], Host], deadline: _Deadline) -> None:
        self._hosts = hosts
        self._deadline = deadline
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """The first address that answers. Raises WebError when one of them may not be read."""
        try:
            addresses = resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"there is no address of {host}") from error
        for address in addresses:
            if not is_allowed(address, private=self._hosts[host, port].private):
                hint = "" if self._hosts[host, port].private else "; a host may be listed as private, if that is meant"
                raise WebError(f"{host} leads to {address}, which may not be read{hint}")
        refusal: Exception = httpcore2.ConnectError(f"there is no address of {host}")
        for address in addresses:
            try:
                stream = self._sockets.connect_tcp(address, port, self._deadline.left(), socket_options=socket_options)
            except httpcore2.ConnectError as error:
                refusal = error
            else:
                return _TimedStream(stream, self._deadline)
        raise refusal


class _TimedStream(httpcore2.NetworkStream):
    """A connection whose every step ends at the deadline: a byte now and then does not keep it open."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left())

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        return _TimedStream(secured, self._deadline)

    def close(self) -> None:
        with suppress(OSError):  # wakes a thread that waits for the other side
            socket.socket.shutdown(self._stream.get_extra_info("socket"), socket.SHUT_RDWR)
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _page(answer: Answer) -> Page:
    try:
        return Page(b"".join(answer.chunks), answer.url, answer.status, answer.headers)
    finally:
        answer.close()


def _accepted(answer: Answer) -> Answer:
    if answer.status in _SUCCESSES or answer.status == _NOT_MODIFIED:
        return answer
    answer.close()
    message = f"{shown(answer.url)}: it answers {answer.status}"
    raise WebError(message, status=answer.status, retry_after=answer.headers.get("retry-after"))


def _chunks(place: Place, response: httpcore2.Response, encoding: str, most: int) -> Iterator[bytes]:
    """The bytes of an answer, decompressed; never more than one chunk above `most`."""
    length = 0
    with _in_words(place):
        for chunk in _decoded(place, response.iter_stream(), encoding.strip().lower()):
            length += len(chunk)
            if length > most:
                raise WebError(f"{shown(place.url)}: it has more than {most:,} bytes")
            yield chunk


def _decoded(place: Place, chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """A small piece may become a large one: it is decompressed piece by piece."""
    if encoding == "identity":
        yield from chunks
        return
    if encoding not in {"gzip", "x-gzip"}:
        raise WebError(f"{shown(place.url)}: it is compressed with {encoding}, which nobody asked for")
    gzip = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                yield gzip.decompress(rest, _PIECE)
                rest = gzip.unconsumed_tail
        yield gzip.flush()
    except zlib.error as error:
        raise WebError(f"{shown(place.url)}: it is not compressed as it says") from error
    if not gzip.eof:
        raise WebError(f"{shown(place.url)}: it ends in the middle")


@contextmanager
def _in_words(place: Place) -> Iterator[None]:
    """Say what went wrong on the way."""
    try:
        yield
    except httpcore2.TimeoutException as error:
        raise WebError(f"{shown(place.url)}: it takes too long") from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as error:
        raise WebError(f"{shown(place.url)}: {str(error) or 'the connection broke off'}") from error


def _authorization(host: Host, place: Place) -> dict[str, str]:
    if host.token is None:
        return {}
    if place.scheme == "http" and not host.private:
        raise WebError(f"{shown(place.url)}: the token of {host.name} is sent over https only")
    return {"authorization": f"Bearer {host.token.get_secret_value()}"}


def _ports_of(name: str) -> tuple[str, tuple[int, ...]]:
    """The host and the ports that a name on the list stands for. Raises ValueError for what is no host."""
    refusal = ValueError(f"{name!r} is no host; write it as github.com or as backstage.internal:7007")
    try:
        parts = urlsplit(f"//{name}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise refusal from None
    if parts.netloc != name or name.endswith(":") or "@" in name or not _is_host(host):
        raise refusal
    return host, tuple(_PORTS.values()) if port is None else (port,)


def _is_host(host: str) -> bool:
    """Whether it is a name or an address; a name of other than ASCII letters has to be written as `xn--...`."""
    if ":" not in host:
        return _NAME.fullmatch(host) is not None
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _joined(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"
