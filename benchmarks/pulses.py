# SPDX-License-Identifier: Apache-2.0
"""How long our engine takes for programs of pulses, beside simulating the same schedules oneself with QuTiP.

    python benchmarks/pulses.py [--rounds 5] [--only NAME] [--write]

Ours: a decoded program goes in, results come out, with all shots drawn and read out; nothing is remembered from one
round to the next. QuTiP: `mesolve`, or `mcsolve` where density matrices are too large, of the same model with the same
three levels, in the frame that turns with the qubits and with the rotating wave approximation, from coefficients that
are ready to the chances of all outcomes; time without drives is one exponential of the Liouvillian. Both compute on
one core, in one process, in turns. How far the chances of each are from those of an integration with tight tolerances
stands beside. Read the ratios before the milliseconds.
"""

import argparse
import cmath
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from chandelier.engines import child  # isort: skip  # noqa: F401  # first: it prepares the environment for the libraries
import msgspec
import numpy as np
import qutip
from numpy.typing import NDArray

import engine
from chandelier.engines import programs
from chandelier.engines import target as targets
from chandelier.engines.pulses import clusters, evolution, model, propagation, reading, relaxation, timeline, work
from chandelier.formats import pulses, snapshots, tasks

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "engines"))
import qutip_model  # noqa: E402  # the model of the tests, which is not ours

Json = dict[str, Any]
Floats = NDArray[np.float64]

RESULTS: Final = HERE / "results" / "pulses.json"
LIMITS: Final = tasks.Limits(memory_bytes=4 << 30, cpu_seconds=3600.0)
#: As accurate as our engine, and no slower for it.
OPTIONS: Final = {"method": "vern7", "atol": 1e-8, "rtol": 1e-6, "nsteps": 10**8, "progress_bar": ""}
MANILA: Final = snapshots.load("manila", "ibmq_manila")
SHOTS: Final = 1024
#: What the engine remembers from one job to the next.
KNOWN: Final = (propagation.kicks, relaxation._modes, relaxation._channel, evolution._half)  # noqa: SLF001


@dataclass(frozen=True)
class Case:
    """What is simulated.

    Attributes:
        schedules: Instructions of each experiment, without the measurement at its end.
        qubits: That are simulated together and measured.
        peers: Experiments that QuTiP is measured with, if not all; its time is scaled.
        trajectories: How many QuTiP is measured with, where it needs them; its time is scaled to all shots.
        aim: What ours should take, s.
    """

    name: str
    schedules: list[list[Json]]
    qubits: list[int]
    peers: int | None = None
    trajectories: int = 0
    aim: float | None = None


@dataclass(frozen=True)
class Row:
    """Medians of one case, ms of processor time; `off` is the largest error of a chance."""

    name: str
    experiments: int
    qubits: int
    samples: int
    shots: int
    ours_ms: float
    predicted_ms: float
    qutip_ms: float
    qutip_scaled: bool
    ratio: float
    ours_off: float | None
    qutip_off: float | None
    aim_ms: float | None


def gate(name: str, *qubits: int, t0: int = 0) -> list[Json]:
    """The pulses of a gate, as the device serves them."""
    assert MANILA.defaults is not None
    entries = [one for one in MANILA.defaults["cmd_def"] if (one["name"], tuple(one["qubits"])) == (name, qubits)]
    return [{**one, "t0": one["t0"] + t0} for one in entries[0]["sequence"]]


def after(schedule: list[Json], name: str, *qubits: int, wait: int = 0) -> list[Json]:
    """A schedule and then a gate."""
    return [*schedule, *gate(name, *qubits, t0=length(schedule) + wait)]


def length(schedule: Sequence[Json]) -> int:
    """When the last pulse ends, dt."""
    return max(int(one["t0"] + one.get("duration", one.get("parameters", {}).get("duration", 0))) for one in schedule)


def chain(*qubits: int) -> list[Json]:
    """A GHZ state along a line."""
    schedule = gate("sx", qubits[0])
    for pair in itertools.pairwise(qubits):
        schedule = after(schedule, "cx", *pair)
    return schedule


def waited(schedule: list[Json], wait: int) -> list[Json]:
    """A schedule and then time."""
    return [*schedule, {"name": "delay", "t0": length(schedule), "ch": "d0", "duration": wait}] if wait else schedule


def rabi(amplitude: float) -> list[Json]:
    """One pulse."""
    parameters = {"amp": [amplitude, 0.0], "duration": 320, "sigma": 80.0}
    shape = {"pulse_shape": "gaussian", "parameters": parameters}
    return [{"name": "parametric_pulse", "t0": 0, "ch": "d0", **shape}]


