"""The catalog that the queries are asked of: a software landscape of any size, always the same at the same size."""

from __future__ import annotations

from binascii import crc32
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import orjson

Descriptor = dict[str, Any]

LIFECYCLES = (*["production"] * 5, *["experimental"] * 3, *["deprecated"] * 2)
API_TYPES = ("openapi", "grpc", "graphql")
TAGS = 20  # different ones, `tag-0` the most frequent

_COMPONENT_TYPES = ("service", "service", "website", "library")
_RESOURCE_TYPES = ("database", "s3-bucket", "topic")
_WORDS = (
    "account", "billing", "cache", "cart", "catalog", "checkout", "feed", "gateway", "image", "index",
    "ledger", "mail", "media", "order", "price", "quota", "render", "search", "stock", "token",
)  # fmt: skip

_FULL_SYSTEM = 21  # components, at least, of each system of a big domain
_BIG_DOMAIN = 22  # systems, at least
_BIG_SQUAD = 60  # components, at least; a tenth of the squads are big


class Sizes(NamedTuple):
    """How many entities there are of each sort."""

    domains: int
    systems: int
    components: int
    apis: int
    resources: int
    tribes: int
    squads: int
    users: int


# Larger companies have larger squads and systems.
_KNOWN = (
    Sizes(domains=3, systems=26, components=600, apis=110, resources=120, tribes=3, squads=18, users=120),
    Sizes(domains=30, systems=700, components=12_000, apis=2_500, resources=2_500, tribes=20, squads=250, users=2_000),
    Sizes(
        250, systems=7_000, components=120_000, apis=25_000, resources=25_000, tribes=150, squads=2_600, users=20_000
    ),
)
SMALLEST = sum(_KNOWN[0])


