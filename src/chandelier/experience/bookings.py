# SPDX-License-Identifier: Apache-2.0
"""Reservations of devices, as clients since 2020 read them. Source: protocol 4.3."""

from datetime import datetime

from chandelier import devices, errors
from chandelier.experience import conditions, documents, shelf
from chandelier.experience.documents import Document
from chandelier.gateway import Call, Json
from chandelier.scheduling import reservations
from chandelier.scheduling.reservations import Reservation
from chandelier.tenancy import access
from chandelier.tenancy import network as places
from chandelier.tenancy.network import Place


def list_own(call: Call) -> Json:
    """Return the reservations of the caller's projects."""
    mine = _mine(call)
    since, until = _window(call)
    found = reservations.list_(call.tx, project_ids=list(mine), since=since, until=until)
    return Json([_document(call, entry, mine) for entry in found])


def list_of_device(call: Call) -> Json:
    """Return the reservations of a device; of other people's only when it is taken."""
    device = access.any_device(call.tx, call.principal, call.path["device"]).device
    since, until = _window(call)
    found = reservations.list_(call.tx, device_id=device.id, since=since, until=until)
    mine = _mine(call)
    return Json([_document(call, entry, mine) for entry in found])


def _mine(call: Call) -> dict[places.ProjectId, Place]:
    return {place.project_id: place for place in access.places(call.tx, call.principal)}


def _window(call: Call) -> tuple[datetime | None, datetime | None]:
    return _moment(call, "initialDate"), _moment(call, "endDate")


def _moment(call: Call, name: str) -> datetime | None:
    text = call.query.get(name)
    if not text:
        return None
    milliseconds = conditions.instant(text)
    if milliseconds is None:
        raise errors.Invalid(f"`{name}` is no ISO date: {text[:40]!r}.", 1001)
    return shelf.moment(milliseconds)


def _document(call: Call, reservation: Reservation, mine: dict[places.ProjectId, Place]) -> Document:
    document: Document = {
        "initialDate": documents.date(reservation.begins),
        "endDate": documents.date(reservation.ends),
        "mode": reservation.mode,
        "backendName": devices.get_by_id(call.tx, reservation.device_id).name,
    }
    place = mine.get(reservation.project_id)
    if place is None:
        return document
    return document | {
        "id": reservation.id,
        "creationDate": documents.date(reservation.created),
        "hubInfo": {level: {"name": getattr(place, level).name} for level in ("hub", "group", "project")},
    }
