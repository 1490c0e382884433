"""The file of sources: what it says, and that every mistake in it is told, with its line, before anything runs."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.ingest.backstage import BackstageSource
from api.ingest.declarations import Access
from api.ingest.declared import Sources, SourcesError
from api.ingest.errors import SourceError
from api.ingest.files import FileSource
from api.ingest.git import GitSource
from api.ingest.url import UrlSource
from api.ingest.web import Host
from db.rules.allowed import UNTRUSTED, AllowedKinds
from db.schedules import MUTATION, SETTINGS, DeclarationError, Due

ALL = """
sources:
  - folder: catalog
    name: teams
    every: 90s
    watch: false
    kinds: [Component, api]
  - file: /srv/one/catalog-info.yaml
    trusted: false
  - glob: repos/**/catalog-info.yaml
  - git: https://git.example.com/catalog.git
    branch: main
    files: "**/catalog-info.yaml"
    every: 1h
  - url: https://github.com/acme/shop/blob/main/catalog-info.yaml
  - backstage: https://backstage.internal:7007
    private: true
    token_env: BACKSTAGE_TOKEN
    filters: [kind=component]
hosts:
  - host: raw.githubusercontent.com
    token_env: GITHUB_TOKEN
  - host: Wiki.internal:8080
    private: true
"""

ENVIRON = {"BACKSTAGE_TOKEN": "s3cret", "GITHUB_TOKEN": "gh-s3cret"}


def access(**given: Any) -> Access:
    return Access(**{"clones": Path("/var/clones"), "environ": ENVIRON, **given})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(os.path.realpath(tmp_path)) / "sources.yaml"


def read(file: Path, text: str) -> Sources:
    file.write_text(text)
    return Sources.read(file, access())


def problems(file: Path, text: str) -> list[str]:
    with pytest.raises(SourcesError) as caught:
        read(file, text)
    return [line.removeprefix(f"{file}:") for line in str(caught.value).splitlines()]


def test_each_type_of_source_is_read(file: Path) -> None:
    sources = read(file, ALL)
    teams, one, glob, git, url, backstage = sources.declared
    here = str(file.parent)

    assert [(d.name, d.type) for d in sources.declared] == [
        ("teams", "folder"),
        ("/srv/one/catalog-info.yaml", "file"),
        (f"{here}/repos", "glob"),
        ("https://git.example.com/catalog.git", "git"),
        ("https://github.com/acme/shop/blob/main/catalog-info.yaml", "url"),
        ("https://backstage.internal:7007", "backstage"),
    ]
    assert [d.every for d in sources.declared] == [
        timedelta(seconds=90),
        timedelta(minutes=5),
        timedelta(minutes=5),
        timedelta(hours=1),
        timedelta(minutes=5),
        timedelta(minutes=10),
    ]
    assert teams.place == f"{here}/catalog"
    assert teams.source.kinds == AllowedKinds.of(["component", "api"])
    assert (one.source.trusted, one.source.kinds) == (False, UNTRUSTED)
    assert (glob.source.trusted, glob.source.kinds) == (True, None)
    assert sources.watched() == {"/srv/one/catalog-info.yaml": Path("/srv/one"), f"{here}/repos": Path(f"{here}/repos")}

    opened = sources.opened(git, by=SETTINGS)
    assert isinstance(opened, GitSource)
    assert (opened.branch, opened.pattern, opened.clones) == ("main", "**/catalog-info.yaml", Path("/var/clones"))
    assert opened.hosts == (Host("git.example.com"), *sources.access.hosts)
    opened = sources.opened(url, by=SETTINGS)
    assert isinstance(opened, UrlSource)
    assert opened.hosts == sources.access.hosts, "what is fetched is the raw file, whose host is listed, with its token"
    opened = sources.opened(backstage, by=SETTINGS)
    assert isinstance(opened, BackstageSource)
    assert (opened.hosts[0].name, opened.hosts[0].private) == ("backstage.internal:7007", True)
    assert opened.hosts[0].token
    assert opened.hosts[0].token.get_secret_value() == "s3cret"
    assert opened.filters == ("kind=component",)


def test_no_secret_is_in_a_definition(file: Path) -> None:
    sources = read(file, ALL)
    definitions = [declaration.definition for declaration in sources.declarations]

    assert "s3cret" not in str(definitions)
    assert definitions[0] == {
        "name": "teams",
        "every": "90s",
        "kinds": ["api", "component"],
        "trusted": True,
        "watch": False,
        "folder": f"{file.parent}/catalog",
    }
    assert definitions[5]["token_env"] == "BACKSTAGE_TOKEN"


def test_a_definition_is_known_to_who_declared_it_and_to_nobody_else(file: Path) -> None:
    sources = read(file, ALL)
    for declared in sources.declared:
        definition = declared.declaration.definition
        assert sources.known(Due(1, str(declared.name), SETTINGS, definition)) == declared
        assert sources.known(Due(1, str(declared.name), SETTINGS, {**definition, "every": "7s"})) is None
    assert Sources(access()).known(Due(1, "teams", SETTINGS, sources.declarations[0].definition)) is None
    assert sources.known(Due(1, "odd", MUTATION, {"carrier_pigeon": "coo"})) is None, "a later version may know it"


def test_every_mistake_is_told_with_its_line_at_once(file: Path) -> None:
    assert problems(
        file,
        """sources:
  - folder: catalog
    evry: 5m
  - git: git@example.com:catalog.git
    every: 5
  - folder: a
    file: b
  - {}
  - url: ftp://example.com/a.yaml
    kinds: [-user, group]
  - backstage: https://b.example.com
    trusted: 'yes'
    token_env: NOT_SET
  - glob: repos/catalog-info.yaml