def sizes_of(entities: int) -> Sizes:
    """So many entities in all; 1,000, 20,000 and 200,000 are given, others have the proportions of the one below."""
    known = max((one for one in _KNOWN if sum(one) <= entities), key=sum)
    scaled = Sizes(*(count * entities // sum(known) for count in known))
    return scaled._replace(components=scaled.components + entities - sum(scaled))


class Landscape:
    """A catalog of so many entities, at least `SMALLEST`, all of them in the default namespace.

    Every component depends on 5 to 7 others, most of them components, and provides and consumes up to two APIs. Some
    squads own 60 components and more; two domains (of a small landscape one) have 22 systems of 21 components and more.
    """

    def __init__(self, entities: int) -> None:
        self.sizes = sizes_of(entities)
        self.big_domains = 2 if self.sizes.domains > 5 else 1
        self.big_squads = max(1, self.sizes.squads // 10)

    def write(self, folder: Path, *, per_file: int) -> None:
        """Write all entities as files of so many documents."""
        documents = map(orjson.dumps, self._descriptors())  # JSON is YAML
        number = 0
        while some := list(islice(documents, per_file)):
            (folder / f"landscape-{number:06}.yaml").write_bytes(b"\n---\n".join(some))
            number += 1

    @staticmethod
    def domain(n: int) -> str:
        """The name of domain `n`, counted from 0, the big ones first."""
        return f"domain-{n:04}"

    @staticmethod
    def system(n: int) -> str:
        """The name of system `n`."""
        return f"system-{n:05}"

    @staticmethod
    def component(n: int) -> str:
        """The name of component `n`; by name they are in another order."""
        first, second = divmod(crc32(b"%d" % n) % len(_WORDS) ** 2, len(_WORDS))
        return f"{_WORDS[first]}-{_WORDS[second]}-{n:06}"

    @staticmethod
    def api(n: int) -> str:
        """The name of API `n`."""
        return f"api-{_word(n)}-{n:06}"

    @staticmethod
    def resource(n: int) -> str:
        """The name of resource `n`."""
        return f"res-{_word(n)}-{n:06}"

    @staticmethod
    def tribe(n: int) -> str:
        """The name of tribe `n`."""
        return f"tribe-{n:04}"

    @staticmethod
    def squad(n: int) -> str:
        """The name of squad `n`, the big ones first."""
        return f"squad-{n:05}"

    def _descriptors(self) -> Iterator[Descriptor]:
        chance, sizes = Random(sum(self.sizes)), self.sizes
        for n in range(sizes.tribes):
            yield _descriptor(chance, "Group", self.tribe(n), type="tribe", children=[])
        for n in range(sizes.squads):
            parent = self.tribe(n % sizes.tribes)
            yield _descriptor(chance, "Group", self.squad(n), type="squad", parent=parent, children=[])
        for n in range(sizes.users):
            squads = chance.sample(range(sizes.squads), chance.choice((1, 1, 1, 2)))
            yield _descriptor(chance, "User", f"user-{n:06}", memberOf=[*map(self.squad, squads)])
        for n in range(sizes.domains):
            yield _descriptor(chance, "Domain", self.domain(n), owner=self.tribe(chance.randrange(sizes.tribes)))
        for n in range(sizes.systems):
            domain = n // _BIG_DOMAIN if n < self._full_systems else chance.randrange(sizes.domains)
            yield _descriptor(chance, "System", self.system(n), owner=self._squad(chance), domain=self.domain(domain))
        for n in range(sizes.apis):
            place = self._place(chance) | {"type": chance.choice(API_TYPES), "lifecycle": chance.choice(LIFECYCLES)}
            yield _descriptor(chance, "API", self.api(n), definition="Ask its owner.", **place)
        for n in range(sizes.resources):
            place = self._place(chance) | {"type": chance.choice(_RESOURCE_TYPES)}
            yield _descriptor(chance, "Resource", self.resource(n), **place)
        for n in range(sizes.components):
            yield self._component(chance, n)

    def _component(self, chance: Random, n: int) -> Descriptor:
        place = self._place(chance)
        if n < self._full_systems * _FULL_SYSTEM:
            place["system"] = self.system(n // _FULL_SYSTEM)
        if n < self.big_squads * _BIG_SQUAD:
            place["owner"] = self.squad(n // _BIG_SQUAD)
        tags = {f"tag-{min(chance.randrange(TAGS), chance.randrange(TAGS))}" for _ in range(chance.randint(1, 4))}
        spec = {
            "type": chance.choice(_COMPONENT_TYPES),
            "lifecycle": chance.choice(LIFECYCLES),
            "dependsOn": self._dependencies(chance, n),
            "providesApis": self._some_apis(chance),
            "consumesApis": self._some_apis(chance),
        }
        return _descriptor(chance, "Component", self.component(n), tags=sorted(tags), **spec, **place)

    def _dependencies(self, chance: Random, n: int) -> list[str]:
        wanted, found = chance.randint(5, 7), set[str]()
        while len(found) < wanted:
            if chance.random() >= 0.6:
                found.add(f"resource:{self.resource(chance.randrange(self.sizes.resources))}")
            elif (other := chance.randrange(self.sizes.components)) != n:
                found.add(f"component:{self.component(other)}")
        return sorted(found)

    def _some_apis(self, chance: Random) -> list[str]:
        return sorted({self.api(chance.randrange(self.sizes.apis)) for _ in range(chance.randrange(3))})

    def _place(self, chance: Random) -> dict[str, Any]:
        return {"owner": self._squad(chance), "system": self.system(chance.randrange(self.sizes.systems))}

    def _squad(self, chance: Random) -> str:
        return self.squad(chance.randrange(self.sizes.squads))

    @property
    def _full_systems(self) -> int:
        return self.big_domains * _BIG_DOMAIN


def _word(n: int) -> str:
    return _WORDS[crc32(b"%d" % n) % len(_WORDS)]


def _descriptor(chance: Random, kind: str, name: str, *, tags: list[str] | None = None, **spec: Any) -> Descriptor:
    metadata = {
        "name": name,
        "title": name.replace("-", " ").title(),
        "description": " ".join(chance.choices(_WORDS, k=12)),
        "tags": tags or [],
    }
    return {"apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
