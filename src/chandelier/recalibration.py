# SPDX-License-Identifier: Apache-2.0
"""The calibrator: keeps devices that drift calibrated, each day and on demand, and finds the pulses of those without.

A device without pulses is calibrated in a moment. One with pulses starts no jobs until a child process has tuned each
of its gates to the new frequencies. A device that could take pulses and has none is given those that came with this
package, else it is tuned in the background, gate by gate, and goes on with its circuits. What was found is stored after
each gate, so nothing is looked for twice.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from chandelier import devices, errors, pools
from chandelier.devices import Device
from chandelier.fairshare import accounts
from chandelier.formats import courses, drift, openpulse, tasks, tunings
from chandelier.formats.device import DeviceDocument
from chandelier.formats.tunings import Missing, Tuning
from chandelier.pools import Call, Pool
from chandelier.store import Store, Transaction

_log = logging.getLogger(__name__)

#: Devices are calibrated at an hour of their own, UTC, so much before or after this one.
HOUR: Final = 4.0
WITHIN: Final = 2.0
#: Pulses are good as long as no frequency has moved further since they were tuned, Hz.
STALE: Final = 1000.0
#: Within so many seconds a child has tuned a gate, or it is left as it was; a device is held for longer.
GATE_SECONDS: Final = 100.0
#: The clock may be set, and another server may leave something undone, so nobody sleeps for longer, s.
_LONGEST_SLEEP: Final = 20.0
#: What is rung when something is to be done at once.
BELL: Final = devices.CALIBRATIONS

assert devices.HOLD.total_seconds() > GATE_SECONDS


def following(seed: str, moment: datetime) -> datetime:
    """Return when a device is calibrated next after a moment: once a day, at an hour that belongs to its seed."""
    hour = HOUR + WITHIN * (2 * courses.uniform(f"{seed}|hour") - 1)
    today = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(seconds=round(3600 * hour))
    return today if today > moment else today + timedelta(days=1)


def sites(document: DeviceDocument) -> list[tuple[int, ...]]:
    """Return all that a device has pulses for: its qubits, then its pairs in ascending order."""
    configuration = document.configuration
    edges = {(min(pair), max(pair)) for pair in configuration.get("coupling_map") or []}
    return [*((qubit,) for qubit in range(configuration["n_qubits"])), *sorted(edges)]


def wanted(document: DeviceDocument, known: Tuning) -> list[tuple[int, ...]]:
    """Return what nothing is known of yet."""
    pairs = {(min(pair.control, pair.target), max(pair.control, pair.target)) for pair in known.pairs}
    settled = {(qubit,) for qubit in known.qubits} | pairs | {pair.qubits for pair in known.missing}
    return [site for site in sites(document) if site not in settled]


def moved(tuning: Tuning, snapshot: DeviceDocument, after: DeviceDocument) -> float:
    """Return by how much the frequency of a qubit differs at most from the one that its pulses were tuned to, Hz."""
    tuned, found = _frequencies(snapshot) | tuning.frequencies, _frequencies(after)
    return max((1e9 * abs(found[qubit] - tuned[qubit]) for qubit in found.keys() & tuned.keys()), default=0.0)


class _Stopped(Exception):
    """The server stops: what is being done is left as it is."""


class _Lost(Exception):
    """The device is not held any more."""


class _Unanswered(Exception):
    """A child did not find what it was asked for; the message is the reason, without its full stop."""


class Calibrator:
    """Calibrates the devices of a store; `run` in a thread, `close` it and it ends.

    Args:
        limits: What a child may use for one gate.
        clock: Returns the present moment.
        open_pool: Opens a pool with a slot for the child that tunes; it is closed when nothing is left to tune.
    """

    def __init__(
        self, store: Store, limits: tasks.Limits, clock: Callable[[], datetime], open_pool: Callable[[], Pool]
    ) -> None:
        self._store = store
        self._limits = limits
        self._clock = clock
        self._open_pool = open_pool
        self._pool: Pool | None = None
        self._lock = threading.Lock()
        self._call: Call | None = None
        self._closed = threading.Event()
        self._news = threading.Event()
        #: Calibrations whose pulses were looked for in vain, until the next start.
        self._hopeless: set[str] = set()

    def run(self, *, alone: bool) -> None:
        """Do what is due, until closed.

        Args:
            alone: This is the only server of the database, so whoever holds a device is gone.
        """
        stop_listening = self._store.bell.listen(BELL, self._news.set)
        first = True
        while not self._closed.is_set():
            self._news.clear()
            try:
                self._reap(everything=alone and first)
                first = False
                if self.step():
                    continue
            except _Stopped:
                break
            except Exception as failure:  # noqa: BLE001  # the loop outlives whatever happens to one device
                told = failure if isinstance(failure, errors.Unavailable) else None
                _log.error("A device could not be calibrated; trying again: %s", told or "", exc_info=told is None)
            self._close_pool()
            self._news.wait(_LONGEST_SLEEP)
        stop_listening()
        self._close_pool()

    def close(self) -> None:
        """Let `run` return soon; a device that is being calibrated is left as it was before."""
        self._closed.set()
        self._news.set()
        with self._lock:
            if self._call is not None:
                self._call.kill()

    def step(self) -> bool:
        """Calibrate the device that is due first, else find the pulses of one more gate; false if nothing is to do."""
        known = [device for device in self._store.read(devices.list_) if device.calibrator is None]
        due = [device for device in known if device.due is not None and device.due <= self._clock()]
        drifting = [device for device in due if device.drift]
        if drifting:
            self._calibrate(min(drifting, key=_due))
            return True
        for device in known:
            if device.calibration in self._hopeless or not devices.seeks_pulses(self._store, device):
                continue
            if device.drift or device in due or self._comes_with_pulses(device):
                return self._search(device)
        return False

    def _calibrate(self, device: Device) -> None:
        """Bring a device that drifts to its calibration of this moment."""
        now = self._clock()
        assert device.begun is not None
        snapshot = devices.document(self._store, device.snapshot)
        found = drift.at(snapshot, device.name, device.begun, now)
        tuning = self._tuning(device, snapshot)
        if tuning is None or wanted(snapshot, tuning):
            self._finish(self._claimed(device, "", closed=False), found, now)
            return
        made = openpulse.with_pulses(found, tuning)
        if moved(tuning, snapshot, made) < STALE:
            self._finish(self._claimed(device, "", closed=False), made, now)
            return
        held = self._claimed(device, _progress(0, len(sites(snapshot))), closed=True)
        if held is None:
            return
        try:
            tuned = self._tune_all(held, openpulse.with_model(found), tuning)
            name = self._keep(openpulse.model(found), tuned)
            self._finish(held, openpulse.with_pulses(found, tuned), now, tuning=name)
        except _Lost:
            _log.info("The calibration of %s was called off", device.name)
        except BaseException:
            self._release(held)
            raise

    def _tune_all(self, device: Device, model: DeviceDocument, tuning: Tuning) -> Tuning:
        """Tune all gates of a claimed device to its model; one that fails keeps the pulses that it has.

        Raises:
            _Lost: The device is not held any more.
            _Stopped: The server stops.
        """
        everything = sites(model)
        for done, site in enumerate(everything):
            try:
                tuning = self._ask(device, model, site, tuning)
            except _Unanswered as failure:
                _log.warning("The pulses of %s on %s stay as they are: %s", _named(site), device.name, failure)
            except errors.Unavailable as failure:
                _log.error("The pulses of %s stay as they are: %s", device.name, failure.message)
                break
            self._renew(device, _progress(done + 1, len(everything)))
        return tuning

    def _search(self, device: Device) -> bool:
        """Look for the pulses of one more gate of a device; false if somebody else does.

        The last one makes the device take pulses.
        """
        document = devices.document(self._store, device.calibration)
        model = openpulse.with_model(document)
        tuning = self._tuning(device, document) or Tuning(openpulse.model(document))
        left, count = wanted(model, tuning), len(sites(model))
        held = self._claimed(device, _progress(count - len(left), count), closed=False)
        if held is None:
            return False
        if not left:
            self._finish(held, openpulse.with_pulses(document, tuning), self._clock())
            _log.info("%s takes pulses now", device.name)
            return True
        told = ""
        try:
            tuning = self._found(held, model, left[0], tuning)
            self._note(held, self._keep(tuning.model, tuning))
            told = _progress(count - len(wanted(model, tuning)), count)
        except _Unanswered as failure:
            _log.warning("%s gets no pulses: none were found for %s: %s", device.name, _named(left[0]), failure)
            self._hopeless.add(device.calibration)
        finally:
            self._release(held, told)
        return True

    def _found(self, device: Device, model: DeviceDocument, site: tuple[int, ...], tuning: Tuning) -> Tuning:
        """Return a tuning in which a site is settled; a pair that was looked for in vain is missing.

        Raises:
            _Unanswered: A qubit has no pulses, without which the device takes none.
            _Stopped: The server stops.
        """
        try:
            tuned = self._ask(device, model, site, tuning)
        except _Unanswered as failure:
            if len(site) == 1:
                raise
            return msgspec.structs.replace(tuning, missing=(*tuning.missing, Missing((site[0], site[1]), str(failure))))
        if site in wanted(model, tuned):
            raise _Unanswered("the answer has nothing of it")
        return tuned

    def _ask(self, device: Device, model: DeviceDocument, site: tuple[int, ...], known: Tuning) -> Tuning:
        """Let a child tune one gate.

        Raises:
            _Unanswered: It does not.
            _Stopped: The server stops.
        """
        path = self._store.objects.incoming(f"{device.calibrator}-model")
        task = tasks.Tune(str(path), [list(site)], self._limits, msgspec.Raw(tunings.encode(known)))
        try:
            path.write_bytes(msgspec.json.encode(model))
            reply = tasks.decode_reply(self._called(tasks.encode(task)))
            if isinstance(reply, tasks.Tuned):
                found = _frequencies(model)
                tuned_to = known.frequencies | {qubit: found[qubit] for qubit in site if site == (qubit,)}
                return msgspec.structs.replace(tunings.decode(bytes(reply.tuning)), frequencies=tuned_to)
            told = reply.message.rstrip(".") if isinstance(reply, tasks.Refused) else "the answer is to something else"
            raise _Unanswered(told)
        except (pools.CallError, msgspec.DecodeError) as failure:
            if self._closed.is_set():
                raise _Stopped from failure
            raise _Unanswered(str(failure).rstrip(".")) from failure
        finally:
            path.unlink(missing_ok=True)

    def _called(self, message: bytes) -> bytes:
        """Return a child's answer.

        Raises:
            pools.CallError: There is none.
            errors.Unavailable: There is no child.
            _Stopped: The server stops.
        """
        self._pool = self._pool or self._open_pool()
        call = self._pool.slot(0).start(message)
        with self._lock:
            self._call = call
        try:
            if self._closed.is_set():
                call.kill()
            return call.wait(GATE_SECONDS)
        finally:
            with self._lock:
                self._call = None

    def _tuning(self, device: Device, document: DeviceDocument) -> Tuning | None:
        """Return what is known of a device's pulses: all if it was found here, else what came with this package."""
        own = None if device.tuning is None else tunings.decode(self._store.objects.read("tunings", device.tuning))
        return own if own is not None and not wanted(document, own) else _shipped(document) or own

    def _comes_with_pulses(self, device: Device) -> bool:
        """Tell whether this package has all pulses of a device, as one may that was added by an older release."""
        return _shipped(devices.document(self._store, device.calibration)) is not None

    def _keep(self, model: str, tuning: Tuning) -> str:
        """Store a tuning under the name of the model that it was found for, and return that."""
        self._store.objects.put("tunings", model, tunings.encode(msgspec.structs.replace(tuning, model=model)))
        return model

    def _claimed(self, device: Device, progress: str, *, closed: bool) -> Device | None:
        return self._store.write(lambda tx: devices.claim(tx, device, self._clock(), progress=progress, closed=closed))

    def _renew(self, device: Device, progress: str) -> None:
        """Say that a device is still being calibrated.

        Raises:
            _Lost: It was taken away: its drift was switched off, or this server was taken for dead.
        """
        if not self._store.write(lambda tx: devices.renew(tx, device, progress, self._clock())):
            raise _Lost(device.name)

    def _note(self, device: Device, tuning: str) -> None:
        """Write which object has what was found so far."""
        self._store.write(lambda tx: devices.set_tuning(tx, device, tuning))

    def _finish(
        self, device: Device | None, document: DeviceDocument, now: datetime, tuning: str | None = None
    ) -> None:
        """Give a claimed device its new calibration; nothing happens if it is not claimed (any more)."""
        if device is None:
            return
        digest = devices.keep(self._store, document)
        taken = _taken(document, now)

        def write(tx: Transaction) -> Device | None:
            due = following(device.name, now) if device.drift else None
            after = devices.calibrated(tx, device, digest, taken, now, due=due, tuning=tuning)
            _reopen(tx, device, self._clock())
            return after

        if self._store.write(write) is None:
            _log.warning("A calibration of %s was overtaken by another and is forgotten", device.name)

    def _release(self, device: Device, progress: str = "") -> None:
        def write(tx: Transaction) -> None:
            devices.release(tx, device, progress)
            _reopen(tx, device, self._clock())

        self._store.write(write)

    def _reap(self, *, everything: bool) -> None:
        def write(tx: Transaction) -> list[Device]:
            gone = devices.reap(tx, self._clock(), everything=everything)
            for device in gone:
                _reopen(tx, device, self._clock())
            return gone

        if any(device.calibrator is not None for device in self._store.read(devices.list_)):
            for device in self._store.write(write):
                _log.warning("The calibration of %s was left undone; it is begun again", device.name)

    def _close_pool(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _reopen(tx: Transaction, device: Device, now: datetime) -> None:
    """Let those who wait for a device that started nothing wait from now on."""
    if device.calibrating is not None:
        accounts.wait_from(tx, device.id, now)


def _taken(document: DeviceDocument, now: datetime) -> datetime:
    """Return when a calibration was made: that of a device that is frozen stays what it is."""
    if document.life is not None:
        return document.life.taken
    dated: Mapping[str, str] = document.properties or {}
    return datetime.fromisoformat(dated["last_update_date"]) if dated else now


def _shipped(document: DeviceDocument) -> Tuning | None:
    """Return the tuning that comes with this package for a device exactly as it is."""
    if openpulse.obstacle(document.configuration, document.properties) is not None:
        return None
    tuning = tunings.shipped(openpulse.model(document))
    return None if tuning is None or wanted(document, tuning) else tuning


def _frequencies(document: DeviceDocument) -> dict[int, float]:
    return {} if document.properties is None else drift.frequencies(document.properties)


def _due(device: Device) -> datetime:
    assert device.due is not None
    return device.due


def _progress(done: int, count: int) -> str:
    return f"{done} of {count} gates tuned"


def _named(site: tuple[int, ...]) -> str:
    return f"qubit {site[0]}" if len(site) == 1 else f"qubits {site[0]} and {site[1]}"
