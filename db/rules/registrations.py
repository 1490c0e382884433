"""What a client may say of an entity that it writes: the inputs of mutations, as plain values."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import NewType

from db.rules.filters import asks
from db.rules.records import Json
from db.rules.refs import Ref

DescriptorText = NewType("DescriptorText", str)  # as long as a request may be; its reader judges it

_ENTITY = "The whole document as JSON: `apiVersion`, `kind`, `metadata` and `spec`, as in a catalog-info.yaml."
_YAML = "The same as the text of a catalog-info.yaml with one document. Exactly one of the two is given."
_ETAG = "The etag that it had when you read it. Where it has another by now, nothing is written."


@dataclass(frozen=True, slots=True)
class EntityRegisterInput:
    """An entity to add."""

    entity: Json | None = asks(_ENTITY)
    yaml: DescriptorText | None = asks(_YAML)


@dataclass(frozen=True, slots=True)
class EntityUpdateInput:
    """An entity to replace, whole: what is left out is gone."""

    expected_etag: str = asks(_ETAG, default=MISSING)
    entity: Json | None = asks(_ENTITY)
    yaml: DescriptorText | None = asks(_YAML)


@dataclass(frozen=True, slots=True)
class EntityUnregisterInput:
    """An entity to remove."""

    ref: Ref = asks("Which one. A ref needs its kind: `component:dice-roller`.", default=MISSING)
    expected_etag: str = asks(_ETAG, default=MISSING)
