# SPDX-License-Identifier: Apache-2.0
"""Drift: calibrations of a device's life agree with its snapshot, with each other and with what devices do."""

import math
from datetime import UTC, datetime, timedelta
from statistics import fmean, pstdev, stdev
from typing import Any

import msgspec
import pytest

from chandelier.formats import device, drift, snapshots
from chandelier.formats.device import DeviceDocument, Document, Life

BEGUN = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
DAYS = 60


def after(**time: float) -> datetime:
    """Return a moment some time after the beginning."""
    return BEGUN + timedelta(**time)


def published(name: str = "manila") -> Document:
    """Return the properties of a snapshot."""
    properties = snapshots.load(name).properties
    assert properties is not None
    return properties


def of_qubits(properties: Document, name: str) -> list[float]:
    """Return a number of each qubit."""
    return [record["value"] for records in properties["qubits"] for record in records if record["name"] == name]


def of_gates(properties: Document, gate: str, name: str = "gate_error") -> dict[tuple[int, ...], float]:
    """Return a number of each gate of a kind."""
    return {
        tuple(each["qubits"]): record["value"]
        for each in properties["gates"]
        if each["gate"] == gate
        for record in each["parameters"]
        if record["name"] == name
    }


@pytest.fixture(scope="module")
def life() -> list[Document]:
    """Return two months of daily calibrations of manila."""
    return [drift.properties_at(published(), "manila", BEGUN, after(days=day)) for day in range(DAYS)]


def test_a_life_begins_with_the_snapshot() -> None:
    """Every number and date of it; and ends nowhere: the past can be asked for, too."""
    snapshot = snapshots.load("manila")
    first = drift.at(snapshot, "manila", BEGUN, BEGUN)

    assert msgspec.structs.replace(first, life=None) == snapshot
    assert first.life == Life("manila", BEGUN, BEGUN)
    past = drift.properties_at(published(), "manila", BEGUN, after(days=-700))
    assert past["last_update_date"] == "2024-04-13T15:09:26Z"
    assert of_qubits(past, "T1") != of_qubits(published(), "T1")


def test_a_moment_is_the_same_whoever_asks_and_when() -> None:
    """Another seed is another life; a moment later little has changed."""
    once, again = (drift.properties_at(published(), "manila", BEGUN, after(days=9)) for _ in range(2))
    other = drift.properties_at(published(), "another", BEGUN, after(days=9))
    soon = drift.properties_at(published(), "manila", BEGUN, after(days=9, seconds=60))

    assert once == again
    assert of_qubits(once, "T1") != of_qubits(other, "T1")
    assert of_qubits(soon, "T1") == pytest.approx(of_qubits(once, "T1"), rel=0.01)
    assert of_qubits(soon, "T1") != of_qubits(once, "T1")


def test_records_are_dated_by_their_calibration() -> None:
    """All of them, and nothing else of their form has changed."""
    before, later = published(), drift.properties_at(published(), "manila", BEGUN, after(days=1))
    records = [record for records in later["qubits"] for record in records] + later["general"]
    records += [record for gate in later["gates"] for record in gate["parameters"]]

    assert later["last_update_date"] == "2026-03-15T15:09:26Z"
    assert {record["date"] for record in records} == {"2026-03-15T15:09:26Z"}
    assert {frozenset(record) for record in records} == {frozenset({"date", "name", "unit", "value"})}
    assert [[record["name"] for record in records] for records in later["qubits"]] == [
        [record["name"] for record in records] for records in before["qubits"]
    ]
    assert of_gates(later, "cx", "gate_length") == of_gates(before, "cx", "gate_length")
    assert of_qubits(later, "anharmonicity") == of_qubits(before, "anharmonicity")


