# SPDX-License-Identifier: Apache-2.0
"""The audit log from the shell: which administrator did what, to what, when."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from chandelier.cli import folder, output, paths

if TYPE_CHECKING:
    from chandelier.tenancy.audit import Act

app = typer.Typer(help="Audit log: which administrator did what, to what, when.", no_args_is_help=True)


@app.command("log", epilog="Example: chandelier audit log lab --limit 20")
def audit_log(
    path: Annotated[
        str | None, typer.Argument(metavar="PATH", help="Only this hub, group or project, and what is in it.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="How many, the last first.", min=1, max=100_000)] = 50,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Show what administrators did, the last first; also to what has been removed since."""
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
            "before": act.before,
            "after": act.after,
        }
        for act in acts
    ]
    shown = [
        {"at": row["at"], "who": row["who"], "act": row["act"], "path": row["path"], "change": _change(act)}
        for row, act in zip(rows, acts, strict=True)
    ]
    output.show_table(shown, as_json=as_json, document=rows)


def _change(act: "Act") -> str:
    """Return what changed, like `priority 1000 > 3000`; what became of nothing or nothing, as it is."""
    old, new = act.before or {}, act.after or {}
    parts = []
    for name in old | new:
        values = [output.cell(facts.get(name)) for facts in (old, new) if facts]
        parts.append(f"{name} {' > '.join(dict.fromkeys(values))}")
    return ", ".join(parts)
