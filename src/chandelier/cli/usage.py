# SPDX-License-Identifier: Apache-2.0
"""Usage from the shell: what was run, by whom, where, when."""

import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chandelier import errors
from chandelier.cli import folder, output, paths

if TYPE_CHECKING:
    from chandelier.store import Transaction
    from chandelier.tenancy.usage import Sums

app = typer.Typer(help="Usage: what was run, by whom, where and when.", no_args_is_help=True)


class Key(StrEnum):
    """What usage can be summed by."""

    HUB = "hub"
    GROUP = "group"
    PROJECT = "project"
    USER = "user"
    DEVICE = "device"
    DAY = "day"


#: The column of the ledger that each is read from.
_COLUMNS: Final[Mapping[Key, str]] = {
    Key.HUB: "project_id",
    Key.GROUP: "project_id",
    Key.PROJECT: "project_id",
    Key.USER: "user_id",
    Key.DEVICE: "device_id",
    Key.DAY: "day",
}

Keys = Annotated[
    list[Key] | None,
    typer.Option("--by", metavar="|".join(Key), help="Sum by this; may be given several times. Default: project."),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="WHEN", help="First day, like 2026-03-01, or moment, like 2026-03-01T12:00. UTC."),
]
To = Annotated[
    str | None, typer.Option("--to", metavar="WHEN", help="Last day (all of it counts), or the moment to end before.")
]


@app.command(
    "report",
    epilog="Example: chandelier usage report lab --from 2026-03-01 --to 2026-03-31 --by user\n\n"
    "For a spreadsheet: chandelier usage report --by project --by day --csv > usage.csv",
)
def usage_report(
    path: Annotated[str | None, typer.Argument(metavar="PATH", help="Only this hub, group or project.")] = None,
    since: From = None,
    until: To = None,
    by: Keys = None,
    data: folder.Data = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values instead of text.")] = False,
    as_json: output.AsJson = False,
) -> None:
    """Sum the jobs that ended: their number, executions, and their waiting, running and device time in seconds.

    Without dates all of the time counts, without `--by` it is summed by project.
    """
    if as_csv and as_json:
        raise errors.Invalid("Give --csv or --json, not both.", 1001)
    keys = list(dict.fromkeys(by or [Key.PROJECT]))
    start, end = _moment("--from", since, last=False), _moment("--to", until, last=True)
    with folder.opened(data) as store:
        sums = store.read(lambda tx: _summed(tx, path, start, end, keys))
    rows = [dict(zip(keys, labels, strict=True)) | _facts(sums[labels]) for labels in sorted(sums)]
    total = _facts(_together(sums.values()))
    if as_csv:
        output.show_csv([*keys, *total], rows)
        return
    document = {
        "from": output.time(start),
        "to": output.time(end),
        "by": keys,
        "rows": rows,
        "total": total,
    }
    last = dict.fromkeys(keys, "") | {keys[0]: "total"} | total
    output.show_table([*rows, last] if rows else [], as_json=as_json, document=document)


def _moment(option: str, text: str | None, *, last: bool) -> datetime | None:
    """Return the moment that a text means; of a day its beginning or, if it is the last one, its end."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise errors.Invalid(
            f"{option} is {text!r}; write a day like 2026-03-01 or a moment like 2026-03-01T12:00.", 1001
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment + timedelta(days=1) if last and len(text) <= len("2026-03-01") else moment


def _summed(
    tx: "Transaction", path: str | None, since: datetime | None, until: datetime | None, keys: list[Key]
) -> "dict[tuple[str, ...], Sums]":
    """Return the sums by what people call each key."""
    from chandelier.tenancy import network, usage

    project_ids = None if path is None else network.projects_under(tx, paths.get(tx, path))
    selection = usage.Selection(since=since, until=until, project_ids=project_ids)
    columns = tuple(dict.fromkeys(_COLUMNS[key] for key in keys))
    names = {key: _naming(tx, key) for key in keys}
    found: dict[tuple[str, ...], list[Sums]] = {}
    for ids, sums in usage.by(tx, selection, columns).items():
        known = dict(zip(columns, ids, strict=True))
        found.setdefault(tuple(names[key](known[_COLUMNS[key]]) for key in keys), []).append(sums)
    return {labels: _together(each) for labels, each in found.items()}


def _naming(tx: "Transaction", key: Key) -> Callable[[Any], str]:
    """Return the function from what the ledger has for a key to what people call it."""
    from chandelier import devices
    from chandelier.tenancy import network, users

    if key is Key.DAY:
        return lambda day: (date(1970, 1, 1) + timedelta(days=day)).isoformat()
    if key is Key.USER:
        emails = {user.id: user.email for user in users.list_(tx)}
        return lambda user_id: emails[user_id]
    if key is Key.DEVICE:
        return functools.cache(lambda device_id: devices.get_by_id(tx, device_id).name)
    depth = [Key.HUB, Key.GROUP, Key.PROJECT].index(key) + 1

    @functools.cache
    def named(project_id: str) -> str:
        way = network.get(tx, project_id).spot.way[:depth]
        path = "/".join(node.name for node in way)
        return f"{path} (removed)" if any(node.deleted for node in way) else path

    return named


def _together(many: "Iterable[Sums]") -> "Sums":
    from chandelier.tenancy.usage import Sums

    listed = list(many)
    return Sums(*(sum(getattr(each, name) for each in listed) for name in Sums.__struct_fields__))


def _facts(sums: "Sums") -> dict[str, Any]:
    """Return sums as people read them: seconds, and averages over the jobs."""
    jobs = sums.jobs or 1
    return {
        "jobs": sums.jobs,
        "executions": sums.executions,
        "queue_seconds": sums.queue_ms / 1000,
        "run_seconds": sums.run_ms / 1000,
        "device_seconds": sums.cost_ms / 1000,
        "average_queue_seconds": round(sums.queue_ms / jobs / 1000, 3),
        "average_run_seconds": round(sums.run_ms / jobs / 1000, 3),
    }
