# SPDX-License-Identifier: Apache-2.0
"""Devices as today's client asks for them. Source: protocol of the Runtime API 1, 5 and 6."""

from datetime import UTC, datetime
from typing import Any, Final

from chandelier import dates, devices, errors
from chandelier.devices import Device
from chandelier.gateway import Call, Json
from chandelier.jobs import counts
from chandelier.runtime import documents, instances
from chandelier.tenancy import access
from chandelier.tenancy.access import Available

#: Since this version of the API devices are listed as objects, before it by their names.
_OBJECTS_SINCE: Final = "2025-05-01"


def list_(call: Call) -> Json:
    """List the devices of an instance, in the form of the version that the client speaks.

    Of devices with equal queues clients take the first for the least busy: the largest that is no simulator.
    """
    found = sorted(access.available(call.tx, instances.place(call)), key=_rank)
    if call.headers.get("ibm-api-version", "") < _OBJECTS_SINCE:
        return Json({"devices": [each.device.name for each in found]})
    return Json({"devices": [documents.listed(each.device, _waiting(call, each.device)) for each in found]})


def configuration(call: Call) -> Json:
    """Return a device's configuration, the present one or that of a calibration."""
    granted = find(call)
    known: dict[str, Any] = devices.document(call.store, _digest(call, granted.device)).configuration
    return Json(documents.configuration(known, granted.limits))


def properties(call: Call) -> Json:
    """Return a device's properties: the newest, the newest before a date, or those of a calibration."""
    device = find(call).device
    digest: str | None = _digest(call, device)
    before = call.query.get("updated_before")
    if before and not call.query.get("calibration_id"):
        digest = devices.properties_before(call.tx, device, moment("updated_before", before))
    if digest is None:
        return Json({})
    document = devices.document(call.store, digest)
    return Json(documents.properties(document.configuration, document.properties or {}))


def status(call: Call) -> Json:
    """Say whether a device works and how many jobs wait for it."""
    device = find(call).device
    return Json(documents.status(device, _waiting(call, device)))


def defaults(call: Call) -> Json:
    """Return a device's pulse defaults, the present ones or those of a calibration; `{}` where it takes no pulses.

    Clients until version 0.40 ask for them; Qiskit has had no pulses since 2.0.
    """
    granted = find(call)
    if granted.limits.open_pulse is False:
        return Json({})
    return Json(devices.document(call.store, _digest(call, granted.device)).defaults or {})


def find(call: Call) -> Available:
    """Return the device that the path names.

    Raises:
        errors.NotFound: The instance has none of this name, or, if none is named, no project of the caller's has.
    """
    name = call.path["device"]
    if instances.named(call) is None:
        return access.any_device(call.tx, call.principal, name)
    return access.device(call.tx, instances.place(call), name)


def moment(name: str, text: str) -> datetime:
    """Return the time that a parameter names.

    Raises:
        errors.Invalid: It names none.
    """
    milliseconds = dates.instant(text)
    try:
        if milliseconds is not None:
            return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        pass
    raise errors.Invalid(f"`{name}` is {text[:40]!r}; it must be a time such as 2026-01-31T12:00:00Z.", 1001)


def _rank(available: Available) -> tuple[bool, int, str]:
    device = available.device
    return device.simulator, -device.qubits, device.name


def _digest(call: Call, device: Device) -> str:
    wanted = call.query.get("calibration_id")
    return devices.calibration(call.tx, device, wanted) if wanted else device.calibration


def _waiting(call: Call, device: Device) -> int:
    return counts.waiting(call.tx, device.id)
