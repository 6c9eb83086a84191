# SPDX-License-Identifier: Apache-2.0
"""The command line: set up, serve, and administer a cloud from the shell.

Each noun has a module; what a command needs is imported when it runs, so that `--help` is there at once.
"""

import os
import sys
from typing import Annotated, Final

import typer

from chandelier import __version__, errors
from chandelier.cli import (
    allowances,
    audit,
    cloud,
    devices,
    env,
    grants,
    jobs,
    members,
    places,
    queue,
    reservations,
    shares,
    tokens,
    usage,
    users,
    words,
)

app = typer.Typer(
    help="Chandelier: a quantum computing cloud that you run yourself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
    epilog="New here? `chandelier demo` sets up a cloud and runs a first circuit on it.",
)
#: The nouns, under the headings of the help.
_NOUNS: Final = {
    "People": {"user": users.app, "token": tokens.app, "member": members.app},
    "Places": {
        "hub": places.noun("hub", "Hubs: the top of the tree, such as an institution."),
        "group": places.noun("group", "Groups of a hub, such as departments or courses."),
        "project": places.noun("project", "Projects of a group: where people work and jobs belong."),
        "share": shares.app,
        "limit": allowances.app,
    },
    "Devices and jobs": {
        "device": devices.app,
        "grant": grants.app,
        "reservation": reservations.app,
        "job": jobs.app,
        "queue": queue.app,
    },
    "Accounts": {"usage": usage.app, "audit": audit.app},
}
for command in (cloud.init, cloud.serve, cloud.demo, env.env, cloud.doctor):
    app.command(rich_help_panel="The cloud")(command)
for heading, nouns in _NOUNS.items():
    for name, noun in nouns.items():
        app.add_typer(noun, name=name, rich_help_panel=heading)


def run() -> None:
    """Run the command line; what a user did wrong is one sentence on standard error and exit status 1."""
    os.umask(0o077)  # what is written here is nobody else's to read
    try:
        app(prog_name="chandelier")
    except errors.ChandelierError as failure:
        print(f"chandelier: {words.said(failure.message)}", file=sys.stderr)  # noqa: T201
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