hosts:
  - host: https://example.com
  - private: true
other: 1
""",
    ) == [
        "3: sources[0].evry: there is no such key",
        "4: sources[1].git: must be a path or an https URL: ssh is not supported",
        "5: sources[1].every: must be a number with s, m, h or d, such as 30s or 5m",
        "6: sources[2]: must name one place, by one of folder, file, glob, git, url, backstage",
        "8: sources[3]: must name one place, by one of folder, file, glob, git, url, backstage",
        "9: sources[4].url: ftp://example.com/a.yaml: only http and https are read",
        "10: sources[4].kinds: either list the allowed kinds, or the refused ones with a '-' before each",
        "12: sources[5].trusted: must be a valid boolean",
        "14: sources[6].glob: must have a wildcard; without one it is a `file`",
        "16: hosts[0].host: 'https://example.com' is no host; write it as github.com or as backstage.internal:7007",
        "17: hosts[1].host: it is missing",
        "18: other: there is no such key",
    ]


def test_names_hosts_and_tokens_are_looked_at_together(file: Path) -> None:
    assert problems(
        file,
        """sources:
  - folder: catalog
  - {folder: ./catalog, every: 1h}
  - {backstage: "https://b.example.com", token_env: NOT_SET}
hosts:
  - host: example.com
  - {host: Example.com, token_env: NOT_SET_EITHER}
