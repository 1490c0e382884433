import json
import os
import re
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.rules.descriptors import RULES, read
from db.rules.kinds import KINDS, RELATION_PAIRS, inverse
from db.rules.placeholders import IncludeError
from db.rules.records import Json, Reading, Record

DOCS = Path(__file__).parents[3] / "docs" / "descriptors.md"

COMPONENT = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: web
spec:
  type: service
  lifecycle: production
  owner: team-a
"""
SPECS = {
    "Component": "{type: service, lifecycle: production, owner: team-a}",
    "API": "{type: openapi, lifecycle: production, owner: team-a, definition: text}",
    "Resource": "{type: database, owner: team-a}",
    "System": "{owner: team-a}",
    "Domain": "{owner: team-a}",
    "Group": "{type: team, children: []}",
    "User": "{memberOf: []}",
    "Location": "{}",
    "Template": "{type: service, steps: [{action: fetch}]}",
}

FILES = {
    "readme.txt": b"Hello\n",
    "spec.json": b'{"a": [1.0, "\\ud83d\\ude00", 12345678901234567890]}',
    "spec.yaml": b"type: service\nlifecycle: production\nowner: team-b\nsince: 2024-01-01\n",
    "list.yaml": b"- 1\n",
    "two.yaml": b"a: 1\n---\nb: 2\n",
    "broken.yaml": b"a: 1\na: 2\n",
    "broken.json": b"{a: 1}",
    "deep.json": b"[" * 100_000,
    "deeper.json": b"[" * 150 + b"]" * 150,
    "nan.json": b"[NaN]",
    "surrogate.json": b'["\\ud83d"]',
    "nul.txt": b"a\0b",
    "latin.txt": b"\xe9",
    "huge.txt": b"x" * 5_000_001,
    "large.txt": b"x" * 4_000_000,
    "nested.yaml": b"$text: readme.txt\n",
}


def include(path: str) -> bytes:
    if path not in FILES:
        raise IncludeError("there is no such file")
    return FILES[path]


def read_text(text: str, *, kinds: frozenset[str] | None = None) -> Reading:
    return read(text.encode(), include=include, kinds=kinds)


def entity(kind: str, spec: str, *, metadata: str = "name: x", api_version: str | None = None) -> str:
    api_version = api_version or min(KINDS[kind].api_versions)
    return f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{{metadata}}}\nspec: {spec}\n"


def only_record(text: str) -> Record:
    reading = read_text(text)
    assert [f for f in reading.findings if f.severity == "ERROR"] == []
    (record,) = reading.records
    return record


def test_a_component_is_read_whole() -> None:
    text = """\
# the shop
---
apiVersion: backstage.io/v1beta1
kind: Component
metadata:
  name: Web.Shop
  namespace: shop
  title: The shop
  description: Sells things
  tags: [java, c++]
  custom: {on: off, at: 12:30:45}
spec:
  type: service
  lifecycle: production
  owner: Team-A
  system: sales
  subcomponentOf: other/suite
  dependsOn:
    - resource:db
    - component:default/cart
  dependencyOf: component:till
  extra: 1.0
