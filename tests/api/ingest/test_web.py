"""Reading the web: from listed hosts only, at addresses that were checked, and never without a bound."""

from __future__ import annotations

import gzip
import time
import zlib
from http.server import BaseHTTPRequestHandler
from threading import Event, Thread

import pytest
from pydantic import SecretStr

from api.ingest.web import Host, Page, Place, Web, WebError, host_of, is_allowed
from tests.pages import Reply, Site


def get(site: Site, url: str, *hosts: Host) -> Page:
    with Web([site.host, *hosts]) as web:
        return web.get(url)


def refusal(site: Site, url: str, *hosts: Host) -> str:
    with pytest.raises(WebError) as refused:
        get(site, url, *hosts)
    return str(refused.value)


def lead_to(monkeypatch: pytest.MonkeyPatch, **addresses: list[str]) -> list[str]:
    """Let names lead to addresses; returns the names that are looked up, as they are."""
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return addresses.get(host.partition(".")[0], [host])

    monkeypatch.setattr("api.ingest.web.resolve", resolve)
    return asked


def test_a_page_is_read_and_says_how_to_ask_for_it_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    site.pages["/a?x=1&y=%C3%A4"] = Reply(b"hello", headers={"ETag": '"1"'})
    with Web([site.host]) as web:
        page = web.get(site.url("/a?x=1#part"), params={"y": "ä"})
    assert (page.content, page.etag, page.url) == (b"hello", '"1"', site.url("/a?x=1&y=%C3%A4"))
    assert site.requests[0].headers["host"] == f"127.0.0.1:{site.port}"


def test_a_conditional_request_may_have_nothing_new(site: Site) -> None:
    site.pages["/a"] = Reply(status=304)
    with Web([site.host]) as web:
        page = web.get(site.url("/a"), headers={"If-None-Match": '"1"'})
    assert (page.status, page.content) == (304, b"")
    assert site.requests[0].headers["if-none-match"] == '"1"'


def test_a_value_is_posted_as_json(site: Site) -> None:
    site.pages["/a"] = Reply(b"{}")
    site.redirect("/b", site.url("/a"))
    with Web([site.host]) as web:
        web.post(site.url("/a"), {"refs": ["a"]})
        with pytest.raises(WebError, match="it redirects, which only a page may"):
            web.post(site.url("/b"), {})
    assert [(r.method, r.path, r.body) for r in site.requests] == [
        ("POST", "/a", b'{"refs":["a"]}'),
        ("POST", "/b", b"{}"),
    ]


def test_an_answer_that_is_no_page_says_its_status_and_nothing_of_a_secret(site: Site) -> None:
    site.pages["/a?token=secret"] = Reply(status=429, headers={"Retry-After": "7"})
    with Web([site.host]) as web, pytest.raises(WebError) as refused:
        web.get(site.url("/a?token=secret"))
    assert (refused.value.status, refused.value.retry_after) == (429, "7")
    assert str(refused.value) == f"{site.url('/a')}?…: it answers 429"


def test_five_redirects_are_followed_and_a_circle_is_not(site: Site) -> None:
    for n in range(5):
        site.redirect(f"/{n}", f"/{n + 1}")
    site.pages["/5"] = Reply(b"there")
    assert get(site, site.url("/0")).url == site.url("/5")
    site.redirect("/5", "/0")
    assert refusal(site, site.url("/0")) == f"{site.url('/0')}: it redirects more than 5 times"


def test_a_host_that_is_not_listed_is_not_asked(site: Site) -> None:
    site.pages["/a"] = Reply(b"secret")
    hosts = [Host("127.0.0.1:1", private=True), Host("127.0.0.1", private=True)]
    with Web(hosts) as web, pytest.raises(WebError, match=f"127.0.0.1:{site.port} is not on the list of hosts"):
        web.get(site.url("/a"))
    reason = "127.0.0.1 leads to 127.0.0.1, which may not be read; a host may be listed as private, if that is meant"
    with Web([Host(f"127.0.0.1:{site.port}")]) as web, pytest.raises(WebError, match=reason):
        web.get(site.url("/a"))
    assert site.requests == []


