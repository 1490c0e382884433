"""Signed JSON Web Tokens (RFC 7519 in the compact form of RFC 7515): their parts, and what their claims must say.

Of a token's header only `alg`, `kid` and `typ` count. `jwk`, `jku`, `x5c` and `x5u`, by which a token would bring its
own key, are never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson
from joserfc.util import urlsafe_b64decode

from api.auth.keys import ALGORITHMS, PublicKey
from schema.errors import Unauthenticated

LONGEST = 16_000  # characters; most have one or two thousand, and a server's headers end at 64,000

_TYPES = frozenset({"jwt", "at+jwt"})  # RFC 7519, section 5.1, and RFC 9068, section 2.1
_PARTS, _PARTS_ENCRYPTED = 3, 5

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Jwt:
    """A token that has the form of one. Its claims are only claims until `is_signed_by` says so."""

    kid: str | None  # the name of its key
    algorithm: str  # one of ALGORITHMS
    claims: Claims
    signed: bytes
    signature: bytes

    @classmethod
    def parse(cls, token: str) -> Self:
        """The parts of a token. Raises Unauthenticated for what is none, or is of a sort that is not taken."""
        parts = token.encode(errors="replace").split(b".")
        if len(parts) == _PARTS_ENCRYPTED:
            raise Unauthenticated("Encrypted tokens are not taken")
        if len(parts) != _PARTS:
            raise Unauthenticated("This is no JSON Web Token")
        header, claims, signature = map(_decoded, parts)
        fields = _object(header)
        kid, algorithm = fields.get("kid"), fields.get("alg")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise Unauthenticated("The token is signed in a way that is not taken")
        if not isinstance(kid, str | None):
            raise Unauthenticated("This is no JSON Web Token")
        _check_sort(fields)
        return cls(kid, algorithm, _object(claims), parts[0] + b"." + parts[1], signature)

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether the owner of a key has signed the token, in its way."""
        return key.has_signed(self.signed, self.signature, self.algorithm)


def check_issuer(claims: Claims, issuer: str) -> None:
    """Raises Unauthenticated for a token that does not say that it is from `issuer`, to the letter."""
    if claims.get("iss") != issuer:
        raise Unauthenticated("The token is from another issuer")


def check_audience(claims: Claims, audience: str) -> None:
    """Raises Unauthenticated for a token that is not meant for `audience`, or for others only."""
    meant = claims.get("aud")
    if meant != audience and not (isinstance(meant, list) and audience in meant):
        raise Unauthenticated("The token is for another audience")


def check_times(claims: Claims, now: float, leeway: float) -> float:
    """When the token ends, leeway included. Raises Unauthenticated for one that has ended or has not begun.

    All are in seconds, and times are counted since 1970. From the very second of `exp` on a token has ended, and from
    the very second of `nbf` on it has begun (RFC 7519, section 4.1).
    """
    expires, begins, issued = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise Unauthenticated("The token has no expiry")
    if now >= expires + leeway:
        raise Unauthenticated("The token has expired")
    if begins is not None and now < begins - leeway:
        raise Unauthenticated("The token is not valid yet")
    if issued is not None and now < issued - leeway:
        raise Unauthenticated("The token was issued in the future")
    return expires + leeway


def _check_sort(header: Claims) -> None:
    """Refuse what is signed like an access or ID token, and is something else."""
    if "crit" in header or "b64" in header:  # extensions; none is understood (RFC 7515, section 4.1.11)
        raise Unauthenticated("The header of the token demands what is not understood")
    if "cty" in header:
        raise Unauthenticated("Tokens inside of tokens are not taken")
    sort = header.get("typ", "JWT")
    if not isinstance(sort, str) or sort.lower().removeprefix("application/") not in _TYPES:
        raise Unauthenticated("The token is of another type than JWT")


def _decoded(part: bytes) -> bytes:
    try:
        return urlsafe_b64decode(part)
    except ValueError:
        raise Unauthenticated("This is no JSON Web Token") from None


def _object(text: bytes) -> Claims:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise Unauthenticated("This is no JSON Web Token")
    return value


def _time(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated("The token has a time that is none")
    return float(value)
