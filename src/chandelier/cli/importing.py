# SPDX-License-Identifier: Apache-2.0
"""A class brought in from the shell: accounts, memberships, and one file of tokens to hand out."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chandelier import errors, sheets
from chandelier.cli import effects, folder, output, paths

if TYPE_CHECKING:
    from chandelier.formats.rosters import Entry
    from chandelier.setup import Enrolled, Newcomer
    from chandelier.store import Store, Transaction

Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="Where the tokens are written, readable by you alone.",
        show_default="beside the roster, its name with -tokens",
    ),
]
NewTokens = Annotated[
    bool, typer.Option("--new-tokens", help="Give those who have an account another token too; their others stay.")
]


def member_import(
    path: Annotated[str, typer.Argument(metavar="HUB/GROUP/PROJECT", help="The project.")],
    roster: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="Columns email[,name[,password]], with or without a header.")
    ],
    out: Out = None,
    new_tokens: NewTokens = False,
    data: folder.Data = None,
    dry_run: folder.DryRun = False,
    as_json: output.AsJson = False,
) -> None:
    """Bring a class in: make the accounts that are missing, each with an API token, and make all members of a project.

    The tokens are written to one file to hand out: email, name, token and, if the setting public_url is set, url. Who
    has an account keeps their tokens. A password counts for a new account only. If a line of the roster is wrong,
    nothing is imported; the same roster can be imported again when somebody was added to it.
    """
    from chandelier import setup
    from chandelier.formats import rosters

    entries = rosters.read(_content(roster))
    target = out or roster.with_name(f"{roster.stem}-tokens.csv")
    url = folder.settings(data).public_url.rstrip("/")
    made: tuple[str, list[Enrolled]] | None = None
    with folder.opened(data) as store:
        _check(store, path, entries, target, new_tokens=new_tokens, dry_run=dry_run)
        try:
            with _progress(len(entries), shown=not as_json) as begin:
                people = setup.prepare_members(store, entries, begin("Hashing passwords"))
                work = _Work(path, people, new_tokens, begin("Making accounts"))
                if dry_run:
                    made = folder.write(store, work.run, dry_run=True)
                else:
                    made = _imported(store, work, target, url and f"{url}/api")
        except KeyboardInterrupt:
            if made is None:
                typer.echo("Stopped. Nothing is imported.", err=True)
                raise typer.Exit(_INTERRUPTED) from None
    assert made is not None
    _tell(*made, target, dry_run=dry_run, as_json=as_json)


#: The exit status of a program that Ctrl-C ended.
_INTERRUPTED: Final = 130


class _StoppedError(Exception):
    """Ends the transaction of an import that Ctrl-C ended."""


class _Work:
    """An import that can be stopped while the writer is at it."""

    def __init__(self, path: str, people: "Sequence[Newcomer]", new_tokens: bool, step: Callable[[], None]) -> None:
        self._path = path
        self._people = people
        self._new_tokens = new_tokens
        self._step = step
        self.stopping = threading.Event()

    def run(self, tx: "Transaction") -> "tuple[str, list[Enrolled]]":
        """Return the project's path and what came of each of the people."""
        from chandelier import setup

        project = paths.get(tx, self._path, "project")
        by = folder.by()
        made = setup.import_members(tx, by, project, self._people, new_tokens=self._new_tokens, step=self._go_on)
        return project.path, made

    def _go_on(self) -> None:
        if self.stopping.is_set():
            raise _StoppedError
        self._step()


def _imported(store: "Store", work: _Work, target: Path, url: str) -> "tuple[str, list[Enrolled]]":
    """Import for good; the file of tokens is there in the end if, and only if, they are valid."""
    written = threading.Event()

    def run(tx: "Transaction") -> "tuple[str, list[Enrolled]]":
        where, enrolled = work.run(tx)
        holders = [each for each in enrolled if each.token is not None]
        if holders:
            if written.is_set():  # in a transaction that was taken back and is tried again
                target.unlink(missing_ok=True)
            # The file is there before the commit, so there is never a valid token that nobody knows.
            _refuse_to_overwrite(target)
            _write_tokens(target, holders, url)
            written.set()
        return where, enrolled

    going = store.database.submit(run)
    try:
        return going.result()
    except BaseException as failure:
        work.stopping.set()
        # Only the writer knows whether it was stopped in time; until it has said so nothing is taken back.
        if going.exception() is None and isinstance(failure, KeyboardInterrupt):
            return going.result()
        if written.is_set() and going.exception() is not None:
            target.unlink(missing_ok=True)
        raise


