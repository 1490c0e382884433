"""The explorer page (GraphiQL), served from files inside the package.

`api/explorer/build.py` makes the files; nothing is loaded from another host.
The page's `<base>` element carries the prefix under which the app is mounted; every other address is relative to it.
"""

from __future__ import annotations

import hashlib
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

DIST = Path(__file__).parent / "explorer" / "dist"

# Scripts, workers and requests are ours alone; Monaco and GraphiQL set inline styles and use small data: images.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "font-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
SECURITY_HEADERS = {
    "Content-Security-Policy": "; ".join(CONTENT_SECURITY_POLICY),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# `/graphql` answers with this page too, but only to a browser.
PAGE_HEADERS = {**SECURITY_HEADERS, "Cache-Control": "no-cache", "Vary": "Accept"}
# A file's name holds a hash of its content.
ASSET_HEADERS = {**SECURITY_HEADERS, "Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".ttf": "font/ttf"}

BASE_AS_BUILT = '<base href="/graphiql/">'
NOT_BUILT = """<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="color-scheme" content="light dark">
  <title>Catalograph</title>
  <body style="font-family: system-ui, sans-serif; margin: 2rem">
    <h1>The explorer is not built</h1>
    <p>The API works without it. To build it once, run this in the checkout, then reload:</p>
    <pre>python api/explorer/build.py</pre>
"""


def graphiql_routes() -> list[Route]:
    """The page at `/graphiql` and its files below it."""
    return [
        Route("/graphiql", graphiql_page, methods=["GET"], name="graphiql"),
        Route("/graphiql/assets/{name}", graphiql_asset, methods=["GET"], name="graphiql_asset"),
    ]


def graphiql_page(request: Request) -> Response:
    """The page, or 304 when the browser has it, or 503 with instructions when it was never built.

    Its queries go to `graphql` under the same root path, so any route of the app may answer with it.
    """
    try:
        built = (DIST / "index.html").read_text(encoding="utf-8")
    except FileNotFoundError:
        return HTMLResponse(NOT_BUILT, status_code=503, headers={**PAGE_HEADERS, "Cache-Control": "no-store"})
    root_path = escape(request.scope.get("root_path", ""))
    page = built.replace(BASE_AS_BUILT, f'<base href="{root_path}/graphiql/">')
    headers = {**PAGE_HEADERS, "ETag": f'"{hashlib.sha256(page.encode()).hexdigest()[:32]}"'}
    if _has_current(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return HTMLResponse(page, headers=headers)


def graphiql_asset(request: Request) -> Response:
    """One of the page's files, gzipped for whoever accepts that."""
    file = DIST / "assets" / request.path_params["name"]
    media_type = MEDIA_TYPES.get(file.suffix)
    if media_type is None or not file.is_file():
        return PlainTextResponse("Not found", status_code=404)
    gzipped = file.with_name(f"{file.name}.gz")
    if _accepts_gzip(request) and gzipped.is_file():
        return FileResponse(gzipped, media_type=media_type, headers={**ASSET_HEADERS, "Content-Encoding": "gzip"})
    return FileResponse(file, media_type=media_type, headers=ASSET_HEADERS)


def _has_current(request: Request, etag: str) -> bool:
    known = (tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(","))
    return any(tag in (etag, "*") for tag in known)


def _accepts_gzip(request: Request) -> bool:
    codings = request.headers.get("Accept-Encoding", "").replace(" ", "").lower().split(",")
    return any(coding.startswith("gzip") and not coding.endswith((";q=0", ";q=0.0")) for coding in codings)
