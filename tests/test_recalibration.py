# SPDX-License-Identifier: Apache-2.0
"""The calibrator: devices that drift are calibrated once a day, and pulses are found gate by gate."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest

from chandelier import acts, devices, pools, recalibration
from chandelier.devices import Device
from chandelier.formats import device as documents
from chandelier.formats import drift, openpulse, snapshots, tasks, tunings
from chandelier.formats.device import DeviceDocument
from chandelier.formats.tunings import Drag, Pair, Qubit, Tuning
from chandelier.recalibration import Calibrator
from chandelier.store import Store
from chandelier.tenancy.audit import By
from factories import NOW, Town, a_device_document, after, queued
from fakes import PATIENCE, ScriptedCall, ScriptedPool
from test_worker import eventually

DAY = 86400.0
LIMITS = tasks.Limits(1 << 30, 60.0)
DRAG = Drag(160, 40.0, (0.1, 0.0), 0.5)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """Return what it was set to."""
        return self.now


def tune(task: tasks.Task, _call: ScriptedCall, _timeout: float) -> bytes:
    """Find what is wanted; the amplitude of a pair tells how many were known of before."""
    assert isinstance(task, tasks.Tune)
    known = tunings.decode(bytes(task.known))
    for site in map(tuple, task.sites):
        if len(site) == 1:
            known = msgspec.structs.replace(known, qubits={**known.qubits, site[0]: Qubit(DRAG, DRAG, (1e-7, 1e-7))})
        else:
            others = tuple(pair for pair in known.pairs if {pair.control, pair.target} != set(site))
            amp = (0.1 + 0.01 * len(known.pairs), 0.0)
            made = Pair(site[0], site[1], 0, 400, 20.0, 320.0, amp, (0.01, 0.0), (0.0, 0.0), 2e-4, 1e-5)
            known = msgspec.structs.replace(known, pairs=(*others, made))
    return tasks.encode(tasks.Tuned(msgspec.Raw(tunings.encode(known))))


def refuse(_task: tasks.Task, _call: ScriptedCall, _timeout: float) -> bytes:
    """Find nothing."""
    return tasks.encode(tasks.Refused(8021, "There is no such pulse."))


def die(_task: tasks.Task, _call: ScriptedCall, _timeout: float) -> bytes:
    """Die, as a real child does."""
    raise pools.ChildDied(-9)


def hang(_task: tasks.Task, call: ScriptedCall, _timeout: float) -> bytes:
    """Go on until killed."""
    assert call.killed.wait(PATIENCE), "the call was never killed"
    raise pools.Killed


class House:
    """A store with a calibrator that takes one step at a time."""

    def __init__(self, store: Store, *tunes: Any) -> None:
        self.store = store
        self.clock = Clock()
        self.pools: list[ScriptedPool] = []
        self._tunes = tunes or (tune,)
        self.calibrator = self.another()

    def another(self) -> Calibrator:
        """Return a calibrator as another server has one."""
        return Calibrator(self.store, LIMITS, self.clock, self._open)

    def _open(self) -> Any:
        self.pools.append(ScriptedPool(tunes=self._tunes))
        return self.pools[-1]

    def tasks(self) -> list[tasks.Tune]:
        """Return what children were asked for."""
        found = [call.task for pool in self.pools for call in pool.calls]
        assert all(isinstance(task, tasks.Tune) for task in found)
        return [task for task in found if isinstance(task, tasks.Tune)]

    def device(self, name: str) -> Device:
        """Return a device."""
        return self.store.read(lambda tx: devices.get(tx, name))

    def document(self, name: str) -> Any:
        """Return the present documents of a device."""
        return devices.document(self.store, self.device(name).calibration)

    def settle(self) -> int:
        """Step until nothing is to do; return how many steps that were."""
        steps = 0
        while self.calibrator.step():
            steps += 1
        return steps


def installed(store: Store, name: str, *, drifts: bool = True) -> Device:
    """Install a snapshot under its own short name."""
    return devices.install(store, snapshots.load(name, name), datetime(2021, 3, 15, tzinfo=UTC), NOW, drift=drifts)


def days(number: float) -> datetime:
    """Return a moment some days after the installation."""
    return after(DAY * number)


def moved_on(house: House, name: str, number: float) -> None:
    """Bring a device that was just installed to its calibration of some day."""
    house.settle()
    house.clock.now = days(number)
    assert house.calibrator.step()
    assert house.device(name).calibrating is None


@pytest.mark.parametrize("name", ["manila", "essex", "another"])
def test_each_device_has_its_hour(name: str) -> None:
    """Once a day, between two and six o'clock; the next one is always later, by a day at most."""
    first = recalibration.following(name, NOW)

    assert NOW < first <= NOW + timedelta(days=1)
    assert 2 <= first.hour < 6
    assert recalibration.following(name, first) == first + timedelta(days=1)
    assert recalibration.following(name, first - timedelta(seconds=1)) == first
    assert recalibration.following("lima", NOW).time() != first.time()