def _check(
    store: "Store", path: str, entries: "Sequence[Entry]", target: Path, *, new_tokens: bool, dry_run: bool
) -> None:
    """Refuse what can be told before passwords are hashed: a wrong path, and tokens that could not be written."""
    from chandelier.tenancy import users

    def unknown(tx: "Transaction") -> bool:
        paths.get(tx, path, "project")
        known = users.find_all_by_email(tx, [entry.email for entry in entries])
        return any(entry.email.strip().lower() not in known for entry in entries)

    if (store.read(unknown) or new_tokens) and not dry_run:
        _refuse_to_overwrite(target)
        if not target.parent.is_dir():
            raise errors.Invalid(f"{target} cannot be written: there is no folder {target.parent}.", 1001)


def _refuse_to_overwrite(target: Path) -> None:
    if target.exists():
        raise errors.Invalid(f"{target} exists; move it away, or name another file with --out.", 1001)


def _content(roster: Path) -> bytes:
    try:
        return roster.read_bytes()
    except OSError as failure:
        raise errors.Invalid(f"The roster {roster} cannot be read ({failure.strerror}).", 1001) from failure


def _write_tokens(target: Path, enrolled: "Sequence[Enrolled]", url: str) -> None:
    from chandelier import setup

    heads = ["email", "name", "token"] + (["url"] if url else [])
    rows = [[each.user.email, each.user.name, each.token] + ([url] if url else []) for each in enrolled]
    try:
        setup.write_private(target, sheets.write(heads, rows))
    except OSError as failure:
        raise errors.Invalid(
            f"{target} cannot be written ({failure.strerror}). Nothing is imported; name another file with --out.", 1001
        ) from failure


@contextmanager
def _progress(steps: int, *, shown: bool) -> Iterator[Callable[[str], Callable[[], None]]]:
    """Show bars on standard error, if somebody looks; yield what begins one and returns what moves it by one step."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not (shown and console.is_terminal)) as progress:

        def begin(what: str) -> Callable[[], None]:
            task = progress.add_task(what, total=steps)
            return lambda: progress.advance(task)

        yield begin


def _tell(path: str, enrolled: "Sequence[Enrolled]", target: Path, *, dry_run: bool, as_json: bool) -> None:
    tokens = sum(each.token is not None for each in enrolled)
    counts = {
        "accounts": sum(each.created for each in enrolled),
        "known": sum(not each.created for each in enrolled),
        "joined": sum(each.joined for each in enrolled),
        "tokens": tokens,
    }
    document: dict[str, Any] = {"path": path, "dry_run": dry_run, **counts, "out": str(target) if tokens else None}
    document["people"] = [
        {
            "email": each.user.email,
            "name": each.user.name,
            "created": each.created,
            "joined": each.joined,
            "token": each.token is not None,
        }
        for each in enrolled
    ]
    if dry_run:
        document["out_exists"] = target.exists()
    lines = _lines(path, counts)
    if dry_run and not as_json:
        output.show_table([_row(each) for each in enrolled], as_json=False)
        lines[0] = f"Nothing is changed. Without --dry-run: {lines[0]}"
        lines += [_where(target)] if tokens else []
    elif tokens:
        lines.append(f"The tokens to hand out are in {target} (readable by you alone)")
    output.show(document, "\n".join(lines), as_json=as_json)


def _lines(path: str, counts: Mapping[str, int]) -> list[str]:
    """Return what an import does, in sentences."""
    parts = [
        effects.counted(counts["accounts"], "new account"),
        effects.counted(counts["joined"], "new member"),
        effects.counted(counts["tokens"], "new token"),
    ]
    keeping = counts["accounts"] + counts["known"] - counts["tokens"]
    lines = [f"{path}: {', '.join(parts)}"]
    if not (counts["joined"] or counts["tokens"]):
        lines = [f"{path}: all are members already"]
    if keeping:
        have = "has an account already and keeps" if keeping == 1 else "have an account already and keep"
        lines.append(f"{effects.counted(keeping, 'person', 'people')} {have} their tokens (another one: --new-tokens)")
    return lines


def _row(each: "Enrolled") -> dict[str, str]:
    return {
        "email": each.user.email,
        "name": each.user.name,
        "account": "new account" if each.created else "known",
        "project": "joins" if each.joined else "is a member",
        "token": "new token" if each.token is not None else "keeps theirs",
    }


def _where(target: Path) -> str:
    if target.exists():
        return f"The tokens go to {target}, WHICH EXISTS: move it away, or name another file with --out"
    return f"The tokens go to {target} (readable by you alone)"
