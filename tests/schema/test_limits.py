"""The limits of a document: each at its limit and one beyond, and no text that makes counting itself dear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    get_introspection_query,
    parse,
    validate,
)
from graphql.execution.values import VariableValues, get_variable_values
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.errors import CatalogError, CostLimit
from schema.formula import MOST, Formula
from schema.limits import Limits, Weight, weigh
from schema.tally import Part
from tests.schema import written_out
from tests.schema.written_out import WrittenOut

ROOT = Path(__file__).parents[2]
GRAPH = build_schema((ROOT / "schema/schema.graphql").read_text(encoding="utf-8"))
NO_LIMITS = Limits(depth=9**99, aliases=9**99, root_fields=9**99, directives=9**99, operations=9**99, cost=9**99)


def weighed(text: str, allowed: Limits | None = None, schema: GraphQLSchema = GRAPH) -> Weight:
    """The weight of the document's first operation; the document is checked to be valid, as everywhere."""
    document = parse(text)
    assert validate(schema, document) == []
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return weigh(schema, document, operation, allowed or Limits(), {})


def cost(text: str, **variables: Any) -> int:
    weight = weighed(text)
    values = get_variable_values(GRAPH, weight.operation.variable_definitions or (), variables)
    assert isinstance(values, VariableValues)
    return weight.check(values.coerced)


def refusal(text: str, allowed: Limits | None = None, **variables: Any) -> tuple[str, str, list[tuple[int, int]]]:
    """The error's code and message, and the lines and columns that it points at."""
    with pytest.raises(CatalogError) as caught:
        weighed(text, allowed).check(variables)
    error = caught.value
    assert error.status == 400
    return error.code, error.message, [(place.line, place.column) for place in error.locations or ()]


def parents(levels: int) -> str:
    """A domain in domains, so many in all, with a leaf in the last."""
    return '{ domain(ref: "d") { ' + "parent { " * (levels - 1) + "name" + " }" * (levels + 1)


# ------------------------------------------------------------------ depth


def test_a_document_at_the_deepest_level_runs_and_one_level_more_does_not() -> None:
    assert cost(parents(15)) == 15
    column = parents(16).rindex("parent") + 1
    assert refusal(parents(16)) == (
        "DEPTH_LIMIT",
        "The operation is nested 16 levels deep; 15 are allowed",
        [(1, column)],
    )


@pytest.mark.parametrize(
    ("query", "levels"),
    [
        ("{ __typename }", 0),
        ("{ components { totalCount } }", 1),
        ("{ components { nodes { name } } }", 1),
        ("{ components { edges { cursor node { name } } } }", 1),
        ("{ components { pageInfo { endCursor } } }", 1),
        ("{ components { nodes { labels { key } } } }", 2),
        ("{ components { edges { node { dependencies { edges { node { name } } } } } } }", 2),
        ("{ components { nodes { name owner { name } } } components { nodes { name } } }", 2),
        ("{ ... { ... { ... { ... { components { ... { nodes { name } } } } } } } }", 1),
        ("{ components { nodes { ...C } } } fragment C on Component { system { ...S } } fragment S on System { domain { name } }", 3),
    ],
)  # fmt: skip
def test_a_connection_is_one_level_and_a_fragment_none(query: str, levels: int) -> None:
    weighed(query, Limits(depth=levels))
    if levels:
        assert refusal(query, Limits(depth=levels - 1))[0] == "DEPTH_LIMIT"


def test_what_is_too_deep_is_shown_in_the_fragment_where_it_stands() -> None:
    query = """{
      component(ref: "c") { ...Owned system { domain { ...Owned } } }
    }
    fragment Owned on Entity {
      owner { name }
    }"""
    assert refusal(query, Limits(depth=3)) == (
        "DEPTH_LIMIT",
        "The operation is nested 4 levels deep; 3 are allowed",
        [(5, 7)],
    )


# ------------------------------------------------------------------ aliases, root fields, directives, operations


def test_thirty_aliases_run_and_the_next_is_pointed_at() -> None:
    def aliases(number: int) -> str:
        return "{\n" + "\n".join(f"a{n}: __typename" for n in range(number)) + "\n}"

    weighed(aliases(20))
    many_roots = Limits(root_fields=99)
    weighed(aliases(30), many_roots)
    assert refusal(aliases(31), many_roots) == (
        "ALIAS_LIMIT",
        "The operation has 31 aliases; 30 are allowed",
        [(32, 1)],
    )


