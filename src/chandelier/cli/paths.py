# SPDX-License-Identifier: Apache-2.0
"""Places by their path, as people type it: HUB, HUB/GROUP or HUB/GROUP/PROJECT."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from chandelier import errors

if TYPE_CHECKING:
    from chandelier.store import Transaction
    from chandelier.tenancy.network import Level, Spot

#: How the path of each level is written.
FORMS: "Final[Mapping[Level, str]]" = {"hub": "HUB", "group": "HUB/GROUP", "project": "HUB/GROUP/PROJECT"}
_LEVELS: "Final[tuple[Level, ...]]" = ("hub", "group", "project")

AnyPath = Annotated[str, typer.Argument(metavar="PATH", help="HUB, HUB/GROUP or HUB/GROUP/PROJECT.")]


def split(path: str, *levels: "Level") -> list[str]:
    """Return the names in a path.

    Args:
        levels: What the path may lead to; nothing allows all.

    Raises:
        errors.Invalid: It is no path, or leads to something else.
    """
    names = path.strip("/").split("/")
    allowed = levels or _LEVELS
    if not all(names) or len(names) > len(_LEVELS) or _LEVELS[len(names) - 1] not in allowed:
        forms = " or ".join(FORMS[level] for level in allowed)
        raise errors.Invalid(f"{path!r} is not a path here; write {forms}.", 1001)
    return names


def get(tx: "Transaction", path: str, *levels: "Level") -> "Spot":
    """Return the hub, group or project of a path.

    Raises:
        errors.Invalid: It is no path, or leads to something else than one of `levels`.
        errors.NotFound: There is none.
    """
    from chandelier.tenancy import network

    names = split(path, *levels)
    found = network.spot(tx, *names)
    if found is not None:
        return found
    missing = next(depth for depth in range(1, len(names) + 1) if network.spot(tx, *names[:depth]) is None)
    level = _LEVELS[missing - 1]
    listing = f"chandelier {level} list {'/'.join(names[: missing - 1])}".rstrip()
    raise errors.NotFound(f"There is no {level} {'/'.join(names[:missing])}. See: {listing}", 3001)


def inside(tx: "Transaction", spot: "Spot | None") -> "list[Spot]":
    """Return what is directly in a hub or a group, the oldest first; the hubs for None, nothing for a project."""
    from chandelier.tenancy import network

    return network.inside(tx, spot)
