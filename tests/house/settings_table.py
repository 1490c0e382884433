"""README's table of settings, made from `api.settings`. `python -m tests.house.settings_table` writes it."""

from __future__ import annotations

from api.settings import Settings, variables
from tests.house.checkout import ROOT

START, END = "<!-- settings -->\n", "<!-- /settings -->"
README = ROOT / "README.md"


def table() -> str:
    """The settings in the order of their fields, a row for each."""
    rows = ["| Variable | Default | What it sets |", "|---|---|---|"]
    for name, variable in variables():
        field = Settings.model_fields[name]
        default = "unset" if field.default is None else f"`{_as_typed(field.default)}`"
        rows.append(f"| `{variable}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def _as_typed(value: object) -> str:
    """The value as an operator types it."""
    if isinstance(value, frozenset):
        return ",".join(sorted(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def with_table(readme: str, rows: str) -> str:
    """The text with `rows` between its two markers. Raises ValueError where a marker is missing."""
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"README.md needs the lines {START.strip()} and {END}, with the table between them.")
    return before + START + rows + END + after


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8"), table()), encoding="utf-8")
