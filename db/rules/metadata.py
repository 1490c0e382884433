"""What every entity has, whatever its kind: apiVersion, kind and metadata, and the formats of their values.

Source: EntityMeta.schema.json, FieldFormatEntityPolicy and KubernetesValidatorFunctions of @backstage/catalog-model.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from db.rules.fields import Field, Shape, check_fields
from db.rules.findings import Findings
from db.rules.records import Json
from db.rules.refs import DEFAULT_NAMESPACE, Ref
from db.rules.shown import shown
from db.rules.urls import scheme_of
from db.rules.yaml import Path

ENVELOPE = (
    Field("apiVersion", required=True),
    Field("kind", required=True),
    Field("metadata", Shape.MAPPING, required=True),
    Field("spec", Shape.MAPPING),
)
IDENTITY = (Field("name", required=True), Field("namespace"))
_LINK = (Field("url", required=True), Field("title"), Field("icon"), Field("type"))
_REST = (
    Field("uid"),
    Field("etag"),
    Field("title"),
    Field("description", Shape.TEXT),
    Field("labels", Shape.MAPPING),
    Field("annotations", Shape.MAPPING),
    Field("tags", Shape.TEXTS),
    Field("links", Shape.MAPPINGS, fields=_LINK),
)

_MAX_NAME = 63
_MAX_SUBDOMAIN = 253
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DNS_LABEL = re.compile(r"[a-z0-9]+(?:-+[a-z0-9]+)*")
_KIND = re.compile(r"[a-zA-Z][a-z0-9A-Z]*")
_VERSION = re.compile(r"[a-z0-9A-Z]+")
_TAG = re.compile(r"[a-z0-9:+#]+(-[a-z0-9:+#]+)*")

_NAME_WORDS = "letters and digits, with - _ . between them, at most 63 characters"
_LABEL_WORDS = "lower-case letters and digits, with - between them, at most 63 characters"
_KEY_WORDS = f"an optional DNS subdomain and one slash, then {_NAME_WORDS}"


def ref_of(root: dict[str, Json]) -> str | None:
    """The canonical ref of the entity that a document declares; None where what makes it up is not right."""
    kind, metadata = root.get("kind"), root.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(kind, str) or not is_kind(kind):
        return None
    name, namespace = metadata.get("name"), metadata.get("namespace", DEFAULT_NAMESPACE)
    if not isinstance(name, str) or not _is_name(name):
        return None
    if not isinstance(namespace, str) or not _is_dns_label(namespace):
        return None
    return str(Ref(kind.lower(), namespace, name.lower()))


def _is_name(text: str) -> bool:
    return _matches(_NAME, text)


def _is_dns_label(text: str) -> bool:
    return _matches(_DNS_LABEL, text)


def is_kind(text: str) -> bool:
    """Whether `text` has the format of a kind."""
    return _matches(_KIND, text)


def _is_tag(text: str) -> bool:
    return _matches(_TAG, text)


def _is_key(text: str) -> bool:
    return len(text) <= _MAX_SUBDOMAIN + 1 + _MAX_NAME and _is_short_key(text)


@lru_cache(maxsize=1_000)  # the same few keys stand in thousands of documents
def _is_short_key(text: str) -> bool:
    return _has_optional_subdomain(text, _is_name)


def _is_api_version(text: str) -> bool:
    return _has_optional_subdomain(text, lambda version: _matches(_VERSION, version))


def _has_optional_subdomain(text: str, is_rest: Callable[[str], bool]) -> bool:
    subdomain, slash, rest = text.rpartition("/")
    return is_rest(rest) and (not slash or _is_dns_subdomain(subdomain))


def _is_dns_subdomain(text: str) -> bool:
    return len(text) <= _MAX_SUBDOMAIN and all(map(_is_dns_label, text.split(".")))


def _matches(pattern: re.Pattern[str], text: str) -> bool:
    return len(text) <= _MAX_NAME and pattern.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class _Format:
    rule: str
    is_right: Callable[[str], bool]
    words: str

    def check(self, value: Json, path: Path, findings: Findings, *, hint: str | None = None) -> None:
        """Report a text that is not so; what is no text, or empty, the check of shapes has reported."""
        if isinstance(value, str) and value and not self.is_right(value):
            findings.error(self.rule, path, f"{shown(value)} is not {self.words}", hint=hint)


_API_VERSION_FORMAT = _Format(
    "api-version-format", _is_api_version, "an optional DNS subdomain and a slash, then letters and digits"
)
_KIND_FORMAT = _Format("kind-format", is_kind, "a letter, then letters and digits, at most 63 characters")
_NAME_FORMAT = _Format("name-format", _is_name, _NAME_WORDS)
_NAMESPACE_FORMAT = _Format("namespace-format", _is_dns_label, _LABEL_WORDS)
_TAG_FORMAT = _Format(
    "tag-format", _is_tag, "lower-case letters, digits, : + and #, with - between them, at most 63 characters"
)
_ICON_FORMAT = _Format("link-icon", _is_name, _NAME_WORDS)


def check_envelope(root: dict[str, Json], findings: Findings) -> None:
    """Check the root's fields, and what names the entity."""
    for key in root:
        if key not in {field.name for field in ENVELOPE}:
            _report_root_field(key, findings)
    check_fields(root, ENVELOPE, (), findings)
    _API_VERSION_FORMAT.check(root.get("apiVersion"), ("apiVersion",), findings)
    _KIND_FORMAT.check(root.get("kind"), ("kind",), findings)
    metadata = root.get("metadata")
    if isinstance(metadata, dict):
        check_fields(metadata, IDENTITY, ("metadata",), findings)
        _NAME_FORMAT.check(metadata.get("name"), ("metadata", "name"), findings)
        _NAMESPACE_FORMAT.check(metadata.get("namespace"), ("metadata", "namespace"), findings)


