"""The operations that `queries` measures, and what their variables are drawn from.

Q1 to Q5 are what a portal asks: one entity, a long page, a squad's page, a deep page of a filtered list with its total,
and a tree of thousands of nodes. Q1b to Q5b ask for other fields, in other page sizes, of an interface, and further
down, so that whatever is fast for five texts only is found out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.bench.landscape import API_TYPES, LIFECYCLES, TAGS, Landscape

Variables = dict[str, Any]


@dataclass(frozen=True, slots=True)
class After:
    """In place of a cursor: the list goes on after this entity, whether it matches the filter or not."""

    ref: str


@dataclass(frozen=True, slots=True)
class Operation:
    """A GraphQL operation of this name. `draw` gives the variables of one request, by chance."""

    name: str
    text: str
    draw: Callable[[Random, Landscape], Variables]
    requests: int = 60  # different ones, which are made in rounds

    def drawn(self, landscape: Landscape) -> list[Variables]:
        """The variables of the requests of one round, always the same."""
        chance = Random(self.name)
        return [self.draw(chance, landscape) for _ in range(self.requests)]


def _component(chance: Random, landscape: Landscape) -> str:
    return f"component:default/{landscape.component(chance.randrange(landscape.sizes.components))}"


def _api(chance: Random, landscape: Landscape) -> str:
    return f"api:default/{landscape.api(chance.randrange(landscape.sizes.apis))}"


def _system(chance: Random, landscape: Landscape) -> str:
    return f"system:default/{landscape.system(chance.randrange(landscape.sizes.systems))}"


def _big_squad(chance: Random, landscape: Landscape) -> str:
    return f"group:default/{landscape.squad(chance.randrange(landscape.big_squads))}"


def _domain(chance: Random, landscape: Landscape) -> str:
    """Every other one is big."""
    of = landscape.big_domains if chance.random() < 0.5 else landscape.sizes.domains
    return f"domain:default/{landscape.domain(chance.randrange(of))}"


def _tag(chance: Random) -> str:
    """As skewed as they are in the landscape."""
    return f"tag-{min(chance.randrange(TAGS), chance.randrange(TAGS))}"


FIVE = (
    Operation(
        "Q1",
        """query Q1($ref: EntityRef!) {
  entity(ref: $ref) {
    __typename kind name title description lifecycle type tags
    owner { name title }
    ... on Component { system { name title } }
    relations(first: 5) { nodes { type target { kind name title } } }
  }
}""",
        lambda chance, landscape: {"ref": _component(chance, landscape)},
    ),
    Operation(
        "Q2",
        """query Q2($after: String) {
  components(first: 100, after: $after) {
    nodes { name title lifecycle tags owner { name } system { name } }
    pageInfo { hasNextPage endCursor }
  }
}""",
        lambda chance, landscape: {"after": After(_component(chance, landscape))},
    ),
    Operation(
        "Q3",
        """query Q3($ref: EntityRef!) {
  group(ref: $ref) {
    name title
    ownedEntities(first: 50, filter: {kind: {eq: "component"}}) {
      nodes {
        ... on Component {
          name title lifecycle type
          owner { name }
          system { name }
          dependencies(first: 5) { nodes { name kind } }
        }
      }
    }
  }
}""",
        lambda chance, landscape: {"ref": _big_squad(chance, landscape)},
        requests=24,
    ),
    Operation(
        "Q4",
        """query Q4($after: String, $lifecycle: String, $tag: String) {
  components(first: 50, after: $after, filter: {lifecycle: {eq: $lifecycle}, tag: {eq: $tag}}) {
    totalCount
    nodes { name title lifecycle type tags owner { name } }
    pageInfo { hasNextPage endCursor }
  }
}""",
        lambda chance, landscape: {
            "after": After(_component(chance, landscape)),
            "lifecycle": chance.choice(LIFECYCLES),
            "tag": _tag(chance),
        },
    ),
    Operation(
        "Q5",
        """query Q5($ref: EntityRef!) {
  domain(ref: $ref) {
    name
    systems(first: 20) {
      nodes {
        name
        components(first: 20) {
          nodes { name lifecycle dependencies(first: 5) { nodes { name kind owner { name } } } }
        }
      }
    }
  }
}""",
        lambda chance, landscape: {"ref": _domain(chance, landscape)},
        requests=12,
    ),
)

SHAPES = (
    Operation(
        "Q1b",  # another root, a to-one join into a to-one join, and two lists
        """query Q1b($ref: EntityRef!) {
  component(ref: $ref) {
    ref namespace lifecycle
    owner { __typename name }
    system { name domain { name title } }
    dependencies(first: 10) { nodes { __typename name title } }
    providedApis(first: 3) { nodes { name type } }
  }
}""",
        lambda chance, landscape: {"ref": _component(chance, landscape)},
    ),
    Operation(
        "Q2b",  # an interface, with other fields for each type, and cursors
        """query Q2b($after: String) {
  entities(first: 50, after: $after) {
    edges {
      cursor
      node {
        __typename ref title tags
        owner { name }
        ... on Component { lifecycle system { name } }
        ... on API { type }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}""",
        lambda chance, landscape: {"after": After(_component(chance, landscape))},
    ),
    Operation(
        "Q3b",  # other fields, other page sizes, and a total
        """query Q3b($ref: EntityRef!, $lifecycle: String) {
  system(ref: $ref) {
    name description
    owner { title }
    components(first: 15, filter: {lifecycle: {ne: $lifecycle}}) {
      totalCount
      nodes { name tags providedApis(first: 2) { nodes { name type owner { name } } } }
    }
  }
}""",
        lambda chance, landscape: {"ref": _system(chance, landscape), "lifecycle": chance.choice(LIFECYCLES)},
    ),
    Operation(
        "Q4b",  # another filter, a smaller page, and a to-one join into a to-one join
        """query Q4b($after: String, $type: String) {
  apis(first: 25, after: $after, filter: {type: {eq: $type}}) {
    totalCount
    nodes { ref name type owner { name } system { name domain { name } } }
    pageInfo { hasNextPage endCursor }
  }
}""",
        lambda chance, landscape: {"after": After(_api(chance, landscape)), "type": chance.choice(API_TYPES)},
    ),
    Operation(
        "Q5b",  # three levels further down
        """query Q5b($ref: EntityRef!) {
  domain(ref: $ref) {
    name
    systems(first: 10) {
      nodes {
        name
        components(first: 10) {
          nodes {
            name
            dependencies(first: 3) {
              nodes {
                name
                ... on Component {
                  dependencies(first: 2) {
                    nodes {
                      name
                      ... on Component {
                        dependencies(first: 2) { nodes { name ... on Component { system { name domain { name } } } } }
                      }
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}""",
        lambda chance, landscape: {"ref": _domain(chance, landscape)},
        requests=12,
    ),
)
