# SPDX-License-Identifier: Apache-2.0
"""Members and administrators from the shell."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from chandelier import errors
from chandelier.cli import folder, importing, output, paths

if TYPE_CHECKING:
    from chandelier.tenancy.network import Spot

app = typer.Typer(help="Members of projects, administrators of hubs and groups.", no_args_is_help=True)


class Role(StrEnum):
    """What somebody may be: hubs and groups have admins, projects have members."""

    ADMIN = "admin"
    MEMBER = "member"


Email = Annotated[str, typer.Argument(metavar="EMAIL", help="Address of the person.")]
WantedRole = Annotated[
    Role | None,
    typer.Option(metavar="admin|member", help="Of a hub or group admin, of a project member: the path says it anyway."),
]


@app.command(
    "add",
    epilog="Example: chandelier member add lab/students/qc2026 ann@example.org\n\n"
    "An administrator: chandelier member add lab/students bob@example.org --role admin",
)
def member_add(
    path: paths.AnyPath,
    email: Email,
    role: WantedRole = None,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Make somebody a member of a project, or an administrator of a hub or group.

    Who has no account yet is invited: the role is theirs as soon as the account is.
    """
    from chandelier import acts

    with folder.opened(data) as store:
        added = store.write(lambda tx: acts.add_member(tx, folder.by(), _fitting(paths.get(tx, path), role), email))
    document = {"path": path.strip("/"), "email": added.email, "role": added.role, "invited": added.invited}
    text = f"{added.email} is {added.role} of {document['path']}"
    if added.invited:
        home = f"--project {document['path']}" if added.role == "member" else "--no-project"
        text = (
            f"{added.email} has no account yet and is invited: {added.role} of {document['path']} from the first day\n"
            f"Make the account: chandelier user add {added.email} {home}"
        )
    output.show(document, text, as_json=as_json)


@app.command("remove", epilog="Example: chandelier member remove lab/students/qc2026 ann@example.org")
def member_remove(
    path: paths.AnyPath,
    email: Email,
    role: WantedRole = None,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Take somebody's role in a hub, group or project away, at once; their account and their jobs stay."""
    from chandelier import acts

    with folder.opened(data) as store:
        store.write(lambda tx: acts.remove_member(tx, folder.by(), _fitting(paths.get(tx, path), role), email))
    document = {"path": path.strip("/"), "email": email.strip().lower(), "removed": True}
    output.show(document, f"{document['email']} has no role in {document['path']} any more", as_json=as_json)


@app.command("list", epilog="Example: chandelier member list lab/students")
def member_list(path: paths.AnyPath, data: folder.Data = None, as_json: output.AsJson = False) -> None:
    """List the members of a project, or the administrators of a hub or group, and who is invited."""
    from chandelier.tenancy import members

    with folder.opened(data) as store:
        known = store.read(lambda tx: members.list_(tx, paths.get(tx, path)))
    rows = [
        {
            "email": member.email,
            "name": member.name,
            "role": member.role,
            "invited": member.invited,
            "since": output.time(member.joined),
        }
        for member in known
    ]
    output.show_table(rows, as_json=as_json)


app.command(
    "import",
    epilog="Example: chandelier member import lab/students/qc2026 class.csv --dry-run\n\n"
    "The roster may be as short as one address a line.",
)(importing.member_import)


def _fitting(spot: "Spot", role: Role | None) -> "Spot":
    """Return the node if somebody can have the role there.

    Raises:
        errors.Invalid: They cannot.
    """
    from chandelier.tenancy import members

    there = members.role_at(spot.level)
    if role is not None and role.value != there:
        more = "Name one of its projects." if there == "admin" else "Name its group or hub."
        raise errors.Invalid(f"{spot.path} is a {spot.level} and has {there}s, no {role.value}s. {more}", 1001)
    return spot