def test_an_alias_counts_wherever_its_fragment_is_spread() -> None:
    query = """{
      component(ref: "c") { ...F system { ...F components { nodes { ...F last: name } } } }
    }
    fragment F on Entity { one: name two: title }"""
    weighed(query, Limits(aliases=7))
    assert refusal(query, Limits(aliases=6))[1:] == ("The operation has 7 aliases; 6 are allowed", [(2, 74)])
    assert refusal(query, Limits(aliases=5))[1:] == ("The operation has 7 aliases; 5 are allowed", [(4, 38)])


def test_twenty_root_fields_run_and_those_in_fragments_are_among_them() -> None:
    def roots(number: int) -> str:
        return (
            "{ ...F "
            + " ".join(["__typename"] * (number - 2))
            + " }\nfragment F on Query { __typename ... { __typename } }"
        )

    weighed(roots(20))
    assert refusal(roots(21)) == (
        "ROOT_FIELD_LIMIT",
        "The operation has 21 root fields; 20 are allowed",
        [(1, roots(21).index("}") - len("__typename ") + 1)],
    )


def test_a_field_below_the_root_is_no_root_field() -> None:
    weighed('{ component(ref: "c") { name title owner { name title } } }', Limits(root_fields=1))


def test_fifty_directives_run_and_those_on_fragments_are_among_them() -> None:
    def directives(number: int) -> str:
        fields = "\n".join(["__typename @include(if: true)"] * (number - 4))
        return (
            '{ component(ref: "c") { ... @skip(if: false) @include(if: true) { name } ...F @skip(if: true)\n'
            f"{fields} }} }} fragment F on Component {{ name @skip(if: false) }}"
        )

    weighed(directives(50))
    assert refusal(directives(51)) == (
        "DIRECTIVE_LIMIT",
        "The operation has 51 directives; 50 are allowed",
        [(48, 1)],
    )


def test_ten_operations_in_a_document_are_read_and_eleven_are_not() -> None:
    def operations(number: int) -> str:
        return "\n".join(f"query Q{n} {{ __typename }}" for n in range(number))

    weighed(operations(10))
    assert refusal(operations(11)) == ("OPERATION_LIMIT", "The document has 11 operations; 10 are allowed", [(11, 1)])


def test_an_operation_is_not_refused_for_what_another_one_asks() -> None:
    weighed("query Small { __typename }\nquery Large " + parents(16))


# ------------------------------------------------------------------ introspection


@pytest.mark.parametrize("everything", [False, True])
def test_the_introspection_of_explorers_and_generators_is_free(everything: bool) -> None:  # noqa: FBT001
    options = dict.fromkeys(("specified_by_url", "directive_is_repeatable", "schema_description"), everything)
    query = get_introspection_query(**options, input_value_deprecation=everything, one_of=everything)
    assert weighed(query, Limits(depth=1, aliases=0, root_fields=1, directives=0, cost=1)).check({}) == 0


def test_introspection_of_its_own_depth_runs_and_one_level_more_does_not() -> None:
    def types(levels: int) -> str:
        inner = "ofType { " * (levels - 1) + "name" + " }" * (levels - 1)
        return f'{{ component(ref: "c") {{ name }}\n__type(name: "Query") {{ {inner} }} }}'

    weighed(types(20))
    assert refusal(types(21)) == ("DEPTH_LIMIT", "Introspection is nested 21 levels deep; 20 are allowed", [(2, 1)])


def test_introspection_that_multiplies_the_schema_by_itself_is_refused() -> None:
    def crossed(times: int) -> str:
        one = "__schema { types { fields { type { fields { type { name } } } } } }"
        return "query {\n...F\n} fragment F on Query { " + " ".join(f"s{n}: {one}" for n in range(times)) + " }"

    weighed(crossed(13))
    with pytest.raises(CostLimit) as caught:
        weighed(crossed(14))
    assert caught.value.extensions == {"code": "COST_LIMIT", "cost": 30_954, "limit": 30_000}
    assert refusal(crossed(14))[1:] == ("Introspection costs 30954; 30000 is allowed", [(3, 25)])


# ------------------------------------------------------------------ cost


