"""Pages of the web as files of a catalog: a source's own, and those that Locations point to."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import SecretStr

from api.ingest.errors import SourceError
from api.ingest.files import FileSource
from api.ingest.locations import MAX_HOPS
from api.ingest.run import Report, ingest
from api.ingest.url import UrlSource, host_read_for, raw_url
from api.ingest.web import Host
from db.rules.allowed import AllowedKinds
from tests.ingesting import ANN, Catalog, Tree, component, location
from tests.pages import Reply, Site

pytestmark = pytest.mark.anyio

A, B, C, ALL, ANN_REF = (
    *(f"component:default/{name}" for name in "abc"),
    "location:default/all",
    "user:default/ann",
)


async def read(catalog: Catalog, url: str, *hosts: Host, **options: Any) -> Report:
    return await ingest(catalog.engine, UrlSource(name="pages", url=url, hosts=hosts, **options), allow_removals=True)


async def read_folder(catalog: Catalog, tree: Tree, *hosts: Host) -> Report:
    return await ingest(catalog.engine, FileSource.at(str(tree.root), hosts=hosts), allow_removals=True)


async def test_a_page_leads_to_pages_beside_it(catalog: Catalog, site: Site) -> None:
    url = site.write("/team/catalog-info.yaml", location("./a.yaml", "../b.yaml", "/c.yaml", "gone.yaml"), ANN)
    site.write("/team/a.yaml", component("a", **{"x-text": "{$text: ./texts/a.txt}"}))
    site.pages["/team/texts/a.txt"] = Reply(b"hello")
    for name in "bc":
        site.write(f"/{name}.yaml", component(name))

    report = await read(catalog, url, site.host)

    assert report.counts.entities == 5
    assert await catalog.rows("SELECT ref, location, commit FROM entity ORDER BY ref") == [
        (A, site.url("/team/a.yaml"), None),
        (B, site.url("/b.yaml"), None),
        (C, site.url("/c.yaml"), None),
        (ALL, url, None),
        (ANN_REF, url, None),
    ]
    assert await catalog.rows(
        "SELECT spec->>'x-text' FROM document d JOIN entity e ON e.id = entity_id WHERE ref = :a", a=A
    ) == ["hello"]
    gone = site.url("/team/gone.yaml")
    assert await catalog.rows("SELECT rule, location, message FROM problem") == [
        ("file-unreadable", gone, f"it cannot be read: {gone}: it answers 404")
    ]


async def test_a_page_that_has_not_changed_is_not_parsed_again(
    catalog: Catalog, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = site.write("/a.yaml", component("a", **{"x-text": "{$text: ./a.txt}"}), ANN)
    site.pages["/a.txt"] = Reply(b"one")
    await read(catalog, url, site.host)
    monkeypatch.setattr("db.rules.descriptors.read", lambda *_a, **_k: pytest.fail("it was parsed"))
    assert (await read(catalog, url, site.host)).counts.unchanged == 2
    site.pages["/a.txt"] = Reply(b"two")
    with pytest.raises(pytest.fail.Exception, match="it was parsed"):
        await read(catalog, url, site.host)


async def test_a_file_leads_to_a_page_only_where_its_host_is_listed(catalog: Catalog, tree: Tree, site: Site) -> None:
    tree.write("all.yaml", location(site.write("/a.yaml", component("a"))))
    await read_folder(catalog, tree)
    assert (await catalog.refs(), site.requests) == ([ALL, ANN_REF], [])
    assert await catalog.rows("SELECT rule, message FROM problem") == [
        (
            "location-target",
            f"{site.url('/a.yaml')} is not followed: 127.0.0.1:{site.port} is not on the list of hosts that may be read",
        )
    ]
    await read_folder(catalog, tree, site.host)
    assert await catalog.refs() == [A, ALL, ANN_REF]
    await read_folder(catalog, tree)
    assert await catalog.refs() == [ALL, ANN_REF], "what may not be read any more is not declared any more"


async def test_a_page_outside_the_root_declares_nobody(catalog: Catalog, site: Site) -> None:
    mallory = ANN.replace("ann", "mallory")
    url = site.write("/home/all.yaml", location("bob.yaml", "/else/mallory.yaml"))
    site.write("/home/bob.yaml", ANN.replace("ann", "bob"))
    site.write("/else/mallory.yaml", mallory, component("a"))
    await read(catalog, url, site.host)
    assert await catalog.refs() == [A, ALL, "user:default/bob"]
    assert ("kind-not-allowed", site.url("/else/mallory.yaml"), 2) in await catalog.problems()


async def test_a_page_that_a_file_leads_to_declares_nobody(catalog: Catalog, tree: Tree, site: Site) -> None:
    mallory = ANN.replace("ann", "mallory")
    tree.write("all.yaml", location(site.write("/mallory.yaml", mallory, component("a"))))
    await read_folder(catalog, tree, site.host)
    assert await catalog.refs() == [A, ALL, ANN_REF]


async def test_the_kinds_of_the_source_bind_its_pages_too(catalog: Catalog, site: Site) -> None:
    url = site.write("/all.yaml", location("/else/a.yaml"))
    site.write("/else/a.yaml", component("a"))
    await read(catalog, url, site.host, kinds=AllowedKinds.of(["location", "user"]))
    assert await catalog.refs() == [ALL]


@pytest.mark.parametrize("broken", [Reply(status=500), Reply(status=404), Reply(b"kind: ["), "gone"])
async def test_a_page_that_cannot_be_had_keeps_what_it_gave_and_where_it_led(
    catalog: Catalog, tree: Tree, site: Site, broken: Reply | str
) -> None:
    tree.write("all.yaml", location(site.write("/more.yaml", location("a.yaml", name="more"), component("b"))))
    site.write("/a.yaml", component("a"))
    await read_folder(catalog, tree, site.host)
    before = await catalog.refs()
    assert before == [A, B, ALL, "location:default/more", ANN_REF]
    if isinstance(broken, Reply):
        site.pages["/more.yaml"] = broken
    else:
        site.redirect("/more.yaml", "http://elsewhere.example/")

    report = await read_folder(catalog, tree, site.host)

    assert (await catalog.refs(), report.counts.removed) == (before, 0)
    [(rule, place, _)] = await catalog.problems()
    assert (rule in {"file-unreadable", "yaml-syntax"}, place) == (True, site.url("/more.yaml"))


async def test_a_page_that_may_be_missing_takes_its_entities_with_it(catalog: Catalog, tree: Tree, site: Site) -> None:
    tree.write("all.yaml", location(site.write("/a.yaml", component("a")), presence="optional"))
    await read_folder(catalog, tree, site.host)
    site.pages["/a.yaml"] = Reply(status=500)
    await read_folder(catalog, tree, site.host)
    assert await catalog.refs() == [A, ALL, ANN_REF]
    del site.pages["/a.yaml"]
    await read_folder(catalog, tree, site.host)
    assert (await catalog.refs(), await catalog.problems()) == ([ALL, ANN_REF], [])


async def test_a_source_whose_own_page_is_gone_fails_and_loses_nothing(catalog: Catalog, site: Site) -> None:
    url = site.write("/a.yaml", component("a"), ANN)
    await read(catalog, url, site.host)
    del site.pages["/a.yaml"]
    with pytest.raises(SourceError, match=re.escape(f"{url}: it answers 404")):
        await read(catalog, url, site.host)
    assert await catalog.refs() == [A, ANN_REF]
    assert await catalog.rows("SELECT state FROM source") == ["FAILED"]
    assert await catalog.rows("SELECT error FROM source_run ORDER BY id DESC LIMIT 1") == [f"{url}: it answers 404"]


async def test_locations_in_a_circle_are_read_once(catalog: Catalog, site: Site) -> None:
    url = site.write("/all.yaml", location("b.yaml", "./b.yaml", "b.yaml#part", "all.yaml"))
    site.write("/b.yaml", location(url, name="back"))
    await read(catalog, url, site.host)
    assert (site.asked(), await catalog.problems()) == (["/all.yaml", "/b.yaml"], [])


async def test_a_chain_of_locations_ends_after_ten(catalog: Catalog, site: Site) -> None:
    for n in range(MAX_HOPS + 3):
        site.write(f"/{n}.yaml", location(f"{n + 1}.yaml", name=f"n{n}"))
    await read(catalog, site.url("/0.yaml"), site.host)
    assert site.asked() == [f"/{n}.yaml" for n in range(11)]
    assert await catalog.rows("SELECT rule, location, message FROM problem") == [
        (
            "location-target",
            site.url("/10.yaml"),
            "11.yaml is not followed: more than 10 Locations lead to it, one to the next",
        )
    ]


async def test_the_shortest_way_to_a_page_counts(catalog: Catalog, site: Site) -> None:
    for n in range(1, MAX_HOPS + 2):
        site.write(f"/{n}.yaml", location(f"{n + 1}.yaml", name=f"n{n}"))
    site.write("/short.yaml", location("5.yaml", name="short"))
    url = site.write("/0.yaml", location("short.yaml", "1.yaml", name="n0"))
    site.write(f"/{MAX_HOPS + 2}.yaml", component("a"), ANN)
    await read(catalog, url, site.host)
    assert A in await catalog.refs()


async def test_a_page_includes_nothing_of_another_host_or_through_a_file(
    catalog: Catalog, tree: Tree, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.ingest.web.resolve", lambda _host, _port: ["127.0.0.1"])
    site.pages["/secret"] = Reply(b"secret")
    inside = Host(f"inside.example:{site.port}", private=True, token=SecretStr("token"))
    steal = f"{{$text: 'http://{inside.name}/secret'}}"
    tree.write("a.yaml", component("a", **{"x-text": steal}))
    tree.write("all.yaml", location(site.write("/b.yaml", component("b", **{"x-text": steal}))))
    await read_folder(catalog, tree, site.host, inside)
    assert await catalog.refs() == [ALL, ANN_REF]
    assert site.asked() == ["/b.yaml"]
    reasons = "SELECT message FROM problem WHERE rule = 'placeholder-unreadable' ORDER BY location"
    assert [message.partition("cannot be read: ")[2] for message in await catalog.rows(reasons)] == [
        "only files of the source are read, no URLs",
        f"a page includes only what is below {site.url('/')}",
    ]


async def test_a_page_inside_the_root_does_not_speak_for_one_outside(catalog: Catalog, site: Site) -> None:
    url = site.write("/home/all.yaml", location("bob.yaml"))
    site.redirect("/home/bob.yaml", site.write("/else/mallory.yaml", ANN))
    await read(catalog, url, site.host)
    assert await catalog.refs() == [ALL]
    [message] = await catalog.rows("SELECT message FROM problem")
    assert (
        message
        == f"it cannot be read: it redirects to {site.url('/else/mallory.yaml')}, which is outside the source's root"
    )


async def test_a_host_that_is_down_is_not_asked_for_each_page(
    catalog: Catalog, tree: Tree, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        raise OSError

    monkeypatch.setattr("api.ingest.web.resolve", resolve)
    tree.write(
        "all.yaml",
        location(*(f"http://down.example/{n}.yaml" for n in range(9)), site.write("/a.yaml", component("a"))),
    )
    await read_folder(catalog, tree, Host("down.example"))
    assert (len(asked), len(await catalog.problems())) == (3, 10)


async def test_a_path_out_of_the_root_and_other_schemes_stay_refused(catalog: Catalog, tree: Tree, site: Site) -> None:
    tree.write("../secret.yaml", component("b"))
    url = site.write("/all.yaml", location("ftp://127.0.0.1/a.yaml", "file:///etc/passwd", "http://u:p@127.0.0.1/"))
    tree.write("all.yaml", location("../secret.yaml", url, name="more"))
    await read_folder(catalog, tree, site.host)
    assert await catalog.rows("SELECT message FROM problem ORDER BY location, field") == [
        "../secret.yaml is not followed: it is outside the source's root",
        "ftp://127.0.0.1/a.yaml is not followed: only http and https are read",
        "file:///etc/passwd is not followed: only http and https are read",
        "http://u:p@127.0.0.1/ is not followed: a URL must not hold a user name or password; a host's token is set where hosts are listed",
    ]


@pytest.mark.parametrize(
    ("page", "raw"),
    [
        ("https://github.com/o/r/blob/main/d/a.yaml", "https://raw.githubusercontent.com/o/r/main/d/a.yaml"),
        ("https://github.com/o/r/raw/main/a.yaml", "https://raw.githubusercontent.com/o/r/main/a.yaml"),
        ("https://gitlab.com/g/s/p/-/blob/main/a.yaml", "https://gitlab.com/g/s/p/-/raw/main/a.yaml"),
        ("https://git.example.com:8443/g/p/-/blob/x/a", "https://git.example.com:8443/g/p/-/raw/x/a"),
        ("https://bitbucket.org/o/r/src/main/a.yaml", "https://api.bitbucket.org/2.0/repositories/o/r/src/main/a.yaml"),
        ("https://github.com/o/r", "https://github.com/o/r"),
        ("https://other.example/o/r/blob/main/a.yaml", "https://other.example/o/r/blob/main/a.yaml"),
    ],
)
def test_the_page_of_a_file_stands_for_the_file(page: str, raw: str) -> None:
    assert raw_url(page) == raw
    assert host_read_for(page) == raw.split("/")[2]


async def test_a_page_of_a_repository_names_the_host_to_list(catalog: Catalog, tree: Tree) -> None:
    tree.write("all.yaml", location("https://github.com/o/r/blob/main/a.yaml"))
    await read_folder(catalog, tree, Host("github.com"))
    [message] = await catalog.rows("SELECT message FROM problem")
    assert message == (
        "https://github.com/o/r/blob/main/a.yaml is not followed: https://raw.githubusercontent.com/o/r/main/a.yaml:"
        " raw.githubusercontent.com is not on the list of hosts that may be read"
    )
