# SPDX-License-Identifier: Apache-2.0
"""The cloud as a whole: make it, serve it, show it to a newcomer, examine it."""

import gc
from typing import Annotated

import typer

from chandelier.cli import folder, output


def init(
    data: folder.Data = None,
    as_json: output.AsJson = False,
    email: Annotated[str, typer.Option(help="E-mail address of the operator's account.")] = "operator@localhost",
) -> None:
    """Make a data folder: database, secret, operator, default project, devices. Safe to repeat."""
    from chandelier import setup

    settings = folder.settings(data)
    made = setup.initialise(settings, email, folder.now())
    place = made.place
    document = {
        "data": str(settings.data.resolve()),
        "operator": {"id": made.operator.id, "email": made.operator.email, "token": made.token},
        "hub": place.hub.name,
        "group": place.group.name,
        "project": place.project.name,
    }
    output.show(
        document,
        f"The cloud's data are in {settings.data.resolve()}\n"
        f"Operator {made.operator.email}, API token in {settings.token_file} (readable by you alone)\n"
        f"Project {place.path}\n"
        f"Next: chandelier serve --data {settings.data}",
        as_json=as_json,
    )


def serve(
    data: folder.Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    public_url: Annotated[
        str | None, typer.Option(help="URL under which clients reach the server, for example behind a proxy.")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Serve until told to stop (Ctrl-C, SIGTERM)."""
    from chandelier import children, pools

    settings = folder.settings(data, host=host, port=port, public_url=public_url)
    children.prepare(pools.ENGINE)  # loads the physics beside all that follows, which takes as long
    gc.disable()  # nothing that is imported is garbage, and looking for some takes a quarter of the time
    from chandelier import app as application

    gc.freeze()
    gc.enable()

    def announce(listener: str) -> None:
        url = settings.public_url or listener
        output.show({"ready": url}, f"ready {url}", as_json=as_json)

    application.serve(settings, announce)


def demo(
    data: folder.Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Set up if needed, serve, run a Bell circuit on a simulator and a noisy device, and go on serving."""
    from chandelier import demonstration

    demonstration.run(folder.settings(data, host=host, port=port), as_json=as_json)


def doctor(data: folder.Data = None, as_json: output.AsJson = False) -> None:
    """Check data folder, database, secret, devices and workers, and say what to do about what is wrong."""
    from chandelier import checkup

    findings = checkup.examine(folder.settings(data))
    lines = [f"{'ok  ' if finding.good else 'BAD '} {finding.subject}: {finding.message}" for finding in findings]
    good = all(finding.good for finding in findings)
    document = {
        "healthy": good,
        "findings": [
            {"subject": finding.subject, "good": finding.good, "message": finding.message} for finding in findings
        ],
    }
    output.show(document, "\n".join(lines), as_json=as_json)
    if not good:
        raise typer.Exit(1)
