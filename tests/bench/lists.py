"""The lists that are paged through: what clients filter and order by."""

from __future__ import annotations

from dataclasses import dataclass

from tests.factories import Company

PAGE_SIZE = 20
BY_NAME = ("sort_name", "id")
NEWEST = "orderBy: [{field: UPDATED_AT, direction: DESC}]"


@dataclass(frozen=True, slots=True)
class List:
    """A connection of the graph, with its arguments in GraphQL, and the columns of its order, a unique one last."""

    title: str
    field: str
    arguments: str = ""
    order: tuple[str, ...] = BY_NAME
    parent: str = ""  # the field that has it, with its arguments; empty for one of the root

    def page_query(self) -> str:
        """The query for a page after `$after`, under the name `page`."""
        return self._query(
            f"first: {PAGE_SIZE}, after: $after {self.arguments}", "edges { cursor node { ref } }", "($after: String)"
        )

    def total_query(self) -> str:
        """The query for its length, under the name `page`."""
        return self._query(self.arguments or "first: 1", "totalCount")

    def _query(self, arguments: str, selection: str, variables: str = "") -> str:
        page = f"page: {self.field}({arguments}) {{ {selection} }}"
        return f"query {variables} {{ {f'{self.parent} {{ {page} }}' if self.parent else page} }}"


def lists_of(company: Company) -> tuple[List, ...]:
    """Lists of every filter and order that promises pages at one price, and one that does not."""
    group, system, small = company.ref(0), company.ref(1), company.ref(50)
    return (
        List("components", "components"),
        List("components, lifecycle", "components", 'filter: {lifecycle: {eq: "production"}}'),
        List(
            "components, lifecycle and tag",
            "components",
            'filter: {lifecycle: {eq: "production"}, tag: {eq: "go"}}',
        ),
        List("components, type", "components", 'filter: {type: {eq: "worker"}}'),
        List("components, rare type", "components", 'filter: {type: {eq: "robot"}}'),
        List("components, common tag", "components", 'filter: {tag: {eq: "go"}}'),
        List("components, rare tag", "components", 'filter: {tag: {eq: "pci"}}'),
        List("components, namespace", "components", 'filter: {namespace: {eq: "mobile"}}'),
        List("components, name prefix", "components", 'filter: {name: {prefix: "search-"}}'),
        List("components, owner with many", "components", f'filter: {{ownedBy: "{group}"}}'),
        List("components, owner with few", "components", f'filter: {{ownedBy: "{small}"}}'),
        List("components, system with many", "components", f'filter: {{partOf: "{system}"}}'),
        List("components, system with few", "components", f'filter: {{partOf: "{company.ref(51)}"}}'),
        List(
            "components, anyOf and not",
            "components",
            'filter: {anyOf: [{lifecycle: {eq: "deprecated"}}, {tag: {eq: "go"}}], not: {type: {eq: "service"}}}',
        ),
        List("components, newest first", "components", NEWEST, ("updated_at", *BY_NAME)),
        List(
            "components, lifecycle, newest first",
            "components",
            f'filter: {{lifecycle: {{eq: "production"}}}}, {NEWEST}',
            ("updated_at", *BY_NAME),
        ),
        List("entities", "entities"),
        List("entities, kind", "entities", 'filter: {kind: {eq: "component"}}'),
        List("entities, kind in", "entities", 'filter: {kind: {in: ["component", "API"]}}'),
        List("entities, namespace", "entities", 'filter: {namespace: {eq: "mobile"}}'),
        List("entities, rare namespace", "entities", 'filter: {namespace: {eq: "lab"}}'),
        List("entities, name prefix", "entities", 'filter: {name: {prefix: "search-"}}'),
        List("entities by kind", "entities", "orderBy: [{field: KIND}]", ("kind", *BY_NAME)),
        List("entities, newest first", "entities", NEWEST, ("updated_at", *BY_NAME)),
        List("ownedEntities of a large group", "ownedEntities", parent=f'group(ref: "{group}")'),
        List(
            "ownedEntities of it, lifecycle",
            "ownedEntities",
            'filter: {lifecycle: {eq: "production"}}',
            parent=f'group(ref: "{group}")',
        ),
        List("components by type (no index)", "components", "orderBy: [{field: TYPE}]", ("type", *BY_NAME)),
    )
