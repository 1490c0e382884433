from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from db.rules.yaml import MAX_BYTES, MAX_DEPTH, MAX_DOCUMENTS, MAX_NODES, YamlError, parse, split


def read_all(text: str | bytes) -> list[Any]:
    """The value of each document that is not empty; for a broken one its rule and line."""
    results: list[Any] = []
    for chunk in split(text if isinstance(text, bytes) else text.encode()):
        try:
            results.append(parse(chunk).value)
        except YamlError as error:
            results.append((error.rule, error.line))
    return [result for result in results if result is not None]


def value_of(text: str) -> Any:
    """The value of `a` in `a: text`."""
    (document,) = read_all(f"a: {text}\n")
    return document["a"] if isinstance(document, dict) else document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("y", "y"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("0o14", 12),
        ("014", 14),
        ("0x1F", 31),
        ("0X1F", "0X1F"),
        ("0b11", "0b11"),
        ("-0x1", "-0x1"),
        ("+0o7", "+0o7"),
        ("0o8", "0o8"),
        ("1_000", "1_000"),
        ("1,2", "1,2"),
        ("+012", 12),
        ("-0", 0),
        (".5", 0.5),
        ("5.", 5),
        (".", "."),
        ("1.0", 1),
        ("1e3", 1000),
        ("+.5e1", 5),
        ("1E-2", 0.01),
        ("1e", "1e"),
        ("nan", "nan"),
        ("9007199254740992", 9007199254740992),
        ("9007199254740993", 9007199254740992),
        ("12345678901234567890", 12345678901234567000.0),
        ("~", None),
        ("", None),
        ("Null", None),
        ("nULL", "nULL"),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("=", "="),
        ("<<", "<<"),
        ("!Ref 12", "12"),
        ("!Ref {b: 1}", {"b": 1}),
        ("!!python/object:os.system x", "x"),
        ("! 12", "12"),
        ("!!str 12", "12"),
        ("!!int '12'", 12),
        ("!!int abc", "abc"),
        ("!!float 1", "1"),
        ("!!float 1.5", 1.5),
        ("!!bool yes", "yes"),
        ("!!null x", "x"),
        ("!<tag:yaml.org,2002:int> 12", 12),
        ("x #y", "x"),
        ("x#y", "x#y"),
        ("'it''s'", "it's"),
        (r'"x\/y"', "x/y"),
        ("{b:1}", {"b:1": None}),
        ('{"b":1}', {"b": 1}),
        ("[b,c:d]", ["b", "c:d"]),
        ("[http://x/y, b]", ["http://x/y", "b"]),
        ("{b, c: d}", {"b": None, "c": "d"}),
        ("[b: c]", [{"b": "c"}]),
        ("&x {b: 1}\nb: *x", {"b": 1}),
        ("|\n x\n y", "x\ny\n"),
        (">-\n x\n y\n\n z", "x y\nz"),
        ("|+\n x\n\n", "x\n\n\n"),
        ("x\u2028y\x85z", "x\u2028y\x85z"),
        ("|\n x\u2028y\n z", "x\u2028y\nz\n"),
        ("x\x1by\x7fz\ufeff", "x\x1by\x7fz\ufeff"),
        ("x\ry", "x\ry"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\\ud83d"', r"\ud83d"),
        (r"'\ud83d\ude00'", r"\ud83d\ude00"),
        (r"\ud83d\ude00", r"\ud83d\ude00"),
        (r'"\uFFFE"', "\ufffe"),
    ],
)
def test_a_value_is_what_backstage_reads(text: str, value: object) -> None:
    """Expected values: `parseAllDocuments("a: " + text)` of the npm package yaml 2.9."""
    read = value_of(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("---\na: 1\n...\nb: 2", [{"a": 1}, {"b": 2}]),
        ("a: 1\n...\n---\nb: 2\n...\n", [{"a": 1}, {"b": 2}]),
        ("---\n---\na: 1\n---\n# only this\n---\n~\n", [{"a": 1}]),
        ("# c\n---\na: 1\n---\t# d\nb: 1", [{"a": 1}, {"b": 1}]),
        ("", []),
        ("\ufeff# c\n\t\n", []),
        ("\ufeffa: 1", [{"a": 1}]),
        ("a: 1\r\n---\r\nb: |\r\n x\r\n", [{"a": 1}, {"b": "x\n"}]),
        ("--- |\n x\n", ["x\n"]),
        ("---a: 1\n...b: 2", [{"---a": 1, "...b": 2}]),
        ("a: --- b\nc: |\n ---\n", [{"a": "--- b", "c": "---\n"}]),
        ("%YAML 1.2\n---\na: on\n...\n%FOO x\n%TAG !e! tag:e,1:\n---\nb: !e!x 1", [{"a": "on"}, {"b": "1"}]),
        ("a: 1\n\t\nb: 2", [{"a": 1, "b": 2}]),
        ("a: |\n x", [{"a": "x\n"}]),
        ("a: |+\n x\n\n", [{"a": "x\n\n"}]),
        ("<<: {b: 1}\na: 1", [{"<<": {"b": 1}, "a": 1}]),
    ],
)
def test_a_file_falls_into_the_documents_that_backstage_finds(text: str, documents: list[object]) -> None:
    assert read_all(text) == documents


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("b: c: d", "yaml-syntax", 2),
        ("b: 'x\nc: 1", "yaml-syntax", 3),
        ("b: [x\n", "yaml-syntax", 2),
        ("b: @x", "yaml-syntax", 2),
        ("b: !e!x 1", "yaml-syntax", 2),
        ("%YAML 1.1", "yaml-syntax", 2),
        ("b: 1\nb: 2", "duplicate-key", 3),
        ("b: 1\n'b': 2", "duplicate-key", 3),
        ("b: {c: 1, c: 2}", "duplicate-key", 2),
        ("200: b", "key-not-text", 2),
        ("true: b", "key-not-text", 2),
        ("null: b", "key-not-text", 2),
        ("? [b]\n: c", "key-not-text", 2),
        ("? {b: c}\n: c", "key-not-text", 2),
        ("b: .nan", "number-not-finite", 2),
        ("b: -.inf", "number-not-finite", 2),
        ("b: 1e400", "number-not-finite", 2),
        ("b: " + "9" * 10_000, "number-not-finite", 2),
        ("b: 0x" + "f" * 10_000, "number-not-finite", 2),
        ("b:\n- !!float .inf", "number-not-finite", 3),
        (r'b: "x\0"', "nul-character", 2),
        ("b: x\0y", "nul-character", 2),
        (r'b: "\ud83d"', "lone-surrogate", 2),
        (r'b: "\ude00\ud83d"', "lone-surrogate", 2),
        ("b: *x", "unknown-alias", 2),
        ("b: &x [*x]", "unknown-alias", 2),
        ("b: !!binary aGk=", "unsupported-tag", 2),
        ("b: !!set {x}", "unsupported-tag", 2),
        ("b: &x 1\nc: [" + "*x," * 101 + "]", "too-many-aliases", 3),
        ("b: " + "[" * 100_000, "too-deep", 2),
        ("b: " + "- " * 1_000, "yaml-syntax", 2),
        ("- " * 100_000, "too-deep", 2),
        ("b: " + "{x: " * 100_000, "too-deep", 2),
        ("? " * 100_000, "key-not-text", 2),
    ],
)
def test_a_broken_document_is_named_and_costs_only_itself(text: str, rule: str, line: int) -> None:
    assert read_all(f"before: 1\n---\n{text}\n---\nafter: 1\n") == [
        {"before": 1},
        (rule, line + 1),
        {"after": 1},
    ]


