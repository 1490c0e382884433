"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network

from db.rules.refs import Ref
from db.rules.scopes import Scope

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, and what they may do.

    `subject` is who it is in the log of changes: `token:ci`, `oidc:ada@example.com` or `anonymous`. A person is a User
    of the catalog, named by `user` or by an address that was verified, `email`; it may be that there is none.
    `acts_as_owner` says whether to own something counts as a right: for people who have signed in it does, and a token
    that somebody made for a purpose is bound by its scopes.
    """

    subject: str
    scopes: frozenset[Scope] = frozenset()
    user: Ref | None = None
    email: str | None = None
    acts_as_owner: bool = False
    address: str = ""  # of somebody unknown: where they ask from

    @property
    def identity(self) -> str:
        """Whose requests are counted together; of somebody unknown, those from one address, or one network of IPv6."""
        return self.subject if self.subject != ANONYMOUS else f"{ANONYMOUS}:{_network(self.address)}"

    @property
    def is_person(self) -> bool:
        """Whether it may be a User of the catalog, who may own things."""
        return self.user is not None or self.email is not None


def _network(address: str) -> str:
    """The address itself, but of IPv6 its /64: there a single customer has that many addresses."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return address
    return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
