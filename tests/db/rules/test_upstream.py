"""Entities of a Backstage's API as records, whatever upstream sends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.rules import upstream
from db.rules.records import Json, Reference
from db.rules.refs import RefError
from db.rules.values import check_value

COMPONENT: dict[str, Any] = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "Component",
    "metadata": {
        "name": "Web",
        "namespace": "default",
        "uid": "7f",
        "etag": "e",
        "generation": 3,
        "annotations": {"backstage.io/managed-by-location": "url:https://git.example.com/web.yaml"},
    },
    "spec": {"type": "service", "lifecycle": "production", "owner": "core"},
    "relations": [{"type": "ownedBy", "targetRef": "group:default/core"}],
    "status": {"items": []},
}

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["\ud800"])
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_KEYS = ("kind", "metadata", "name", "namespace", "relations", "type", "targetRef", "spec", "owner", "etag")


def with_relations(*relations: Json) -> dict[str, Json]:
    """The component, with these relations too."""
    return COMPONENT | {"relations": [*COMPONENT["relations"], *relations]}


def added(*relations: Json) -> list[Reference]:
    """The references that are made of relations."""
    (record,) = upstream.read(with_relations(*relations)).records
    return [reference for reference in record.references if reference.field is None]


def test_what_upstream_adds_is_taken_off_and_all_else_is_kept() -> None:
    reading = upstream.read(COMPONENT)
    (record,) = reading.records
    assert (reading.documents, reading.rejected, reading.findings) == (1, 0, [])
    assert (record.ref, record.name, record.document, record.line) == ("component:default/web", "Web", 1, 1)
    assert record.metadata == {key: COMPONENT["metadata"][key] for key in ("name", "namespace", "annotations")}
    assert record.spec == COMPONENT["spec"]
    assert record.references == (Reference("spec.owner", "ownedBy", "group:default/core", 1),)


def test_the_etag_of_a_record_does_not_depend_on_what_upstream_adds() -> None:
    (one,) = upstream.read(COMPONENT).records
    (other,) = upstream.read(COMPONENT | {"metadata": COMPONENT["metadata"] | {"uid": "8", "etag": "f"}}).records
    assert one.etag == other.etag


@pytest.mark.parametrize(
    ("type_", "kept"), [("dependsOn", True), ("dependencyOf", False), ("hosts", True), ("ownedby", True)]
)
def test_a_relation_that_its_other_end_says_too_is_kept_once(type_: str, *, kept: bool) -> None:
    target = "resource:default/db"
    relation = {"type": type_, "targetRef": "Resource:default/DB"}
    assert added(relation, relation) == ([Reference(None, type_, target, None)] if kept else [])


@pytest.mark.parametrize(
    "relation",
    [
        None,
        7,
        {},
        {"type": []},
        {"type": "hosts"},
        {"type": "", "targetRef": "a:b/c"},
        {"type": "x" * 101, "targetRef": "a:b/c"},
        {"type": "a\0", "targetRef": "a:b/c"},
        {"type": "hosts", "targetRef": "without-kind"},
        {"type": "hosts", "targetRef": "a:b/\0"},
    ],
)
def test_a_relation_that_is_none_is_a_warning(relation: Json) -> None:
    reading = upstream.read(with_relations(relation))
    assert [(found.rule, found.severity, found.field) for found in reading.findings] == [
        ("relation-malformed", "WARNING", "relations[1]")
    ]
    assert len(reading.records) == 1


@pytest.mark.parametrize(
    ("description", "rule"),
    [
        ("\0", "nul-character"),
        ("\udfff", "lone-surrogate"),
        (float("inf"), "number-not-finite"),
        ("x" * 5_000_001, "too-much-text"),
        ([0] * 100_001, "too-many-nodes"),
    ],
)
def test_what_cannot_be_stored_is_a_rejected_document(description: Json, rule: str) -> None:
    reading = upstream.read(COMPONENT | {"spec": COMPONENT["spec"] | {"x": description}})
    assert (reading.documents, reading.rejected, reading.records) == (1, 1, [])
    assert [found.rule for found in reading.findings] == [rule]


def test_a_value_that_nests_too_deep_is_a_rejected_document() -> None:
    value: Json = 0
    for _ in range(101):
        value = [value]
    assert [found.rule for found in upstream.read(COMPONENT | {"spec": value}).findings] == ["too-deep"]


@pytest.mark.parametrize(
    ("entity", "ref"),
    [
        ({"kind": "API", "metadata": {"name": "A", "namespace": "Shop"}}, "api:shop/a"),
        ({"kind": "API", "metadata": {"name": "a b:c/d"}}, "api:default/a b:c/d"),
        ({"kind": "API", "metadata": {"name": "a", "namespace": None}}, "api:default/a"),
        ({"kind": "a:b", "metadata": {"name": "a"}}, None),
        ({"kind": "API", "metadata": {"name": "a", "namespace": "b/c"}}, None),
        ({"kind": "API", "metadata": {"name": ""}}, None),
        ({"kind": "API", "metadata": {"name": "\ud800"}}, None),
        ({"kind": 7, "metadata": {"name": "a"}}, None),
        ([], None),
    ],
)
def test_a_ref_is_as_upstream_has_it(entity: Json, ref: str | None) -> None:
    if ref is None:
        with pytest.raises(RefError):
            upstream.ref_of(entity)
    else:
        assert str(upstream.ref_of(entity)) == ref


@given(st.one_of(_VALUES, st.dictionaries(st.sampled_from(_KEYS), _VALUES)), st.sampled_from(["spec", "relations", ""]))
def test_nothing_that_upstream_sends_is_more_than_a_rejected_document(value: Json, place: str) -> None:
    reading = upstream.read(COMPONENT | {place: value} if place else value)
    assert (reading.documents, len(reading.records) + reading.rejected) == (1, 1)
    for record in reading.records:
        check_value([record.metadata, record.spec, [reference.type for reference in record.references]])
