"""The limits of a document, and who may ask it, checked before anything of it runs.

`schema.tally` says how things are counted, `schema.access` which fields need which scope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import cast

from graphql import DocumentNode, FieldNode, GraphQLSchema, OperationDefinitionNode, SelectionNode

from db.rules.pointers import Pointer
from schema import access, unindexed
from schema.access import Rule, Rules
from schema.caller import Caller
from schema.errors import (
    AliasLimit,
    CatalogError,
    CostLimit,
    DepthLimit,
    DirectiveLimit,
    OperationLimit,
    RootFieldLimit,
)
from schema.formula import MOST, Amount, Formula, Variables, capped
from schema.tally import LIST_SIZE, Counting, Part, Selections, Tally

# The introspection of GraphiQL and of code generators is 14 levels deep and costs 16,424, whatever the schema is.
INTROSPECTION_DEPTH = 20
INTROSPECTION_COST = 30_000


@dataclass(frozen=True)
class Limits:
    """The most that is still allowed: of operations in a document, of all else in the operation that is to run.

    And which paths are indexed, for others cost more.
    """

    depth: int = 15
    aliases: int = 30
    root_fields: int = 20
    directives: int = 50
    operations: int = 10
    cost: int = 50_000
    indexed_paths: frozenset[Pointer] = frozenset()

    def lifted(self) -> Limits:
        """The same without any bound, but that on introspection."""
        return replace(self, depth=MOST, aliases=MOST, root_fields=MOST, directives=MOST, operations=MOST, cost=MOST)


@dataclass(frozen=True, slots=True)
class Weight:
    """What an operation may cost, and whom. Nothing in it belongs to one request, so it is kept with the operation."""

    schema: GraphQLSchema
    document: DocumentNode
    operation: OperationDefinitionNode
    limits: Limits
    amount: Amount
    formula: Formula
    rules: Rules
    needed: frozenset[Rule]

    @property
    def depth(self) -> int:
        """How many objects within objects it asks for."""
        root, _ = self._counted()
        return root.tally.levels

    def cost(self, variables: Variables) -> int:
        """The cost with these variables, coerced; one without a value is absent."""
        return self.amount if isinstance(self.amount, int) else self.formula.at(variables)(self.amount)

    def check(self, variables: Variables) -> int:
        """The cost, if it is allowed. Raises CostLimit, which points at the dearest list."""
        cost = self.cost(variables)
        if cost > self.limits.cost:
            raise self._too_dear(cost, variables)
        return cost

    def allow(self, caller: Caller, variables: Variables) -> None:
        """Refuse a caller that lacks a scope.

        Raises Forbidden or IntrospectionDisabled, which point at the first field that needs it.
        """
        if not all(rule.allows(caller) for rule in self.needed):
            root, _ = self._counted()
            access.refuse(root, self.rules, caller, variables)

    def _counted(self) -> tuple[Selections, Formula]:
        """Counts once more, so that what the answer to a refused request needs is not kept for all others."""
        counting = Counting(self.schema, self.document, self.limits.indexed_paths)
        return counting.count(self.operation), counting.formula

    def _too_dear(self, cost: int, variables: Variables) -> CostLimit:
        root, formula = self._counted()
        limit, worth = self.limits.cost, formula.at(variables)
        message = f"The operation costs up to {_shown(cost)}; {limit} is allowed"
        dearest = _dearest(root, worth)
        if dearest is None:
            return CostLimit(message, cost=cost, limit=limit)
        message += f"; its dearest list is `{dearest.name.rpartition('.')[2]}`"
        if worth(dearest.times) > 1:
            message += f", {unindexed.TIMES} times as dear by a path that is not indexed"
        return CostLimit(message, dearest.node, cost=cost, limit=limit)


def weigh(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    limits: Limits,
    rules: Rules,
) -> Weight:
    """Check the limits that do not depend on variables, and prepare the one that does, and what callers need.

    The document is valid, and `operation` is one of its own. Raises OperationLimit, DepthLimit, AliasLimit,
    RootFieldLimit or DirectiveLimit, which point at the first node beyond. Introspection has a DepthLimit and a
    CostLimit of its own, which point at the root field.
    """
    _check_operations(document, limits.operations)
    counting = Counting(schema, document, limits.indexed_paths)
    root = counting.count(operation)
    _check_depth(root, limits.depth)
    _check_introspection(root)
    for number, allowed in (
        (_ALIASES, limits.aliases),
        (_ROOT_FIELDS, limits.root_fields),
        (_DIRECTIVES, limits.directives),
    ):
        number.check(root, allowed)
    amount, needed = capped(root.tally.total()), access.needed(root, rules)
    return Weight(schema, document, operation, limits, amount, counting.formula, rules, needed)


def _check_operations(document: DocumentNode, allowed: int) -> None:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) > allowed:
        message = f"The document has {len(operations)} operations; {allowed} are allowed"
        raise OperationLimit(message, operations[allowed])


def _check_depth(root: Selections, allowed: int) -> None:
    if root.tally.levels > allowed:
        message = f"The operation is nested {root.tally.levels} levels deep; {allowed} are allowed"
        raise DepthLimit(message, _first_deeper(root, allowed))


def _first_deeper(selections: Selections, levels: int) -> SelectionNode:
    while True:
        part = next(part for part in selections.parts if part.tally.levels > levels)
        inner = _inner(part)
        own = part.tally.levels - inner.tally.levels
        if own > levels:
            return part.node
        selections, levels = inner, levels - own


def _check_introspection(root: Selections) -> None:
    levels, cost = root.tally.introspection_levels, root.tally.introspection_cost
    if levels > INTROSPECTION_DEPTH:
        message = f"Introspection is nested {levels} levels deep; {INTROSPECTION_DEPTH} are allowed"
        raise DepthLimit(message, _first_root(root, lambda tally: tally.introspection_levels > INTROSPECTION_DEPTH))
    if cost > INTROSPECTION_COST:
        message = f"Introspection costs {_shown(cost)}; {INTROSPECTION_COST} is allowed"
        first = _first_root(root, lambda tally: tally.introspection_levels > 0)
        raise CostLimit(message, first, cost=cost, limit=INTROSPECTION_COST)


def _first_root(selections: Selections, sought: Callable[[Tally], bool]) -> SelectionNode:
    """The first root field of this kind, which may stand in a fragment."""
    while True:
        part = next(part for part in selections.parts if sought(part.tally))
        if isinstance(part.node, FieldNode):
            return part.node
        selections = _inner(part)


@dataclass(frozen=True, slots=True)
class _Number:
    """Something that is counted one by one."""

    name: str
    error: type[CatalogError]
    of: Callable[[Tally], int]
    own: Callable[[SelectionNode], int]  # of a selection, without what it selects in turn

    def check(self, root: Selections, allowed: int) -> None:
        """Raise the error if there are more than allowed."""
        found = self.of(root.tally)
        if found > allowed:
            message = f"The operation has {_shown(found)} {self.name}; {allowed} are allowed"
            raise self.error(message, self._nth(root, allowed + 1))

    def _nth(self, selections: Selections, n: int) -> SelectionNode:
        """The selection that brings the nth, 1 being the first, as if every fragment were written out."""
        while True:
            part, n = self._holding(selections, n)
            own = self.own(part.node)
            if n <= own:
                return part.node
            selections, n = _inner(part), n - own

    def _holding(self, selections: Selections, n: int) -> tuple[Part, int]:
        """The part of the set that holds the nth, and which one it is there."""
        for part in selections.parts:
            found = self.of(part.tally)
            if n <= found:
                return part, n
            n -= found
        raise LookupError(f"there are fewer {self.name}")


_ALIASES = _Number(
    "aliases",
    AliasLimit,
    lambda tally: tally.aliases,
    lambda node: int(isinstance(node, FieldNode) and node.alias is not None),
)
_ROOT_FIELDS = _Number(
    "root fields", RootFieldLimit, lambda tally: tally.fields, lambda node: int(isinstance(node, FieldNode))
)
_DIRECTIVES = _Number(
    "directives", DirectiveLimit, lambda tally: tally.directives, lambda node: len(node.directives or ())
)


def _dearest(root: Selections, worth: Callable[[Amount], int]) -> Part | None:
    """The list that most of the cost is for: from the dearest root field down, as long as one field has half of it."""
    dearest: Part | None = None
    selections, length = root, LIST_SIZE
    while True:
        costs = [worth(part.tally.cost) + length * worth(part.tally.item_cost) for part in selections.parts]
        cost, part = max(zip(costs, selections.parts, strict=True), key=itemgetter(0))
        if part.inner is None or (dearest and cost * 2 < sum(costs)):
            return dearest
        if isinstance(part.node, FieldNode):
            length = worth(part.length_below)
            if part.length is not None or (part.is_list and not part.of_a_page):
                dearest = part
        selections = part.inner


def _inner(part: Part) -> Selections:
    """What a part selects in turn; only asked of one that is known to have it."""
    return cast("Selections", part.inner)


def _shown(number: int) -> str:
    return str(number) if number < MOST else f"{MOST} or more"
