# SPDX-License-Identifier: Apache-2.0
"""Members and administrators from the shell: one by one, or a class at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chandelier import errors
from chandelier.cli import folder, output, paths

if TYPE_CHECKING:
    from chandelier.setup import Enrolled
    from chandelier.store import Transaction
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
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="Where the tokens are written, readable by you alone.",
        show_default="beside the roster, its name with -tokens",
    ),
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
    from chandelier.tenancy import acts

    with folder.opened(data) as store:
        added = store.write(lambda tx: acts.add_member(tx, folder.by(), _fitting(paths.get(tx, path), role), email))
    document = {"path": path.strip("/"), "email": added.email, "role": added.role, "invited": added.invited}
    text = f"{added.email} is {added.role} of {document['path']}"
    if added.invited:
        text = (
            f"{added.email} has no account yet and is invited: {added.role} of {document['path']} from the first day\n"
            f"Make the account: chandelier user add {added.email}"
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
    from chandelier.tenancy import acts

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


@app.command(
    "import",
    epilog="Example: chandelier member import lab/students/qc2026 class.csv --dry-run\n\n"
    "The roster may be as short as one address a line.",
)
def member_import(
    path: Annotated[str, typer.Argument(metavar="HUB/GROUP/PROJECT", help="The project.")],
    roster: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="Columns email[,name[,password]], with or without a header.")
    ],
    out: Out = None,
    skip_members: Annotated[
        bool, typer.Option("--skip-members", help="Pass over who is a member already: no new token for them.")
    ] = False,
    data: folder.Data = None,
    dry_run: folder.DryRun = False,
    as_json: output.AsJson = False,
) -> None:
    """Bring a class in: make the accounts that are missing, make all members of a project, give each an API token.

    The tokens are written to one file to hand out: email, name, token and, if the setting public_url is set, url. A
    password counts for a new account only. If a line of the roster is wrong, nothing is imported.
    """
    from chandelier import setup
    from chandelier.formats import rosters

    entries = rosters.read(_content(roster))
    target = out or roster.with_name(f"{roster.stem}-tokens.csv")
    if target.exists() and not dry_run:
        raise errors.Invalid(f"{target} exists; move it away, or name another file with --out.", 1001)
    url = folder.settings(data).public_url.rstrip("/")

    def work(tx: "Transaction", step: Callable[[], None]) -> "tuple[str, list[Enrolled]]":
        spot = paths.get(tx, path, "project")
        enrolled = setup.import_members(tx, folder.by(), spot, people, skip_members=skip_members, step=step)
        if enrolled and not dry_run:
            # The file is there before the commit, so there is never a valid token that nobody knows.
            _write_tokens(target, enrolled, url and f"{url}/api")
        return spot.path, enrolled

    with folder.opened(data) as store, _progress(2 * len(entries)) as step:
        store.read(lambda tx: paths.get(tx, path, "project"))  # a wrong path is told before the passwords are hashed
        people = setup.prepare_members(store, entries, step)
        try:
            where, enrolled = folder.write(store, lambda tx: work(tx, step), dry_run=dry_run)
        except Exception:
            if not dry_run:
                target.unlink(missing_ok=True)  # it was not there before, and its tokens are none
            raise
    _tell(where, enrolled, target, dry_run=dry_run, as_json=as_json)


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


def _content(roster: Path) -> bytes:
    try:
        return roster.read_bytes()
    except OSError as failure:
        raise errors.Invalid(f"The roster {roster} cannot be read ({failure.strerror}).", 1001) from failure


def _write_tokens(target: Path, enrolled: "list[Enrolled]", url: str) -> None:
    from chandelier import setup
    from chandelier.formats import rosters

    heads = ["email", "name", "token"] + (["url"] if url else [])
    rows = [[each.user.email, each.user.name, each.token] + ([url] if url else []) for each in enrolled]
    try:
        setup.write_private(target, rosters.write(heads, rows))
    except OSError as failure:
        raise errors.Invalid(
            f"{target} cannot be written ({failure.strerror}). Nothing is imported; name another file with --out.", 1001
        ) from failure


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[], None]]:
    """Show a bar on standard error, if somebody looks; yield what moves it by one step."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Importing", total=steps)
        yield lambda: progress.advance(task)


def _tell(path: str, enrolled: "list[Enrolled]", target: Path, *, dry_run: bool, as_json: bool) -> None:
    accounts = sum(each.created for each in enrolled)
    joined = sum(each.joined for each in enrolled)
    document: dict[str, Any] = {
        "path": path,
        "dry_run": dry_run,
        "accounts": accounts,
        "joined": joined,
        "tokens": len(enrolled),
        "out": str(target) if enrolled and not dry_run else None,
        "people": [
            {"email": each.user.email, "name": each.user.name, "created": each.created, "joined": each.joined}
            for each in enrolled
        ],
    }
    text = f"{path}: {accounts} new accounts, {joined} new members, {len(enrolled)} tokens"
    if dry_run:
        rows = [
            {"email": each.user.email, "name": each.user.name, "account": each.created, "joins": each.joined}
            for each in enrolled
        ]
        output.show_table(rows, as_json=as_json, document=document)
        if not as_json:
            typer.echo(f"Nothing is changed. Without --dry-run: {text}, in {target}")
        return
    if not enrolled:
        output.show(document, f"{path}: all are members already", as_json=as_json)
        return
    output.show(document, f"{text}\nThe tokens to hand out are in {target} (readable by you alone)", as_json=as_json)
