"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from db.rules.refs import Ref
from db.rules.scopes import EVERYTHING, Scope

ANONYMOUS = "anonymous"

_IPV6 = 6


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, and what they may do.

    `subject` is who it is in the log of changes: `token:ci`, `oidc:ada@example.com` or `anonymous`. A person is a User
    of the catalog, named by `user` or by an address that was verified, `email`; it may be that there is none.
    """

    subject: str
    scopes: frozenset[Scope] = frozenset()
    user: Ref | None = None
    email: str | None = None
    address: str = ""  # of somebody unknown: where they ask from

    @property
    def identity(self) -> str:
        """Whose requests are counted together; of somebody unknown, those from one address, or one network of IPv6."""
        return self.subject if self.subject != ANONYMOUS else f"{ANONYMOUS}:{_network(self.address)}"

    @property
    def is_person(self) -> bool:
        """Whether it may be a User of the catalog, who may own things."""
        return self.user is not None or self.email is not None


ANYBODY = Caller(ANONYMOUS, EVERYTHING)
"""Whoever asks where nobody is asked who they are."""


def _network(address: str) -> str:
    """The address itself, but of IPv6 its /64: there a single customer has that many addresses."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if found.version == _IPV6 else address