def test_a_new_device_is_calibrated_at_once_and_then_each_day(store: Store) -> None:
    """Its documents are those of the moment, and the old ones can still be had by their date."""
    house = House(store)
    device = installed(store, "essex")
    assert house.settle() == 1
    first = house.device("essex")
    house.clock.now = days(3)
    assert house.settle() == 1
    second = house.device("essex")
    snapshot = devices.document(store, device.calibration)

    assert device.due == NOW
    assert (first.due, second.due) == tuple(recalibration.following("essex", moment) for moment in (NOW, days(3)))
    assert house.document("essex") == drift.at(snapshot, "essex", NOW, days(3))
    assert devices.document(store, first.calibration).properties == snapshot.properties
    assert store.read(lambda tx: devices.properties_before(tx, second, days(2))) == first.calibration
    assert [taken for taken, _ in store.read(lambda tx: devices.history(tx, second))][1:] == [
        NOW.replace(microsecond=0),
        days(3).replace(microsecond=0),
    ]
    assert house.settle() == 0


def test_a_start_of_the_cloud_keeps_what_has_drifted(store: Store) -> None:
    """The same snapshot is installed each time; another one begins another life."""
    house = House(store)
    installed(store, "essex")
    moved_on(house, "essex", 5)
    before = house.device("essex")
    assert installed(store, "essex") == before
    store.objects.delete("devices", before.calibration)
    again = installed(store, "essex")
    assert (again.calibration, again.begun, again.due) == (again.snapshot, NOW, NOW)
    other = snapshots.load("vigo", "essex")
    after_change = devices.install(store, other, days(5), days(6), drift=True)

    assert before.calibration != before.snapshot
    assert devices.document(store, after_change.calibration) == other
    assert (after_change.begun, after_change.due, after_change.drift) == (days(6), days(6), True)


def test_a_device_that_does_not_drift_is_left_alone(store: Store) -> None:
    """Nor are simulators touched."""
    house = House(store)
    device = installed(store, "lima", drifts=False)
    simulator = devices.install(store, a_device_document("ideal"), NOW, NOW, drift=True)
    house.clock.now = days(9)

    assert house.settle() == 0
    assert house.device("lima") == device
    assert (simulator.drift, simulator.due) == (False, None)


def test_a_device_can_be_frozen_and_go_on(store: Store) -> None:
    """As it is, without wandering frequencies; a restart does not change it, and later it lives the same life."""
    house = House(store)
    installed(store, "essex")
    moved_on(house, "essex", 4)
    lively = house.document("essex")
    by = By("somebody", days(4))
    frozen = devices.freeze(store, house.device("essex"))
    store.write(lambda tx: acts.set_drift(tx, by, "essex", drift=False, frozen=frozen))
    still = house.device("essex")
    house.clock.now = days(8)
    assert house.settle() == 0
    assert installed(store, "essex") == still
    assert house.document("essex") == msgspec.structs.replace(lively, life=None)
    store.write(lambda tx: acts.set_drift(tx, By("somebody", days(8)), "essex", drift=True, frozen=None))
    assert house.settle() == 1

    snapshot = devices.document(store, still.snapshot)
    assert house.document("essex") == drift.at(snapshot, "essex", NOW, days(8))


