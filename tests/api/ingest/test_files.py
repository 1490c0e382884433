"""Looking for files: which are found, each once, and none outside the root."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from api.ingest.errors import OutsideError, ShutError, SourceError, UnreadableError
from api.ingest.files import FileSource, Folder, read
from api.ingest.trees import Found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in (
        "a.yaml",
        "b.yml",
        "c.json",
        "d/e.yaml",
        "d/f/g.yaml",
        ".hidden/h.yaml",
        ".git/i.yaml",
        "x.yaml/j.yaml",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def paths(root: Path, pattern: str) -> list[str]:
    return sorted(found.path for found in Folder(root).matching("", pattern))


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("**", [".hidden/h.yaml", "a.yaml", "b.yml", "d/e.yaml", "d/f/g.yaml", "x.yaml/j.yaml"]),
        ("*.yaml", ["a.yaml"]),
        ("*", ["a.yaml", "b.yml"]),
        ("**/e.yaml", ["d/e.yaml"]),
        ("**/[ae].yaml", ["a.yaml", "d/e.yaml"]),
        ("d/**/*.yaml", ["d/e.yaml", "d/f/g.yaml"]),
        ("**/f/**", ["d/f/g.yaml"]),
        ("*/*/?.yaml", ["d/f/g.yaml"]),
        ("**/**/nothing", []),
    ],
)
def test_a_glob_matches_whole_paths(folder: Path, pattern: str, matched: list[str]) -> None:
    assert paths(folder, pattern) == matched


def test_a_hostile_glob_takes_no_time(tmp_path: Path) -> None:
    deep = tmp_path / "/".join("a" * 60)
    deep.mkdir(parents=True)
    (deep / "a.yaml").touch()
    assert paths(tmp_path, "**/a/" * 40 + "b.yaml") == []


def test_a_file_that_links_lead_to_is_found_by_its_real_path_only(folder: Path) -> None:
    (folder / "link.yaml").symlink_to("a.yaml")
    (folder / "loop").symlink_to(".")
    (folder / "d/loop.yaml").symlink_to("loop.yaml")
    (folder / "to-d").symlink_to("d")
    found = sorted(Folder(folder).matching("", "**"), key=lambda each: (each.path, each.reached))
    assert [each for each in found if each.path != each.reached] == [Found("a.yaml", "link.yaml")]
    assert [each for each in found if each.unreadable] == [
        Found("d/loop.yaml", "d/loop.yaml", unreadable="Too many levels of symbolic links")
    ]
    assert len({each.path for each in found}) == 7


def test_nothing_outside_the_root_is_found_or_included(folder: Path) -> None:
    secret = folder.parent / "secret.yaml"
    secret.write_text("secret")
    (folder / "out.yaml").symlink_to(secret)
    (folder / "out").symlink_to(folder.parent)
    (folder / "out.txt").symlink_to(secret)
    outside = [found.path for found in Folder(folder).matching("", "**") if found.outside]
    assert sorted(outside) == ["out", "out.yaml"]
    assert Folder(folder).included("d/e.yaml", "../a.yaml") == b"a.yaml"
    for path in (
        "../../secret.yaml",
        str(secret),
        "../out.txt",
        "../out/secret.yaml",
        "/etc/passwd",
        "https://a/b",
        "",
        "\0",
    ):
        with pytest.raises(UnreadableError):
            Folder(folder).included("d/e.yaml", path)


def test_an_include_is_bounded(folder: Path) -> None:
    (folder / "large.txt").write_bytes(b"x" * 5_000_001)
    (folder / "larger.txt").write_bytes(b"x" * 9_000_000)
    lengths = [len(Folder(folder).included("a.yaml", name)) for name in ("large.txt", "larger.txt")]
    assert lengths == [5_000_001, 5_000_001]


def test_a_path_that_does_not_open_is_shut_or_outside_and_never_missing(folder: Path) -> None:
    (folder / "d/loop.yaml").symlink_to("loop.yaml")
    (folder.parent / "loop").symlink_to("loop")
    with pytest.raises(ShutError, match="Too many levels of symbolic links") as shut:
        Folder(folder).real("x.yaml/../d/loop.yaml")
    assert shut.value.path == "d/loop.yaml"
    with pytest.raises(ShutError, match="File name too long"):
        Folder(folder).real("n" * 300)
    with pytest.raises(OutsideError):
        Folder(folder).real("../loop/a.yaml")
    for missing in ("gone", "a.yaml/b.yaml", "\0"):
        with pytest.raises(UnreadableError, match="there is no such file") as error:
            Folder(folder).real(missing)
        assert not isinstance(error.value, ShutError)


def test_what_is_no_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")
    for name, reason in (
        ("pipe.yaml", "it is not a file"),
        ("d", "it is not a file"),
        ("gone", "there is no such file"),
    ):
        with pytest.raises(UnreadableError, match=reason):
            read(folder / name)


def test_a_source_is_named_by_its_root_and_a_file_by_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "link").symlink_to(folder)
    monkeypatch.chdir(folder)
    named = {
        place: FileSource.at(place) for place in (".", "../link", "a.yaml", "d/*.yaml", "**/e.yaml", "d/*/../*.yaml")
    }
    assert [(source.type, source.name, source.root) for source in list(named.values())[:5]] == [
        ("folder", str(folder), folder),
        ("folder", str(folder), folder),
        ("file", str(folder / "a.yaml"), folder),
        ("glob", str(folder / "d"), folder / "d"),
        ("glob", str(folder), folder),
    ]
    assert FileSource.at(".", name="mine").name == "mine"


@pytest.mark.parametrize("place", ["", "gone", "gone/*.yaml", "a.yaml/b.yaml", "\0"])
def test_a_source_that_is_not_there_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(SourceError):
        FileSource.at(place)


def test_a_glob_that_matches_nothing_is_an_error(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"no YAML file in it matches \*\.toml"):
        FileSource.at(f"{folder}/*.toml").open(ExitStack()).find()
