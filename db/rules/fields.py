"""Fields of a descriptor as data, and the one check that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import UnionType

from db.rules.findings import Findings
from db.rules.records import Json
from db.rules.shown import shown
from db.rules.yaml import Path


class Shape(Enum):
    """What a field may hold; the value says it to a person."""

    TEXT = "a text"
    NON_EMPTY_TEXT = "a text of at least one character"
    TEXTS = "a list of texts"
    TEXT_OR_TEXTS = "a text or a list of texts"  # or nothing: Backstage lets null and "" pass there
    MAPPING = "a mapping"
    MAPPINGS = "a list of mappings"
    MAPPING_OR_MAPPINGS = "a mapping or a list of mappings"
    TEXT_OR_BOOLEAN = "a text, true or false"


@dataclass(frozen=True, slots=True)
class Link:
    """What the references in a field mean."""

    relation: str  # seen from the entity that has the field
    kind: str | None = None  # of a reference that names none
    kinds: frozenset[str] = frozenset()  # that make sense there, in lower case; empty: all


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a mapping."""

    name: str
    shape: Shape = Shape.NON_EMPTY_TEXT
    required: bool = False
    choices: frozenset[str] = frozenset()  # empty: any
    fields: tuple[Field, ...] = ()  # of the mapping, or of each mapping in the list
    link: Link | None = None


def check_fields(holder: dict[str, Json], fields: tuple[Field, ...], path: Path, findings: Findings) -> None:
    """Report what is missing in `holder`, which stands at `path`, and what has a wrong shape."""
    for field in fields:
        at = (*path, field.name)
        if field.name in holder:
            _check(holder[field.name], field, at, findings)
        elif field.required:
            findings.error("required-field", at, f"{field.name} is missing", hint="Add it.")


def _check(value: Json, field: Field, path: Path, findings: Findings) -> None:
    if not _fits(value, field.shape):
        findings.error("field-type", path, f"{field.name} is {_described(value)}, not {field.shape.value}")
    elif field.choices and value not in field.choices:
        findings.error("field-choice", path, f"{shown(value)} is none of {', '.join(sorted(field.choices))}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _check_item(item, field, (*path, position), findings)
    elif isinstance(value, dict):
        check_fields(value, field.fields, path, findings)


def _check_item(item: Json, field: Field, path: Path, findings: Findings) -> None:
    if field.shape in {Shape.TEXTS, Shape.TEXT_OR_TEXTS}:
        if not (isinstance(item, str) and item):
            findings.error("field-type", path, f"{_described(item)} is not {Shape.NON_EMPTY_TEXT.value}")
    elif isinstance(item, dict):
        check_fields(item, field.fields, path, findings)
    else:
        findings.error("field-type", path, f"{_described(item)} is not {Shape.MAPPING.value}")


_TYPES: dict[Shape, type | UnionType] = {
    Shape.TEXT: str,
    Shape.NON_EMPTY_TEXT: str,
    Shape.TEXTS: list,
    Shape.TEXT_OR_TEXTS: str | list | None,
    Shape.MAPPING: dict,
    Shape.MAPPINGS: list,
    Shape.MAPPING_OR_MAPPINGS: dict | list,
    Shape.TEXT_OR_BOOLEAN: str | bool,
}


def _fits(value: Json, shape: Shape) -> bool:
    return isinstance(value, _TYPES[shape]) and (value != "" or shape is not Shape.NON_EMPTY_TEXT)


def _described(value: Json) -> str:
    match value:
        case None:
            return "empty"
        case "":
            return "an empty text"
        case bool():
            return f"the boolean {shown(value)}"
        case int() | float():
            return f"the number {shown(value)}"
        case _:
            return shown(value)
