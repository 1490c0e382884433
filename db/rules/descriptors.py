"""catalog-info.yaml: the text of one file -> the entities to keep, and what is wrong with the others.

Pure: the files that placeholders name come through an `Include` that is handed in. A document with an error is
rejected whole; the other documents of its file are not touched by that.
"""

from __future__ import annotations

from collections.abc import Container

from db.rules.entities import entity_of, is_of_kubernetes
from db.rules.findings import Findings
from db.rules.placeholders import Include, Placeholders
from db.rules.records import Finding, Json, Reading, Record
from db.rules.scalars import BrokenRuleError
from db.rules.values import check_value
from db.rules.yaml import Chunk, Document, YamlError, parse, split

RULES = {
    # the file as a whole
    "file-too-large": "A file has at most 5,000,000 bytes.",
    "not-utf-8": "A file is UTF-8.",
    "too-many-documents": "A file has at most 50,000 documents.",
    "file-expands-too-much": "A file gives at most 50,000,000 characters, aliases and placeholders included.",
    "too-many-problems": "Of one file at most 1,000 problems are shown.",
    # a document as YAML
    "yaml-syntax": "A document is well-formed YAML.",
    "yaml-version": "YAML is version 1.2; `%YAML 1.1` would give values another meaning.",
    "duplicate-key": "A key stands once in a mapping.",
    "key-not-text": "A key is a text; numbers, `true` and `null` need quotes there.",
    "number-not-finite": "A number is finite; `.nan`, `.inf` and what exceeds a double need quotes.",
    "nul-character": "No text contains a NUL character.",
    "lone-surrogate": "No text contains half of a surrogate pair.",
    "unknown-alias": "An alias `*x` follows the complete value with the anchor `&x`, in the same document.",
    "unsupported-tag": "No value has one of the tags !!binary, !!merge, !!omap, !!pairs, !!set and !!timestamp.",
    "too-many-aliases": "A document has at most 100 aliases.",
    "too-many-nodes": "A document has at most 100,000 keys and values, its aliases expanded.",
    "too-much-text": "A document has at most 5,000,000 characters, its aliases expanded.",
    "too-deep": "Mappings and lists nest at most 100 deep.",
    # a document as an entity
    "not-a-mapping": "A document is a mapping.",
    "unknown-root-field": "The root has no other fields than apiVersion, kind, metadata and spec.",
    "required-field": "A required field is there.",
    "field-type": "A field holds what the table of its kind says; an empty value (null) is no text, list or mapping.",
    "field-choice": "A field with a fixed set of values has one of them.",
    "api-version-format": "apiVersion is an optional DNS subdomain and a slash, then 1 to 63 letters and digits.",
    "kind-format": "kind is a letter, then letters and digits, at most 63 characters.",
    "kind-case": "A kind of Backstage is written as Backstage writes it: `Component`, `API`, ...",
    "kind-not-allowed": "A source declares only the kinds that it is allowed to.",
    "name-format": "metadata.name is 1 to 63 letters and digits, with - _ . between them.",
    "namespace-format": "metadata.namespace is 1 to 63 lower-case letters and digits, with - between them.",
    "label-key": "A label's key is an optional DNS subdomain and one slash, then the format of a name.",
    "label-value": "A label's value is empty or has the format of a name.",
    "annotation-key": "An annotation's key is an optional DNS subdomain and one slash, then the format of a name.",
    "annotation-value": "An annotation's value is a text; numbers and booleans need quotes.",
    "tag-format": "A tag is 1 to 63 lower-case letters, digits, : + and #, with - between them.",
    "link-url": "A link's url is an absolute URL.",
    "link-script": "A link's url does not start with `javascript:`.",
    "link-title": "A link's title is not blank.",
    "link-icon": "A link's icon has the format of a name.",
    "placeholder-unreadable": "What `$text`, `$json` or `$yaml` names is a readable file inside the source's root.",
    "placeholder-content": "The file that a placeholder names holds what the placeholder says, in UTF-8.",
    # what an entity refers to
    "reference-syntax": "A reference is `[kind:][namespace/]name`, without empty parts, at most 255 characters.",
    "reference-kind": "A reference leads to a kind that makes sense in its field. (A warning.)",
    "duplicate-ref": "A file declares an entity once; the first declaration counts.",
}
"""Every rule that a finding can name, and what it demands."""