def test_yaml_1_1_is_refused_rather_than_read_with_other_values() -> None:
    assert read_all("a: 1\n...\n# c\n%YAML 1.1\n---\na: on\n---\nb: 1") == [{"a": 1}, ("yaml-version", 4), {"b": 1}]


@pytest.mark.parametrize(
    ("raw", "rule", "line"),
    [
        (b"a: 1\nb: \xff\n", "not-utf-8", 2),
        (b"a: 1\nb: \xed\xa0\x80\n", "not-utf-8", 2),
        (b"#" * (MAX_BYTES + 1), "file-too-large", 1),
        (b"--- a\n" * (MAX_DOCUMENTS + 1), "too-many-documents", MAX_DOCUMENTS + 1),
        ("".join(map(chr, range(0xE000, 0xF900))).encode() + b"\x01", "yaml-syntax", 1),
    ],
)
def test_a_file_that_cannot_be_read_at_all_says_so_once(raw: bytes, rule: str, line: int) -> None:
    with pytest.raises(YamlError) as caught:
        split(raw)
    assert (caught.value.rule, caught.value.line) == (rule, line)


def laughs(levels: int, width: int) -> str:
    """`width ** levels` strings in a few hundred bytes."""
    lists = (f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]\n" for i in range(1, levels + 1))
    return "a0: &a0 lol\n" + "".join(lists)