def test_two_servers_calibrate_once(store: Store) -> None:
    """Whoever is first has it."""
    house = House(store)
    device = installed(store, "essex")
    claim = partial(devices.claim, device=device, now=NOW, progress="", closed=False)
    first, second = store.write(claim), store.write(claim)

    assert first is not None
    assert second is None
    assert not house.calibrator.step()
    assert store.write(lambda tx: devices.calibrated(tx, first, device.calibration, NOW, NOW, due=days(1))) is not None
    late = msgspec.structs.replace(device, calibration="0" * 64)
    assert store.write(partial(devices.claim, device=late, now=NOW, progress="", closed=False)) is None


def test_a_device_with_pulses_is_tuned_before_it_goes_on(store: Store) -> None:
    """Gate by gate, from what is known; meanwhile it takes jobs and starts none. Then all of the epoch agrees."""
    seen: list[Device] = []

    def look(*call: Any) -> bytes:
        seen.append(store.read(lambda tx: devices.get(tx, "manila")))
        return tune(*call)

    house = House(store, look)
    installed(store, "manila")
    moved_on(house, "manila", 3)
    document, device = house.document("manila"), house.device("manila")

    assert [task.sites for task in house.tasks()] == [
        *([[qubit]] for qubit in range(5)),
        *([[qubit, qubit + 1]] for qubit in range(4)),
    ]
    assert [each.status for each in seen] == ["calibrating"] * 9
    assert [each.progress for each in seen] == [f"{done} of 9 gates tuned" for done in range(9)]
    assert all(each.conduct == devices.Conduct(takes=True, starts=False, offered=False) for each in seen)
    assert store.read(devices.runnable) == {device.id: "fast"}
    assert (device.status, device.progress, device.calibrator) == ("active", "", None)
    assert document.defaults["qubit_freq_est"] == list(drift.frequencies(document.properties).values())
    assert {entry["name"] for entry in document.defaults["cmd_def"]} >= {"x", "sx", "cx", "measure"}
    assert document.life.taken == days(3).replace(microsecond=0)
    kept = tunings.decode(store.objects.read("tunings", device.tuning or ""))
    assert kept.qubits[4].x == DRAG
    assert kept.model == device.tuning == openpulse.model(document)


def test_frequencies_that_have_hardly_moved_need_no_new_pulses(store: Store) -> None:
    """As when a cloud is started for the first time: its devices take jobs at once."""
    house = House(store)
    installed(store, "manila")

    assert house.settle() == 1
    assert house.tasks() == []
    assert house.document("manila").defaults is not None
    assert house.document("manila").life is not None


def order(house: House, name: str, moment: datetime) -> None:
    """Calibrate a device on demand."""
    house.clock.now = moment
    store = house.store
    store.write(lambda tx: devices.order_calibration(tx, devices.get(tx, name), moment, seeking=False))
    assert house.settle() == 1


def test_small_moves_add_up(store: Store) -> None:
    """Pulses are stale when a frequency has left what they were tuned to, however many calibrations were in between."""
    house = House(store)
    installed(store, "manila")
    house.settle()
    quarter = [after(900.0 * number) for number in range(8)]
    for moment in quarter[1:3]:
        order(house, "manila", moment)
    assert house.tasks() == []
    order(house, "manila", quarter[3])
    assert len(house.tasks()) == 9
    for moment in quarter[4:6]:
        order(house, "manila", moment)

    leaves = [max(abs(drift.offset("manila", qubit, NOW, moment)) for qubit in range(5)) for moment in quarter]
    assert leaves[2] < recalibration.STALE < leaves[3]
    assert leaves[3] - leaves[2] < recalibration.STALE
    assert len(house.tasks()) == 9
    tuned = tunings.decode(store.objects.read("tunings", house.device("manila").tuning or ""))
    snapshot = devices.document(store, house.device("manila").snapshot)
    found = drift.at(snapshot, "manila", NOW, quarter[3])
    assert tuned.frequencies == drift.frequencies(found.properties or {})


