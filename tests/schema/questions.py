"""Questions to a generated catalog: filters and orders, as a client writes them.

Their values come mostly from the catalog itself, so that they match something, and are cut, bent and mixed up so that
they just do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.schema.catalogs import NUMBERS, ODD_TEXTS, Json, values_at

Question = dict[str, Any]
"""A value of `EntityFilter`, of `EntityOrder`, or of a part of them, as JSON."""

DEPTH = 3  # of filters in filters


@dataclass(frozen=True)
class Known:
    """What there is to ask about."""

    documents: Sequence[dict[str, Json]]
    refs: Sequence[str]  # of entities
    instants: Sequence[datetime]  # at which they were written

    def texts(self, read: Callable[[dict[str, Json]], Any]) -> list[str]:
        """The texts that a field has in some document."""
        return sorted({text for document in self.documents if isinstance(text := read(document), str)})

    def keys(self, mapping: str) -> dict[str, list[str]]:
        """The keys of all labels, or annotations, with their values."""
        found: dict[str, list[str]] = {}
        for document in self.documents:
            for key, value in document["metadata"].get(mapping, {}).items():
                found.setdefault(key, []).append(value)
        return found

    def pointers(self) -> dict[str, list[Json]]:
        """All pointers, with what they lead to, item by item."""
        found: dict[str, list[Json]] = {}
        for document in self.documents:
            for pointer, value in values_at(document):
                found.setdefault(pointer, []).extend(value if isinstance(value, list) else [value])
        return found


def filters(known: Known, fields: Sequence[str], depth: int = DEPTH) -> SearchStrategy[Question]:
    """Filters that ask these fields of `EntityFilter`, so many in each other."""
    leaf_of = _leaves(known)
    leaves = _objects({name: leaf_of[name] for name in fields})
    asked = leaves
    for _ in range(depth - 1):
        parts = st.lists(asked, max_size=3)
        asked = leaves | st.builds(
            lambda combined, leaf: {**leaf, **combined},
            _objects({"allOf": parts, "anyOf": parts, "not": asked}),
            st.just({}) | leaves,
        )
    return asked


def orders(known: Known, fields: Sequence[str]) -> SearchStrategy[list[Question]]:
    """One to three keys of an order, none twice."""
    pointers = st.sampled_from(sorted(known.pointers()))
    keys = st.builds(
        lambda field, path, ends: {"field": field, **({"path": path} if field == "PATH" else {}), **ends},
        st.sampled_from(fields),
        pointers,
        st.fixed_dictionaries(
            {}, optional={"direction": st.sampled_from(["ASC", "DESC"]), "nulls": st.sampled_from(["FIRST", "LAST"])}
        ),
    )
    return st.lists(keys, min_size=1, max_size=3, unique_by=lambda key: (key["field"], key.get("path")))


def _objects(fields: dict[str, SearchStrategy[Any]]) -> SearchStrategy[Question]:
    """Objects with one of these fields, seldom with two or three, or with none; or with one that is null."""
    names = sorted(fields)
    one = st.sampled_from(names).flatmap(lambda name: fields[name].map(lambda value: {name: value}))
    null = st.sampled_from(names).map(lambda name: {name: None})
    more = st.lists(one | one | null, max_size=3).map(lambda parts: {k: v for part in parts for k, v in part.items()})
    return one | one | one | more


def _leaves(known: Known) -> dict[str, SearchStrategy[Any]]:
    """Values of each field of `EntityFilter` that holds no filters."""
    read = known.texts
    tags = sorted({tag for document in known.documents for tag in document["metadata"].get("tags", ())})
    refs, steps = _refs(known), st.none() | st.integers(1, 4) | st.integers(1, 10)
    depending = [ref for ref in known.refs if ref.startswith(("component:", "resource:"))]
    start = st.sampled_from(depending) | st.sampled_from(_names(known)) if depending else st.sampled_from(_names(known))
    closure = st.fixed_dictionaries({"ref": start}, optional={"depth": steps})
    return {
        "ref": st.lists(st.sampled_from(_names(known)), max_size=4),
        "kind": _string(read(lambda document: document["kind"])),
        "namespace": _string(read(lambda document: document["metadata"].get("namespace"))),
        "name": _string(read(lambda document: document["metadata"]["name"])),
        "title": _string(read(lambda document: document["metadata"].get("title"))),
        "type": _string(read(lambda document: document.get("spec", {}).get("type"))),
        "lifecycle": _string(read(lambda document: document.get("spec", {}).get("lifecycle"))),
        "tag": _string(tags),
        "label": _key(known.keys("labels")),
        "annotation": _key(known.keys("annotations")),
        "path": _path(known.pointers()),
        **dict.fromkeys(("ownedBy", "inTreeOf", "partOf"), refs),
        **dict.fromkeys(("dependsOn", "dependencyOf"), closure),
        "hasProblem": st.booleans(),
        **dict.fromkeys(("createdAt", "updatedAt"), _instant(known.instants)),
    }


def _names(known: Known) -> list[str]:
    """Refs with their kinds, in either case, also of what does not exist."""
    return [*known.refs, *(ref.upper() for ref in known.refs[:5]), "group:gone", "component:edge/gone"]


def _refs(known: Known) -> SearchStrategy[str]:
    """Refs, some without their kind."""
    whole = st.sampled_from(_names(known))
    return whole | whole | whole.map(lambda ref: ref.partition(":")[2])


def _string(texts: Sequence[str]) -> SearchStrategy[Question]:
    text = _texts(texts)
    text = text | text | text.map(str.swapcase)
    start = st.builds(lambda text, end: text[:end], text, st.integers(0, 3))
    piece = st.builds(lambda text, start, size: text[start : start + size], text, st.integers(0, 3), st.integers(0, 3))
    bent = st.builds(lambda text, wild: wild + text[1:], start | piece, st.sampled_from(["%", "_", "\\"]))
    return _objects(
        {
            **dict.fromkeys(("eq", "ne"), text),
            **dict.fromkeys(("in", "notIn"), st.lists(text, max_size=3)),
            "prefix": text | start | bent,
            "contains": text | piece | bent,
            "exists": st.booleans(),
        }
    )


def _texts(texts: Sequence[str]) -> SearchStrategy[str]:
    odd = st.sampled_from(ODD_TEXTS)
    return st.sampled_from(texts) | st.sampled_from(texts) | odd if texts else odd


def _number(numbers: Sequence[float]) -> SearchStrategy[Question]:
    number = st.sampled_from([*numbers, *NUMBERS])
    return _objects({**dict.fromkeys(("eq", "ne", "gt", "gte", "lt", "lte"), number), "exists": st.booleans()})


def _key(values: dict[str, list[str]]) -> SearchStrategy[Question]:
    keys = [*sorted(values), "gone", ""]
    return st.sampled_from(keys).flatmap(
        lambda key: st.fixed_dictionaries(
            {"key": st.just(key)}, optional={"value": _string(sorted(set(values.get(key, ()))))}
        )
    )


def _path(values: dict[str, list[Json]]) -> SearchStrategy[Question]:
    lists = [pointer for pointer in sorted(values) if f"{pointer}/0" in values]
    beside = [
        f"{pointer}/{step}" for pointer in lists for step in ("00", "01", "-1", "-", "+0", " 0", "0", "1", "gone")
    ]
    busy = [pointer for pointer in sorted(values) if len(values[pointer]) > 2]  # lists, or what many have
    pointers = st.sampled_from(busy) | st.sampled_from(sorted(values))

    def of(pointer: str) -> SearchStrategy[Question]:
        found = values.get(pointer) or values.get(pointer.rpartition("/")[0], [])
        texts = sorted({value for value in found if isinstance(value, str)})
        numbers = [value for value in found if isinstance(value, int | float) and not isinstance(value, bool)]
        tests = {"text": _string(texts), "number": _number(numbers), "boolean": st.booleans()}
        return _objects(tests).map(lambda asked: {"path": pointer, **asked})

    return (pointers | pointers | st.sampled_from(beside or ["/spec/gone/0"])).flatmap(of)


def _instant(instants: Sequence[datetime]) -> SearchStrategy[Question]:
    near = st.builds(
        lambda at, microseconds, hours: (
            (at + timedelta(microseconds=microseconds)).astimezone(timezone(timedelta(hours=hours))).isoformat()
        ),
        st.sampled_from(instants),
        st.integers(-1, 1),
        st.integers(-12, 12),
    )
    return _objects({"after": near, "before": near})
