# SPDX-License-Identifier: Apache-2.0
"""Limits of time from the shell: what hubs, groups and projects may use, and how long one job of a device may take."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from chandelier import errors, figures
from chandelier.cli import folder, output, paths

if TYPE_CHECKING:
    from chandelier.store import Transaction
    from chandelier.tenancy.network import Spot

app = typer.Typer(help="Limits of device time: of places, and of one job.", no_args_is_help=True)

DeviceName = Annotated[
    str | None, typer.Option("--device", metavar="DEVICE", help="Of this device; else of all devices together.")
]


@app.command(
    "set",
    epilog="Example: chandelier limit set lab/students --seconds 36000\n\n"
    "Of one device, in a week: chandelier limit set lab/students --device ibmq_manila --seconds 3600 --days 7",
)
def limit_set(
    path: paths.AnyPath,
    seconds: Annotated[float, typer.Option(metavar="N", help="Device time that may be used in the window, s.")],
    days: Annotated[int, typer.Option(metavar="N", help="Length of the window; the present day in UTC counts.")] = 28,
    device: DeviceName = None,
    data: folder.Data = None,
    dry_run: folder.DryRun = False,
    as_json: output.AsJson = False,
) -> None:
    """Limit the device time of a hub, group or project; jobs beyond it wait, and nothing is cancelled.

    What was used before counts. The limits of a hub and of a group hold for all in it together.
    """
    from chandelier import devices
    from chandelier.tenancy import allowances

    def work(tx: "Transaction") -> dict[str, Any]:
        spot, chosen = paths.get(tx, path), None if device is None else devices.get(tx, device)
        allowances.set_(tx, folder.by(), spot, chosen, seconds, days)
        return next(row for row in _rows(tx, spot) if row["device"] == device and row["path"] == spot.path)

    with folder.opened(data) as store:
        row = folder.write(store, work, dry_run=dry_run)
    where = "all devices together" if device is None else device
    told = f"{row['path']} may use {seconds:g} s of {where} in {days} days, and has used {row['used']:.4g} s"
    told += f"; what runs now should take {row['running']:.4g} s more" if row["running"] else ""
    until = "" if row["again"] is None else f" until {row['again']}"
    told += f".\nNote: with that all of it is used, so its jobs wait{until}" if row["full"] else ""
    told = f"Nothing is changed. Without --dry-run: {told}" if dry_run else told
    output.show(figures.told(row | {"dry_run": dry_run}), told, as_json=as_json)


@app.command("remove", epilog="Example: chandelier limit remove lab/students --device ibmq_manila")
def limit_remove(
    path: paths.AnyPath,
    device: DeviceName = None,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Take a limit of device time away; jobs that waited for it go on."""
    from chandelier import devices
    from chandelier.tenancy import allowances

    def work(tx: "Transaction") -> str:
        spot = paths.get(tx, path)
        allowances.remove(tx, folder.by(), spot, None if device is None else devices.get(tx, device))
        return spot.path

    with folder.opened(data) as store:
        where = store.write(work)
    on = "on all devices together" if device is None else f"on {device}"
    told = f"The limit of {where} {on} is removed; jobs that waited for it go on"
    output.show({"path": where, "device": device, "removed": True}, told, as_json=as_json)


@app.command("list", epilog="Example: chandelier limit list lab")
def limit_list(
    path: Annotated[
        str | None, typer.Argument(metavar="PATH", help="Only what concerns this place, or is in it.")
    ] = None,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """List the limits of device time, what was used of them, and when jobs start again where it is all.

    Used is what ended jobs took, running what those that run now are expected to take; both count.
    """
    with folder.opened(data) as store:
        rows = store.read(lambda tx: _rows(tx, None if path is None else paths.get(tx, path)))
    shown = [
        row
        | {name: f"{row[name]:.4g}" for name in ("used", "running")}
        | {"device": row["device"] or "all together", "again": row["again"] or "-"}
        for row in rows
    ]
    output.show_table(shown, as_json=as_json, document=figures.told(rows))


@app.command(
    "job",
    epilog="Example: chandelier limit job ibmq_manila --seconds 120\n\n"
    "No longer: chandelier limit job ibmq_manila --none",
)
def limit_job(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Name of the device.")],
    seconds: Annotated[float | None, typer.Option(metavar="N", help="Longest time that one job may take, s.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Take the limit away.")] = False,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Refuse jobs of a device that are expected to take longer, so that a long one cannot hold up a class."""
    from chandelier import acts

    if (seconds is None) != none:
        raise errors.Invalid("Give --seconds, or --none to take the limit away.", 1001)
    with folder.opened(data) as store:
        known = store.write(lambda tx: acts.set_max_job_seconds(tx, folder.by(), device, seconds))
    longest = "as long as any job may" if seconds is None else f"{seconds:g} s"
    facts = {"device": known.name, "max_job_seconds": known.max_job_seconds}
    output.show(facts, f"A job of {known.name} may take {longest}", as_json=as_json)


def _rows(tx: "Transaction", wanted: "Spot | None") -> list[dict[str, Any]]:
    from chandelier import devices
    from chandelier.scheduling import limits
    from chandelier.tenancy import allowances, network

    now, names = folder.now(), {str(device.id): device.name for device in devices.list_(tx)}
    rows = []
    for spent in limits.spending(tx, now):
        limit = spent.allowance
        spot = network.spot_of(tx, limit.level, limit.node_id)
        if wanted is not None and not all(one.id == two.id for one, two in zip(spot.way, wanted.way, strict=False)):
            continue
        again = allowances.frees(tx, limit, spent.running, now) if spent.is_all else None
        rows.append(
            {
                "path": spot.path,
                "device": names.get(limit.device_id),
                "seconds": limit.seconds,
                "days": limit.days,
                "used": spent.used - spent.running,
                "running": spent.running,
                "full": spent.is_all,
                "again": None if again is None else f"{again:%Y-%m-%d}",
            }
        )
    return sorted(rows, key=lambda row: (row["path"], row["device"] or ""))
