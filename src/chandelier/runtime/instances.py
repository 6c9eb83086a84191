# SPDX-License-Identifier: Apache-2.0
"""Instances: each project is one, named by a CRN; how clients find them, and what was used of them.

Source: protocol of the Runtime API 2.3, 3 and 5.
"""

import math
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from chandelier import errors
from chandelier.gateway import Call, Json
from chandelier.jobs import finding, lifecycle
from chandelier.jobs.finding import Choice
from chandelier.runtime import documents
from chandelier.tenancy import access, allowances, usage
from chandelier.tenancy.allowances import Standing
from chandelier.tenancy.network import Place
from chandelier.tenancy.usage import Selection

Names = tuple[str, str, str]

#: The one plan of every instance; a path of the API, so that no catalogue of another host is needed.
PLAN: Final = "chandelier-plan"
_BEFORE: Final = "crn:v1:bluemix:public:quantum-computing:us-east:a/chandelier:"
# Cloud, region and account may be others: clients make a host name of the region.
_CRN: Final = re.compile(r"crn:v1:[^:]*:[^:]*:quantum-computing:[^:]*:[^:]*:([^:/]+)/([^:/]+)/([^:/]+)::")
_LONGEST: Final = 200
_MOST_FOUND: Final = 100
_ANY_NUMBER: Final = 2**31 - 1


class Search(msgspec.Struct, frozen=True):
    """The body of a search; there is nothing else to be found, so what is looked for plays no part."""

    query: str = ""


def crn(place: Place) -> str:
    """Return how clients name a project."""
    return f"{_BEFORE}{place.path}::"


def names(text: str) -> Names | None:
    """Return hub, group and project of a CRN, or of a path; None if it is neither.

    >>> names("crn:v1:bluemix:public:quantum-computing:us-east:a/chandelier:ibm-q/open/main::")
    ('ibm-q', 'open', 'main')
    >>> names("ibm-q/open/main")
    ('ibm-q', 'open', 'main')
    """
    found = _CRN.fullmatch(text)
    parts = found.groups() if found is not None else tuple(text.split("/"))
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 and all(parts) else None


def named(call: Call) -> str | None:
    """Return the instance that a request is about, as it names it: by a header, or as clients before 2025 do."""
    instance = call.headers.get("service-crn") or call.query.get("provider")
    return None if instance in {None, "", "None"} else instance


def place(call: Call, instance: str | None = None) -> Place:
    """Return the project that a request is about; the caller's default one where it names none.

    Args:
        instance: What the request names beside its headers.

    Raises:
        errors.NotFound: It is not the caller's, or none.
    """
    wanted = instance or named(call)
    known = None if wanted is None else names(wanted)
    if wanted is not None and known is None:
        raise _no_instance(call, wanted)
    homes, key = call.cloud.memory.homes, (call.principal.user_id, known or ("", "", ""))
    found = homes.get(key)
    if found is not None:
        return found
    try:
        return homes.keep(call.tx, key, access.place(call.tx, call.principal, known))
    except errors.NotFound as failure:
        if wanted is None:
            raise
        raise _no_instance(call, wanted) from failure


def _no_instance(call: Call, wanted: str) -> errors.NotFound:
    mine = access.places(call.tx, call.principal)
    hint = f" One that is: {crn(mine[0])}" if mine else " You are not a member of any project."
    return errors.NotFound(f"The instance {wanted[:_LONGEST]!r} is no project of yours.{hint}", 2005)


def search(call: Call) -> Json:
    """List the caller's instances."""
    call.json(Search)
    start = _number(call, "search_cursor", 0)
    limit = max(1, min(_number(call, "limit", _MOST_FOUND), _MOST_FOUND))
    mine = access.places(call.tx, call.principal)
    following = start + limit
    return Json(
        {
            "items": [_item(place) for place in mine[start:following]],
            "limit": limit,
            "search_cursor": str(following) if following < len(mine) else None,
        }
    )


