"""People and programs with a token of an OpenID Connect provider."""

from __future__ import annotations

from api.auth.authenticator import Knows
from api.settings import Settings


def issuer_of(settings: Settings) -> Knows | None:
    """Who knows the tokens of the provider that the settings name."""
    if settings.oidc_issuer is None:
        return None
    raise NotImplementedError
