"""Git repositories as sources: on disk and behind a URL, as far as they are committed, and never beyond themselves."""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from dulwich.objects import Blob, Commit, ObjectID, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo
from dulwich.server import BackendRepo, DictBackend
from dulwich.web import make_wsgi_chain
from pydantic import SecretStr

from api.ingest.errors import SourceError, UnreadableError
from api.ingest.git import GitSource
from api.ingest.run import Report, ingest
from api.ingest.web import Host
from db.rules.allowed import UNTRUSTED
from tests.ingesting import ANN, Catalog, component, location
from tests.pages import Reply, Site

pytestmark = pytest.mark.anyio

A, B, C, ANN_REF = (*(f"component:default/{name}" for name in "abc"), "user:default/ann")

LINK, FOLDER, SUBMODULE = stat.S_IFLNK, stat.S_IFDIR, 0o160000

Files = dict[str, str | tuple[int, str]]


def tree_of(repository: Repo, files: Files) -> ObjectID:
    """A tree of files; a pair is a mode and what the entry holds, or, for a submodule, its commit."""
    tree = Tree()
    folders: dict[str, Files] = {}
    for path, content in files.items():
        folder, _, rest = path.partition("/")
        if rest:
            folders.setdefault(folder, {})[rest] = content
            continue
        mode, text = content if isinstance(content, tuple) else (0o100644, content)
        if mode == SUBMODULE:
            tree.add(path.encode(), mode, ObjectID(text.encode()))
        else:
            blob = Blob.from_string(text.encode())
            repository.object_store.add_object(blob)
            tree.add(path.encode(), mode, blob.id)
    for folder, below in folders.items():
        tree.add(folder.encode(), FOLDER, tree_of(repository, below))
    repository.object_store.add_object(tree)
    return tree.id


def commit(repository: Repo, files: Files, branch: str = "main") -> str:
    """Put files on a branch, and say the commit."""
    ref = Ref(f"refs/heads/{branch}".encode())
    made = Commit()
    made.tree = tree_of(repository, files)
    made.parents = [repository.refs[ref]] if ref in repository.refs else []
    made.author = made.committer = b"Ann <ann@example.com>"
    made.author_time = made.commit_time = 1_700_000_000 + len(list(repository.object_store))
    made.author_timezone = made.commit_timezone = 0
    made.message = b"change"
    repository.object_store.add_object(made)
    repository.refs[ref] = made.id
    return made.id.decode()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Repo]:
    with Repo.init_bare(str(tmp_path / "bare.git"), mkdir=True, default_branch=b"main") as repository:
        yield repository


@pytest.fixture
def working(tmp_path: Path) -> Iterator[Repo]:
    with Repo.init(str(tmp_path / "working"), mkdir=True, default_branch=b"main") as repository:
        yield repository


def source(repository: str, tmp_path: Path, **options: Any) -> GitSource:
    return GitSource(name="repository", repository=repository, clones=tmp_path / "clones", **options)


async def read(catalog: Catalog, repository: str, tmp_path: Path, **options: Any) -> Report:
    return await ingest(catalog.engine, source(repository, tmp_path, **options), allow_removals=True)


async def origins(catalog: Catalog) -> list[tuple[str, str, str | None]]:
    return await catalog.rows("SELECT ref, location, commit FROM entity ORDER BY ref")


async def runs(catalog: Catalog) -> list[str | None]:
    return await catalog.rows("SELECT commit FROM source_run ORDER BY id")


async def test_a_bare_repository_is_read_at_its_head_and_says_the_commit(
    catalog: Catalog, bare: Repo, tmp_path: Path
) -> None:
    first = commit(bare, {"a.yaml": component("a"), "team/b.yml": component("b"), "people.yaml": ANN, "x.txt": "-"})
    await read(catalog, bare.path, tmp_path)
    assert await origins(catalog) == [(A, "a.yaml", first), (B, "team/b.yml", first), (ANN_REF, "people.yaml", first)]

    second = commit(bare, {"a.yaml": component("a", system="play"), "people.yaml": ANN})
    report = await read(catalog, bare.path, tmp_path)

    assert (report.counts.changed, report.counts.removed, report.counts.unchanged) == (1, 1, 1)
    assert await origins(catalog) == [(A, "a.yaml", second), (ANN_REF, "people.yaml", first)]
    assert await runs(catalog) == [first, second]


