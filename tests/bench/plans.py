"""Plans of Postgres in few words."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.asking import Plan


def summary(plan: Plan) -> str:
    """The nodes that read rows, each with the rows it gave and those it read in vain; then the pages that were read.

    `Index Scan entity_by_name 21 (-180), 203 buffers` read 201 rows of an index, in 203 pages of memory or disk.
    """
    reads = ", ".join(_read(node) for node in _nodes(plan["Plan"]) if _works(node))
    return f"{reads}; {buffers(plan)} buffers{', generic' if is_generic(plan) else ''}"


def buffers(plan: Plan) -> int:
    """Pages of 8 kB that the statement looked at, in memory or on disk."""
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])


def is_generic(plan: Plan) -> bool:
    """Whether Postgres planned without looking at the parameters' values."""
    conditions = (str(value) for node in _nodes(plan["Plan"]) for key, value in node.items() if _is_condition(key))
    return any("$" in condition for condition in conditions)


def _is_condition(key: str) -> bool:
    return key == "Filter" or key.endswith(" Cond")


def _works(node: Plan) -> bool:
    """Whether a node reads a table or an index, or sorts."""
    kind = node["Node Type"]
    return "Sort" in kind or ("Scan" in kind and kind not in {"Subquery Scan", "Function Scan"})


def _read(node: Plan) -> str:
    loops = node["Actual Loops"]
    vain = sum(round(node.get(key, 0) * loops) for key in ("Rows Removed by Filter", "Rows Removed by Index Recheck"))
    name = " ".join(filter(None, (node["Node Type"], node.get("Index Name") or node.get("CTE Name"))))
    return f"{name} {round(node['Actual Rows'] * loops):,}{f' (-{vain:,})' if vain else ''}"


def _nodes(node: Plan) -> Iterator[Plan]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
