# SPDX-License-Identifier: Apache-2.0
"""The front desk: health, readiness, metrics and the description of the API; no tenant's data."""

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from chandelier import __version__, errors, experience, gateway, telemetry


class Facts(msgspec.Struct, frozen=True):
    """How the house is.

    Attributes:
        jobs: Jobs that have not ended, by state.
        children: Child processes, by state.
    """

    jobs: dict[str, int]
    children: dict[str, int]


def routes(look: Callable[[], Facts]) -> list[BaseRoute]:
    """Return the web routes; `look` reads the present facts and raises `errors.Unavailable`."""

    def health(_request: Request) -> Response:
        return gateway.respond(200, {"status": "ok", "version": __version__})

    def ready(_request: Request) -> Response:
        try:
            facts = look()
        except errors.Unavailable as failure:
            return gateway.respond(503, {"ready": False, "reason": failure.message})
        usable = sum(facts.children.get(state, 0) for state in ("idle", "busy"))
        reason = None if usable else "No worker child is ready yet."
        return gateway.respond(200 if usable else 503, {"ready": bool(usable), "reason": reason})

    def metrics(_request: Request) -> Response:
        try:
            facts = look()
        except errors.Unavailable:  # what is counted here is told all the same
            facts = Facts({}, {})
        return Response(telemetry.render(facts.jobs, facts.children), media_type=telemetry.CONTENT_TYPE)

    def description(_request: Request) -> Response:
        return gateway.respond(200, openapi())

    def page(_request: Request) -> Response:
        return Response(_PAGE, media_type="text/html")

    def welcome(_request: Request) -> Response:
        return Response(_WELCOME, media_type="text/html")

    return [
        Route("/", welcome),
        Route("/health", health),
        Route("/ready", ready),
        Route("/metrics", metrics),
        Route("/openapi.json", description),
        Route("/docs", page),
        Mount("/docs/assets", StaticFiles(directory=str(resources.files("swagger_ui_bundle") / _ASSETS))),
    ]


def openapi() -> dict[str, Any]:
    """Return the OpenAPI description, made from the route table."""
    paths: dict[str, Any] = {}
    shapes = {route.request for route in experience.ROUTES if route.request is not None}
    ordered = sorted(shapes, key=lambda shape: shape.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    bodies = dict(zip(ordered, schemas, strict=True))
    for route in experience.ROUTES:
        for path in gateway.paths(route):
            paths.setdefault("/api" + path, {})[route.method.lower()] = _operation(route, path, bodies)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Chandelier: the Experience API",
            "version": __version__,
            "description": "Static path segments match in any case; a slash at the end is accepted. Errors are "
            '`{"error": {"status", "statusCode", "name", "code", "message"}}`.',
        },
        "components": {
            "schemas": components,
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "X-Access-Token"},
                "query": {"type": "apiKey", "in": "query", "name": "access_token"},
            },
        },
        "paths": paths,
    }


def _operation(route: gateway.Route, path: str, bodies: Mapping[type, dict[str, Any]]) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "tags": [_SECTIONS[route.path.split("/")[1].lower()]],
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names],
        "responses": {"200": {"description": "Success."}, "default": {"description": "The error envelope."}},
        "security": [] if route.public else [{"header": []}, {"query": []}],
    }
    if route.request is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": bodies[route.request]}}}
    return operation


#: Sections of the reference, by the first segment of a path.
_SECTIONS: Final = {
    "version": "Session",
    "users": "Session",
    "network": "Network",
    "devices": "Devices",
    "backends": "Devices",
    "jobs": "Jobs",
    "objects": "Object storage",
}


_WELCOME: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Chandelier</title></head>
<body style="font-family: system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; line-height: 1.5">
<h1>Chandelier</h1>
<p>A quantum computing cloud. Clients are given this address with <code>/api</code> behind it.</p>
<p><a href="docs">Reference of the API</a> · <a href="health">Health</a> · <a href="ready">Readiness</a></p>
</body>
</html>
"""
_ASSETS: Final = "vendor/swagger-ui-4.15.5"
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Chandelier API</title>
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "openapi.json", dom_id: "#reference", docExpansion: "list", validatorUrl: null});</script>
</body>
</html>
"""
