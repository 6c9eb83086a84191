# SPDX-License-Identifier: Apache-2.0
"""What a command starts from: the data folder it works on, its settings and its store, who is typing, and when."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from chandelier.settings import Settings
    from chandelier.store import Store, Transaction
    from chandelier.tenancy.audit import By

T = TypeVar("T")

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Data folder.", envvar="CHANDELIER_DATA", show_default="data", file_okay=True),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would happen.")]


def settings(data: Path | None, **overrides: Any) -> "Settings":
    """Return the settings of a data folder; options that are not None go before them."""
    from chandelier import settings as files

    return files.load({"data": data} | overrides)


@contextmanager
def opened(data: Path | None) -> "Iterator[Store]":
    """Open the store of a data folder, also while a server serves it."""
    from chandelier import setup

    store = setup.open_store(settings(data))
    try:
        yield store
    finally:
        store.close()


def write(store: "Store", work: "Callable[[Transaction], T]", *, dry_run: bool) -> T:
    """Run `work` in a transaction and return its result; of a dry run nothing stays but that."""
    return store.rehearse(work) if dry_run else store.write(work)


def by() -> "By":
    """Return who is typing, as the audit log names them, and when: the account of the operating system, now."""
    from chandelier.tenancy.audit import By

    try:
        import pwd

        name = pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):  # a system without accounts, or a container with a number for a user
        name = "operator"
    return By(f"{name} (shell)", now())


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)