@pytest.mark.parametrize(
    ("target", "listed", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data", None, "169.254.169.254 is not on the list"),
        ("http://169.254.169.254/", ("169.254.169.254", False), "leads to 169.254.169.254, which may not be read"),
        ("http://169.254.169.254/", ("169.254.169.254", True), "169.254.169.254, which may not be read"),
        ("http://loop.example:{port}/secret", ("loop.example:{port}", False), "loop.example leads to 127.0.0.1, which"),
        ("http://both.example:{port}/secret", ("both.example:{port}", False), "both.example leads to 127.0.0.1, which"),
        ("http://[::ffff:127.0.0.1]:{port}/secret", ("[::ffff:127.0.0.1]:{port}", False), "which may not be read"),
        ("http://user@127.0.0.1:{port}/secret", None, "a URL must not hold a user name or password"),
        ("file:///etc/passwd", None, "only http and https are read"),
        ("//169.254.169.254/", None, "169.254.169.254 is not on the list"),
    ],
)
def test_a_redirect_does_not_lead_inside(
    site: Site, monkeypatch: pytest.MonkeyPatch, target: str, listed: tuple[str, bool] | None, reason: str
) -> None:
    lead_to(monkeypatch, loop=["127.0.0.1"], both=["93.184.215.14", "127.0.0.1"])
    port = str(site.port)
    site.pages["/secret"] = Reply(b"secret")
    site.redirect("/a", target.replace("{port}", port))
    hosts = [Host(listed[0].replace("{port}", port), private=listed[1])] if listed else []
    assert reason in refusal(site, site.url("/a"), *hosts)
    assert site.asked() == ["/a"]


@pytest.mark.parametrize("name", ["localhost", "2130706433", "127.1", "0x7f000001", "0177.0.0.1", "0"])
def test_no_spelling_of_this_machine_is_read(site: Site, name: str) -> None:
    assert "which may not be read" in refusal(site, site.url("/", name), Host(f"{name}:{site.port}"))
    assert site.requests == []


def test_the_connection_goes_to_the_address_that_was_checked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = lead_to(monkeypatch, elsewhere=["127.0.0.1"])
    site.pages["/a"] = Reply(b"here")
    page = get(site, site.url("/a", "elsewhere.example"), Host(f"elsewhere.example:{site.port}", private=True))
    assert (page.content, asked) == (b"here", ["elsewhere.example"])
    assert site.requests[0].headers["host"] == f"elsewhere.example:{site.port}"


def test_a_name_with_several_addresses_is_read_where_one_answers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(monkeypatch, several=["127.0.0.3", "127.0.0.1"], none=["127.0.0.3"])
    site.pages["/a"] = Reply(b"here")
    hosts = [Host(f"{name}.example:{site.port}", private=True) for name in ("several", "none")]
    assert get(site, site.url("/a", "several.example"), *hosts).content == b"here"
    assert "Connection refused" in refusal(site, site.url("/a", "none.example"), *hosts)


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.215.14", True, True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True, True),
        ("64:ff9b::5db8:d70e", True, True),  # 93.184.215.14, by way of NAT64
        ("10.0.0.1", False, True),
        ("100.64.0.1", False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("fc00::1", False, True),
        ("fec0::1", False, True),
        ("::ffff:10.0.0.1", False, True),
        ("::127.0.0.1", False, True),
        ("64:ff9b::7f00:1", False, True),
        ("2002:7f00:1::", False, True),  # 6to4
        ("2001:0:5db8:d70e::1", False, True),  # Teredo
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("2002:a9fe:a9fe::", False, False),
        ("fe80::1%eth0", False, False),
        ("0.0.0.0", False, False),  # noqa: S104
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("255.255.255.255", False, True),
    ],
)
def test_only_public_addresses_are_read_and_of_private_hosts_private_ones(
    address: str, *, public: bool, private: bool
) -> None:
    assert (is_allowed(address, private=False), is_allowed(address, private=True)) == (public, private)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/x",
        "//a.example/x",
        "a.yaml",
        "http://",
        "http:///x",
        "http://a.example:99999/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://a.example\\@b.example/",
        "http://a.example\n.b.example/",
        "http://a.example /",
        "http://ä.example/",
        "http://-a.example/",
        "http://user:secret@a.example/",
        "http://a.example/x/../../y",
        "http://a.example/x/%2e%2E/y",
        "http://a.example/x/..%2f..%2fy",
        "http://a.example/x\r\nHost: b.example/",
    ],
)
def test_a_url_that_looks_like_another_one_is_refused(url: str) -> None:
    with pytest.raises(WebError) as refused:
        Place.of(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "one_form"),
    [
        ("HTTPS://A.Example:443", "https://a.example/"),
        ("http://a.example:443/x?q=a b#c", "http://a.example:443/x?q=a%20b"),
        ("http://a.example/ä/%20//b", "http://a.example/%C3%A4/%20//b"),
        ("http://[::1]:80/", "http://[::1]/"),
    ],
)
def test_a_url_has_one_form(url: str, one_form: str) -> None:
    assert Place.of(url).url == one_form


