"""What filters mean, on images: exactly, one meaning at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from db.rules.filters import (
    ClosureFilter,
    DateTimeFilter,
    EntityFilter,
    KeyFilter,
    NumberFilter,
    PathFilter,
    StringFilter,
)
from db.rules.matches import Image, compiled, image_of, trees_of, unanswerable
from db.rules.pointers import Pointer
from db.rules.records import Json
from db.rules.refs import Ref
from db.rules.search import SearchText

DOCUMENT: dict[str, Json] = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "Component",
    "metadata": {
        "name": "Player",
        "namespace": "edge",
        "title": "The player",
        "tags": ["audio", "go"],
        "labels": {"tier": "gold", "a.b/c": ""},
        "annotations": {"a.b/c": "x y"},
    },
    "spec": {
        "type": "service",
        "lifecycle": "production",
        "owner": "players",
        "port": 8080,
        "ratio": 0.5,
        "public": True,
        "nothing": None,
        "empty": [],
        "ports": [80, "443", 8443, None, True, {"port": 1}, [2]],
        "names": ["x", "y"],
        "deep": {"a/b": {"m~n": [{"é": "there"}]}, "": {"0": "key", "01": "odd", "-1": "minus"}},
    },
}
LINKS = {
    "owner": "group:edge/players",
    "system": "system:edge/playback",
    "domain": None,
    "parent": "component:edge/suite",
}
PLAYER = image_of(DOCUMENT, LINKS)
ROBOT: dict[str, Json] = {"apiVersion": "v1", "kind": "Robot", "metadata": {"name": "r2"}, "spec": {}}
BARE = image_of(ROBOT, None)


def no_trees(_: Ref) -> set[str]:
    raise AssertionError("nobody asked for a tree")


def matches(image: Image, **wanted: Any) -> bool:
    found = compiled(EntityFilter(**wanted), no_trees)(image)
    assert compiled(EntityFilter(not_=EntityFilter(**wanted)), no_trees)(image) is not found
    return found


def test_an_image_is_what_the_change_log_keeps_of_an_entity() -> None:
    assert image_of(DOCUMENT, LINKS) == Image(
        ref="component:edge/player",
        kind="Component",
        namespace="edge",
        name="Player",
        title="The player",
        type="service",
        lifecycle="production",
        tags=["audio", "go"],
        owner="group:edge/players",
        system="system:edge/playback",
        domain=None,
        parent="component:edge/suite",
        metadata=DOCUMENT["metadata"],
        spec=DOCUMENT["spec"],
    )


def test_what_an_entity_does_not_say_is_absent_in_its_image() -> None:
    assert image_of(ROBOT, None) == Image(
        ref="robot:default/r2",
        kind="Robot",
        namespace="default",
        name="r2",
        title="r2",
        type=None,
        lifecycle=None,
        tags=(),
        owner=None,
        system=None,
        domain=None,
        parent=None,
        metadata={"name": "r2"},
        spec={},
    )


@pytest.mark.parametrize(
    ("declared", "kept"),
    [("x" * 256, "x" * 255), ("😀" * 256, "😀" * 255), ("", ""), (1, None), (["a"], None), (None, None)],
)
def test_a_type_and_a_lifecycle_are_kept_where_they_are_texts(declared: Json, kept: str | None) -> None:
    image = image_of({**DOCUMENT, "spec": {"type": declared, "lifecycle": declared}}, None)
    assert (image.type, image.lifecycle) == (kept, kept)


@pytest.mark.parametrize(
    ("asked", "of_one", "of_none"),
    [
        (StringFilter(eq="service"), True, False),
        (StringFilter(eq="Service"), False, False),
        (StringFilter(ne="service"), False, True),
        (StringFilter(ne="website"), True, True),
        (StringFilter(in_=("website", "service")), True, False),
        (StringFilter(in_=("website",)), False, False),
        (StringFilter(in_=()), False, False),
        (StringFilter(not_in=("service",)), False, True),
        (StringFilter(not_in=()), True, True),
        (StringFilter(prefix="serv"), True, False),
        (StringFilter(prefix="ervice"), False, False),
        (StringFilter(prefix=""), True, False),
        (StringFilter(contains="rvi"), True, False),
        (StringFilter(contains="s%e"), False, False),
        (StringFilter(contains=""), True, False),
        (StringFilter(exists=True), True, False),
        (StringFilter(exists=False), False, True),
        (StringFilter(prefix="serv", contains="web"), False, False),
        (StringFilter(), True, True),
    ],
)
def test_an_absent_text_fails_all_but_ne_not_in_and_exists(asked: StringFilter, *, of_one: bool, of_none: bool) -> None:
    assert (matches(PLAYER, type=asked), matches(BARE, type=asked)) == (of_one, of_none)


@pytest.mark.parametrize(
    ("asked", "of_two", "of_none"),
    [
        (StringFilter(eq="go"), True, False),
        (StringFilter(ne="go"), False, True),
        (StringFilter(ne="web"), True, True),
        (StringFilter(in_=("go", "web")), True, False),
        (StringFilter(not_in=("go", "web")), False, True),
        (StringFilter(not_in=("web",)), True, True),
        (StringFilter(prefix="au"), True, False),
        (StringFilter(contains="o"), True, False),
        (StringFilter(prefix="au", contains="go"), True, False),  # each of some tag, not both of one
        (StringFilter(exists=True), True, False),
        (StringFilter(exists=False), False, True),
    ],
)
def test_of_many_values_an_operator_asks_some_and_ne_and_not_in_none(
    asked: StringFilter, *, of_two: bool, of_none: bool
) -> None:
    assert (matches(PLAYER, tag=asked), matches(BARE, tag=asked)) == (of_two, of_none)


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ({"kind": StringFilter(eq="component")}, True),
        ({"namespace": StringFilter(ne="edge")}, False),
        ({"name": StringFilter(in_=("player",))}, True),
        ({"name": StringFilter(prefix="pla")}, True),
        ({"title": StringFilter(eq="The player")}, True),
        ({"title": StringFilter(eq="the player")}, False),
        ({"lifecycle": StringFilter(eq="production"), "type": StringFilter(eq="website")}, False),
    ],
)
def test_names_are_compared_without_case_and_other_texts_as_they_are(asked: dict[str, Any], *, holds: bool) -> None:
    assert matches(PLAYER, **asked) is holds


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        (KeyFilter("tier"), True),
        (KeyFilter("Tier"), False),
        (KeyFilter("a.b/c"), True),
        (KeyFilter("tier", StringFilter()), True),
        (KeyFilter("gone", StringFilter()), False),
        (KeyFilter("gone"), False),
        (KeyFilter("tier", StringFilter(eq="gold")), True),
        (KeyFilter("tier", StringFilter(eq="Gold")), False),
        (KeyFilter("a.b/c", StringFilter(eq="")), True),
        (KeyFilter("gone", StringFilter(ne="gold")), True),
        (KeyFilter("tier", StringFilter(ne="gold")), False),
        (KeyFilter("gone", StringFilter(exists=False)), True),
        (KeyFilter("a.b/c", StringFilter(exists=False)), False),
    ],
)
def test_a_label_without_a_value_to_ask_for_must_be_there(asked: KeyFilter, *, holds: bool) -> None:
    assert matches(PLAYER, label=asked) is holds


def test_a_label_is_no_annotation() -> None:
    assert not matches(PLAYER, annotation=KeyFilter("tier"))
    assert matches(PLAYER, annotation=KeyFilter("a.b/c", StringFilter(contains=" ")))
    assert not matches(BARE, label=KeyFilter("tier"))


TEXT, NUMBER = StringFilter(exists=True), NumberFilter(exists=True)


@pytest.mark.parametrize(
    ("pointer", "asked", "holds"),
    [
        ("/spec/port", {}, True),
        ("/spec/gone", {}, False),
        ("/spec/nothing", {}, False),
        ("/spec/empty", {}, True),
        ("/spec/deep", {}, True),
        ("/spec", {}, True),
        ("/metadata/labels/a.b~1c", {"text": StringFilter(eq="")}, True),
        ("/metadata/name", {"text": StringFilter(eq="player")}, False),
        ("/spec/port", {"number": NumberFilter(eq=8080)}, True),
        ("/spec/port", {"text": TEXT}, False),
        ("/spec/port", {"text": StringFilter(ne="8080")}, True),
        ("/spec/port", {"text": StringFilter()}, True),
        ("/spec/gone", {"text": StringFilter()}, False),
        ("/spec/gone", {"text": StringFilter(), "number": NumberFilter(ne=1)}, True),
        ("/spec/ratio", {"number": NumberFilter(gt=0.4, lt=0.6)}, True),
        ("/spec/ratio", {"number": NumberFilter(gte=0.5, lte=0.5)}, True),
        ("/spec/ratio", {"number": NumberFilter(gt=0.5)}, False),
        ("/spec/gone", {"number": NumberFilter(ne=1)}, True),
        ("/spec/gone", {"number": NumberFilter(lt=1)}, False),
        ("/spec/public", {"boolean": True}, True),
        ("/spec/public", {"boolean": False}, False),
        ("/spec/public", {"number": NumberFilter(eq=1)}, False),
        ("/spec/gone", {"boolean": False}, False),
        ("/spec/names", {"text": StringFilter(eq="y")}, True),
        ("/spec/names", {"text": StringFilter(ne="y")}, False),
        ("/spec/ports", {"number": NumberFilter(gt=8080)}, True),
        ("/spec/ports", {"number": NumberFilter(eq=2)}, False),
        ("/spec/ports", {"number": NumberFilter(lt=80)}, False),
        ("/spec/ports", {"number": NumberFilter(ne=80)}, False),
        ("/spec/ports", {"text": StringFilter(eq="443"), "number": NumberFilter(eq=80), "boolean": True}, True),
        ("/spec/ports", {"boolean": False}, False),
        ("/spec/empty", {"text": TEXT}, False),
        ("/spec/empty", {"text": StringFilter(exists=False), "number": NumberFilter(exists=False)}, True),
        ("/spec/deep", {"text": TEXT}, False),
        ("/spec/deep/a~1b/m~0n/0/é", {"text": StringFilter(eq="there")}, True),
        ("/spec/deep//0", {"text": StringFilter(eq="key")}, True),
        ("/spec/deep//01", {"text": StringFilter(eq="odd")}, True),
        ("/spec/deep//-1", {"text": StringFilter(eq="minus")}, True),
        ("/spec/names/1", {"text": StringFilter(eq="y")}, True),
        ("/spec/names/2", {}, False),
        ("/spec/names/01", {}, False),
        ("/spec/names/-1", {}, False),
        ("/spec/names/-", {}, False),
        ("/spec/names/" + "9" * 5000, {}, False),
        ("/spec/port/0", {}, False),
        ("/spec/type/0", {}, False),
    ],
)
def test_a_path_leads_to_values_of_the_asked_type(pointer: str, asked: dict[str, Any], *, holds: bool) -> None:
    assert matches(PLAYER, path=PathFilter(Pointer.parse(pointer), **asked)) is holds


@pytest.mark.parametrize(
    ("value", "wanted", "equal"),
    [
        (0.30000000000000004, 0.3, False),
        (0.30000000000000004, 0.30000000000000004, True),
        (10**23, 1e23, True),  # what Postgres writes for 1e23
        (0, -0.0, True),
        (5e-324, 0.0, False),
    ],
)
def test_numbers_are_doubles(value: float, wanted: float, *, equal: bool) -> None:
    image = replace(PLAYER, spec={"number": value})
    asked = PathFilter(Pointer.parse("/spec/number"), number=NumberFilter(eq=wanted))
    assert matches(image, path=asked) is equal


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ({"ref": (Ref.parse("component:EDGE/Player"), Ref.parse("component:x"))}, True),
        ({"ref": (Ref.parse("component:player"),)}, False),
        ({"ref": ()}, False),
        ({"owned_by": Ref.parse("group:edge/players")}, True),
        ({"owned_by": Ref.parse("group:players")}, False),
        ({"part_of": Ref.parse("system:edge/playback")}, True),
        ({"part_of": Ref.parse("component:edge/suite")}, True),
        ({"part_of": Ref.parse("group:edge/players")}, False),
    ],
)
def test_refs_are_those_that_the_entity_names(asked: dict[str, Any], *, holds: bool) -> None:
    assert matches(PLAYER, **asked) is holds
    assert not matches(BARE, **asked)


def test_a_group_is_no_part_of_its_parent() -> None:
    parent = Ref.parse("group:edge/suite")
    team = replace(PLAYER, kind="Group", parent=str(parent))
    assert not matches(team, part_of=parent)
    assert matches(replace(team, kind="Domain"), part_of=parent)
    assert matches(replace(team, system=str(parent)), part_of=parent)


def test_a_tree_is_asked_for_whenever_an_owner_is_judged_so_it_may_grow() -> None:
    company = Ref.parse("group:company")
    trees = {company: {"group:default/company"}}
    judge = compiled(EntityFilter(in_tree_of=company), trees.__getitem__)
    assert not judge(PLAYER)
    trees[company] = {"group:default/company", "group:edge/players"}
    assert judge(PLAYER)
    assert not judge(BARE)
    assert compiled(EntityFilter(not_=EntityFilter(in_tree_of=company)), trees.__getitem__)(BARE)


def test_trees_are_asked_for_wherever_they_stand_in_a_filter() -> None:
    one, two, three = (EntityFilter(in_tree_of=Ref.parse(f"group:{name}")) for name in ("one", "two", "three"))
    asked = replace(one, any_of=(EntityFilter(not_=two), EntityFilter()), all_of=(three,))
    assert list(map(str, trees_of(asked))) == ["group:default/one", "group:default/three", "group:default/two"]
    assert trees_of(EntityFilter(owned_by=Ref.parse("group:one"))) == ()


YES, NO = EntityFilter(type=StringFilter(eq="service")), EntityFilter(type=StringFilter(eq="website"))


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        (EntityFilter(), True),
        (EntityFilter(not_=EntityFilter()), False),
        (EntityFilter(all_of=()), True),
        (EntityFilter(any_of=()), False),
        (EntityFilter(all_of=(YES, YES)), True),
        (EntityFilter(all_of=(YES, NO)), False),
        (EntityFilter(any_of=(NO, YES)), True),
        (EntityFilter(any_of=(NO, NO)), False),
        (EntityFilter(not_=NO), True),
        (EntityFilter(all_of=(YES,), any_of=(NO,)), False),
        (EntityFilter(all_of=(YES,), not_=YES), False),
        (EntityFilter(any_of=(EntityFilter(all_of=(YES, EntityFilter(not_=NO))),)), True),
        (replace(YES, any_of=(YES,), not_=NO), True),
        (replace(YES, any_of=(NO,)), False),
    ],
)
def test_all_that_a_filter_asks_must_hold(asked: EntityFilter, *, holds: bool) -> None:
    assert compiled(asked, no_trees)(PLAYER) is holds


INSTANT = DateTimeFilter(after=datetime(2026, 1, 1, tzinfo=UTC))
NEAR = ClosureFilter(Ref.parse("component:x"))


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (EntityFilter(depends_on=NEAR), "filter.dependsOn"),
        (EntityFilter(dependency_of=NEAR), "filter.dependencyOf"),
        (EntityFilter(has_problem=False), "filter.hasProblem"),
        (EntityFilter(text=SearchText.parse("player")), "filter.text"),
        (EntityFilter(created_at=INSTANT), "filter.createdAt"),
        (EntityFilter(updated_at=INSTANT), "filter.updatedAt"),
        (EntityFilter(any_of=(YES, EntityFilter(has_problem=True))), "filter.anyOf[1].hasProblem"),
        (
            EntityFilter(all_of=(EntityFilter(not_=EntityFilter(text=SearchText.parse("x"))),)),
            "filter.allOf[0].not.text",
        ),
    ],
)
def test_a_filter_that_no_image_answers_is_refused_by_the_place_of_its_field(asked: EntityFilter, field: str) -> None:
    assert unanswerable(asked) == field
    with pytest.raises(ValueError, match="no image of an entity answers filter"):
        compiled(asked, no_trees)


@pytest.mark.parametrize(
    "asked",
    [
        EntityFilter(),
        EntityFilter(created_at=DateTimeFilter()),
        EntityFilter(in_tree_of=Ref.parse("group:x"), any_of=(YES,), not_=NO),
    ],
)
def test_a_filter_that_images_answer_is_not_refused(asked: EntityFilter) -> None:
    assert unanswerable(asked) is None
