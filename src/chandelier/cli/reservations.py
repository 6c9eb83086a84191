# SPDX-License-Identifier: Apache-2.0
"""Reservations from the shell: times for which a device is kept, and how much of them each hub may have."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chandelier import errors
from chandelier.cli import folder, output, paths

if TYPE_CHECKING:
    from chandelier.scheduling.reservations import Reservation
    from chandelier.store import Transaction

app = typer.Typer(help="Reservations: times for which a device is kept.", no_args_is_help=True)


class Mode(StrEnum):
    """What becomes of others meanwhile."""

    PRIORITY = "priority"
    DEDICATED = "dedicated"


_UNITS: Final[Mapping[str, timedelta]] = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
#: Beyond it the calendar could end within a reservation.
_LAST_YEAR: Final = 9000
_LENGTH: Final = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)([mhd])")

From = Annotated[
    str | None, typer.Option("--from", metavar="WHEN", help="Like 2026-03-01T14:00, in UTC; without it, now.")
]
To = Annotated[str | None, typer.Option("--to", metavar="WHEN", help="When it ends.")]
For = Annotated[str | None, typer.Option("--for", metavar="TIME", help="How long it lasts: 90m, 2h or 1d.")]
Chosen = Annotated[
    Mode, typer.Option("--mode", help="priority: their jobs go first; dedicated: nobody else's jobs begin.")
]


@app.command(
    "add",
    epilog="Example: chandelier reservation add campus/class ibmq_manila --from 2026-03-02T14:00 --for 2h",
)
def reservation_add(
    path: paths.AnyPath,
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Name of the device.")],
    begins: From = None,
    ends: To = None,
    length: For = None,
    mode: Chosen = Mode.PRIORITY,
    data: folder.Data = None,
    dry_run: folder.DryRun = False,
    as_json: output.AsJson = False,
) -> None:
    """Keep a device for a hub, a group or a project: with all that is in it."""
    from chandelier import devices, setup
    from chandelier.scheduling import reservations
    from chandelier.scheduling.reservations import Wanted

    by = folder.by()
    # Of whole seconds, as it is shown: the next reservation may begin where this one is said to end.
    start = by.now.replace(microsecond=0) if begins is None else _moment("--from", begins)
    wanted = Wanted(mode.value, start, _end(start, ends, length))
    terms = setup.terms(folder.settings(data))

    def work(tx: "Transaction") -> dict[str, Any]:
        spot = paths.get(tx, path)
        made = reservations.add(tx, by, spot, devices.get(tx, device), wanted, terms, known=lambda _: True)
        rest = reservations.left(tx, spot, made.span, terms)
        return _facts(tx, made) | {"left_hours": round(rest / 3600, 2)}

    with folder.opened(data) as store:
        made = folder.write(store, work, dry_run=dry_run)
    if dry_run:
        made["id"] = None
    time = f"from {made['begins']} to {made['ends']}"
    text = (
        f"{device} is reserved for {made['path']} {time} ({mode}).\n{made['left_hours']:g} h are left around this time."
    )
    text += "\nNothing is changed." if dry_run else f"\nTo cancel: chandelier reservation cancel {made['id']}"
    output.show(made | {"dry_run": dry_run}, text, as_json=as_json)


@app.command("list", epilog="Example: chandelier reservation list campus --device ibmq_manila")
def reservation_list(
    path: Annotated[str | None, typer.Argument(metavar="PATH", help="Only those in this hub or group.")] = None,
    device: Annotated[str | None, typer.Option(help="Only those of this device.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Past ones too.")] = False,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """List the reservations that stand, the next first."""
    from chandelier import devices
    from chandelier.scheduling import reservations

    def work(tx: "Transaction") -> list[dict[str, Any]]:
        wanted = None if path is None else paths.get(tx, path).path
        chosen = None if device is None else devices.get(tx, device).id
        since = None if everything else folder.now()
        rows = [_facts(tx, each) for each in reservations.list_(tx, device_id=chosen, since=since)]
        return [row for row in rows if wanted is None or f"{row['path']}/".startswith(f"{wanted}/")]

    with folder.opened(data) as store:
        output.show_table(store.read(work), as_json=as_json)


@app.command("cancel", epilog="Example: chandelier reservation cancel 5f1c2a9b3d4e5f60718293a4")
def reservation_cancel(
    reservation: Annotated[str, typer.Argument(metavar="ID", help="As `reservation list` shows it.")],
    data: folder.Data = None,
    dry_run: folder.DryRun = False,
    as_json: output.AsJson = False,
) -> None:
    """Cancel a reservation; what lies ahead of it is free again, and the hub's to reserve."""
    from chandelier.scheduling import reservations

    def work(tx: "Transaction") -> dict[str, Any]:
        return _facts(tx, reservations.cancel(tx, folder.by(), reservations.get(tx, reservation)))

    with folder.opened(data) as store:
        gone = folder.write(store, work, dry_run=dry_run)
    text = f"The reservation of {gone['device']} for {gone['path']} from {gone['begins']} is cancelled."
    output.show(
        gone | {"dry_run": dry_run},
        f"Nothing is changed. Without --dry-run: {text}" if dry_run else text,
        as_json=as_json,
    )


