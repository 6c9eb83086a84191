# SPDX-License-Identifier: Apache-2.0
"""Hubs, groups and projects as their members see them."""

from chandelier import errors
from chandelier.experience import documents
from chandelier.gateway import Call, Json
from chandelier.tenancy import access
from chandelier.tenancy.network import Place


def place(call: Call) -> Place:
    """Return the place that the path names, or the caller's default place."""
    names = named(call)
    homes, key = call.cloud.memory.homes, (call.principal.user_id, names)
    known = homes.get(key)
    if known is not None:
        return known
    return homes.keep(call.tx, key, access.place(call.tx, call.principal, names if all(names) else None))


def named(call: Call) -> tuple[str, str, str]:
    """Return hub, group and project as the path names them, empty where it does not."""
    return call.path.get("hub", ""), call.path.get("group", ""), call.path.get("project", "")


def visible(call: Call) -> Place:
    """Return the place that the path names, also to who administers it and is no member."""
    return access.visible(call.tx, call.principal, named(call))


def list_hubs(call: Call) -> Json:
    """Return the caller's hubs with groups, projects and devices; those they administer too.

    Of these no project is told that the caller is no member of: clients take each for one to submit jobs in.
    """
    places = access.places(call.tx, call.principal)
    administered = access.administered(call.tx, call.principal)
    granted = {place.project.id: access.available(call.tx, place) for place in places}
    return Json(documents.hubs(places, granted, administered))


def check_hub(call: Call) -> None:
    """Make sure that the hub that the path names is one of the caller's.

    Raises:
        errors.NotFound: It is not, or there is none of this name.
    """
    name = call.path["hub"]
    if all(place.hub.name != name for place in access.places(call.tx, call.principal)):
        raise errors.NotFound(f"There is no hub {name!r}, or you are not a member.", 3001)