def test_what_is_ordered_during_a_calibration_is_done_after_it(store: Store) -> None:
    """It is not forgotten with the end of the one that runs."""
    asked: list[datetime] = []

    def interrupt(*call: Any) -> bytes:
        if not asked:
            asked.append(house.clock.now + timedelta(seconds=5))
            store.write(lambda tx: devices.order_calibration(tx, house.device("manila"), asked[0], seeking=False))
        return tune(*call)

    house = House(store, interrupt)
    installed(store, "manila")
    moved_on(house, "manila", 2)
    between = house.device("manila")
    house.clock.now = days(2.01)
    assert house.settle() == 1

    assert between.due == asked[0]
    assert house.document("manila").life.taken == days(2.01).replace(microsecond=0)
    assert house.device("manila").due == recalibration.following("manila", days(2.01))


def test_what_is_ordered_of_a_search_that_ends_is_done(store: Store) -> None:
    """A frozen device has its pulses then, and nothing is due any more."""

    def interrupt(*call: Any) -> bytes:
        device = house.device("armonk")
        store.write(lambda tx: devices.order_calibration(tx, device, after(5), seeking=True))
        return tune(*call)

    house = House(store, interrupt)
    device = devices.install(store, bare("armonk", "armonk", shift=1e-4), NOW, NOW)
    store.write(lambda tx: devices.order_calibration(tx, device, NOW, seeking=True))
    house.clock.now = after(6)
    house.settle()

    assert len(house.tasks()) == 1
    assert house.document("armonk").defaults is not None
    assert house.device("armonk").due is None


def bare(snapshot: str, name: str, *, shift: float = 0.0) -> DeviceDocument:
    """Return a device as releases without pulses made them.

    Args:
        shift: Added to the frequency of qubit 0, GHz.
    """
    configuration, properties = snapshots.read(snapshot)
    text = snapshots.describe(configuration, properties)
    gates = configuration["basis_gates"]
    found = documents.normalise_properties(properties, served_name=name, basis_gates=gates)
    for record in found["qubits"][0]:
        record["value"] += shift if record["name"] == "frequency" else 0.0
    made = documents.normalise_configuration(configuration, served_name=name, description=text)
    return DeviceDocument(made, found)


@pytest.mark.parametrize("name", ["armonk", "manila", "lagos", "hanoi"])
def test_a_device_of_an_older_release_has_its_pulses_at_once(store: Store, name: str) -> None:
    """Those that came with this package, without a search; it stays frozen, with the same numbers."""
    house = House(store)
    before = bare(name, name)
    taken = datetime.fromisoformat((before.properties or {})["last_update_date"])
    old = devices.install(store, before, taken, NOW)
    assert house.document(name).defaults is None
    house.clock.now = after(1)
    assert house.settle() == 1
    device, document, new = house.device(name), house.document(name), snapshots.load(name, name)

    assert house.tasks() == []
    assert (document.configuration["open_pulse"], document.life, device.due) == (True, None, None)
    assert (document.properties, document.defaults) == (new.properties, new.defaults)
    assert document.configuration["hamiltonian"] == new.configuration["hamiltonian"]
    assert store.read(lambda tx: devices.history(tx, device)) == [(taken, device.calibration)]
    # Switched on later, it drifts with pulses.
    by = By("somebody", days(1))
    house.clock.now = days(1)
    store.write(lambda tx: acts.set_drift(tx, by, name, drift=True, frozen=None))
    assert house.settle() == 1
    assert house.document(name).defaults is not None
    assert (house.device(name).snapshot, house.device(name).begun) == (old.snapshot, days(1))


