"""What a filter means: judged in plain Python, on an image of an entity.

An image is what the change log keeps of an entity: its document before a change or after it, and the refs that it
names. `db.queries.matching` asks the same of the catalog in SQL; `tests/schema/test_filter_oracle.py` holds the two
together. What a live feed asks of every change is compiled once, into closures.

A field of an entity is a collection of values everywhere here: an absent one is empty, one that is no list has one
value. So an operator has one meaning, and `exists: false`, `ne` and `notIn` are those that hold for no value.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from db.rules.filters import DateTimeFilter, EntityFilter, KeyFilter, NumberFilter, PathFilter, StringFilter
from db.rules.pointers import Pointer
from db.rules.records import Json
from db.rules.refs import DEFAULT_NAMESPACE, Ref

LONGEST_KEPT = 255
"""The most characters of a type or a lifecycle that are kept as columns, which indexes hold and Postgres bounds.

They are what is compared; the document has them all.
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What is judged. Refs are canonical; kind, namespace and name have the case of the file."""

    ref: str
    kind: str
    namespace: str
    name: str
    title: str  # metadata.title, else the name
    type: str | None
    lifecycle: str | None
    tags: Sequence[str]
    owner: str | None  # the refs that spec.owner, system and domain name, existing or not
    system: str | None
    domain: str | None
    parent: str | None  # spec.parent, subcomponentOf or subdomainOf
    metadata: dict[str, Json]
    spec: dict[str, Json]


Judge = Callable[[Image], bool]
Trees = Callable[[Ref], Container[str]]
"""Of a group the canonical refs inside its tree: its own, of the groups below it, of the members of all these."""

_Values = Collection[Any]
_Field = Callable[[Image], _Values]
_Test = Callable[[_Values], bool]


def image_of(document: dict[str, Json], links: dict[str, str | None] | None) -> Image:
    """The image of {apiVersion, kind, metadata, spec} that names the refs {owner, system, domain, parent}, if any."""
    metadata, spec = document["metadata"], document["spec"]
    kind, name, namespace = document["kind"], metadata["name"], metadata.get("namespace", DEFAULT_NAMESPACE)
    named = (links or {}).get
    return Image(
        ref=str(Ref(kind.lower(), namespace.lower(), name.lower())),
        kind=kind,
        namespace=namespace,
        name=name,
        title=metadata.get("title") or name,
        type=_kept(spec.get("type")),
        lifecycle=_kept(spec.get("lifecycle")),
        tags=metadata.get("tags", ()),
        owner=named("owner"),
        system=named("system"),
        domain=named("domain"),
        parent=named("parent"),
        metadata=metadata,
        spec=spec,
    )


def _kept(value: Json) -> str | None:
    return value[:LONGEST_KEPT] if isinstance(value, str) else None


def unanswerable(wanted: EntityFilter) -> str | None:
    """The first field that no image answers, by its place in the GraphQL argument: `filter.anyOf[0].hasProblem`.

    Such a field asks for the present of the whole catalog, or for an instant; images are of the past, and alone.
    """
    return next(_unanswerable(wanted, "filter"), None)


_OF_THE_CATALOG = {
    "depends_on": "dependsOn",
    "dependency_of": "dependencyOf",
    "has_problem": "hasProblem",
    "text": "text",
    "created_at": "createdAt",
    "updated_at": "updatedAt",
}


def _unanswerable(wanted: EntityFilter, place: str) -> Iterator[str]:
    for name, spelled in _OF_THE_CATALOG.items():
        if getattr(wanted, name) not in (None, DateTimeFilter()):
            yield f"{place}.{spelled}"
    for step, part in _parts(wanted):
        yield from _unanswerable(part, f"{place}.{step}")


def _parts(wanted: EntityFilter) -> Iterator[tuple[str, EntityFilter]]:
    """The filters right in this one, with their places."""
    for spelled, parts in (("allOf", wanted.all_of), ("anyOf", wanted.any_of)):
        for position, part in enumerate(parts or ()):
            yield f"{spelled}[{position}]", part
    if wanted.not_ is not None:
        yield "not", wanted.not_


def trees_of(wanted: EntityFilter) -> tuple[Ref, ...]:
    """The groups whose trees a filter asks for."""
    own = () if wanted.in_tree_of is None else (wanted.in_tree_of,)
    return (*own, *(group for _, part in _parts(wanted) for group in trees_of(part)))


def compiled(wanted: EntityFilter, trees: Trees) -> Judge:
    """Whether an image matches, as a function; to be made once, and asked often.

    `trees` is asked whenever an owner is judged, so it may follow the groups as they change. Raises ValueError where
    `unanswerable` names a field.
    """
    if (place := unanswerable(wanted)) is not None:
        raise ValueError(f"no image of an entity answers {place}")
    return _judge(wanted, trees)


def _judge(wanted: EntityFilter, trees: Trees) -> Judge:
    return _all([*_of_values(wanted), *_of_refs(wanted, trees), *_of_parts(wanted, trees)])


def _all(judges: Sequence[Judge]) -> Judge:
    if len(judges) == 1:
        return judges[0]

    def holds(image: Image) -> bool:
        for judge in judges:  # noqa: SIM110 - `all` over a generator takes three times as long
            if not judge(image):
                return False
        return True

    return holds


def _of_parts(wanted: EntityFilter, trees: Trees) -> Iterator[Judge]:
    if wanted.all_of is not None:
        yield _all([_judge(part, trees) for part in wanted.all_of])
    if wanted.any_of is not None:
        yield _any([_judge(part, trees) for part in wanted.any_of])
    if wanted.not_ is not None:
        refused = _judge(wanted.not_, trees)
        yield lambda image: not refused(image)


def _any(judges: Sequence[Judge]) -> Judge:
    def holds(image: Image) -> bool:
        for judge in judges:  # noqa: SIM110 - as in `_all`
            if judge(image):
                return True
        return False

    return holds


def _of_refs(wanted: EntityFilter, trees: Trees) -> Iterator[Judge]:
    if wanted.ref is not None:
        refs = frozenset(map(str, wanted.ref))
        yield lambda image: image.ref in refs
    if wanted.owned_by is not None:
        owner = str(wanted.owned_by)
        yield lambda image: image.owner == owner
    if wanted.in_tree_of is not None:
        root = wanted.in_tree_of
        yield lambda image: image.owner is not None and image.owner in trees(root)
    if wanted.part_of is not None:
        whole = str(wanted.part_of)
        yield lambda image: whole in (image.system, image.domain) or (image.parent == whole and image.kind != "Group")


_TEXTS: dict[str, _Field] = {
    "kind": lambda image: (image.kind.lower(),),  # filters hold these three in lower case
    "namespace": lambda image: (image.namespace.lower(),),
    "name": lambda image: (image.name.lower(),),
    "title": lambda image: (image.title,),
    "type": lambda image: () if image.type is None else (image.type,),
    "lifecycle": lambda image: () if image.lifecycle is None else (image.lifecycle,),
    "tag": lambda image: image.tags,
}


def _of_values(wanted: EntityFilter) -> Iterator[Judge]:
    for name, field in _TEXTS.items():
        yield from _of_field(field, getattr(wanted, name))
    for name, asked in (("labels", wanted.label), ("annotations", wanted.annotation)):
        if asked is not None:
            yield from _of_key(name, asked)
    if wanted.path is not None:
        yield from _of_path(wanted.path)


def _of_key(mapping: str, asked: KeyFilter) -> Iterator[Judge]:
    def field(image: Image) -> _Values:
        values = image.metadata.get(mapping)
        return (values[asked.key],) if values and asked.key in values else ()

    yield from _of_field(field, asked.value, unless_asked=_IS_THERE)


def _of_path(asked: PathFilter) -> Iterator[Judge]:
    there = value_at(asked.path)
    judges = [
        *_of_field(lambda image: [value for value in _items(there(image)) if isinstance(value, str)], asked.text),
        *_of_field(lambda image: [float(value) for value in _items(there(image)) if _is_number(value)], asked.number),
    ]
    if asked.boolean is not None:
        boolean = asked.boolean
        judges.append(lambda image: any(value is boolean for value in _items(there(image))))
    yield from judges or [lambda image: there(image) is not None]


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_POSITION = re.compile(r"0|[1-9][0-9]{0,8}")  # as RFC 6901 writes it; no list is longer


def value_at(pointer: Pointer) -> Callable[[Image], Json]:
    """What reads the value at a pointer; None where there is nothing, or null."""
    root = attrgetter(pointer.root.value)
    path = [(step, int(step) if _POSITION.fullmatch(step) else None) for step in pointer.steps]

    def there(image: Image) -> Json:
        value: Json = root(image)
        for key, position in path:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and position is not None and position < len(value):
                value = value[position]
            else:
                return None
        return value

    return there


def _of_field(
    field: _Field, asked: StringFilter | NumberFilter | None, unless_asked: Sequence[_Test] = ()
) -> Iterator[Judge]:
    """What the given operators ask of a field; where there is none, `unless_asked`."""
    return (_tested(field, test) for test in _tests(asked) or unless_asked)


def _tested(field: _Field, test: _Test) -> Judge:
    return lambda image: test(field(image))


def _tests(asked: StringFilter | NumberFilter | None) -> list[_Test]:
    if asked is None:
        return []
    given = ((spec.name, getattr(asked, spec.name)) for spec in fields(asked))
    return [
        _OPERATORS[name](frozenset(wanted) if isinstance(wanted, tuple) else wanted)
        for name, wanted in given
        if wanted is not None
    ]


def _some(holds: Callable[[Any, Any], bool]) -> Callable[[Any], _Test]:
    """The operator that asks this of some value: `holds(value, wanted)`."""

    def operator_of(wanted: Any) -> _Test:
        def test(values: _Values) -> bool:
            for value in values:  # noqa: SIM110 - as in `_all`
                if holds(value, wanted):
                    return True
            return False

        return test

    return operator_of


def _none(holds: Callable[[Any, Any], bool]) -> Callable[[Any], _Test]:
    """The operator that asks that this holds for no value."""

    def operator_of(wanted: Any) -> _Test:
        some = _some(holds)(wanted)
        return lambda values: not some(values)

    return operator_of


def _is_in(value: Any, wanted: frozenset[Any]) -> bool:
    return value in wanted


def _exists(wanted: bool) -> _Test:  # noqa: FBT001 - an operator like the others
    return lambda values: bool(values) is wanted


_IS_THERE = (_exists(True),)  # noqa: FBT003 - as in GraphQL: `exists: true`

_OPERATORS: dict[str, Callable[[Any], _Test]] = {
    "eq": _some(operator.eq),
    "ne": _none(operator.eq),
    "in_": _some(_is_in),
    "not_in": _none(_is_in),
    "prefix": _some(str.startswith),
    "contains": _some(operator.contains),
    "gt": _some(operator.gt),
    "gte": _some(operator.ge),
    "lt": _some(operator.lt),
    "lte": _some(operator.le),
    "exists": _exists,
}