async def test_another_branch_is_read_by_its_name(catalog: Catalog, bare: Repo, tmp_path: Path) -> None:
    commit(bare, {"a.yaml": component("a"), "people.yaml": ANN})
    next_ = commit(bare, {"b.yaml": component("b"), "people.yaml": ANN}, branch="team/next")
    await read(catalog, bare.path, tmp_path, branch="team/next")
    assert (await catalog.refs(), await runs(catalog)) == ([B, ANN_REF], [next_])


async def test_only_the_files_of_the_pattern_are_read(catalog: Catalog, bare: Repo, tmp_path: Path) -> None:
    files: Files = {"d/catalog-info.yaml": component("a"), "d/other.yaml": component("b"), "d/ann.yaml": ANN}
    commit(bare, files)
    await read(catalog, bare.path, tmp_path, pattern="**/catalog-info.yaml")
    assert await catalog.refs() == [A]
    with pytest.raises(SourceError, match=r"no YAML file in it matches \*/x.yaml"):
        await read(catalog, bare.path, tmp_path, pattern="*/x.yaml")


async def test_a_working_copy_is_read_as_it_is_and_claims_no_commit_for_what_is_not_in_it(
    catalog: Catalog, working: Repo, tmp_path: Path
) -> None:
    root = Path(working.path)
    committed: Files = {
        "a.yaml": component("a"),
        "b.yaml": component("b"),
        "gone.yaml": component("c"),
        "ann.yaml": ANN,
    }
    head = commit(working, committed)
    commit(working, {"c.yaml": component("c")}, branch="other")
    (root / "a.yaml").write_text(component("a"))
    (root / "ann.yaml").write_text(ANN)
    (root / "b.yaml").write_text(component("b", system="play"))
    (root / "new.yaml").write_text(component("new"))
    (root / ".git/hidden.yaml").write_text(component("hidden"))

    await read(catalog, working.path, tmp_path)

    new = ("component:default/new", "new.yaml", None)
    assert await origins(catalog) == [(A, "a.yaml", head), (B, "b.yaml", None), new, (ANN_REF, "ann.yaml", head)]
    assert await runs(catalog) == [head]
    await read(catalog, working.path, tmp_path, branch="other")
    assert await catalog.refs() == [C], "a branch that is named is read as it is committed"


async def test_a_working_copy_without_a_commit_is_read(catalog: Catalog, working: Repo, tmp_path: Path) -> None:
    (Path(working.path) / "ann.yaml").write_text(ANN)
    await read(catalog, working.path, tmp_path)
    assert await origins(catalog) == [(ANN_REF, "ann.yaml", None)]


async def test_links_are_followed_inside_the_repository_and_not_out_of_it(
    catalog: Catalog, bare: Repo, tmp_path: Path
) -> None:
    (tmp_path / "secret.yaml").write_text(component("secret"))
    commit(
        bare,
        {
            "d/a.yaml": component("a", **{"x-text": "{$text: ../to-texts/t.txt}"}),
            "ann.yaml": ANN,
            "link.yaml": (LINK, "d/a.yaml"),
            "d/up.yaml": (LINK, ".././/./d/../link.yaml"),
            "texts/t.txt": "hello",
            "to-texts": (LINK, "texts"),
            "to-d": (LINK, "d/"),
            "out.yaml": (LINK, "../secret.yaml"),
            "absolute.yaml": (LINK, str(tmp_path / "secret.yaml")),
            "nowhere.yaml": (LINK, "gone.yaml"),
            "loop.yaml": (LINK, "loop.yaml"),
            "module.yaml": (SUBMODULE, "a" * 40),
            "module": (SUBMODULE, "b" * 40),
            "in-module.yaml": (LINK, "module/a.yaml"),
        },
    )
    await read(catalog, bare.path, tmp_path)
    assert await catalog.refs() == [A, ANN_REF]
    assert await catalog.rows("SELECT location FROM entity ORDER BY ref") == ["d/a.yaml", "ann.yaml"]
    assert await catalog.rows("SELECT location, rule, message FROM problem ORDER BY location") == [
        ("absolute.yaml", "file-outside-root", "the link leads out of the source's root, and is not followed"),
        ("in-module.yaml", "file-unreadable", "it cannot be read: it is a submodule, which is not read"),
        ("loop.yaml", "file-unreadable", "it cannot be read: Too many levels of symbolic links"),
        ("nowhere.yaml", "file-unreadable", "it cannot be read: there is no such file"),
        ("out.yaml", "file-outside-root", "the link leads out of the source's root, and is not followed"),
    ]


