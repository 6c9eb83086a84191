# SPDX-License-Identifier: Apache-2.0
"""Grants from the shell: who has which device, with what share and within what limits."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from chandelier import errors
from chandelier.cli import effects, folder, limits, output, paths, shares

if TYPE_CHECKING:
    from chandelier.acts import Terms
    from chandelier.devices import Device
    from chandelier.store import Store, Transaction
    from chandelier.tenancy.grants import Grant, Limits
    from chandelier.tenancy.network import Spot

_LIMITS: Final = (
    "max_shots",
    "max_experiments",
    "open_pulse",
    "pulse_qubits",
    "pulse_channels",
    "max_running",
    "max_pending",
)

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
    from chandelier import devices
    from chandelier.scheduling import outlook
    from chandelier.tenancy.grants import Limits

    pulses = None if open_pulse is None else open_pulse is Switch.ON
    wanted = Limits(max_shots, max_experiments, pulses, pulse_qubits, pulse_channels, max_running, max_pending)
    slots = folder.settings(data).runners if dry_run else None

    def work(tx: "Transaction") -> tuple[_Outcome, outlook.Comparison]:
        spot, given = paths.get(tx, path), devices.get(tx, device)

        def act() -> _Outcome:
            return _set(tx, store, spot, given, _Change(share, wanted, forget=no_limits), above=above)

        return outlook.compare(tx, folder.now(), slots, spot.above, given, act)

    with folder.opened(data) as store:
        done, compared = folder.write(store, work, dry_run=dry_run)
    last = done.steps[-1]
    document = {"path": last["path"], "device": device} | (last["after"] or {})
    document |= {"changes": done.steps, "remarks": done.remarks} | done.jobs
    told = [_told(step) for step in done.steps]
    shares.report(
        document,
        "\n".join(told),
        (compared.before, compared.after),
        dry_run,
        as_json=as_json,
        hint="\n".join(f"Note: {remark}" for remark in done.remarks),
        effects=[effects.told_jobs(done.jobs)],
        ahead=compared.queue,
    )


@app.command("remove", epilog="Example: chandelier grant remove lab/students ibmq_manila --dry-run")
def grant_remove(
    path: paths.AnyPath,
    device: DeviceName,
    data: folder.Data = None,
    dry_run: folder.DryRun = False,
    as_json: output.AsJson = False,
) -> None:
    """Take a device from a hub, group or project, and so from all in it; jobs that wait or run there go on."""
    from chandelier import acts, devices

    def work(tx: "Transaction") -> tuple[str, dict[str, Any], shares.Change]:
        spot, taken = paths.get(tx, path), devices.get(tx, device)
        before, concerned = shares.of(tx, spot.above, taken), effects.of(tx, spot, taken)
        acts.withdraw(tx, folder.by(), spot, taken)
        return spot.path, concerned, (before, shares.of(tx, spot.above, taken))

    with folder.opened(data) as store:
        where, concerned, change = folder.write(store, work, dry_run=dry_run)
    document = {"path": where, "device": device, "removed": not dry_run} | concerned
    told = effects.told(concerned, f"can use {device} there no more")
    shares.report(document, f"{device} is taken from {where}", change, dry_run, as_json=as_json, effects=told)


@app.command(
    "list",
    epilog="Example: chandelier grant list lab/students\n\n"
    "Where a limit comes from: chandelier grant show lab/students ibmq_manila",
)
def grant_list(path: paths.AnyPath, data: folder.Data = None, as_json: output.AsJson = False) -> None:
    """List the devices of a hub, group or project, with its shares and with the limits that count there.

    The least counts of what is set here, of what is set above and of what the device does; in brackets is what is set
    here to no purpose. A device is usable where all above have it too.
    """
    from chandelier import devices
    from chandelier.tenancy import grants

    def work(tx: "Transaction") -> list[dict[str, Any]]:
        spot = paths.get(tx, path)
        granted = {each.device_id: each for each in grants.of_nodes(tx, [spot.node.id])}
        rows = []
        for device in devices.list_(tx):
            if device.id in granted:
                least = grants.effective(tx, store, spot, device)
                row = {"device": device.name} | _facts(granted[device.id], _percent(tx, spot, device))
                row |= {"usable": least is not None, "effective": least and limits.facts(least)}
                rows.append(row)
        return rows

    with folder.opened(data) as store:
        rows = store.read(work)
    shown = [
        {"device": row["device"], "usable": row["usable"], "share": row["share"], "percent": f"{row['percent']:.2f} %"}
        | limits.cells({name: row[name] for name in _LIMITS}, row["effective"])
        for row in rows
    ]
    output.show_table(_filled(shown), as_json=as_json, document=rows)


@app.command("show", epilog="Example: chandelier grant show lab/students/qc2026 ibmq_manila")
def grant_show(
    path: paths.AnyPath, device: DeviceName, data: folder.Data = None, as_json: output.AsJson = False
) -> None:
    """Show what may be done with a device somewhere, and what is set where on the way down to it."""
    from chandelier import devices
    from chandelier.tenancy import grants

    def work(tx: "Transaction") -> tuple[list[dict[str, Any]], dict[str, Any] | None, list[str]]:
        spot, wanted = paths.get(tx, path), devices.get(tx, device)
        rows: list[dict[str, Any]] = [
            {"at": wanted.name, "share": None} | limits.facts(grants.of_device(store, wanted))
        ]
        for node, grant in limits.way(tx, spot, wanted):
            own = limits.facts(grants.Limits()) if grant is None else limits.facts(grant.limits)
            rows.append({"at": node.path, "share": grant and grant.priority} | own)
        least = grants.effective(tx, store, spot, wanted)
        return rows, None if least is None else limits.facts(least), limits.remarks(tx, store, spot, wanted)

    with folder.opened(data) as store:
        rows, least, remarks = store.read(work)
    where = path.strip("/")
    document = {"path": where, "device": device, "usable": least is not None, "effective": least, "levels": rows}
    last = {"at": "what counts", "share": None} | least if least is not None else None
    output.show_table([*rows, *([last] if last else [])], as_json=as_json, document=document | {"remarks": remarks})
    if not as_json:
        missing = [row["at"] for row in rows[1:] if row["share"] is None]
        notes = [f"{each} has no {device}, so it cannot be used in {where}" for each in missing] or remarks
        typer.echo("".join(f"Note: {note}\n" for note in notes), nl=False)


class _Outcome(NamedTuple):
    """What came of a grant: each place where something changed, and what to know of it."""

    steps: list[dict[str, Any]]
    remarks: list[str]
    jobs: dict[str, int]


class _Change(NamedTuple):
    """What is to be another in a grant; what is None stays.

    Attributes:
        forget: The limits that were set before are forgotten first.
    """

    share: int | None
    limits: "Limits"
    forget: bool = False

    def terms(self, known: "Grant | None") -> "Terms":
        """Return what is to hold, from the grant that stands."""
        if known is None or self.forget:
            return self.share, self.limits
        return self.share, _changed(known.limits, self.limits)


def _set(
    tx: "Transaction", store: "Store", spot: "Spot", device: "Device", change: _Change, *, above: bool
) -> _Outcome:
    """Grant a device, and with `above` to those above that lack it; tell what changed, the highest first."""
    from chandelier import acts
    from chandelier.tenancy import grants

    over = spot.above
    steps: list[dict[str, Any]] = []
    if over is not None and grants.find(tx, over.node.id, device.id) is None:
        if not above:
            raise errors.NotFound(
                f"{over.path} has no device {device.name!r} to give to {spot.path}. "
                "Grant it there first, or add --above.",
                3100,
            )
        steps = _set(tx, store, over, device, _Change(None, grants.Limits()), above=True).steps
    step: dict[str, Any] = {"path": spot.path, "device": device.name}

    def terms(known: "Grant | None") -> "Terms":
        step["before"] = None if known is None else _facts(known)
        return change.terms(known)

    step["after"] = _facts(acts.grant(tx, folder.by(), spot, device, terms))
    concerned = effects.of(tx, spot, device)
    jobs = {key: concerned[key] for key in ("jobs_waiting", "jobs_running")}
    return _Outcome([*steps, step], limits.remarks(tx, store, spot, device), jobs)


def _told(step: Mapping[str, Any]) -> str:
    """Return what changed at one place, like `lab has manila: share 1000, max-shots 4096 (was 8192)`."""
    old, new = step["before"] or {}, step["after"]
    facts = []
    for name, value in new.items():
        was = old.get(name)
        if value is None and was is None:
            continue
        now = "no limit" if value is None else output.cell(value)
        changed = bool(old) and was != value
        facts.append(
            f"{name.replace('_', '-')} {now}"
            + (f" (was {'no limit' if was is None else output.cell(was)})" if changed else "")
        )
    return f"{step['path']} {'has' if old else 'gets'} {step['device']}: {', '.join(facts)}"


def _filled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows for a table without the limits that nobody has."""
    empty = {name for name in _LIMITS if all(row[name] == "-" for row in rows)}
    return [{name: value for name, value in row.items() if name not in empty} for row in rows]


def _changed(old: "Limits", new: "Limits") -> "Limits":
    import msgspec

    given = {name: value for name, value in msgspec.structs.asdict(new).items() if value is not None}
    return msgspec.structs.replace(old, **given)


def _percent(tx: "Transaction", spot: "Spot", device: "Device") -> float:
    return shares.percentages(shares.of(tx, spot.above, device))[spot.path]


def _facts(grant: "Grant", percent: float | None = None) -> dict[str, Any]:
    import msgspec

    own = {"share": grant.priority} | ({} if percent is None else {"percent": percent})
    return own | msgspec.structs.asdict(grant.limits)