def _item(place: Place) -> dict[str, Any]:
    return {
        "crn": crn(place),
        "name": place.path,
        "service_name": "quantum-computing",
        "service_plan_unique_id": PLAN,
        "region": "us-east",
        "type": "resource-instance",
        "tags": [],
        # An instance without extensions is taken for one without devices.
        "doc": {"extensions": {"project": place.path}, "name": place.path, "crn": crn(place)},
    }


def list_resources(call: Call) -> Json:
    """List the caller's instances of a name."""
    wanted = call.query.get("name")
    mine = access.places(call.tx, call.principal)
    found = [place for place in mine if wanted is None or wanted in {place.path, crn(place)}]
    resources = [
        {"crn": crn(place), "id": crn(place), "guid": place.project_id, "name": place.path, "state": "active"}
        for place in found
    ]
    return Json({"rows_count": len(resources), "next_url": None, "resources": resources})


def get_plan(_call: Call) -> Json:
    """Describe the plan of all instances: nothing here costs anything."""
    return Json(
        {
            "id": PLAN,
            "name": "open",
            "kind": "plan",
            "overview_ui": {"en": {"display_name": "Open", "description": "Projects of this cloud."}},
            "metadata": {"pricing": {"type": "free"}},
        }
    )


def get_usage(call: Call) -> Json:
    """Say what was used of an instance, and what is left of its limit: of the one that is nearest."""
    home = place(call)
    nearest = _nearest(allowances.standings(call.tx, call.now), home)
    since = _beginning(call, allowances.USUAL_DAYS if nearest is None else nearest.allowance.days)
    used = usage.total(call.tx, Selection(since=since, project_ids=[home.project_id])).cost_ms / 1000
    document: dict[str, Any] = {
        "instance_id": crn(home),
        "plan_id": PLAN,
        "usage_consumed_seconds": used,
        "usage_period": {"start_time": documents.date(since), "end_time": documents.date(call.now)},
        "usage_limit_reached": False,
    }
    if nearest is not None:
        # The limit may be that of a whole hub: what others used of it counts as well.
        document |= {
            "usage_consumed_seconds": nearest.used,
            "usage_limit_seconds": nearest.allowance.seconds,
            "usage_remaining_seconds": max(0.0, nearest.allowance.seconds - nearest.used),
            "usage_limit_reached": nearest.used >= nearest.allowance.seconds,
        }
    return Json(document)


def get_usage_by_instance(call: Call) -> Json:
    """Say what was used of each instance, as clients of 2025 and before are told."""
    most = call.cloud.rules.max_pending_jobs
    since, standings = _beginning(call, allowances.USUAL_DAYS), allowances.standings(call.tx, call.now)
    found = []
    for home in access.places(call.tx, call.principal)[:_MOST_FOUND]:
        mine = Choice(call.principal.user_id, frozenset({home.project_id}), states=lifecycle.ACTIVE)
        nearest = _nearest(standings, home)
        used = usage.total(call.tx, Selection(since=since, project_ids=[home.project_id])).cost_ms / 1000
        found.append(
            {
                "instance": home.path,
                "pendingJobs": finding.count(call.tx, mine),
                "maxPendingJobs": _ANY_NUMBER if most < 0 else most,
                "quota": _ANY_NUMBER if nearest is None else math.floor(nearest.allowance.seconds),
                "usage": math.ceil(used if nearest is None else nearest.used),
            }
        )
    return Json({"byInstance": found})


def _beginning(call: Call, days: int) -> datetime:
    """Return when a window of days began: they are whole ones in UTC, the present one included."""
    today = call.now.replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days - 1)


def _nearest(standings: Iterable[Standing], home: Place) -> Standing | None:
    """Return the limit of all devices together of which the least is left, if there is one."""
    way = {node.id for node in home.spot.way}
    mine = (each for each in standings if each.allowance.node_id in way and each.allowance.device_id == allowances.ALL)
    return min(mine, key=lambda each: each.allowance.seconds - each.used, default=None)


def _number(call: Call, name: str, usual: int) -> int:
    text = call.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else usual
