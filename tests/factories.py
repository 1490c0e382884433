"""Test data: catalogs as a company would write them, as large as a test wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2s
from pathlib import Path

_COMPONENT = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: service-{n}
  title: Service {n}
  description: Answers the requests of client {n} and remembers what it said.
  annotations:
    backstage.io/kubernetes-id: service-{n}
    github.com/project-slug: example/service-{n}
  tags: [python, tier-{tier}]
spec:
  type: service
  lifecycle: production
  owner: squad-{squad}
  system: system-{squad}
  dependsOn: [component:service-{a}, component:service-{b}, resource:database-{n}]
"""


def write_catalog(folder: Path, entities: int, *, per_file: int = 10) -> None:
    """Files with this many components, five references each: two to components, three to what is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, entities, per_file):
        documents = [component(n, entities) for n in range(start, min(start + per_file, entities))]
        (folder / f"components-{start:07}.yaml").write_text("---\n".join(documents))


def component(n: int, entities: int) -> str:
    """The descriptor of component `n` of so many."""
    return _COMPONENT.format(n=n, tier=n % 4, squad=n % 97, a=(n * 7 + 1) % entities, b=(n * 13 + 5) % entities)


_HEAD = """\
apiVersion: backstage.io/v1alpha1
kind: {kind}
metadata:
  name: {name}
  namespace: {namespace}
  description: Made for the clients of {name}, who depend on it more than they know.
  annotations:
    backstage.io/kubernetes-id: {name}
    github.com/project-slug: example/{name}
  tags: [{tags}]
spec:
"""
_SPECS = {
    "Group": "  type: squad\n  children: []\n",
    "User": "  memberOf: [{owner}]\n",
    "System": "  owner: {owner}\n  domain: {domain}\n",
    "Domain": "  owner: {owner}\n",
    "API": "  type: {type}\n  lifecycle: {lifecycle}\n  owner: {owner}\n  system: {system}\n  definition: Ask us.\n",
    "Resource": "  type: {type}\n  owner: {owner}\n  system: {system}\n",
    "Component": (
        "  type: {type}\n  lifecycle: {lifecycle}\n  owner: {owner}\n  system: {system}\n"
        "  dependsOn: ['{component}', '{resource}']\n  providesApis: ['{api}']\n"
    ),
}
_TYPES = {
    "API": ("openapi", "grpc", "graphql", "asyncapi"),
    "Resource": ("database", "topic", "bucket"),
    "Component": ("service", "service", "service", "service", "library", "library", "website", "worker"),
}
_LIFECYCLES = (*["production"] * 6, *["experimental"] * 3, "deprecated")
_NAMESPACES = ("default", "default", "default", "edge", "mobile")
_LANGUAGES = ("python", "python", "java", "java", "go", "typescript")
_BLOCK = 50  # entities, in which every kind but the domain comes up
_WORDS = (
    "ads", "audio", "billing", "cart", "catalog", "checkout", "feed", "gateway", "home", "index", "ledger", "media",
    "notify", "offer", "player", "quota", "render", "search", "stream", "token", "upload", "video", "wallet", "zone",
)  # fmt: skip


@dataclass(frozen=True)
class Company:
    """A catalog of so many entities of all kinds; entity `n` has the same text whenever it is asked for.

    Of every 50 entities one is a group, one a system, five are users, six APIs, six resources, and most others
    components; one of ten blocks has a domain. Their types, lifecycles, tags, namespaces, owners and systems vary
    independently; one of 500 has the type `robot`, the namespace `lab` or the tag `pci`. The first group owns a tenth
    of everything, and the first system holds a twentieth. From 50 entities on every reference leads somewhere.
    """

    entities: int

    def write(self, folder: Path, *, per_file: int = 10) -> None:
        """Write all entities as files of so many documents."""
        folder.mkdir(parents=True, exist_ok=True)
        for start in range(0, self.entities, per_file):
            documents = map(self.descriptor, range(start, min(start + per_file, self.entities)))
            (folder / f"catalog-{start:07}.yaml").write_text("---\n".join(documents), encoding="utf-8")

    def descriptor(self, n: int) -> str:
        """The descriptor of entity `n`, counted from 0."""
        kind = self._kind(n)
        head = _HEAD.format(kind=kind, name=self._name(n), namespace=self._namespace(n), tags=", ".join(_tags(n)))
        spec = _SPECS[kind].format(
            type="robot" if _is_rare(n, "type") else _drawn(n, "type", _TYPES.get(kind, ("other",))),
            lifecycle=_drawn(n, "lifecycle", _LIFECYCLES),
            owner=self.ref(self._some(n, "owner", slot=0, favour=10)),
            system=self.ref(self._some(n, "system", slot=1, favour=20)),
            domain=self.ref(self._some(n, "domain", slot=2, every=10)),
            api=self.ref(self._some(n, "api", slot=8 + n % 6)),
            resource=self.ref(self._some(n, "resource", slot=14 + n % 6)),
            component=self.ref(self._some(n, "component", slot=20 + n % 30)),
        )
        return head + spec

    def ref(self, n: int) -> str:
        """The ref of entity `n`."""
        return f"{self._kind(n).lower()}:{self._namespace(n)}/{self._name(n)}"

    def _kind(self, n: int) -> str:
        block, slot = divmod(n, _BLOCK)
        if slot < 3:
            return ("Group", "System", "Component" if block % 10 else "Domain")[slot]
        return "User" if slot < 8 else "API" if slot < 14 else "Resource" if slot < 20 else "Component"

    def _name(self, n: int) -> str:
        return f"{_drawn(n, 'first word', _WORDS)}-{_drawn(n, 'second word', _WORDS)}-{n}"

    def _namespace(self, n: int) -> str:
        if self._kind(n) not in _TYPES:
            return "default"
        return "lab" if _is_rare(n, "namespace") else _drawn(n, "namespace", _NAMESPACES)

    def _some(self, n: int, role: str, *, slot: int, every: int = 1, favour: int = 0) -> int:
        """The entity that plays a role for entity `n`: in this slot of one of every so many blocks.

        In one of `favour` cases it is that of the first block.
        """
        chance, favoured = divmod(_chance(n, role), favour or 1)
        blocks = range(0, max(1, self.entities // _BLOCK), every)
        block = 0 if favour and favoured == 0 else blocks[chance % len(blocks)]
        return block * _BLOCK + slot


def _tags(n: int) -> list[str]:
    tags = [_drawn(n, "language", _LANGUAGES), f"tier-{_chance(n, 'tier') % 4}"]
    return [*tags, "pci"] if _is_rare(n, "tag") else tags


def _is_rare(n: int, what: str) -> bool:
    return _chance(n, f"rare {what}") % 500 == 0


def _drawn(n: int, what: str, choices: Sequence[str]) -> str:
    return choices[_chance(n, what) % len(choices)]


def _chance(n: int, what: str) -> int:
    """A number that looks like chance, and is always the same."""
    return int.from_bytes(blake2s(f"{what} of {n}".encode(), digest_size=6).digest())