@app.command("quota", epilog="Example: chandelier reservation quota campus 60")
def reservation_quota(
    hub: Annotated[str, typer.Argument(metavar="HUB", help="Name of the hub.")],
    hours: Annotated[
        float | None, typer.Argument(metavar="HOURS", help="Device time in any 28 days; without it, say what it is.")
    ] = None,
    data: folder.Data = None,
    dry_run: folder.DryRun = False,
    as_json: output.AsJson = False,
) -> None:
    """Show or set how many hours of device time a hub may reserve in any 28 days."""
    from chandelier import setup
    from chandelier.scheduling import quotas, reservations

    terms = setup.terms(folder.settings(data))
    by = folder.by()

    def work(tx: "Transaction") -> dict[str, Any]:
        spot = paths.get(tx, hub, "hub")
        if hours is not None:
            quotas.set_(tx, by, spot, 3600 * hours)
        known = quotas.find(tx, spot.hub.id)
        allowed = terms.quota if known is None else known
        left = reservations.left(tx, spot, (by.now, by.now), terms)
        return {
            "hub": spot.path,
            "hours": allowed / 3600,
            "default": known is None,
            "left_hours": round(left / 3600, 2),
        }

    with folder.opened(data) as store:
        facts = folder.write(store, work, dry_run=dry_run) if hours is not None else store.read(work)
    default = " (the default)" if facts["default"] else ""
    text = f"{hub} may reserve {facts['hours']:g} h of device time in any 28 days{default}; "
    text += f"{facts['left_hours']:g} h are left."
    output.show(
        facts | {"dry_run": dry_run},
        f"Nothing is changed. Without --dry-run: {text}" if dry_run else text,
        as_json=as_json,
    )


def _end(begins: datetime, ends: str | None, length: str | None) -> datetime:
    if (ends is None) == (length is None):
        raise errors.Invalid("Give --to or --for, and not both.", 1001)
    if ends is not None:
        return _moment("--to", ends)
    assert length is not None
    found = _LENGTH.fullmatch(length)
    if not found or begins.year > _LAST_YEAR:
        raise errors.Invalid(f"--for is {length!r}; write it like 90m, 2h or 1d.", 1001)
    return begins + float(found.group(1)) * _UNITS[found.group(2)]


def _moment(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise errors.Invalid(f"{option} is {text!r}; write it like 2026-03-01T14:00 (UTC).", 1001) from None


def _facts(tx: "Transaction", known: "Reservation") -> dict[str, Any]:
    from chandelier import devices
    from chandelier.tenancy import network

    begins, ends = known.span
    return {
        "id": known.id,
        "path": network.spot_of(tx, known.level, known.node_id).path,
        "device": devices.get_by_id(tx, known.device_id).name,
        "mode": known.mode,
        "begins": _text(begins),
        "ends": _text(ends),
        "by": known.who,
    }


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
