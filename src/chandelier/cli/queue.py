# SPDX-License-Identifier: Apache-2.0
"""The queue from the shell: who waits for a device, who goes next, and why a job waits."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chandelier import figures
from chandelier.cli import folder, output

if TYPE_CHECKING:
    from chandelier.devices import Device
    from chandelier.scheduling.explanation import Explanation
    from chandelier.scheduling.forecast import Forecast, Standing
    from chandelier.scheduling.outlook import NextChange
    from chandelier.store import Transaction

app = typer.Typer(help="The queue: who goes next, and why a job waits.", no_args_is_help=True)

_COLUMNS = (
    "project",
    "share",
    "of siblings",
    "of all",
    "used (s)",
    "priority",
    "waiting",
    "running",
    "place",
    "next start",
    "held",
)
#: What the columns mean that `share show` has too, and counts otherwise.
_LEGEND = (
    "Of siblings, of all: the share in per cent, among those who have work here or used something lately; "
    "`chandelier share show` counts all.\n"
    "Priority: how the project stands among its siblings; 1 has used nothing lately, 0.5 just its share."
)


@app.command("explain", epilog="Example: chandelier queue explain 6602c6a1e2b8f5d0c1a2b3c4")
def queue_explain(
    job_id: Annotated[str, typer.Argument(metavar="JOB", help="Id of the job.")],
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Say why a job waits: its places, who goes first at each level and why, what holds it, when it should start."""
    from chandelier.jobs import records
    from chandelier.scheduling import explanation, forecast

    slots = folder.settings(data).runners

    def work(tx: "Transaction") -> "Explanation":
        job = records.get(tx, job_id)
        return explanation.explain(tx, forecast.make(tx, folder.now(), slots), job, lambda _spot: True)

    with folder.opened(data) as store:
        found = store.read(work)
    output.show(figures.told(_explained(found)), "\n".join(found.lines), as_json=as_json)


@app.command("show", epilog="Example: chandelier queue show ibmq_manila")
def queue_show(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Name of the device.")],
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Show the queue of a device by project: shares, what was used, what waits and runs, who is next and when.

    Percentages count those alone who have work on the device or used something lately; `share show` counts all.
    """
    from chandelier import devices
    from chandelier.scheduling import forecast

    slots = folder.settings(data).runners

    def work(tx: "Transaction") -> dict[str, Any]:
        chosen = devices.get(tx, device)
        return _queue(tx, chosen, forecast.make(tx, folder.now(), slots))

    with folder.opened(data) as store:
        facts = store.read(work)
    if as_json:
        output.show(figures.told(facts), "", as_json=True)
        return
    typer.echo(_headline(facts))
    rows = [dict(zip(_COLUMNS, _cells(each), strict=True)) for each in facts["projects"]]
    output.show_table(rows, as_json=False)
    if rows:
        typer.echo(_LEGEND)
    for kept in facts["reservations"]:
        typer.echo(f"Reserved for {kept['path']} ({kept['mode']}) from {kept['begins']} to {kept['ends']}")
    if (session := facts["session"]) is not None:
        typer.echo(f"Kept by a session of {session['path']} until {session['until']} at the latest")


def changed(row: "NextChange") -> dict[str, Any]:
    """Return how the place and start of somebody's next job on a device change."""
    import msgspec

    starts = {"start_before": _moment(row.start_before), "start_after": _moment(row.start_after)}
    return msgspec.structs.asdict(row) | starts


def _queue(tx: "Transaction", device: "Device", seen: "Forecast") -> dict[str, Any]:
    """Return everything about a device's queue."""
    from chandelier.scheduling import reservations
    from chandelier.tenancy import network

    running, sitting = [each for each in seen.running if each.device_id == device.id], seen.kept.get(device.id)
    projects = [each for (where, _), each in seen.standings.items() if where == device.id and each.level == 3]
    rows = [_project(tx, device, seen, each) for each in projects]
    rows = [row for row in rows if row["waiting"] or row["running"] or row["used"] > 0.1]
    quality = seen.qualities.get(device.id)
    return {
        "device": device.name,
        "state": device.status,
        "message": device.remark,
        "waiting": sum(row["waiting"] for row in rows),
        "running": [
            {"job": each.id, "path": network.get(tx, each.project_id).path, "started": output.time(each.started)}
            for each in running
        ],
        "next": next((row["path"] for row in rows if row["next"]), None),  # of a device that starts nothing, nobody
        "projects": sorted(rows, key=lambda row: (row["place"] is None, row["place"], -row["waiting"], row["path"])),
        "reservations": [
            {
                "path": network.spot_of(tx, each.level, each.node_id).path,
                "mode": each.mode,
                "begins": output.time(each.begins),
                "ends": output.time(each.ends),
            }
            for each in reservations.list_(tx, device_id=device.id, since=seen.at)
        ],
        "session": None
        if sitting is None
        else {
            "id": sitting.session_id,
            "path": network.get(tx, sitting.project_id).path,
            "until": output.time(sitting.until),
        },
        "quality": None if quality is None else {"p50": quality.p50, "p90": quality.p90},
    }


def _project(tx: "Transaction", device: "Device", seen: "Forecast", mine: "Standing") -> dict[str, Any]:
    from chandelier.scheduling import outlook as outlooks
    from chandelier.tenancy import network

    place = network.get(tx, mine.node_id)
    whole = 1.0
    for node in place.spot.way:
        whole *= seen.standings[device.id, node.id].fraction
    first = outlooks.next_of(seen, device.id, [mine.node_id])
    hold = seen.held.get((device.id, mine.node_id))
    following = seen.following.get(device.id)
    return {
        "path": place.path,
        "share": round(mine.weight),
        "percent": 100 * mine.fraction,
        "percent_of_all": 100 * whole,
        "used": mine.usage,
        "priority": mine.fairness,
        "waiting": mine.queued,
        "running": sum(each.device_id == device.id and each.project_id == mine.node_id for each in seen.running),
        "next": device.conduct.starts and following is not None and following.project_id == mine.node_id,
        "place": None if first is None else first.overall,
        "start": None if first is None else _moment(first.start),
        "held": None if hold is None else hold.text,
    }


def _headline(facts: dict[str, Any]) -> str:
    state = "" if facts["state"] == "active" else f" ({facts['state']}{facts['message'] and ': '}{facts['message']})"
    runs = f"{len(facts['running'])} running"
    due = "" if facts["next"] is None else f"; {facts['next']} goes next"
    return f"{facts['device']}{state}: {facts['waiting']} waiting, {runs}{due}"


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    shares = (row["share"], f"{row['percent']:.2f} %", f"{row['percent_of_all']:.2f} %")
    numbers = (round(row["used"], 1), round(row["priority"], 3))
    return (row["path"], *shares, *numbers, row["waiting"], row["running"], row["place"], row["start"], row["held"])


def _explained(found: "Explanation") -> dict[str, Any]:
    """Return an explanation as a JSON document."""
    import msgspec

    estimate = None
    if found.estimate is not None:
        times = ("start", "end", "earliest", "latest")
        estimate = {name: output.time(getattr(found.estimate, name)) for name in times}
        estimate["quality"] = msgspec.to_builtins(found.estimate.quality)
    return {
        "id": found.job.id,
        "state": str(found.job.state),
        "device": found.device.name,
        "path": found.place.path,
        "position": found.position,
        "global_position": found.overall,
        "levels": msgspec.to_builtins(found.steps),
        "hold": msgspec.to_builtins(found.hold),
        "estimate": estimate,
        "lines": list(found.lines),
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else output.time(datetime.fromtimestamp(seconds, UTC))
