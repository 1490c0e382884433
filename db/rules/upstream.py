"""An entity as the API of a Backstage gives it -> the record to keep, and what is wrong with it.

Upstream has read its file and filled in placeholders. What it has added is taken off again: the rest is as in the file,
with the annotations that say where that is. Relations that the spec says come from the spec, as they do for files.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace

from db.rules.descriptors import read_value
from db.rules.findings import Findings
from db.rules.kinds import RELATION_PAIRS
from db.rules.records import Json, Reading, Record, Reference
from db.rules.refs import DEFAULT_NAMESPACE, Ref, RefError
from db.rules.scalars import check_text
from db.rules.shown import shown
from db.rules.yaml import Document

_ADDED = frozenset({"relations", "status"})
_ADDED_TO_METADATA = frozenset({"uid", "etag", "generation"})

# Seen from these ends, a relation is what its other end says: upstream gives every relation to both.
_OTHER_ENDS = frozenset(other for _, other in RELATION_PAIRS)
_LONGEST_TYPE = 100


def ref_of(entity: Json) -> Ref:
    """The ref of an entity, or of a stub with kind, namespace and name, as upstream knows it.

    It may break the rules for names: a Backstage may have rules of its own. Raises RefError for what has no ref.
    """
    match entity:
        case {"kind": str(kind), "metadata": {"name": str(name), **rest}} if ":" not in kind and "/" not in kind:
            namespace = rest.get("namespace") or DEFAULT_NAMESPACE
            if isinstance(namespace, str) and "/" not in namespace:
                return Ref.parse(f"{kind}:{namespace}/{name}")
    raise RefError("an entity has no kind, namespace and name that are texts")


def etag_of(entity: Json) -> str | None:
    """What changes whenever the entity does, its relations included; None: upstream gives none."""
    match entity:
        case {"metadata": {"etag": str(etag)}} if etag:
            return etag
    return None


def read(entity: Json, *, kinds: Container[str] | None = None) -> Reading:
    """What an entity says, as the one document of a file. Never raises, whatever the value.

    `kinds`: those that may be declared, in lower case; None: all.
    """
    reading = read_value(_declared(entity), kinds=kinds)
    for record in reading.records:
        findings = Findings(Document(entity, line=1, size=0, _lines={}), 1)
        added = tuple(_added_relations(entity, record, findings))
        reading.records = [replace(record, references=record.references + added)]
        reading.findings += findings.all
    return reading


def _declared(entity: Json) -> Json:
    if not isinstance(entity, dict):
        return entity
    declared = {key: value for key, value in entity.items() if key not in _ADDED}
    if isinstance(metadata := declared.get("metadata"), dict):
        declared["metadata"] = {key: value for key, value in metadata.items() if key not in _ADDED_TO_METADATA}
    return declared


def _added_relations(entity: dict[str, Json], record: Record, findings: Findings) -> Iterator[Reference]:
    """The relations that the spec does not say: of types of a company's own, or added by a processor."""
    said = {(reference.type, reference.target) for reference in record.references}
    relations = entity.get("relations")
    for position, relation in enumerate(relations if isinstance(relations, list) else ()):
        try:
            link = _link(relation)
        except ValueError as error:
            findings.warning("relation-malformed", ("relations", position), str(error))
            continue
        if link is not None and link not in said:
            said.add(link)
            type_, target = link
            yield Reference(field=None, type=type_, target=target, line=None)


def _link(relation: Json) -> tuple[str, str] | None:
    """Type and target of a relation; None: its other end says the same. Raises ValueError."""
    match relation:
        case {"type": str(type_)} if type_ in _OTHER_ENDS:
            return None
        case {"type": str(type_), "targetRef": str(target)} if 0 < len(type_) <= _LONGEST_TYPE:
            check_text(type_)
            return type_, str(Ref.parse(target))
    raise ValueError(f"{shown(relation)} is no relation with a type and a targetRef")
