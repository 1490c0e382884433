"""Entities and their relations as a flowchart in Mermaid's language (https://mermaid.js.org/syntax/flowchart.html).

A page may draw it without a second look: names and titles that come from files can be no syntax in it. Nodes are
called n0, n1, ...; a label is quoted, and of it only letters, digits and a few harmless signs stand as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

MAX_NODES = 200
"""The most entities that are drawn; no browser lays out more of them in a reasonable time."""

MAX_LABEL = 80  # characters
_HARMLESS = frozenset(" -_./,()")

Node = Sequence[object]
"""An id, a ref, a title and a kind; the last two are None of what does not exist."""

Link = Sequence[object]
"""The id of a source, a type, and the id of a target."""


def flowchart(nodes: Sequence[Node], links: Sequence[Link]) -> str:
    """The text of the flowchart, with the nodes in this order, and the links between those that are drawn."""
    return "\n".join(_lines(nodes, links))


def _lines(nodes: Sequence[Node], links: Sequence[Link]) -> Iterator[str]:
    yield "flowchart LR"
    if len(nodes) > MAX_NODES:
        yield f"  %% There is more than these {MAX_NODES} entities."
    drawn = {node[0]: number for number, node in enumerate(nodes[:MAX_NODES])}
    for key, ref, title, kind in nodes[:MAX_NODES]:
        yield f'  n{drawn[key]}["{_label(f"{ref}, missing" if title is None else f"{title} ({kind})")}"]'
    between = (link for link in links if link[0] in drawn and link[2] in drawn)
    for source, target, says in sorted((drawn[source], drawn[target], str(says)) for source, says, target in between):
        yield f'  n{source} -->|"{_label(says)}"| n{target}'


def _label(text: str) -> str:
    """A text inside quotes. What could end it, or be a directive, an entity, Markdown or HTML, is a numbered entity."""
    cut = text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}…"
    return "".join(c if c.isalnum() or c in _HARMLESS or c == "…" else f"#{ord(c)};" for c in cut)
