from __future__ import annotations

import pytest

from tests.house.settings_table import table, with_table


def test_has_a_row_for_a_setting_with_its_default_and_meaning() -> None:
    rows = table().splitlines()

    assert rows[:2] == ["| Variable | Default | What it sets |", "|---|---|---|"]
    assert any(row.startswith("| `DATABASE_URL` | unset | URL of a Postgres") for row in rows)
    assert any(row.startswith("| `CATALOGRAPH_PORT` | `8080` | TCP port") for row in rows)
    assert any(row.startswith("| `CATALOGRAPH_PGBOUNCER` | `false` | ") for row in rows)


def test_replaces_what_stands_between_the_markers_and_nothing_else() -> None:
    readme = "# Us\n<!-- settings -->\nold\n<!-- /settings -->\nmore\n"

    assert with_table(readme, "new\n") == "# Us\n<!-- settings -->\nnew\n<!-- /settings -->\nmore\n"


@pytest.mark.parametrize("readme", ["# Us\n", "<!-- settings -->\n", "<!-- /settings -->\n"])
def test_says_which_markers_the_readme_lacks(readme: str) -> None:
    with pytest.raises(ValueError, match="<!-- settings --> and <!-- /settings -->"):
        with_table(readme, "new\n")
