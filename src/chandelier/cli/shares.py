# SPDX-License-Identifier: Apache-2.0
"""Shares from the shell: how much of the devices' time each hub, group and project is due."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chandelier import figures
from chandelier.cli import folder, output, paths, queue

if TYPE_CHECKING:
    from chandelier.devices import Device
    from chandelier.scheduling.outlook import NextChange
    from chandelier.store import Transaction
    from chandelier.tenancy.network import Spot

app = typer.Typer(help="Shares: who is due how much of the devices' time.", no_args_is_help=True)

Share = Annotated[int, typer.Option("--share", metavar="N", help="Weight among its siblings, 1 to 10000.")]


@app.command(
    "show",
    epilog="Example: chandelier share show lab\n\nOf one device: chandelier share show lab --device ibmq_manila",
)
def share_show(
    path: Annotated[str | None, typer.Argument(metavar="PATH", help="Only this hub, group or project.")] = None,
    device: Annotated[str | None, typer.Option(help="Shares of this device, among those who have it.")] = None,
    data: folder.Data = None,
    as_json: output.AsJson = False,
) -> None:
    """Show shares as a tree: the number, its percentage among siblings, and the percentage of the whole.

    All siblings count; `queue show` counts those alone who have work on the device or used something lately.
    """
    from chandelier import devices

    def work(tx: "Transaction") -> list[dict[str, Any]]:
        wanted = None if path is None else paths.get(tx, path)
        chosen = None if device is None else devices.get(tx, device)
        return _tree(tx, None, wanted, chosen, 100.0)

    with folder.opened(data) as store:
        rows = store.read(work)
    shown = [
        {
            "place": "  " * (row["path"].count("/")) + row["path"].rpartition("/")[2],
            "share": row["share"],
            "of all siblings": f"{row['percent']:.2f} %",
            "of all": f"{row['percent_of_all']:.2f} %",
        }
        for row in rows
    ]
    output.show_table(shown, as_json=as_json, document=figures.told(rows))


@app.command("set", epilog="Example: chandelier share set lab/students 3000 --dry-run")
def share_set(
    path: paths.AnyPath,
    share: Annotated[int, typer.Argument(metavar="N", help="Weight among its siblings, 1 to 10000.")],
    data: folder.Data = None,
    dry_run: folder.DryRun = False,
    as_json: output.AsJson = False,
) -> None:
    """Give a hub, group or project another share; its siblings' percentages change with it."""
    from chandelier import acts
    from chandelier.scheduling import outlook

    slots = folder.settings(data).runners if dry_run else None

    def work(tx: "Transaction") -> outlook.Comparison:
        spot, by = paths.get(tx, path), folder.by()

        def act() -> object:
            return acts.change(tx, by, spot, priority=share)

        return outlook.compare(tx, by.now, slots, spot.above, None, act)[1]

    with folder.opened(data) as store:
        done = folder.write(store, work, dry_run=dry_run)
    document, change = {"path": path.strip("/"), "share": share}, (done.before, done.after)
    report(document, f"{path} gets share {share}", change, dry_run, as_json=as_json, ahead=done.queue)


#: Shares by path, before a change and after it.
Change = tuple[Mapping[str, int], Mapping[str, int]]


def of(tx: "Transaction", above: "Spot | None", device: "Device | None" = None) -> dict[str, int]:
    """Return the shares, by path, of what is in a hub or group; of a device's, those of who has it."""
    from chandelier.scheduling import outlook

    return outlook.shares(tx, above, device)


def percentages(shares: Mapping[str, int]) -> dict[str, float]:
    """Return what each share is of their sum, in per cent."""
    from chandelier.scheduling import outlook

    return outlook.percentages(shares)


def report(
    document: Mapping[str, Any],
    sentence: str,
    change: Change,
    dry_run: bool,
    *,
    as_json: bool,
    hint: str = "",
    effects: Iterable[str] = (),
    ahead: "Iterable[NextChange]" = (),
) -> None:
    """Tell what was done, or, after a dry run, what would become of every sibling's share and next job.

    Args:
        sentence: What the command does, without a full stop.
        hint: What to do next, or what else should be known.
        effects: What will happen to whom, told after a dry run.
    """
    rows, moved = _compared(change), [queue.changed(each) for each in ahead]
    if as_json:
        queued = {"queue": moved} if dry_run else {}
        output.show(figures.told(dict(document) | {"dry_run": dry_run, "shares": rows} | queued), "", as_json=True)
        return
    if not dry_run:
        typer.echo(f"{sentence}\n{hint}".rstrip())
        return
    output.show_table(
        [{_HEADS[key]: _percent(key, value) for key, value in row.items()} for row in rows], as_json=False
    )
    if moved:
        typer.echo("The next job of each who waits:")
        output.show_table(moved, as_json=False)
    told = "".join(f"\n  {effect}" for effect in effects)
    typer.echo(f"Nothing is changed. Without --dry-run: {sentence}{told}\n{hint if told else ''}".rstrip())


#: What the columns of a comparison are called in a table.
_HEADS: Final = {
    "path": "path",
    "share_before": "share before",
    "percent_before": "of all siblings before",
    "share_after": "share after",
    "percent_after": "of all siblings after",
}


def _percent(key: str, value: Any) -> Any:
    return f"{value:.2f} %" if key.startswith("percent") and value is not None else value


def _compared(change: Change) -> list[dict[str, Any]]:
    import msgspec

    from chandelier.scheduling import outlook

    return [msgspec.structs.asdict(row) for row in outlook.weighed(*change)]


def _tree(
    tx: "Transaction", above: "Spot | None", wanted: "Spot | None", device: "Device | None", whole: float
) -> list[dict[str, Any]]:
    """Return the rows of what is below a node and, where one is wanted, on the way to it or below it."""
    shares = of(tx, above, device)
    percent = percentages(shares)
    rows: list[dict[str, Any]] = []
    for spot in paths.inside(tx, above):
        related = wanted is None or all(one.id == two.id for one, two in zip(spot.way, wanted.way, strict=False))
        if spot.path not in shares or not related:
            continue
        of_all = whole * percent[spot.path] / 100
        row = {"path": spot.path, "level": spot.level, "share": shares[spot.path]}
        rows.append(row | {"percent": percent[spot.path], "percent_of_all": of_all})
        rows += _tree(tx, spot, wanted, device, of_all)
    return rows
