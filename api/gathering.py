"""The documents of a frontend: each operation of its files of GraphQL, with the fragments that it uses."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSyntaxError,
    Location,
    OperationDefinitionNode,
    Source,
    parse,
)
from graphql.validation import ASTValidationContext

from api.documents import SHA256, Document, hash_of
from api.manifests import Found, read_files, told_apart

_ENDINGS = {".graphql", ".gql"}

Definition = OperationDefinitionNode | FragmentDefinitionNode


def gather(sources: Iterable[Path]) -> Found:
    """What is to be trusted: the documents of manifests as they are, and those of files and folders of GraphQL.

    A document is the text of its operation as it stands in the file, then that of its fragments, with an empty line
    before each. Its id is `sha256:` and its hash. Types are passed over: a frontend often has the schema at hand.
    """
    files = [file for source in sources for file in _files(source)]
    found = read_files(file for file in files if file.suffix == ".json")
    definitions: list[Definition] = []
    for file in files:
        if file.suffix in _ENDINGS:
            definitions += _definitions(file, found.problems)
    found.problems.extend(_clashes(definitions))
    together = told_apart([*found.documents, *_documents(definitions)])
    return Found(together.documents, found.problems + together.problems)


def _files(source: Path) -> Iterator[Path]:
    """A file is itself; of a folder all files of GraphQL, also those in folders within it."""
    if not source.is_dir():
        yield source
        return
    for file in sorted(source.rglob("*")):
        inner = file.relative_to(source).parts
        if file.suffix in _ENDINGS and "node_modules" not in inner and not any(part.startswith(".") for part in inner):
            yield file


def _definitions(file: Path, problems: list[str]) -> list[Definition]:
    try:
        document = parse(Source(file.read_bytes().decode(), str(file)))
    except GraphQLSyntaxError as error:
        problems.append(f"{_place(error)}: {error.message}")
    except OSError as error:
        problems.append(f"{file}:1: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{file}:1: this is not UTF-8")
    else:
        return [node for node in document.definitions if isinstance(node, Definition)]
    return []


def _place(error: GraphQLError) -> str:
    line = error.locations[0].line if error.locations else 1
    return f"{error.source.name if error.source else ''}:{line}"


def _clashes(definitions: Sequence[Definition]) -> Iterator[str]:
    """Definitions without a name, and those whose name stands for another text already."""
    first: dict[tuple[str, str], Definition] = {}
    for node in definitions:
        if node.name is None:
            yield f"{_place_of(node)}: an operation needs a name, by which people tell it from others"
            continue
        before = first.setdefault((node.kind, node.name.value), node)
        if _text(before) != _text(node):
            yield f"{_place_of(node)}: {node.name.value} is something else already: {_place_of(before)}"


def _documents(definitions: Sequence[Definition]) -> Iterator[Document]:
    context = ASTValidationContext(DocumentNode(definitions=tuple(definitions)), lambda _: None)
    for node in definitions:
        if isinstance(node, OperationDefinitionNode):
            parts: list[Definition] = [node, *context.get_recursively_referenced_fragments(node)]
            text = "\n\n".join(map(_text, parts)) + "\n"
            yield Document(SHA256 + hash_of(text), text, _place_in(parts))


def _place_in(parts: Sequence[Definition]) -> Callable[[int], str]:
    """From a line of a document to where it was taken from."""
    starts, line = [], 1
    for part in parts:
        starts.append(line)
        line += _text(part).count("\n") + 2

    def place(line: int) -> str:
        at = bisect_right(starts, line) - 1
        return _place_of(parts[at], line - starts[at])

    return place


def _place_of(node: Definition, further: int = 0) -> str:
    """Where a definition stands, or a line of it that is so many lines further down."""
    location = _location(node)
    return f"{location.source.name}:{location.start_token.line + further}"


def _text(node: Definition) -> str:
    location = _location(node)
    return location.source.body[location.start : location.end]


def _location(node: Definition) -> Location:
    if node.loc is None:
        raise ValueError("the parser notes where things stand")
    return node.loc
