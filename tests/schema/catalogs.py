"""Generated catalogs: small, and full of what makes filters and orders differ.

Names that are equal without case, titles in an order that only bytes have, values of every JSON type where a path may
lead, owners that nobody knows, circles of groups, parts and dependencies. A number makes a catalog, always the same;
which questions are asked of it is hypothesis' business (`tests.schema.questions`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from db.rules.fields import Field, Shape
from db.rules.kinds import KINDS, OTHER_LINKS

Json = Any

ODD_TEXTS = (
    *("a", "A", "b", "Z", "~", "1", "10", "9", "3.0", "true", "null", " ", "a b", "a%", "a_", "a\\", "%", "_", "'", '"'),
    *("é", "É", "e\u0301", "ß", "ﬀ", "İ", "\uff5e", "\U0001f600", "\U0001f600\U0001f3b5", "\U0001d4b3", "\t", "x\ny", "\u2028"),
    *("x" * 255, "x" * 256, "x" * 255 + "y"),
)  # fmt: skip
NUMBERS = (
    *(0, 1, 2, 3, 9, 10, -1, 255, 2**31, 2**53, -(2**53), 0.1, 0.5, 1.5, -0.5, 0.30000000000000004, 1 / 3),
    *(1e21, 1e23, 1.7976931348623157e308, -1e308, 5e-324, 1e-7, 123456789.12345679),
)
_NAMES = ("a", "A", "a-1", "a_1", "A.1", "alpha", "Alpha", "ALPHA", "beta", "Beta", "z", "Zz", "0", "10", "9")
_NAMESPACES = ("default", "default", "default", "edge", "lab-1")
_KINDS = (
    *("Component", "Component", "Component", "Component", "Resource", "Resource", "API", "System", "System"),
    *("Domain", "Domain", "Group", "Group", "Group", "Group", "User", "User", "Location", "Template"),
    *("AiResource", "airesource", "Robot"),
)
_TITLES = ("alpha", "Alpha", "ALPHA", "alpha beta", "al%a", "al_a", "al\\a", "ålpha")
_TYPES = ("service", "Service", "services", "website", "team", "x" * 254, "x" * 255, "x" * 256, "x" * 255 + "y")
_TAGS = ("a", "a-b", "b", "c++", "c#", "go", "python", "10", "9")
_KEYS = ("tier", "Tier", "a", "app.kubernetes.io/name", "x.y/z_1", "backstage.io/managed-by")
_LABELS = ("", "gold", "Gold", "1", "10", "a.b", "x_1")
_STEPS = ("tier", "size", "list", "m~n", "a/b", "", "0", "1", "01", "-1", "é", "~1", "spec")

_FOREIGN = "example.com/v1"


@dataclass(frozen=True)
class DrawnCatalog:
    """What to ingest first, and what then: the first documents are some of the last, in another version or not."""

    first: list[dict[str, Json]]
    last: list[dict[str, Json]]


def text_of(documents: Iterable[dict[str, Json]]) -> str:
    """The descriptor file of these documents; JSON is YAML."""
    return "---\n".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)


def drawn_catalog(number: int) -> DrawnCatalog:
    """The catalog of this number: 10 to 40 entities, of which some are as old as others and some are not."""
    chance = Random(number)
    names = _identities(chance)
    last = [_Author(chance, names, name).document() for name in names]
    first = [_older(chance, document) for document in last if chance.random() < 0.6]
    return DrawnCatalog(first, last)


def _older(chance: Random, document: dict[str, Json]) -> dict[str, Json]:
    if chance.random() < 0.5:
        return document
    return {**document, "metadata": {**document["metadata"], "title": "As it was"}}


@dataclass(frozen=True)
class _Identity:
    """What names an entity, as its file has it."""

    kind: str
    namespace: str
    name: str

    @property
    def ref(self) -> str:
        return f"{self.kind}:{self.namespace}/{self.name}".lower()


def _identities(chance: Random) -> list[_Identity]:
    drawn = (
        _Identity(chance.choice(_KINDS), chance.choice(_NAMESPACES), chance.choice(_NAMES))
        for _ in range(chance.randint(14, 60))
    )
    return list({identity.ref: identity for identity in drawn}.values())[:40]


class _Author:
    """Writes the document of one entity, who knows the names of all."""

    def __init__(self, chance: Random, names: list[_Identity], whose: _Identity) -> None:
        self._chance = chance
        self._names = names
        self._whose = whose

    def document(self) -> dict[str, Json]:
        known = KINDS.get(self._whose.kind)
        if known is None or self._likely(0.1):
            return {"apiVersion": _FOREIGN, "kind": self._whose.kind, "metadata": self._metadata(), **self._any_spec()}
        spec = {field.name: self._value(field) for field in known.fields if self._is_given(field)}
        api_version = self._chance.choice(sorted(known.api_versions))
        extras = {key: value for key, value in self._mapping(3).items() if key not in spec}
        return {
            "apiVersion": api_version,
            "kind": self._whose.kind,
            "metadata": self._metadata(),
            "spec": {**extras, **spec},
        }

    def _metadata(self) -> dict[str, Json]:
        metadata: dict[str, Json] = {"name": self._whose.name}
        if self._whose.namespace != "default" or self._likely(0.3):
            metadata["namespace"] = self._whose.namespace
        drawn: dict[str, Json] = {
            "title": self._chance.choice((*_TITLES, *_TITLES, *ODD_TEXTS)),
            "description": self._chance.choice(("", *ODD_TEXTS)),
            "tags": self._some(_TAGS),
            "labels": {key: self._chance.choice(_LABELS) for key in self._some(_KEYS)},
            "annotations": {key: self._chance.choice(("", "", *_TITLES, *ODD_TEXTS)) for key in self._some(_KEYS)},
            "x-info": self._json(2),
        }
        return metadata | {key: value for key, value in drawn.items() if self._likely(0.6)}

    def _any_spec(self) -> dict[str, Json]:
        """The spec of a kind without rules, which may have none."""
        if self._likely(0.1):
            return {}
        spec = self._mapping(4)
        for field in OTHER_LINKS:
            if self._likely(0.7):
                spec[field.name] = self._value(field) if self._likely(0.7) else self._json(1)
        for name in ("type", "lifecycle"):
            if self._likely(0.7):
                spec[name] = self._chance.choice(_TYPES) if self._likely(0.7) else self._json(1)
        return {"spec": spec}

    def _is_given(self, field: Field) -> bool:
        """Locations point nowhere: what a run follows is tested elsewhere."""
        return field.required or (field.name not in {"target", "targets", "presence"} and self._likely(0.5))

    def _value(self, field: Field) -> Json:
        if field.link is not None:
            if field.shape in {Shape.TEXTS, Shape.TEXT_OR_TEXTS}:
                return [self._ref(field) for _ in range(self._chance.randint(1, 3))]
            return self._ref(field)
        match field.shape:
            case Shape.MAPPINGS:
                return [{"action": self._chance.choice(ODD_TEXTS)}] if field.name == "steps" else []
            case Shape.MAPPING | Shape.MAPPING_OR_MAPPINGS:
                return {}
            case _:
                return self._chance.choice(_TYPES if field.name in {"type", "lifecycle"} else ODD_TEXTS)

    def _ref(self, field: Field) -> str:
        """A reference of one of the kinds that make sense, seldom of another, seldom to nothing."""
        assert field.link is not None
        fitting = [name for name in self._names if name.kind.lower() in (field.link.kinds or {"component", "resource"})]
        if not fitting or self._likely(0.1):
            return self._chance.choice([*(name.ref for name in self._names), "group:gone", "component:edge/gone"])
        whom = self._chance.choice(fitting)
        if field.link.kind == whom.kind and whom.namespace == self._whose.namespace and self._likely(0.5):
            return whom.name
        return f"{whom.kind}:{whom.namespace}/{whom.name}" if self._likely(0.5) else whom.ref

    def _mapping(self, most: int) -> dict[str, Json]:
        return {self._chance.choice(_STEPS): self._json(2) for _ in range(self._chance.randint(0, most))}

    def _json(self, depth: int) -> Json:
        match self._chance.randrange(10 if depth else 6):
            case 0:
                return self._chance.choice((None, True, False))
            case 1 | 2:
                return self._chance.choice(("", *ODD_TEXTS))
            case 3 | 4 | 5:
                return self._chance.choice(NUMBERS)
            case 6 | 7 | 8:
                return [self._json(depth - 1) for _ in range(self._chance.randint(0, 3))]
            case _:
                return {self._chance.choice(_STEPS): self._json(depth - 1) for _ in range(self._chance.randint(0, 3))}

    def _some(self, among: tuple[str, ...]) -> list[str]:
        return [one for one in among if self._likely(0.3)]

    def _likely(self, chance: float) -> bool:
        return self._chance.random() < chance


def values_at(document: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    """Every JSON pointer into a document's metadata and spec, with the value there."""
    for root in ("metadata", "spec"):
        if root in document:
            yield from _below(f"/{root}", document[root])


def _below(pointer: str, value: Json) -> Iterator[tuple[str, Json]]:
    yield pointer, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _below(f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}", item)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _below(f"{pointer}/{position}", item)
