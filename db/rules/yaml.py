"""YAML 1.2 (https://yaml.org/spec/1.2.2/) as Backstage reads it: the text of a file -> JSON values with line numbers.

libyaml does the scanning; it knows YAML 1.1, so what differs is settled here, in `db.rules.scalars` and in
`db.rules.stand_ins`. What JSON in Postgres cannot hold is an error and never a changed value.

`split` cuts a file into documents, `parse` reads one of them, so that an error in one costs that one only. The time
taken grows with the length of the text and with nothing else, whatever the text says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import yaml
from yaml._yaml import CParser

from db.rules.records import Json
from db.rules.scalars import BrokenRuleError, check_tag, check_text, plain, tagged
from db.rules.shown import shown
from db.rules.stand_ins import NoStandInLeftError, StandIns, with_stand_ins

MAX_BYTES = 5_000_000
"""The longest file, and the most characters in one document once its aliases are expanded."""

MAX_DOCUMENTS = 50_000
"""The most documents in a file, the empty ones not counted."""

MAX_ALIASES = 100
"""The most aliases (`*name`) in a document."""

MAX_NODES = 100_000
"""The most mappings, lists, keys and values in a document once its aliases are expanded."""

MAX_DEPTH = 100
"""How deep mappings and lists may nest. JSON libraries give up soon after."""

_MAX_DIRECTIVES = 100  # libyaml compares each with all the others

_BOUNDARY = re.compile(r"^(?:---|\.\.\.)(?=[ \t\r\n]|\Z)", re.MULTILINE)
_BLANK = r"(?:[ \t]*+(?:#[^\n]*+)?(?:\r?\n|\Z))*+"  # possessive: nothing to go back to, nothing to remember
_NOTHING = re.compile(rf"{_BLANK}(?:---{_BLANK})?")
_PROLOGUE = re.compile(r"(?:[ \t]*+(?:#[^\n]*+)?\r?\n|%[^\n]*+\n)*+")
_FOREIGN_DIRECTIVE = re.compile(r"^%(?!TAG[ \t])", re.MULTILINE)
_VERSION_1_1 = re.compile(r"^%YAML[ \t]+1\.1\b", re.MULTILINE)

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands in a document: `("spec", "dependsOn", 2)`."""

_Lines: TypeAlias = list[int] | dict[str, int]  # of the items of a list, of the keys of a mapping
_Size: TypeAlias = tuple[int, int]  # nodes and characters


class YamlError(ValueError):
    """A text that cannot be read: the broken rule's name, a message, and the line in the file, from 1."""

    def __init__(self, rule: str, message: str, line: int) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Chunk:
    """The text of one document, not yet parsed."""

    text: str
    line: int  # of its first character in the file, from 1
    stand_ins: StandIns | None


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed document: its value, and the line in the file of each part of it."""

    value: Json  # None: an empty document
    line: int  # where the value starts, from 1
    size: int  # about how much work its value makes, aliases expanded: its characters, and 10 for each key and value
    _lines: dict[int, _Lines]  # by the id of the list or mapping, which `value` keeps alive

    def line_of(self, path: Path) -> int:
        """The line of the key or list item at `path`; where that is absent, of what is nearest above it."""
        line, value = self.line, self.value
        for step in path:
            lines = self._lines.get(id(value))
            try:
                line, value = lines[step], value[step]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                break
        return line


def split(raw: bytes) -> list[Chunk]:
    """The documents of a file, without those of comments and blanks alone. Raises YamlError for the file as a whole.

    A line that starts with `---` or `...` ends a document wherever it stands, also within quotes or brackets.
    """
    text, stand_ins = _decoded(raw)
    chunks: list[Chunk] = []
    line, counted = 1, 0
    for start, end in _boundaries(text):
        if _NOTHING.fullmatch(text, start, end):
            continue
        line += text.count("\n", counted, start)
        counted = start
        if len(chunks) == MAX_DOCUMENTS:
            raise YamlError("too-many-documents", f"the file has more than {MAX_DOCUMENTS:,} documents", line)
        # a last line without its end is one: libyaml would leave it out of a block scalar
        chunks.append(Chunk(text[start:end].removesuffix("\n") + "\n", line, stand_ins))
    return chunks


def parse(chunk: Chunk) -> Document:
    """The document in `chunk`. Raises YamlError."""
    return _Composer(_without_directives(chunk)).document()


def _decoded(raw: bytes) -> tuple[str, StandIns | None]:
    if len(raw) > MAX_BYTES:
        raise YamlError("file-too-large", f"the file has {len(raw):,} bytes, {MAX_BYTES:,} are the most", 1)
    try:
        return with_stand_ins(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise YamlError("not-utf-8", f"byte {error.start + 1} of the file is not UTF-8", line) from None
    except NoStandInLeftError:
        raise YamlError(
            "yaml-syntax", "the file has control characters, and every private-use character too", 1
        ) from None


def _boundaries(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each document. `---` and the directives before it belong to it, `...` to none."""
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match[0] == "...":
            yield start, match.start()
            start = match.end()
        elif not _PROLOGUE.fullmatch(text, start, match.start()):
            yield start, match.start()
            start = match.start()
    yield start, len(text)


