# SPDX-License-Identifier: Apache-2.0
"""The catalogue: devices, their calibrations, pausing."""

import math
from typing import Any

import pytest
import sqlalchemy as sa

from chandelier import devices, errors
from chandelier.formats import device as documents
from chandelier.formats import snapshots
from chandelier.store import Store, database
from factories import NOW, Town, a_device, a_device_document, after


def calibrations(store: Store) -> int:
    """Return how many calibrations are kept."""
    table = database.metadata.tables["calibrations"]
    return store.read(lambda tx: int(tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()))


def test_an_installed_device_is_what_its_document_says(store: Store) -> None:
    """And its document can be had by the digest."""
    document = a_device_document("first", n_qubits=5, max_shots=77, max_experiments=3)
    device = devices.install(store, document, NOW, after(1))

    assert store.read(lambda tx: devices.get(tx, "first")) == device
    assert store.read(lambda tx: devices.get_by_id(tx, device.id)) == device
    assert (device.name, device.qubits, device.max_shots, device.max_experiments) == ("first", 5, 77, 3)
    assert (device.simulator, device.state, device.message, device.created) == (True, "active", "", after(1))
    assert device.calibration == documents.digest(document)
    assert devices.document(store, device.calibration) == document


def test_installing_again_does_nothing(store: Store) -> None:
    """Each start does it."""
    device = a_device(store, "first")
    store.write(lambda tx: devices.set_state(tx, "first", "paused", "cooling down"))
    again = devices.install(store, a_device_document("first"), after(1), after(1))

    assert (again.id, again.calibration, again.created) == (device.id, device.calibration, device.created)
    assert (again.state, again.message) == ("paused", "cooling down")
    assert calibrations(store) == 1


def test_a_new_calibration_keeps_the_device(store: Store) -> None:
    """The old one stays readable, for jobs that were run with it."""
    old = a_device(store, "first")
    new = devices.install(store, a_device_document("first", n_qubits=7), after(1), after(2))

    assert (new.id, new.created, new.qubits) == (old.id, old.created, 7)
    assert new.calibration != old.calibration
    assert devices.document(store, old.calibration).configuration["n_qubits"] == old.qubits
    assert calibrations(store) == 2


def test_devices_are_listed_in_the_order_of_installation(store: Store) -> None:
    """A new calibration does not move one."""
    for name in ("zeta", "alpha", "mu"):
        a_device(store, name)
    devices.install(store, a_device_document("zeta", n_qubits=7), after(1), after(2))

    assert [device.name for device in store.read(devices.list_)] == ["zeta", "alpha", "mu"]


@pytest.mark.parametrize("name", ["", "none", "DEVICE", "device "])
def test_unknown_devices_are_not_found(town: Town, name: str) -> None:
    """Names are exact."""
    assert town.store.read(lambda tx: devices.find(tx, name)) is None
    with pytest.raises(errors.NotFound) as caught:
        town.store.read(lambda tx: devices.get(tx, name))
    assert caught.value.code == 3100


def test_pausing_and_resuming(town: Town) -> None:
    """Everybody sees the message, and waiting workers hear of it."""
    heard: list[str] = []
    town.store.bell.listen("queue", lambda: heard.append("queue"))
    paused = town.store.write(lambda tx: devices.set_state(tx, "device", "paused", "x" * 600))

    assert (paused.state, paused.message) == ("paused", "x" * 500)
    assert town.store.read(lambda tx: devices.get(tx, "device")) == paused
    assert town.store.read(devices.runnable) == {town.hidden.id: "fast"}
    active = town.store.write(lambda tx: devices.set_state(tx, "device", "active", ""))
    assert active == town.device
    town.store.write(lambda _tx: None)
    assert heard == ["queue", "queue"]
    with pytest.raises(errors.NotFound):
        town.store.write(lambda tx: devices.set_state(tx, "none", "paused", ""))


def test_the_calibration_before_a_moment_is_the_newest_of_the_older_ones(store: Store) -> None:
    """By when it was taken, not by when it was installed."""
    devices.install(store, a_device_document("first", n_qubits=2), after(20), NOW)
    devices.install(store, a_device_document("first", n_qubits=1), after(10), after(1))
    device = devices.install(store, a_device_document("first", n_qubits=3), after(30), after(2))

    def qubits_before(seconds: float) -> int | None:
        digest = store.read(lambda tx: devices.properties_before(tx, device, after(seconds)))
        return None if digest is None else int(devices.document(store, digest).configuration["n_qubits"])

    assert [qubits_before(seconds) for seconds in (10, 11, 20, 21, 31)] == [None, 1, 1, 2, 3]


def test_what_a_caller_does_to_an_entry_changes_no_document(store: Store) -> None:
    """Documents are kept in memory and shared."""
    device = a_device(store, "first")
    before = documents.to_json(devices.document(store, device.calibration))
    entry = devices.entry(store, device)
    assert (entry["id"], entry["status"], entry["name"]) == (device.id, "on", "first")
    entry["name"] = entry["status"] = None

    assert documents.to_json(devices.document(store, device.calibration)) == before
    assert devices.entry(store, device)["name"] == "first"


