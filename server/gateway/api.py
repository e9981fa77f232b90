"""What the API says about itself: the socket's document, and a page to read and try it that needs nothing from the
network (the scripts come with a package, and the page may load from nowhere else)."""

import functools
from pathlib import Path

from django.apps import apps
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework.exceptions import MethodNotAllowed

ASYNCAPI = Path(__file__).with_name("asyncapi.yaml")
KINDS = {".css": "text/css", ".js": "text/javascript", ".map": "application/json", ".png": "image/png"}

PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Samsnakk: the API</title>
    <link rel="icon" href="favicon-32x32.png">
    <link rel="stylesheet" href="swagger-ui.css">
  </head>
  <body>
    <p style="margin: 1rem 2rem; font-family: sans-serif">
      Sign in with <code>POST demo/sign-in</code> (demo mode), then put the token under <b>Authorize</b>.
      The socket is described in <a href="../asyncapi.yaml">asyncapi.yaml</a>.
    </p>
    <div id="swagger-ui"></div>
    <script src="swagger-ui-bundle.js"></script>
    <script src="start.js"></script>
  </body>
</html>
"""
START = """SwaggerUIBundle({
  url: "../schema/",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // the default asks a server on the internet
});
"""
ONLY_US = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def asyncapi(request: HttpRequest) -> HttpResponse:
    """The AsyncAPI document."""
    _only_get(request)
    return HttpResponse(ASYNCAPI.read_bytes(), content_type="application/yaml; charset=utf-8")


def docs(request: HttpRequest) -> HttpResponse:
    """The page."""
    _only_get(request)
    return HttpResponse(PAGE, headers={"Content-Security-Policy": ONLY_US})


def asset(request: HttpRequest, name: str) -> HttpResponse:
    """What the page loads."""
    _only_get(request)
    content = START.encode() if name == "start.js" else _assets().get(name)
    if content is None:
        raise Http404
    kind = KINDS[Path(name).suffix]
    return HttpResponse(content, content_type=kind, headers={"Cache-Control": "public, max-age=3600"})


@functools.cache
def _assets() -> dict[str, bytes]:
    """The package's files by name; read once, a few MB."""
    package = Path(apps.get_app_config("drf_spectacular_sidecar").path)
    folder = package / "static" / "drf_spectacular_sidecar" / "swagger-ui-dist"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in KINDS}


def _only_get(request: HttpRequest) -> None:
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(request.method or "")
