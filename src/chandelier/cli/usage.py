# SPDX-License-Identifier: Apache-2.0
"""Usage from the shell: what was run, by whom, where, when."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chandelier import dates, errors
from chandelier.cli import folder, output, paths

if TYPE_CHECKING:
    from chandelier.store import Transaction
    from chandelier.tenancy.network import ProjectId
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

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="WHEN",
        help="First day, like 2026-03-01 or 03/01/2026, or moment, like 2026-03-01T12:00. UTC.",
    ),
]
To = Annotated[
    str | None, typer.Option("--to", metavar="WHEN", help="Last day (all of it counts), or the moment to end before.")
]
Keys = Annotated[
    list[Key] | None,
    typer.Option("--by", metavar="|".join(Key), help="Sum by this; may be given several times. Default: project."),
]


@app.command(
    "report",
    epilog="Example: chandelier usage report lab --from 2026-03-01 --to 2026-03-31 --by user\n\n"
    "For a spreadsheet: chandelier usage report --by project --by day --csv > usage.csv",
)
def usage_report(
    path: Annotated[
        str | None, typer.Argument(metavar="PATH", help="Only this hub, group or project; also one that is removed.")
    ] = None,
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
    start, end = dates.span(since, until, names=("--from", "--to"))
    with folder.opened(data) as store:
        sums, gone = store.read(lambda tx: (_summed(tx, path, start, end, keys), path is not None and _gone(tx, path)))
    rows = [dict(zip(keys, labels, strict=True)) | _facts(sums[labels]) for labels in sorted(sums)]
    total = _facts(_together(sums.values()))
    if as_csv:
        output.show_csv([*keys, *total], rows)
        return
    if gone and not as_json:
        typer.echo(f"{(path or '').strip('/')} (removed)")
    document = {
        "path": path and path.strip("/"),
        "removed": gone,
        "from": output.time(start),
        "to": output.time(end),
        "by": keys,
        "rows": rows,
        "total": total,
    }
    last = dict.fromkeys(keys, "") | {keys[0]: "total"} | total
    output.show_table([*rows, last] if rows else [], as_json=as_json, document=document)


def _summed(
    tx: "Transaction", path: str | None, since: datetime | None, until: datetime | None, keys: list[Key]
) -> "dict[tuple[str, ...], Sums]":
    """Return the sums by what people call each key."""
    from chandelier.tenancy import usage

    project_ids = None if path is None else _projects(tx, path)
    selection = usage.Selection(since=since, until=until, project_ids=project_ids)
    columns = tuple(dict.fromkeys(_COLUMNS[key] for key in keys))
    names = {key: _naming(tx, key) for key in keys}
    found: dict[tuple[str, ...], Sums] = {}
    for ids, sums in usage.by(tx, selection, columns).items():
        known = dict(zip(columns, ids, strict=True))
        labels = tuple(names[key](known[_COLUMNS[key]]) for key in keys)
        found[labels] = usage.plus(found.get(labels, usage.Sums()), sums)
    return found


def _projects(tx: "Transaction", path: str) -> "frozenset[ProjectId]":
    """Return the projects that used something and have, or had, a path, or are or were in what has it.

    Raises:
        errors.NotFound: Nothing has, or ever had, the path.
    """
    from chandelier.tenancy import network, usage

    names = tuple(paths.split(path))
    if network.past_spot(tx, *names) is None:
        paths.get(tx, path)  # says which part of it is missing
    used = (network.get(tx, project_id) for (project_id,) in usage.by(tx, usage.Selection(), ("project_id",)))
    return frozenset(
        place.project_id for place in used if tuple(node.name for node in place.spot.way)[: len(names)] == names
    )


def _gone(tx: "Transaction", path: str) -> bool:
    """Tell whether what had a path is removed, and nothing else has it."""
    from chandelier.tenancy import network

    return network.spot(tx, *paths.split(path)) is None


def _naming(tx: "Transaction", key: Key) -> Callable[[Any], str]:
    """Return the function from what the ledger has for a key to what people call it."""
    from chandelier import devices
    from chandelier.tenancy import users

    if key is Key.DAY:
        return lambda day: (date(1970, 1, 1) + timedelta(days=day)).isoformat()
    if key is Key.USER:
        emails = {user.id: user.email for user in users.list_(tx)}
        return lambda user_id: emails[user_id]
    if key is Key.DEVICE:
        return functools.cache(lambda device_id: devices.get_by_id(tx, device_id).name)
    return _places(tx, [Key.HUB, Key.GROUP, Key.PROJECT].index(key) + 1)


def _places(tx: "Transaction", depth: int) -> Callable[[Any], str]:
    """Return the function from a project to the path of its hub, group or itself; what is removed is marked.

    Of several that had one path each is marked with the time when it was removed.
    """
    from chandelier.tenancy import network, usage

    paths_of: dict[str, tuple[str, str, datetime | None]] = {}
    for (project_id,) in usage.by(tx, usage.Selection(), ("project_id",)):
        way = network.get(tx, project_id).spot.way[:depth]
        ended = min((node.deleted for node in way if node.deleted is not None), default=None)
        paths_of[project_id] = ("/".join(node.name for node in way), way[-1].id, ended)
    removed = Counter(path for path, _, ended in set(paths_of.values()) if ended is not None)

    def named(project_id: str) -> str:
        path, _, ended = paths_of[project_id]
        if ended is None:
            return path
        return f"{path} (removed)" if removed[path] == 1 else f"{path} (removed {output.time(ended)})"

    return named


def _together(many: "Iterable[Sums]") -> "Sums":
    from chandelier.tenancy import usage

    return functools.reduce(usage.plus, many, usage.Sums())


def _facts(sums: "Sums") -> dict[str, Any]:
    """Return sums as people read them: seconds, and averages over the jobs; of the runs over those that ran."""
    return {
        "jobs": sums.jobs,
        "executions": sums.executions,
        "queue_seconds": sums.queue_ms / 1000,
        "run_seconds": sums.run_ms / 1000,
        "device_seconds": sums.cost_ms / 1000,
        "average_queue_seconds": round(sums.average_queue_ms / 1000, 3),
        "average_run_seconds": round(sums.average_run_ms / 1000, 3),
    }
