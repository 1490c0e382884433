"""One document of a descriptor file -> one entity: its checks in their order, its references, its etag."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from hashlib import sha256

from db.rules.fields import Field, Link, check_fields
from db.rules.findings import Findings, dotted
from db.rules.kinds import KINDS, OTHER_LINKS, Kind, fields_of
from db.rules.metadata import check_envelope, check_metadata, is_kind, ref_of
from db.rules.placeholders import Placeholders
from db.rules.records import Json, Record, Reference
from db.rules.refs import DEFAULT_NAMESPACE, Ref, RefError
from db.rules.scalars import BrokenRuleError
from db.rules.shown import shown
from db.rules.yaml import Document, Path

CUSTOM = "CustomEntity"
"""The GraphQL type of an entity whose kind Backstage does not define under its apiVersion."""

_KUBERNETES = re.compile(
    r"(?:(?:apps|autoscaling|batch|extensions|policy|(?:[^/]+\.)?k8s\.io)/)?v[0-9]+(?:(?:alpha|beta)[0-9]+)?"
)
_KINDS_BY_LOWER = {name.lower(): kind for name, kind in KINDS.items()}


def is_of_kubernetes(value: Json) -> bool:
    """Whether a document is of one of Kubernetes' own API groups: `v1`, `apps/v1`, `networking.k8s.io/v1`, ..."""
    api_version = value.get("apiVersion") if isinstance(value, dict) else None
    return isinstance(api_version, str) and _KUBERNETES.fullmatch(api_version) is not None


def entity_of(
    document: Document, number: int, findings: Findings, placeholders: Placeholders | None, kinds: Container[str] | None
) -> Record | None:
    """The entity that a document declares; None where it is rejected, for the reasons in `findings`.

    `number`: the document's position in its file. `placeholders`: None leaves them as they are. `kinds`: the allowed
    ones, in lower case; None: all.
    """
    root = document.value
    if not isinstance(root, dict):
        findings.error("not-a-mapping", (), f"the document is {shown(root)}, not a mapping")
        return None
    ref = findings.ref = ref_of(root)
    kind = root.get("kind")
    if kinds is not None and isinstance(kind, str) and is_kind(kind) and kind.lower() not in kinds:
        findings.error("kind-not-allowed", ("kind",), f"the source may not declare an entity of kind {shown(kind)}")
        return None
    check_envelope(root, findings)
    if not isinstance(root.get("metadata"), dict):
        return None
    entity = _Entity.of(root, findings)
    if placeholders is not None and not entity.resolve(placeholders):
        return None
    entity.check()
    references = tuple(entity.references(document))
    if findings.rejecting or ref is None:
        return None
    return entity.record(ref, references, document, number)


@dataclass(slots=True)
class _Entity:
    """A document with an envelope, though perhaps a broken one."""

    api_version: Json
    kind: Json
    metadata: dict[str, Json]
    spec: Json
    known: Kind | None  # None: no rules of a kind hold
    findings: Findings

    @classmethod
    def of(cls, root: dict[str, Json], findings: Findings) -> _Entity:
        api_version, kind = root.get("apiVersion"), root.get("kind")
        known = _known_kind(api_version, kind)
        if known is not None and kind != known.name:
            findings.error("kind-case", ("kind",), f"the kind {shown(kind)} is not known: write it {known.name}")
        if known is not None and "spec" not in root:
            findings.error("required-field", ("spec",), "spec is missing", hint="Add it.")
        return cls(api_version, kind, root["metadata"], root.get("spec"), known, findings)

    @property
    def namespace(self) -> str:
        namespace = self.metadata.get("namespace")
        return namespace if isinstance(namespace, str) and namespace else DEFAULT_NAMESPACE

    def resolve(self, placeholders: Placeholders) -> bool:
        """Fill in the placeholders; False where one failed, which hides what else may be wrong around it."""
        failed = []

        def report(path: Path, error: BrokenRuleError) -> None:
            failed.append(error)
            self.findings.error(error.rule, path, error.message)

        metadata = placeholders.resolved(self.metadata, ("metadata",), report)
        spec = placeholders.resolved(self.spec, ("spec",), report)
        if isinstance(self.spec, dict) and not isinstance(spec, dict):
            report(("spec",), BrokenRuleError("placeholder-content", f"spec becomes {shown(spec)}, not a mapping"))
        if failed or not isinstance(metadata, dict):  # metadata that is a placeholder has no name, which is reported
            return False
        self.metadata, self.spec = metadata, spec
        return True

    def check(self) -> None:
        """Check metadata and, where the kind has rules, spec."""
        check_metadata(self.metadata, self.findings)
        if self.known is not None and isinstance(self.spec, dict):
            check_fields(self.spec, self._fields(), ("spec",), self.findings)

    def _fields(self) -> tuple[Field, ...]:
        if self.known is None:
            return OTHER_LINKS
        return fields_of(self.known, self.spec.get("type"))

    def references(self, document: Document) -> Iterator[Reference]:
        """What the spec refers to. Broken references are reported: as errors only where the kind has rules."""
        for field in self._fields() if isinstance(self.spec, dict) else ():
            if field.link is None:
                continue
            for path, text in _texts(self.spec.get(field.name), ("spec", field.name)):
                target = self._target(text, field.link, path)
                if target is not None:
                    yield Reference(dotted(path), field.link.relation, str(target), document.line_of(path))

    def _target(self, text: str, link: Link, path: Path) -> Ref | None:
        try:
            target = Ref.parse(text, kind=link.kind, namespace=self.namespace)
        except RefError as error:
            report = self.findings.warning if self.known is None else self.findings.error
            report("reference-syntax", path, str(error))
            return None
        if link.kinds and target.kind not in link.kinds:
            expected = " or a ".join(sorted(link.kinds))
            self.findings.warning("reference-kind", path, f"{shown(str(target))} is not a {expected}")
        return target

    def record(self, ref: str, references: tuple[Reference, ...], document: Document, number: int) -> Record:
        spec: dict[str, Json] = self.spec or {}
        name = self.metadata["name"]
        return Record(
            ref=ref,
            api_version=self.api_version,
            kind=self.kind,
            namespace=self.namespace,
            name=name,
            graph_type=CUSTOM if self.known is None else self.known.name,
            title=self.metadata.get("title") or name,
            description=self.metadata.get("description"),
            type=_text_or_none(spec.get("type")),
            lifecycle=_text_or_none(spec.get("lifecycle")),
            tags=tuple(self.metadata.get("tags", ())),
            metadata=self.metadata,
            spec=spec,
            references=references,
            document=number,
            line=document.line,
            etag=_etag(self.api_version, self.kind, self.metadata, spec),
        )


def _known_kind(api_version: Json, kind: Json) -> Kind | None:
    """The kind whose rules hold, whatever the case in which it is written."""
    known = _KINDS_BY_LOWER.get(kind.lower()) if isinstance(kind, str) else None
    return known if known is not None and api_version in tuple(known.api_versions) else None


def _texts(value: Json, path: Path) -> Iterator[tuple[Path, str]]:
    """The non-empty texts of a field that holds one, or a list of them, with their places."""
    if isinstance(value, str) and value:
        yield path, value
    elif isinstance(value, list):
        for position, item in enumerate(value):
            if isinstance(item, str) and item:
                yield (*path, position), item


def _text_or_none(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _etag(*parts: Json) -> str:
    """The sha256, in hex, of the JSON array of `parts` with sorted keys."""
    return sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
