# SPDX-License-Identifier: Apache-2.0
"""Users from the shell."""

from typing import TYPE_CHECKING, Annotated

import typer

from chandelier import errors
from chandelier.cli import folder, output

if TYPE_CHECKING:
    from chandelier.store import Transaction
    from chandelier.tenancy.users import User

app = typer.Typer(help="Users.", no_args_is_help=True)


@app.command("add")
def user_add(
    email: Annotated[str, typer.Argument(help="E-mail address; identifies the user.")],
    data: folder.Data = None,
    name: Annotated[str, typer.Option(help="Full name.")] = "",
    password: Annotated[str | None, typer.Option(help="Password, for logins without a token.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Add a user to the default project and print the API token, once."""
    from chandelier import setup

    with folder.opened(data) as store:
        user, token = setup.add_user(store, email, folder.now(), name=name, password=password)
    output.show(
        {"id": user.id, "email": user.email, "token": token},
        f"{user.email} (id {user.id})\nAPI token, shown only now: {token}",
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
