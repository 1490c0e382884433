from __future__ import annotations

import json

from tests.clients.workshop import HERE


def test_the_lock_file_has_what_is_asked_for_and_leaves_the_registry_to_whoever_installs() -> None:
    wanted = json.loads((HERE / "package.json").read_text())
    locked = json.loads((HERE / "package-lock.json").read_text())
    assert locked["packages"][""]["dependencies"] == wanted["dependencies"]
    assert [name for name, package in locked["packages"].items() if "resolved" in package] == []
