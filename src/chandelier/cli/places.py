# SPDX-License-Identifier: Apache-2.0
"""Hubs, groups and projects from the shell; the commands of the three nouns are the same."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from chandelier import errors
from chandelier.cli import effects, folder, output, paths, shares

if TYPE_CHECKING:
    from chandelier.store import Transaction
    from chandelier.tenancy.network import Level, Spot

_EXAMPLES: "Final[Mapping[Level, str]]" = {
    "hub": "lab --title 'Our laboratory'",
    "group": "lab/students --title Students --share 3000",
    "project": "lab/students/qc2026 --title 'Quantum computing, 2026'",
}
_NEXT: "Final[Mapping[Level, str]]" = {
    "hub": "chandelier group add {path}/GROUP",
    "group": "chandelier project add {path}/PROJECT",
    "project": "chandelier member add {path} EMAIL",
}
_BELOW: "Final[Mapping[Level, Level]]" = {"hub": "group", "group": "project"}
_ABOVE: "Final[Mapping[Level, Level]]" = {"group": "hub", "project": "group"}

Title = Annotated[str, typer.Option(help="The name that people read.")]
Description = Annotated[str, typer.Option(help="What it is for.")]
NewTitle = Annotated[str | None, typer.Option("--title", help="The name that people read.")]
NewDescription = Annotated[str | None, typer.Option("--description", help="What it is for.")]
Within = Annotated[str | None, typer.Argument(metavar="PATH", help="Only those in this hub or group.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure; scripts must say it.")]


def noun(level: "Level", about: str) -> typer.Typer:
    """Return the commands of hubs, of groups or of projects."""
    app = typer.Typer(help=about, no_args_is_help=True)

    @app.command("add", help=f"Add a {level}.", epilog=f"Example: chandelier {level} add {_EXAMPLES[level]}")
    def add(
        path: Annotated[str, typer.Argument(metavar=paths.FORMS[level], help="Where, and the new name.")],
        title: Title = "",
        description: Description = "",
        share: shares.Share = 1000,
        data: folder.Data = None,
        dry_run: folder.DryRun = False,
        as_json: output.AsJson = False,
    ) -> None:
        facts = {"title": title, "description": description, "priority": share}
        _add(level, path, facts, data, dry_run=dry_run, as_json=as_json)

    @app.command("remove", help=f"Remove a {level} and what is in it; its jobs and its usage are kept.")
    def remove(
        path: Annotated[str, typer.Argument(metavar=paths.FORMS[level], help=f"The {level}.")],
        data: folder.Data = None,
        yes: Yes = False,
        dry_run: folder.DryRun = False,
        as_json: output.AsJson = False,
    ) -> None:
        _remove(level, path, data, yes=yes, dry_run=dry_run, as_json=as_json)

    @app.command("change", help=f"Change title or description of a {level}. Its share: chandelier share set.")
    def change(
        path: Annotated[str, typer.Argument(metavar=paths.FORMS[level], help=f"The {level}.")],
        title: NewTitle = None,
        description: NewDescription = None,
        data: folder.Data = None,
        as_json: output.AsJson = False,
    ) -> None:
        given = {"title": title, "description": description}
        _change(level, path, {name: text for name, text in given.items() if text is not None}, data, as_json=as_json)

    _add_reading(app, level)
    return app


def _add_reading(app: typer.Typer, level: "Level") -> None:
    @app.command("show", help=f"Show a {level}: its people, its devices, its share and what is in it.")
    def show(
        path: Annotated[str, typer.Argument(metavar=paths.FORMS[level], help=f"The {level}.")],
        data: folder.Data = None,
        as_json: output.AsJson = False,
    ) -> None:
        with folder.opened(data) as store:
            facts = store.read(lambda tx: _facts(tx, paths.get(tx, path, level)))
        output.show(facts, output.lines(facts), as_json=as_json)

    about = f"List all {level}s, with their shares."
    if level == "hub":

        @app.command("list", help=about)
        def list_hubs(data: folder.Data = None, as_json: output.AsJson = False) -> None:
            _list(level, None, data, as_json=as_json)

    else:

        @app.command("list", help=about)
        def list_(path: Within = None, data: folder.Data = None, as_json: output.AsJson = False) -> None:
            _list(level, path, data, as_json=as_json)


def _add(
    level: "Level", path: str, facts: Mapping[str, Any], data: Path | None, *, dry_run: bool, as_json: bool
) -> None:
    *names, name = paths.split(path, level)

    def work(tx: "Transaction") -> "tuple[Spot, shares.Change]":
        above = paths.get(tx, "/".join(names), _ABOVE[level]) if names else None
        before = shares.of(tx, above)
        spot = _added(tx, above, name, facts)
        return spot, (before, shares.of(tx, above))

    with folder.opened(data) as store:
        spot, change = folder.write(store, work, dry_run=dry_run)
    percent = shares.percentages(change[1])[spot.path]
    document = {"path": spot.path, "title": spot.node.title, "share": spot.node.priority, "percent": percent}
    sentence = f"{spot.path} is added with share {spot.node.priority}, {percent:.2f} % among its siblings"
    above = " --above" if names else ""
    hint = f"Next: chandelier grant set {spot.path} DEVICE{above}, and {_NEXT[level].format(path=spot.path)}"
    shares.report(document, sentence, change, dry_run, as_json=as_json, hint=hint)


def _added(tx: "Transaction", above: "Spot | None", name: str, facts: Mapping[str, Any]) -> "Spot":
    from chandelier import acts

    if above is None:
        return acts.add_hub(tx, folder.by(), name, **facts)
    add = acts.add_group if above.group is None else acts.add_project
    return add(tx, folder.by(), above, name, **facts)


def _remove(level: "Level", path: str, data: Path | None, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    from chandelier import acts

    def work(tx: "Transaction") -> tuple[str, dict[str, Any], shares.Change]:
        spot = paths.get(tx, path, level)
        before, concerned = shares.of(tx, spot.above), effects.of(tx, spot)
        sentence = f"{spot.path} is removed{_contents(tx, spot)}; its jobs and its usage are kept"
        acts.remove(tx, folder.by(), spot)
        return sentence, concerned, (before, shares.of(tx, spot.above))

    with folder.opened(data) as store:
        if not (yes or dry_run):
            _confirm(*folder.write(store, work, dry_run=True)[:2])
        sentence, concerned, change = folder.write(store, work, dry_run=dry_run)
    document = {"path": path.strip("/"), "removed": not dry_run} | concerned
    told = effects.told(concerned, _LOSING)
    shares.report(document, sentence, change, dry_run, as_json=as_json, effects=told)


#: What people lose with a hub, group or project.
_LOSING: Final = "lose their role there"


def _confirm(sentence: str, concerned: Mapping[str, Any]) -> None:
    """Ask whether to go on; a script, whom nobody can ask, must have said so."""
    if not sys.stdin.isatty():
        raise errors.Invalid(f"{sentence.partition(';')[0]} only if you say so: add --yes, or first --dry-run.", 1001)
    for line in (f"{sentence}:", *(f"  {effect}" for effect in effects.told(concerned, _LOSING))):
        typer.echo(line, err=True)
    typer.confirm("Go on?", abort=True, err=True)


def _contents(tx: "Transaction", spot: "Spot") -> str:
    """Return what else goes when a node does."""
    inside = paths.inside(tx, spot)
    if not inside:
        return ""
    counts = [effects.counted(len(inside), _BELOW[spot.level])]
    if spot.level == "hub":
        counts.append(effects.counted(sum(len(paths.inside(tx, below)) for below in inside), "project"))
    return f" with {' and '.join(counts)}"


def _change(level: "Level", path: str, new: Mapping[str, str], data: Path | None, *, as_json: bool) -> None:
    from chandelier import acts

    if not new:
        raise errors.Invalid("Give a --title, a --description or both.", 1001)

    with folder.opened(data) as store:
        node = store.write(lambda tx: acts.change(tx, folder.by(), paths.get(tx, path, level), **new))
    document = {"path": path.strip("/"), "title": node.title, "description": node.description}
    output.show(document, output.lines(document), as_json=as_json)


def _list(level: "Level", path: str | None, data: Path | None, *, as_json: bool) -> None:
    def work(tx: "Transaction") -> list[dict[str, Any]]:
        if level == "hub":
            return _rows(tx, None)
        if path is not None:
            allowed: tuple[Level, ...] = ("hub",) if level == "group" else ("hub", "group")
            starts = [paths.get(tx, path, *allowed)]
        else:
            starts = paths.inside(tx, None)
        while starts and starts[0].level != _ABOVE[level]:
            starts = [group for start in starts for group in paths.inside(tx, start)]
        return [row for start in starts for row in _rows(tx, start)]

    with folder.opened(data) as store:
        rows = store.read(work)
    as_text = [row | {"percent": f"{row['percent']:.2f} %"} for row in rows]
    output.show_table(as_text, as_json=as_json, document=rows)


def _rows(tx: "Transaction", above: "Spot | None") -> list[dict[str, Any]]:
    """Return a row for each hub, each group of a hub, or each project of a group."""
    from chandelier.tenancy import grants, members

    percent = shares.percentages(shares.of(tx, above))
    rows = []
    for spot in paths.inside(tx, above):
        row: dict[str, Any] = {"path": spot.path, "title": spot.node.title, "share": spot.node.priority}
        row["percent"] = percent[spot.path]
        row["members" if spot.level == "project" else "admins"] = len(members.list_(tx, spot))
        row["devices"] = len(grants.usable(tx, [spot])[spot.node.id])
        if spot.level in _BELOW:
            row[f"{_BELOW[spot.level]}s"] = len(paths.inside(tx, spot))
        rows.append(row)
    return rows


def _facts(tx: "Transaction", spot: "Spot") -> dict[str, Any]:
    from chandelier import devices
    from chandelier.tenancy import grants, members

    granted = grants.usable(tx, [spot])[spot.node.id]
    people = members.list_(tx, spot)
    facts: dict[str, Any] = {
        "path": spot.path,
        "title": spot.node.title,
        "description": spot.node.description,
        "share": spot.node.priority,
        "percent": round(shares.percentages(shares.of(tx, spot.above))[spot.path], 2),
        "created": output.time(spot.node.created),
        "members" if spot.level == "project" else "admins": [person.email for person in people],
        "devices": [device.name for device in devices.list_(tx) if device.id in granted],
    }
    if spot.level in _BELOW:
        facts[f"{_BELOW[spot.level]}s"] = [below.node.name for below in paths.inside(tx, spot)]
    return facts
