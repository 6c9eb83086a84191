# SPDX-License-Identifier: Apache-2.0
"""The audit log from the shell: which administrator did what, to what, when."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from chandelier.cli import effects, folder, output, paths

#: What the core calls otherwise than the shell.
_NAMES: Final = {"priority": "share"}

app = typer.Typer(help="Audit log: which administrator did what, to what, when.", no_args_is_help=True)


@app.command("log", epilog="Example: chandelier audit log lab --limit 20")
def audit_log(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="PATH", help="Only this hub, group or project, and what is in it; also one that is removed."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="How many, the last first.", min=1, max=100_000)] = 50,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Show what administrators did, the last first.

    Accounts, tokens and devices belong to no hub: their acts are shown without PATH only.
    """
    from chandelier.tenancy import audit

    wanted = None if path is None else "/".join(paths.split(path))
    with folder.opened(data) as store:
        acts = store.read(lambda tx: audit.list_(tx, path=wanted, limit=limit))
    rows: list[dict[str, Any]] = [
        {
            "at": output.time(act.at),
            "who": act.who,
            "act": act.act,
            "path": act.path,
            "before": _named(act.before),
            "after": _named(act.after),
        }
        for act in acts
    ]
    shown = [{key: row[key] for key in ("at", "who", "act", "path")} | {"change": _change(row)} for row in rows]
    output.show_table(shown, as_json=as_json, document=rows)


def _named(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return facts by the names that the shell has for them."""
    return None if facts is None else {_NAMES.get(name, name): value for name, value in facts.items()}


def _change(row: Mapping[str, Any]) -> str:
    """Return what changed, like `share 1000 > 3000`; what became of nothing or nothing, as it is."""
    old, new = row["before"] or {}, row["after"] or {}
    parts = []
    for name in old | new:
        values = [_cell(facts.get(name)) for facts in (old, new) if facts]
        parts.append(f"{name} {' > '.join(dict.fromkeys(values))}")
    return "; ".join(parts)


def _cell(value: Any) -> str:
    """Return a value as people read it; of a long list its beginning."""
    return effects.few(value) if isinstance(value, list) and value else output.cell(value)
