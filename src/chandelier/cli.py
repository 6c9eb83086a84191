# SPDX-License-Identifier: Apache-2.0
"""The command line: set up, serve, and administer a cloud from the shell."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chandelier import __version__, errors

if TYPE_CHECKING:
    from chandelier.jobs.records import Job
    from chandelier.settings import Settings
    from chandelier.store import Store

app = typer.Typer(
    help="Chandelier: a quantum computing cloud that you run yourself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
users_app = typer.Typer(help="Users.", no_args_is_help=True)
tokens_app = typer.Typer(help="API tokens.", no_args_is_help=True)
devices_app = typer.Typer(help="Devices and simulators.", no_args_is_help=True)
jobs_app = typer.Typer(help="Jobs.", no_args_is_help=True)
app.add_typer(users_app, name="user")
app.add_typer(tokens_app, name="token")
app.add_typer(devices_app, name="device")
app.add_typer(jobs_app, name="job")

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Data folder.", envvar="CHANDELIER_DATA", show_default="data", file_okay=True),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def run() -> None:
    """Run the command line; what a user did wrong is one sentence on standard error and exit status 1."""
    os.umask(0o077)  # what is written here is nobody else's to read
    try:
        app(prog_name="chandelier")
    except errors.ChandelierError as failure:
        print(f"chandelier: {failure.message}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Chandelier: a quantum computing cloud that you run yourself."""


@app.command()
def init(
    data: Data = None,
    as_json: AsJson = False,
    email: Annotated[str, typer.Option(help="E-mail address of the operator's account.")] = "operator@localhost",
) -> None:
    """Make a data folder: database, secret, operator, default project, devices. Safe to repeat."""
    from chandelier import setup

    settings = _settings(data)
    made = setup.initialise(settings, email, _now())
    place = made.place
    document = {
        "data": str(settings.data.resolve()),
        "operator": {"id": made.operator.id, "email": made.operator.email, "token": made.token},
        "hub": place.hub.name,
        "group": place.group.name,
        "project": place.project.name,
    }
    _show(
        document,
        f"The cloud's data are in {settings.data.resolve()}\n"
        f"Operator {made.operator.email}, API token in {settings.token_file} (readable by you alone)\n"
        f"Project {place.path}\n"
        f"Next: chandelier serve --data {settings.data}",
        as_json=as_json,
    )


