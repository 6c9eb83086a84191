# SPDX-License-Identifier: Apache-2.0
"""Devices and simulators from the shell."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chandelier import errors
from chandelier.cli import folder, output

if TYPE_CHECKING:
    from chandelier.devices import DeviceState, Pace

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
                    "state": device.state,
                    "message": device.message,
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
        "state": device.state,
        "message": device.message,
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
