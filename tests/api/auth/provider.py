"""A small OpenID Connect provider on loopback, with all the ways in which providers fail; and tokens, good and bad."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

NOW = 1_800_000_000  # seconds since 1970: when the tests take place
AUDIENCE = "catalograph"

CONFIGURATION = "/.well-known/openid-configuration"
KEYS = "/keys"


@cache
def rsa(kid: str) -> Key:
    return RSAKey.generate_key(2048, {"kid": kid})


@cache
def ec(kid: str, curve: str = "P-256") -> Key:
    return ECKey.generate_key(curve, {"kid": kid})


@cache
def ed(kid: str) -> Key:
    return OKPKey.generate_key("Ed25519", {"kid": kid})


def public(key: Key, **more: Any) -> dict[str, Any]:
    """What a provider publishes of a key; None leaves something out."""
    jwk = {**key.as_dict(private=False), **more}
    return {name: value for name, value in jwk.items() if value is not None}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def packed(value: object) -> str:
    return b64(json.dumps(value).encode())


def signed(key: Key, algorithm: str, claims: object, **header: Any) -> str:
    """A token. Of the header, `kid` is the key's, unless said otherwise; None leaves something out."""
    said = {"alg": algorithm, "typ": "JWT", "kid": key.kid, **header}
    text = f"{packed({name: value for name, value in said.items() if value is not None})}.{packed(claims)}"
    return f"{text}.{b64(JWSRegistry.algorithms[algorithm].sign(text.encode(), key))}"


class LocalProvider:
    """Serves its configuration and its keys, until told otherwise."""

    def __init__(self) -> None:
        self.port = 0
        self.jwks: list[Any] = [public(rsa("r1")), public(ec("e1")), public(ed("d1"))]
        self.instead: dict[str, bytes] = {}  # by path: an answer, head and all, in place of the right one
        self.asked: list[str] = []  # the paths
        self.go = asyncio.Event()  # cleared: nothing is answered
        self.go.set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def fetches(self) -> int:
        return self.asked.count(KEYS)

    @property
    def configuration(self) -> dict[str, Any]:
        return {"issuer": self.url, "jwks_uri": self.url + KEYS}

    def claims(self, **more: Any) -> dict[str, Any]:
        """Those of a good token; None leaves something out."""
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "u-1", "iat": NOW, "exp": NOW + 300, **more}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key: Key | None = None, algorithm: str = "RS256", **claims: Any) -> str:
        return signed(key or rsa("r1"), algorithm, self.claims(**claims))

    def say(self, path: str, body: bytes, head: str = "200 OK\r\ncontent-type: application/json") -> None:
        self.instead[path] = f"HTTP/1.1 {head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    def say_json(self, path: str, value: object) -> None:
        self.say(path, json.dumps(value).encode())

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            for writer in self._open:
                writer.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split()[1].decode()
                self.asked.append(path)
                await self.go.wait()
                writer.write(self.instead.get(path) or _answer(self._documents().get(path)))
                await writer.drain()
                if path in self.instead:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._open.discard(writer)
            writer.close()

    def _documents(self) -> Mapping[str, object]:
        return {CONFIGURATION: self.configuration, KEYS: {"keys": self.jwks}}


def _answer(document: object) -> bytes:
    body = json.dumps(document).encode()
    status = "200 OK" if document else "404 Not Found"
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def providing() -> AsyncIterator[LocalProvider]:
    """A provider that runs until the block ends."""
    provider = LocalProvider()
    await provider.start()
    try:
        yield provider
    finally:
        provider.go.set()
        await provider.stop()
