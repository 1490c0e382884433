"""`$text`, `$json` and `$yaml`: a mapping with one of these as its only key gives way to the content of a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import NoReturn, Protocol, TypeAlias

from db.rules.records import Json
from db.rules.scalars import BrokenRuleError, check_text, finite, integer
from db.rules.shown import shown
from db.rules.values import check_value
from db.rules.yaml import MAX_BYTES, MAX_DEPTH, Path, YamlError, parse, split

Report: TypeAlias = Callable[[Path, BrokenRuleError], None]


class IncludeError(Exception):
    """A file that a placeholder names cannot be had; the message is the reason, without the file's name."""


class Include(Protocol):
    """Reads a file that a descriptor names.

    `path` is as written there: relative to the descriptor, or a URL. Of a file that is too large, a little more than
    MAX_BYTES is enough. Raises IncludeError for what lies outside the source's root, or is missing.
    """

    def __call__(self, path: str) -> bytes:
        """The bytes of the file."""
        ...


class Placeholders:
    """Resolves the placeholders of one descriptor file; reads each file that they name once, also where that fails."""

    def __init__(self, include: Include, spend: Callable[[int], None]) -> None:
        self.included: dict[str, str] = {}  # path as written -> sha256 of the bytes, in hex
        self._include = include
        self._spend = spend  # told the size of what is read and of each value that is filled in; raises at too much
        self._outcomes: dict[tuple[str, str], tuple[Json, int] | BrokenRuleError] = {}

    def resolved(self, value: Json, path: Path, report: Report) -> Json:
        """`value` with its placeholders replaced; those that fail are reported and stay.

        As in Backstage, a mapping with a `$` key of another name, or beside other keys, is left alone with all
        that is in it, and so is what a placeholder gave.
        """
        if isinstance(value, list):
            steps = enumerate(value)
            return [self.resolved(v, (*path, i), report) if isinstance(v, dict | list) else v for i, v in steps]
        if not isinstance(value, dict):
            return value
        if any(key.startswith("$") for key in value):
            return self._replaced(value, path, report)
        items = value.items()
        return {k: self.resolved(v, (*path, k), report) if isinstance(v, dict | list) else v for k, v in items}

    def _replaced(self, value: dict[str, Json], path: Path, report: Report) -> Json:
        key = next(iter(value))
        if len(value) != 1 or key not in _READERS:
            return value
        outcome = self._outcome(key, value[key])
        if isinstance(outcome, BrokenRuleError):
            report(path, outcome)
            return value
        filled_in, size = outcome
        self._spend(size)
        return filled_in

    def _outcome(self, key: str, path: Json) -> tuple[Json, int] | BrokenRuleError:
        """What a placeholder gives, with its size in characters; or why it gives nothing."""
        if not isinstance(path, str) or not path:
            return BrokenRuleError("placeholder-unreadable", f"{key} names no file: {shown(path)} is not a path")
        if (key, path) not in self._outcomes:
            try:
                self._outcomes[key, path] = self._read(key, path)
            except BrokenRuleError as error:
                self._outcomes[key, path] = error
        return self._outcomes[key, path]

    def _read(self, key: str, path: str) -> tuple[Json, int]:
        content = self._content(key, path)
        try:
            value = _READERS[key](content, f"{key}: {shown(path)}")
        except BrokenRuleError:
            self._spend(len(content))
            raise
        size = len(json.dumps(value))
        self._spend(max(len(content) - size, 0))  # comments and blanks; the value counts where it is filled in
        return value, size

    def _content(self, key: str, path: str) -> bytes:
        try:
            content = self._include(path)
        except IncludeError as error:
            raise BrokenRuleError("placeholder-unreadable", f"{key}: {shown(path)} cannot be read: {error}") from None
        if len(content) > MAX_BYTES:
            self._spend(len(content))
            reason = f"it has more than {MAX_BYTES:,} bytes"
            raise BrokenRuleError("placeholder-unreadable", f"{key}: {shown(path)} cannot be read: {reason}")
        self.included[path] = sha256(content).hexdigest()
        return content


def _read_text(content: bytes, name: str) -> str:
    try:
        text = content.decode()
        check_text(text)
    except UnicodeDecodeError as error:
        raise BrokenRuleError("placeholder-content", f"{name}: byte {error.start + 1} is not UTF-8") from None
    except BrokenRuleError:
        raise BrokenRuleError("placeholder-content", f"{name} contains a NUL character") from None
    return text


def _read_json(content: bytes, name: str) -> Json:
    try:
        value = json.loads(
            _read_text(content, name),
            parse_int=integer,
            parse_float=lambda text: finite(text, float(text)),
            parse_constant=_refuse_constant,
        )
        check_value(value)
    except RecursionError:
        raise BrokenRuleError("placeholder-content", f"{name} nests more than {MAX_DEPTH} deep") from None
    except json.JSONDecodeError as error:
        raise BrokenRuleError("placeholder-content", f"{name} is not JSON: {error}") from None
    except BrokenRuleError as error:
        raise BrokenRuleError("placeholder-content", f"{name}: {error.message}") from None
    return value


def _read_yaml(content: bytes, name: str) -> Json:
    try:
        documents = [parse(chunk) for chunk in split(content)]
    except YamlError as error:
        raise BrokenRuleError("placeholder-content", f"{name}, line {error.line}: {error.message}") from None
    if len(documents) != 1:
        raise BrokenRuleError("placeholder-content", f"{name} has {len(documents)} documents instead of one")
    return documents[0].value


_READERS: dict[str, Callable[[bytes, str], Json]] = {"$text": _read_text, "$json": _read_json, "$yaml": _read_yaml}


def _refuse_constant(text: str) -> NoReturn:
    raise BrokenRuleError("number-not-finite", f"{text} is no finite number")