def test_a_device_of_an_older_release_that_drifts_at_once_takes_pulses(store: Store) -> None:
    """Also before a server of this release has seen it; then its pulses follow its frequencies."""
    house = House(store)
    devices.install(store, bare("manila", "manila"), NOW, NOW, drift=True)
    assert house.settle() == 1
    assert house.tasks() == []
    assert house.document("manila").defaults is not None
    house.clock.now = days(2)
    assert house.settle() == 1

    assert len(house.tasks()) == 9


def test_pulses_that_do_not_fit_exactly_are_looked_for(store: Store) -> None:
    """A frozen device whose numbers are others than those of the package gets none that were made for those."""
    house = House(store)
    device = devices.install(store, bare("armonk", "armonk", shift=1e-4), NOW, NOW)
    assert house.settle() == 0
    store.write(lambda tx: devices.order_calibration(tx, device, NOW, seeking=True))
    house.settle()

    assert len(house.tasks()) == 1
    assert house.document("armonk").defaults is not None


def test_a_search_ends_with_pulses_that_come_with_a_new_release(store: Store) -> None:
    """What was found of them so far is not needed any more."""
    house = House(store)
    device = devices.install(store, bare("manila", "manila"), NOW, NOW)
    shipped = tunings.shipped(openpulse.model(house.document("manila")))
    assert shipped is not None
    begun = msgspec.structs.replace(shipped, qubits={0: Qubit(DRAG, DRAG, (0.0, 0.0))}, pairs=())
    store.objects.put("tunings", begun.model, tunings.encode(begun))
    store.write(lambda tx: devices.set_tuning(tx, device, begun.model))
    assert house.settle() == 1

    assert house.tasks() == []
    assert house.document("manila").defaults == snapshots.load("manila", "manila").defaults


@pytest.mark.parametrize("ending", [refuse, die])
def test_a_gate_that_cannot_be_tuned_keeps_its_pulses(store: Store, ending: Any) -> None:
    """And the calibration goes on."""
    house = House(store, ending, tune)
    installed(store, "manila")
    shipped = tunings.shipped(openpulse.model(snapshots.load("manila")))
    assert shipped is not None
    moved_on(house, "manila", 2)
    kept = tunings.decode(store.objects.read("tunings", house.device("manila").tuning or ""))

    assert kept.qubits[0] == shipped.qubits[0]
    assert kept.qubits[1].x == DRAG
    # It is tried again the next time, for it was not tuned to these frequencies.
    assert set(kept.frequencies) == {1, 2, 3, 4}


def test_without_children_the_pulses_stay(store: Store) -> None:
    """A calibration does not fail for that."""
    house = House(store)
    installed(store, "manila")
    house.settle()
    house.clock.now = days(2)
    pool = ScriptedPool()
    pool.refusing = 1
    calibrator = Calibrator(store, LIMITS, house.clock, lambda: pool)  # type: ignore[arg-type, return-value]

    assert calibrator.step()
    assert house.document("manila").life.taken == days(2).replace(microsecond=0)
    assert house.document("manila").defaults is not None


def test_jobs_wait_while_a_device_is_calibrated(town: Town) -> None:
    """They are taken, and start with the calibration that was found meanwhile."""
    store, device = town.store, town.device
    job = queued(town)
    held = store.write(partial(devices.claim, device=device, now=NOW, progress="3 of 9 gates tuned", closed=True))
    assert held is not None

    assert held.status == "calibrating"
    assert device.id not in store.read(devices.runnable)
    devices.check_taking(held)
    assert store.write(lambda tx: devices.release(tx, held))
    assert device.id in store.read(devices.runnable)
    assert job.calibration == device.calibration