@pytest.mark.parametrize(
    ("query", "price"),
    [
        ("{ __typename }", 0),
        ('{ component(ref: "c") { name tags spec metadata } }', 1),
        ('{ component(ref: "c") { owner { name } system { name domain { name } } } }', 4),
        ('{ component(ref: "c") { ... on Entity { owner { name } } ...F } } fragment F on Node { id }', 2),
        ("{ components { pageInfo { endCursor } } }", 1),
        ("{ components { totalCount } }", 2),
        ("{ components { nodes { name } } }", 21),
        ("{ components(first: 3) { nodes { name } } }", 4),
        ("{ components(last: 3) { edges { cursor } } }", 4),
        ("{ components(first: 3) { edges { node { name owner { name } } } } }", 7),
        ("{ components(first: 3) { nodes { name } edges { node { name } } } }", 7),
        ("{ components(first: 3) { nodes { dependencies(first: 5) { totalCount nodes { owner { name } } } } } }", 40),
        ("{ components(first: 3) { ...P } } fragment P on ComponentConnection { nodes { ...N } } fragment N on Node { id }", 4),
        ("{ a: components(first: 3) { ...P } b: components(first: 7) { ...P } } fragment P on ComponentConnection { nodes { id } }", 12),
        ('{ component(ref: "c") { labels { key } links { url } } }', 21),
        ('{ component(ref: "c") { labels(keys: ["a", "b"]) { key } } }', 3),
        ('{ nodes(ids: ["a", "b", "c"]) { id } }', 3),
        ('{ nodes(ids: "a") { id } }', 1),
        ("{ nodes(ids: []) { id } }", 0),
        ('{ entitiesByRef(refs: ["a", "b"]) { owner { name } links { url } } }', 24),
        ('{ group(ref: "g") { ancestors { members(first: 2) { nodes { name } } } } }', 1 + 10 * (1 + 1 + 2)),
    ],
)  # fmt: skip
def test_an_operation_costs_the_objects_that_may_come(query: str, price: int) -> None:
    assert cost(query) == price


@pytest.mark.parametrize(
    ("query", "price"),
    [
        ("{ one { lines(maxNodes: 4) { nodes { name } edges { to { name } } owner { name } } } }", 2 + 4 + 4 * 2 + 1),
        ("{ one { lines { nodes { name } } } }", 2 + 7),
        ("{ one { lines(maxNodes: -1) { nodes { name } } } }", 2),
        ("{ one { lines(maxNodes: 4) { nodes { kin { name } } } } }", 2 + 4 * 11),
    ],
)
def test_a_bounded_graph_has_that_many_of_each_of_its_lists(query: str, price: int) -> None:
    assert weighed(query, schema=written_out.SCHEMA).amount == price


@pytest.mark.parametrize("refused", ["first: 5000", "first: -1", "first: 0", "last: 101", "first: 2, last: 2147483647"])
def test_a_page_size_that_the_field_will_refuse_costs_no_less_than_the_largest(refused: str) -> None:
    assert cost(f"{{ components({refused}) {{ nodes {{ name }} }} }}") == 101


PAGES = """query ($n: Int, $m: Int = 4, $ids: [ID!] = ["a"]) {
  nodes(ids: $ids) { id }
  components(first: $n) { nodes { dependencies(first: $m) { nodes { name } } } }
}"""


@pytest.mark.parametrize(
    ("variables", "price"),
    [
        ({"n": 3}, 1 + 1 + 3 * (2 + 4)),
        ({}, 1 + 1 + 20 * (2 + 4)),
        ({"n": None, "m": None}, 1 + 1 + 20 * (2 + 20)),
        ({"n": 100, "m": 100}, 1 + 1 + 100 * (2 + 100)),
        ({"n": -1, "m": 0}, 1 + 1 + 100 * (2 + 100)),
        ({"n": 1, "m": 1, "ids": ["a"] * 50}, 50 + 1 + 1 * (2 + 1)),
        ({"n": 1, "m": 1, "ids": "a"}, 1 + 1 + 1 * (2 + 1)),
    ],
)
def test_a_variable_costs_what_its_value_would(variables: dict[str, Any], price: int) -> None:
    assert cost(PAGES, **variables) == price


def test_a_cost_without_variables_is_worked_out_once_for_all_requests() -> None:
    assert weighed("{ components(first: 3) { nodes { name } } }").amount == 4
    assert weighed("query ($ref: EntityRef!) { component(ref: $ref) { owner { name } } }").amount == 2


