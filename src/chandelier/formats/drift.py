# SPDX-License-Identifier: Apache-2.0
"""Drift: what a device's calibration says at any moment of its life, from its snapshot and a seed.

The numbers leave those of the snapshot, of which they are exactly the first, and wander about them as those of real
devices do: T1, T2 and errors by factors, frequencies by kilohertz. What a gate loses because its qubits relax
follows T1 and T2. Rarely a qubit meets a defect that takes most of its T1 for a day, or a gate cannot be calibrated.

Source of widths and times: J. J. Burnett et al., npj Quantum Information 5, 54 (2019) and S. Schlör et al., Phys. Rev.
Lett. 123, 190502 (2019) for T1, T2 and frequencies, which vary by about a fifth and by kilohertz within days;
published calibrations of five-qubit devices for errors.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from chandelier.formats import courses, device
from chandelier.formats.courses import Event
from chandelier.formats.device import DeviceDocument, Document, Life


class Course(msgspec.Struct, frozen=True):
    """How a number wanders.

    Attributes:
        spread: Standard deviation of its logarithm.
        tau: Correlation time, h.
    """

    spread: float
    tau: float


T1: Final = Course(0.22, 18.0)
T2: Final = Course(0.22, 14.0)
READOUT: Final = Course(0.27, 60.0)
#: Of what a gate errs by besides the relaxation of its qubits.
GATE: Final = Course(0.18, 30.0)
#: Correlation time of frequencies, h; each qubit has its own width, between these two, Hz.
FREQUENCY_TAU: Final = 48.0
FREQUENCY_SPREADS: Final = (5e3, 20e3)
#: A defect at the frequency of a qubit takes all but this part of its T1.
DEFECT: Final = Event(window=48.0, every=60 * 24.0, shortest=6.0, longest=48.0)
DEFECT_LEAVES: Final = 0.3
#: A gate on several qubits cannot be calibrated.
OUTAGE: Final = Event(window=48.0, every=120 * 24.0, shortest=6.0, longest=24.0)
#: Errors grow no further, unless the snapshot's are larger.
WORST_READOUT: Final = 0.49
WORST_GATE: Final = 0.5

_NS: Final[Mapping[str, float]] = {"ns": 1.0, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9}
_READOUTS: Final = ("prob_meas0_prep1", "prob_meas1_prep0")


class _Moment(msgspec.Struct, frozen=True):
    """Where in which life, and how the date is written."""

    seed: str
    begun: float
    at: float
    date: str

    def factor(self, name: str, course: Course) -> float:
        return math.exp(course.spread * courses.anchored(f"{self.seed}|{name}", course.tau, self.begun, self.at))

    def happens(self, name: str, kind: Event) -> bool:
        return courses.happens(f"{self.seed}|{name}", kind, self.begun, self.at)


def at(snapshot: DeviceDocument, seed: str, begun: datetime, moment: datetime) -> DeviceDocument:
    """Return all that a calibration at some moment finds, each part in agreement with the others.

    Args:
        snapshot: What was found at `begun`, as published.
        seed: Names the life.
        begun: When the life began.
        moment: Of the calibration; any, before or after.
    """
    begun, moment = (each.replace(microsecond=0) for each in (begun, moment))
    life = Life(seed, begun, moment)
    if snapshot.properties is None:
        return msgspec.structs.replace(snapshot, life=life)
    properties = properties_at(snapshot.properties, seed, begun, moment)
    before, after = frequencies(snapshot.properties), frequencies(properties)
    shifts = {qubit: (before[qubit], after[qubit]) for qubit in after}
    return DeviceDocument(
        _with_hamiltonian(snapshot.configuration, shifts),
        properties,
        None if snapshot.defaults is None else _with_estimates(snapshot.defaults, shifts),
        life,
    )


def properties_at(properties: Document, seed: str, begun: datetime, moment: datetime) -> Document:
    """Return the properties as a calibration at some moment finds them; at `begun` they are as they are.

    What the snapshot marks as not operational, or could not calibrate, stays as it is.

    Args:
        properties: As `formats.device.normalise_properties` makes them.
        seed: Names the life.
    """
    if moment == begun:
        return properties
    when = _Moment(seed, courses.hours(begun), courses.hours(moment), device.utc(moment))
    found = [_qubit(when, index, records) for index, records in enumerate(properties["qubits"])]
    gates = _Gates(when, properties["qubits"], found)
    return {
        **properties,
        "last_update_date": when.date,
        "qubits": found,
        "gates": [gates.at(gate) for gate in properties["gates"]],
        "general": [{**record, "date": when.date} for record in properties["general"]],
    }


def offset(seed: str, qubit: int, begun: datetime, moment: datetime) -> float:
    """Return by how much a qubit's frequency has left that of the snapshot, Hz."""
    return _shift(seed, qubit, courses.hours(begun), courses.hours(moment))


