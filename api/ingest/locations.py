"""Where Location entities point: to files of the same tree, which are then read too."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from api.ingest.files import Found, ShutError, UnreadableError, matching, real_path, split_glob
from db.rules.records import Finding, Json, Reading, Record

RULE = "location-target"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


class TargetError(Exception):
    """A target that is not followed, and why, without its name."""


def follow(root: Path, file: str, reading: Reading) -> list[Found]:
    """The files that the Locations of a file point to, also those that do not open now.

    A target that leads nowhere becomes a finding of the reading. `presence: optional` keeps silent about such a
    target, as in Backstage.
    """
    found: list[Found] = []
    for record in reading.records:
        if record.graph_type != "Location":
            continue
        for field, target in _targets(record.spec):
            try:
                found += _resolved(root, file, target)
            except TargetError as error:
                if record.spec.get("presence") != "optional":
                    reading.findings.append(_not_followed(record, field, target, error))
    return found


def followed_before(root: Path, file: str, spec: dict[str, Json]) -> list[Found]:
    """The files that a Location which the catalog has points to; targets that lead nowhere are left out."""
    found: list[Found] = []
    for _, target in _targets(spec):
        try:
            found += _resolved(root, file, target)
        except TargetError:
            continue
    return found


def _targets(spec: dict[str, Json]) -> Iterator[tuple[str, str]]:
    if spec.get("target"):
        yield "spec.target", spec["target"]
    for position, target in enumerate(spec.get("targets") or ()):
        yield f"spec.targets[{position}]", target


def _resolved(root: Path, file: str, target: str) -> list[Found]:
    """The files that a target stands for, or the place that does not open now. Raises TargetError for neither."""
    try:
        return _files_at(root, (root / file).parent, _path_of(target))
    except ShutError as error:
        return [Found(error.path, error.path, unreadable=str(error))]
    except UnreadableError as error:
        raise TargetError(str(error)) from error


def _files_at(root: Path, folder: Path, path: str) -> list[Found]:
    try:
        real = real_path(root, folder / path)
    except UnreadableError:
        if not glob.has_magic(path):
            raise
        return _matched(root, folder, path)
    if real.is_dir():
        raise TargetError(f"it is a folder; a glob such as {path.rstrip('/')}/**/*.yaml names the files in it")
    name = real.relative_to(root).as_posix()
    return [Found(name, name)]


def _matched(root: Path, folder: Path, path: str) -> list[Found]:
    prefix, pattern = split_glob(path)
    found = list(matching(root, real_path(root, folder / prefix), pattern))
    if not found:
        raise TargetError("no file matches")
    return found


def _path_of(target: str) -> str:
    """The path in a target: `./a.yaml`, `file:./a.yaml`, `file:///srv/a.yaml`. Raises TargetError for other URLs."""
    if not _SCHEME.match(target):
        return target
    parts = urlsplit(target)
    if parts.scheme != "file" or parts.netloc:
        raise TargetError("only files inside the source's root are followed")
    return unquote(parts.path)


def _not_followed(record: Record, field: str, target: str, error: TargetError) -> Finding:
    return Finding(
        rule=RULE,
        severity="WARNING",
        message=f"{target} is not followed: {error}",
        line=record.line,
        document=record.document,
        field=field,
        hint="`presence: optional` says that a target may be missing.",
        ref=record.ref,
    )
