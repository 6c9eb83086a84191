# SPDX-License-Identifier: Apache-2.0
"""What a server remembers between requests, so that polls need not read: tokens, places, and what a job is.

Everything is forgotten as soon as the bell says that it changed, before whoever changed it is answered. What another
process changed is forgotten when the bell has heard of it: within some hundredths of a second.
"""

import hashlib
import threading
import time
from typing import Final, Generic, TypeVar

import msgspec

from chandelier import devices
from chandelier.devices import Device
from chandelier.store import Transaction
from chandelier.store.bell import Bell
from chandelier.tenancy import network
from chandelier.tenancy.access import Principal
from chandelier.tenancy.network import Place
from chandelier.tenancy.users import UserId

K = TypeVar("K")
V = TypeVar("V")

#: Beyond these all are forgotten; what is asked for again is read again.
_MOST: Final = 50_000
_JOB: Final = "job:"
#: What is rung when a place in the queue may have changed, or the name of one.
_QUEUES: Final = frozenset({"queue", "line", "network"})


class Recollection(Generic[K, V]):
    """Values by key, each with the moment until which it is good; safe from any thread."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._lock = threading.Lock()
        self._known: dict[K, tuple[V, float]] = {}

    def get(self, key: K) -> V | None:
        """Return what is remembered, if anything."""
        found = self._known.get(key)
        return None if found is None or found[1] < time.monotonic() else found[0]

    def keep(self, tx: Transaction, key: K, value: V, seconds: float = float("inf")) -> V:
        """Remember what was read through a view, unless something has changed since the view was opened."""
        with self._lock:
            if tx.rings == self._bell.rings:
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[key] = (value, time.monotonic() + seconds)
        return value

    def forget(self, key: K) -> None:
        """Let go of one value."""
        with self._lock:
            self._known.pop(key, None)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._known.clear()


class Told(msgspec.Struct):
    """What the owner of a job was answered about it, and what decides to whom it may be answered again.

    Attributes:
        final: Nothing will change any more.
        answered: When it was answered last, by the monotonic clock, s.
    """

    owner: UserId
    place: Place
    body: bytes
    final: bool
    answered: float


class Memory:
    """What is remembered.

    Attributes:
        homes: The place of three names, by them and by the user who may use it.
        principals: Who holds a token, by its digest.
        told: What was answered about a job, by it and by presentation.
        told_waiting: The same of jobs that wait, with their place in the queue, which others change.
    """

    def __init__(self, bell: Bell) -> None:
        self._devices = Recollection[str, Device](bell)
        self._places = Recollection[str, Place](bell)
        self.homes = Recollection[tuple[UserId, tuple[str, str, str]], Place](bell)
        self.principals = Recollection[bytes, Principal](bell)
        self.told = Recollection[tuple[str, bool], Told](bell)
        self.told_waiting = Recollection[tuple[str, bool], Told](bell)
        bell.overhear(self._hear)

    def device(self, tx: Transaction, device_id: str) -> Device:
        """Return a device: its names are right, its state may be old."""
        return self._devices.get(device_id) or self._devices.keep(tx, device_id, devices.get_by_id(tx, device_id))

    def place(self, tx: Transaction, project_id: str) -> Place:
        """Return the place of a project."""
        return self._places.get(project_id) or self._places.keep(tx, project_id, network.get(tx, project_id))

    def _hear(self, topics: frozenset[str] | None) -> None:
        if topics is None or "network" in topics:
            for recollection in (self._devices, self._places, self.homes, self.told):
                recollection.clear()
        if topics is None or not _QUEUES.isdisjoint(topics):
            self.told_waiting.clear()
        if topics is None or "tokens" in topics:
            self.principals.clear()
        for topic in topics or ():
            if topic.startswith(_JOB):
                for versioned in (True, False):
                    self.told.forget((topic.removeprefix(_JOB), versioned))
                    self.told_waiting.forget((topic.removeprefix(_JOB), versioned))


def digest(token: str) -> bytes:
    """Return under what a token's holder is remembered."""
    return hashlib.sha256(token.encode()).digest()
