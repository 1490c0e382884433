"""API tokens: what one looks like, and what may be said of a new one.

cg_Q2F0YWxvZ3JhcGggaXMgYSBncmFwaCBvZiB0aGluZ3M      BEGINNING, and 256 random bits as base64url
cg_Q2F0YWxv                                         its prefix, by which people know it again
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass
from datetime import datetime
from hashlib import sha256

from db.rules.filters import asks
from db.rules.refs import Ref
from db.rules.scopes import scopes_of

BEGINNING = "cg_"

_TOKEN = re.compile(BEGINNING + r"[A-Za-z0-9_-]{43}")
_PREFIX = 11  # characters
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class TokenCreateInput:
    """An API token to make."""

    name: str = asks("Its name: `ci`. It writes as `token:<name>`.", default=MISSING)
    scopes: tuple[str, ...] = asks("What it may do: `catalog:read`. `admin` brings all others.", default=MISSING)
    expires_at: datetime | None = asks("Until when it is good; null: until it is revoked.")
    user: Ref | None = asks("The User that it acts as; null: no person. `user:` may be left out.", kind="user")


@dataclass(frozen=True, slots=True)
class TokenRevokeInput:
    """Which API token is not good any more."""

    name: str = asks("Its name.", default=MISSING)


class Secret(str):
    """A token as its owner has it: a text whose `repr` shows the prefix only."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{prefix_of(self)}…>"


def is_token(text: str) -> bool:
    """Whether a text looks like a token, whether there is such a one or not."""
    return _TOKEN.fullmatch(text) is not None


def prefix_of(token: str) -> str:
    """How a token begins; this may be shown."""
    return token[:_PREFIX]


def digest_of(token: str) -> bytes:
    """What is kept of a token. 256 random bits cannot be guessed, so one plain round is enough."""
    return sha256(token.encode()).digest()


class WrongTokenError(ValueError):
    """A token that cannot be made: which field of the input is wrong, and why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check(wanted: TokenCreateInput, *, now: datetime) -> None:
    """Raises WrongTokenError."""
    if not _NAME.fullmatch(wanted.name):
        message = "A name has 1 to 63 letters, digits, `.`, `_` and `-`, and begins with a letter or a digit."
        raise WrongTokenError("name", message)
    if not wanted.scopes:
        raise WrongTokenError("scopes", "A token without a scope could do nothing; give it at least one.")
    try:
        scopes_of(wanted.scopes)
    except ValueError as error:
        raise WrongTokenError("scopes", f"{error}.") from None
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise WrongTokenError("expires_at", "That has passed; a token expires later than now.")
    if wanted.user is not None and wanted.user.kind != "user":
        raise WrongTokenError("user", f"A token acts as a User, and {wanted.user} is none.")
