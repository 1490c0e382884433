"""The keys that a provider publishes (JWKS, RFC 7517), and what each may have signed.

An algorithm belongs to a key, never to a token: that is the end of `none`, and of HMAC with a public key as secret.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_BY_CURVE = {
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
    "Ed25519": frozenset({"EdDSA", "Ed25519"}),  # the second is its name since RFC 9864
}

ALGORITHMS = _RSA.union(*_BY_CURVE.values())
"""In which ways a token may be signed."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signs tokens, by its public half."""

    kid: str | None
    algorithms: frozenset[str]
    key: Key

    @classmethod
    def of(cls, jwk: Mapping[str, Any]) -> Self | None:
        """The key that a JWK describes; None for one that signs no tokens, is too weak, or is not understood."""
        kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
        if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
            return None
        if not isinstance(kid, str | None):
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", SecurityWarning)  # of RSA with less than 2048 bits
                key = JWKRegistry.import_key(dict(jwk))
        except (JoseError, SecurityWarning, ValueError, TypeError, KeyError):
            return None
        algorithms = _algorithms(key)
        if "alg" in jwk:
            algorithms &= {str(jwk["alg"])}
        return cls(kid, algorithms, key) if algorithms else None

    def has_signed(self, message: bytes, signature: bytes, algorithm: str) -> bool:
        """Whether a signature by one of `algorithms` is that of this key."""
        return algorithm in self.algorithms and JWSRegistry.algorithms[algorithm].verify(message, signature, self.key)


@dataclass(frozen=True, slots=True, eq=False)
class KeySet:
    """The keys of one document, which is kept to be compared with the next."""

    document: Mapping[str, Any]
    keys: tuple[PublicKey, ...]

    @classmethod
    def of(cls, document: Any) -> Self:
        """The usable keys of a JWKS; those of other sorts are passed over. Raises ValueError for what is none."""
        if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
            raise ValueError("it has no list of `keys`")  # noqa: TRY004 - it is about a text, not about our types
        return cls(document, tuple(_usable(document["keys"])))

    def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key of that name which may sign so; without a name, the only one that may. None: there is none."""
        fitting = [key for key in self.keys if algorithm in key.algorithms and kid in (None, key.kid)]
        return fitting[0] if len(fitting) == 1 else None


def _usable(jwks: list[Any]) -> Iterator[PublicKey]:
    for jwk in jwks:
        if isinstance(jwk, dict) and (key := PublicKey.of(jwk)):
            yield key


def _algorithms(key: Key) -> frozenset[str]:
    match key:
        case RSAKey():
            return _RSA
        case ECKey() | OKPKey():
            return _BY_CURVE.get(key.curve_name, frozenset())
    return frozenset()  # a secret, which has no place among public keys
