# SPDX-License-Identifier: Apache-2.0
"""The use of a hub, group or project in numbers: one sum, or many by project, user, device or day; as JSON or CSV."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from chandelier import dates, devices, errors, sheets
from chandelier.experience import bodies
from chandelier.experience.documents import Document
from chandelier.gateway import Answer, Call, Encoded, Json
from chandelier.tenancy import network, usage, users
from chandelier.tenancy.network import Place, Spot
from chandelier.tenancy.usage import Selection, Sums

CSV: Final = "text/csv"
#: The numbers in the order in which a script writes them into columns without looking at their names; times in ms.
#: Source: protocol 13.
_NUMBERS: Final = ("jobs", "executions", "queueTime", "runTime", "averageRunTime", "averageQueueTime")
#: What usage can be grouped by: the columns of the ledger that it takes, and the keys that tell the groups apart.
GROUPS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "hub": ((), ("hub",)),
    "group": (("project_id",), ("group", "deleted", "groupId")),
    "project": (("project_id",), ("group", "project", "deleted", "projectId")),
    "user": (("user_id",), ("userId", "email")),
    "device": (("device_id",), ("backend",)),
    "day": (("day",), ("day",)),
}
_SORTS: Final = ("asc", "desc")
_EPOCH: Final = date(1970, 1, 1)


class Options(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The query parameter `options`, in JSON. Source: seed 001, `system-usage`; `groupBy` is this server's own."""

    all_time: bool = False
    start_date: str | UnsetType = UNSET
    end_date: str | UnsetType = UNSET
    backend: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET
    order_by: str | UnsetType = UNSET
    sort: str | UnsetType = UNSET
    group_by: str | UnsetType = UNSET


def system_usage(call: Call, spot: Spot) -> Answer:
    """Sum up the jobs of a hub, group or project that ended in a time.

    `allTime`, or both `startDate` and `endDate`, must be given; with `allTime` the dates are read, but do not count.
    A date without a time stands for its whole day, so that `endDate` includes it; a time as `endDate` does not include
    itself. `orderBy` and `sort` order the groups of `groupBy`. `format=csv`, or an `Accept` of `text/csv`, gives CSV.
    A job that never ran has waited until its end; `averageRunTime` is that of the jobs that ran.
    Source: seed 001, `system-usage`.
    """
    options = _options(call.query.get("options"))
    form = call.query.get("format") or ("csv" if CSV in call.headers.get("accept", "") else "json")
    if form not in {"csv", "json"}:
        raise errors.Invalid(f"`format` is {form[:40]!r}; it must be json or csv.", 1001)
    selection = _selection(call, spot, options)
    if options.group_by is UNSET:
        _check_order(options, _NUMBERS)
        total = _numbers(usage.total(call.tx, selection))
        return _csv(_NUMBERS, [total]) if form == "csv" else Json({"data": total})
    columns, keys = GROUPS[_known(options.group_by, "groupBy", GROUPS)]
    _check_order(options, (*keys, *_NUMBERS))
    rows = _ordered(options, keys, _rows(call, spot, options.group_by, usage.by(call.tx, selection, columns)))
    return _csv((*keys, *_NUMBERS), rows) if form == "csv" else Json({"data": rows})


def _options(text: str | None) -> Options:
    try:
        return msgspec.json.decode(text or "{}", type=Options)
    except msgspec.ValidationError as failure:
        raise errors.Invalid(f"In `options`, {bodies.worded(str(failure), Options)}", 1001) from failure
    except (msgspec.DecodeError, UnicodeError) as failure:
        raise errors.Invalid('`options` is not JSON; write it like {"allTime": true}.', 1001) from failure
    except RecursionError as failure:
        raise errors.Invalid("`options` is nested too deeply.", 1001) from failure


