"""Reading a source: how far it says it is, and when it reads what has not changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.ingest.files import FileSource
from api.ingest.reader import Progress, Reader, rules_digest
from db.staging import Known
from tests.ingesting import Tree, component


def test_a_file_that_is_read_again_is_not_one_more_file(tree: Tree) -> None:
    tree.write("a.yaml", component("a"))
    (tree.root / "gone.yaml").symlink_to("nowhere")
    reader = Reader(FileSource.at(str(tree.root)), Known())
    list(reader.batches())
    assert reader.progress == Progress(done=3, files=3)

    assert [file.path for file in reader.again(["a.yaml"])] == ["a.yaml"]
    assert reader.progress == Progress(done=3, files=3)


@pytest.mark.parametrize("module", ["db/rules/kinds.py", "db/staging.py"])
def test_a_program_that_makes_other_rows_of_a_file_reads_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    for name in ("db/rules/kinds.py", "db/staging.py", "db/engine.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")
    monkeypatch.setattr("api.ingest.reader.resources", lambda package: tmp_path.joinpath(*package.split(".")))
    before = rules_digest.__wrapped__()
    (tmp_path / "db/engine.py").write_text("new")
    assert rules_digest.__wrapped__() == before
    (tmp_path / module).write_text("new")
    assert rules_digest.__wrapped__() != before