async def test_a_location_leads_to_files_of_the_commit_and_to_listed_pages(
    catalog: Catalog, bare: Repo, tmp_path: Path, site: Site
) -> None:
    page = site.write("/c.yaml", component("c"), ANN.replace("ann", "mallory"))
    targets = location("../teams/*/a.yaml", "file:./b.yaml", "/etc/passwd", "../..", "../teams", page)
    commit(bare, {"x/all.yaml": targets, "x/b.yaml": component("b"), "teams/one/a.yaml": component("a"), "z.yaml": ANN})
    await read(catalog, bare.path, tmp_path, pattern="x/all.yaml", hosts=(site.host,))
    assert await catalog.refs() == [A, B, C, "location:default/all"]
    assert await catalog.rows("SELECT message FROM problem WHERE rule = 'location-target' ORDER BY field") == [
        "/etc/passwd is not followed: it is outside the source's root",
        "../.. is not followed: it is outside the source's root",
        "../teams is not followed: it is a folder; a glob such as ../teams/**/*.yaml names the files in it",
    ]


@pytest.mark.parametrize(
    ("make", "options", "reason"),
    [
        ("nothing", {}, "there is no such folder"),
        ("folder", {}, "it is no git repository, or a damaged one"),
        ("bare", {}, "it has no commit"),
        ("bare", {"branch": "gone"}, "it has no branch gone"),
        ("bare", {"branch": "../../HEAD"}, "it has no branch ../../HEAD"),
        ("working", {"branch": "gone"}, "it has no branch gone"),
    ],
)
async def test_a_repository_that_is_not_there_says_so(
    catalog: Catalog, tmp_path: Path, make: str, options: dict[str, str], reason: str
) -> None:
    place = tmp_path / "repository"
    if make != "nothing":
        place.mkdir()
    if make in {"bare", "working"}:
        (Repo.init_bare if make == "bare" else Repo.init)(str(place)).close()
    with pytest.raises(SourceError, match=re.escape(f"{place}: {reason}")):
        await read(catalog, str(place), tmp_path, **options)
    assert await catalog.rows("SELECT state FROM source") == ["FAILED"]


@pytest.mark.parametrize(
    "place", ["git@example.com:o/r.git", "ssh://git@example.com/r", "git://example.com/r", "file:///r"]
)
async def test_ssh_is_refused_in_plain_words(tmp_path: Path, place: str) -> None:
    with pytest.raises(SourceError, match="a repository is read from a path or over https, not over ssh"):
        source(place, tmp_path).open(ExitStack())


def spoil(file: Path) -> None:
    file.chmod(0o600)
    file.write_bytes(os.urandom(file.stat().st_size))


async def test_a_damaged_object_fails_the_run_and_loses_nothing(catalog: Catalog, bare: Repo, tmp_path: Path) -> None:
    commit(bare, {"a.yaml": component("a"), "ann.yaml": ANN})
    await read(catalog, bare.path, tmp_path)
    commit(bare, {"a.yaml": component("a", system="play"), "ann.yaml": ANN})
    blob = Blob.from_string(component("a", system="play").encode()).id.decode()
    spoil(Path(bare.path, "objects", blob[:2], blob[2:]))
    with pytest.raises(SourceError, match=f"its object {blob} is missing or damaged"):
        await read(catalog, bare.path, tmp_path)
    assert (await catalog.refs(), await catalog.rows("SELECT state FROM source")) == ([A, ANN_REF], ["FAILED"])


