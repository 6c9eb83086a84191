# SPDX-License-Identifier: Apache-2.0
"""The endpoints with which hubs are administered: a literal table of what each does and the right that it takes."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from chandelier import errors
from chandelier.experience import (
    administration,
    analytics,
    bookings,
    devices,
    deviceshapes,
    granting,
    hubshapes,
    jobshapes,
    people,
    shapes,
)
from chandelier.experience.documents import Document
from chandelier.gateway import Answer, Call, Json, Route
from chandelier.store import Transaction
from chandelier.tenancy import access
from chandelier.tenancy.network import Spot

_HUB: Final = "/Network/{hub}"
_GROUP: Final = _HUB + "/Groups/{group}"
_PROJECT: Final = _GROUP + "/Projects/{project}"
_DEVICE: Final = "/devices/{device}"
_DETAILS: Final = _DEVICE + "/configurationDetails"


def _read(
    path: str, right: str, reader: Callable[[Call, Spot], Answer], summary: str, response: Any, **more: Any
) -> Route:
    """Return an endpoint that reads the node which its path names."""

    @functools.wraps(reader)
    def handler(call: Call) -> Answer:
        return reader(call, _require(call.tx, call, right))

    return Route("GET", path, handler, summary, response=response, failures=(errors.Forbidden,), right=right, **more)


_Act = Callable[[Transaction, Call, Spot], Document]


def _act(method: Any, path: str, right: str, act: _Act, summary: str, *shapes_: Any) -> Route:
    """Return an endpoint that changes something; the right is looked at in the transaction that uses it.

    Args:
        shapes_: The shape of the answer, and that of the body if there is one.
    """

    @functools.wraps(act)
    def handler(call: Call) -> Answer:
        if _rehearses(call):
            raise errors.Invalid("`dryRun` is for changes of shares: `PUT` of a node, and `POST` of its devices.", 1001)
        return Json(call.store.write(lambda tx: act(tx, call, _require(tx, call, right))))

    response, request = (*shapes_, None)[:2]
    failures = (errors.Forbidden, errors.Conflict)
    return Route(method, path, handler, summary, request, response=response, failures=failures, right=right)


def _share(method: Any, path: str, right: str, act: _Act, rehearsal: _Act, summary: str, *shapes_: Any) -> Route:
    """Return an endpoint that may change a share, and tells with `dryRun=true` what that would do.

    Args:
        rehearsal: Does the same, and returns what it does to shares and queue.
        shapes_: The shape of the answer, and that of the body.
    """

    @functools.wraps(act)
    def handler(call: Call) -> Answer:
        if not _rehearses(call):
            return Json(call.store.write(lambda tx: act(tx, call, _require(tx, call, right))))
        return Json(call.store.rehearse(lambda tx: rehearsal(tx, call, _require(tx, call, right))))

    response, request = shapes_
    alike = _act(method, path, right, act, summary, (response, hubshapes.Rehearsal), request)
    return msgspec.structs.replace(alike, handler=handler, query=hubshapes.ChangeQuery)


def _rehearses(call: Call) -> bool:
    """Return whether nothing is to be saved; spelled in any case, lest somebody save what they meant to try."""
    asked = {value for name, value in call.query.items() if name.lower() == "dryrun"}
    if not asked <= {"true", "false"}:
        raise errors.Invalid(f"`dryRun` is {min(asked - {'true', 'false'})[:40]!r}; it must be true or false.", 1001)
    return "true" in asked


def _require(tx: Transaction, call: Call, right: str) -> Spot:
    path = call.path
    return access.require(tx, call.principal, right, path["hub"], path.get("group"), path.get("project"))


def _bookings(path: str, level: str) -> Iterator[Route]:
    """Return the endpoints of a device's reservations at one level; this server's own, in the style of seed 001."""
    several, one = path + _DEVICE + "/bookings", path + _DEVICE + "/bookings/{booking}"
    read, change = f"read the {level}'s reservations", f"change the {level}'s reservations"
    shape: Any = deviceshapes.Booking
    yield _read(
        several,
        read,
        bookings.list_of_node,
        f"List the reservations of a device that concern a {level}.",
        list[deviceshapes.Booking],
        query=shapes.BookingsQuery,
    )
    added = _act("POST", several, change, bookings.add, f"Reserve a device for a {level}.", shape, bookings.Booking)
    yield msgspec.structs.replace(added, failures=(*added.failures, errors.LimitReached))
    yield _read(one, read, bookings.get, f"Get a reservation that concerns a {level}.", shape)
    yield _act("DELETE", one, change, bookings.cancel, f"Cancel a reservation of a {level}.", shapes.Deleted)


_JOBS: Final[dict[str, Any]] = {"response": shapes.listed(jobshapes.Job), "query": shapes.JobsQuery}
_USAGE: Final[dict[str, Any]] = {"response": hubshapes.Usage, "query": hubshapes.UsageQuery, "media": analytics.CSV}
_ACTS: Final[dict[str, Any]] = {"response": list[hubshapes.Act], "query": hubshapes.ActsQuery}
#: Shapes of answers, each with that of the body if there is one.
_ADMINS: Final = (hubshapes.AdminsChanged, people.Administrators)
_MEMBERS: Final = (hubshapes.MembersChanged, people.Members)
_ALTERED: Final = (hubshapes.Altered, administration.Alteration)
_GRANT: Final = (dict[str, hubshapes.Granted], granting.Granting)
_GROUP_MADE: Final = (hubshapes.GroupMade, administration.Addition)
_PROJECT_MADE: Final = (hubshapes.ProjectMade, administration.Addition)
_DEVICES: Final = list[deviceshapes.HubDevice]

#: Source: seed 001 and protocol 13; what they lack (changes, a group alone, usage below a hub, the hub's own devices
#: and administrators, a project's details, the log) is in their style.
ROUTES: Final[tuple[Route, ...]] = (
    _read(_HUB, "read the hub", administration.get_hub, "Get a hub with all that is in it.", hubshapes.RunHub),
    _share(
        "PUT",
        _HUB,
        "change the hub",
        administration.alter,
        administration.rehearse_alter,
        "Change a hub.",
        *_ALTERED,
    ),
    _read(_HUB + "/jobs/all", "read the hub's jobs", administration.list_jobs, "List the jobs of a hub.", **_JOBS),
    _read(
        _HUB + "/analytics/system-usage",
        "read the hub's usage",
        analytics.system_usage,
        "Sum up the use of a hub.",
        **_USAGE,
    ),
    _read(
        _HUB + "/audit", "read the hub's audit log", administration.list_acts, "List what was done in a hub.", **_ACTS
    ),
    _read(
        _HUB + "/users",
        "read the hub's users",
        administration.get_users,
        "List the users of a hub.",
        hubshapes.HubUsers,
    ),
    _act(
        "POST",
        _HUB + "/users",
        "change the hub's admins",
        people.change_admins,
        "Change who administers a hub.",
        *_ADMINS,
    ),
    _read(_HUB + "/devices", "read the hub's devices", devices.list_of_hub, "List the devices of a hub.", _DEVICES),
    _share(
        "POST",
        _HUB + "/devices",
        "change the hub's devices",
        granting.grant,
        granting.rehearse_grant,
        "Grant a device to a hub.",
        *_GRANT,
    ),
    _act(
        "DELETE",
        _HUB + _DEVICE,
        "change the hub's devices",
        granting.withdraw,
        "Take a device from a hub.",
        shapes.Deleted,
    ),
    _read(
        _HUB + _DETAILS,
        "read the hub's devices",
        granting.details,
        "Get what was set for a device of a hub.",
        hubshapes.Details,
    ),
    _act(
        "POST",
        _HUB + "/Groups",
        "add a group",
        administration.add_group,
        "Add a group.",
        *_GROUP_MADE,
    ),
    _read(
        _GROUP, "read the group", administration.get_group, "Get a group with all that is in it.", hubshapes.RunGroup
    ),
    _share(
        "PUT",
        _GROUP,
        "change a group",
        administration.alter,
        administration.rehearse_alter,
        "Change a group.",
        *_ALTERED,
    ),
    _act("DELETE", _GROUP, "delete a group", administration.remove_group, "Delete a group.", shapes.Deleted),
    _read(
        _GROUP + "/jobs/all", "read the group's jobs", administration.list_jobs, "List the jobs of a group.", **_JOBS
    ),
    _read(
        _GROUP + "/analytics/system-usage",
        "read the group's usage",
        analytics.system_usage,
        "Sum up the use of a group.",
        **_USAGE,
    ),
    _act(
        "POST",
        _GROUP + "/users",
        "change the group's admins",
        people.change_admins,
        "Change who administers a group.",
        *_ADMINS,
    ),
    _share(
        "POST",
        _GROUP + "/devices",
        "change the group's devices",
        granting.grant,
        granting.rehearse_grant,
        "Grant a device to a group.",
        *_GRANT,
    ),
    _act(
        "DELETE",
        _GROUP + _DEVICE,
        "change the group's devices",
        granting.withdraw,
        "Take a device from a group.",
        shapes.Deleted,
    ),
    _read(
        _GROUP + _DETAILS,
        "read the group's devices",
        granting.details,
        "Get what was set for a device of a group.",
        hubshapes.Details,
    ),
    _act("POST", _GROUP + "/Projects", "add a project", administration.add_project, "Add a project.", *_PROJECT_MADE),
    _share(
        "PUT",
        _PROJECT,
        "change a project",
        administration.alter,
        administration.rehearse_alter,
        "Change a project.",
        *_ALTERED,
    ),
    _act(
        "DELETE",
        _PROJECT,
        "delete a project",
        administration.remove_project,
        "Delete a project.",
        hubshapes.ProjectDeleted,
    ),
    _read(
        _PROJECT + "/jobs/all",
        "read the project's jobs",
        administration.list_jobs,
        "List the jobs of a project.",
        **_JOBS,
    ),
    _read(
        _PROJECT + "/analytics/system-usage",
        "read the project's usage",
        analytics.system_usage,
        "Sum up the use of a project.",
        **_USAGE,
    ),
    _read(
        _PROJECT + "/users",
        "read the project's users",
        people.list_members,
        "List the users of a project.",
        hubshapes.ProjectUsers,
    ),
    _act(
        "POST",
        _PROJECT + "/users",
        "change the project's users",
        people.change_members,
        "Change who is a member of a project.",
        *_MEMBERS,
    ),
    _share(
        "POST",
        _PROJECT + "/devices",
        "change the project's devices",
        granting.grant,
        granting.rehearse_grant,
        "Grant a device to a project.",
        *_GRANT,
    ),
    _act(
        "DELETE",
        _PROJECT + _DEVICE,
        "change the project's devices",
        granting.withdraw,
        "Take a device from a project.",
        shapes.Deleted,
    ),
    _read(
        _PROJECT + _DETAILS,
        "read the project's devices",
        granting.details,
        "Get what was set for a device of a project.",
        hubshapes.Details,
    ),
    *_bookings(_HUB, "hub"),
    *_bookings(_GROUP, "group"),
    *_bookings(_PROJECT, "project"),
)