def _without_directives(chunk: Chunk) -> Chunk:
    """`chunk` with each `%` line but `%TAG` made a comment. Raises YamlError for `%YAML 1.1`."""
    match = _PROLOGUE.match(chunk.text)
    prologue = match[0] if match else ""
    if "%" not in prologue or not chunk.text.startswith("---", len(prologue)):
        return chunk
    if old := _VERSION_1_1.search(prologue):
        line = chunk.line + prologue.count("\n", 0, old.start())
        raise YamlError("yaml-version", "%YAML 1.1 gives values another meaning, and only 1.2 is read", line)
    if prologue.count("\n%") > _MAX_DIRECTIVES:
        raise YamlError("yaml-syntax", f"more than {_MAX_DIRECTIVES} directives (lines that start with %)", chunk.line)
    return replace(chunk, text=_FOREIGN_DIRECTIVE.sub("#", prologue) + chunk.text[len(prologue) :])


class _OpenList:
    """A list that is being read."""

    __slots__ = ("anchor", "container", "lines", "size_before")

    def __init__(self, anchor: str | None, size_before: _Size) -> None:
        self.container: list[Json] = []
        self.lines: list[int] = []
        self.anchor = anchor
        self.size_before = size_before  # of the document, when this began

    def put(self, value: Json, line: int) -> None:
        self.container.append(value)
        self.lines.append(line)


class _OpenMapping:
    """A mapping that is being read: key and value take turns."""

    __slots__ = ("anchor", "container", "key", "lines", "size_before")

    def __init__(self, anchor: str | None, size_before: _Size) -> None:
        self.container: dict[str, Json] = {}
        self.lines: dict[str, int] = {}
        self.key: str | None = None  # whose value comes next
        self.anchor = anchor
        self.size_before = size_before

    def put(self, value: Json, line: int) -> None:
        if self.key is not None:
            self.container[self.key] = value
            self.key = None
        elif not isinstance(value, str):
            raise BrokenRuleError("key-not-text", f"the key {shown(value)} is not text: write it in quotes")
        elif value in self.container:
            raise BrokenRuleError("duplicate-key", f"the key {shown(value)} stands twice in one mapping")
        else:
            self.key = value
            self.lines[value] = line


