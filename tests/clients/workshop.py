"""A folder in which scripts for Node find their packages.

The packages come from the npm registry, in the versions and with the hashes of `package-lock.json`: once, into the
project's `.cache`, so that nothing of them lies in the checkout.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.explorer.build import CACHE, Node, machine_node, wheel_node

HERE = Path(__file__).parent
SCHEMA = HERE.parents[1] / "schema" / "schema.graphql"
LOCKED = ("package.json", "package-lock.json", ".npmrc")
PATIENCE = 60  # seconds for a script: a net under hangs, not a budget


class MissingError(Exception):
    """The packages are not here and cannot be fetched; the message says why."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """A copy of this folder's scripts, with the packages."""

    folder: Path
    node: str

    def run(self, program: str, *arguments: str, **environ: str) -> str:
        """What a program of this folder says. It must end well, and complain of nothing."""
        done = subprocess.run(
            (self.node, program, *arguments),
            cwd=self.folder,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def said(self, script: str, **environ: str) -> Any:
        """The one JSON line that a script says."""
        return json.loads(self.run(script, **environ))


def furnished(folder: Path) -> Workshop:
    """Make `folder` a workshop. Node is the machine's own, or the one that builds the explorer page.

    Raises BuildError without Node, MissingError without the packages.
    """
    node = machine_node() or wheel_node()
    packages = _packages(node)
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copy(SCHEMA, folder)
    (folder / "node_modules").symlink_to(packages)
    return Workshop(folder, node.node)


def _packages(node: Node) -> Path:
    """The folder `node_modules`, as the lock file has it."""
    locked = b"".join((HERE / name).read_bytes() for name in LOCKED)
    home = CACHE / f"clients-{hashlib.sha256(locked).hexdigest()[:16]}"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "clients.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # processes of other runs may want it too
        if not home.exists():
            _fetch(node, home)
    return home / "node_modules"


def _fetch(node: Node, home: Path) -> None:
    """Fetch the packages into `home`, which takes half a minute; those of other lock files go."""
    for old in CACHE.glob("clients-*"):
        shutil.rmtree(old)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=".clients-") as scratch:
        fetched = Path(scratch, "fetched")
        fetched.mkdir()
        for name in LOCKED:
            shutil.copy(HERE / name, fetched)
        command = (*node.npm, "ci", "--prefer-offline", "--loglevel=error")
        done = subprocess.run(command, cwd=fetched, capture_output=True, text=True, check=False)
        if done.returncode:
            reason, _, _ = done.stderr.partition("\n")
            raise MissingError(f"the npm registry does not give the packages: {reason}")
        fetched.rename(home)
