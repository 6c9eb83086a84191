# SPDX-License-Identifier: Apache-2.0
"""The one way to print: a text or a table for people, JSON for scripts."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from chandelier import sheets

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def show(document: Any, text: str, *, as_json: bool) -> None:
    """Print a JSON document, or what it says in words."""
    typer.echo(json.dumps(document) if as_json else text)
    sys.stdout.flush()


def show_table(rows: Sequence[Mapping[str, Any]], *, as_json: bool, document: Any = None) -> None:
    """Print rows of the same keys as a table, or as JSON; `document` is printed instead where it says more."""
    if as_json:
        show(rows if document is None else document, "", as_json=True)
        return
    if not rows:
        typer.echo("(none)")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*rows[0], box=None, pad_edge=False)
    for column, value in zip(table.columns, rows[0].values(), strict=True):
        column.justify = "right" if isinstance(value, int | float) and not isinstance(value, bool) else "left"
    for row in rows:
        # As plain text: square brackets in a title are not markup.
        table.add_row(*(Text(cell(value)) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def show_csv(heads: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as comma-separated values under their heads."""
    typer.echo(sheets.write(heads, rows), nl=False)
    sys.stdout.flush()


def lines(facts: Mapping[str, Any]) -> str:
    """Return facts, one a line."""
    return "\n".join(f"{key:16} {cell(value)}" for key, value in facts.items())


def cell(value: Any) -> str:
    """Return a value as people read it."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(cell(item) for item in value) or "-"
    if isinstance(value, dict):
        return " ".join(str(item) for item in value.values())
    return str(value)


def time(moment: datetime | None) -> str | None:
    """Return a moment as ISO 8601 with milliseconds."""
    return moment.isoformat(timespec="milliseconds") if moment else None
