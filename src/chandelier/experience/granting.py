# SPDX-License-Identifier: Apache-2.0
"""Which devices hubs, groups and projects have: granting them, taking them away, and what was set at each level."""

import functools
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chandelier import acts, devices, errors
from chandelier.acts import Terms
from chandelier.devices import Device
from chandelier.experience import administration, bodies, hubdocuments
from chandelier.experience.documents import Document
from chandelier.experience.hubdocuments import Held
from chandelier.gateway import Call, Json
from chandelier.store import Transaction
from chandelier.tenancy import allowances, grants
from chandelier.tenancy.grants import Grant, Limits
from chandelier.tenancy.network import Spot

_MOST: Final = 2**31 - 1
Positive = Annotated[int, Meta(ge=1, le=_MOST)]


class Capabilities(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What may be done with a device; where nothing is said, what the device and the level above allow."""

    open_pulse: bool | None = None
    max_experiments: Positive | None = None
    max_shots: Positive | None = None
    pulse_qubits: Positive | None = None
    pulse_channels: Positive | None = None


class TimeLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds of device time that may be used in a number of days."""

    seconds: float
    days: int = allowances.USUAL_DAYS


class Granting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST …/devices`. Source: seed 001; the two optional parts are this server's own.

    Attributes:
        priority: Without it, what was set before stays.
        capabilities: Replaces what was set before; without it, that stays.
        limit: Most jobs that run at once; null for any number, without it what was set stays.
        max_pending: Most jobs that wait or run; the same.
        time_limit: How much device time may be used; the same.
    """

    name: str
    priority: administration.Weight | UnsetType = UNSET
    capabilities: Capabilities | UnsetType = UNSET
    limit: Positive | UnsetType | None = UNSET
    max_pending: Positive | UnsetType | None = msgspec.field(name="maxPending", default=UNSET)
    time_limit: TimeLimit | UnsetType | None = msgspec.field(name="timeLimit", default=UNSET)
    access_token: str | UnsetType = UNSET


def grant(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Give a node a device, or another share of it or other limits. Source: seed 001, `POST …/devices`."""
    asked, device = _asked(tx, call, spot)
    made = acts.grant(tx, administration.by(call), spot, device, functools.partial(_terms, asked))
    _limit_time(tx, call, spot, device, asked.time_limit)
    around = [each.id for each in administration.siblings(tx, spot)]
    weight = sum(each.priority for each in grants.of_nodes(tx, around) if each.device_id == device.id)
    held = Held(device, made, device.id in grants.usable(tx, [spot])[spot.node.id])
    return hubdocuments.grants([held], {device.id: weight} if weight else None)


def rehearse_grant(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Do as `grant` in a transaction that is taken back, and tell what it would change among those with the device."""
    _, device = _asked(tx, call, spot)
    return administration.rehearsed(tx, call, spot, device, lambda: grant(tx, call, spot))


def withdraw(tx: Transaction, call: Call, spot: Spot) -> Document:
    """Take a device from a node and from all under it; what runs goes on. Source: seed 001, `DELETE …/devices`."""
    acts.withdraw(tx, administration.by(call), spot, _device(tx, call, spot))
    return {"deleted": True}


def details(call: Call, spot: Spot) -> Json:
    """Return what was set for a device at this level. Source: seed 001, `configurationDetails`.

    Of a project also what holds for it, within what the device itself does, unless the device was taken from what it
    is in.
    """
    device = _device(call.tx, call, spot)
    known = grants.find(call.tx, spot.node.id, device.id)
    if known is None:
        raise _missing(call, spot)
    least = grants.effective(call.tx, call.cloud.store, spot, device) if spot.level == "project" else None
    document = hubdocuments.details(known.limits, least)
    limit = allowances.find(call.tx, spot, device)
    return Json(document if limit is None else document | {"timeLimit": {"seconds": limit.seconds, "days": limit.days}})


def _asked(tx: Transaction, call: Call, spot: Spot) -> tuple[Granting, Device]:
    asked: Granting = bodies.read(call, Granting)
    device = devices.find(tx, asked.name) if "\x00" not in asked.name else None
    if device is None:
        above = spot.way[-2].name if len(spot.way) > 1 else "This server"
        raise errors.NotFound(f"{above} has no device {asked.name[:80]!r} to grant to {spot.node.name}.", 3100)
    return asked, device


def _device(tx: Transaction, call: Call, spot: Spot) -> Device:
    device = devices.find(tx, call.path["device"])
    if device is None:
        raise _missing(call, spot)
    return device


def _missing(call: Call, spot: Spot) -> errors.NotFound:
    return errors.NotFound(f"{spot.path} has no device {call.path['device']!r}.", 3100)


def _limit_time(tx: Transaction, call: Call, spot: Spot, device: Device, limit: TimeLimit | UnsetType | None) -> None:
    if limit is None and allowances.find(tx, spot, device) is not None:
        allowances.remove(tx, administration.by(call), spot, device)
    elif isinstance(limit, TimeLimit):
        allowances.set_(tx, administration.by(call), spot, device, limit.seconds, limit.days)


def _terms(asked: Granting, known: Grant | None) -> Terms:
    return _priority(asked, known), _limits(asked, Limits() if known is None else known.limits)


def _priority(asked: Granting, known: Grant | None) -> int | None:
    if asked.priority is not UNSET:
        return asked.priority
    if known is None:
        raise errors.Invalid("`priority` is missing. A device that is granted for the first time needs one.", 1000)
    return None


def _limits(asked: Granting, known: Limits) -> Limits:
    before = known
    if asked.capabilities is not UNSET:
        known = Limits(**msgspec.structs.asdict(asked.capabilities), max_running=known.max_running)
        known = msgspec.structs.replace(known, max_pending=before.max_pending)
    if asked.max_pending is not UNSET:
        known = msgspec.structs.replace(known, max_pending=asked.max_pending)
    return known if asked.limit is UNSET else msgspec.structs.replace(known, max_running=asked.limit)