_MAX_FINDINGS = 1_000
_MAX_EXPANDED = 50_000_000


def read(text: bytes, *, include: Include, kinds: Container[str] | None = None) -> Reading:
    """What the file with the content `text` says. Never raises, whatever the bytes.

    `kinds`: the kinds that it may declare, in lower case; None: all. A file that cannot be read at all counts as one
    rejected document. `documents` is always the number of records, of rejected and of skipped documents together.
    """
    file = _File(include, kinds)
    try:
        file.read(text)
    except YamlError as error:
        return Reading(documents=1, rejected=1, findings=[_finding(error, None)])
    return file.reading


def read_value(value: Json, *, kinds: Container[str] | None = None) -> Reading:
    """What one document says that came as a value, not as text: as `read`, without placeholders. Never raises."""
    try:
        check_value(value)
    except BrokenRuleError as error:
        return Reading(documents=1, rejected=1, findings=[Finding(error.rule, "ERROR", error.message, 1, 1)])
    if is_of_kubernetes(value):
        return Reading(documents=1, skipped=1)
    document = Document(value, line=1, size=0, _lines={})
    findings = Findings(document, 1)
    record = entity_of(document, 1, findings, None, kinds)
    return Reading(documents=1, records=[record] if record else [], rejected=0 if record else 1, findings=findings.all)


class _File:
    """One file on its way to a `Reading`."""

    def __init__(self, include: Include, kinds: Container[str] | None) -> None:
        self._placeholders = Placeholders(include, self._spend)
        self.reading = Reading(included=self._placeholders.included)
        self._kinds = kinds
        self._declared: dict[str, Record] = {}
        self._left = _MAX_EXPANDED
        self._line = 1

    def read(self, text: bytes) -> None:
        """Raises YamlError where the file as a whole is rejected."""
        for chunk in split(text):
            self._line = chunk.line
            self._read_chunk(chunk)

    def _spend(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            message = f"aliases and placeholders make more than {_MAX_EXPANDED:,} characters of this file"
            raise YamlError("file-expands-too-much", message, self._line)

    def _read_chunk(self, chunk: Chunk) -> None:
        number = self.reading.documents + 1
        try:
            document = parse(chunk)
        except YamlError as error:
            self.reading.documents = number
            self.reading.rejected += 1
            self._report([_finding(error, number)])
            return
        if document.value is None:
            return
        self.reading.documents = number
        self._spend(document.size)
        if is_of_kubernetes(document.value):
            self.reading.skipped += 1
        else:
            self._read_document(document, number)

    def _read_document(self, document: Document, number: int) -> None:
        findings = Findings(document, number)
        record = entity_of(document, number, findings, self._placeholders, self._kinds)
        if record is not None and (first := self._declared.get(record.ref)):
            place = f"document {first.document}, line {first.line}"
            findings.error("duplicate-ref", ("metadata", "name"), f"{record.ref} is declared in {place} of this file")
        if record is None or findings.rejecting:
            self.reading.rejected += 1
        else:
            self._declared[record.ref] = record
            self.reading.records.append(record)
        self._report(findings.all)

    def _report(self, findings: list[Finding]) -> None:
        shown_now = self.reading.findings
        room = _MAX_FINDINGS - len(shown_now)
        shown_now += findings[: max(room, 0)]
        if len(findings) > room >= 0:
            last = findings[room]
            message = f"the problems from this line on are not shown: there are more than {_MAX_FINDINGS:,}"
            shown_now.append(Finding("too-many-problems", "WARNING", message, last.line))


def _finding(error: YamlError, document: int | None) -> Finding:
    return Finding(error.rule, "ERROR", error.message, error.line, document)