@pytest.mark.parametrize(
    ("name", "spread"),
    [("T1", drift.T1.spread), ("prob_meas0_prep1", drift.READOUT.spread), ("prob_meas1_prep0", drift.READOUT.spread)],
)
def test_times_and_readout_errors_have_their_spread(name: str, spread: float) -> None:
    """Of their logarithms, after a week in 400 lives, without the few that met a defect or a cap."""
    before = of_qubits(published(), name)
    found = [of_qubits(drift.properties_at(published(), f"life {n}", BEGUN, after(days=20)), name) for n in range(80)]
    logs = [math.log(now / then) for each in found for now, then in zip(each, before, strict=True)]
    usual = [value for value in logs if abs(value) < 4 * spread]

    assert len(usual) > 0.95 * len(logs)
    assert pstdev(usual) == pytest.approx(spread, rel=0.12)
    assert abs(fmean(usual)) < 5 * spread / math.sqrt(len(usual))


def test_t2_is_at_most_twice_t1(life: list[Document]) -> None:
    """At every moment of the life of a device whose snapshot says so."""
    pairs = [pair for each in life for pair in zip(of_qubits(each, "T1"), of_qubits(each, "T2"), strict=True)]

    assert all(t2 <= 2 * t1 * (1 + 1e-12) for t1, t2 in pairs)


def test_the_readout_error_is_the_mean_of_both(life: list[Document]) -> None:
    """And none is worse than a coin."""
    for each in life:
        up, down = of_qubits(each, "prob_meas1_prep0"), of_qubits(each, "prob_meas0_prep1")
        means = [(first + second) / 2 for first, second in zip(up, down, strict=True)]
        assert of_qubits(each, "readout_error") == pytest.approx(means, rel=1e-12)
        assert max(up + down) <= drift.WORST_READOUT


def test_gates_drift_less_than_times(life: list[Document]) -> None:
    """T1 varies by about a fifth from day to day, the error of a `cx` by about an eighth, as published histories do."""
    t1 = [[of_qubits(each, "T1")[qubit] for each in life] for qubit in range(5)]
    cx = [[of_gates(each, "cx")[pair] for each in life] for pair in ((0, 1), (1, 2), (2, 3), (3, 4))]

    assert 0.15 < fmean(stdev(values) / fmean(values) for values in t1) < 0.32
    assert 0.09 < fmean(stdev(values) / fmean(values) for values in cx) < 0.20


def test_errors_that_are_published_equal_stay_equal(life: list[Document]) -> None:
    """Those of `id`, `sx` and `x` of a qubit, and those of a `cx` in both directions; `rz` stays without."""
    for each in life[1:]:
        assert of_gates(each, "id") == of_gates(each, "sx") == of_gates(each, "x")
        assert all(error == of_gates(each, "cx")[pair[::-1]] for pair, error in of_gates(each, "cx").items())
        assert set(of_gates(each, "rz").values()) == {0}


def test_a_gate_follows_the_times_of_its_qubits() -> None:
    """A snapshot whose `cx` errs by relaxation alone has, with half of both times, nearly twice the error."""
    properties = published()
    length = of_gates(properties, "cx", "gate_length")[0, 1]
    times = [
        (t1 * 1e3, t2 * 1e3) for t1, t2 in zip(*(of_qubits(properties, each) for each in ("T1", "T2")), strict=True)
    ]
    limit = drift.relaxation([times[0], times[1]], length)
    halves = [(t1 / 2, t2 / 2) for t1, t2 in times[:2]]

    assert 0 < limit < of_gates(properties, "cx")[0, 1]
    assert drift.relaxation(halves, length) == pytest.approx(2 * limit, rel=0.02)
    # A qubit that only relaxes: 1 - F of identity for an amplitude damping of probability p is close to p / 3.
    assert drift.relaxation([(1e5, 2e5)], 100.0) == pytest.approx(1e-3 / 3, rel=0.01)