@pytest.mark.parametrize(
    ("state", "takes", "starts", "listed"),
    [
        ("active", True, True, "on"),
        ("paused", True, False, "on"),
        ("maintenance", True, False, "off"),
        ("drain", False, True, "off"),
    ],
)
def test_what_a_device_does_in_each_state(town: Town, state: Any, takes: bool, starts: bool, listed: str) -> None:
    """It takes jobs or refuses them, starts those that wait or does not, and is offered in both older forms or not."""
    device = town.store.write(lambda tx: devices.set_state(tx, "device", state, "new wiring."))
    terms = devices.Terms("http://localhost/api", "2026-03-14T15:09:26.000Z", 1, -1)

    assert devices.entry(town.store, device)["status"] == listed
    assert devices.hub_record(town.store, device, terms)["status"] == listed
    assert (device.id in town.store.read(devices.runnable)) is starts
    if takes:
        devices.check_taking(device)
        return
    with pytest.raises(errors.Conflict) as caught:
        devices.check_taking(device)
    assert caught.value.code == 3103
    assert caught.value.message == "device takes no new jobs at present (new wiring). Choose another device."


def test_a_device_keeps_the_pace_of_its_machine(store: Store) -> None:
    """Shots and overhead occupy it; a fast one is not occupied at all."""
    devices.install(store, a_device_document("machine", simulator=False), NOW, NOW)
    fast = store.read(lambda tx: devices.get(tx, "machine"))
    real = store.write(lambda tx: devices.set_pace(tx, "machine", "real"))
    slow = store.write(lambda tx: devices.set_pace(tx, "machine", "real", 7.5))

    assert (fast.pace, real.pace, real.overhead, slow.overhead) == ("fast", "real", devices.OVERHEAD, 7.5)
    assert [devices.occupation(device, 10.0) for device in (fast, real, slow)] == [None, 12.0, 17.5]
    assert store.read(devices.runnable) == {slow.id: "real"}
    assert store.read(lambda tx: devices.get(tx, "machine")) == slow
    again = devices.install(store, a_device_document("machine", simulator=False, n_qubits=3), after(1), after(1))
    assert (again.pace, again.overhead) == ("real", 7.5)


@pytest.mark.parametrize("overhead", [-1.0, math.nan, math.inf, devices.LONGEST + 1])
def test_an_overhead_is_a_time(store: Store, overhead: float) -> None:
    """Not negative, and no longer than a job may take."""
    devices.install(store, a_device_document("machine", simulator=False), NOW, NOW)
    with pytest.raises(errors.Invalid, match="is not between 0 and 28800 s"):
        store.write(lambda tx: devices.set_pace(tx, "machine", "real", overhead))


def test_a_simulator_has_no_machine_to_keep_pace_with(town: Town) -> None:
    """It stays fast."""
    with pytest.raises(errors.Invalid, match="device is a simulator"):
        town.store.write(lambda tx: devices.set_pace(tx, "device", "real"))

    assert town.store.read(lambda tx: devices.get(tx, "device")).pace == "fast"


def test_properties_are_shown_with_both_spellings_and_kept_with_one(store: Store) -> None:
    """The engines read the document as it was stored."""
    device = devices.install(store, snapshots.load("rome"), NOW, NOW)
    kept = devices.document(store, device.calibration).properties
    shown = devices.properties(store, device.calibration)

    assert kept is not None
    assert not any("parametres" in gate for gate in kept["gates"])
    assert all(gate["parametres"] == gate["parameters"] for gate in shown["gates"])
    assert devices.properties(store, a_device(store, "simulator").calibration) == {}


def test_drift_is_switched_with_reason(store: Store) -> None:
    """A simulator does not drift; what drifts already goes on; a calibration in between is not thrown away."""
    device = devices.install(store, snapshots.load("rome"), NOW, NOW, drift=True)
    a_device(store, "ideal")
    with pytest.raises(errors.Conflict, match="ideal is a simulator") as caught:
        store.write(lambda tx: devices.set_drift(tx, "ideal", after(1), drift=True))
    assert caught.value.code == 3104
    assert store.write(lambda tx: devices.set_drift(tx, device.name, after(1), drift=True)) == device
    with pytest.raises(errors.Conflict, match="was calibrated at this moment"):
        store.write(lambda tx: devices.set_drift(tx, device.name, after(1), drift=False, frozen=("0" * 64, "1" * 64)))
    frozen = devices.freeze(store, device)
    assert frozen == (device.calibration, device.calibration)
    still = store.write(lambda tx: devices.set_drift(tx, device.name, after(1), drift=False, frozen=frozen))

    assert (still.drift, still.due, still.begun, still.calibration) == (False, None, NOW, device.calibration)
    with pytest.raises(errors.Conflict, match="does not drift: a calibration would find it as it is"):
        store.write(lambda tx: devices.order_calibration(tx, still, after(2), seeking=False))


@pytest.mark.parametrize(
    ("state", "status"),
    [("active", "calibrating"), ("drain", "calibrating"), ("paused", "paused"), ("maintenance", "maintenance")],
)
def test_what_is_told_of_a_device_that_is_calibrated(town: Town, state: Any, status: str) -> None:
    """An operator's word goes before; whatever it is, the device starts nothing."""
    town.store.write(lambda tx: devices.set_state(tx, "device", state, "by hand"))
    device = town.store.read(lambda tx: devices.get(tx, "device"))
    held = town.store.write(lambda tx: devices.claim(tx, device, NOW, progress="1 of 9 gates tuned", closed=True))
    assert held is not None

    assert (held.status, held.state) == (status, state)
    assert held.conduct == devices.Conduct(takes=state != "drain", starts=False, offered=False)
    assert device.id not in town.store.read(devices.runnable)