def test_a_host_is_a_name_and_perhaps_a_port() -> None:
    assert [host_of(f"http://{name}/x") for name in ("a.example", "a.example:7007", "[::1]:7007")] == [
        "a.example",
        "a.example:7007",
        "[::1]:7007",
    ]
    for name in ("", "https://a.example", "a.example/x", "user@a.example", "*.example", "a.example:x", "A.example:"):
        with pytest.raises(ValueError, match="is no host"):
            Host(name)


def test_a_token_goes_to_its_own_host_and_no_further(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(monkeypatch, other=["127.0.0.1"])
    other = Host(f"other.example:{site.port}", private=True)
    site.redirect("/a", site.url("/b", "other.example"))
    site.pages["/b"] = Reply()
    with Web([Host(site.host.name, private=True, token=SecretStr("secret")), other]) as web:
        web.get(site.url("/a"))
        web.get(site.url("/a"), headers={"authorization": "Basic mine"})
    sent = [(request.path, request.headers.get("authorization")) for request in site.requests]
    assert sent == [("/a", "Bearer secret"), ("/b", None), ("/a", "Basic mine"), ("/b", None)]


def test_a_token_is_not_sent_in_the_open(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(monkeypatch, public=["93.184.215.14"])
    reason = refusal(site, "http://public.example/a", Host("public.example", token=SecretStr("secret")))
    assert reason == "http://public.example/a: the token of public.example is sent over https only"


def endless(handler: BaseHTTPRequestHandler) -> None:
    """A page that does not end by itself."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65_536)


def test_a_page_that_is_too_long_is_not_read_to_its_end(site: Site) -> None:
    site.pages["/endless"] = endless
    site.pages["/long"] = Reply(b"x" * 101)
    assert refusal(site, site.url("/endless")) == f"{site.url('/endless')}: it has more than 5,000,000 bytes"
    with Web([site.host]) as web:
        assert len(web.get(site.url("/long"), most=101).content) == 101
        with pytest.raises(WebError, match="it has more than 100 bytes"):
            web.get(site.url("/long"), most=100)


def test_what_is_compressed_is_bounded_by_what_it_becomes(site: Site) -> None:
    compress = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(compress.compress(bytes(1_000_000)) for _ in range(200)) + compress.flush()
    pages = {
        "/bomb": bomb,
        "/small": gzip.compress(b"hello" * 50_000),
        "/cut": gzip.compress(b"hello")[:-1],
        "/no": b"not compressed",
    }
    for path, body in pages.items():
        site.pages[path] = Reply(body, headers={"Content-Encoding": "gzip"})
    site.pages["/other"] = Reply(b"x", headers={"Content-Encoding": "br"})
    assert len(bomb) < 250_000
    assert get(site, site.url("/small")).content == b"hello" * 50_000
    reasons = {path: refusal(site, site.url(path)).partition(": ")[2] for path in ("/bomb", "/cut", "/no", "/other")}
    assert reasons == {
        "/bomb": "it has more than 5,000,000 bytes",
        "/cut": "it ends in the middle",
        "/no": "it is not compressed as it says",
        "/other": "it is compressed with br, which nobody asked for",
    }


def test_a_page_that_breaks_off_is_not_taken_for_whole(site: Site) -> None:
    site.pages["/short"] = Reply(b"half", headers={"Content-Length": "8", "Connection": "close"})
    assert "peer closed connection" in refusal(site, site.url("/short"))


@pytest.mark.parametrize("part", ["headers", "body", "nothing"])
def test_a_byte_now_and_then_does_not_keep_a_page_open(site: Site, part: str) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        if part == "body":
            handler.send_response(200)
            handler.end_headers()
        while not site.closing.wait(0.02):
            if part != "nothing":
                handler.wfile.write(b"x")
                handler.wfile.flush()

    site.pages["/slow"] = drip
    started = time.monotonic()
    with Web([site.host], timeout=0.3) as web, pytest.raises(WebError, match="it takes too long"):
        web.get(site.url("/slow"))
    assert time.monotonic() - started < 5


def test_who_closes_does_not_wait_for_a_page_that_never_comes(site: Site) -> None:
    arrived = Event()

    def silence(_handler: BaseHTTPRequestHandler) -> None:
        arrived.set()
        site.closing.wait(20)

    site.pages["/silent"] = silence
    web = Web([site.host], timeout=20)
    reasons: list[str] = []

    def read() -> None:
        with pytest.raises(WebError) as refused:
            web.get(site.url("/silent"))
        reasons.append(str(refused.value))

    reader = Thread(target=read)
    reader.start()
    assert arrived.wait(10)
    web.close()
    reader.join(10)
    assert len(reasons) == 1
