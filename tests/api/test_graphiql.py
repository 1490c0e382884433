"""The explorer page: its HTTP manners, and what a person does with it in a real browser.

The browser is the machine's Chromium (`CATALOGRAPH_CHROMIUM`, or one on PATH). It can resolve no host but 127.0.0.1.
"""

import gzip
import os
import re
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import strawberry
import uvicorn
from graphql import build_schema, parse, validate
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from playwright.sync_api import Request as Sent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL

from api import graphiql
from api.graphiql import graphiql_page, graphiql_routes
from api.settings import Settings
from schema.build import create_schema
from tests.api.streams import Stage, streaming_app

SECRET = "Bearer do-not-keep-me"
TYPED_QUERY = 'query Typed { component(name: "dice-roller") { title } }'


# ---------------------------------------------------------------- a small graph to point the page at


@strawberry.type
class Component:
    """A piece of software that somebody owns."""

    title: str = strawberry.field(description="What people call it.")


@strawberry.type
class Query:
    """Where questions start."""

    @strawberry.field(description="One component by its name.")
    def component(self, name: str) -> Component:
        return Component(title=name.replace("-", " ").title())

    @strawberry.field(description="The Authorization header as it arrived.")
    def authorization(self, info: strawberry.Info) -> str | None:
        request: Request = info.context["request"]
        return request.headers.get("Authorization")


@strawberry.type
class Subscription:
    """What happens while you watch."""

    @strawberry.subscription(description="Three, two, one.")
    async def countdown(self, info: strawberry.Info) -> AsyncIterator[str]:
        for number in (3, 2, 1):
            yield f"{number} for {info.context['request'].headers['Authorization']}"


class Endpoint:
    """POST is the graph, GET is the page: as the real endpoint does it for a browser."""

    def __init__(self) -> None:
        schema = strawberry.Schema(Query, subscription=Subscription)
        self.graph = GraphQL[None, None](schema, graphql_ide=None, subscription_protocols=[GRAPHQL_SSE_PROTOCOL])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = graphiql_page(Request(scope)) if scope["method"] == "GET" else self.graph
        await app(scope, receive, send)


def small_app() -> Starlette:
    return Starlette(routes=[Route("/graphql", Endpoint()), *graphiql_routes()])


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Run an app on a free port; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """The address of a running app with the page and a graph of `component` and `authorization`."""
    with serving(small_app()) as url:
        yield url


