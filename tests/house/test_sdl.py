from __future__ import annotations

import pytest
from graphql import build_schema

from tests.house.sdl import accepted_changes, badly_described, breaking_changes, clashing_shapes


def test_finds_every_kind_of_element_that_nobody_described() -> None:
    schema = build_schema("""
        directive @cost(weight: Int) on FIELD_DEFINITION
        scalar Ref
        enum Health { GOOD }
        input Filter { tag: String }
        interface Entity { name: String }
        type Component implements Entity { name(upper: Boolean): String }
        union Found = Component
    """)

    assert sorted(badly_described(schema)) == [
        "@cost",
        "Component",
        "Component.name",
        "Component.name(upper:)",
        "Entity",
        "Entity.name",
        "Filter",
        "Filter.tag",
        "Found",
        "Health",
        "Health.GOOD",
        "Ref",
    ]


@pytest.mark.parametrize("description", ["", "the name.", "The name", " The name.", "The name. "])
def test_finds_a_description_that_does_not_read_as_a_sentence(description: str) -> None:
    schema = build_schema(f'"The root." type Query {{ "{description}" name: String }}')

    assert badly_described(schema) == ["Query.name"]


def test_lets_described_elements_and_those_of_graphql_itself_pass() -> None:
    schema = build_schema('"The root. Start here." type Query { "The name." name: String @deprecated }')

    assert badly_described(schema) == []


ENTITY = "interface Entity { id: ID! }"


@pytest.mark.parametrize(
    ("one", "other"),
    [("String", "String!"), ("String", "[String]"), ("String", "Int"), ("String", "Component"), ("[Int]", "[Int!]")],
)
def test_finds_one_name_of_two_shapes_among_the_entities(one: str, other: str) -> None:
    schema = build_schema(f"""
        {ENTITY}
        type Component implements Entity {{ id: ID! tier: {one} }}
        type Resource implements Entity {{ id: ID! tier: {other} }}
    """)

    assert clashing_shapes(schema) == [f"Component.tier: {one} but Resource.tier: {other}"]


def test_finds_one_name_of_two_shapes_among_the_members_of_a_union() -> None:
    schema = build_schema("type A { x: Int } type B { x: Int! } union Found = A | B")

    assert clashing_shapes(schema) == ["A.x: Int but B.x: Int!"]


def test_finds_two_shapes_below_fields_that_agree_themselves() -> None:
    schema = build_schema(f"""
        {ENTITY}
        type Component implements Entity {{ id: ID! parts: Parts }}
        type System implements Entity {{ id: ID! parts: Members }}
        type Parts {{ total: Int }}
        type Members {{ total: Int! }}
    """)

    assert clashing_shapes(schema) == ["Members.total: Int! but Parts.total: Int"]


def test_lets_types_pass_that_never_stand_at_one_place() -> None:
    schema = build_schema(f"""
        {ENTITY}
        type Component implements Entity {{ id: ID! parts: [Part!]! }}
        type System implements Entity {{ id: ID! parts: [Component!]! }}
        type Part {{ name: String }}
        type Query {{ name: Int! }}
    """)

    assert clashing_shapes(schema) == []


def test_names_what_a_client_of_yesterday_would_miss_and_not_what_is_new() -> None:
    before = "type Query { a: Int b: Int }"
    after = "type Query { b: Int! c: Int d(x: Int): Int }"

    assert breaking_changes(before, after) == ["Field Query.a was removed."]


def test_takes_a_breaking_change_for_accepted_only_with_its_whole_sentence() -> None:
    markdown = "# Breaking\n\n- Field Query.a was removed. Because nobody read it.\n- Field Query.b was removed.\n"

    assert accepted_changes(markdown) == {
        "Field Query.a was removed.": "nobody read it.",
        "Field Query.b was removed.": "",
    }