"""
    record = only_record(text)
    assert (record.ref, record.kind, record.namespace, record.name) == (
        "component:shop/web.shop",
        "Component",
        "shop",
        "Web.Shop",
    )
    assert (record.api_version, record.graph_type) == ("backstage.io/v1beta1", "Component")
    assert (record.title, record.description) == ("The shop", "Sells things")
    assert (record.type, record.lifecycle, record.tags) == ("service", "production", ("java", "c++"))
    assert (record.document, record.line) == (1, 3)
    assert record.metadata["custom"] == {"on": "off", "at": "12:30:45"}
    assert record.spec["extra"] == 1
    assert [(r.field, r.type, r.target, r.line) for r in record.references] == [
        ("spec.owner", "ownedBy", "group:shop/team-a", 15),
        ("spec.system", "partOf", "system:shop/sales", 16),
        ("spec.subcomponentOf", "partOf", "component:other/suite", 17),
        ("spec.dependsOn[0]", "dependsOn", "resource:shop/db", 19),
        ("spec.dependsOn[1]", "dependsOn", "component:default/cart", 20),
        ("spec.dependencyOf", "dependencyOf", "component:shop/till", 21),
    ]
    assert record.target_of("spec.owner") == "group:shop/team-a"


@pytest.mark.parametrize(
    ("kind", "spec", "references"),
    [
        (
            "Component",
            "{type: a, lifecycle: b, owner: 'user:eve', providesApis: [p], consumesApis: [c]}",
            [
                ("spec.owner", "ownedBy", "user:ns/eve"),
                ("spec.providesApis[0]", "providesApi", "api:ns/p"),
                ("spec.consumesApis[0]", "consumesApi", "api:ns/c"),
            ],
        ),
        (
            "API",
            "{type: a, lifecycle: b, owner: o, definition: d, system: s}",
            [("spec.owner", "ownedBy", "group:ns/o"), ("spec.system", "partOf", "system:ns/s")],
        ),
        (
            "Resource",
            "{type: a, owner: o, system: s, dependencyOf: ['component:c']}",
            [
                ("spec.owner", "ownedBy", "group:ns/o"),
                ("spec.system", "partOf", "system:ns/s"),
                ("spec.dependencyOf[0]", "dependencyOf", "component:ns/c"),
            ],
        ),
        (
            "System",
            "{owner: o, domain: d}",
            [("spec.owner", "ownedBy", "group:ns/o"), ("spec.domain", "partOf", "domain:ns/d")],
        ),
        (
            "Domain",
            "{owner: o, subdomainOf: d}",
            [("spec.owner", "ownedBy", "group:ns/o"), ("spec.subdomainOf", "partOf", "domain:ns/d")],
        ),
        (
            "Group",
            "{type: t, parent: p, children: [c], members: [m]}",
            [
                ("spec.children[0]", "parentOf", "group:ns/c"),
                ("spec.parent", "childOf", "group:ns/p"),
                ("spec.members[0]", "hasMember", "user:ns/m"),
            ],
        ),
        ("User", "{memberOf: [g]}", [("spec.memberOf[0]", "memberOf", "group:ns/g")]),
        ("Location", "{target: ./x.yaml, targets: [y]}", []),
        ("Template", "{type: t, owner: o, steps: []}", [("spec.owner", "ownedBy", "group:ns/o")]),
    ],
)
def test_each_kind_refers_by_its_own_fields(kind: str, spec: str, references: list[tuple[str, str, str]]) -> None:
    record = only_record(entity(kind, spec, metadata="name: x, namespace: ns"))
    assert record.graph_type == kind
    assert [(r.field, r.type, r.target) for r in record.references] == references


def test_every_relation_has_the_other_end_that_backstage_gives_it() -> None:
    assert len(RELATION_PAIRS) == 7
    assert {inverse(inverse(name) or "") == name for pair in RELATION_PAIRS for name in pair} == {True}
    assert inverse("deployedTo") is None
    assert (inverse("ownedBy"), inverse("dependencyOf"), inverse("hasPart")) == ("ownerOf", "dependsOn", "partOf")


# Each row breaks one rule of COMPONENT: rule, text to replace, its replacement, line within the document, field.
BROKEN = [
    ("yaml-syntax", "name: web", "name: web: x", 4, None),
    ("yaml-version", "apiVersion:", "%YAML 1.1\n---\napiVersion:", 1, None),
    ("duplicate-key", "  type: service", "  type: service\n  type: website", 7, None),
    ("key-not-text", "spec:", "spec:\n  404: x", 6, None),
    ("number-not-finite", "spec:", "spec:\n  x: .inf", 6, None),
    ("nul-character", "name: web", 'name: "web\\0"', 4, None),
    ("lone-surrogate", "name: web", 'name: "web\\ud800"', 4, None),
    ("unknown-alias", "owner: team-a", "owner: *team", 8, None),
    ("unsupported-tag", "owner: team-a", "owner: !!binary aGk=", 8, None),
    ("too-many-aliases", "owner: team-a", "owner: &o team-a\n  x: [" + "*o, " * 101 + "]", 9, None),
    ("too-many-nodes", "owner: team-a", "owner: team-a\n  x: [" + "1, " * 100_000 + "]", 9, None),
    ("too-much-text", "owner: team-a", "owner: &o " + "o" * 60_000 + "\n  x: [" + "*o, " * 99 + "]", 9, None),
    ("too-deep", "owner: team-a", "owner: " + "[" * 100, 8, None),
    ("not-a-mapping", COMPONENT, "- a\n", 1, None),
    ("not-a-mapping", COMPONENT, "just text\n", 1, None),
    ("unknown-root-field", "spec:", "relations: []\nspec:", 5, "relations"),
    ("unknown-root-field", "spec:", "status: {}\nspec:", 5, "status"),
    ("unknown-root-field", "spec:", "$schema: x\nspec:", 5, "$schema"),
    ("required-field", "apiVersion: backstage.io/v1alpha1\n", "", 1, "apiVersion"),
    ("required-field", "kind: Component\n", "", 1, "kind"),
    ("required-field", "metadata:\n  name: web\n", "", 1, "metadata"),
    ("required-field", "  name: web", "  title: web", 3, "metadata.name"),
    ("required-field", COMPONENT[COMPONENT.index("spec:") :], "", 1, "spec"),
    ("required-field", "  owner: team-a\n", "", 5, "spec.owner"),
    ("required-field", "name: web", "name: web\n  links: [{title: x}]", 5, "metadata.links[0].url"),
    ("field-type", "apiVersion: backstage.io/v1alpha1", "apiVersion: 1", 1, "apiVersion"),
    ("field-type", "kind: Component", "kind: ''", 2, "kind"),
    ("field-type", "metadata:\n  name: web", "metadata: web", 3, "metadata"),
    ("field-type", "name: web", "name: 12", 4, "metadata.name"),
    ("field-type", "name: web", "name: web\n  namespace:", 5, "metadata.namespace"),
    ("field-type", "name: web", "name: web\n  title: ''", 5, "metadata.title"),
    ("field-type", "name: web", "name: web\n  description: 1.0", 5, "metadata.description"),
    ("field-type", "name: web", "name: web\n  uid: 1", 5, "metadata.uid"),
    ("field-type", "name: web", "name: web\n  labels:", 5, "metadata.labels"),
    ("field-type", "name: web", "name: web\n  annotations: []", 5, "metadata.annotations"),
    ("field-type", "name: web", "name: web\n  tags: java", 5, "metadata.tags"),
    ("field-type", "name: web", "name: web\n  tags: [a, 8]", 5, "metadata.tags[1]"),
    ("field-type", "name: web", "name: web\n  links:\n    - 'https://x'", 6, "metadata.links[0]"),
    ("field-type", COMPONENT[COMPONENT.index("spec:") :], "spec:\n", 5, "spec"),
    ("field-type", "owner: team-a", "owner:", 8, "spec.owner"),
    ("field-type", "owner: team-a", "owner: [team-a]", 8, "spec.owner"),
    ("field-type", "owner: team-a", "owner: team-a\n  dependsOn: component:a", 9, "spec.dependsOn"),
    ("field-type", "owner: team-a", "owner: team-a\n  providesApis:\n  - a\n  -\n", 11, "spec.providesApis[1]"),
    ("field-type", "owner: team-a", "owner: team-a\n  providesApis: ['']", 9, "spec.providesApis[0]"),
    ("api-version-format", "backstage.io/v1alpha1", "Backstage.io/v1alpha1", 1, "apiVersion"),
    ("api-version-format", "backstage.io/v1alpha1", "backstage.io/v1/x", 1, "apiVersion"),
    ("kind-format", "kind: Component", "kind: my-kind", 2, "kind"),
    ("kind-case", "kind: Component", "kind: component", 2, "kind"),
    ("kind-not-allowed", "kind: Component", "kind: User", 2, "kind"),
    ("name-format", "name: web", "name: we b", 4, "metadata.name"),
    ("name-format", "name: web", 'name: "web\\n"', 4, "metadata.name"),
    ("name-format", "name: web", "name: -web", 4, "metadata.name"),
    ("name-format", "name: web", f"name: {'n' * 64}", 4, "metadata.name"),
    ("namespace-format", "name: web", "name: web\n  namespace: Shop", 5, "metadata.namespace"),
    ("label-key", "name: web", "name: web\n  labels: {a/b/c: d}", 5, "metadata.labels.a/b/c"),
    ("label-key", "name: web", "name: web\n  labels: {'': d}", 5, "metadata.labels."),
    ("label-value", "name: web", "name: web\n  labels: {a: b c}", 5, "metadata.labels.a"),
    ("label-value", "name: web", "name: web\n  labels:\n    a: true", 6, "metadata.labels.a"),
    ("annotation-key", "name: web", "name: web\n  annotations: {A.b/c: d}", 5, "metadata.annotations.A.b/c"),
    ("annotation-value", "name: web", "name: web\n  annotations:\n    a.b/c: 8", 6, "metadata.annotations.a.b/c"),
    ("annotation-value", "name: web", "name: web\n  annotations: {a: }", 5, "metadata.annotations.a"),
    ("tag-format", "name: web", "name: web\n  tags:\n  - java\n  - Java", 7, "metadata.tags[1]"),
    ("link-url", "name: web", "name: web\n  links: [{url: x.org}]", 5, "metadata.links[0].url"),
    ("link-script", "name: web", "name: web\n  links: [{url: ' JavaScript:x'}]", 5, "metadata.links[0].url"),
    ("link-title", "name: web", "name: web\n  links: [{url: 'a:b', title: ' '}]", 5, "metadata.links[0].title"),
    ("link-icon", "name: web", "name: web\n  links: [{url: 'a:b', icon: 'a b'}]", 5, "metadata.links[0].icon"),
    ("placeholder-unreadable", "type: service", "type: {$text: missing.txt}", 6, "spec.type"),
    ("placeholder-unreadable", "type: service", "type: {$text: huge.txt}", 6, "spec.type"),
    ("placeholder-unreadable", "type: service", "type: {$text: [readme.txt]}", 6, "spec.type"),
    ("placeholder-content", "type: service", "type: {$text: latin.txt}", 6, "spec.type"),
    ("placeholder-content", "type: service", "type: {$text: nul.txt}", 6, "spec.type"),
    ("placeholder-content", "type: service", "type: {$json: broken.json}", 6, "spec.type"),
    ("placeholder-content", "type: service", "type: {$json: deep.json}", 6, "spec.type"),
    ("placeholder-content", "type: service", "type: {$json: deeper.json}", 6, "spec.type"),
    ("placeholder-content", "type: service", "type: {$json: nan.json}", 6, "spec.type"),
    ("placeholder-content", "type: service", "type: {$json: surrogate.json}", 6, "spec.type"),
    ("placeholder-content", "type: service", "type: {$yaml: broken.yaml}", 6, "spec.type"),
    ("placeholder-content", "type: service", "type: {$yaml: two.yaml}", 6, "spec.type"),
    ("placeholder-content", COMPONENT[COMPONENT.index("spec:") :], "spec: {$yaml: list.yaml}\n", 5, "spec"),
    ("field-type", "type: service", "type: {$yaml: spec.yaml}", 6, "spec.type"),
    ("reference-syntax", "owner: team-a", "owner: 'group:'", 8, "spec.owner"),
    ("reference-syntax", "owner: team-a", "owner: team-a\n  dependsOn: ['a:b', c]", 9, "spec.dependsOn[1]"),
    ("reference-syntax", "owner: team-a", f"owner: {'o' * 256}", 8, "spec.owner"),
    ("duplicate-ref", "name: web", "name: BEFORE", 4, "metadata.name"),
]
OF_OTHER_KINDS = [
    ("API", "{type: openapi, lifecycle: l, owner: o}", "required-field", "spec.definition"),
    ("API", "{type: openapi, lifecycle: l, owner: o, definition: {a: 1}}", "field-type", "spec.definition"),
    ("Resource", "{owner: o}", "required-field", "spec.type"),
    ("System", "{domain: d}", "required-field", "spec.owner"),
    ("Domain", "{}", "required-field", "spec.owner"),
    ("Group", "{type: t}", "required-field", "spec.children"),
    ("Group", "{type: t, children: }", "field-type", "spec.children"),
    ("Group", "{type: t, children: [], profile: {email: ''}}", "field-type", "spec.profile.email"),
    ("User", "{}", "required-field", "spec.memberOf"),
    ("User", "{memberOf: }", "field-type", "spec.memberOf"),
    ("User", "{memberOf: [], profile: []}", "field-type", "spec.profile"),
    ("Location", "{presence: maybe}", "field-choice", "spec.presence"),
    ("Location", "{targets: x}", "field-type", "spec.targets"),
    ("Template", "{type: t}", "required-field", "spec.steps"),
    ("Template", "{type: t, steps: {}}", "field-type", "spec.steps"),
    ("Template", "{type: t, steps: [{id: x}]}", "required-field", "spec.steps[0].action"),
    ("Template", "{type: t, steps: [x]}", "field-type", "spec.steps[0]"),
    ("Template", "{type: t, steps: [], parameters: x}", "field-type", "spec.parameters"),
]
OF_WHOLE_FILES = [
    (b"# \xff", "not-utf-8"),
    (b" " * 5_000_001, "file-too-large"),
    (b"--- a\n" * 50_001, "too-many-documents"),
    ((COMPONENT + "  x: [" + "{$text: large.txt}, " * 13 + "]\n").encode(), "file-expands-too-much"),
]


@pytest.mark.parametrize(("rule", "old", "new", "line", "field"), BROKEN)
def test_a_broken_rule_is_named_with_its_place_and_costs_one_document(
    rule: str, old: str, new: str, line: int, field: str | None
) -> None:
    assert old in COMPONENT
    before, after = COMPONENT.replace("web", "before"), COMPONENT.replace("web", "after")
    broken = COMPONENT.replace(old, new).removesuffix("\n")
    end = "\n...\n" if broken.startswith("%") else "\n---\n"
    start = before + ("...\n" if broken.startswith("%") else "---\n")

    reading = read_text(f"{start}{broken}{end}{after}", kinds=frozenset({"component"}))

    assert [record.name for record in reading.records] == ["before", "after"]
    assert [(f.rule, f.severity, f.line, f.document, f.field) for f in reading.findings] == [
        (rule, "ERROR", 9 + line, 2, field)
    ]
    assert (reading.documents, reading.rejected, reading.skipped) == (3, 1, 0)


@pytest.mark.parametrize(("kind", "spec", "rule", "field"), OF_OTHER_KINDS)
def test_each_kind_demands_its_own_fields(kind: str, spec: str, rule: str, field: str) -> None:
    reading = read_text(entity(kind, spec))
    assert [(f.rule, f.line, f.field, f.ref) for f in reading.findings] == [
        (rule, 4, field, f"{kind.lower()}:default/x")
    ]
    assert reading.records == []


@pytest.mark.parametrize(("raw", "rule"), OF_WHOLE_FILES)
def test_a_file_that_is_refused_as_a_whole_gives_nothing_and_counts_once(raw: bytes, rule: str) -> None:
    reading = read(COMPONENT.encode() + b"---\n" + raw, include=include)
    assert [(f.rule, f.severity, f.document) for f in reading.findings] == [(rule, "ERROR", None)]
    assert (reading.records, reading.documents, reading.rejected, reading.included) == ([], 1, 1, {})


def test_every_rule_has_a_file_that_breaks_it() -> None:
    tested = {row[0] for row in BROKEN} | {row[2] for row in OF_OTHER_KINDS} | {row[1] for row in OF_WHOLE_FILES}
    assert tested | {"reference-kind", "too-many-problems"} == set(RULES)


def test_a_slip_that_has_one_way_out_is_told_it() -> None:
    text = COMPONENT.replace("name: web", "name: web\n  tags: [Java, No Tag]").replace("  owner: team-a\n", "")
    assert [(f.field, f.hint) for f in read_text(text).findings] == [
        ("metadata.tags[0]", "Write it java."),
        ("metadata.tags[1]", None),
        ("spec.owner", "Add it."),
    ]
    without_spec = read_text(COMPONENT[: COMPONENT.index("spec:")])
    assert [f.hint for f in without_spec.findings] == ["Add it."]


def test_the_manual_lists_every_rule() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", DOCS.read_text().partition("## Rules")[2], re.MULTILINE)
    assert rows == list(RULES.items())


def test_all_that_is_wrong_in_one_document_is_told_at_once() -> None:
    text = COMPONENT.replace("name: web", "name: we b\n  tags: [A, b, C]").replace("owner: team-a", "owner: /a")
    assert [(f.rule, f.line, f.field) for f in read_text(text).findings] == [
        ("name-format", 4, "metadata.name"),
        ("tag-format", 5, "metadata.tags[0]"),
        ("tag-format", 5, "metadata.tags[2]"),
        ("reference-syntax", 9, "spec.owner"),
    ]


def test_a_file_of_countless_problems_shows_the_first_thousand() -> None:
    reading = read_text("--- a\n" * 3_000 + "---\n" + COMPONENT)
    assert Counter(f.rule for f in reading.findings) == {"not-a-mapping": 1_000, "too-many-problems": 1}
    assert (reading.findings[-1].line, reading.findings[-1].severity) == (1_001, "WARNING")
    assert (reading.rejected, len(reading.records)) == (3_000, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: web", f"name: {'n' * 63}"),
        ("name: web", "name: a-_.B"),
        ("name: web", "name: web\n  namespace: a--b-1"),
        ("name: web", "name: web\n  description: ''"),
        ("name: web", "name: web\n  labels: {e.com/a: '', b: c_d.e}"),
        ("name: web", "name: web\n  annotations: {a: '', e.com/B_c: 'multi\n    line'}"),
        ("name: web", f"name: web\n  annotations: {{{'.'.join(['a' * 63] * 3)}/{'b' * 63}: c}}"),
        ("name: web", "name: web\n  tags: [c++, 'a:b', c#-d]"),
        ("name: web", "name: web\n  tags: []\n  links: []\n  labels: {}\n  annotations: {}"),
        ("name: web", "name: web\n  links: [{url: 'mailto:a@b', title: t, icon: i, type: any text, more: 1}]"),
        ("name: web", "name: web\n  uid: x\n  etag: y\n  generation: 1\n  anything: {goes: [here]}"),
        ("name: web", "{name: web, $x: {$text: missing}}"),
        ("owner: team-a", "owner: team-a\n  dependencyOf:"),
        ("owner: team-a", "owner: team-a\n  dependencyOf: ''"),
        ("owner: team-a", "owner: team-a\n  dependencyOf: component:a"),
        ("owner: team-a", "owner: nobody has such a name/at all"),
        ("owner: team-a", "owner: team-a\n  profile: 1\n  steps: 2\n  members: 3"),
        ("apiVersion: backstage.io/v1alpha1", "apiVersion: backstage.io/v1beta1"),
    ],
)
def test_what_backstage_accepts_is_accepted(old: str, new: str) -> None:
    text = COMPONENT.replace("  " + old if new.startswith("{") else old, "  " + new if new.startswith("{") else new)
    assert read_text(text).findings == []
    assert len(read_text(text).records) == 1


@pytest.mark.parametrize("kind", SPECS)
def test_the_least_of_each_kind_is_enough(kind: str) -> None:
    record = only_record(entity(kind, SPECS[kind]))
    assert (record.ref, record.graph_type, record.title) == (f"{kind.lower()}:default/x", kind, "x")


def test_an_mcp_server_needs_no_definition() -> None:
    assert only_record(entity("API", "{type: mcp-server, lifecycle: l, owner: o}")).type == "mcp-server"


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("backstage.io/v1alpha1", "AiResource"),
        ("example.org/v1", "Component"),
        ("backstage.io/v1alpha2", "System"),
        ("backstage.io/v1alpha1", "Template"),
        ("catalograph.dev/v1alpha1", "KpiDefinition"),
        ("v1x", "component"),
    ],
)
def test_a_kind_of_another_owner_is_kept_whole_without_rules(api_version: str, kind: str) -> None:
    spec = "{type: [1], owner: team-a, system: s}"
    text = f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n"
    record = only_record(text)
    assert (record.graph_type, record.ref) == ("CustomEntity", f"{kind.lower()}:default/x")
    assert (record.type, record.spec["type"]) == (None, [1])
    assert [(r.type, r.target) for r in record.references] == [
        ("ownedBy", "group:default/team-a"),
        ("partOf", "system:default/s"),
    ]


def test_a_kind_without_rules_needs_no_spec_and_may_call_owner_what_it_likes() -> None:
    head = "apiVersion: example.org/v1\nkind: Robot\nmetadata: {name: x}\n"
    assert only_record(head).spec == {}
    assert only_record(head + "spec: {owner: {name: eve}}").references == ()
    reading = read_text(head + "spec: {owner: 'a:'}")
    assert [(f.rule, f.severity, f.field) for f in reading.findings] == [("reference-syntax", "WARNING", "spec.owner")]
    assert len(reading.records) == 1


def test_a_reference_to_a_kind_that_makes_no_sense_is_kept_with_a_warning() -> None:
    reading = read_text(COMPONENT.replace("owner: team-a", "owner: component:web"))
    assert [(f.rule, f.severity, f.line, f.field, f.ref) for f in reading.findings] == [
        ("reference-kind", "WARNING", 8, "spec.owner", "component:default/web")
    ]
    assert reading.records[0].target_of("spec.owner") == "component:default/web"


@pytest.mark.parametrize(
    ("api_version", "skipped"),
    [
        ("v1", True),
        ("v2beta1", True),
        ("apps/v1", True),
        ("batch/v1", True),
        ("networking.k8s.io/v1", True),
        ("gateway.networking.k8s.io/v1beta1", True),
        ("example.org/v1", False),
        ("argoproj.io/v1alpha1", False),
        ("notk8s.io/v1", False),
    ],
)
def test_what_is_kubernetes_own_is_skipped_and_counted(api_version: str, skipped: bool) -> None:  # noqa: FBT001
    text = f"apiVersion: {api_version}\nkind: Service\nmetadata: {{name: x}}\nspec: {{}}\n---\n{COMPONENT}"
    reading = read_text(text, kinds=frozenset({"component", "service"}))
    assert (reading.documents, reading.skipped, len(reading.records)) == (2, int(skipped), 2 - skipped)
    assert reading.findings == []


def test_placeholders_give_way_to_files_wherever_backstage_looks() -> None:
    record = only_record(
        """\
