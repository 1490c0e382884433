"""What is different between two versions of a document."""

from __future__ import annotations

import pytest

from db.rules.changes import changed_fields
from db.rules.records import Json


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": 2}, {"a": 2, "c": 2}, ["/a", "/b", "/c"]),
        ({"a": {"b": {"c": 1, "d": 1}}}, {"a": {"b": {"c": 2, "d": 1}}}, ["/a/b/c"]),
        ({"a": [1, {"b": 1}]}, {"a": [1, {"b": 2}]}, ["/a"]),
        ({"a": {}}, {"a": None}, ["/a"]),
        ({"a": None}, {}, ["/a"]),
        ({}, {"a": None}, ["/a"]),
        ({"a": None}, {"a": None}, []),
        ({"a/b": {"c~d": 1}}, {"a/b": {"c~d": 2}}, ["/a~1b/c~0d"]),
        (None, {"a": 1}, []),
        ({"a": 1}, None, []),
    ],
)
def test_each_field_that_differs_is_named_once(before: Json, after: Json, fields: list[str]) -> None:
    assert list(changed_fields(before, after)) == fields
