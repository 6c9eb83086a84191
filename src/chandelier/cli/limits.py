# SPDX-License-Identifier: Apache-2.0
"""What may finally be done with a device: the least of what is set on the way down and of what the device can do."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chandelier.cli import output

if TYPE_CHECKING:
    from chandelier.devices import Device
    from chandelier.store import Store, Transaction
    from chandelier.tenancy.grants import Grant, Limits
    from chandelier.tenancy.network import Spot


def way(tx: "Transaction", spot: "Spot", device: "Device") -> "list[tuple[Spot, Grant | None]]":
    """Return the grants of a device from the hub down to a node; None where there is none."""
    from chandelier.tenancy import grants

    spots = [spot]
    while spots[0].above is not None:
        spots.insert(0, spots[0].above)
    return list(zip(spots, grants.way(tx, spot, device.id), strict=True))


def facts(limits: "Limits") -> dict[str, Any]:
    """Return limits by name, with None for what is not set."""
    import msgspec

    return msgspec.structs.asdict(limits)


def remarks(tx: "Transaction", store: "Store", spot: "Spot", device: "Device") -> list[str]:
    """Return what is set to no purpose: limits at a node above what it may do, and limits below it above its own."""
    from chandelier.tenancy import grants, network

    found = []
    for node in (spot, *network.below(tx, spot)):
        own = grants.find(tx, node.node.id, device.id)
        least = grants.effective(tx, store, node, device)
        if own is None or least is None:
            continue
        for name, value in facts(own.limits).items():
            counts = facts(least)[name]
            if value is not None and value != counts:
                option = name.replace("_", "-")
                found.append(
                    f"{node.path} has {option} {output.cell(value)}, "
                    f"but {_source(tx, node, device, name, counts)} {output.cell(counts)}: that counts"
                )
    return found


def _source(tx: "Transaction", node: "Spot", device: "Device", name: str, counts: Any) -> str:
    """Return the name of what sets a limit that counts."""
    for above, grant in way(tx, node, device)[:-1]:
        if grant is not None and facts(grant.limits)[name] == counts:
            return f"{above.path} allows"
    return f"{device.name} itself does"


def cells(own: Mapping[str, Any], least: Mapping[str, Any] | None) -> dict[str, str]:
    """Return limits for a table: what counts and, in brackets, what is set here where it is something else."""
    found = {}
    for name, value in own.items():
        counts = None if least is None else least[name]
        text = output.cell(counts)
        found[name] = text if value is None or value == counts else f"{text} (set: {output.cell(value)})"
    return found
