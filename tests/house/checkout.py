"""The checkout as git sees it. Each function gives None where there is no git to ask."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked_files(root: Path = ROOT) -> list[Path] | None:
    """Every file that is committed or may be: the ignored ones are left out."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed is None:
        return None
    return sorted(root / name for name in listed.split("\0") if name and (root / name).is_file())


def published(path: str, root: Path = ROOT) -> str | None:
    """The file as clients may know it: at the last release, else where this branch left `main`, else at HEAD."""
    for revision in (_last_release(root), _branch_point(root), "HEAD"):
        text = revision and _git(root, "show", f"{revision}:{path}")
        if text:
            return text
    return None


def _last_release(root: Path) -> str | None:
    return _git(root, "describe", "--tags", "--abbrev=0", "--match", "v*")


def _branch_point(root: Path) -> str | None:
    return _git(root, "merge-base", "HEAD", "main")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.removesuffix("\n")
