# SPDX-License-Identifier: Apache-2.0
"""What a device can do and how well, parsed once from its documents into SI units.

Source: legacy API reference, sections 9 and 10.
"""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from chandelier import errors
from chandelier.formats import device

SECONDS: Final[Mapping[str, float]] = {
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,  # U+00B5, as the devices of 2019 and 2020 write it
    "μs": 1e-6,  # U+03BC
    "ns": 1e-9,
    "ps": 1e-12,
}

#: Time from shot to shot where a device publishes neither a delay nor a time, s; 1000 µs in section 9.5.
DEFAULT_REP_TIME: Final = 1e-3

Site = tuple[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class GateData:
    """What a calibration says of one gate on given qubits.

    Attributes:
        error: 1 − average gate fidelity; None where not published.
        length: Duration, s; 0 where not published.
    """

    error: float | None
    length: float


@dataclasses.dataclass(frozen=True)
class QubitData:
    """What a calibration says of one qubit.

    Attributes:
        t1: Relaxation time, s; infinite where not published.
        t2: Dephasing time, s, at most 2·t1; infinite where not published.
        frequency_ghz: Frequency, GHz; None where not published.
        flip_up: Probability to read 1 after preparing 0.
        flip_down: Probability to read 0 after preparing 1.
        readout_length: Duration of a measurement, s; 0 where not published.
    """

    t1: float
    t2: float
    frequency_ghz: float | None
    flip_up: float
    flip_down: float
    readout_length: float


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """A device at one calibration.

    Two targets are equal only if they are the same object, so that preparations can be cached for each.

    Attributes:
        name: Name of the device.
        version: Its version, `X.Y.Z`.
        simulator: Whether it is an ideal simulator; then there are no `qubits` and no `gates`.
        method: Simulation method of a simulator; `automatic` leaves the choice to us.
        n_qubits: Number of qubits.
        basis: Names of its gates, and of retired ones that it still takes.
        edges: For each gate on several qubits the ordered qubits it exists on; a gate that is missing here
            exists everywhere.
        supported: Other instructions that the device says it has; None if it says nothing.
        max_shots: Most shots of an experiment.
        max_experiments: Most experiments of a program; None for no limit.
        memory: Whether it can list each shot.
        meas_levels: Measurement levels that it gives: 1 points in the plane of the signal, 2 bits.
        conditional: Whether instructions may depend on measured bits.
        midcircuit: Whether a qubit may be used after it was measured.
        pulse: Whether it takes programs of type PULSE.
        dt: Unit of durations in programs, s; None where not published.
        rep_delay: Wait between shots, s; None where shots follow each other at a fixed rate.
        rep_delay_range: Shortest and longest wait a program may ask for, s; None if it may not.
        rep_time: Time from shot to shot where `rep_delay` is None, s.
        qubits: Calibration of each qubit.
        gates: Calibration of each gate.
        faulty_qubits: Qubits marked as not operational.
        faulty_gates: Gates marked as not operational, or with an error of 1 or more.
    """

    name: str
    version: str
    simulator: bool
    method: str
    n_qubits: int
    basis: frozenset[str]
    edges: Mapping[str, frozenset[tuple[int, ...]]]
    supported: frozenset[str] | None
    max_shots: int
    max_experiments: int | None
    memory: bool
    meas_levels: frozenset[int]
    conditional: bool
    midcircuit: bool
    pulse: bool
    dt: float | None
    rep_delay: float | None
    rep_delay_range: tuple[float, float] | None
    rep_time: float
    qubits: tuple[QubitData, ...]
    gates: Mapping[Site, GateData]
    faulty_qubits: frozenset[int]
    faulty_gates: frozenset[Site]

    def length(self, name: str, qubits: tuple[int, ...]) -> float:
        """Duration of an instruction, s; 0 where none is published."""
        if name == "measure":
            return self.qubits[qubits[0]].readout_length if self.qubits else 0.0
        data = self.gates.get((name, qubits))
        return data.length if data else 0.0

    @property
    def resets(self) -> bool:
        """Whether qubits can be reset inside a circuit."""
        return self.simulator or "reset" in self.basis or "reset" in (self.supported or ())

    @property
    def delays(self) -> bool:
        """Whether a circuit may contain delays; without `dt` they would have no length."""
        return self.simulator or (self.dt is not None and (not self.supported or "delay" in self.supported))


@functools.lru_cache(maxsize=16)
def load(path: str) -> Target:
    """Read a device document, which never changes at its path.

    Raises:
        errors.Unavailable: The document is missing or not of the documented form.
    """
    try:
        document = msgspec.json.decode(Path(path).read_bytes(), type=device.DeviceDocument)
        return parse(document)
    except (OSError, msgspec.DecodeError, LookupError, TypeError, ValueError) as error:
        raise errors.Unavailable(f"The device's documents cannot be read: {error!r}.", 1008) from error


def parse(document: device.DeviceDocument) -> Target:
    """Read the documents of a device.

    Raises:
        LookupError, TypeError, ValueError: They are not of the documented form.
    """
    conf = document.configuration
    props = document.properties or {"qubits": [], "gates": []}
    simulator = bool(conf["simulator"])
    supported = conf.get("supported_instructions")
    delay = conf.get("default_rep_delay")
    span = conf.get("rep_delay_range")
    times = conf.get("rep_times") or []
    gates = {_site(record): _gate(record) for record in props["gates"]}
    retired = device.RETIRED_GATES.keys() & set(supported or ()) - set(conf["basis_gates"])
    gates |= {site: data for name in retired for site, data in _retired(name, gates)}
    return Target(
        name=conf["backend_name"],
        version=conf["backend_version"],
        simulator=simulator,
        method=conf.get("simulation_method") or "automatic",
        n_qubits=conf["n_qubits"],
        basis=frozenset(conf["basis_gates"]) | retired,
        edges={} if simulator else _edges(conf, props["gates"]),
        supported=frozenset(supported) if supported else None,
        max_shots=conf["max_shots"],
        max_experiments=conf.get("max_experiments"),
        memory=bool(conf["memory"]),
        meas_levels=frozenset(set() if simulator else conf.get("meas_levels") or ()) & {1} | {2},
        conditional=simulator or bool(conf["conditional"]) or "if_else" in (supported or ()),
        midcircuit=simulator or bool(conf.get("multi_meas_enabled")),
        pulse=bool(conf.get("open_pulse")),
        dt=conf["dt"] * 1e-9 if conf.get("dt") else None,
        rep_delay=None if delay is None else delay * 1e-6,
        rep_delay_range=(span[0] * 1e-6, span[1] * 1e-6) if span and delay is not None else None,
        rep_time=times[0] * 1e-6 if times else DEFAULT_REP_TIME,
        qubits=tuple(_qubit(records) for records in props["qubits"]),
        gates=gates,
        faulty_qubits=frozenset(
            index for index, records in enumerate(props["qubits"]) if _values(records).get("operational") == 0
        ),
        faulty_gates=frozenset(_site(record) for record in props["gates"] if _faulty(record)),
    )


def renewed(target: Target) -> Target:
    """The device with the gates that took the place of its own, if its own are those of before January 2021.

    Each has the error and the duration of the one by which the device makes it.
    """
    made = device.SUCCESSORS
    if target.simulator or not target.basis >= set(made.values()) or target.basis & made.keys():
        return target
    old = {name: new for new, name in made.items()}
    return dataclasses.replace(
        target,
        basis=target.basis | made.keys(),
        edges={**target.edges, **{old[name]: sites for name, sites in target.edges.items() if name in old}},
        gates={**target.gates, **{(old[name], at): data for (name, at), data in target.gates.items() if name in old}},
        faulty_gates=target.faulty_gates | {(old[name], at) for name, at in target.faulty_gates if name in old},
    )


def _edges(conf: dict[str, Any], calibrated: list[dict[str, Any]]) -> dict[str, frozenset[tuple[int, ...]]]:
    """Where each gate of the basis exists: by its own map, or its calibrations, or the map of the device."""
    known = {gate["name"]: gate.get("coupling_map") or [] for gate in conf["gates"]}
    edges = {}
    for name in conf["basis_gates"]:
        sites = {tuple(qubits) for qubits in known.get(name) or []}
        sites |= {tuple(record["qubits"]) for record in calibrated if record["gate"] == name and not sites}
        if not sites and name in {"cx", "cz", "ecr", "rzz"}:
            sites = {tuple(pair) for pair in conf["coupling_map"] or []}
        if sites:
            edges[name] = frozenset(sites)
    return edges


def _site(record: dict[str, Any]) -> Site:
    return record["gate"], tuple(record["qubits"])


def _gate(record: dict[str, Any]) -> GateData:
    values = _values(record["parameters"])
    return GateData(error=values.get("gate_error"), length=values.get("gate_length", 0.0))


def _retired(name: str, gates: Mapping[Site, GateData]) -> Iterator[tuple[Site, GateData]]:
    """Yield a retired gate on each qubit that has an `sx`, as the device makes it: of so many of them.

    The errors compose as those of 2020 were published: for two pulses of error e that is 1 − (1 − e)².
    """
    pulses = device.RETIRED_GATES[name]
    for (kind, qubits), pulse in gates.items():
        if kind == "sx":
            error = None if pulse.error is None else 1 - (1 - pulse.error) ** pulses
            yield (name, qubits), GateData(error=error, length=pulses * pulse.length)


def _faulty(record: dict[str, Any]) -> bool:
    values = _values(record["parameters"])
    return values.get("operational") == 0 or values.get("gate_error", 0.0) >= 1


def _qubit(records: list[dict[str, Any]]) -> QubitData:
    values = _values(records)
    t1 = values.get("T1", float("inf"))
    mean = values.get("readout_error", 0.0)
    published = "prob_meas1_prep0" in values and "prob_meas0_prep1" in values
    return QubitData(
        t1=t1,
        t2=min(values.get("T2", float("inf")), 2 * t1),
        frequency_ghz=values.get("frequency"),
        flip_up=values["prob_meas1_prep0"] if published else mean,
        flip_down=values["prob_meas0_prep1"] if published else mean,
        readout_length=values.get("readout_length", 0.0),
    )


def _values(records: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Values by name; durations in seconds, everything else in the unit as published."""
    return {record["name"]: record["value"] * SECONDS.get(record["unit"], 1.0) for record in records}
