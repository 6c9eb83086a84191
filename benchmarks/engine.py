# SPDX-License-Identifier: Apache-2.0
"""How long the engine takes for a program, beside running Aer oneself on the same circuit.

    python benchmarks/engine.py [--rounds 7] [--quick] [--only NAME] [--write]

Ours: a decoded program goes in, counts come out; scheduling and planning are included, decoding the Qobj and checking
it stand beside. Aer: `run()` of a circuit that is ready, counts out; for the hundred random circuits building them is
included, as our decoding and checking is. The two live in processes of their own, each with the environment it would
have, and take turns. Read the ratios of processor time: on a machine that others use, they are what repeats.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results" / "engine.json"
#: Each measurement repeats what is quicker than this, s.
SHORTEST: Final = 0.03
#: No alternative is measured for longer than this, s, once it was measured twice.
PATIENCE: Final = 15.0
VERSIONS: Final = ("chandelier", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "numpy", "stim")
IDEAL: Final = "ibmq_qasm_simulator"
WIDTHS: Final = {"ibmq_manila": 5, "ibm_hanoi": 27, "ibm_sherbrooke": 127}
OURS: Final = "engine"


@dataclass(frozen=True)
class Case:
    """What is computed.

    Attributes:
        circuits: Instructions of each, as in a Qobj.
        width: Qubits of each.
        device: Where it runs; on one with noise the circuit is transpiled first.
        others: What it is compared with, the first being what the target is for.
        target: How many times less processor time it is to take than the first.
    """

    name: str
    circuits: list[list[Json]]
    width: int
    device: str
    shots: int
    others: tuple[str, ...] = ("Aer", "Aer, 1 thread")
    target: float | None = None

    @property
    def slow(self) -> bool:
        """Whether the alternative takes seconds."""
        return self.device == "ibm_sherbrooke" or self.name in {"noisy GHZ-12", "noisy GHZ-14"}


@dataclass(frozen=True)
class Taken:
    """Medians for one job, ms."""

    who: str
    rounds: int
    cpu_ms: float
    wall_ms: float


@dataclass(frozen=True)
class Row:
    """What came out of one case.

    Attributes:
        path: Who computes it, and by which method.
        predicted_ms: What was foretold.
        first_ms: Processor time of the first job after a calibration, ms.
        ratios: For each alternative its processor time by ours.
        ratios_wall: The same by the clock.
    """

    name: str
    device: str
    shots: int
    path: str
    predicted_ms: float
    first_ms: float
    ours: Taken
    decoding: Taken
    checking: Taken
    others: list[Taken]
    target: float | None
    ratios: dict[str, float]
    ratios_wall: dict[str, float]


def ghz(width: int) -> list[Json]:
    """All qubits 0 or all 1."""
    steps = [_gate("h", 0), *(_gate("cx", index, index + 1) for index in range(width - 1))]
    return [*steps, *measured(width)]


def qft(width: int) -> list[Json]:
    """The Fourier transform of a number."""
    steps = [_gate("x", index) for index in range(0, width, 2)]
    for top in reversed(range(width)):
        steps.append(_gate("h", top))
        steps += [_gate("cp", low, top, params=[3.141592653589793 / 2 ** (top - low)]) for low in range(top)]
    return [*steps, *measured(width)]


def layered(width: int, depth: int, seed: int) -> list[Json]:
    """Layers of random rotations of all qubits, and of CNOT gates between random pairs."""
    rng = random.Random(seed)
    steps: list[Json] = []
    for _ in range(depth):
        steps += [_gate("u", index, params=[rng.uniform(0, 6.28) for _ in range(3)]) for index in range(width)]
        order = rng.sample(range(width), width)
        steps += [_gate("cx", *pair) for pair in zip(order[::2], order[1::2], strict=False)]
    return [*steps, *measured(width)]


def measured(width: int) -> list[Json]:
    """A measurement of each qubit."""
    return [{"name": "measure", "qubits": [index], "memory": [index]} for index in range(width)]


def _gate(name: str, *qubits: int, params: Sequence[float] = ()) -> Json:
    return {"name": name, "qubits": list(qubits), "params": list(params)}


def cases() -> list[Case]:
    """All of them; devices have 5, 27 and 127 qubits."""
    noisy = ("Aer", "Aer, 1 thread", "Aer, unscheduled")
    anew = (*noisy, "Aer, made anew for each job", "SamplerV2 of Aer", "a process for each job")
    found = [
        Case("noisy GHZ-5", [ghz(5)], 5, device, shots, anew if device == "ibm_hanoi" else noisy, target)
        for device, target in [("ibmq_manila", 50), ("ibm_hanoi", 300), ("ibm_sherbrooke", 500)]
        for shots in (1024, 8192)
    ]
    found += [
        Case(f"noisy GHZ-{width}", [ghz(width)], width, "ibm_hanoi", 1024, noisy, target)
        for width, target in [(8, 10), (12, 5), (14, 10)]
    ]
    several = [layered(5, 20, seed) for seed in range(100)]
    return [
        *found,
        Case("GHZ-100", [ghz(100)], 100, "simulator_stabilizer", 8192, target=100),
        Case("100 random, 5 qubits, depth 20", several, 5, IDEAL, 1024, target=2),
        Case("100 random, 5 qubits, depth 20", several, 5, IDEAL, 8192, target=6),
        Case("random, 20 qubits, depth 20", [layered(20, 20, 1)], 20, IDEAL, 1024, target=1),
        Case("Bell", [ghz(2)], 2, IDEAL, 1024, ("Aer", "Aer, 1 thread", "a process for each job")),
        Case("Bell", [ghz(2)], 2, IDEAL, 8192),
        Case("QFT-15", [qft(15)], 15, IDEAL, 1024),
    ]


class Side:
    """A process that computes what it is told."""

    def __init__(self, script: Path) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, *request: object) -> Any:
        """Have something done; whatever fails there ends this run."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{request[0]} failed; what it printed says why")
        return json.loads(answer)


