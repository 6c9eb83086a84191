# SPDX-License-Identifier: Apache-2.0
"""Devices and simulators from the shell."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chandelier import errors
from chandelier.cli import folder, output

if TYPE_CHECKING:
    from chandelier.devices import Device, DeviceState, Pace
    from chandelier.store import Store

Name = Annotated[str, typer.Argument(help="Name of the device.")]
Message = Annotated[str, typer.Option(help="Shown to users beside the state.")]
#: How a state is said in a sentence, where its name is no adjective.
_SAID = {"maintenance": "in maintenance", "drain": "draining"}

app = typer.Typer(help="Devices and simulators.", no_args_is_help=True)


@app.command("list")
def device_list(data: folder.Data = None, as_json: output.AsJson = False) -> None:
    """List all devices and simulators."""
    from chandelier import devices
    from chandelier.jobs import counts

    with folder.opened(data) as store:
        rows = store.read(
            lambda tx: [
                {
                    "name": device.name,
                    "qubits": device.qubits,
                    "simulator": device.simulator,
                    "pace": device.pace,
                    "state": device.status,
                    "message": device.message,
                    "drift": device.drift,
                    "progress": device.progress,
                    "waiting": counts.waiting(tx, device.id),
                }
                for device in devices.list_(tx)
            ]
        )
    output.show_table(rows, as_json=as_json)


@app.command("show")
def device_show(
    name: Name,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Show a device: its limits, its state and its calibration."""
    from chandelier import devices

    with folder.opened(data) as store:
        device = store.read(lambda tx: devices.get(tx, name))
        documents = devices.document(store, device.calibration)
    facts = {
        "name": device.name,
        "description": documents.configuration.get("description", ""),
        "qubits": device.qubits,
        "simulator": device.simulator,
        "basis_gates": documents.configuration["basis_gates"],
        "max_shots": device.max_shots,
        "max_experiments": device.max_experiments,
        "max_job_seconds": device.max_job_seconds,
        "pace": device.pace,
        "overhead": device.overhead if device.pace == "real" else None,
        "state": device.status,
        "message": device.message,
        "pulses": documents.defaults is not None,
        "drift": device.drift,
        "progress": device.progress,
        "due": output.time(device.due),
        "calibrated": (documents.properties or {}).get("last_update_date"),
        "calibration": device.calibration,
    }
    output.show(facts, output.lines(facts), as_json=as_json)


