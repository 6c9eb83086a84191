# SPDX-License-Identifier: Apache-2.0
"""The REST and WebSocket API of the former IBM Quantum Experience: its routes and how it words errors."""

import functools
from collections.abc import Iterator
from typing import Any, Final

from starlette.routing import BaseRoute

from chandelier import errors, gateway
from chandelier.experience import (
    bookings,
    codes,
    devices,
    deviceshapes,
    hubs,
    jobs,
    jobshapes,
    lists,
    network,
    queues,
    shapes,
    shelf,
    storage,
    stream,
    users,
)
from chandelier.gateway import Cloud, Dialect, Route

#: HTTP status of each kind of error. Source: protocol 2.3.
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

#: Codes that a client expects under another status than their kind's. Source: protocol 2.3.
STATUS_OF_CODE: Final[dict[int, int]] = {1005: 405, 3458: 400}


def _device(tail: str, handler: gateway.Handler, summary: str, response: Any, **more: Any) -> Iterator[Route]:
    """One endpoint of a device under each of its names; `Backend` is a misprint. Source: protocol 1.3 and 4.2."""
    for noun in ("devices", "Backends", "Backend"):
        for scope in ("", "/Network/{hub}"):
            prefixed = not scope
            path = f"{scope}/{noun}/{{device}}/{tail}".removesuffix("/")
            yield Route("GET", path, handler, summary, prefixed=prefixed, response=response, **more)


def _job(method: Any, tail: str, handler: gateway.Handler, summary: str, response: Any, **more: Any) -> Route:
    return Route(method, "/Jobs/{job}" + tail, handler, summary, prefixed=True, response=response, **more)


def _polled(*, versioned: bool) -> dict[str, Any]:
    """Return what makes an endpoint cheap to poll."""
    return {"quick": True, "recall": functools.partial(shelf.recalled, versioned=versioned)}