@app.command()
def serve(
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    public_url: Annotated[
        str | None, typer.Option(help="URL under which clients reach the server, for example behind a proxy.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve until told to stop (Ctrl-C, SIGTERM)."""
    from chandelier import app as application

    settings = _settings(data, host=host, port=port, public_url=public_url)

    def announce(listener: str) -> None:
        url = settings.public_url or listener
        _show({"ready": url}, f"ready {url}", as_json=as_json)

    application.serve(settings, announce)


@app.command()
def demo(
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set up if needed, serve, run a Bell circuit on a simulator and a noisy device, and go on serving."""
    from chandelier import demonstration

    demonstration.run(_settings(data, host=host, port=port), as_json=as_json)


@app.command()
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Check data folder, database, secret, devices and workers, and say what to do about what is wrong."""
    from chandelier import checkup

    findings = checkup.examine(_settings(data))
    lines = [f"{'ok  ' if finding.good else 'BAD '} {finding.subject}: {finding.message}" for finding in findings]
    good = all(finding.good for finding in findings)
    document = {
        "healthy": good,
        "findings": [
            {"subject": finding.subject, "good": finding.good, "message": finding.message} for finding in findings
        ],
    }
    _show(document, "\n".join(lines), as_json=as_json)
    if not good:
        raise typer.Exit(1)


@users_app.command("add")
def user_add(
    email: Annotated[str, typer.Argument(help="E-mail address; identifies the user.")],
    data: Data = None,
    name: Annotated[str, typer.Option(help="Full name.")] = "",
    password: Annotated[str | None, typer.Option(help="Password, for logins without a token.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add a user to the default project and print the API token, once."""
    from chandelier import setup

    with _opened(data) as store:
        user, token = setup.add_user(store, email, _now(), name=name, password=password)
    _show(
        {"id": user.id, "email": user.email, "token": token},
        f"{user.email} (id {user.id})\nAPI token, shown only now: {token}",
        as_json=as_json,
    )


@users_app.command("list")
def user_list(data: Data = None, as_json: AsJson = False) -> None:
    """List all users."""
    from chandelier.tenancy import users

    with _opened(data) as store:
        known = store.read(users.list_)
    rows = [
        {
            "id": user.id,
            "email": user.email,
            "name": user.name,
            "operator": user.operator,
            "created": _time(user.created),
        }
        for user in known
    ]
    _show_table(rows, as_json=as_json)


@tokens_app.command("issue")
def token_issue(
    email: Annotated[str, typer.Argument(help="Whose token.")],
    data: Data = None,
    name: Annotated[str, typer.Option(help="What the token is for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make another API token for a user and print it, once."""
    from chandelier.tenancy import users

    with _opened(data) as store:
        text, token = store.write(lambda tx: users.issue(tx, _user_of(tx, email).id, "api", _now(), name=name))
    _show({"id": token.id, "token": text}, f"{token.id}\nAPI token, shown only now: {text}", as_json=as_json)


@tokens_app.command("revoke")
def token_revoke(
    token_id: Annotated[str, typer.Argument(help="Id of the token, from `token list`.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """End an API token and every login made with it, at once."""
    from chandelier.tenancy import users

    with _opened(data) as store:
        token = store.write(lambda tx: users.revoke(tx, token_id, _now()))
    _show({"id": token.id, "revoked": True}, f"{token.id} is revoked", as_json=as_json)


@tokens_app.command("list")
def token_list(
    email: Annotated[str, typer.Argument(help="Whose tokens.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List a user's API tokens; never their texts."""
    from chandelier.tenancy import users

    with _opened(data) as store:
        tokens = store.read(lambda tx: users.list_tokens(tx, _user_of(tx, email).id))
    rows = [
        {
            "id": token.id,
            "name": token.name,
            "created": _time(token.created),
            "revoked": _time(token.revoked),
        }
        for token in tokens
    ]
    _show_table(rows, as_json=as_json)


@devices_app.command("list")
def device_list(data: Data = None, as_json: AsJson = False) -> None:
    """List all devices and simulators."""
    from chandelier import devices
    from chandelier.jobs import records

    with _opened(data) as store:
        rows = store.read(
            lambda tx: [
                {
                    "name": device.name,
                    "qubits": device.qubits,
                    "simulator": device.simulator,
                    "state": device.state,
                    "message": device.message,
                    "waiting": records.count_waiting(tx, device.id),
                }
                for device in devices.list_(tx)
            ]
        )
    _show_table(rows, as_json=as_json)


@devices_app.command("show")
def device_show(
    name: Annotated[str, typer.Argument(help="Name of the device.")], data: Data = None, as_json: AsJson = False
) -> None:
    """Show a device: its limits, its state and its calibration."""
    from chandelier import devices

    with _opened(data) as store:
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
        "state": device.state,
        "message": device.message,
        "calibrated": (documents.properties or {}).get("last_update_date"),
        "calibration": device.calibration,
    }
    _show(facts, _lines(facts), as_json=as_json)


@devices_app.command("add")
def device_add(
    name: Annotated[str | None, typer.Argument(help="Name that users see; one that no simulator has.")] = None,
    snapshot: Annotated[str | None, typer.Option(help="Snapshot that the device is made from.")] = None,
    wanted: Annotated[
        str | None, typer.Option("--set", help="Instead of a name: add all devices of a set, such as `era-2020`.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Serve one more device in the default project, or a set of them; they appear at once."""
    from chandelier import setup
    from chandelier.formats import snapshots

    chosen = {name: snapshot} if name and snapshot and not wanted else snapshots.SETS.get(wanted or "")
    if chosen is None or (wanted and (name or snapshot)):
        sets = ", ".join(snapshots.SETS)
        raise errors.Invalid(f"Give a name and its --snapshot, or one --set of {sets}.", 1001)
    with _opened(data) as store:
        added = setup.add_devices(store, _settings(data), chosen, _now())
    rows = [{"name": device.name, "qubits": device.qubits, "snapshot": chosen[device.name]} for device in added]
    _show_table(rows, as_json=as_json)


@devices_app.command("pause")
def device_pause(
    name: Annotated[str, typer.Argument(help="Name of the device.")],
    message: Annotated[str, typer.Option(help="Shown to users beside the state.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Start no more jobs on a device; jobs are still accepted, and wait."""
    _set_device_state(name, "paused", message, data, as_json=as_json)


@devices_app.command("resume")
def device_resume(
    name: Annotated[str, typer.Argument(help="Name of the device.")], data: Data = None, as_json: AsJson = False
) -> None:
    """Start jobs on a device again."""
    _set_device_state(name, "active", "", data, as_json=as_json)


@jobs_app.command("list")
def job_list(
    data: Data = None,
    user: Annotated[str | None, typer.Option(help="Only this user's jobs (e-mail address).")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=10000)] = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    from chandelier.jobs import finding

    def work(tx: Any) -> list[dict[str, Any]]:
        owner = _user_of(tx, user).id if user else None
        return [_job_row(tx, job) for job in finding.find(tx, finding.Query(user_id=owner, limit=limit)).jobs]

    with _opened(data) as store:
        rows = store.read(work)
    _show_table(rows, as_json=as_json)


@jobs_app.command("show")
def job_show(
    job_id: Annotated[str, typer.Argument(help="Id of the job.")], data: Data = None, as_json: AsJson = False
) -> None:
    """Show a job and the states it has been in."""
    from chandelier.jobs import records
    from chandelier.tenancy import network

    def work(tx: Any) -> dict[str, Any]:
        job = records.get(tx, job_id)
        return _job_row(tx, job) | {
            "project": network.get(tx, job.project_id).path,
            "tags": list(job.tags),
            "shots": job.shots,
            "estimate": job.estimate,
            "seconds": job.seconds,
            "error": None if job.error_code is None else f"{job.error_code}: {job.error_message}",
            "states": [{"state": str(state), "at": _time(at)} for state, at in records.events(tx, job.id)],
        }

    with _opened(data) as store:
        facts = store.read(work)
    steps = facts["states"]
    text = _lines(facts | {"states": ""}) + "".join(f"\n  {step['at']}  {step['state']}" for step in steps)
    _show(facts, text, as_json=as_json)


@jobs_app.command("cancel")
def job_cancel(
    job_id: Annotated[str, typer.Argument(help="Id of the job.")], data: Data = None, as_json: AsJson = False
) -> None:
    """Cancel a job that has not ended, also while it runs."""
    from chandelier.jobs import outcomes, records

    with _opened(data) as store:
        cancelled = store.write(lambda tx: outcomes.cancel(tx, records.get(tx, job_id), _now()))
    text = f"{job_id} is cancelled" if cancelled else f"{job_id} had ended before"
    _show({"id": job_id, "cancelled": cancelled}, text, as_json=as_json)
    if not cancelled:
        raise typer.Exit(1)


def _set_device_state(name: str, state: Any, message: str, data: Path | None, *, as_json: bool) -> None:
    from chandelier import devices

    with _opened(data) as store:
        device = store.write(lambda tx: devices.set_state(tx, name, state, message))
    facts = {"name": device.name, "state": device.state, "message": device.message}
    _show(facts, f"{device.name} is {device.state}", as_json=as_json)


def _settings(data: Path | None, **overrides: Any) -> "Settings":
    from chandelier import settings

    return settings.load({"data": data} | overrides)


@contextmanager
def _opened(data: Path | None) -> "Iterator[Store]":
    """Open the store of a data folder, also while a server serves it."""
    from chandelier import setup

    store = setup.open_store(_settings(data))
    try:
        yield store
    finally:
        store.close()


def _user_of(tx: Any, email: str) -> Any:
    from chandelier.tenancy import users

    user = users.find_by_email(tx, email)
    if user is None:
        raise errors.NotFound(f"There is no user {email}. Add one: chandelier user add {email}", 3500)
    return user


def _job_row(tx: Any, job: "Job") -> dict[str, Any]:
    from chandelier import devices
    from chandelier.tenancy import users

    return {
        "id": job.id,
        "created": _time(job.created),
        "device": devices.get_by_id(tx, job.device_id).name,
        "user": users.get(tx, job.user_id).email,
        "state": str(job.state),
        "name": job.name,
        "ended": _time(job.ended),
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None


def _now() -> datetime:
    return datetime.now(UTC)


def _show(document: Any, text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(document) if as_json else text)
    sys.stdout.flush()


def _lines(facts: dict[str, Any]) -> str:
    return "\n".join(f"{key:16} {_cell(value)}" for key, value in facts.items())


def _show_table(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        _show(rows, "", as_json=True)
        return
    if not rows:
        typer.echo("(none)")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(_cell(item) for item in value) or "-"
    if isinstance(value, dict):
        return " ".join(str(item) for item in value.values())
    return str(value)
