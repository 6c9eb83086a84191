# SPDX-License-Identifier: Apache-2.0
"""Which devices may start a job now: one that keeps the pace of a real machine has one job at a time."""

from collections.abc import Mapping

from chandelier import devices
from chandelier.devices import DeviceId, Pace
from chandelier.jobs import counts
from chandelier.store import Transaction


def free(tx: Transaction, paces: Mapping[DeviceId, Pace] | None = None) -> set[str]:
    """Return the devices that start jobs, without those that are occupied.

    Args:
        paces: The devices that start jobs, where they are known.
    """
    paces = devices.runnable(tx) if paces is None else paces
    if "real" not in paces.values():
        return set(paces)
    running = {device for device, _ in counts.running(tx)}
    return {device for device, pace in paces.items() if pace == "fast" or device not in running}
