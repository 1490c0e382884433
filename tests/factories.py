"""Test data: catalogs as a company would write them, as large as a test wants."""

from __future__ import annotations

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
