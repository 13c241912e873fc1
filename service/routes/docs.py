"""Requests to /docs to the interface in Swagger UI, whose files come from a package, not from afar.

A script of another host would run with all the rights of whoever opens the page.
"""

from functools import cache
from http import HTTPStatus
from importlib.resources import files

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from service.edge import Problem

router = APIRouter(prefix="/docs", include_in_schema=False)

_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_START = """SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset]});
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Zhiyin 知音</title>
<link rel="icon" href="docs/favicon.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>The interface is described in <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FILE_HEADERS = {"Cache-Control": "max-age=3600", "X-Content-Type-Options": "nosniff"}


@router.get("")
async def show_docs() -> Response:
    """Show the interface."""
    return HTMLResponse(_PAGE, headers=_PAGE_HEADERS)


@router.get("/{name}")
async def get_file(name: str) -> Response:
    """Return a file of the page."""
    if name == "start.js":
        return Response(_START, media_type="text/javascript", headers=_FILE_HEADERS)
    if name not in _FILES:
        raise Problem(
            HTTPStatus.NOT_FOUND, "there is nothing at this path; /docs lists what there is"
        )
    return Response(_read_file(name), media_type=_FILES[name], headers=_FILE_HEADERS)


@cache
def _read_file(name: str) -> bytes:
    """Return the content of a file, the same object to all: clients who do not read share it."""
    return (files("fastapi_offline") / "static" / name).read_bytes()