def test_the_dearest_list_of_an_operation_that_costs_too_much_is_named() -> None:
    query = """query ($n: Int) {
      sources { nodes { name } }
      components(first: 100) { nodes {
        owner { name }
        dependencies(first: $n) { edges { node { ...Dependents } } }
      } }
    }
    fragment Dependents on Entity {
      labels { key }
      problems(first: 10) { nodes { rule } }
      relations(first: 40) { nodes { target { name } } }
    }"""
    price = 21 + 1 + 100 * (1 + 1 + 1 + 10 * (1 + 10 + 11 + 1 + 40 * 2))
    assert weighed(query, Limits(cost=price)).check({"n": 10}) == price
    with pytest.raises(CostLimit) as caught:
        weighed(query, Limits(cost=price - 1)).check({"n": 10})
    assert caught.value.formatted == {
        "message": f"The operation costs up to {price}; {price - 1} is allowed; its dearest list is `relations`",
        "locations": [{"line": 11, "column": 7}],
        "extensions": {"code": "COST_LIMIT", "cost": price, "limit": price - 1},
    }


@pytest.mark.parametrize(
    ("query", "dearest"),
    [
        ("{ one { many { nodes { name } } } many(first: 30) { nodes { name } } }", "many(first: 30)"),
        ("{ many { nodes { kin { name } many { nodes { name } } others: kin { name } } } }", "many { nodes { name } }"),
        ("{ many { nodes { kin { name } k: kin { name } k2: kin { name } } } }", "many { nodes { kin"),
        ("{ one { lines(maxNodes: 99) { nodes { name } owner { others { name } } } } }", "nodes { name } owner"),
        ("{ one { lines(maxNodes: 9) { nodes { name } owner { others { name } } } } }", "others { name }"),
        ("{ a: many { nodes { name } } b: many { nodes { name } } c: many { nodes { name } } }", "a: many"),
    ],
)
def test_the_list_that_is_named_has_most_of_the_cost(query: str, dearest: str) -> None:
    with pytest.raises(CostLimit) as caught:
        weighed(query, Limits(cost=1), written_out.SCHEMA).check({})
    node = (caught.value.nodes or [])[0]
    assert node.loc
    assert query[node.loc.start :].startswith(dearest)


def test_a_cost_without_lists_names_none() -> None:
    assert refusal(parents(3), Limits(cost=2)) == ("COST_LIMIT", "The operation costs up to 3; 2 is allowed", [])


def test_a_cost_of_fifty_thousand_is_allowed_and_one_more_is_not() -> None:
    query = """query ($ids: [ID!]!) {
      nodes(ids: $ids) { id }
      components(first: 100) {
        nodes { dependencies(first: 71) { nodes { labels(keys: ["a", "b", "c", "d", "e", "f"]) { value } } } }
      }
    }"""
    assert cost(query, ids=["x"] * 99) == 50_000
    assert refusal(query, ids=["x"] * 100) == (
        "COST_LIMIT",
        "The operation costs up to 50001; 50000 is allowed; its dearest list is `labels`",
        [(4, 51)],
    )


# ------------------------------------------------------------------ what people ask


def shown_queries() -> Iterator[Any]:
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, text in enumerate(re.findall(r"```graphql\n(.*?)```", path.read_text(), re.DOTALL), start=1):
            yield pytest.param(text, id=f"{path.name}-{number}")
    for path in sorted((ROOT / "api/explorer/src/queries").glob("*.graphql")):
        yield pytest.param(path.read_text(), id=path.name)


@pytest.mark.parametrize("query", list(shown_queries()))
def test_the_queries_that_we_show_stay_far_below_every_limit(query: str) -> None:
    assert weighed(query, Limits(depth=5, aliases=10, root_fields=5, directives=5, operations=3)).check({}) <= 500


def test_the_largest_page_of_the_product_passes_with_room() -> None:
    query = """{ components(first: 100, filter: { lifecycle: { eq: "production" } }) {
      totalCount
      pageInfo { hasNextPage endCursor }
      nodes {
        ref title description type lifecycle tags labels { key value } annotations { key value } links { url title }
        owner { ref title } system { title domain { title } } origin { source { name lastRun { finishedAt } } }
        problems(first: 10) { totalCount nodes { rule message } }
        relations(first: 20) { nodes { type target { ref title } } }
        dependencies { totalCount nodes { ref title owner { ref title } } }
        dependents { totalCount nodes { ref title owner { ref title } } }
        providedApis { nodes { ref title } }
        consumedApis { nodes { ref title } }
      }
    } }"""
    assert cost(query) == 21_602


def test_the_docs_work_an_example_out_correctly() -> None:
    text = (ROOT / "docs/errors.md").read_text()
    (query,) = re.findall(r"```graphql\n(.*?)```", text, re.DOTALL)
    assert f"This costs {cost(query)}:" in text


# ------------------------------------------------------------------ hostile documents