def test_a_crash_leaves_a_device_able_to_go_on(store: Store) -> None:
    """A server that is alone begins again at once, others when nothing was heard for a while."""
    house = House(store)
    device = installed(store, "essex")
    store.write(partial(devices.claim, device=device, now=NOW, progress="1 of 9 gates tuned", closed=True))
    soon, late = after(devices.HOLD.total_seconds() - 1), after(devices.HOLD.total_seconds() + 1)

    assert house.settle() == 0
    assert store.write(lambda tx: devices.reap(tx, soon)) == []
    assert [gone.name for gone in store.write(lambda tx: devices.reap(tx, late))] == ["essex"]
    again = house.device("essex")
    assert (again.calibrating, again.progress, again.calibration) == (None, "", device.calibration)
    store.write(partial(devices.claim, device=again, now=NOW, progress="", closed=True))
    assert len(store.write(lambda tx: devices.reap(tx, soon, everything=True))) == 1
    assert house.settle() == 1


def test_a_calibration_that_is_called_off_changes_nothing(store: Store) -> None:
    """Its drift is switched off in the middle: the device stays as it was."""
    house: House

    def interrupt(*call: Any) -> bytes:
        device = house.device("manila")
        frozen = devices.freeze(store, device)
        store.write(lambda tx: acts.set_drift(tx, By("x", NOW), "manila", drift=False, frozen=frozen))
        return tune(*call)

    house = House(store, interrupt)
    installed(store, "manila")
    house.settle()
    before = house.document("manila")
    house.clock.now = days(2)
    assert house.calibrator.step()

    assert house.document("manila") == msgspec.structs.replace(before, life=None)
    assert len(house.tasks()) == 1
    assert (house.device("manila").status, house.device("manila").drift) == ("active", False)


def test_pulses_are_looked_for_in_the_background(store: Store) -> None:
    """Of a device that comes without: gate by gate, while it goes on; the last one makes it take pulses."""
    house = House(store)
    installed(store, "lima")
    before: list[tuple[str, bool]] = []
    while house.calibrator.step():
        device = house.device("lima")
        before.append((device.progress, device.conduct.starts))
    document = house.document("lima")

    assert before[1:-1] == [(f"{done} of 9 gates tuned", True) for done in range(1, 10)]
    assert before[-1] == ("", True)
    assert document.configuration["open_pulse"] is True
    assert document.defaults["qubit_freq_est"] == list(drift.frequencies(document.properties).values())
    assert document.life.taken == NOW.replace(microsecond=0)
    assert len(house.tasks()) == 9
    assert house.settle() == 0
    # A new calibration keeps them.
    house.clock.now = days(1)
    house.settle()
    assert house.document("lima").defaults["qubit_freq_est"] != document.defaults["qubit_freq_est"]


def test_what_was_found_is_never_looked_for_again(store: Store) -> None:
    """Another server goes on where the last one stopped."""
    house = House(store)
    installed(store, "lima")
    for _ in range(5):
        assert house.calibrator.step()
    house.calibrator = house.another()
    house.settle()

    sites = [task.sites[0] for task in house.tasks()]
    assert len(sites) == len({tuple(site) for site in sites}) == 9


def test_a_pair_without_pulses_is_missing(store: Store) -> None:
    """The device takes pulses all the same, and its description names the pair."""
    house = House(store, tune, tune, tune, tune, tune, refuse, tune)
    installed(store, "lima")
    house.settle()
    kept = tunings.decode(store.objects.read("tunings", house.device("lima").tuning or ""))

    assert [(pair.qubits, pair.reason) for pair in kept.missing] == [((0, 1), "There is no such pulse")]
    assert "No pulses were found for the pair 0-1." in house.document("lima").configuration["description"]


def test_a_qubit_without_pulses_ends_the_search(store: Store) -> None:
    """The device goes on with circuits, and nobody tries again before the next start."""
    house = House(store, tune, refuse)
    installed(store, "lima")
    house.settle()

    assert len(house.tasks()) == 2
    assert house.document("lima").defaults is None
    assert (house.device("lima").progress, house.device("lima").status) == ("", "active")