def test_a_defect_takes_most_of_t1() -> None:
    """In a few hundred years of qubits some meet one: then T1 is a third, T2 is less, and the gates suffer too."""
    properties = published()
    found = []
    for n in range(60):
        when = after(days=3 * n + 1)
        calm = _without(drift.DEFECT, properties, f"life {n}", when)
        each = drift.properties_at(properties, f"life {n}", BEGUN, when)
        for qubit, (now, usual) in enumerate(zip(of_qubits(each, "T1"), of_qubits(calm, "T1"), strict=True)):
            if now != usual:
                found.append((now / usual, of_qubits(each, "T2")[qubit] / of_qubits(calm, "T2")[qubit]))
                assert of_gates(each, "sx")[(qubit,)] > of_gates(calm, "sx")[(qubit,)]

    # 27 h of 60 days: 1.9 percent of 300.
    assert 1 <= len(found) <= 15
    assert all(t1 == pytest.approx(drift.DEFECT_LEAVES) and 0.2 < t2 < 1 for t1, t2 in found)


def _without(kind: Any, properties: Document, seed: str, moment: datetime) -> Document:
    """Return properties of a life in which one kind of event does not happen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift, "DEFECT" if kind is drift.DEFECT else "OUTAGE", msgspec.structs.replace(kind, every=1e12))
        return drift.properties_at(properties, seed, BEGUN, moment)


def test_a_gate_that_is_out_is_marked_in_both_directions() -> None:
    """As in the published calibrations; for a day at most, and only gates on two qubits."""
    marks: list[set[tuple[str, tuple[int, ...]]]] = []
    for n in range(400):
        each = drift.properties_at(published(), f"life {n}", BEGUN, after(days=5))
        marks.append({(g["gate"], tuple(g["qubits"])) for g in each["gates"] if _operational(g) == 0})
    seen = [mark for mark in marks if mark]

    # 15 h of 120 days for each of four pairs: 2 percent.
    assert 2 <= len(seen) <= 20
    for mark in seen:
        assert {gate for gate, _ in mark} == {"cx"}
        assert {pair[::-1] for _, pair in mark} == {pair for _, pair in mark}


def _operational(gate: Document) -> float | None:
    return next((record["value"] for record in gate["parameters"] if record["name"] == "operational"), None)


def test_what_the_snapshot_marks_as_faulty_stays_so() -> None:
    """Gates that could not be calibrated are not calibrated later, either; worse ones than the cap get no better."""
    before = published("torino")
    later = drift.properties_at(before, "torino", BEGUN, after(days=3))
    dead = [gate for gate in before["gates"] if device.failed(gate)]

    assert dead
    assert all(gate in later["gates"] for gate in dead)
    marked = [records for records in before["qubits"] if {"operational"} & {record["name"] for record in records}]
    assert all(records in later["qubits"] for records in marked)


def test_frequencies_wander_by_kilohertz() -> None:
    """Each qubit by its own width between 5 and 20 kHz; in the Hamiltonian and in the estimates by the same."""
    snapshot = snapshots.load("manila")
    assert snapshot.properties is not None
    shifts: dict[int, list[float]] = {qubit: [] for qubit in range(5)}
    for day in range(3, 400, 4):
        for qubit, values in shifts.items():
            values.append(drift.offset("manila", qubit, BEGUN, after(days=day)))
    spreads = [pstdev(values) for values in shifts.values()]

    assert all(3.5e3 < spread < 26e3 for spread in spreads)
    assert max(spreads) > 1.2 * min(spreads)
    later = drift.at(snapshot, "manila", BEGUN, after(days=3))
    assert later.properties is not None
    moved = [
        now - then
        for now, then in zip(
            *(of_qubits(each, "frequency") for each in (later.properties, snapshot.properties)), strict=True
        )
    ]
    assert [1e9 * each for each in moved] == pytest.approx([values[0] for values in shifts.values()], abs=1e-3)


def test_one_epoch_says_one_frequency() -> None:
    """Properties, Hamiltonian and defaults to the last digit, where they did so in the snapshot."""
    snapshot = _agreeing(snapshots.load("manila"))
    later = drift.at(snapshot, "manila", BEGUN, after(days=3))
    assert later.properties is not None
    assert later.defaults is not None
    found = of_qubits(later.properties, "frequency")

    assert later.defaults["qubit_freq_est"] == found
    assert [later.configuration["hamiltonian"]["vars"][f"wq{qubit}"] for qubit in range(5)] == [
        2 * math.pi * frequency for frequency in found
    ]
    assert later.life == Life("manila", BEGUN, after(days=3))
    assert later.configuration["hamiltonian"]["vars"]["jq0q1"] == snapshot.configuration["hamiltonian"]["vars"]["jq0q1"]


def _agreeing(document: DeviceDocument) -> DeviceDocument:
    """Return a device with pulse defaults, whose Hamiltonian has the frequencies of its properties."""
    assert document.properties is not None
    found = of_qubits(document.properties, "frequency")
    hamiltonian = document.configuration["hamiltonian"]
    known = {f"wq{qubit}": 2 * math.pi * frequency for qubit, frequency in enumerate(found)}
    changed = {**hamiltonian, "vars": {**hamiltonian["vars"], **known}}
    configuration = {**document.configuration, "hamiltonian": changed}
    defaults = {"qubit_freq_est": found, "cmd_def": []}
    return msgspec.structs.replace(document, configuration=configuration, defaults=defaults)


def test_a_hamiltonian_of_its_own_frequencies_moves_by_as_much() -> None:
    """And a device without one has none later."""
    snapshot = snapshots.load("belem")
    raw = {**snapshot.configuration["hamiltonian"], "vars": {"wq0": 32.0, "wq1": 0}}
    changed = msgspec.structs.replace(snapshot, configuration={**snapshot.configuration, "hamiltonian": raw})
    later = drift.at(changed, "belem", BEGUN, after(days=2)).configuration["hamiltonian"]["vars"]

    assert later["wq0"] - 32.0 == pytest.approx(2e-9 * math.pi * drift.offset("belem", 0, BEGUN, after(days=2)))
    assert later["wq1"] == 0
    vigo = snapshots.load("vigo")
    assert drift.at(vigo, "vigo", BEGUN, after(days=2)).configuration == vigo.configuration


def test_a_frequency_wanders_from_its_calibration_on() -> None:
    """It is right in the moment of the calibration, and wrong by what the next one finds the day after."""
    life = Life("manila", BEGUN, after(days=4))
    next_day = after(days=5)
    found = drift.offset("manila", 2, BEGUN, next_day) - drift.offset("manila", 2, BEGUN, life.taken)

    assert drift.wander(life, 2, life.taken) == 0
    assert abs(drift.wander(life, 2, life.taken + timedelta(seconds=1))) < 10
    assert drift.wander(life, 2, next_day) == pytest.approx(found)
    assert 100 < max(abs(drift.wander(life, qubit, next_day)) for qubit in range(5)) < 80e3


@pytest.mark.parametrize("name", ["armonk", "yorktown", "sherbrooke", "kingston", "cusco"])
def test_devices_of_every_age_drift(name: str) -> None:
    """Whatever their gates and units, all numbers stay what they are: times positive, probabilities below 1."""
    snapshot = snapshots.load(name)
    later = drift.at(snapshot, name, BEGUN, after(days=3.3))
    assert later.properties is not None
    assert snapshot.properties is not None
    errors = [
        record["value"]
        for gate in later.properties["gates"]
        for record in gate["parameters"]
        if record["name"] == "gate_error"
    ]

    assert min(of_qubits(later.properties, "T1") + of_qubits(later.properties, "T2")) > 0
    assert all(0 <= error <= 1 for error in errors + of_qubits(later.properties, "readout_error"))
    assert device.from_json(device.to_json(later)) == later
    assert len(later.properties["gates"]) == len(snapshot.properties["gates"])


def test_a_simulator_has_a_life_without_events() -> None:
    """There is nothing that could drift."""
    made = DeviceDocument({"backend_name": "ideal"})

    assert drift.at(made, "ideal", BEGUN, after(days=1)) == DeviceDocument(
        {"backend_name": "ideal"}, life=Life("ideal", BEGUN, after(days=1))
    )