apiVersion: backstage.io/v1alpha1
kind: API
metadata:
  name: x
  description: {$text: readme.txt}
spec:
  type: openapi
  lifecycle: production
  owner: team-a
  definition:
    $text: readme.txt
  list: [{deep: {$json: spec.json}}, {$yaml: spec.yaml}]
  left: {$text: missing, beside: 1}
  alone: {$ref: '#/x', in: {$text: missing}}
  unknown: {$toml: missing}
  once: {$yaml: nested.yaml}
"""
    )
    assert record.description == "Hello\n"
    assert record.spec["definition"] == "Hello\n"
    assert record.spec["list"] == [
        {"deep": {"a": [1, "😀", 12345678901234567000.0]}},
        {"type": "service", "lifecycle": "production", "owner": "team-b", "since": "2024-01-01"},
    ]
    assert record.spec["left"] == {"$text": "missing", "beside": 1}
    assert record.spec["alone"] == {"$ref": "#/x", "in": {"$text": "missing"}}
    assert record.spec["unknown"] == {"$toml": "missing"}
    assert record.spec["once"] == {"$text": "readme.txt"}


def test_a_whole_spec_may_come_from_a_file_and_its_references_keep_a_line() -> None:
    text = COMPONENT[: COMPONENT.index("spec:")] + "spec:\n  $yaml: spec.yaml\n"
    reading = read_text(text)
    assert [(r.target, r.line) for r in reading.records[0].references] == [("group:default/team-b", 5)]
    assert reading.included == {"spec.yaml": sha256(FILES["spec.yaml"]).hexdigest()}


def test_a_file_that_many_placeholders_name_is_read_once() -> None:
    paths: list[str] = []

    def counting(path: str) -> bytes:
        paths.append(path)
        return b"x"

    text = COMPONENT.replace("owner: team-a", "owner: team-a\n  x: [{$text: a}, {$text: a}, {$text: ./a}]")
    assert len(read(text.encode(), include=counting).records) == 1
    assert paths == ["a", "./a"]


def test_empty_documents_count_for_nothing() -> None:
    reading = read_text(f"---\n# nothing\n---\n~\n---\n{COMPONENT}---\n")
    assert (reading.documents, reading.rejected, reading.skipped, reading.findings) == (1, 0, 0, [])
    assert (reading.records[0].document, reading.records[0].line) == (1, 6)


def test_what_names_an_entity_never_comes_from_a_file() -> None:
    reading = read_text(COMPONENT.replace("name: web", "name: {$text: readme.txt}"))
    assert [(f.rule, f.field) for f in reading.findings] == [("field-type", "metadata.name")]
    reading = read_text(COMPONENT.replace("  name: web", "  $yaml: spec.yaml"))
    assert [(f.rule, f.field) for f in reading.findings] == [("required-field", "metadata.name")]


def test_the_first_of_two_documents_with_one_ref_counts_and_a_rejected_one_claims_nothing() -> None:
    broken, first, second = (COMPONENT.replace("owner: team-a", f"owner: {owner}") for owner in ("", "a", "b"))
    reading = read_text("---\n".join([broken, first, second.replace("web", "WEB")]))
    assert [(r.name, r.document, r.target_of("spec.owner")) for r in reading.records] == [("web", 2, "group:default/a")]
    assert [(f.rule, f.document, f.line, f.ref) for f in reading.findings] == [
        ("field-type", 1, 8, "component:default/web"),
        ("duplicate-ref", 3, 22, "component:default/web"),
    ]
    assert "document 2, line 10" in reading.findings[1].message


def test_an_etag_changes_with_the_content_and_with_nothing_else() -> None:
    etag = only_record(COMPONENT).etag
    parts = ["backstage.io/v1alpha1", "Component", {"name": "web"}]
    spec = {"lifecycle": "production", "owner": "team-a", "type": "service"}
    assert etag == sha256(json.dumps([*parts, spec], separators=(",", ":")).encode()).hexdigest()
    moved = "# comment\n---\n" + COMPONENT.replace("  type: service\n", "") + "  type: 'service'\n"
    assert only_record(moved).etag == etag
    assert only_record(COMPONENT.replace("service", "website")).etag != etag
    assert only_record(COMPONENT.replace("v1alpha1", "v1beta1")).etag != etag


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text("abé-.:# "), children, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(json_values)
def test_whatever_json_metadata_and_spec_hold_is_kept(value: Json) -> None:
    document = {
        "apiVersion": "example.org/v1",
        "kind": "Robot",
        "metadata": {"name": "x", "x": value},
        "spec": {"x": [value]},
    }
    record = only_record(json.dumps(document))
    assert (record.metadata, record.spec) == (document["metadata"], document["spec"])


roots = st.fixed_dictionaries(
    {},
    optional={
        "apiVersion": st.sampled_from(["backstage.io/v1alpha1", "scaffolder.backstage.io/v1beta3", "v1"]) | json_values,
        "kind": st.sampled_from([*KINDS, "component"]) | json_values,
        "metadata": json_values
        | st.fixed_dictionaries(
            {"name": st.just("x") | json_values},
            optional=dict.fromkeys(["namespace", "title", "labels", "annotations", "tags", "links"], json_values),
        ),
        "spec": json_values
        | st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(["type", "owner", "dependsOn", "steps", "profile", "$text", "$yaml"], json_values),
        ),
    },
)


@settings(deadline=None)
@given(st.lists(roots, max_size=3))
def test_no_document_of_any_shape_raises_or_goes_uncounted(documents: list[Json]) -> None:
    reading = read_text("\n---\n".join(json.dumps(document) for document in documents))
    assert len(documents) == reading.documents == len(reading.records) + reading.rejected + reading.skipped
    assert bool(reading.rejected) == any(f.severity == "ERROR" for f in reading.findings)
    assert {f.rule for f in reading.findings} <= set(RULES)


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_no_bytes_raise(raw: bytes) -> None:
    reading = read(raw, include=include)
    assert reading.documents == len(reading.records) + reading.rejected + reading.skipped


@pytest.mark.parametrize(
    ("catalog", "documents", "distinct", "rules", "dangling", "missing"),
    [
        ("giantswarm", 105, 96, {"duplicate-ref": 9}, 82, 46),
        ("roadie", 25, 24, {"field-type": 1}, 29, 9),
        ("bancorocks", 11, 11, {}, 0, 0),
        ("backstage-demo", 9, 8, {"placeholder-unreadable": 1}, 15, 3),
    ],
)
def test_a_real_catalog_is_read_with_its_flaws(  # noqa: PLR0917 - a row of the table
    catalog: str, documents: int, distinct: int, rules: dict[str, int], dangling: int, missing: int
) -> None:
    folder = os.environ.get("CATALOGRAPH_TEST_CATALOGS")
    if folder is None:
        pytest.skip("CATALOGRAPH_TEST_CATALOGS names no folder of real catalogs")
    readings = [read(file.read_bytes(), include=include) for file in sorted(Path(folder, catalog).rglob("*.yaml"))]
    records = [record for reading in readings for record in reading.records]
    refs = {record.ref for record in records}
    lost = [r.target for record in records for r in record.references if r.target not in refs]
    assert sum(reading.documents for reading in readings) == documents
    assert (len(records), len(refs)) == (distinct, distinct)
    assert Counter(f.rule for reading in readings for f in reading.findings) == rules
    assert (len(lost), len(set(lost))) == (dangling, missing)