def cases() -> list[Case]:
    """All of them."""
    decays = np.linspace(0, 4e-4, 25) / (MANILA.configuration["dt"] * 1e-9)
    sx = gate("sx", 0)
    return [
        Case("x", [gate("x", 0)], [0]),
        Case("Rabi, 21 amplitudes", [rabi(amplitude) for amplitude in np.linspace(0, 0.3, 21)], [0], aim=0.2),
        Case("cx", [after(sx, "cx", 0, 1)], [0, 1], aim=0.05),
        Case("T1, 25 waits", [waited(gate("x", 0), int(wait)) for wait in decays], [0]),
        Case("T1 of two qubits, 25 waits", [waited(chain(0, 1), int(wait)) for wait in decays], [0, 1], peers=3),
        Case("Ramsey, 300 waits", [after(sx, "sx", 0, wait=80 * step) for step in range(300)], [0], peers=15),
        Case("GHZ of 3 qubits", [chain(0, 1, 2)], [0, 1, 2]),
        Case("GHZ of 5 qubits", [chain(0, 1, 2, 3, 4)], [0, 1, 2, 3, 4], trajectories=2, aim=10.0),
    ]


class Ours:
    """A program that our engine has decoded."""

    def __init__(self, case: Case, path: str) -> None:
        """Write and decode it."""
        target = targets.parse(MANILA)
        ended = [[*schedule, _acquire(length(schedule), case.qubits)] for schedule in case.schedules]
        body = {
            "qobj_id": case.name,
            "type": "PULSE",
            "schema_version": "1.2.0",
            "header": {},
            "config": {"shots": SHOTS, "meas_level": 2, "memory_slots": len(case.qubits), "seed_simulator": 7},
            "experiments": [{"header": {"name": f"{place}"}, "instructions": each} for place, each in enumerate(ended)],
        }
        program = programs.open_(json.dumps(body).encode())
        self._plan: Callable[[], work.Schedules] = lambda: work.planned(program, target, path, LIMITS)
        self.predicted = sum(way.plan.seconds for way in self._plan().ways)

    def run(self) -> None:
        """Check, plan and run it, as if nothing was known yet."""
        for kept in KNOWN:
            kept.cache_clear()
        outcomes = self._plan().run()
        if not all(outcome.result.success for outcome in outcomes):
            raise RuntimeError("an experiment failed")


def _acquire(time_: int, qubits: Sequence[int]) -> Json:
    return {
        "name": "acquire",
        "t0": time_,
        "duration": 1000,
        "qubits": list(qubits),
        "memory_slot": list(range(len(qubits))),
    }


def ours_chances(case: Case, schedule: list[Json]) -> Floats | None:
    """The chances of all outcomes by our engine, or None if it only draws shots."""
    known = model.parse(MANILA)
    if len(case.qubits) > 2:
        return None
    cluster = clusters.form(known, case.qubits)
    evolver = evolution.Evolver(cluster)
    laid = timeline.lay(reading.read(pulses.sequence(schedule), {}, where="", slots=0), known, known.oscillators)
    heard = [tone for tone in laid.tones if known.channels[tone.channel].qubit in case.qubits]
    return evolver.populations(evolver.moved(evolver.ground(), heard, 0, length(schedule)))


class Theirs:
    """A schedule for QuTiP's solvers: coefficients and operators that are ready."""

    def __init__(self, case: Case, schedule: list[Json]) -> None:
        """Write the amplitudes of each sample down, by qubit and frequency."""
        self._device, self._trajectories = qutip_model.Device(MANILA, case.qubits), case.trajectories
        duration = length(schedule)
        self._dt, self._end = self._device.dt, duration * self._device.dt
        heard: dict[tuple[int, float], NDArray[np.complex128]] = {}
        spans: list[tuple[int, int, bool]] = []
        for first, end, sounding in self._device.segments(schedule, duration):
            spans.append((first, end, any(sounding)))
            for place, tones in enumerate(sounding):
                for tone in tones:
                    samples = heard.setdefault((place, tone.frequency), np.zeros(duration + 1, dtype=np.complex128))
                    samples[first:end] += tone.amplitude * cmath.exp(1j * (tone.frequency * tone.begin - tone.phase))
        self._spans = [
            (own[0][0] * self._dt, own[-1][1] * self._dt, sounds)
            for sounds, own in ((sounds, list(each)) for sounds, each in itertools.groupby(spans, lambda one: one[2]))
        ]
        parts: list[Any] = [self._device.resting]
        times = np.arange(duration + 1) * self._dt
        for (place, frequency), samples in heard.items():
            turning = self._device.reference - frequency
            up = qutip.coefficient(samples, tlist=times, order=0)
            if abs(turning) > 1:
                up *= qutip.coefficient(lambda t, turning: cmath.exp(1j * turning * t), args={"turning": turning})
            lower = self._device.lower[place]
            parts += [[lower.dag(), up], [lower, up.conj()]]
        self._driven = qutip.QobjEvo(parts)

    def run(self) -> Floats | None:
        """The chances of all outcomes; None for trajectories."""
        device, ground, jumps = self._device, self._device.ground(), self._device.jumps()
        options = {**OPTIONS, "max_step": self._dt}
        if self._trajectories:
            qutip.mcsolve(
                self._driven,
                ground,
                [0, self._end],
                jumps,
                ntraj=self._trajectories,
                seeds=7,
                options={**options, "keep_runs_results": False},
            )
            return None
        state = qutip.ket2dm(ground)
        for begin, end, sounds in self._spans:
            if sounds:
                state = qutip.mesolve(self._driven, state, [begin, end], jumps, options=options).final_state
            else:
                state = device.rested(state, end - begin, jumps)
        return _chances(device, state)


