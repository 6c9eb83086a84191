# SPDX-License-Identifier: Apache-2.0
"""Devices in the forms of every generation of clients: lists, calibrations, queue status and job limits."""

from datetime import datetime
from typing import Any, Final

import msgspec

from chandelier import devices, errors
from chandelier.devices import Device
from chandelier.experience import conditions, documents, network, shelf
from chandelier.gateway import Call, Json
from chandelier.jobs import counts, pending
from chandelier.tenancy import access, grants
from chandelier.tenancy.access import Available
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import Place, Spot

_FORM: Final = '{"where": {"last_update_date": {"lt": "<ISO date>"}}}'


class _Before(msgspec.Struct, frozen=True):
    lt: str | None = None


class _Where(msgspec.Struct, frozen=True):
    last_update_date: _Before | None = None


class _PropertiesFilter(msgspec.Struct, frozen=True):
    where: _Where | None = None


def list_configurations(call: Call) -> Json:
    """Return the configurations of the project's devices. Source: protocol 9."""
    return Json([_narrowed(_configuration(call, entry.device), entry.limits) for entry in _available(call)])


def list_entries(call: Call) -> Json:
    """Return the project's devices in the older form, which has all of the newer. Source: protocol 4.1."""
    place = _listed_place(call)
    entries = access.available(call.tx, place)
    return Json([_pulses(_narrowed(devices.entry(call.store, one.device), one.limits), one.limits) for one in entries])


def _listed_place(call: Call) -> Place:
    """Return the place whose devices are listed; a project's are for those too who administer it. Source: seed 001."""
    if "project" not in call.path:
        return network.place(call)
    spot = access.require(call.tx, call.principal, "read the project's devices", *network.named(call))
    assert spot.group is not None
    assert spot.project is not None
    return Place(spot.hub, spot.group, spot.project)


def list_of_hub(call: Call, spot: Spot) -> Json:
    """Return the devices of a hub, as its administrators see them. Source: seed 001, `GET /Network/{hub}/devices`."""
    rules = call.cloud.rules
    granted = {grant.device_id for grant in grants.of_nodes(call.tx, [spot.hub.id])}
    listed = [device for device in devices.list_(call.tx) if device.id in granted]
    terms = devices.Terms(call.url("/api"), documents.date(call.now), rules.max_job_bytes, rules.max_pending_jobs)
    return Json([devices.hub_record(call.store, device, terms) for device in listed])


def get(call: Call) -> Json:
    """Return a device's configuration."""
    granted = _granted(call)
    return Json(_narrowed(_configuration(call, granted.device), granted.limits))


def properties(call: Call) -> Json:
    """Return a device's properties, the newest or the newest before a date; `{}` for simulators."""
    moment = _before(call.query.get("filter"))

    device = _device(call)
    digest = device.calibration if moment is None else devices.properties_before(call.tx, device, moment)
    return Json(devices.properties(call.store, digest) if digest else {})


def calibration(call: Call) -> Json:
    """Return the errors of gates and readout for clients before 2019; never empty. Source: protocol 4.2."""
    device = _device(call)
    return Json(devices.errors_of(call.store, device))


def parameters(call: Call) -> Json:
    """Return frequencies and times of qubits for clients before 2019; never empty. Source: protocol 4.2."""
    device = _device(call)
    return Json(devices.parameters(call.store, device))


def defaults(call: Call) -> Json:
    """Return a device's pulse defaults; `{}` for one without pulses, or if the project may use none. Protocol 11."""
    granted = _granted(call)
    if granted.limits.open_pulse is False:
        return Json({})
    return Json(devices.document(call.store, granted.device.calibration).defaults or {})


def queue_status(call: Call) -> Json:
    """Say whether a device starts jobs and how many wait; needs no token, because old clients send none."""
    device = devices.get(call.tx, call.path["device"])
    return Json(documents.queue_status(device, counts.waiting(call.tx, device.id)))


def jobs_limit(call: Call) -> Json:
    """Return how many jobs the caller may have on a device and how many there are; -1 is any number."""
    device, most = _device(call), call.cloud.rules.max_pending_jobs
    room = pending.room(call.tx, call.principal.user_id, _place_with(call, device), device, most)
    return Json({"maximumJobs": room.most, "runningJobs": room.there})


def _available(call: Call) -> list[Available]:
    return access.available(call.tx, network.place(call))


def _device(call: Call) -> Device:
    return _granted(call).device


def _granted(call: Call) -> Available:
    if "project" in call.path:
        return access.device(call.tx, network.place(call), call.path["device"])
    if "hub" in call.path:
        network.check_hub(call)
    return access.any_device(call.tx, call.principal, call.path["device"])


def _place_with(call: Call, device: Device) -> Place:
    """Return the project that the path names, else the caller's first that has the device."""
    if "project" in call.path:
        return network.place(call)
    mine = access.places(call.tx, call.principal)
    return next(place for place in mine if grants.on_way(call.tx, place, device.id) is not None)


def _configuration(call: Call, device: Device) -> dict[str, Any]:
    return devices.document(call.store, device.calibration).configuration


def _narrowed(configuration: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Return a configuration as it holds for a project: clients split their jobs by these numbers."""
    most = {"max_shots": limits.max_shots, "max_experiments": limits.max_experiments}
    least: dict[str, Any] = {
        key: value for key, value in most.items() if value is not None and value < configuration.get(key, value + 1)
    }
    return configuration | least | ({"open_pulse": False} if limits.open_pulse is False else {})


def _pulses(entry: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Add how much pulses may use: what was set, else all drive and control channels, and all qubits.

    Source: seed 001, `GET …/Projects/{project}/devices`.
    """
    qubits = entry["n_qubits"] if entry["open_pulse"] else 0
    channels = qubits + entry.get("n_uchannels", 0) if qubits else 0
    most = {"pulse_num_channels": (channels, limits.pulse_channels), "pulse_num_qubits": (qubits, limits.pulse_qubits)}
    return entry | {key: there if allowed is None else allowed for key, (there, allowed) in most.items()}


def _before(text: str | None) -> datetime | None:
    """Return the date of `filter={"where": {"last_update_date": {"lt": date}}}`. Source: protocol 4.2."""
    if not text:
        return None
    try:
        wanted = msgspec.json.decode(text, type=_PropertiesFilter)
    except (msgspec.DecodeError, RecursionError) as failure:
        raise errors.Invalid(f"The filter of properties must be {_FORM}.", 1002) from failure
    if wanted.where is None or wanted.where.last_update_date is None:
        return None
    milliseconds = conditions.instant(wanted.where.last_update_date.lt)
    if milliseconds is None:
        raise errors.Invalid(f"The filter of properties must be {_FORM}.", 1002)
    return shelf.moment(milliseconds)
