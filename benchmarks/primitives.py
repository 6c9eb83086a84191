# SPDX-License-Identifier: Apache-2.0
"""How long a sampler or an estimator takes here, beside the primitives that a user runs over Aer.

    python benchmarks/primitives.py [--rounds 5] [--only NAME] [--write]

Ours: from the document that the Runtime client sends to the one that it gets, as in a worker's child; sending, queue
and storage are left out. The others: `run(pubs).result()` in a process of their own, of circuits that are ready. All
take turns. Noise: of a device with 27 qubits, whose waits the others leave out. Read the ratios of processor time.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from qiskit import transpile
from qiskit.circuit import QuantumCircuit
from qiskit.circuit.library import efficient_su2
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.quantum_info import SparsePauliOp, random_pauli_list
from qiskit_ibm_runtime import RuntimeEncoder
from qiskit_ibm_runtime.fake_provider import FakeHanoiV2

Json = dict[str, Any]

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results" / "primitives.json"
#: No alternative is measured for longer than this, s, once it was measured.
PATIENCE: Final = 10.0
VERSIONS: Final = ("chandelier", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "numpy")
IDEAL, NOISY = "ibmq_qasm_simulator", "ibm_hanoi"
SAMPLERS: Final = ("Runtime client, local", "Aer SamplerV2")
ESTIMATORS: Final = ("Runtime client, local estimator", "Aer EstimatorV2", "BackendEstimatorV2")


@dataclass(frozen=True)
class Case:
    """A job.

    Attributes:
        pub: What is asked for.
        device: Where.
        others: Who else does it.
        options: Of our job; the others have nothing like a resilience level.
    """

    name: str
    program: str
    pub: tuple[Any, ...]
    device: str
    others: tuple[str, ...]
    options: Json


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
        circuits: That ours runs, each with its values.
        opened_ms: Processor time of ours until the job is planned.
        predicted_ms: What was foretold for the rest.
        ratios: For each alternative its processor time by ours.
        ratios_wall: The same by the clock.
    """

    name: str
    device: str
    circuits: int
    opened_ms: float
    predicted_ms: float
    ours: Taken
    others: list[Taken]
    ratios: dict[str, float]
    ratios_wall: dict[str, float]


def bell() -> QuantumCircuit:
    """Two qubits that agree."""
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def cases() -> list[Case]:
    """All of them."""
    fake, source = FakeHanoiV2(), np.random.default_rng(1)
    ansatz = efficient_su2(5, reps=2, entanglement="linear")
    placed = transpile(ansatz, backend=fake, seed_transpiler=1)
    measured = transpile(ansatz.measure_all(inplace=False), backend=fake, seed_transpiler=1)
    values = source.uniform(-np.pi, np.pi, (100, ansatz.num_parameters))
    labels = random_pauli_list(5, 10, seed=3, phase=False)
    observable = SparsePauliOp(labels, source.uniform(-1, 1, 10)).apply_layout(placed.layout)
    estimate = (placed, observable, values[0], 1 / 64)
    entangled = transpile(bell(), backend=fake, seed_transpiler=1)
    return [
        Case("Bell, 4096 shots", "sampler", (bell(), None, 4096), IDEAL, SAMPLERS, {}),
        Case("noisy Bell, 4096 shots", "sampler", (entangled, None, 4096), NOISY, SAMPLERS, {}),
        Case("noisy, 5 qubits, 100 x 1024 shots", "sampler", (measured, values, 1024), NOISY, SAMPLERS, {}),
        Case("10 Paulis, level 0", "estimator", estimate, NOISY, ESTIMATORS, {"resilience_level": 0}),
        Case("10 Paulis, level 1", "estimator", estimate, NOISY, ESTIMATORS, {"resilience_level": 1}),
    ]


def params(case: Case) -> str:
    """The params of a job, as the client encodes them."""
    kind = SamplerPub if case.program == "sampler" else EstimatorPub
    document = {"pubs": [kind.coerce(case.pub)], "options": {}, "version": 2, "support_qiskit": True, **case.options}
    return json.dumps(document, cls=RuntimeEncoder)


class Side:
    """A process that does jobs."""

    def __init__(self, script: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, HERE / script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, request: Json) -> Json:
        """Do one."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer: Json = json.loads(process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def measured(case: Case, body: Path, own: Side, peer: Side, rounds: int) -> Row:
    """Let all sides do a job in turns, after each has done it once."""
    request = {"program": case.program, "body": str(body), "device": case.device, "noisy": case.device == NOISY}
    own.ask(request)
    first = {who: peer.ask({**request, "who": who}) for who in case.others}
    mine: list[Json] = []
    theirs: dict[str, list[Json]] = {who: [] for who in case.others}
    for _ in range(rounds):
        mine.append(own.ask(request))
        for who, found in theirs.items():
            if sum(one["wall"] for one in found) + first[who]["wall"] < PATIENCE or not found:
                found.append(peer.ask({**request, "who": who}))
    ours, others = _median("ours", mine), [_median(who, found) for who, found in theirs.items()]
    return Row(
        name=case.name,
        device=case.device,
        circuits=mine[0]["circuits"],
        opened_ms=_ms(mine, "opened"),
        predicted_ms=_ms(mine, "predicted"),
        ours=ours,
        others=others,
        ratios={one.who: one.cpu_ms / ours.cpu_ms for one in others},
        ratios_wall={one.who: one.wall_ms / ours.wall_ms for one in others},
    )


def _ms(found: Sequence[Json], what: str) -> float:
    return 1e3 * float(statistics.median(one[what] for one in found))


def _median(who: str, found: Sequence[Json]) -> Taken:
    return Taken(who, len(found), _ms(found, "cpu"), _ms(found, "wall"))


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="Primitives, side by side.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="measure cases whose name has this in it")
    parser.add_argument("--write", action="store_true", help="keep the figures in results/")
    wanted = parser.parse_args()
    load = os.getloadavg()[0]
    own, peer = Side("own_primitives.py"), Side("peers/primitives_peer.py")
    rows = []
    print("| | circuits | ours, CPU | others: CPU by ours (by the clock) |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases()):
            if wanted.only and wanted.only not in case.name:
                continue
            body = Path(folder, f"{number}.json")
            body.write_text(params(case))
            row = measured(case, body, own, peer, wanted.rounds)
            rows.append(row)
            told = ", ".join(f"{who} {row.ratios[who]:.2g} ({row.ratios_wall[who]:.2g})" for who in row.ratios)
            print(f"| {row.name} | {row.circuits} | {row.ours.cpu_ms:.3g} ms | {told} |", flush=True)
    own.close()
    peer.close()
    if wanted.write:
        document = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"cores": os.cpu_count(), "load": load, "python": platform.python_version()},
            "versions": {name: version(name) for name in VERSIONS},
            "rows": [asdict(row) for row in rows],
        }
        RESULTS.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