def program(case: Case, circuits: Sequence[Sequence[Json]]) -> Json:
    """The Qobj of a case."""
    slots = case.width
    return {
        "qobj_id": case.name,
        "type": "QASM",
        "schema_version": "1.3.0",
        "header": {},
        "config": {"shots": case.shots, "memory_slots": slots},
        "experiments": [
            {"header": {"name": f"{index}", "memory_slots": slots}, "instructions": steps}
            for index, steps in enumerate(circuits)
        ],
    }


def measure(case: Case, own: Side, aer: Side, rounds: int) -> Row:
    """Measure one case, all ways in turns."""
    noisy = case.device in WIDTHS
    plain = [aer.ask("transpiled", case.device, steps, case.width) if noisy else steps for steps in case.circuits]
    taken = own.ask("take", case.device, program(case, plain))
    job = {"device": case.device, "width": WIDTHS.get(case.device, case.width), "shots": case.shots}
    aer.ask("take", {**job, "circuits": taken["circuits"] if noisy else plain, "plain": plain})
    compare(case, own.ask("counts"), aer.ask("counts", "Aer"))
    sides = {OURS: own, "decoding": own, "checking": own, **dict.fromkeys(case.others, aer)}
    times = {who: _repeats(side.ask("clocked", who, 1)[1]) for who, side in sides.items()}
    found: dict[str, list[tuple[float, float]]] = {who: [] for who in sides}
    for number in range(rounds):
        for who, side in sides.items():
            if number < 2 or sum(wall for _, wall in found[who]) < PATIENCE:
                found[who].append(tuple(side.ask("clocked", who, times[who])))
    return _row(case, taken, [_median(who, each) for who, each in found.items()])


def compare(case: Case, ours: list[dict[str, int]], theirs: list[dict[str, int]]) -> None:
    """Make sure that both compute the same: what is most frequent there is as frequent here, within six sigma."""
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        for key in sorted(other, key=lambda each: -other[each])[:2]:
            seen, expected = one.get(hex(int(key, 2)), 0), other[key]
            if abs(seen - expected) > 6 * (seen + expected) ** 0.5:
                raise RuntimeError(f"{case.name}, circuit {index}: {key} occurs {seen} times here, {expected} in Aer")


def _repeats(wall: float) -> int:
    return max(1, min(1000, round(SHORTEST / max(wall, 1e-6))))


def _median(who: str, found: Sequence[tuple[float, float]]) -> Taken:
    cpu, wall = (statistics.median(each) * 1e3 for each in zip(*found, strict=True))
    return Taken(who, len(found), round(cpu, 4), round(wall, 4))


def _row(case: Case, taken: Json, found: list[Taken]) -> Row:
    ours, decoding, checking, *others = found
    return Row(
        name=case.name,
        device=case.device,
        shots=case.shots,
        path=taken["path"],
        predicted_ms=round(taken["predicted"] * 1e3, 3),
        first_ms=round(taken["first"] * 1e3, 3),
        ours=ours,
        decoding=decoding,
        checking=checking,
        others=others,
        target=case.target,
        ratios={other.who: round(other.cpu_ms / ours.cpu_ms, 2) for other in others},
        ratios_wall={other.who: round(other.wall_ms / ours.wall_ms, 2) for other in others},
    )


def table(rows: Sequence[Row]) -> str:
    """Return rows as text."""
    lines = [["circuit", "device", "shots", "ours", "beside", "it takes", "times ours", "by the clock", "target"]]
    for row in rows:
        for place, other in enumerate(row.others):
            first = place == 0
            start = [row.name, row.device, str(row.shots), f"{row.ours.cpu_ms:.3g}"] if first else [""] * 4
            ratio, clock = row.ratios[other.who], row.ratios_wall[other.who]
            target = f"{row.target:g}" if first and row.target else ""
            lines.append([*start, other.who, f"{other.cpu_ms:.4g}", f"{ratio:.3g}", f"{clock:.3g}", target])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def processor() -> str:
    """Name of the processor, where the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), "")


def main() -> None:
    """Measure, print, and keep the figures when asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side")
    parser.add_argument("--quick", action="store_true", help="only what takes less than some seconds, three turns")
    parser.add_argument("--only", default="", help="only circuits whose name contains this")
    parser.add_argument("--write", action="store_true", help=f"write the figures to {RESULTS}")
    arguments = parser.parse_args()
    own, aer = Side(HERE / "own_engine.py"), Side(HERE / "peers" / "aer_jobs.py")
    rows = []
    for case in cases():
        if arguments.only in case.name and not (arguments.quick and case.slow):
            print(f"{case.name}, {case.device}, {case.shots} shots ...", file=sys.stderr)
            rows.append(measure(case, own, aer, 3 if arguments.quick else arguments.rounds))
    figures = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.platform(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load": round(os.getloadavg()[0], 1),
        },
        "versions": {name: version(name) for name in VERSIONS},
        "rows": [asdict(row) for row in rows],
    }
    print("Processor time for one job, ms; medians:\n")
    print(table(rows))
    if arguments.write:
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        print(f"\nWritten to {RESULTS}")


if __name__ == "__main__":
    main()