def test_names_that_no_file_system_holds_lead_nowhere(bare: Repo, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("secret")
    blob = Blob.from_string(b"inside")
    bare.object_store.add_object(blob)
    hostile = Tree()
    for name in (b"..", b"../../secret.yaml", b"ok.yaml", b"\xff.yaml"):
        hostile[name] = (0o100644, blob.id)
    bare.object_store.add_object(hostile)
    made = Commit.from_string(b"tree " + hostile.id + b"\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx")
    bare.object_store.add_object(made)
    bare.refs[Ref(b"refs/heads/main")] = made.id
    with ExitStack() as opened:
        tree = source(bare.path, tmp_path).open(opened)
        assert sorted(found.path for found in tree.find()) == ["ok.yaml", "\udcff.yaml"]
        for path in ("../../secret.yaml", "..", str(tmp_path / "secret.yaml")):
            with pytest.raises(UnreadableError):
                tree.read(tree.real(path))


class Asked(NamedTuple):
    path: str
    authorization: str
    body: bytes


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def git_server(repository: Repo) -> Iterator[tuple[str, list[Asked]]]:
    """The URL of a repository, and the requests that are made."""
    asked: list[Asked] = []
    serve = make_wsgi_chain(DictBackend(dict[str, BackendRepo]({"/r.git": repository})))

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        asked.append(Asked(environ["PATH_INFO"], environ.get("HTTP_AUTHORIZATION", ""), body))
        return serve({**environ, "wsgi.input": BytesIO(body)}, start_response)

    with make_server("127.0.0.1", 0, app, WSGIServer, _Quiet) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/r.git", asked
        finally:
            server.shutdown()
            thread.join()


def host_of(url: str, **options: Any) -> Host:
    return Host(url.split("/")[2], private=True, **options)


async def test_a_repository_behind_a_url_is_cloned_once_and_then_fetched(
    catalog: Catalog, bare: Repo, tmp_path: Path
) -> None:
    commit(bare, {"old.txt": "old", "a.yaml": component("a"), "ann.yaml": ANN})
    first = commit(bare, {"a.yaml": component("a"), "ann.yaml": ANN})
    with git_server(bare) as (url, asked):
        hosts = (host_of(url),)
        await read(catalog, url, tmp_path, hosts=hosts)
        [clone] = (tmp_path / "clones").glob("*.git")
        with Repo(str(clone)) as repository:
            assert Blob.from_string(b"old").id not in repository.object_store, "history is not fetched"
        posted = [each.body for each in asked if each.path.endswith("upload-pack")]

        await read(catalog, url, tmp_path, hosts=hosts)
        assert [each.body for each in asked if each.path.endswith("upload-pack")] == posted, "there was nothing new"

        second = commit(bare, {"a.yaml": component("a"), "b.yaml": component("b"), "ann.yaml": ANN})
        await read(catalog, url, tmp_path, hosts=hosts)
    assert await origins(catalog) == [(A, "a.yaml", first), (B, "b.yaml", second), (ANN_REF, "ann.yaml", first)]
    assert await runs(catalog) == [first, first, second]
    assert f"have {first}".encode() in asked[-1].body, "only what is new is fetched"
    assert len(list((tmp_path / "clones").glob("*.git"))) == 1


async def test_a_branch_that_was_rewritten_is_read_as_it_is_now(catalog: Catalog, bare: Repo, tmp_path: Path) -> None:
    commit(bare, {"a.yaml": component("a"), "ann.yaml": ANN})
    with git_server(bare) as (url, _):
        await read(catalog, url, tmp_path, hosts=(host_of(url),), branch="main")
        del bare.refs[Ref(b"refs/heads/main")]
        commit(bare, {"b.yaml": component("b"), "ann.yaml": ANN})
        await read(catalog, url, tmp_path, hosts=(host_of(url),), branch="main")
        assert await catalog.refs() == [B, ANN_REF]
        with pytest.raises(SourceError, match="it has no branch gone"):
            await read(catalog, url, tmp_path, hosts=(host_of(url),), branch="gone")
    assert await catalog.refs() == [B, ANN_REF]


async def test_a_host_that_is_down_or_no_repository_fails_the_run_and_loses_nothing(
    catalog: Catalog, bare: Repo, tmp_path: Path, site: Site
) -> None:
    commit(bare, {"a.yaml": component("a"), "ann.yaml": ANN})
    with git_server(bare) as (url, _):
        hosts = (host_of(url), site.host)
        await read(catalog, url, tmp_path, hosts=hosts)
    with pytest.raises(SourceError, match="Connection refused"):
        await read(catalog, url, tmp_path, hosts=hosts)
    site.pages["/r/info/refs?service=git-upload-pack"] = Reply(b"<html>", headers={"Content-Type": "text/html"})
    with pytest.raises(SourceError, match=r"no git repository answers there"):
        await read(catalog, site.url("/r"), tmp_path, hosts=hosts)
    site.pages["/r/info/refs?service=git-upload-pack"] = Reply(
        b"001e# service=git-upload-pack\n0000zzzz",
        headers={"Content-Type": "application/x-git-upload-pack-advertisement"},
    )
    with pytest.raises(SourceError, match=re.escape(f"{site.url('/r')}: it cannot be fetched")):
        await read(catalog, site.url("/r"), tmp_path, hosts=hosts)
    assert await catalog.refs() == [A, ANN_REF]


async def test_a_repository_is_fetched_from_listed_hosts_and_checked_addresses_only(
    bare: Repo, tmp_path: Path, site: Site
) -> None:
    commit(bare, {"a.yaml": component("a")})
    site.redirect("/r/info/refs?service=git-upload-pack", "http://169.254.169.254/info/refs?service=git-upload-pack")
    with git_server(bare) as (url, asked):
        for address, hosts, reason in (
            (url, (), "is not on the list of hosts that may be read"),
            (url, (Host(url.split("/")[2]),), "which may not be read"),
            (site.url("/r"), (site.host,), "169.254.169.254 is not on the list"),
        ):
            with ExitStack() as opened, pytest.raises(SourceError, match=reason):
                source(address, tmp_path, hosts=hosts).open(opened)
    assert asked == []


async def test_a_token_is_the_password_of_git(catalog: Catalog, bare: Repo, tmp_path: Path) -> None:
    commit(bare, {"ann.yaml": ANN})
    with git_server(bare) as (url, asked):
        await read(catalog, url, tmp_path, hosts=(host_of(url, token=SecretStr("secret")),))
        sent = {base64.b64decode(each.authorization.removeprefix("Basic ")).decode() for each in asked}
    assert sent == {"x-access-token:secret"}


@pytest.mark.parametrize("damage", ["object", "config", "killed while it was made"])
async def test_a_clone_that_is_damaged_is_made_anew(catalog: Catalog, bare: Repo, tmp_path: Path, damage: str) -> None:
    commit(bare, {"a.yaml": component("a"), "ann.yaml": ANN})
    with git_server(bare) as (url, _):
        await read(catalog, url, tmp_path, hosts=(host_of(url),))
        [clone] = (tmp_path / "clones").glob("*.git")
        if damage == "object":
            [pack] = clone.glob("objects/pack/*.pack")
            spoil(pack)
            with pytest.raises(SourceError):
                await read(catalog, url, tmp_path, hosts=(host_of(url),))
        elif damage == "config":
            (clone / "config").write_text("[core\n")
        else:
            (clone / "refs").rename(clone / "not-yet")
        await read(catalog, url, tmp_path, hosts=(host_of(url),))
    assert await catalog.refs() == [A, ANN_REF]
    assert await catalog.rows("SELECT state FROM source") == ["IDLE"]


async def test_a_repository_that_nobody_vouches_for_declares_nobody(
    catalog: Catalog, bare: Repo, tmp_path: Path
) -> None:
    commit(bare, {"a.yaml": component("a"), "ann.yaml": ANN})
    await read(catalog, bare.path, tmp_path, trusted=False, kinds=UNTRUSTED)
    assert await catalog.refs() == [A]


async def test_a_clone_does_not_grow_with_each_fetch(
    catalog: Catalog, bare: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.ingest.clone._MAX_PACKS", 2)
    packs: list[int] = []
    with git_server(bare) as (url, _):
        for n in range(5):
            commit(bare, {"a.yaml": component("a", system=f"n{n}"), "ann.yaml": ANN})
            await read(catalog, url, tmp_path, hosts=(host_of(url),))
            packs.append(len(list((tmp_path / "clones").glob("*.git/objects/pack/*.pack"))))
    assert packs == [1, 2, 3, 1, 2]
    assert await catalog.rows(
        "SELECT spec->>'system' FROM document JOIN entity e ON e.id = entity_id WHERE ref = :a", a=A
    ) == ["n4"]


async def test_a_clone_is_not_shared_with_another_process(bare: Repo, tmp_path: Path) -> None:
    commit(bare, {"ann.yaml": ANN})
    with git_server(bare) as (url, _), ExitStack() as opened, ExitStack() as other:
        source(url, tmp_path, hosts=(host_of(url),)).open(opened)
        with pytest.raises(SourceError, match="another process reads this clone"):
            source(url, tmp_path, hosts=(host_of(url),)).open(other)
