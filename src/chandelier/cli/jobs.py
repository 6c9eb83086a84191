# SPDX-License-Identifier: Apache-2.0
"""Jobs from the shell."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from chandelier.cli import folder, output
from chandelier.cli import users as accounts

if TYPE_CHECKING:
    from chandelier.jobs.records import Job
    from chandelier.store import Transaction

app = typer.Typer(help="Jobs.", no_args_is_help=True)


@app.command("list")
def job_list(
    data: folder.Data = None,
    user: Annotated[str | None, typer.Option(help="Only this user's jobs (e-mail address).")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=10000)] = 20,
    as_json: output.AsJson = False,
) -> None:
    """List jobs, newest first."""
    from chandelier.jobs import finding

    def work(tx: "Transaction") -> list[dict[str, Any]]:
        owner = accounts.named(tx, user).id if user else None
        return [_job_row(tx, job) for job in finding.find(tx, finding.Query(user_id=owner, limit=limit)).jobs]

    with folder.opened(data) as store:
        rows = store.read(work)
    output.show_table(rows, as_json=as_json)


@app.command("show")
def job_show(
    job_id: Annotated[str, typer.Argument(help="Id of the job.")],
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Show a job and the states it has been in."""
    from chandelier.jobs import records
    from chandelier.tenancy import network

    def work(tx: "Transaction") -> dict[str, Any]:
        job = records.get(tx, job_id)
        return _job_row(tx, job) | {
            "project": network.get(tx, job.project_id).path,
            "tags": list(job.tags),
            "shots": job.shots,
            "estimate": job.estimate,
            "seconds": job.seconds,
            "charged": job.cost,
            "error": None if job.error_code is None else f"{job.error_code}: {job.error_message}",
            "states": [{"state": str(state), "at": output.time(at)} for state, at in records.events(tx, job.id)],
        }

    with folder.opened(data) as store:
        facts = store.read(work)
    steps = facts["states"]
    text = output.lines(facts | {"states": ""}) + "".join(f"\n  {step['at']}  {step['state']}" for step in steps)
    output.show(facts, text, as_json=as_json)


@app.command("cancel")
def job_cancel(
    job_id: Annotated[str, typer.Argument(help="Id of the job.")],
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Cancel a job that has not ended, also while it runs."""
    from chandelier import acts
    from chandelier.jobs import outcomes, records
    from chandelier.tenancy import network

    def work(tx: "Transaction") -> bool:
        by, job = folder.by(), records.get(tx, job_id)
        cancelled = outcomes.cancel(tx, job, by.now)
        if cancelled:
            acts.cancel_job(tx, by, network.get(tx, job.project_id).spot, job.id)
        return cancelled

    with folder.opened(data) as store:
        cancelled = store.write(work)
    text = f"{job_id} is cancelled" if cancelled else f"{job_id} had ended before"
    output.show({"id": job_id, "cancelled": cancelled}, text, as_json=as_json)
    if not cancelled:
        raise typer.Exit(1)


def _job_row(tx: "Transaction", job: "Job") -> dict[str, Any]:
    from chandelier import devices
    from chandelier.tenancy import users

    return {
        "id": job.id,
        "created": output.time(job.created),
        "device": devices.get_by_id(tx, job.device_id).name,
        "user": users.get(tx, job.user_id).email,
        "state": str(job.state),
        "name": job.name,
        "ended": output.time(job.ended),
    }
