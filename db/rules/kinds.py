"""The kinds that Backstage itself defines: which fields their spec has, and what these refer to.

Source: the JSON schemas of @backstage/catalog-model (`*.v1alpha1.schema.json`) and, for templates, of
@backstage/plugin-scaffolder-common (`Template.v1beta3.schema.json`).
"""

from __future__ import annotations

from dataclasses import dataclass

from db.rules.fields import Field, Link, Shape

RELATION_PAIRS = (
    ("ownedBy", "ownerOf"),
    ("providesApi", "apiProvidedBy"),
    ("consumesApi", "apiConsumedBy"),
    ("dependsOn", "dependencyOf"),
    ("parentOf", "childOf"),
    ("memberOf", "hasMember"),
    ("partOf", "hasPart"),
)
"""Every relation type of Backstage, with the type that the same relation has seen from the other end."""

_INVERSES = {**dict(RELATION_PAIRS), **{second: first for first, second in RELATION_PAIRS}}


def inverse(type: str) -> str | None:
    """The type of a relation seen from the other end; None: Backstage does not define it."""
    return _INVERSES.get(type)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind under the apiVersions in which its rules hold; elsewhere a kind of that name has no rules."""

    name: str
    fields: tuple[Field, ...]
    api_versions: frozenset[str] = frozenset({"backstage.io/v1alpha1", "backstage.io/v1beta1"})


def _text(name: str, *, required: bool = False) -> Field:
    return Field(name, required=required)


def _link(name: str, relation: str, *kinds: str, shape: Shape = Shape.NON_EMPTY_TEXT, required: bool = False) -> Field:
    """A field of references. The first of `kinds` is the default."""
    link = Link(relation, kinds[0] if kinds else None, frozenset(kind.lower() for kind in kinds))
    return Field(name, shape, required=required, link=link)


_TYPE = _text("type", required=True)
_ANY_TYPE = _text("type")
_LIFECYCLE = _text("lifecycle", required=True)
_OWNER = _link("owner", "ownedBy", "Group", "User", required=True)
_ANY_OWNER = _link("owner", "ownedBy", "Group", "User")
_SYSTEM = _link("system", "partOf", "System")
_DEPENDS_ON = _link("dependsOn", "dependsOn", shape=Shape.TEXTS)
_DEPENDENCY_OF = _link("dependencyOf", "dependencyOf", shape=Shape.TEXT_OR_TEXTS)
_PROFILE = Field("profile", Shape.MAPPING, fields=(_text("displayName"), _text("email"), _text("picture")))
_STEP_FIELDS = (
    Field("action", Shape.TEXT, required=True),
    Field("id", Shape.TEXT),
    Field("name", Shape.TEXT),
    Field("if", Shape.TEXT_OR_BOOLEAN),
    Field("input", Shape.MAPPING),
)

KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "Component",
            (
                _TYPE,
                _LIFECYCLE,
                _OWNER,
                _SYSTEM,
                _link("subcomponentOf", "partOf", "Component"),
                _link("providesApis", "providesApi", "API", shape=Shape.TEXTS),
                _link("consumesApis", "consumesApi", "API", shape=Shape.TEXTS),
                _DEPENDS_ON,
                _DEPENDENCY_OF,
            ),
        ),
        Kind("API", (_TYPE, _LIFECYCLE, _OWNER, _text("definition", required=True), _SYSTEM)),
        Kind("Resource", (_TYPE, _OWNER, _SYSTEM, _DEPENDS_ON, _DEPENDENCY_OF)),
        Kind("System", (_OWNER, _link("domain", "partOf", "Domain"), _ANY_TYPE)),
        Kind("Domain", (_OWNER, _link("subdomainOf", "partOf", "Domain"), _ANY_TYPE)),
        Kind(
            "Group",
            (
                _TYPE,
                _link("children", "parentOf", "Group", shape=Shape.TEXTS, required=True),
                _PROFILE,
                _link("parent", "childOf", "Group"),
                _link("members", "hasMember", "User", shape=Shape.TEXTS),
            ),
        ),
        Kind("User", (_link("memberOf", "memberOf", "Group", shape=Shape.TEXTS, required=True), _PROFILE)),
        Kind(
            "Location",
            (
                _ANY_TYPE,
                _text("target"),
                Field("targets", Shape.TEXTS),
                Field("presence", choices=frozenset({"required", "optional"})),
            ),
        ),
        Kind(
            "Template",
            (
                _TYPE,
                Field("steps", Shape.MAPPINGS, required=True, fields=_STEP_FIELDS),
                _ANY_OWNER,
                _text("lifecycle"),
                Field("parameters", Shape.MAPPING_OR_MAPPINGS),
                Field("secrets", Shape.MAPPING),
                Field("presentation", Shape.MAPPING),
                Field("output", Shape.MAPPING, fields=(Field("links", Shape.MAPPINGS), Field("text", Shape.MAPPINGS))),
            ),
            api_versions=frozenset({"scaffolder.backstage.io/v1beta3"}),
        ),
    )
}

OTHER_LINKS = (_ANY_OWNER, _SYSTEM)
"""The references that are read from the spec of any other kind, where they are texts."""

_MCP_SERVER_FIELDS = tuple(field for field in KINDS["API"].fields if field.name != "definition")


def fields_of(kind: Kind, type: object) -> tuple[Field, ...]:
    """The fields of a kind whose `spec.type` is `type`: an API of type `mcp-server` has no definition."""
    return _MCP_SERVER_FIELDS if (kind.name, type) == ("API", "mcp-server") else kind.fields