# ---------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not (graphiql.DIST / "index.html").is_file():
        pytest.skip("the explorer is not built: run api/explorer/build.py")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    chromium = os.environ.get("CATALOGRAPH_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.skip("no Chromium: install one (Debian: apt-get install chromium) or name it in CATALOGRAPH_CHROMIUM")
    expect.set_options(timeout=20_000)  # milliseconds: a net under hangs on a busy machine, not a budget
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            chromium_sandbox=os.geteuid() != 0,
            args=["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield browser
        browser.close()


@pytest.fixture
def streams_seen_to_their_end() -> list[Sent]:
    """Streams that the page may abort: it hangs up on the last event, often before the server has."""
    return []


@pytest.fixture
def page(browser: Browser, streams_seen_to_their_end: list[Sent]) -> Iterator[Page]:
    """A fresh profile; the test fails if the page logs an error, breaks its own policy or misses a file."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(20_000)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(f"uncaught: {error}"))
    page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
    failed: list[Sent] = []
    page.on("requestfailed", lambda sent: failed.append(sent))  # noqa: PLW0108 - it takes no built-in function
    page.on("response", lambda answer: troubles.append(f"{answer.status}: {answer.url}") if not answer.ok else None)
    yield page
    context.close()
    troubles += [f"failed: {sent.url} {sent.failure}" for sent in failed if sent not in streams_seen_to_their_end]
    assert troubles == []


def open_explorer(page: Page, url: str) -> None:
    """Wait until the editor is there and the schema is known."""
    with page.expect_response("**/graphql"):
        page.goto(url)
    expect(page.locator(".graphiql-query-editor .view-line").first).to_be_visible()
    expect(page.get_by_role("button", name="Re-fetch GraphQL schema")).to_be_enabled()


def type_query(page: Page, query: str) -> None:
    """Type a named operation key by key, and wait until its tab has taken its name (it runs under that name)."""
    page.locator(".graphiql-query-editor .view-lines").click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.press("Delete")
    page.keyboard.type(query)
    name = re.findall(r"\w+", query)[1]
    expect(page.get_by_role("tab", selected=True).get_by_role("button", name=name, exact=True)).to_be_visible()


def run_query(page: Page) -> None:
    page.get_by_role("button", name="Execute query").click()


def expect_result(page: Page, text: str) -> None:
    expect(page.locator(".result-window .view-lines")).to_contain_text(text)


def header_editor(page: Page) -> Locator:
    page.get_by_role("button", name="Headers").click()
    return page.locator(".graphiql-editor-tool .graphiql-editor:not(.hidden) .view-lines")


def type_header(page: Page) -> None:
    header_editor(page).click()
    page.keyboard.type(f'{{"Authorization": "{SECRET}"}}')


def wait_until_stored(page: Page, key: str, text: str) -> None:
    """Wait in the page itself: its policy forbids the strings that `wait_for_function` evaluates."""
    page.evaluate(
        """([key, text]) => new Promise((found) => {
            const look = () => localStorage.getItem(key)?.includes(text) ? found() : requestAnimationFrame(look);
            look();
        })""",
        [key, text],
    )


def test_ctrl_enter_runs_the_first_query_of_a_page_that_was_just_opened(page: Page, server_url: str) -> None:
    open_explorer(page, f"{server_url}/graphiql")
    expect(page.locator(".graphiql-query-editor .monaco-editor").first).to_have_class(re.compile(r"\bfocused\b"))
    with page.expect_request("**/graphql") as sent:
        page.keyboard.press("Control+Enter")
    assert '"operationName":"ComponentsPage"' in str(sent.value.post_data)
    expect_result(page, "Cannot query field 'components'")  # this small graph has none


def test_a_typed_query_runs_and_shows_its_answer(page: Page, server_url: str) -> None:
    open_explorer(page, f"{server_url}/graphql")
    type_query(page, TYPED_QUERY)
    run_query(page)
    expect_result(page, '"title": "Dice Roller"')


def test_the_page_works_under_a_prefix(page: Page) -> None:
    with serving(Starlette(routes=[Mount("/tools/catalog", small_app())])) as url:
        open_explorer(page, f"{url}/tools/catalog/graphiql")
        type_query(page, TYPED_QUERY)
        run_query(page)
        expect_result(page, '"title": "Dice Roller"')


def test_the_first_tabs_hold_queries_to_start_from(page: Page, server_url: str) -> None:
    open_explorer(page, f"{server_url}/graphiql")
    names = page.get_by_role("tab").locator("button:first-child")
    expect(names).to_have_text(["ComponentsPage", "Squad", "Problems"])
    expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text("query ComponentsPage")


def test_completion_offers_the_fields_of_the_graph(page: Page, server_url: str) -> None:
    open_explorer(page, f"{server_url}/graphiql")
    type_query(page, "query Typed { auth")
    page.keyboard.press("Control+Space")
    expect(page.locator(".suggest-widget.visible")).to_contain_text("authorization")


def test_a_wrong_field_is_underlined_before_it_is_sent(page: Page, server_url: str) -> None:
    open_explorer(page, f"{server_url}/graphiql")
    type_query(page, "query Typed { nonsense }")
    expect(page.locator(".graphiql-query-editor .squiggly-error").first).to_be_visible()


def test_the_documentation_shows_descriptions(page: Page, server_url: str) -> None:
    open_explorer(page, f"{server_url}/graphiql")
    page.get_by_role("button", name="Show Documentation Explorer").click()
    page.get_by_role("link", name="Query").click()
    expect(page.locator(".graphiql-plugin")).to_contain_text("One component by its name.")


def test_the_explorer_lists_root_fields_and_writes_the_query(page: Page, server_url: str) -> None:
    open_explorer(page, f"{server_url}/graphiql")
    type_query(page, "query Typed { __typename }")
    page.get_by_role("button", name="Show Explorer").click()
    explorer = page.locator(".graphiql-plugin")
    expect(explorer).to_contain_text("component")
    explorer.get_by_text("authorization", exact=True).click()
    run_query(page)
    expect_result(page, '"authorization": null')


def test_a_typed_header_is_sent_but_never_stored(page: Page, server_url: str) -> None:
    open_explorer(page, f"{server_url}/graphiql")
    type_header(page)  # first, so that the page has taken note of it by the time it knows the query's name
    type_query(page, "query Typed { authorization }")
    run_query(page)
    expect_result(page, SECRET)
    wait_until_stored(page, "graphiql:tabState", "authorization")
    wait_until_stored(page, "graphiql:queries", "authorization")
    assert SECRET not in page.evaluate(
        "JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.cookie"
    )

    open_explorer(page, f"{server_url}/graphiql")
    expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text("authorization")
    run_query(page)
    expect_result(page, '"authorization": null')
    expect(header_editor(page)).to_have_text("")
    page.get_by_role("button", name="Open settings dialog").click()
    expect(page.get_by_role("dialog")).to_contain_text("Theme")
    expect(page.get_by_role("dialog")).not_to_contain_text("Persist headers")


def test_a_subscription_streams_with_the_typed_header(
    page: Page, server_url: str, streams_seen_to_their_end: list[Sent]
) -> None:
    open_explorer(page, f"{server_url}/graphiql")
    type_header(page)
    type_query(page, "subscription Typed { countdown }")
    with page.expect_request("**/graphql") as stream:
        run_query(page)
    expect_result(page, f"1 for {SECRET}")
    expect(page.get_by_role("button", name="Execute query")).to_be_visible()  # no longer "Stop query"
    streams_seen_to_their_end.append(stream.value)


def test_a_subscription_at_the_real_endpoint_shows_each_event_when_it_comes(
    page: Page, streams_seen_to_their_end: list[Sent]
) -> None:
    with serving(streaming_app(Stage(), Settings())) as url:
        open_explorer(page, f"{url}/graphiql")
        type_query(page, "subscription Typed { waiting }")
        with page.expect_request("**/graphql") as stream:
            run_query(page)
        expect_result(page, '"waiting": 1')
        page.request.post(f"{url}/graphql", data={"query": "mutation { go }"})
        expect_result(page, '"waiting": 2')
        expect(page.get_by_role("button", name="Execute query")).to_be_visible()  # no longer "Stop query"
        streams_seen_to_their_end.append(stream.value)


def test_the_editor_follows_the_system_from_light_to_dark(page: Page, server_url: str) -> None:
    page.emulate_media(color_scheme="light")
    open_explorer(page, f"{server_url}/graphiql")
    editor = page.locator(".graphiql-query-editor .monaco-editor").first
    expect(editor).to_have_class(re.compile(r"\bvs\b"))
    page.emulate_media(color_scheme="dark")
    expect(editor).to_have_class(re.compile(r"\bvs-dark\b"))


# ---------------------------------------------------------------- what it opens with


@pytest.mark.parametrize("name", ["components", "squad", "problems"])
def test_the_first_queries_are_valid_in_the_real_graph(name: str) -> None:
    query = (graphiql.DIST.parent / "src" / "queries" / f"{name}.graphql").read_text()
    assert validate(build_schema(create_schema().as_str()), parse(query)) == []


# ---------------------------------------------------------------- over plain HTTP, with stand-in files


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built explorer of two files."""
    assets = tmp_path / "assets"
    assets.mkdir()
    (tmp_path / "index.html").write_text(f'{graphiql.BASE_AS_BUILT}<script src="./assets/main-1a2b.js"></script>')
    (tmp_path / "stamp").write_text("0123")
    (assets / "main-1a2b.js").write_bytes(b"run()")
    (assets / "main-1a2b.js.gz").write_bytes(gzip.compress(b"run()"))
    (assets / "font-3c4d.ttf").write_bytes(b"glyphs")
    monkeypatch.setattr(graphiql, "DIST", tmp_path)
    return tmp_path


@pytest.fixture
def client(dist: Path) -> TestClient:
    assert dist.is_dir()
    return TestClient(small_app())


def test_the_page_forbids_foreign_scripts_and_frames(client: TestClient) -> None:
    answer = client.get("/graphiql")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-cache"


def test_the_page_is_the_same_at_both_addresses(client: TestClient) -> None:
    assert client.get("/graphql").text == client.get("/graphiql").text
    assert client.get("/graphql").headers["Vary"] == "Accept"


def test_an_unchanged_page_is_not_sent_again(client: TestClient, dist: Path) -> None:
    etag = client.get("/graphiql").headers["ETag"]
    again = client.get("/graphiql", headers={"If-None-Match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)

    (dist / "index.html").write_text("rebuilt")
    assert client.get("/graphiql", headers={"If-None-Match": etag}).text == "rebuilt"


def test_a_prefix_reaches_the_page_and_cannot_break_out_of_it(dist: Path) -> None:
    assert dist.is_dir()
    mounted = TestClient(small_app(), root_path='/a"><script>')
    assert mounted.get("/graphiql").text.startswith('<base href="/a&quot;&gt;&lt;script&gt;/graphiql/">')


def test_hashed_files_are_kept_for_good(client: TestClient) -> None:
    answer = client.get("/graphiql/assets/main-1a2b.js", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert answer.text == "run()"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert "worker-src 'self'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0, br", "br"])
def test_a_client_without_gzip_gets_plain_bytes(client: TestClient, accepted: str) -> None:
    answer = client.get("/graphiql/assets/main-1a2b.js", headers={"Accept-Encoding": accepted})
    assert (answer.content, answer.headers.get("Content-Encoding")) == (b"run()", None)


def test_a_file_without_a_gzipped_copy_is_served_plain(client: TestClient) -> None:
    answer = client.get("/graphiql/assets/font-3c4d.ttf")
    assert (answer.content, answer.headers["Content-Type"]) == (b"glyphs", "font/ttf")


@pytest.mark.parametrize(
    "name", ["%2e%2e", "..%2Fstamp", "%2e%2e/index.html", "gone-9z9z.js", "main-1a2b.js.gz", "a%00.js"]
)
def test_nothing_but_the_built_files_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/graphiql/assets/{name}").status_code == 404


def test_an_explorer_that_was_not_built_says_how_to_build_it(client: TestClient, dist: Path) -> None:
    (dist / "index.html").unlink()
    answer = client.get("/graphiql")
    assert answer.status_code == 503
    assert "python api/explorer/build.py" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.post("/graphql", json={"query": "{ authorization }"}).json() == {"data": {"authorization": None}}