def test_a_billion_laughs_are_refused_before_they_are_expanded() -> None:
    assert read_all(laughs(9, 10)) == [("too-many-nodes", 6)]


def test_long_text_behind_aliases_is_refused() -> None:
    text = "a: &a " + "x" * 100_000 + "\nb: [" + "*a," * 60 + "]\n"
    assert read_all(text) == [("too-much-text", 2)]


def test_as_many_nodes_and_as_much_depth_as_allowed_are_read() -> None:
    nodes = MAX_NODES - 1
    assert read_all("[" + "1," * nodes + "]") == [[1] * nodes]
    assert read_all("[" + "1," * (nodes + 1) + "]") == [("too-many-nodes", 1)]
    (deep,) = read_all("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        (deep,) = deep
    assert deep == []
    assert read_all("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)) == [("too-deep", 1)]


def test_each_part_of_a_document_knows_its_line() -> None:
    text = "# c\n---\n\na: 1\nb:\n  - x\n  - c: &q\n      d: 1\n      e: |\n        t\n  - *q\nf: [1,\n  2]\n"
    (chunk,) = split(text.encode())
    document = parse(chunk)
    places: dict[tuple[str | int, ...], int] = {
        (): 4,
        ("a",): 4,
        ("b",): 5,
        ("b", 0): 6,
        ("b", 1, "c"): 7,
        ("b", 1, "c", "e"): 9,
        ("b", 2): 11,
        ("b", 2, "d"): 8,
        ("f", 1): 13,
        ("b", 1, "missing", "too"): 7,
        ("a", "no mapping"): 4,
        ("f", 9): 12,
        ("f", "no index"): 12,
    }
    assert {path: document.line_of(path) for path in places} == places


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    # PyYAML writes the last three as line breaks, which they are in YAML 1.1
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x85\u2028\u2029")),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text("abé <:-'\"#x1~"), children, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(json_values, st.sampled_from(["'", '"', "|", ">"]), st.booleans())
def test_what_is_dumped_is_read_back(value: object, style: str, flow: bool) -> None:  # noqa: FBT001 - drawn
    text = yaml.safe_dump({"a": value}, default_style=style, default_flow_style=flow, allow_unicode=True)
    assert read_all(text) == [{"a": value}]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*"ab:-?&*!%@|>'\"[]{},# \n\t\r\\\0\ufeff\u2028é", "---\n", "...\n", "\n  ", r"\ud83d"]))
)
def test_nothing_but_a_yaml_error_is_ever_raised(pieces: list[str]) -> None:
    read_all("".join(pieces))


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_crash_the_reader(raw: bytes) -> None:
    try:
        read_all(raw)
    except YamlError as error:
        assert error.rule == "not-utf-8"  # noqa: PT017 - most bytes are fine
