"""What every source file must hold to, beyond what ruff and import-linter can see."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

OUR_PACKAGES = ("api", "schema", "db")
UNWANTED_ENDINGS = ("Helper", "Impl", "Manager", "Mixin", "Utils")
UNWANTED_MODULES = ("common", "helpers", "misc", "utils")

# By its look, so that no such name has to stand here: a package registry or its mirror.
REGISTRY = re.compile(r"\b(?:artifactory|mirrors?|nexus|npm|proxy|pypi|registry|repo)\.(?:[a-z0-9-]+\.)*[a-z]{2,}\b")
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:root|work|(?:home|Users)/[a-z]\w*)/\w")


def hidden_imports(source: str) -> list[int]:
    """The lines that import one of our own packages inside a function: a cycle dodged."""
    hidden = {
        node.lineno
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and _is_ours(node)
    }
    return sorted(hidden)


def _is_ours(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").split(".")[0] in OUR_PACKAGES
    return any(alias.name.split(".")[0] in OUR_PACKAGES for alias in node.names)


def global_state(source: str) -> list[int]:
    """The lines that set a module's `app` or `settings`: both are made once, by whoever starts the process."""
    return [
        node.lineno
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id.lower() in {"app", "settings"}
    ]


def unwanted_names(module: str, source: str) -> list[str]:
    """The names of a module and its classes that say nothing of the domain."""
    classes = (node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef))
    return [
        *([module] if module.rpartition(".")[2] in UNWANTED_MODULES else []),
        *(f"{module}.{name}" for name in classes if name.endswith(UNWANTED_ENDINGS)),
    ]


def places_of_one_machine(text: str) -> Iterator[tuple[int, str]]:
    """Lines, from 1, that name a package registry or a folder of somebody's machine, with the words that do."""
    for number, line in enumerate(text.splitlines(), 1):
        for pattern in (REGISTRY, MACHINE_PATH):
            if found := pattern.search(line):
                yield number, found.group()