_STATES: Final[dict[str, Any]] = {"response": shapes.listed(jobshapes.JobStatus), "query": shapes.JobsQuery}
_JOBS: Final[dict[str, Any]] = {"response": shapes.listed(jobshapes.Job), "query": shapes.JobsQuery}
_ENTRIES: Final = list[deviceshapes.Entry]
_CONFIGURATIONS: Final = list[deviceshapes.Configuration]
_LOGIN: Final[dict[str, Any]] = {
    "request": users.Credentials,
    "public": True,
    "response": shapes.Login,
    "failures": (errors.Unauthenticated, errors.LimitReached),
    "form": True,
}
_SIGNED: Final[dict[str, Any]] = {"public": True, "query": shapes.SignedQuery}
_BOOKINGS: Final[dict[str, Any]] = {"response": list[deviceshapes.Booking], "query": shapes.BookingsQuery}

ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/version", users.version, "Say which API this is.", public=True, quick=True, response=shapes.About),
    Route("POST", "/users/loginWithToken", users.log_in, "Exchange an API token for an access token.", **_LOGIN),
    Route("POST", "/users/login", users.log_in, "Exchange address and password for an access token.", **_LOGIN),
    Route("GET", "/users/me", users.me, "Describe the caller.", response=(shapes.Me, shapes.FormerMe)),
    Route(
        "GET",
        "/Network",
        network.list_hubs,
        "List the caller's hubs, groups, projects and devices.",
        response=list[shapes.Hub],
    ),
    Route(
        "GET", "/Network/bookings/v2", bookings.list_own, "List the reservations of the caller's projects.", **_BOOKINGS
    ),
    Route(
        "GET",
        "/Network/devices/{device}/bookings/v2",
        bookings.list_of_device,
        "List the reservations of a device.",
        **_BOOKINGS,
    ),
    *hubs.ROUTES,
    Route("GET", "/Jobs/status/v/1", lists.status_versioned, "List the states of jobs.", prefixed=True, **_STATES),
    Route(
        "GET", "/Jobs/status", lists.status_unversioned, "The same for clients before 2020.", prefixed=True, **_STATES
    ),
    Route("GET", "/Jobs/v/1", lists.full_versioned, "List jobs.", prefixed=True, **_JOBS),
    Route("GET", "/Jobs", lists.full_unversioned, "The same for clients before 2020.", prefixed=True, **_JOBS),
    Route(
        "POST",
        "/Jobs",
        jobs.submit,
        "Submit a job.",
        jobs.Submission,
        prefixed=True,
        large=True,
        response=jobshapes.Job,
        failures=(errors.Conflict,),
    ),
    _job(
        "GET",
        "/status/v/1",
        jobs.status_versioned,
        "Get a job's state.",
        jobshapes.JobStatus,
        **_polled(versioned=True),
    ),
    _job(
        "GET",
        "/status",
        jobs.status_unversioned,
        "The same for clients before 2020.",
        jobshapes.JobStatus,
        **_polled(versioned=False),
    ),
    _job("GET", "/v/1", jobs.get_versioned, "Get a job.", jobshapes.Job),
    _job(
        "GET",
        "",
        jobs.get_unversioned,
        "The same for clients before 2020, with program and result.",
        jobshapes.Job,
    ),
    _job("PUT", "", jobs.change, "Change a job's name or tags.", jobshapes.Changed, request=jobs.Change),
    _job(
        "DELETE",
        "",
        jobs.delete,
        "Delete a job that has ended.",
        shapes.Deleted,
        failures=(errors.Conflict,),
    ),
    _job("GET", "/queueExplanation", queues.explain, "Say why a job waits.", jobshapes.QueueExplanation),
    _job("POST", "/cancel", jobs.cancel, "Cancel a job.", jobshapes.Cancelled),
    _job(
        "GET",
        "/properties",
        jobs.properties,
        "Get the device's properties that the job was run with.",
        deviceshapes.Properties,
    ),
    _job(
        "GET",
        "/jobUploadUrl",
        jobs.upload_url,
        "Get a URL to upload the program to.",
        shapes.Signed,
        failures=(errors.Conflict,),
    ),
    _job("GET", "/jobDownloadUrl", jobs.download_url, "Get a URL to download the program from.", shapes.Signed),
    # A misprint of the description of January 2020 that somebody may have copied.
    Route(
        "GET",
        "/job/{job}s/jobDownloadUrl",
        jobs.download_url,
        "The same, as it was once misprinted.",
        response=shapes.Signed,
    ),
    _job("GET", "/resultDownloadUrl", jobs.result_url, "Get a URL to download the result from.", shapes.Signed),
    _job(
        "POST",
        "/jobDataUploaded",
        jobs.data_uploaded,
        "Say that the program is uploaded.",
        jobshapes.HandedOver,
        failures=(errors.Conflict,),
    ),
    _job(
        "POST",
        "/resultDownloaded",
        jobs.result_downloaded,
        "Say that the result is downloaded.",
        jobshapes.Terminated,
    ),
    Route(
        "GET",
        "/devices/v/1",
        devices.list_configurations,
        "List device configurations.",
        prefixed=True,
        response=_CONFIGURATIONS,
    ),
    Route(
        "GET",
        "/Backends/v/1",
        devices.list_configurations,
        "List device configurations.",
        prefixed=True,
        response=_CONFIGURATIONS,
    ),
    *(
        Route(
            "GET",
            path,
            devices.list_entries,
            "List devices in the older form.",
            prefixed=True,
            response=_ENTRIES,
            # Of a project that somebody has no role in, though in its hub.
            failures=(errors.Forbidden,),
        )
        for path in ("/devices", "/Backends")
    ),
    *_device(
        "queue/status",
        devices.queue_status,
        "Say whether the device works and how many wait.",
        deviceshapes.QueueStatus,
        public=True,
    ),
    *_device(
        "properties",
        devices.properties,
        "Get calibration data.",
        deviceshapes.Properties,
        query=shapes.PropertiesQuery,
    ),
    *_device("calibration", devices.calibration, "Get errors for clients before 2019.", shapes.Something),
    *_device("parameters", devices.parameters, "Get times and frequencies for clients before 2019.", shapes.Something),
    *_device("defaults", devices.defaults, "Get pulse defaults.", shapes.Object),
    *_device("jobsLimit", devices.jobs_limit, "Get how many jobs the caller may have and has.", deviceshapes.JobsLimit),
    *_device("", devices.get, "Get a device's configuration.", deviceshapes.Configuration),
    Route(
        "POST",
        "/codes/execute",
        codes.execute,
        "Keep an OpenQASM text and run it, for clients of 2017.",
        codes.Run,
        large=True,
        response=jobshapes.Execution,
        query=jobshapes.ExecuteQuery,
        failures=(errors.NotFound, errors.Conflict),
    ),
    Route("GET", "/Executions/{execution}", codes.get_execution, "Get a run of a text.", response=jobshapes.Execution),
    Route("GET", "/Codes/{code}", codes.get_code, "Get a text that was kept.", response=jobshapes.Code),
    Route(
        "GET",
        "/Codes/{code}/executions",
        codes.list_executions,
        "List the runs of a text.",
        response=list[jobshapes.Execution],
        query=shapes.JobsQuery,
    ),
    Route("GET", "/Codes/{code}/export/png/url", codes.picture, "Get the URL of a drawing.", response=shapes.Signed),
    *(
        Route(
            "GET",
            f"/users/{{user}}/codes/{latest}",
            codes.list_latest,
            "List the newest texts of a user; `lastest` is how clients ask.",
            response=jobshapes.Codes,
            query=jobshapes.CodesQuery,
        )
        for latest in ("lastest", "latest")
    ),
    Route("GET", "/users/{user}", codes.get_user, "Describe a user, with the credits.", response=shapes.FormerMe),
    Route(
        "PUT",
        "/objects/programs/{name}",
        storage.upload,
        "Upload a program by signed URL.",
        admit=storage.admit,
        failures=(errors.Forbidden, errors.Conflict),
        **_SIGNED,
    ),
    Route(
        "GET",
        "/objects/programs/{name}",
        storage.download_program,
        "Download a program by signed URL.",
        response=shapes.Object,
        failures=(errors.Forbidden,),
        **_SIGNED,
    ),
    Route(
        "GET",
        "/objects/results/{name}",
        storage.download_result,
        "Download a result by signed URL.",
        response=jobshapes.Result,
        failures=(errors.Forbidden,),
        **_SIGNED,
    ),
    Route(
        "GET",
        "/objects/pictures/{name}",
        storage.download_picture,
        "Download a drawing by signed URL.",
        media="image/png",
        failures=(errors.Forbidden,),
        **_SIGNED,
    ),
)