def wander(life: Life, qubit: int, moment: datetime) -> float:
    """Return by how much a qubit's frequency has left the one that its calibration found, Hz; 0 when that was."""
    if moment == life.taken:
        return 0.0
    return offset(life.seed, qubit, life.begun, moment) - offset(life.seed, qubit, life.begun, life.taken)


def frequencies(properties: Document) -> dict[int, float]:
    """Return the published frequency of each qubit that has one, GHz."""
    return {
        index: record["value"]
        for index, records in enumerate(properties["qubits"])
        for record in records
        if record["name"] == "frequency"
    }


def _shift(seed: str, qubit: int, begun: float, at: float) -> float:
    """Return by how much a frequency has moved since `begun`, Hz; both times in h since 1970."""
    name = f"{seed}|frequency {qubit}"
    least, most = FREQUENCY_SPREADS
    spread: float = least * (most / least) ** courses.uniform(f"{name} spread")
    return spread * courses.anchored(name, FREQUENCY_TAU, begun, at)


def _qubit(when: _Moment, index: int, records: Sequence[Document]) -> list[Document]:
    """Return a qubit's records at a moment."""
    known = {record["name"]: record["value"] for record in records}
    if known.get("operational") == 0:
        return list(records)
    new = _times(when, index, records) | _readout(when, index, known)
    if "frequency" in known:
        new["frequency"] = known["frequency"] + 1e-9 * _shift(when.seed, index, when.begun, when.at)
    return [{**record, "value": new.get(record["name"], record["value"]), "date": when.date} for record in records]


def _times(when: _Moment, index: int, records: Sequence[Document]) -> dict[str, float]:
    """Return T1 and T2 in their units: T2 at most 2 T1, or as much more as the snapshot has.

    A defect opens a way to relax: its rate is added to that of T1, and half of it to that of T2.
    """
    before = {record["name"]: (record["value"], _NS.get(record["unit"], 1.0)) for record in records}
    if not {"T1", "T2"} <= before.keys() or min(before[name][0] for name in ("T1", "T2")) <= 0:
        return {}
    (t1_then, t1_unit), (t2_then, t2_unit) = before["T1"], before["T2"]
    bound = max(2.0, t2_then * t2_unit / (t1_then * t1_unit))
    t1 = t1_then * t1_unit * when.factor(f"T1 {index}", T1)
    t2 = t2_then * t2_unit * when.factor(f"T2 {index}", T2)
    if when.happens(f"defect {index}", DEFECT):
        rate = (1 / DEFECT_LEAVES - 1) / t1
        t1, t2 = DEFECT_LEAVES * t1, 1 / (1 / t2 + rate / 2)
    return {"T1": t1 / t1_unit, "T2": min(t2, bound * t1) / t2_unit}


def _readout(when: _Moment, index: int, known: Mapping[str, float]) -> dict[str, float]:
    """Return both assignment errors and their mean."""
    new = {
        name: min(known[name] * when.factor(f"{name} {index}", READOUT), max(WORST_READOUT, known[name]))
        for name in _READOUTS
        if name in known
    }
    if "readout_error" not in known:
        return new
    if len(new) == len(_READOUTS):
        return new | {"readout_error": sum(new.values()) / len(new)}
    error = known["readout_error"]
    grown = error * when.factor(f"readout_error {index}", READOUT)
    return new | {"readout_error": min(grown, max(WORST_READOUT, error))}