""",
    ) == [
        f"3: sources[1]: it is called {file.parent}/catalog, as sources[0] is; `name` gives it another name",
        "4: sources[2].token_env: the environment has no NOT_SET",
        "7: hosts[1].host: example.com is listed twice",
        "7: hosts[1].token_env: the environment has no NOT_SET_EITHER",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sources: [", "1: "),
        ("a: 1\n---\nb: 2\n", " it must hold one YAML document, and has 2"),
        ("sources: {}\n", "1: sources: must be a valid list"),
        ("- folder: a\n", "1: must be a mapping"),
        (
            "sources:\n  - url: https://ada:pw@example.com/a.yaml\n",
            "2: sources[0].url: a URL must not hold a user name",
        ),
        ("sources:\n  - {folder: a, name: entityRegister}\n", "2: sources[0].name: is the name of what is registered"),
        ("sources:\n  - {folder: a, every: 31d}\n", "2: sources[0].every: must be at most 30d"),
    ],
)
def test_a_file_that_is_none_is_told(file: Path, text: str, problem: str) -> None:
    (only,) = problems(file, text)
    assert only.startswith(problem)
    assert "pw@" not in only


def test_a_file_may_declare_nothing_for_now(file: Path) -> None:
    assert read(file, "sources:\n#  - folder: catalog\nhosts:\n").declared == ()


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match=r"none\.yaml: No such file or directory"):
        Sources.read(tmp_path / "none.yaml", access())


def test_a_source_keeps_its_name_when_what_a_link_leads_to_changes(file: Path) -> None:
    here = file.parent
    for revision in ("one", "two"):
        (here / revision).mkdir()
    (here / "current").symlink_to("one")
    sources = read(file, "sources: [{folder: current}]")
    (declared,) = sources.declared
    (here / "current").unlink()
    (here / "current").symlink_to("two")

    opened = sources.opened(declared, by=SETTINGS)

    assert isinstance(opened, FileSource)
    assert (opened.name, opened.root) == (f"{here}/one", here / "two")
    assert sources.watched() == {f"{here}/one": here / "two"}


def test_a_folder_that_is_a_file_by_now_is_not_read(file: Path) -> None:
    (file.parent / "catalog").write_text("")
    sources = read(file, "sources: [{folder: catalog}]")

    with pytest.raises(SourceError, match="it is declared as a folder, and is a file"):
        sources.opened(sources.declared[0], by=SETTINGS)


def refused(sources: Sources, **given: Any) -> tuple[str | None, str]:
    with pytest.raises(DeclarationError) as caught:
        sources.registered(given)
    return caught.value.field, str(caught.value)


def test_a_mutation_declares_only_what_operators_let_it(file: Path) -> None:
    here = file.parent
    (here / "open").mkdir()
    (here / "shut").mkdir()
    (here / "open" / "way-out").symlink_to("../shut")
    sources = Sources(access(hosts=(Host("example.com", private=True),), roots=(here / "open",)))

    allowed = sources.registered({"url": "https://example.com/a.yaml", "name": "a"})
    assert (allowed.name, allowed.type, allowed.trusted, allowed.kinds) == ("a", "url", False, UNTRUSTED)
    assert sources.registered({"folder": f"{here}/open/team"}).name == f"{here}/open/team"
    outside = "it is not below a folder of CATALOGRAPH_SOURCE_ROOTS"
    for folder in (f"{here}/shut", f"{here}/open/../shut", f"{here}/open/way-out", "/"):
        assert refused(sources, folder=folder) == ("folder", outside)
    assert refused(sources, git=f"{here}/shut") == ("git", outside)
    unlisted = "is not on the list of hosts that may be read"
    assert refused(sources, url="https://example.com:444/a.yaml") == ("url", f"example.com:444 {unlisted}")
    assert refused(sources, url="https://github.com/a/b/blob/main/c.yaml") == (
        "url",
        f"raw.githubusercontent.com {unlisted}",
    )
    assert refused(sources, every="5m") == (
        None,
        "must name one place, by one of folder, file, glob, git, url, backstage",
    )
    assert refused(sources, url="https://example.com/a.yaml", every="often")[0] == "every"


def test_a_mutation_cannot_reach_out_by_a_link_that_comes_later(file: Path) -> None:
    here = file.parent
    (here / "open").mkdir()
    sources = Sources(access(roots=(here / "open",)))
    declaration = sources.registered({"folder": f"{here}/open/team", "name": "team"})
    (here / "open" / "team").symlink_to(here)

    declared = sources.known(Due(1, "team", MUTATION, declaration.definition))

    assert declared
    with pytest.raises(SourceError, match="CATALOGRAPH_SOURCE_ROOTS"):
        sources.opened(declared, by=MUTATION)


def test_a_mutation_is_given_the_tokens_of_listed_hosts_only(file: Path) -> None:
    sources = read(file, "hosts: [{host: example.com, token_env: GITHUB_TOKEN}]")
    declaration = sources.registered({"backstage": "https://example.com"})
    declared = sources.known(Due(1, declaration.name, MUTATION, declaration.definition))

    assert declared
    opened = sources.opened(declared, by=MUTATION)
    assert isinstance(opened, BackstageSource)
    assert opened.hosts == sources.access.hosts
