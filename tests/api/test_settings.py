"""Settings: what is read from where, and that a mistake is told in words, without secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from api.settings import Settings, SettingsError, variables
from schema.limits import Limits

SSL_MODES = "allow, disable, prefer, require, verify-ca, verify-full"


def problems(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(environ)
    return str(caught.value).splitlines()


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_environ({"HOME": "/home/ada", "PATH": "/bin"})
    assert (settings.database_url, settings.host, settings.port) == (None, "127.0.0.1", 8080)
    ours = Path("/var/lib/catalograph") if os.geteuid() == 0 else Path.home() / ".local/share/catalograph"
    assert settings.data_dir == ours


def test_each_variable_is_read() -> None:
    settings = Settings.from_environ({
        "DATABASE_URL": "postgres://ada:pw@db/catalog",
        "CATALOGRAPH_PORT": "9000",
        "CATALOGRAPH_PGBOUNCER": "true",
        "CATALOGRAPH_OPERATION_TIMEOUT": "2.5",
        "CATALOGRAPH_LOG_FORMAT": "json",
    })  # fmt: skip
    assert settings.database_url
    assert settings.database_url.get_secret_value() == "postgres://ada:pw@db/catalog"
    assert (settings.port, settings.pgbouncer, settings.operation_timeout) == (9000, True, 2.5)
    assert settings.log_format == "json"


def test_the_limits_of_a_document_have_one_default_each() -> None:
    default = Settings()
    assert Limits() == Limits(
        depth=default.depth_limit,
        aliases=default.alias_limit,
        root_fields=default.root_field_limit,
        directives=default.directive_limit,
        operations=default.operation_limit,
        cost=default.cost_limit,
    )


def test_a_document_may_be_allowed_no_alias_but_needs_a_field() -> None:
    Settings.from_environ({"CATALOGRAPH_ALIAS_LIMIT": "0", "CATALOGRAPH_DIRECTIVE_LIMIT": "0"})
    assert problems(CATALOGRAPH_ROOT_FIELD_LIMIT="0", CATALOGRAPH_COST_LIMIT="1e6") == [
        "CATALOGRAPH_ROOT_FIELD_LIMIT: '0' must be greater than or equal to 1",
        "CATALOGRAPH_COST_LIMIT: '1e6' must be a valid integer, unable to parse string as an integer",
    ]


def test_an_empty_value_counts_as_unset() -> None:
    assert Settings.from_environ({"DATABASE_URL": "", "CATALOGRAPH_PORT": ""}).port == 8080


def test_data_goes_where_the_desktop_says() -> None:
    assert Settings.from_environ({"XDG_DATA_HOME": "/data"}).data_dir == Path("/data/catalograph")
    both = {"XDG_DATA_HOME": "/data", "CATALOGRAPH_DATA_DIR": "~/here"}
    assert Settings.from_environ(both).data_dir == Path.home() / "here"


def test_a_misspelt_name_is_an_error_that_names_the_nearest() -> None:
    assert problems(CATALOGRAPH_PROT="9000") == [
        "CATALOGRAPH_PROT: there is no such setting; did you mean CATALOGRAPH_PORT?"
    ]


def test_variables_of_the_tests_are_left_alone() -> None:
    Settings.from_environ({"CATALOGRAPH_TEST_LONG": "1", "CATALOGRAPH_CHROMIUM": "/usr/bin/chromium"})


def test_every_mistake_is_told_at_once() -> None:
    assert problems(CATALOGRAPH_PORT="http", CATALOGRAPH_LOG_LEVEL="loud", CATALOGRAPH_X="1") == [
        "CATALOGRAPH_X: there is no such setting; did you mean CATALOGRAPH_PORT?",
        "CATALOGRAPH_PORT: 'http' must be a valid integer, unable to parse string as an integer",
        "CATALOGRAPH_LOG_LEVEL: 'loud' must be 'debug', 'info', 'warning' or 'error'",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("CATALOGRAPH_PORT", "65536", "must be less than or equal to 65535"),
        ("CATALOGRAPH_POOL_SIZE", "0", "must be greater than or equal to 1"),
        ("CATALOGRAPH_OPERATION_TIMEOUT", "nan", "must be a finite number"),
        ("CATALOGRAPH_OPERATION_TIMEOUT", "0", "must be greater than 0"),
        ("CATALOGRAPH_PGBOUNCER", "maybe", "must be a valid boolean, unable to interpret input"),
    ],
)
def test_a_value_out_of_range_says_what_is_allowed(variable: str, value: str, reason: str) -> None:
    assert problems(**{variable: value}) == [f"{variable}: {value!r} {reason}"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://ada:hunter2@db/x", "it must begin with postgresql:// or postgres://"),
        ("hunter2", "it must begin with postgresql:// or postgres://"),
        ("postgres://ada:hunter2@db:x/y", "the host or the port is malformed; special characters are written %40"),
        ("postgres://ada:hunter2@db/x?sslmode=on", "sslmode is one of " + SSL_MODES),
    ],
)  # fmt: skip
def test_a_bad_database_url_is_refused_without_its_password(url: str, reason: str) -> None:
    assert problems(DATABASE_URL=url) == [f"DATABASE_URL: {reason}"]


def test_a_password_is_not_in_the_settings_text() -> None:
    assert "hunter2" not in repr(Settings.from_environ({"DATABASE_URL": "postgres://ada:hunter2@db/x"}))


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_every_setting_says_what_it_is_for() -> None:
    assert len(dict(variables())) == len(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        assert (field.description or "").endswith("."), name


def test_origins_are_exact_ones() -> None:
    settings = Settings.from_environ({"CATALOGRAPH_CORS_ORIGINS": "http://localhost:5173, https://portal.example.com"})
    assert settings.cors_origins == ("http://localhost:5173", "https://portal.example.com")
    for wrong in ("*", "localhost:5173", "https://example.com/", "https://*.example.com", "https://example.com,"):
        (problem,) = problems(CATALOGRAPH_CORS_ORIGINS=wrong)
        assert problem.startswith("CATALOGRAPH_CORS_ORIGINS: ")
        assert "scheme, host and port only" in problem