def doubling(length: int, last: str) -> str:
    """A chain of fragments, each of which spreads the next one twice."""
    chain = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(length)]
    return "\n".join(["query ($n: Int) { ...F0 }", *chain, f"fragment F{length} on Query {{ {last} }}"])


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Part]:
    """Every selection that is counted, as often as it is."""
    parts: list[Part] = []
    count = Part.count

    def note(part: Part) -> None:
        parts.append(part)
        count(part)

    monkeypatch.setattr(Part, "count", note)
    return parts


def test_a_chain_of_fragments_that_doubles_fifty_times_is_counted_once(counted: list[Part]) -> None:
    query = doubling(50, "components(first: $n) { nodes { a: name } }")
    document = parse(query)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    weight = weigh(GRAPH, document, operation, NO_LIMITS, {})
    assert len(counted) == 1 + 50 * 2 + 3
    assert max(part.tally.aliases for part in counted) == MOST
    assert weight.cost({"n": 0}) == MOST
    assert refusal(query) == (
        "ALIAS_LIMIT",
        "The operation has 1000000000000000 or more aliases; 30 are allowed",
        [(52, 57)],
    )


def test_a_cost_without_variables_stops_growing_too(counted: list[Part]) -> None:
    query = doubling(60, "components(first: 9) { nodes { name } } ...F @include(if: $on)")
    weight = weighed(query.replace("$n: Int", "$on: Boolean!") + " fragment F on Query { __typename }", NO_LIMITS)
    assert weight.amount == MOST
    assert max(part.tally.cost for part in counted if isinstance(part.tally.cost, int)) == MOST
    assert max(part.tally.directives for part in counted) == max(part.tally.fields for part in counted) == MOST


def test_numbers_are_exact_up_to_where_counting_ends() -> None:
    weight = weighed(doubling(30, "components(first: $n) { nodes { name } }"), NO_LIMITS)
    assert weight.cost({"n": 7}) == 2**30 * 8
    assert (
        weighed(doubling(60, "__typename @skip(if: false) components(first: $n) { totalCount }"), NO_LIMITS).cost({})
        == MOST
    )


def test_a_chain_of_fragments_longer_than_the_stack_is_deep_is_counted() -> None:
    chain = [f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(5000)]
    document = parse(
        "\n".join(
            [
                "query ($n: Int) { ...F0 }",
                *chain,
                "fragment F5000 on Query { a: __typename components(first: $n) { pageInfo { endCursor } } }",
            ]
        )
    )
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert weigh(GRAPH, document, operation, Limits(), {}).check({"n": 1}) == 1
    with pytest.raises(CatalogError, match="1 aliases; 0 are allowed"):
        weigh(GRAPH, document, operation, Limits(aliases=0), {})
    with pytest.raises(CatalogError, match="1 levels deep; 0 are allowed"):
        weigh(GRAPH, document, operation, Limits(depth=0), {})


# ------------------------------------------------------------------ against the definition


@settings(deadline=None, max_examples=300)
@given(written_out.documents(), written_out.coerced_variables, st.randoms(use_true_random=False))
def test_every_number_is_that_of_the_document_with_its_fragments_written_out(
    text: str, variables: dict[str, Any], chance: Any
) -> None:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    true = WrittenOut(document, variables)
    true.read(operation.selection_set, written_out.SCHEMA.query_type)

    def beyond(**allowed: int) -> Any:
        """The node that the limit points at; None where nothing is refused."""
        try:
            weigh(written_out.SCHEMA, document, operation, Limits(**{**vars(NO_LIMITS), **allowed}), {})
        except CatalogError as error:
            return error.nodes and error.nodes[0]
        return None

    assert weigh(written_out.SCHEMA, document, operation, NO_LIMITS, {}).cost(variables) == true.cost
    for name, found in (("aliases", true.aliases), ("root_fields", true.roots), ("directives", true.directives)):
        assert beyond(**{name: len(found)}) is None
        if found:
            allowed = chance.randrange(len(found))
            assert beyond(**{name: allowed}) is found[allowed]
    deepest = max((level for level, _ in true.objects), default=0)
    assert beyond(depth=deepest) is None
    if deepest:
        depth = chance.randrange(deepest)
        assert beyond(depth=depth) is next(node for level, node in true.objects if level == depth + 1)


def test_a_number_to_come_is_added_and_multiplied_like_any_other() -> None:
    formula = Formula()
    n = formula.unknown(lambda variables: int(variables["n"]))
    known = formula.at({"n": 3})
    total = 1 + n * 2 + n * n
    assert [known(2), known(n), formula.at({"n": 3})(total), formula.at({"n": 5})(total)] == [2, 3, 16, 36]
