# SPDX-License-Identifier: Apache-2.0
"""Users from the shell."""

from typing import TYPE_CHECKING, Annotated

import typer

from chandelier import errors
from chandelier.cli import folder, output, paths

if TYPE_CHECKING:
    from chandelier.store import Transaction
    from chandelier.tenancy.network import Spot
    from chandelier.tenancy.users import User

app = typer.Typer(help="Users.", no_args_is_help=True)


@app.command("add", epilog="Example: chandelier user add ann@example.org --project lab/students/qc2026")
def user_add(
    email: Annotated[str, typer.Argument(help="E-mail address; identifies the user.")],
    project: Annotated[
        str | None,
        typer.Option(
            metavar=paths.FORMS["project"], help="Project to be a member of.", show_default="the default project"
        ),
    ] = None,
    no_project: Annotated[
        bool, typer.Option("--no-project", help="A member of nothing but what the address is invited to.")
    ] = False,
    data: folder.Data = None,
    name: Annotated[str, typer.Option(help="Full name.")] = "",
    password: Annotated[str | None, typer.Option(help="Password, for logins without a token.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Add a user to a project and print the API token, once.

    The default project knows no limits of a course: give students the course's project with --project. What the address
    is invited to is theirs in any case.
    """
    from chandelier import setup
    from chandelier.tenancy import members

    if project is not None and no_project:
        raise errors.Invalid("Give --project or --no-project, not both.", 1001)

    def home(tx: "Transaction") -> "Spot | None":
        return None if project is None else paths.get(tx, project, "project")

    by = folder.by()
    with folder.opened(data) as store:
        user, token = setup.add_user(
            store,
            email,
            by.now,
            name=name,
            password=password,
            home=home if project is not None or no_project else None,
            who=by.who,
        )
        projects = [place.path for place in store.read(lambda tx: members.places_of(tx, user.id))]
        administers = [spot.path for spot in store.read(lambda tx: members.administered_by(tx, user.id))]
    roles = f"member of {', '.join(projects) or 'no project'}"
    roles += f", administrator of {', '.join(administers)}" if administers else ""
    output.show(
        {"id": user.id, "email": user.email, "token": token, "projects": projects, "administers": administers},
        f"{user.email} (id {user.id}), {roles}\nAPI token, shown only now: {token}",
        as_json=as_json,
    )


@app.command("list")
def user_list(data: folder.Data = None, as_json: output.AsJson = False) -> None:
    """List all users."""
    from chandelier.tenancy import users

    with folder.opened(data) as store:
        known = store.read(users.list_)
    rows = [
        {
            "id": user.id,
            "email": user.email,
            "name": user.name,
            "operator": user.operator,
            "created": output.time(user.created),
        }
        for user in known
    ]
    output.show_table(rows, as_json=as_json)


def named(tx: "Transaction", email: str) -> "User":
    """Return the user of an address.

    Raises:
        errors.NotFound: There is none.
    """
    from chandelier.tenancy import users

    user = users.find_by_email(tx, email)
    if user is None:
        raise errors.NotFound(f"There is no user {email}. Add one: chandelier user add {email}", 3500)
    return user
