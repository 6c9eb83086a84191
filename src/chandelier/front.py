# SPDX-License-Identifier: Apache-2.0
"""The front desk: health, readiness, metrics and the description of the API; no tenant's data."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from chandelier import __version__, errors, experience, gateway, runtime, telemetry
from chandelier.experience import shapes
from chandelier.runtime import shapes as runtime_shapes


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


class _Face(NamedTuple):
    """How a face is described.

    Args:
        base: Before its paths.
        mark: Before the names of its components, so that no two faces have the same.
        dialect: How it words errors.
        envelope: The shape of these.
        section: Of all its endpoints; None where their paths say it.
        schemes: How callers show who they are, each by itself enough.
        common: References to parameters of every endpoint that needs a token.
        empty: Status of an answer without a body.
    """

    routes: tuple[gateway.Route, ...]
    base: str
    mark: str
    dialect: gateway.Dialect
    envelope: type[Any]
    section: str | None
    schemes: tuple[str, ...]
    common: tuple[str, ...] = ()
    empty: int = 200

    def reference(self, name: str) -> str:
        """Return a reference to a schema."""
        return f"#/components/schemas/{self.mark}{name}"


_BEARER: Final = ("bearer", "key", "header")
_RUNTIME: Final = "Runtime"
FACES: Final = (
    _Face(experience.ROUTES, "/api", "", experience.DIALECT, shapes.Envelope, None, ("header", "query")),
    _Face(
        *(runtime.ROUTES, runtime.BASES[0], "Runtime.", runtime.DIALECT, runtime_shapes.Envelope, _RUNTIME),
        *(_BEARER, ("instance",), 204),
    ),
    _Face(
        *(runtime.DIRECTORY, "", "Directory.", runtime.DIALECT, runtime_shapes.Envelope, "Runtime: instances"),
        *(_BEARER, (), 204),
    ),
    _Face(
        *(runtime.IDENTITY, "", "Identity.", runtime.IDENTITY_DIALECT, runtime_shapes.LoginEnvelope),
        *("Runtime: login", (), (), 204),
    ),
)


@functools.cache
def _described() -> bytes:
    return msgspec.json.encode(openapi())


def openapi() -> dict[str, Any]:
    """Return the OpenAPI description, made from the route tables and the shapes they name."""
    paths: dict[str, Any] = {}
    described: dict[str, _Schema] = {}
    responses: dict[str, _Schema] = {}
    for face in FACES:
        schemas, components = _schemas(face)
        for route in face.routes:
            for path in gateway.paths(route):
                operation = _operation(face, route, path, schemas, components)
                paths.setdefault(face.base + path, {})[route.method.lower()] = operation
        queries = {route.query.__name__ for route in face.routes if route.query}
        described |= {face.mark + name: schema for name, schema in components.items() if name not in queries}
        responses |= {face.mark + kind.kind: _failure(face, kind) for kind in experience.STATUS}
    return {
        # The page at /docs reads no later version.
        "openapi": "3.0.3",
        "info": {
            "title": "Chandelier: the Experience API and the Runtime API",
            "version": __version__,
            "description": "Static path segments match in any case; a slash at the end is accepted. The token may "
            "also be the member `access_token` of a JSON body, in a GET too. Every error has the same envelope. The "
            "Runtime API is also served below `/runtime` and below every path with the word `experimental`.",
        },
        "components": {
            "schemas": described,
            "parameters": {name: _path_parameter(name, *facts) for name, facts in _NAMES.items()}
            | {"instance": _INSTANCE},
            "responses": responses,
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "X-Access-Token"},
                "query": {"type": "apiKey", "in": "query", "name": "access_token"},
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "key": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`apikey TOKEN`"},
            },
        },
        "paths": paths,
    }


def _schemas(face: _Face) -> tuple[dict[Any, _Schema], dict[str, _Schema]]:
    """Return the schemas of all shapes of a route table, and the components to which they refer."""
    wanted = dict.fromkeys([face.envelope, *(shape for route in face.routes for shape in _shapes(route))])
    schemas, components = msgspec.json.schema_components(wanted, ref_template=face.reference("{name}"))
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
    face: _Face, route: gateway.Route, path: str, schemas: Mapping[Any, _Schema], components: Mapping[str, _Schema]
) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", path)
    operation: dict[str, Any] = {
        "summary": route.summary,
        "description": _without_source(inspect.getdoc(route.handler) or ""),
        "tags": [face.section or _SECTIONS.get(route.path.split("/")[1].lower(), "Programs")],
        "parameters": [
            *({"$ref": f"#/components/parameters/{name}"} for name in (*names, *face.common)),
            *([] if route.query is None else _query_parameters(components[route.query.__name__])),
        ],
        "responses": _success(face, route, schemas) | _failures(face, route, path),
        "security": [] if route.public else [{scheme: []} for scheme in face.schemes],
    }
    if route.admit is not None:
        # Taken as it comes, and looked at when the job is handed over.
        operation["requestBody"] = {"content": {_JSON: {"schema": {}}}}
    if route.request is not None:
        kinds = [_JSON, _FORM] if route.form else [_JSON]
        if face.envelope is runtime_shapes.LoginEnvelope:
            kinds = [_FORM]
        content = {kind: {"schema": schemas[route.request]} for kind in kinds}
        # Where all that may be said is optional, handlers of the former API want something said all the same.
        required = not face.mark or "required" in components[route.request.__name__]
        operation["requestBody"] = {"required": required, "content": content}
    return operation


def _path_parameter(name: str, description: str, schema: _Schema) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _query_parameters(query: _Schema) -> list[dict[str, Any]]:
    """Return the parameters of a query; one that is an object is sent as JSON."""
    parameters = []
    for name, schema in query["properties"].items():
        form = {"content": {_JSON: {"schema": schema}}} if "$ref" in schema else {"schema": schema}
        parameters.append({"name": name, "in": "query", "required": name in query.get("required", ()), **form})
    return parameters


def _success(face: _Face, route: gateway.Route, schemas: Mapping[Any, _Schema]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if route.response is not None:
        found = [schemas[shape] for shape in _answers(route)]
        content[_JSON] = {"schema": found[0] if len(found) == 1 else {"anyOf": found}}
    if route.media is not None:
        text = {} if route.media.startswith("text/") else {"format": "binary"}
        content[route.media] = {"schema": {"type": "string"} | text}
    if not content:
        return {str(face.empty): {"description": "Success, without a body."}}
    return {"200": {"description": "Success.", "content": content}}


def _failures(face: _Face, route: gateway.Route, path: str) -> dict[str, Any]:
    """Return the errors that an endpoint may answer with, by status."""
    kinds: set[type[errors.ChandelierError]] = {errors.Invalid, errors.TooLarge, errors.Unavailable, *route.failures}
    if not route.public:
        kinds.add(errors.Unauthenticated)
    if "{" in path or route.prefixed or "instance" in face.common:
        kinds.add(errors.NotFound)
    statuses = {face.dialect.render(kind("", 1000))[0]: face.mark + kind.kind for kind in kinds}
    return {str(status): {"$ref": f"#/components/responses/{statuses[status]}"} for status in sorted(statuses)}


def _failure(face: _Face, kind: type[errors.ChandelierError]) -> dict[str, Any]:
    schema = {"$ref": face.reference(face.envelope.__name__)}
    return {
        "description": (inspect.getdoc(kind) or "").splitlines()[0],
        "content": {_JSON: {"schema": schema}},
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
    "session": ("Id of a session.", {"type": "string", "minLength": 1}),
}
_INSTANCE: Final[_Schema] = {
    "name": "Service-CRN",
    "in": "header",
    "description": "The instance, as a CRN or as hub/group/project; without it the caller's first project.",
    "schema": {"type": "string"},
}
_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"

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