def _chances(device: qutip_model.Device, state: Any) -> Floats:
    dressed = device.dressed
    found: Floats = np.einsum("ik,ij,jk->k", dressed.conj(), state.full(), dressed).real
    return found


def measure(case: Case, path: str, rounds: int) -> Row:
    """Measure one case, both in turns."""
    ours = Ours(case, path)
    chosen = (
        case.schedules if case.peers is None else case.schedules[:: len(case.schedules) // case.peers][: case.peers]
    )
    theirs = [Theirs(case, schedule) for schedule in chosen]
    scale = len(case.schedules) / len(chosen) * (SHOTS / case.trajectories if case.trajectories else 1)
    times: tuple[list[float], list[float]] = ([], [])
    last: list[Floats | None] = []
    ours.run()
    for number in range(rounds):
        times[0].append(_clocked(ours.run))
        if number == 0 or times[1][0] < 5:
            begun = time.process_time()
            last = [each.run() for each in theirs]
            times[1].append(time.process_time() - begun)
    mine, his = (statistics.median(each) * 1e3 for each in times)
    shown = max(range(len(chosen)), key=lambda place: (length(chosen[place]), place))
    exact = tight(case, chosen[shown])
    chances = ours_chances(case, chosen[shown])
    return Row(
        name=case.name,
        experiments=len(case.schedules),
        qubits=len(case.qubits),
        samples=max(map(length, case.schedules)),
        shots=SHOTS,
        ours_ms=round(mine, 2),
        predicted_ms=round(ours.predicted * 1e3, 2),
        qutip_ms=round(his * scale, 1),
        qutip_scaled=scale != 1,
        ratio=round(his * scale / mine, 1),
        ours_off=_off(chances, exact),
        qutip_off=_off(last[shown], exact),
        aim_ms=None if case.aim is None else case.aim * 1e3,
    )


def tight(case: Case, schedule: list[Json]) -> Floats | None:
    """The chances by an integration with tight tolerances, where that takes seconds."""
    if len(case.qubits) > 2:
        return None
    device = qutip_model.Device(MANILA, case.qubits)
    state = device.evolution(qutip.ket2dm(device.ground()), schedule, length(schedule), relaxing=True)
    return _chances(device, state)


def _off(found: Floats | None, exact: Floats | None) -> float | None:
    return None if found is None or exact is None else float(f"{np.abs(found - exact).max():.1e}")


def _clocked(job: Callable[[], None]) -> float:
    begun, times = time.process_time(), 0
    while times == 0 or time.process_time() - begun < 0.05:
        job()
        times += 1
    return (time.process_time() - begun) / times


def table(rows: Sequence[Row]) -> str:
    """Return rows as text."""
    lines = [["program", "experiments", "ours", "predicted", "QuTiP", "times ours", "error", "of QuTiP", "aim"]]
    for row in rows:
        scaled = " (scaled)" if row.qutip_scaled else ""
        numbers = [f"{row.ours_ms:.4g}", f"{row.predicted_ms:.4g}", f"{row.qutip_ms:.4g}{scaled}", f"{row.ratio:.3g}"]
        errors = ["" if off is None else f"{off:.0e}" for off in (row.ours_off, row.qutip_off)]
        aim = "" if row.aim_ms is None else f"{row.aim_ms:g}"
        lines.append([row.name, str(row.experiments), *numbers, *errors, aim])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def main() -> None:
    """Measure, print, and keep the figures when asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--only", default="", help="only programs whose name contains this")
    parser.add_argument("--write", action="store_true", help=f"write the figures to {RESULTS}")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "device.json"
        path.write_bytes(msgspec.json.encode(MANILA))
        for case in cases():
            if arguments.only in case.name:
                print(f"{case.name} ...", file=sys.stderr, flush=True)
                rows.append(measure(case, str(path), arguments.rounds))
    figures = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": engine.processor(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
        },
        "versions": {name: version(name) for name in ("chandelier", "qutip", "numpy", "scipy")},
        "options": {name: value for name, value in OPTIONS.items() if name != "progress_bar"},
        "rows": [asdict(row) for row in rows],
    }
    print("Processor time for one program, ms; medians:\n")
    print(table(rows))
    if arguments.write:
        RESULTS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        print(f"\nWritten to {RESULTS}")


if __name__ == "__main__":
    main()
