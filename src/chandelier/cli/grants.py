# SPDX-License-Identifier: Apache-2.0
"""Grants from the shell: who has which device, with what share and within what limits."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chandelier import errors
from chandelier.cli import folder, output, paths, queue, shares

if TYPE_CHECKING:
    from chandelier.devices import Device
    from chandelier.store import Transaction
    from chandelier.tenancy.grants import Grant, Limits
    from chandelier.tenancy.network import Spot

app = typer.Typer(help="Grants: who has which device, with what share and limits.", no_args_is_help=True)


class Switch(StrEnum):
    """Allowed or not."""

    ON = "on"
    OFF = "off"


DeviceName = Annotated[str, typer.Argument(metavar="DEVICE", help="Name of the device.")]
NewShare = Annotated[
    int | None, typer.Option("--share", metavar="N", help="Weight for this device among its siblings, 1 to 10000.")
]
MaxShots = Annotated[int | None, typer.Option(metavar="N", help="Most shots of an experiment.")]
MaxExperiments = Annotated[int | None, typer.Option(metavar="N", help="Most experiments of a job.")]
MaxRunning = Annotated[int | None, typer.Option(metavar="N", help="Most jobs that run at once.")]
MaxPending = Annotated[int | None, typer.Option(metavar="N", help="Most jobs that wait or run.")]
OpenPulse = Annotated[Switch | None, typer.Option(metavar="on|off", help="Whether pulses are allowed.")]
PulseQubits = Annotated[int | None, typer.Option(metavar="N", help="Most qubits that pulses may act on.")]
PulseChannels = Annotated[int | None, typer.Option(metavar="N", help="Most channels that pulses may use.")]
NoLimits = Annotated[bool, typer.Option("--no-limits", help="First forget the limits that were set here.")]
Above = Annotated[bool, typer.Option("--above", help="Grant it to the hub and the group above too if they lack it.")]


@app.command(
    "set",
    epilog="Example: chandelier grant set lab ibmq_manila\n\n"
    "With limits: chandelier grant set lab/students ibmq_manila --share 3000 --max-shots 4096 --max-running 2",
)
def grant_set(
    path: paths.AnyPath,
    device: DeviceName,
    share: NewShare = None,
    max_shots: MaxShots = None,
    max_experiments: MaxExperiments = None,
    open_pulse: OpenPulse = None,
    pulse_qubits: PulseQubits = None,
    pulse_channels: PulseChannels = None,
    max_running: MaxRunning = None,
    max_pending: MaxPending = None,
    no_limits: NoLimits = False,
    above: Above = False,
    data: folder.Data = None,
    dry_run: folder.DryRun = False,
    as_json: output.AsJson = False,
) -> None:
    """Give a hub, group or project a device, or change its share or limits; what is not named stays as it is.

    A hub's devices can be granted to its groups, a group's to its projects. What a project may do is the least of what
    is allowed on the way down.
    """
    from chandelier.tenancy.grants import Limits

    pulses = None if open_pulse is None else open_pulse is Switch.ON
    limits = Limits(max_shots, max_experiments, pulses, pulse_qubits, pulse_channels, max_running, max_pending)

    slots = folder.settings(data).runners

    def work(tx: "Transaction") -> "tuple[Grant, shares.Change, shares.Foreseen]":
        spot = paths.get(tx, path)
        over = paths.above(spot)
        ahead = queue.outlook(tx, slots, over) if dry_run else []
        granted, change = _set(tx, spot, device, share, limits, forget=no_limits, above=above)
        return granted, change, shares.foreseen(tx, slots, over, ahead)

    with folder.opened(data) as store:
        granted, change, ahead = folder.write(store, work, dry_run=dry_run)
    document = {"path": path.strip("/"), "device": device} | _facts(granted)
    known = ", ".join(f"{name} {output.cell(value)}" for name, value in _facts(granted).items() if value is not None)
    sentence = f"{document['path']} has {device}: {known}"
    shares.report(document, sentence, change, dry_run, as_json=as_json, ahead=ahead)


@app.command("remove", epilog="Example: chandelier grant remove lab/students ibmq_manila --dry-run")
def grant_remove(
    path: paths.AnyPath,
    device: DeviceName,
    data: folder.Data = None,
    dry_run: folder.DryRun = False,
    as_json: output.AsJson = False,
) -> None:
    """Take a device from a hub, group or project, and so from all in it; jobs that run go on."""
    from chandelier import devices
    from chandelier.tenancy import acts

    def work(tx: "Transaction") -> shares.Change:
        spot, taken = paths.get(tx, path), devices.get(tx, device)
        before = shares.of(tx, paths.above(spot), taken)
        acts.withdraw(tx, folder.by(), spot, taken)
        return before, shares.of(tx, paths.above(spot), taken)

    with folder.opened(data) as store:
        change = folder.write(store, work, dry_run=dry_run)
    document = {"path": path.strip("/"), "device": device, "removed": True}
    shares.report(document, f"{device} is taken from {document['path']}", change, dry_run, as_json=as_json)


@app.command("list", epilog="Example: chandelier grant list lab/students")
def grant_list(path: paths.AnyPath, data: folder.Data = None, as_json: output.AsJson = False) -> None:
    """List the devices of a hub, group or project, with the shares and limits that were set there."""
    from chandelier import devices
    from chandelier.tenancy import grants

    def work(tx: "Transaction") -> list[dict[str, Any]]:
        spot = paths.get(tx, path)
        granted = {each.device_id: each for each in grants.of_nodes(tx, [spot.node.id])}
        return [
            {"device": device.name} | _facts(granted[device.id], _percent(tx, spot, device))
            for device in devices.list_(tx)
            if device.id in granted
        ]

    with folder.opened(data) as store:
        rows = store.read(work)
    output.show_table([row | {"percent": f"{row['percent']:.2f} %"} for row in rows], as_json=as_json, document=rows)


def _set(
    tx: "Transaction", spot: "Spot", name: str, share: int | None, limits: "Limits", *, forget: bool, above: bool
) -> "tuple[Grant, shares.Change]":
    """Grant a device; return the grant, and the shares before and after."""
    from chandelier import devices
    from chandelier.tenancy import acts, grants

    device = devices.get(tx, name)
    over = paths.above(spot)
    if over is not None and grants.find(tx, over.node.id, device.id) is None:
        if not above:
            raise errors.NotFound(
                f"{over.path} has no device {name!r} to give to {spot.path}. Grant it there first, or add --above.",
                3100,
            )
        _set(tx, over, name, None, grants.Limits(), forget=False, above=True)
    before = shares.of(tx, over, device)
    old = grants.find(tx, spot.node.id, device.id)
    if share is None:
        share = 1000 if old is None else old.priority
    if old is not None and not forget:
        limits = _changed(old.limits, limits)
    new = acts.grant(tx, folder.by(), spot, device, share, limits)
    return new, (before, shares.of(tx, over, device))


def _changed(old: "Limits", new: "Limits") -> "Limits":
    import msgspec

    given = {name: value for name, value in msgspec.structs.asdict(new).items() if value is not None}
    return msgspec.structs.replace(old, **given)


def _percent(tx: "Transaction", spot: "Spot", device: "Device") -> float:
    return shares.percentages(shares.of(tx, paths.above(spot), device))[spot.path]


def _facts(grant: "Grant", percent: float | None = None) -> dict[str, Any]:
    import msgspec

    own = {"share": grant.priority} | ({} if percent is None else {"percent": percent})
    return own | msgspec.structs.asdict(grant.limits)
