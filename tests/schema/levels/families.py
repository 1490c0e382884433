"""A catalog of families that are all alike, with everything in it that a catalog can have, right or wrong.

A list that is ordered by name has the same things at its start, and alike ones at its end, however many families there
are: so what an operation reads differs in its number only.
"""

from __future__ import annotations

from pathlib import Path

_COMMON = """\
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: everyone, title: Everyone, tags: [all]}
spec: {type: company, children: [], profile: {email: all@example.com}}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: zoe}
spec: {memberOf: [everyone]}
"""

_FAMILY = """\
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: squad-N, description: Squad N}
spec: {type: squad, parent: tribe-N, children: [], members: [user-N, zoe], profile: {picture: "https://example.com/N"}}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: tribe-N, tags: [circular]}
spec: {type: tribe, parent: squad-N, children: [squad-N]}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: user-N, title: User N}
spec: {memberOf: [squad-N, everyone], profile: {email: N@example.com}}
---
apiVersion: backstage.io/v1alpha1
kind: Domain
metadata: {name: domain-N}
spec: {owner: everyone, subdomainOf: part-N}
---
apiVersion: backstage.io/v1alpha1
kind: Domain
metadata: {name: part-N}
spec: {owner: squad-N, subdomainOf: domain-N}
---
apiVersion: backstage.io/v1alpha1
kind: System
metadata: {name: system-N, labels: {tier: "N"}}
spec: {owner: squad-N, domain: domain-N}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: Service-N
  title: Service
  description: Serves.
  labels: {tier: "1", runtime: go}
  annotations: {example.com/pager: squad-N, backstage.io/kubernetes-id: service-N}
  tags: [go, audio]
  links: [{url: "https://example.com/N", title: Board}, {url: "https://example.com/docs", icon: book, type: docs}]
spec:
  type: service
  lifecycle: production
  owner: squad-N
  system: system-N
  providesApis: [api-N]
  consumesApis: [api-N, gone-N]
  dependsOn: [component:worker-N, resource:table-N, resource:gone-N, component:service-N]
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: worker-N, tags: [go]}
spec:
  {type: worker, lifecycle: deprecated, owner: nobody-N, system: system-N, subcomponentOf: service-N,
   dependsOn: [component:service-N]}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: widget-N, namespace: web, title: a widget}
spec: {type: website, lifecycle: experimental, owner: "group:default/everyone", dependsOn: ["api:default/api-N"]}
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: api-N}
spec: {type: grpc, lifecycle: production, owner: user:user-N, system: gone-N, definition: "syntax = \\"proto3\\";"}
---
apiVersion: backstage.io/v1alpha1
kind: Resource
metadata: {name: table-N, tags: ["Not A Tag", sql]}
spec: {type: database, owner: component:worker-N, system: system-N, dependencyOf: [component:worker-N]}
---
apiVersion: backstage.io/v1alpha1
kind: Location
metadata: {name: location-N}
spec: {type: url, target: "https://example.com/N.yaml", presence: optional}
---
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: {name: template-N}
spec: {type: service, owner: everyone, steps: [{id: one, action: fetch}], parameters: [{title: N}]}
---
apiVersion: example.com/v1
kind: Rota
metadata: {name: rota-N, namespace: ops}
spec: {owner: group:default/squad-N, weeks: [{from: 2026-01-05, "N": [1.5, null]}]}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: worker-N}
spec: {type: claimed-twice, lifecycle: production, owner: squad-N}
"""

NAMES = {
    "Component": ("service-1", "worker-1", "web/widget-2", "gone"),
    "API": ("api-1", "api:default/API-2", "gone"),
    "Resource": ("table-1", "gone"),
    "System": ("system-1", "gone"),
    "Domain": ("domain-1", "part-2", "gone"),
    "Group": ("squad-1", "tribe-2", "everyone", "gone"),
    "User": ("user-1", "zoe", "gone"),
    "Template": ("template-1", "gone"),
}
REFS = (
    *(
        f"{kind.lower()}:{name}"
        for kind, names in NAMES.items()
        for name in names
        if ":" not in name and name != "gone"
    ),
    "component:gone",
    "location:location-1",
    "rota:ops/rota-2",
)


def write_families(folder: Path, number: int) -> None:
    """So many families, at most nine, a file each, and what they have in common."""
    (folder / "common.yaml").write_text(_COMMON)
    for family in range(1, number + 1):
        (folder / f"family-{family}.yaml").write_text(_FAMILY.replace("N", str(family)))
