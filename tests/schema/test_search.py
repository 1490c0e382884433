"""Text search: what is found, in which order, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ingesting import Catalog
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio

CATALOG = """
component payments: {title: "Payments", description: "Takes money.", tags: [core]}
component payments-worker: {title: "Worker of payments"}
component checkout: {title: "Checkout and payments", tags: [web]}
component billing: {tags: [payments, go]}
component ledger: {description: "Remembers what came in by payments. %s"}
component golang-template: {title: "Golang template"}
component category-tree: {title: "100%% _of_ the tree"}
component elan: {title: "\\u00c9lan vital \\U0001F680"}
resource player-db: {title: "Player's database"}
group pay: {title: "Pay squad"}
"""


def descriptors() -> str:
    documents = []
    for line in (CATALOG % ("And more. " * 20)).strip().splitlines():
        (kind, name), metadata = line.partition(":")[0].split(), line.partition(": {")[2]
        spec = {
            "component": "type: service, lifecycle: production, owner: pay",
            "resource": "type: database, owner: pay",
            "group": "type: squad, children: []",
        }[kind]
        documents.append(
            f"apiVersion: backstage.io/v1alpha1\nkind: {kind.capitalize()}\n"
            f"metadata: {{name: {name}, {metadata}\nspec: {{{spec}}}\n"
        )
    return "---\n".join(documents)


@pytest.fixture
async def shop(graph: Graph, tmp_path: Path) -> Graph:
    (tmp_path / "shop.yaml").write_text(descriptors())
    await Catalog(graph.engine).ingest(tmp_path)
    return graph


QUERY = """query($text: String!, $filter: EntityFilter, $first: Int, $after: String) {
    search(text: $text, filter: $filter, first: $first, after: $after) {
        totalCount pageInfo { hasNextPage endCursor } nodes { score entity { name } }
    }
}"""


async def found(graph: Graph, text: str, **more: Any) -> list[str]:
    """The names of what is found, the best first."""
    search = (await graph.ask(QUERY, text=text, statements=1, **more))["search"]
    scores = [node["score"] for node in search["nodes"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    assert search["totalCount"] == len(scores)
    return [node["entity"]["name"] for node in search["nodes"]]


async def test_a_name_goes_before_a_title_that_before_tags_and_these_before_a_description(shop: Graph) -> None:
    search = (await shop.ask(QUERY, text="Payments", statements=1))["search"]
    assert [(node["entity"]["name"], node["score"]) for node in search["nodes"]] == [
        ("payments", 1.0),  # all of the name
        ("payments-worker", 0.952),  # how it starts, by half
        ("checkout", 0.7),
        ("billing", 0.6),
        ("ledger", 0.5),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WORKER", ["payments-worker"]),
        ("yment", ["payments", "payments-worker", "checkout", "billing", "ledger"]),  # inside a word
        ("checkout payments", ["checkout"]),  # every word, in any order and field
        ("payments checkout", ["checkout"]),
        ("payments nothing-of-this", []),
        ("takes money", ["payments"]),
        ("go", ["golang-template", "billing"]),  # short: a word, or how one starts; not inside `category`
        ("g", []),  # one letter is only found as a word
        ("élan", ["elan"]),
        ("ÉLAN", ["elan"]),
        ("\U0001f680", ["elan"]),
        ("100%", ["category-tree"]),
        ("%", ["category-tree"]),
        ("_of_", ["category-tree"]),
        ("p_y", []),
        ("\\", []),
        ("'", ["player-db"]),
        ("  payments \t worker\n", ["payments-worker"]),
    ],
)
async def test_what_a_text_finds(shop: Graph, text: str, expected: list[str]) -> None:
    names = await found(shop, text)
    assert names == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("paymnts", {"payments", "payments-worker", "checkout", "billing"}),  # not where it is in a description only
        ("chekout", {"checkout"}),
        ("golang templat", {"golang-template"}),
        ("golng template", {"golang-template"}),
        ("paymnts checkout", {"checkout"}),
        ("xylophone", set()),
        ("payments2", set()),  # with a digit it is another name
    ],
)
async def test_a_word_that_is_found_nowhere_may_be_misspelt(shop: Graph, text: str, expected: set[str]) -> None:
    assert set(await found(shop, text)) == expected


async def test_a_word_that_somebody_has_is_not_taken_for_another(shop: Graph) -> None:
    await Catalog(shop.engine).rows("UPDATE entity SET description = 'Made by paymnts.' WHERE sort_name = 'elan'")
    assert await found(shop, "paymnts") == ["elan"]


async def test_a_misspelt_name_goes_before_a_misspelt_title(shop: Graph) -> None:
    assert (await found(shop, "paymnts"))[:2] == ["payments", "payments-worker"]


async def test_it_says_where_it_was_found(shop: Graph) -> None:
    data = await shop.ask(
        """{ search(text: "payments") { nodes { entity { name } highlights { field fragment } } } }""", statements=1
    )
    highlights = {
        node["entity"]["name"]: [(one["field"], one["fragment"]) for one in node["highlights"]]
        for node in data["search"]["nodes"]
    }
    long = "Remembers what came in by **payments**. And more. And more. And more. And more. And more. And more…"
    assert highlights == {
        "payments": [("name", "**payments**"), ("title", "**Payments**")],
        "payments-worker": [("name", "**payments**-worker"), ("title", "Worker of **payments**")],
        "checkout": [("title", "Checkout and **payments**")],
        "billing": [("tags", "**payments**")],
        "ledger": [("description", long)],
    }


async def test_it_says_what_a_misspelt_word_was_taken_for(shop: Graph) -> None:
    data = await shop.ask('{ search(text: "chekout paymnts") { nodes { highlights { field fragment } } } }')
    assert data["search"]["nodes"] == [
        {
            "highlights": [
                {"field": "name", "fragment": "**checkout**"},
                {"field": "title", "fragment": "**Checkout** and **payments**"},
            ]
        }
    ]


async def test_a_hit_is_an_entity_of_its_type_with_all_that_leads_on_from_it(shop: Graph) -> None:
    data = await shop.ask(
        """{ search(text: "pay") { nodes { entity {
            __typename id ref
            owner { name }
            ... on Group { members { totalCount } }
            ... on Component { dependencies(depth: 2) { totalCount } }
        } } } }""",
        statements=3,
    )
    squad, *others = [node["entity"] for node in data["search"]["nodes"]]
    assert squad["__typename"] == "Group"
    assert (squad["ref"], squad["owner"], squad["members"]) == ("group:default/pay", None, {"totalCount": 0})
    assert {one["__typename"] for one in others} == {"Component"}
    assert {one["owner"]["name"] for one in others} == {"pay"}


async def test_a_search_is_narrowed_by_a_filter(shop: Graph) -> None:
    assert await found(shop, "pay", filter={"kind": {"eq": "group"}}) == ["pay"]
    assert await found(shop, "payments", filter={"tag": {"eq": "web"}}) == ["checkout"]
    assert await found(shop, "payments", filter={"not": {"text": "worker"}, "tag": {"exists": False}}) == ["ledger"]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
async def test_pages_of_a_search_lose_nothing_where_many_have_the_same_score(shop: Graph, size: int) -> None:
    """All the squad's neighbours score the same in a misspelt word, and are told apart by name and id."""
    await Catalog(shop.engine).rows("UPDATE entity SET title = 'Same' WHERE graph_type = 'Component'")
    names: list[str] = []
    after, more = None, True
    while more:
        page = (await shop.ask(QUERY, text="same", first=size, after=after, statements=1))["search"]
        assert page["totalCount"] == 8
        names += [node["entity"]["name"] for node in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert names == sorted(names)
    assert len(names) == 8


async def test_a_cursor_of_one_search_is_refused_in_another(shop: Graph) -> None:
    after = (await shop.ask(QUERY, text="payments", first=1))["search"]["pageInfo"]["endCursor"]
    (error,) = await shop.errors(QUERY, text="payment", after=after)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_what_is_written_is_found_at_once_and_what_is_gone_is_not(shop: Graph, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(descriptors().replace("Takes money.", "Takes shells."))
    await Catalog(shop.engine).ingest(tmp_path)
    assert await found(shop, "shells") == ["payments"]
    assert await found(shop, "money") == []


FILTERS = {
    '{text: "payments"}': {"payments", "payments-worker", "checkout", "billing", "ledger"},
    '{text: "paymnts", kind: {eq: "component"}}': {"payments", "payments-worker", "checkout", "billing"},
    '{anyOf: [{text: "worker"}, {text: "go"}]}': {"payments-worker", "billing", "golang-template"},
    '{text: "nothing-of-this"}': set(),
    '{text: "takes money"}': {"payments"},
}
ALL = {"payments", "payments-worker", "checkout", "billing", "ledger", "golang-template", "category-tree", "elan", "player-db", "pay"}  # fmt: skip


@pytest.mark.parametrize("asked", FILTERS)
async def test_a_filter_by_text_matches_what_a_search_finds_and_its_complement_the_rest(
    shop: Graph, asked: str
) -> None:
    query = "{ entities(filter: %s) { totalCount nodes { name } } }"
    matching = (await shop.ask(query % asked, statements=1))["entities"]
    others = (await shop.ask(query % f"{{not: {asked}}}", statements=1))["entities"]
    assert {node["name"] for node in matching["nodes"]} == FILTERS[asked]
    assert {node["name"] for node in others["nodes"]} == ALL - FILTERS[asked]


async def test_a_list_of_one_parent_is_filtered_by_text_too(shop: Graph) -> None:
    data = await shop.ask(
        '{ group(ref: "pay") { ownedEntities(filter: {text: "paymnts checkout"}) { nodes { name } } } }', statements=1
    )
    assert data["group"]["ownedEntities"]["nodes"] == [{"name": "checkout"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`text`: it has 0 words; 1 to 10 are searched for."),
        (" \t ", "`text`: it has 0 words; 1 to 10 are searched for."),
        ("x" * 257, "`text`: it has 257 characters; at most 256 are searched for."),
        (" ".join("abcdefghijk"), "`text`: it has 11 words; 1 to 10 are searched for."),
        ("a\0b", "`text` holds a NUL or half a surrogate pair, which no text in the catalog has."),
    ],
)
async def test_a_text_that_cannot_be_searched_for_is_refused(graph: Graph, text: str, message: str) -> None:
    assert await graph.refuse(QUERY, text=text) == ("BAD_USER_INPUT", message)
    filtered = "query($text: String!) { entities(filter: {anyOf: [{text: $text}]}) { totalCount } }"
    code, refused = await graph.refuse(filtered, text=text)
    assert (code, refused) == ("BAD_USER_INPUT", message.replace("`text`", "`filter.anyOf.text`"))


async def test_the_longest_text_is_searched_for(shop: Graph) -> None:
    assert await found(shop, "x" * 256) == []
    assert await found(shop, "payments worker of a go abc def ghi jkl mno") == []