def _report_root_field(key: str, findings: Findings) -> None:
    derived = key in {"relations", "status"}
    hint = "it is derived and never declared: take it out" if derived else "put it into metadata or spec"
    findings.error("unknown-root-field", (key,), f"{shown(key)} cannot stand at the root of an entity", hint=hint)


def check_metadata(metadata: dict[str, Json], findings: Findings) -> None:
    """Check all of metadata but what `check_envelope` has seen."""
    check_fields(metadata, _REST, ("metadata",), findings)
    _check_labels(metadata.get("labels"), findings)
    _check_annotations(metadata.get("annotations"), findings)
    _check_tags(metadata.get("tags"), findings)
    _check_links(metadata.get("links"), findings)


def _check_labels(labels: Json, findings: Findings) -> None:
    for key, value in _items(labels):
        path = ("metadata", "labels", key)
        if not _is_key(key):
            findings.error("label-key", path, f"{shown(key)} is not {_KEY_WORDS}")
        elif not isinstance(value, str) or (value != "" and not _is_name(value)):
            findings.error("label-value", path, f"{shown(value)} is not a text of {_NAME_WORDS}")


def _check_annotations(annotations: Json, findings: Findings) -> None:
    for key, value in _items(annotations):
        path = ("metadata", "annotations", key)
        if not _is_key(key):
            findings.error("annotation-key", path, f"{shown(key)} is not {_KEY_WORDS}")
        elif not isinstance(value, str):
            findings.error("annotation-value", path, f"{shown(value)} is not a text", hint="write it in quotes")


def _check_tags(tags: Json, findings: Findings) -> None:
    for position, tag in enumerate(tags if isinstance(tags, list) else ()):
        lower = tag.lower() if isinstance(tag, str) else ""
        hint = f"Write it {lower}." if _is_tag(lower) else None
        _TAG_FORMAT.check(tag, ("metadata", "tags", position), findings, hint=hint)


def _check_links(links: Json, findings: Findings) -> None:
    for position, link in enumerate(links if isinstance(links, list) else ()):
        if isinstance(link, dict):
            _check_link(link, ("metadata", "links", position), findings)


def _check_link(link: dict[str, Json], path: Path, findings: Findings) -> None:
    url, title = link.get("url"), link.get("title")
    if isinstance(url, str) and url:
        scheme = scheme_of(url)
        if scheme is None:
            findings.error("link-url", (*path, "url"), f"{shown(url)} is not an absolute URL")
        elif scheme == "javascript":
            findings.error("link-script", (*path, "url"), f"{shown(url)} would run as a script when clicked")
    if isinstance(title, str) and title and not title.strip():
        findings.error("link-title", (*path, "title"), "the title of a link is blank")
    _ICON_FORMAT.check(link.get("icon"), (*path, "icon"), findings)


def _items(mapping: Json) -> list[tuple[str, Json]]:
    return list(mapping.items()) if isinstance(mapping, dict) else []
