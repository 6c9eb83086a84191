# SPDX-License-Identifier: Apache-2.0
"""Which devices may start a job now: one that keeps the pace of a real machine has one job at a time."""

from chandelier import devices
from chandelier.devices import DeviceId
from chandelier.jobs import counts
from chandelier.store import Transaction


def free(tx: Transaction) -> set[str]:
    """Return the devices that start jobs, without those that are occupied."""
    paces = devices.runnable(tx)
    if "real" not in paces.values():
        return set(paces)
    running = {device for device, _ in counts.running(tx)}
    return {device for device, pace in paces.items() if pace == "fast" or device not in running}


def take(tx: Transaction, device_id: str) -> bool:
    """Make sure that a device is free and stays so for this transaction; false if another was quicker."""
    known = DeviceId(device_id)
    if not tx.skips_locked or devices.get_by_id(tx, known).pace == "fast":
        return True
    # What ran was counted before the device was kept from others, so it is counted again.
    return devices.reserve(tx, known) and device_id in free(tx)
