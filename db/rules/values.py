"""JSON values that came as such, not through YAML: what of them can be kept."""

from __future__ import annotations

import math

from db.rules.records import Json
from db.rules.scalars import BrokenRuleError, check_text
from db.rules.yaml import MAX_BYTES, MAX_DEPTH, MAX_NODES


def check_value(value: Json) -> None:
    """Raise BrokenRuleError for what cannot be stored, and for more than a YAML document may have."""
    level, nodes, characters = [value], 0, 0
    for _ in range(MAX_DEPTH + 1):
        nodes += len(level)
        if nodes > MAX_NODES:
            raise BrokenRuleError("too-many-nodes", f"more than {MAX_NODES:,} keys and values")
        characters += sum(_checked_length(node) for node in level)
        if characters > MAX_BYTES:
            raise BrokenRuleError("too-much-text", f"more than {MAX_BYTES:,} characters")
        level = [child for node in level for child in _children(node)]
    if level:
        raise BrokenRuleError("too-deep", f"nests more than {MAX_DEPTH} deep")


def _checked_length(node: Json) -> int:
    if isinstance(node, float) and not math.isfinite(node):
        raise BrokenRuleError("number-not-finite", f"{node} is no finite number")
    if not isinstance(node, str):
        return 0
    check_text(node)
    return len(node)


def _children(node: Json) -> list[Json]:
    if isinstance(node, dict):
        return [*node, *node.values()]
    return node if isinstance(node, list) else []
