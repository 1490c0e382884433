"""The sources of a process, as its settings have them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from api.ingest.declarations import Access
from api.ingest.declared import Sources, SourcesError
from api.settings import Settings, SettingsError, variable_of


def sources_of(settings: Settings, environ: Mapping[str, str] = os.environ) -> Sources:
    """The sources that the settings declare, with tokens from `environ`. Raises SettingsError."""
    access = Access(roots=settings.source_roots, clones=settings.data_dir / "clones", environ=environ)
    if settings.sources is None:
        return Sources(access)
    try:
        return Sources.read(settings.sources, access)
    except SourcesError as error:
        raise SettingsError(f"{variable_of('sources')}:\n{error}") from error