class _Composer:
    """Builds the value of one document from libyaml's events, without recursion, up to the first error."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._stand_ins = chunk.stand_ins
        self._root = _OpenList(None, (0, 0))
        self._open: list[_OpenList | _OpenMapping] = [self._root]
        self._lines: dict[int, _Lines] = {}
        self._anchors: dict[str, tuple[Json, _Size]] = {}
        self._aliases = 0
        self._nodes = 0
        self._characters = 0
        self._line = chunk.line  # of the event at hand

    def document(self) -> Document:
        try:
            self._compose()
        except BrokenRuleError as error:
            raise YamlError(error.rule, error.message, self._line) from None
        except yaml.YAMLError as error:
            raise self._syntax_error(error) from None
        size = self._characters + 10 * self._nodes
        return Document(self._root.container[0], self._root.lines[0], size, self._lines)

    def _compose(self) -> None:
        take: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self._take_scalar,
            yaml.AliasEvent: self._take_alias,
            yaml.MappingStartEvent: self._start_mapping,
            yaml.SequenceStartEvent: self._start_list,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
        }
        next_event: Callable[[], Any] = CParser(self._chunk.text).get_event
        while (event := next_event()) is not None:
            self._line = self._chunk.line + event.start_mark.line
            if (take_it := take.get(type(event))) is not None:
                take_it(event)

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        text = event.value
        quoted = event.style == '"'
        if self._stand_ins is not None:
            text = self._stand_ins.restored(text, escaped=quoted)
        if quoted or self._stand_ins is not None:
            check_text(text)  # only an escape or a stand-in can bring what Postgres cannot store
        self._grow(1, len(text))
        if event.tag is None:
            value = text if event.style else plain(text)
        else:
            check_tag(event.tag)
            value = tagged(text, event.tag)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, (1, len(text))
        self._open[-1].put(value, self._line)

    def _start_mapping(self, event: yaml.MappingStartEvent) -> None:
        self._start(_OpenMapping(event.anchor, (self._nodes, self._characters)), event.tag)

    def _start_list(self, event: yaml.SequenceStartEvent) -> None:
        self._start(_OpenList(event.anchor, (self._nodes, self._characters)), event.tag)

    def _start(self, opened: _OpenList | _OpenMapping, tag: str | None) -> None:
        check_tag(tag)
        if len(self._open) > MAX_DEPTH:
            raise BrokenRuleError("too-deep", f"mappings and lists nest more than {MAX_DEPTH} deep")
        self._grow(1, 0)
        self._open[-1].put(opened.container, self._line)
        self._open.append(opened)
        self._lines[id(opened.container)] = opened.lines

    def _end(self, _event: yaml.Event) -> None:
        closed = self._open.pop()
        if closed.anchor is not None:
            nodes, characters = closed.size_before
            self._anchors[closed.anchor] = closed.container, (self._nodes - nodes, self._characters - characters)

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise BrokenRuleError("too-many-aliases", f"the document has more than {MAX_ALIASES} aliases")
        if event.anchor not in self._anchors:
            name = shown(event.anchor)
            raise BrokenRuleError("unknown-alias", f"no complete value before this alias has the anchor {name}")
        value, (nodes, characters) = self._anchors[event.anchor]
        self._grow(nodes, characters)
        self._open[-1].put(value, self._line)

    def _grow(self, nodes: int, characters: int) -> None:
        """Count what is added, before it is, so that aliases of aliases cannot exhaust the memory."""
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MAX_NODES:
            raise BrokenRuleError("too-many-nodes", f"the document has more than {MAX_NODES:,} keys and values")
        if self._characters > MAX_BYTES:
            raise BrokenRuleError("too-much-text", f"the document has more than {MAX_BYTES:,} characters")

    def _syntax_error(self, error: yaml.YAMLError) -> YamlError:
        """The error in our terms. libyaml's place of one at the end of a document may be a line too far."""
        if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
            return YamlError("yaml-syntax", str(error), self._chunk.line)
        last = self._chunk.text.rstrip().count("\n")
        line = self._chunk.line + min(error.problem_mark.line, last)
        return YamlError("yaml-syntax", self._explained(error), line)

    def _explained(self, error: yaml.MarkedYAMLError) -> str:
        problem = error.problem or "cannot be read"
        if error.context is None or error.context_mark is None:
            return problem
        return f"{problem} ({error.context} that starts in line {self._chunk.line + error.context_mark.line})"