class _Gates:
    """The gates of a device at a moment.

    Args:
        before: Records of the qubits in the snapshot.
        after: The same at the moment.
    """

    def __init__(
        self, when: _Moment, before: Sequence[Sequence[Document]], after: Sequence[Sequence[Document]]
    ) -> None:
        self._when = when
        self._before = [_coherence(records) for records in before]
        self._after = [_coherence(records) for records in after]
        self._factors: dict[tuple[int, ...], float] = {}
        self._outages: dict[tuple[int, ...], bool] = {}
        #: Gates on the same qubits that are published with one error keep one.
        self._errors: dict[tuple[tuple[int, ...], float], float] = {}

    def at(self, gate: Document) -> Document:
        """Return a gate's document at the moment."""
        known = {record["name"]: record["value"] for record in gate["parameters"]}
        if known.get("operational") == 0 or device.failed(gate):
            return gate
        date = self._when.date
        records = [{**record, "date": date} for record in gate["parameters"]]
        for record in records:
            if record["name"] == "gate_error":
                length = _length(gate)
                record["value"] = self._error(tuple(gate["qubits"]), record["value"], length)
        if len(gate["qubits"]) > 1 and self._out(tuple(sorted(gate["qubits"]))):
            records.append(device.record("operational", 0, "", date))
        return {**gate, "parameters": records}

    def _error(self, qubits: tuple[int, ...], error: float, length: float) -> float:
        """Return the error now of a gate that had `error`, of which the qubits' relaxation is one part."""
        site = tuple(sorted(qubits))
        if (site, error) not in self._errors:
            then, now = (relaxation([times[qubit] for qubit in site], length) for times in (self._before, self._after))
            part = min(then, error)
            if site not in self._factors:
                self._factors[site] = self._when.factor(f"gate {site}", GATE)
            grown = (part * now / then if then > 0 else 0.0) + (error - part) * self._factors[site]
            self._errors[site, error] = min(grown, max(WORST_GATE, error))
        return self._errors[site, error]

    def _out(self, site: tuple[int, ...]) -> bool:
        if site not in self._outages:
            self._outages[site] = self._when.happens(f"outage {site}", OUTAGE)
        return self._outages[site]


def _coherence(records: Sequence[Document]) -> tuple[float, float]:
    """Return T1 and T2 of a qubit, ns, T2 at most 2 T1; infinite where there is none."""
    times = {record["name"]: record["value"] * _NS.get(record["unit"], 1.0) for record in records}
    t1 = times.get("T1", math.inf)
    return t1, min(times.get("T2", math.inf), 2 * t1)


def _length(gate: Document) -> float:
    """Return how long a gate lasts, ns; 0 where that is not published."""
    lengths = [r["value"] * _NS.get(r["unit"], 1.0) for r in gate["parameters"] if r["name"] == "gate_length"]
    return lengths[0] if lengths else 0.0


def relaxation(times: Sequence[tuple[float, float]], length: float) -> float:
    """Return the average infidelity of doing nothing for `length` ns on qubits with some T1 and T2, ns.

    With a = exp(-t / T1) and b = exp(-t / T2) the process fidelity of a qubit is (1 + a + 2 b) / 4, that of several
    their product F, and the average gate fidelity (d F + 1) / (d + 1).

    Source: M. A. Nielsen, Phys. Lett. A 303, 249 (2002), equation 3.
    """
    fidelity = math.prod((1 + math.exp(-length / t1) + 2 * math.exp(-length / t2)) / 4 for t1, t2 in times)
    dimension = 2 ** len(times)
    return float(dimension * (1 - fidelity) / (dimension + 1))


def _with_hamiltonian(configuration: Document, shifts: Mapping[int, tuple[float, float]]) -> Document:
    """Move the frequencies of a configuration's Hamiltonian with those of the qubits; rad/ns.

    One that is that of the properties stays so to the last digit.
    """
    hamiltonian: Any = configuration.get("hamiltonian")
    if not isinstance(hamiltonian, dict) or not isinstance(hamiltonian.get("vars"), dict):
        return configuration
    moved = dict(hamiltonian["vars"])
    for qubit, (before, after) in shifts.items():
        known = moved.get(f"wq{qubit}")
        if known:
            same = known == 2 * math.pi * before
            moved[f"wq{qubit}"] = 2 * math.pi * after if same else known + 2 * math.pi * (after - before)
    return {**configuration, "hamiltonian": {**hamiltonian, "vars": moved}}


def _with_estimates(defaults: Document, shifts: Mapping[int, tuple[float, float]]) -> Document:
    """Move the frequencies of pulse defaults with those of the qubits, GHz."""
    moved = list(defaults["qubit_freq_est"])
    for qubit, (before, after) in shifts.items():
        if qubit < len(moved):
            moved[qubit] = after if moved[qubit] == before else moved[qubit] + (after - before)
    return {**defaults, "qubit_freq_est": moved}
