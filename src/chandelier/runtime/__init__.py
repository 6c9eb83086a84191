# SPDX-License-Identifier: Apache-2.0
"""The Runtime API, as today's client speaks it: its routes, how it words errors and is told who asks."""

from typing import Any, Final, Literal

from starlette.routing import BaseRoute

from chandelier import errors, gateway
from chandelier.gateway import Cloud, Dialect, Route
from chandelier.runtime import backends, identity, instances, jobs, sessions, shapes

#: HTTP status of each kind of error. Source: protocol of the Runtime API 4.
STATUS: Final[dict[type[errors.ChandelierError], int]] = {
    errors.Invalid: 400,
    errors.ProgramRefused: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.LimitReached: 429,
    errors.Unavailable: 503,
}
#: Of what nobody foresaw. Clients repeat a POST that is answered with 500, and each might add a job.
_UNFORESEEN: Final = 501
#: Where the API is served: as clients of each age make its URL. Source: protocol of the Runtime API 2.2 and 3.
BASES: Final = ("/api/v1", "/runtime")
#: A client that is given a URL with this word uses the URL as it is.
_VERBATIM: Final = "experimental"


#: Shapes of answers, as far as they are described: an object, anything, text.
_OBJECT: Final = dict[str, Any]
_TEXT: Final = "text/plain"


def _device(tail: str, handler: gateway.Handler, summary: str, query: type[Any] | None = None) -> Route:
    return Route("GET", f"/backends/{{device}}/{tail}", handler, summary, query=query, response=_OBJECT)


def _job(
    method: Literal["GET", "POST", "PUT", "DELETE"], tail: str, handler: gateway.Handler, summary: str, **more: Any
) -> Route:
    return Route(method, f"/jobs/{{job}}{tail}", handler, summary, **more)


#: What clients ask to learn who they are; each on a host of its own, if there are such hosts, so the paths differ.
IDENTITY: Final[tuple[Route, ...]] = (
    Route(
        "POST",
        "/identity/token",
        identity.give_token,
        "Exchange an API token for one of an hour.",
        shapes.Login,
        public=True,
        form=True,
        response=_OBJECT,
        failures=(errors.LimitReached,),
    ),
)

DIRECTORY: Final[tuple[Route, ...]] = (
    Route(
        "POST",
        "/v3/resources/search",
        instances.search,
        "List the caller's instances.",
        request=instances.Search,
        query=shapes.SearchQuery,
        response=_OBJECT,
    ),
    Route(
        "GET",
        "/v2/resource_instances",
        instances.list_resources,
        "List the caller's instances of a name.",
        query=shapes.ResourcesQuery,
        response=_OBJECT,
    ),
)

ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", f"/{instances.PLAN}", instances.get_plan, "Describe the plan of the instances.", response=_OBJECT),
    Route("GET", "/instances/usage", instances.get_usage, "Say what was used of an instance.", response=_OBJECT),
    Route("GET", "/usage", instances.get_usage_by_instance, "Say what was used of each instance.", response=_OBJECT),
    Route(
        "GET",
        "/backends",
        backends.list_,
        "List the devices of an instance.",
        quick=True,
        query=shapes.DevicesQuery,
        response=_OBJECT,
    ),
    _device("configuration", backends.configuration, "Get a device's configuration.", shapes.ConfigurationQuery),
    _device("properties", backends.properties, "Get a device's calibration data.", shapes.PropertiesQuery),
    _device("status", backends.status, "Say whether a device works and how many jobs wait."),
    _device("defaults", backends.defaults, "Get pulse defaults."),
    Route(
        "POST",
        "/jobs",
        jobs.submit,
        "Submit a program.",
        request=jobs.Submission,
        large=True,
        response=_OBJECT,
        failures=(errors.Conflict, errors.LimitReached),
    ),
    Route("GET", "/jobs", jobs.list_, "List jobs.", query=shapes.JobsQuery, response=_OBJECT),
    Route(
        "GET",
        "/jobs/{job}",
        jobs.get,
        "Get a job, when it has ended or after a moment.",
        quick=jobs.is_light,
        topic=jobs.topic,
        query=shapes.JobQuery,
        response=_OBJECT,
    ),
    _job("DELETE", "", jobs.delete, "Delete a job that has ended.", failures=(errors.Conflict,)),
    _job("GET", "/results", jobs.results, "Get what a program left.", response=Any, media=_TEXT),
    _job(
        "GET", "/interim_results", jobs.interim_results, "Get what a program told while it ran: nothing.", media=_TEXT
    ),
    _job("GET", "/logs", jobs.logs, "Get what a program wrote down.", media=_TEXT),
    _job("GET", "/metrics", jobs.metrics, "Say when a job did what, and for how long.", response=_OBJECT),
    _job("POST", "/cancel", jobs.cancel, "Cancel a job.", failures=(errors.Conflict,)),
    _job("PUT", "/tags", jobs.change_tags, "Replace a job's tags.", request=jobs.Tags),
    Route(
        "GET", "/facade/v1/jobs/{job}/type", jobs.get_type, "Say by which service a job may be had.", response=_OBJECT
    ),
    Route("POST", "/sessions", sessions.create, "Open a session.", request=sessions.Opening, response=_OBJECT),
    Route("GET", "/sessions/{session}", sessions.get, "Describe a session.", response=_OBJECT),
    Route(
        "PATCH",
        "/sessions/{session}",
        sessions.change,
        "Let a session take no more jobs.",
        request=sessions.Change,
        response=_OBJECT,
        failures=(errors.Conflict,),
    ),
    Route("DELETE", "/sessions/{session}/close", sessions.close, "Close a session and cancel what waits in it."),
)


def render_error(error: errors.ChandelierError) -> tuple[int, dict[str, Any]]:
    """Return status and document of an error: as clients look for it, and as the service itself words it."""
    message = error.message.removesuffix(".")  # clients put a comma or a full stop behind it
    body = {"error": {"message": message, "code": error.code}, "errors": [{"code": error.code, "message": message}]}
    return STATUS.get(type(error), _UNFORESEEN), body


DIALECT: Final = Dialect(render_error, identity.authenticate)
IDENTITY_DIALECT: Final = Dialect(identity.render_error)


def begin(path: str) -> int:
    """Return how long the part of a path is before those of the routes; -1 where the API is not served.

    >>> begin("/api/v1/jobs"), begin("/my/experimental-place/jobs"), begin("/api/jobs")
    (7, 22, -1)
    """
    lower = path.lower()
    for base in BASES:
        if lower.startswith(f"{base}/"):
            return len(base)
    found = lower.find(_VERBATIM)
    end = lower.find("/", found) if found >= 0 else -1
    versioned = end >= 0 and lower.startswith(f"{BASES[0]}/", end)
    return end + len(BASES[0]) if versioned else end


def routes(cloud: Cloud) -> list[BaseRoute]:
    """Return the web routes of this face."""
    return [
        gateway.Desk(cloud, begin, ROUTES, DIALECT),
        gateway.Desk(cloud, "", IDENTITY, IDENTITY_DIALECT),
        gateway.Desk(cloud, "", DIRECTORY, DIALECT),
    ]