#: Paths of the status stream, each with whether it is versioned.
STREAMS: Final[dict[str, bool]] = {"/jobs/{job}/status/v/1": True, "/jobs/{job}/status": False}
#: Path of the WebSocket that would tell of a job while it runs; refused. Source: protocol 7.2.
LIVE_DATA: Final = "/jobs/{job}/live_data"


def render_error(error: errors.ChandelierError) -> tuple[int, dict[str, Any]]:
    """Return status and document of an error; both spellings of the status, because clients differ."""
    status = STATUS_OF_CODE.get(error.code) or STATUS.get(type(error), 500)
    body = {
        "status": status,
        "statusCode": status,
        "name": error.kind,
        "code": error.code,
        # Clients put a full stop, or a comma and the code, behind it.
        "message": error.message.removesuffix("."),
    }
    return status, {"error": body}


DIALECT: Final = Dialect(render_error)


def routes(cloud: Cloud) -> list[BaseRoute]:
    """Return the web routes of this face."""
    mounted: list[BaseRoute] = [gateway.Desk(cloud, "/api", ROUTES, DIALECT)]
    crowded = errors.LimitReached("Too many status streams are open on this server. Poll the status instead.", 1007)
    streams = stream.Streams(cloud, gateway.respond(*render_error(crowded)))
    missing = errors.NotFound("Live data are not available on this server.", 1010)
    for base in ("", "/api"):
        for path, versioned in STREAMS.items():
            mounted.append(gateway.mount_socket(base, path, streams.follower(versioned=versioned)))
        mounted.append(gateway.mount_socket(base, LIVE_DATA, stream.denier(gateway.respond(*render_error(missing)))))
    return mounted
