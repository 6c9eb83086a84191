# SPDX-License-Identifier: Apache-2.0
"""The front desk: health, readiness, metrics and the description of the API; no tenant's data."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from chandelier import __version__, errors, experience, gateway, telemetry
from chandelier.experience import shapes


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
        return Response(_described(), media_type="application/json")

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


_Schema = dict[str, Any]


@functools.cache
def _described() -> bytes:
    return msgspec.json.encode(openapi())


def openapi() -> dict[str, Any]:
    """Return the OpenAPI description, made from the route table and the shapes it names."""
    schemas, components = _schemas()
    paths: dict[str, Any] = {}
    for route in experience.ROUTES:
        for path in gateway.paths(route):
            paths.setdefault("/api" + path, {})[route.method.lower()] = _operation(route, path, schemas, components)
    queries = {route.query.__name__ for route in experience.ROUTES if route.query}
    return {
        # The page at /docs reads no later version.
        "openapi": "3.0.3",
        "info": {
            "title": "Chandelier: the Experience API",
            "version": __version__,
            "description": "Static path segments match in any case; a slash at the end is accepted. The token may "
            "also be the member `access_token` of a JSON body, in a GET too. Every error has the same envelope.",
        },
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in queries},
            "parameters": {name: _path_parameter(name, *facts) for name, facts in _NAMES.items()},
            "responses": {kind.kind: _failure(kind) for kind in experience.STATUS},
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "X-Access-Token"},
                "query": {"type": "apiKey", "in": "query", "name": "access_token"},
            },
        },
        "paths": paths,
    }


def _schemas() -> tuple[dict[Any, _Schema], dict[str, _Schema]]:
    """Return the schemas of all shapes of the route table, and the components to which they refer."""
    wanted = dict.fromkeys([shapes.Envelope, *(shape for route in experience.ROUTES for shape in _shapes(route))])
    schemas, components = msgspec.json.schema_components(wanted, ref_template="#/components/schemas/{name}")
    return dict(zip(wanted, map(_as_3_0, schemas), strict=True)), _as_3_0(components)


def _shapes(route: gateway.Route) -> list[Any]:
    return [shape for shape in (*_answers(route), route.request, route.query) if shape is not None]


def _answers(route: gateway.Route) -> tuple[Any, ...]:
    return route.response if isinstance(route.response, tuple) else (route.response,)


def _as_3_0(schema: Any) -> Any:
    """Return a schema, and all in it, with what JSON Schema has learnt since OpenAPI 3.0 said as OpenAPI 3.0 did."""
    if isinstance(schema, list):
        return [_as_3_0(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    older = {name: _as_3_0(part) for name, part in schema.items()}
    if {"type": "null"} in older.get("anyOf", ()):
        rest = [part for part in older.pop("anyOf") if part != {"type": "null"}]
        older |= {"nullable": True} | (rest[0] if len(rest) == 1 else {"anyOf": rest})
    if older.get("required") == []:
        del older["required"]
    if isinstance(older.get("description"), str):
        older["description"] = _without_source(older["description"])
    return older


def _without_source(text: str) -> str:
    """Return a docstring without what it says to those who read the code."""
    return text.partition("Source:")[0].rstrip()


def _operation(
    route: gateway.Route, path: str, schemas: Mapping[Any, _Schema], components: Mapping[str, _Schema]
) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", path)
    operation: dict[str, Any] = {
        "summary": route.summary,
        "description": _without_source(inspect.getdoc(route.handler) or ""),
        "tags": [_SECTIONS.get(route.path.split("/")[1].lower(), "Programs")],
        "parameters": [
            *({"$ref": f"#/components/parameters/{name}"} for name in names),
            *([] if route.query is None else _query_parameters(components[route.query.__name__])),
        ],
        "responses": {"200": _success(route, schemas)} | _failures(route, path),
        "security": [] if route.public else [{"header": []}, {"query": []}],
    }
    if route.admit is not None:
        # Taken as it comes, and looked at when the job is handed over.
        operation["requestBody"] = {"content": {"application/json": {"schema": {}}}}
    if route.request is not None:
        kinds = ["application/json", *(["application/x-www-form-urlencoded"] if route.form else [])]
        content = {kind: {"schema": schemas[route.request]} for kind in kinds}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _path_parameter(name: str, description: str, schema: _Schema) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _query_parameters(query: _Schema) -> list[dict[str, Any]]:
    """Return the parameters of a query; one that is an object is sent as JSON."""
    parameters = []
    for name, schema in query["properties"].items():
        form = {"content": {"application/json": {"schema": schema}}} if "$ref" in schema else {"schema": schema}
        parameters.append({"name": name, "in": "query", "required": name in query.get("required", ()), **form})
    return parameters


def _success(route: gateway.Route, schemas: Mapping[Any, _Schema]) -> dict[str, Any]:
    other = {} if route.media is None else {route.media: {"schema": {"type": "string", "format": "binary"}}}
    if route.response is None:
        return {"description": "Success.", "content": other} if other else {"description": "Success, without a body."}
    found = [schemas[shape] for shape in _answers(route)]
    schema = found[0] if len(found) == 1 else {"anyOf": found}
    return {"description": "Success.", "content": {"application/json": {"schema": schema}} | other}


def _failures(route: gateway.Route, path: str) -> dict[str, Any]:
    """Return the errors that an endpoint may answer with, by status."""
    kinds: set[type[errors.ChandelierError]] = {errors.Invalid, errors.TooLarge, errors.Unavailable, *route.failures}
    if not route.public:
        kinds.add(errors.Unauthenticated)
    if "{" in path or route.prefixed:
        kinds.add(errors.NotFound)
    statuses = {experience.STATUS[kind]: kind.kind for kind in kinds}
    return {str(status): {"$ref": f"#/components/responses/{statuses[status]}"} for status in sorted(statuses)}


def _failure(kind: type[errors.ChandelierError]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{shapes.Envelope.__name__}"}
    return {
        "description": (inspect.getdoc(kind) or "").splitlines()[0],
        "content": {"application/json": {"schema": schema}},
    }


#: What stands for a part of a path: what it is, and how it looks.
_NAMES: Final[Mapping[str, tuple[str, _Schema]]] = {
    "hub": ("Name of a hub.", {"type": "string", "minLength": 1, "example": "ibm-q"}),
    "group": ("Name of a group.", {"type": "string", "minLength": 1, "example": "open"}),
    "project": ("Name of a project.", {"type": "string", "minLength": 1, "example": "main"}),
    "device": ("Name of a device.", {"type": "string", "minLength": 1, "example": "ibmq_qasm_simulator"}),
    "job": ("Id of a job.", {"type": "string", "pattern": "^[0-9a-f]{24}$"}),
    "execution": ("Id of a run of a kept program.", {"type": "string", "minLength": 1}),
    "code": ("Id of a kept program.", {"type": "string", "minLength": 1}),
    "user": ("Id of a user.", {"type": "string", "minLength": 1}),
    "booking": ("Id of a reservation.", {"type": "string", "minLength": 1}),
    "name": ("Name of an object.", {"type": "string", "minLength": 1}),
}

#: Sections of the reference, by the first segment of a path.
_SECTIONS: Final = {
    "version": "Session",
    "users": "Session",
    "network": "Network",
    "devices": "Devices",
    "backends": "Devices",
    "backend": "Devices",
    "jobs": "Jobs",
    "job": "Jobs",
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
