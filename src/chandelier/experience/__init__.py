# SPDX-License-Identifier: Apache-2.0
"""The REST and WebSocket API of the former IBM Quantum Experience: its routes and how it words errors."""

from collections.abc import Iterator
from typing import Any, Final

from starlette.routing import BaseRoute

from chandelier import errors, gateway
from chandelier.experience import devices, jobs, lists, network, storage, stream, users
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


def _device(tail: str, handler: gateway.Handler, summary: str, *, public: bool = False) -> Iterator[Route]:
    """One endpoint of a device under each of its names. Source: protocol 1.3 and 4.2."""
    for noun in ("devices", "Backends"):
        for scope in ("", "/Network/{hub}"):
            prefixed = not scope
            path = f"{scope}/{noun}/{{device}}/{tail}"
            yield Route("GET", path, handler, summary, prefixed=prefixed, public=public)


def _job(
    method: Any, tail: str, handler: gateway.Handler, summary: str, request: Any = None, *, quick: bool = False
) -> Route:
    return Route(method, "/Jobs/{job}" + tail, handler, summary, request, prefixed=True, quick=quick)


ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/version", users.version, "Say which API this is.", public=True, quick=True),
    Route(
        "POST",
        "/users/loginWithToken",
        users.log_in,
        "Exchange an API token for an access token.",
        users.Credentials,
        public=True,
    ),
    Route(
        "POST",
        "/users/login",
        users.log_in,
        "Exchange address and password for an access token.",
        users.Credentials,
        public=True,
    ),
    Route("GET", "/users/me", users.me, "Describe the caller."),
    Route("GET", "/Network", network.list_hubs, "List the caller's hubs, groups, projects and devices."),
    Route("GET", "/Network/bookings/v2", devices.bookings, "List the caller's reservations (none yet)."),
    Route("GET", "/Network/devices/{device}/bookings/v2", devices.bookings, "List reservations (none yet)."),
    Route("GET", "/Jobs/status/v/1", lists.status_versioned, "List the states of jobs.", prefixed=True),
    Route("GET", "/Jobs/status", lists.status_unversioned, "The same for clients before 2020.", prefixed=True),
    Route("GET", "/Jobs/v/1", lists.full_versioned, "List jobs.", prefixed=True),
    Route("GET", "/Jobs", lists.full_unversioned, "The same for clients before 2020.", prefixed=True),
    Route("POST", "/Jobs", jobs.submit, "Submit a job.", jobs.Submission, prefixed=True, large=True),
    _job("GET", "/status/v/1", jobs.status_versioned, "Get a job's state.", quick=True),
    _job("GET", "/status", jobs.status_unversioned, "The same for clients before 2020.", quick=True),
    _job("GET", "/v/1", jobs.get_versioned, "Get a job."),
    _job("GET", "", jobs.get_unversioned, "The same for clients before 2020, with program and result."),
    _job("PUT", "", jobs.change, "Change a job's name or tags.", jobs.Change),
    _job("DELETE", "", jobs.delete, "Delete a job that has ended."),
    _job("POST", "/cancel", jobs.cancel, "Cancel a job."),
    _job("GET", "/properties", jobs.properties, "Get the device's properties that the job was run with."),
    _job("GET", "/jobUploadUrl", jobs.upload_url, "Get a URL to upload the program to."),
    _job("GET", "/jobDownloadUrl", jobs.download_url, "Get a URL to download the program from."),
    _job("GET", "/resultDownloadUrl", jobs.result_url, "Get a URL to download the result from."),
    _job("POST", "/jobDataUploaded", jobs.data_uploaded, "Say that the program is uploaded."),
    _job("POST", "/resultDownloaded", jobs.result_downloaded, "Say that the result is downloaded."),
    Route("GET", "/devices/v/1", devices.list_configurations, "List device configurations.", prefixed=True),
    Route("GET", "/Backends/v/1", devices.list_configurations, "List device configurations.", prefixed=True),
    Route("GET", "/devices", devices.list_entries, "List devices in the older form.", prefixed=True),
    Route("GET", "/Backends", devices.list_entries, "List devices in the older form.", prefixed=True),
    *_device("queue/status", devices.queue_status, "Say whether the device works and how many wait.", public=True),
    *_device("properties", devices.properties, "Get calibration data."),
    *_device("defaults", devices.defaults, "Get pulse defaults (none yet)."),
    *_device("jobsLimit", devices.jobs_limit, "Get how many jobs the caller may have and has."),
    Route("GET", "/Network/{hub}", network.get_hub, "Get one hub."),
    Route(
        "PUT",
        "/objects/programs/{name}",
        storage.upload,
        "Upload a program by signed URL.",
        public=True,
        admit=storage.admit,
    ),
    Route(
        "GET", "/objects/programs/{name}", storage.download_program, "Download a program by signed URL.", public=True
    ),
    Route("GET", "/objects/results/{name}", storage.download_result, "Download a result by signed URL.", public=True),
)

#: Paths of the status stream, each with whether it is versioned.
STREAMS: Final[dict[str, bool]] = {"/jobs/{job}/status/v/1": True, "/jobs/{job}/status": False}


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
    mounted: list[BaseRoute] = list(gateway.mount(cloud, "/api", ROUTES, DIALECT))
    for base in ("", "/api"):
        for path, versioned in STREAMS.items():
            mounted.append(gateway.mount_socket(base, path, stream.follower(cloud, versioned=versioned)))
    return mounted
