# SPDX-License-Identifier: Apache-2.0
"""Reservations of devices: as clients since 2020 read them, and as administrators make and cancel them.

Source: protocol 4.3 for reading; the rest is this server's own.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from chandelier import devices, errors
from chandelier.devices import Device
from chandelier.experience import administration, bodies, conditions, documents, shelf
from chandelier.experience.documents import Document
from chandelier.gateway import Call, Json
from chandelier.scheduling import reservations
from chandelier.scheduling.reservations import Mode, Reservation, Wanted
from chandelier.store import Transaction
from chandelier.tenancy import access, grants, members
from chandelier.tenancy import network as places
from chandelier.tenancy.access import Role
from chandelier.tenancy.network import Place, Spot


class Booking(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The body of `POST …/bookings`.

    Attributes:
        initial_date: When it begins; without it, now.
        mode: `priority`: jobs of who reserves go first; `dedicated`: no others run.
    """

    end_date: str
    initial_date: str | UnsetType = UNSET
    mode: Mode = "priority"
    access_token: str | UnsetType = msgspec.field(name="access_token", default=UNSET)


def list_own(call: Call) -> Json:
    """Return the reservations of the caller's projects, and of what is above them."""
    mine = access.places(call.tx, call.principal)
    nodes = {node.id for place in mine for node in place.spot.way} | _roles(call)
    since, until = _window(call)
    found = reservations.list_(call.tx, node_ids=nodes, since=since, until=until)
    return Json(_told(call, found, mine))


def list_of_device(call: Call) -> Json:
    """Return the reservations of a device; of other people's only when it is taken."""
    device = access.any_device(call.tx, call.principal, call.path["device"]).device
    since, until = _window(call)
    found = reservations.list_(call.tx, device_id=device.id, since=since, until=until)
    return Json(_told(call, found, access.places(call.tx, call.principal)))


def list_of_node(call: Call, spot: Spot) -> Json:
    """Return the reservations of a device that concern a node: for it, for what is in it, for what it is in."""
    device = _device(call.tx, call, spot)
    since, until = _window(call)
    found = reservations.list_(call.tx, device_id=device.id, since=since, until=until)
    ways = [(entry, places.spot_of(call.tx, entry.level, entry.node_id)) for entry in found]
    return Json([_document(entry, device, whose) for entry, whose in ways if _concerns(whose, spot)])


def get(call: Call, spot: Spot) -> Json:
    """Return a reservation that concerns a node, also one that is over."""
    entry, whose = _find(call.tx, call)
    if not _concerns(whose, spot):
        raise _missing(call)
    return Json(_document(entry, devices.get_by_id(call.tx, entry.device_id), whose))


def add(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Reserve a device for a hub, a group or a project."""
    asked = bodies.read(call, Booking)
    device = _device(tx, call, spot)
    begins = call.now if asked.initial_date is UNSET else _read(asked.initial_date, "initialDate")
    wanted = Wanted(asked.mode, begins, _read(asked.end_date, "endDate"))

    def known(whose: Spot) -> bool:
        return access.role_at(tx, call.principal, whose) >= Role.GROUP_ADMIN

    made = reservations.add(tx, administration.by(call), spot, device, wanted, call.cloud.rules.terms, known)
    return _document(made, device, spot)


def cancel(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Cancel a reservation for a node or for what is in it; the time that lies ahead is given back."""
    entry, whose = _find(tx, call)
    if spot.node.id not in {node.id for node in whose.way}:
        raise _missing(call)
    reservations.cancel(tx, administration.by(call), entry)
    return {"deleted": True}


def _find(tx: Transaction, call: Call) -> tuple[Reservation, Spot]:
    entry = reservations.get(tx, call.path["booking"])
    if devices.get_by_id(tx, entry.device_id).name != call.path["device"]:
        raise _missing(call)
    return entry, places.spot_of(tx, entry.level, entry.node_id)


def _missing(call: Call) -> errors.NotFound:
    return errors.NotFound(f"There is no reservation {call.path['booking'][:40]!r}.", 3110)


def _concerns(whose: Spot, spot: Spot) -> bool:
    """Tell whether one of two nodes is in the other, or they are the same."""
    return all(one.id == two.id for one, two in zip(whose.way, spot.way, strict=False))


def _device(tx: Transaction, call: Call, spot: Spot) -> Device:
    device = devices.find(tx, call.path["device"])
    if device is None or grants.find(tx, spot.node.id, device.id) is None:
        raise errors.NotFound(f"{spot.path} has no device {call.path['device'][:80]!r}.", 3100)
    return device


def _roles(call: Call) -> set[str]:
    return set(members.nodes_of(call.tx, call.principal.user_id))


def _window(call: Call) -> tuple[datetime | None, datetime | None]:
    return _moment(call, "initialDate"), _moment(call, "endDate")


def _moment(call: Call, name: str) -> datetime | None:
    text = call.query.get(name)
    return _read(text, name) if text else None


def _read(text: str, name: str) -> datetime:
    milliseconds = conditions.instant(text)
    if milliseconds is None:
        raise errors.Invalid(f"`{name}` is no ISO date: {text[:40]!r}.", 1001)
    return shelf.moment(milliseconds)


def _told(call: Call, found: Iterable[Reservation], mine: list[Place]) -> list[Document]:
    """Return reservations as the caller may see them: their own in full, of others' the time."""
    roles, told = _roles(call), []
    for entry in found:
        device = devices.get_by_id(call.tx, entry.device_id)
        place = next((each for each in mine if entry.node_id in {node.id for node in each.spot.way}), None)
        whose = places.spot_of(call.tx, entry.level, entry.node_id) if place is None else place.spot
        if place is not None:
            # Clients read all three names: who has reserved through a group or hub is told where to use it.
            told.append(_document(entry, device, whose))
        elif roles.isdisjoint(node.id for node in whose.way):
            told.append(_taken(entry, device))
        else:
            full = _document(entry, device, whose)
            told.append(full if whose.level == "project" else {k: v for k, v in full.items() if k != "hubInfo"})
    return told


def _taken(entry: Reservation, device: Device) -> dict[str, Any]:
    return {
        "initialDate": documents.date(entry.span[0]),
        "endDate": documents.date(entry.span[1]),
        "mode": entry.mode,
        "backendName": device.name,
    }


def _document(entry: Reservation, device: Device, whose: Spot) -> Document:
    return _taken(entry, device) | {
        "id": entry.id,
        "creationDate": documents.date(entry.created),
        "hubInfo": {level: {"name": node.name} for level, node in zip(places.LEVELS, whose.way, strict=False)},
        **({} if entry.why is None else {"why": entry.why}),
    }