@app.command("add")
def device_add(
    name: Annotated[str | None, typer.Argument(help="Name that users see; one that no simulator has.")] = None,
    snapshot: Annotated[str | None, typer.Option(help="Snapshot that the device is made from.")] = None,
    wanted: Annotated[
        str | None, typer.Option("--set", help="Instead of a name: add all devices of a set, such as `era-2020`.")
    ] = None,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Serve one more device in the default project, or a set of them; they appear at once."""
    from chandelier import setup
    from chandelier.formats import snapshots

    chosen = {name: snapshot} if name and snapshot and not wanted else snapshots.SETS.get(wanted or "")
    if chosen is None or (wanted and (name or snapshot)):
        sets = ", ".join(snapshots.SETS)
        raise errors.Invalid(f"Give a name and its --snapshot, or one --set of {sets}.", 1001)
    with folder.opened(data) as store:
        by = folder.by()
        added = setup.add_devices(store, folder.settings(data), chosen, by.now, who=by.who)
    rows = [{"name": device.name, "qubits": device.qubits, "snapshot": chosen[device.name]} for device in added]
    output.show_table(rows, as_json=as_json)


@app.command("pause")
def device_pause(name: Name, message: Message = "", data: folder.Data = None, as_json: output.AsJson = False) -> None:
    """Start no more jobs on a device; jobs are still accepted, and wait."""
    _set_state(name, "paused", message, data, as_json=as_json)


@app.command("resume")
def device_resume(name: Name, message: Message = "", data: folder.Data = None, as_json: output.AsJson = False) -> None:
    """Start jobs on a device again."""
    _set_state(name, "active", message, data, as_json=as_json)


@app.command("maintenance")
def device_maintenance(
    name: Name, message: Message = "", data: folder.Data = None, as_json: output.AsJson = False
) -> None:
    """Like `pause`, and clients say that the device is not operational."""
    _set_state(name, "maintenance", message, data, as_json=as_json)


@app.command("drain")
def device_drain(name: Name, message: Message = "", data: folder.Data = None, as_json: output.AsJson = False) -> None:
    """Take no new jobs for a device; those that wait still run."""
    _set_state(name, "drain", message, data, as_json=as_json)


@app.command("set")
def device_set(
    name: Name,
    pace: Annotated[
        str, typer.Option(metavar="PACE", help="`fast`, or `real`: jobs take as long as on the machine, one by one.")
    ],
    overhead: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="What each job takes besides its shots; counts at the pace `real`."),
    ] = None,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Set how long jobs keep a device; it holds for jobs that start from now on."""
    from chandelier import acts

    chosen = _pace(pace)
    if overhead is not None and chosen != "real":
        raise errors.Invalid("An overhead counts at the pace `real` only; leave --overhead out.", 1001)
    with folder.opened(data) as store:
        device = store.write(lambda tx: acts.set_pace(tx, folder.by(), name, chosen, overhead))
    facts = {"name": device.name, "pace": device.pace, "overhead": device.overhead}
    told = f"{device.name} has the pace {device.pace}"
    if device.pace == "real":
        told += f": each job keeps it for its shots and an overhead of {device.overhead:g} s"
    output.show(facts, told, as_json=as_json)


@app.command("calibrate")
def device_calibrate(
    name: Annotated[str | None, typer.Argument(help="Name of the device.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Calibrate all devices that drift.")] = False,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Calibrate a device that drifts now; look for the pulses of one that has none and could.

    The server does it: one that runs at once, else the next one when it starts.
    """
    from chandelier import acts, devices

    if (name is None) is not everything:
        raise errors.Invalid("Give the name of a device, or --all.", 1001)
    with folder.opened(data) as store:
        known = store.read(lambda tx: devices.list_(tx) if name is None else [devices.get(tx, name)])
        chosen = [device for device in known if name is not None or device.drift]
        seeking = {device.name: devices.seeks_pulses(store, device) for device in chosen}
        by = folder.by()
        ordered = store.write(
            lambda tx: [acts.order_calibration(tx, by, device, seeking=seeking[device.name]) for device in chosen]
        )
    here = folder.settings(data).address_file.exists()
    rows = [{"name": device.name, "due": output.time(device.due), "server": here} for device in ordered]
    told = "\n".join(f"{device.name} will be calibrated" for device in ordered) or "No device drifts"
    output.show(rows, told + ("" if here or not rows else " when a server runs on this folder"), as_json=as_json)


@app.command("history")
def device_history(name: Name, data: folder.Data = None, as_json: output.AsJson = False) -> None:
    """List the calibrations of a device, oldest first, with the medians of its qubits and gates; times in us."""
    from chandelier import devices
    from chandelier.formats import epochs

    with folder.opened(data) as store:
        found = store.read(lambda tx: devices.history(tx, devices.get(tx, name)))
        rows = [
            {"date": output.time(taken)} | epochs.line(properties) | {"calibration": digest[:8]}
            for taken, digest in found
            if (properties := devices.document(store, digest).properties) is not None
        ]
    output.show_table(rows if as_json else [_rounded(row) for row in rows], as_json=as_json)


@app.command("drift")
def device_drift(
    name: Name,
    switch: Annotated[
        str | None, typer.Argument(metavar="[on|off]", help="Let it drift, or freeze it as it is now.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3660, help="How many days to show.")] = 14,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Let a device drift or freeze it; without either, show what it drifts to, or would, at noon of the next days."""
    from chandelier import acts, devices

    if switch not in {None, "on", "off"}:
        raise errors.Invalid(f"There is no drift {switch!r}; it is on or off.", 1001)
    with folder.opened(data) as store:
        device = store.read(lambda tx: devices.get(tx, name))
        if switch is None:
            rows = _foreseen(store, device, days)
            output.show_table(rows if as_json else [_rounded(row) for row in rows], as_json=as_json)
            return
        by = folder.by()
        frozen = devices.freeze(store, device) if switch == "off" else None
        after = store.write(lambda tx: acts.set_drift(tx, by, name, drift=switch == "on", frozen=frozen))
    facts = {"name": after.name, "drift": after.drift, "due": output.time(after.due)}
    told = f"{name} drifts, and is calibrated each day" if after.drift else f"{name} stays as it is now"
    output.show(facts, told, as_json=as_json)


def _foreseen(store: "Store", device: "Device", days: int) -> list[dict[str, Any]]:
    """Return what calibrations of the next days will find, or would if the device drifted from now on."""
    from chandelier import devices
    from chandelier.formats import drift, epochs

    snapshot = devices.document(store, device.snapshot).properties
    if snapshot is None:
        raise errors.Conflict(f"{device.name} is a simulator: there is nothing that could drift.", 3104)
    begun = device.begun or folder.now()
    noon = folder.now().replace(hour=12, minute=0, second=0, microsecond=0)
    moments = [noon + timedelta(days=day) for day in range(days)]
    return [
        {"date": output.time(moment)} | epochs.line(drift.properties_at(snapshot, device.name, begun, moment))
        for moment in moments
    ]


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with four digits of each number."""
    return {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in row.items()}


def _pace(text: str) -> "Pace":
    if text == "fast":
        return "fast"
    if text == "real":
        return "real"
    raise errors.Invalid(f"There is no pace {text!r}; it is fast or real.", 1001)


def _set_state(name: str, state: "DeviceState", message: str, data: Path | None, *, as_json: bool) -> None:
    from chandelier import acts

    with folder.opened(data) as store:
        device = store.write(lambda tx: acts.set_state(tx, folder.by(), name, state, message))
    facts = {"name": device.name, "state": device.state, "message": device.message}
    output.show(facts, f"{device.name} is {_SAID.get(device.state, device.state)}", as_json=as_json)