def _selection(call: Call, spot: Spot, options: Options) -> Selection:
    given = [None if each is UNSET else each for each in (options.start_date, options.end_date)]
    if not options.all_time and None in given:
        raise errors.Invalid("`options` must have `allTime: true`, or both `startDate` and `endDate`.", 1001)
    since, until = dates.span(*given, names=("`startDate`", "`endDate`"))
    if options.all_time:
        since = until = None
    device = None if options.backend is UNSET else devices.find(call.tx, options.backend.replace("\x00", ""))
    return Selection(
        since,
        until,
        project_ids=network.projects_under(call.tx, spot),
        user_ids=None if options.user_id is UNSET else {options.user_id.replace("\x00", "")},
        device_ids=None if options.backend is UNSET else {device.id for device in [device] if device is not None},
    )


def _known(text: str, field: str, known: Iterable[str]) -> str:
    if text not in known:
        raise errors.Invalid(f"`{field}` is {text[:40]!r}; it must be one of {', '.join(known)}.", 1001)
    return text


def _check_order(options: Options, known: Iterable[str]) -> None:
    if options.order_by is not UNSET:
        _known(options.order_by, "orderBy", known)
    if options.sort is not UNSET:
        _known(options.sort.lower(), "sort", _SORTS)


def _numbers(sums: Sums) -> Document:
    return {
        "jobs": sums.jobs,
        "executions": sums.executions,
        "queueTime": sums.queue_ms,
        "runTime": sums.run_ms,
        "averageRunTime": sums.average_run_ms,
        "averageQueueTime": sums.average_queue_ms,
    }


def _rows(call: Call, spot: Spot, group_by: str, sums: Mapping[tuple[Any, ...], Sums]) -> list[Document]:
    """Return a row for each group; projects of one group add up."""
    name = _namer(call, spot, group_by, sums)
    merged: dict[tuple[str | bool, ...], Sums] = {}
    for key, part in sums.items():
        named = name(*key)
        merged[named] = usage.plus(merged.get(named, Sums()), part)
    keys = GROUPS[group_by][1]
    return [dict(zip(keys, named, strict=True)) | _numbers(part) for named, part in merged.items()]


def _namer(
    call: Call, spot: Spot, group_by: str, sums: Iterable[tuple[Any, ...]]
) -> Callable[..., tuple[str | bool, ...]]:
    """Return what gives the values of a group's keys, from those of the ledger.

    Of a name that was free again there may be several projects: they are told apart by their ids.
    """
    memory, tx = call.cloud.memory, call.tx
    known = users.find_all(tx, [key[0] for key in sums]) if group_by == "user" else {}
    namers: Mapping[str, Callable[..., tuple[str | bool, ...]]] = {
        "hub": lambda: (spot.hub.name,),
        "group": lambda project_id: _of_group(memory.place(tx, project_id)),
        "project": lambda project_id: _of_project(memory.place(tx, project_id)),
        "user": lambda user_id: (user_id, known[user_id].email if user_id in known else ""),
        "device": lambda device_id: (memory.device(tx, device_id).name,),
        "day": lambda number: ((_EPOCH + timedelta(days=number)).isoformat(),),
    }
    return namers[group_by]


def _of_group(place: Place) -> tuple[str | bool, ...]:
    return place.group.name, Spot(place.hub, place.group).gone, place.group.id


def _of_project(place: Place) -> tuple[str | bool, ...]:
    return place.group.name, place.project.name, place.spot.gone, place.project.id


def _ordered(options: Options, keys: tuple[str, ...], rows: list[Document]) -> list[Document]:
    rows = sorted(rows, key=lambda row: tuple(row[key] for key in keys))
    by = keys[0] if options.order_by is UNSET else options.order_by
    descending = options.sort is not UNSET and options.sort.lower() == "desc"
    return sorted(rows, key=lambda row: row[by], reverse=descending)


def _csv(heads: Sequence[str], rows: Iterable[Document]) -> Encoded:
    return Encoded(sheets.write(heads, rows).encode(), CSV)
