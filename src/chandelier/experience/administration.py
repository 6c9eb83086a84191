# SPDX-License-Identifier: Apache-2.0
"""Administration of hubs, groups and projects: endpoints of the documents that this release does not serve yet."""

from collections.abc import Mapping
from typing import Final, NoReturn

from chandelier import errors
from chandelier.experience import network
from chandelier.gateway import Call

_GROUP: Final = "/Network/{hub}/Groups/{group}"
_PROJECT: Final = _GROUP + "/Projects/{project}"

#: What each endpoint will do, by path and method. Source: protocol 13.
ENDPOINTS: Final[Mapping[str, Mapping[str, str]]] = {
    "/Network/{hub}/jobs/all": {"GET": "List the jobs of a hub, of all users."},
    _GROUP + "/jobs/all": {"GET": "List the jobs of a group, of all users."},
    _PROJECT + "/jobs/all": {"GET": "List the jobs of a project, of all users."},
    "/Network/{hub}/analytics/system-usage": {"GET": "Sum up the use of a hub."},
    "/Network/{hub}/users": {"GET": "List the users of a hub."},
    "/Network/{hub}/devices/{device}/configurationDetails": {"GET": "Get the limits of a device in a hub."},
    _GROUP + "/devices/{device}/configurationDetails": {"GET": "Get the limits of a device in a group."},
    "/Network/{hub}/Groups": {"POST": "Add a group."},
    _GROUP: {"DELETE": "Delete a group."},
    _GROUP + "/Projects": {"POST": "Add a project."},
    _PROJECT: {"DELETE": "Delete a project."},
    _GROUP + "/devices": {"POST": "Grant a device to a group."},
    _GROUP + "/devices/{device}": {"DELETE": "Take a device from a group."},
    _PROJECT + "/devices": {"POST": "Grant a device to a project."},
    _PROJECT + "/devices/{device}": {"DELETE": "Take a device from a project."},
    _GROUP + "/users": {"POST": "Change who administers a group."},
    _PROJECT + "/users": {"POST": "Change who is a member of a project."},
}


def not_yet(call: Call) -> NoReturn:
    """Say to members of the hub that this is not served yet; to others, that there is no such hub."""
    if "project" in call.path:
        network.place(call)
    network.check_hub(call)
    raise errors.Invalid("Hubs cannot be administered over the API of this server yet.", 1010)