def test_a_frozen_device_gets_pulses_on_demand_only(store: Store) -> None:
    """It is asked for, found, and then nothing is due any more."""
    house = House(store)
    device = installed(store, "lima", drifts=False)
    assert house.settle() == 0
    assert devices.seeks_pulses(store, device)
    store.write(lambda tx: devices.order_calibration(tx, device, NOW, seeking=True))
    house.settle()
    document = house.document("lima")

    assert document.configuration["open_pulse"] is True
    assert document.life is None
    assert (house.device("lima").due, house.device("lima").drift) == (None, False)
    assert installed(store, "lima", drifts=False).calibration == house.device("lima").calibration
    assert not devices.seeks_pulses(store, house.device("lima"))


def test_devices_without_a_model_get_no_pulses(store: Store) -> None:
    """Those of early 2020, whose Hamiltonian was not published, and those with other gates than `cx`."""
    assert not devices.seeks_pulses(store, installed(store, "essex"))
    assert not devices.seeks_pulses(store, installed(store, "sherbrooke"))


def test_what_is_wanted_follows_the_coupling_map() -> None:
    """Qubits first, each pair once, and nothing that is known or missing."""
    document = snapshots.load("lima")
    pair = Pair(3, 1, 0, 400, 20.0, 320.0, (0.1, 0.0), (0.0, 0.0), (0.0, 0.0), 0.0, 0.0)
    known = Tuning("", {0: Qubit(DRAG, DRAG, (0.0, 0.0))}, pairs=(pair,), missing=(tunings.Missing((0, 1), "too far"),))

    assert recalibration.wanted(document, known) == [(1,), (2,), (3,), (4,), (1, 2), (3, 4)]
    assert recalibration.sites(snapshots.load("armonk")) == [(0,)]


Running = Callable[..., tuple[Calibrator, threading.Thread]]


def run(house: House) -> threading.Thread:
    """Let the calibrator run in a thread."""
    thread = threading.Thread(target=partial(house.calibrator.run, alone=True), daemon=True)
    thread.start()
    return thread


def test_the_thread_hears_of_what_is_ordered(store: Store) -> None:
    """It sleeps for long, and is woken; its pool is closed when nothing is left to do."""
    house = House(store)
    installed(store, "essex")
    thread = run(house)
    eventually(lambda: house.device("essex").calibration != house.device("essex").snapshot)
    first = house.device("essex")
    house.clock.now = days(0.5)
    store.write(lambda tx: devices.order_calibration(tx, first, house.clock.now, seeking=False))
    eventually(lambda: house.device("essex").calibration != first.calibration)
    installed(store, "lima")
    eventually(lambda: house.device("lima").calibration != house.device("lima").snapshot)
    eventually(lambda: house.document("lima").defaults is not None)
    eventually(lambda: all(pool.closed for pool in house.pools))
    house.calibrator.close()
    thread.join(PATIENCE)

    assert not thread.is_alive()


def test_a_server_that_stops_leaves_a_device_as_it_was(store: Store) -> None:
    """A child that hangs is killed, and the next start begins again."""
    house = House(store, hang)
    installed(store, "manila")
    house.settle()
    before = house.device("manila")
    house.clock.now = days(2)
    thread = run(house)
    eventually(lambda: bool(house.tasks()))
    house.calibrator.close()
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert house.device("manila") == before
    assert house.pools[0].closed
    assert not list((store.objects.root / "incoming").iterdir())


def test_a_failure_does_not_end_the_thread(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next device is looked after; the failure stands in the log."""
    house = House(store)
    installed(store, "essex")
    failures = iter([RuntimeError("on purpose")])
    real = drift.at

    def failing(*given: Any) -> Any:
        for failure in failures:
            raise failure
        return real(*given)

    monkeypatch.setattr(drift, "at", failing)
    thread = run(house)
    eventually(lambda: next(failures, None) is None and house.device("essex").calibrator is None)
    store.write(lambda tx: devices.order_calibration(tx, house.device("essex"), NOW, seeking=False))
    eventually(lambda: house.device("essex").calibration != house.device("essex").snapshot)
    house.calibrator.close()
    thread.join(PATIENCE)

    assert not thread.is_alive()
