"""Placeholders that fail: each costs one reading of its file, and what is read counts."""

from __future__ import annotations

from collections import Counter

import pytest

from db.rules.descriptors import read
from db.rules.placeholders import IncludeError
from db.rules.records import Reading

FILES = {
    "broken.json": b"{a: 1}" + b" " * 900_000,
    "broken.yaml": b"a: 1\na: 2\n#" + b" " * 900_000,
    "latin.txt": b"\xe9" * 900_000,
    "blank.json": b"1" + b" " * 900_000,
    "text.txt": b"x" * 999_998,
    "huge.txt": b"x" * 5_000_001,
}


class Folder:
    """The files, and how often each was read."""

    def __init__(self) -> None:
        self.read: Counter[str] = Counter()

    def __call__(self, path: str) -> bytes:
        self.read[path] += 1
        name = path.lstrip("./")
        if name not in FILES:
            raise IncludeError("there is no such file")
        return FILES[name]


def reading(folder: Folder, *placeholders: str) -> Reading:
    """What a component says whose spec holds these placeholders."""
    text = (
        "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: web}\n"
        "spec:\n  type: service\n  lifecycle: production\n  owner: team-a\n  x:\n"
    )
    return read((text + "".join(f"  - {{{each}}}\n" for each in placeholders)).encode(), include=folder)


@pytest.mark.parametrize(
    ("placeholder", "rule"),
    [
        ("$json: broken.json", "placeholder-content"),
        ("$yaml: broken.yaml", "placeholder-content"),
        ("$text: latin.txt", "placeholder-content"),
        ("$text: huge.txt", "placeholder-unreadable"),
        ("$text: gone.txt", "placeholder-unreadable"),
    ],
)
def test_a_file_that_fails_is_read_once_and_reported_at_each_use(placeholder: str, rule: str) -> None:
    folder = Folder()
    said = reading(folder, *[placeholder] * 200)
    assert folder.read == {placeholder.split()[1]: 1}
    assert [(f.rule, f.field) for f in said.findings] == [(rule, f"spec.x[{n}]") for n in range(200)]


@pytest.mark.parametrize(
    ("key", "name", "most"),
    [
        ("$json", "broken.json", 56),
        ("$yaml", "broken.yaml", 56),
        ("$text", "latin.txt", 56),
        ("$json", "blank.json", 56),
        ("$text", "huge.txt", 10),
    ],
)
def test_what_is_read_for_nothing_counts_against_the_files_limit(key: str, name: str, most: int) -> None:
    """`./` makes another path of the same file, which is read again."""
    folder = Folder()
    said = reading(folder, *(f"{key}: {'./' * n}{name}" for n in range(500)))
    assert [f.rule for f in said.findings] == ["file-expands-too-much"]
    assert folder.read.total() == most


def test_a_value_counts_once_for_each_use_and_not_for_its_reading_too() -> None:
    """With its quotes the text has a million characters."""
    for uses, findings in ((49, []), (50, ["file-expands-too-much"])):
        assert [f.rule for f in reading(Folder(), *["$text: text.txt"] * uses).findings] == findings
