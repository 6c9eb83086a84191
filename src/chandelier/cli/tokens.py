# SPDX-License-Identifier: Apache-2.0
"""API tokens from the shell."""

from typing import Annotated

import typer

from chandelier.cli import folder, output
from chandelier.cli import users as accounts

app = typer.Typer(help="API tokens.", no_args_is_help=True)


@app.command("issue")
def token_issue(
    email: Annotated[str, typer.Argument(help="Whose token.")],
    data: folder.Data = None,
    name: Annotated[str, typer.Option(help="What the token is for.")] = "",
    as_json: output.AsJson = False,
) -> None:
    """Make another API token for a user and print it, once."""
    from chandelier import acts

    with folder.opened(data) as store:
        text, token = store.write(lambda tx: acts.issue_token(tx, folder.by(), accounts.named(tx, email), name))
    output.show({"id": token.id, "token": text}, f"{token.id}\nAPI token, shown only now: {text}", as_json=as_json)


@app.command("revoke")
def token_revoke(
    token_id: Annotated[str, typer.Argument(help="Id of the token, from `token list`.")],
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """End an API token and every login made with it, at once."""
    from chandelier import acts

    with folder.opened(data) as store:
        token = store.write(lambda tx: acts.revoke_token(tx, folder.by(), token_id))
    output.show({"id": token.id, "revoked": True}, f"{token.id} is revoked", as_json=as_json)


@app.command("list")
def token_list(
    email: Annotated[str, typer.Argument(help="Whose tokens.")],
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """List a user's API tokens; never their texts."""
    from chandelier.tenancy import users

    with folder.opened(data) as store:
        tokens = store.read(lambda tx: users.list_tokens(tx, accounts.named(tx, email).id))
    rows = [
        {
            "id": token.id,
            "name": token.name,
            "created": output.time(token.created),
            "revoked": output.time(token.revoked),
        }
        for token in tokens
    ]
    output.show_table(rows, as_json=as_json)
