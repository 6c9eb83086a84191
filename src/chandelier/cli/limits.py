# SPDX-License-Identifier: Apache-2.0
"""What may finally be done with a device: the least of what is set on the way down and of what the device can do."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chandelier.cli import effects, output, paths

if TYPE_CHECKING:
    from chandelier.devices import Device
    from chandelier.store import Transaction
    from chandelier.tenancy.grants import Grant, Limits
    from chandelier.tenancy.network import Spot


def way(tx: "Transaction", spot: "Spot", device: "Device") -> "list[tuple[Spot, Grant | None]]":
    """Return the grants of a device from the hub down to a node; None where there is none."""
    from chandelier.tenancy import grants

    above = paths.above(spot)
    return [*(way(tx, above, device) if above else []), (spot, grants.find(tx, spot.node.id, device.id))]


def of_device(device: "Device") -> "Limits":
    """Return what a device itself does at most."""
    from chandelier.tenancy.grants import Limits

    return Limits(max_shots=device.max_shots, max_experiments=device.max_experiments)


def effective(tx: "Transaction", spot: "Spot", device: "Device") -> "Limits | None":
    """Return what may be done with a device at a node; None if the node, or one above it, does not have it."""
    from chandelier.tenancy import grants

    granted = [grant for _, grant in way(tx, spot, device)]
    if None in granted:
        return None
    return grants.narrowed([of_device(device), *(grant.limits for grant in granted if grant is not None)])


def facts(limits: "Limits") -> dict[str, Any]:
    """Return limits by name, with None for what is not set."""
    import msgspec

    return msgspec.structs.asdict(limits)


def remarks(tx: "Transaction", spot: "Spot", device: "Device") -> list[str]:
    """Return what is set to no purpose: limits at a node above what it may do, and limits below it above its own."""
    found = []
    for node in (spot, *effects.below(tx, spot)):
        own = way(tx, node, device)[-1][1]
        least = effective(tx, node, device)
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
