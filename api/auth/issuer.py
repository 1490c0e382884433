"""People and programs with a token of an OpenID Connect provider."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from api.auth.jwt import LONGEST, Claims, Jwt, check_audience, check_issuer, check_times
from api.auth.keys import KeySet
from api.auth.provider import Provider
from api.settings import Settings
from db.rules.refs import Ref, RefError
from db.rules.scopes import Scope, scopes_of
from schema.caller import Caller
from schema.errors import Unauthenticated

MOST_KEPT = 10_000  # tokens that are known again; 7 MB

_EMAIL = "email"
_LONGEST_NAME = 255  # characters
_WORDS = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Trust:
    """Which tokens are taken, and what their claims mean."""

    issuer: str
    audience: str
    leeway: float = 30  # seconds
    user_claim: str = _EMAIL
    scope_claim: str = "scope"
    scopes: frozenset[Scope] = frozenset()  # that everybody has


@dataclass(frozen=True, slots=True)
class _Verified:
    """Whose token it is; with these keys only, since the next ones may lack its key, and not for ever."""

    caller: Caller
    keys: KeySet
    until: float


class Issuer:
    """Knows the owners of one provider's tokens. A token that was verified is known again in microseconds."""

    def __init__(self, trust: Trust, provider: Provider, now: Callable[[], float] = time.time) -> None:
        """`now`: in seconds since 1970."""
        self._trust, self._provider, self._now = trust, provider, now
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()  # by SHA-256 of the token

    async def run(self) -> None:
        """Keep the provider's keys fresh, until cancelled."""
        await self._provider.run()

    async def caller(self, token: str) -> Caller:
        """Whose token it is. Raises Unauthenticated, or Unavailable while the provider's keys are not known."""
        if len(token) > LONGEST:
            raise Unauthenticated("The token is too long")
        name = sha256(token.encode(errors="replace")).digest()
        known = self._verified.get(name)
        if known and known.keys is self._provider.keys and self._now() < known.until:
            self._verified.move_to_end(name)
            return known.caller
        verified = self._verified[name] = await self._verify(token)
        if len(self._verified) > MOST_KEPT:
            self._verified.popitem(last=False)
        return verified.caller

    async def _verify(self, token: str) -> _Verified:
        """What the token says first does not count; but tokens of others make no fetch, and are told what they are."""
        jwt = Jwt.parse(token)
        check_issuer(jwt.claims, self._trust.issuer)
        keys = await self._keys_for(jwt)
        check_audience(jwt.claims, self._trust.audience)
        until = check_times(jwt.claims, self._now(), self._trust.leeway)
        return _Verified(caller_of(jwt.claims, self._trust), keys, until)

    async def _keys_for(self, jwt: Jwt) -> KeySet:
        """The keys with which the token was verified. One that they lack may be new at the provider."""
        keys = self._provider.keys
        key = keys.find(jwt.kid, jwt.algorithm) if keys else None
        if keys is None or key is None:
            keys = await self._provider.newer_keys()
            key = keys.find(jwt.kid, jwt.algorithm)
        if key is None:
            raise Unauthenticated("The key of the token is not known" if jwt.kid else "The token does not name its key")
        if not jwt.is_signed_by(key):
            raise Unauthenticated("The signature of the token is wrong")
        return keys


def issuer_of(settings: Settings) -> Issuer | None:
    """Who knows the tokens of the provider that the settings name."""
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    trust = Trust(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        leeway=settings.oidc_leeway,
        user_claim=settings.oidc_user_claim,
        scope_claim=settings.oidc_scope_claim,
        scopes=settings.oidc_scopes,
    )
    return Issuer(trust, Provider(settings.oidc_issuer))


def caller_of(claims: Claims, trust: Trust) -> Caller:
    """Who the claims of a verified token speak of. Raises Unauthenticated when they name nobody."""
    is_email = trust.user_claim == _EMAIL
    name = _email(claims) if is_email else _name(_claim(claims, trust.user_claim))
    identity = _name(claims.get("sub"))
    if name is None and identity is None:
        raise Unauthenticated("The token does not say whose it is")
    return Caller(
        f"oidc:{name}" if name else f"oidc-sub:{identity}",  # what one may be called, another one may be
        trust.scopes | scopes_of(_words(_claim(claims, trust.scope_claim))),
        user=None if is_email or name is None else _user(name),
        email=name if is_email else None,
        acts_as_owner=True,
    )


def _email(claims: Claims) -> str | None:
    """The address, in lower case; none that somebody only says is theirs. Some providers say so with a text.

    Other letters than those of ASCII are not taken: in lower case, some of them are.
    """
    if claims.get("email_verified") in (False, "false"):
        return None
    address = _name(claims.get(_EMAIL))
    return address.lower() if address and address.isascii() else None


def _user(name: str) -> Ref | None:
    """The User of that name; None for what can be none. A ref is no name: people may choose theirs."""
    try:
        return None if {":", "/"} & set(name) else Ref.parse(name, kind="user")
    except RefError:
        return None


def _name(value: object) -> str | None:
    """A text that may stand in a log and in the database."""
    fits = isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= _LONGEST_NAME
    return str(value) if fits else None


def _words(value: object) -> Iterator[str]:
    """The scopes among what a claim says: a text with blanks, or a list. Other words are somebody else's."""
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else ()
    return (word for word in words if isinstance(word, str) and word in _WORDS)


def _claim(claims: Claims, name: str) -> Any:
    """The claim of that name, or what a path with dots leads to: `realm_access.roles`."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(part)
    return found
