# SPDX-License-Identifier: Apache-2.0
"""What the tests of the engines share: programs, devices, runs, and the statistics to judge them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from chandelier.engines import child, programs, routes, validation
from chandelier.engines import target as targets
from chandelier.formats import device, qobj, simulators, snapshots, tasks

SAMPLES = Path(__file__).parent.parent / "data" / "qobj"
LIMITS = tasks.Limits(memory_bytes=2 << 30, cpu_seconds=60.0)
#: Chances below this are rounding: what has them never happens.
IMPOSSIBLE = 1e-12

Json = dict[str, Any]


def gate(name: str, qubits: Sequence[int], *params: Any, **more: Any) -> Json:
    """One instruction."""
    return {"name": name, "qubits": list(qubits), **({"params": list(params)} if params else {}), **more}


def measure(*qubits: int) -> Json:
    """A measurement of each qubit into the memory slot of the same number."""
    return gate("measure", qubits, memory=list(qubits))


def program(*experiments: Sequence[Json], **config: Any) -> Json:
    """A program of some experiments, each a list of instructions."""
    return {
        "qobj_id": "a program",
        "type": "QASM",
        "schema_version": "1.3.0",
        "header": {"made": "by a test"},
        "config": {"shots": 1000, "seed_simulator": 7, **config},
        "experiments": [
            {"header": {"name": f"experiment {index}"}, "instructions": list(steps)}
            for index, steps in enumerate(experiments)
        ],
    }


def sample(name: str) -> Json:
    """A program that a real client made."""
    return msgspec.json.decode((SAMPLES / f"{name}.json").read_bytes())  # type: ignore[no-any-return]


def document(name: str) -> device.DeviceDocument:
    """The documents of a device or a simulator."""
    if name in simulators.SIMULATORS:
        return simulators.document(name)
    return snapshots.load(snapshots.DEFAULTS[name], name)


def target(name: str) -> targets.Target:
    """A device or a simulator."""
    return targets.parse(document(name))


def as_played(properties: Json, device: targets.Target) -> Json:
    """Published properties, each gate as long as the device's pulses for it: those may be longer than the machine's."""
    for gate in properties["gates"]:
        data = device.gates.get((gate["gate"], tuple(gate["qubits"])))
        for record in gate["parameters"]:
            if data is not None and record["name"] == "gate_length":
                record["value"] = data.length * 1e9
    return properties


def opened(wanted: Json) -> programs.Program:
    """A program, decoded."""
    return programs.open_(msgspec.json.encode(wanted))


def steps(*instructions: Json) -> list[qobj.Instruction]:
    """Instructions, decoded."""
    return msgspec.convert(list(instructions), list[qobj.Instruction])


def ways(wanted: Json, on: targets.Target, limits: tasks.Limits = LIMITS) -> list[routes.Route]:
    """The routes of a program that was checked."""
    ready = opened(wanted)
    validation.check(ready, on)
    return routes.find(ready, on, limits)


class Bench:
    """A child's tasks, without a process: files in a folder, one answer at a time."""

    def __init__(self, folder: Path) -> None:
        """Use a folder for programs, devices and results."""
        self.folder = folder
        self.kept = child.Kept()
        self.number = 0

    def file(self, name: str) -> str:
        """Write the documents of a device, once."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            path.write_bytes(device.to_json(document(name)))
        return str(path)

    def run(self, wanted: Json, on: str, limits: tasks.Limits = LIMITS) -> Json:
        """Run a program and return its result document, which must exist."""
        reply = self.reply(wanted, on, limits)
        assert isinstance(reply, tasks.Finished), reply
        return self.last()

    def last(self) -> Json:
        """The result document written last."""
        return msgspec.json.decode((self.folder / "result.json").read_bytes())  # type: ignore[no-any-return]

    def reply(self, wanted: Json, on: str, limits: tasks.Limits = LIMITS) -> tasks.Reply:
        """Run a program and return the answer."""
        self.number += 1
        path = self.folder / "program.json"
        path.write_bytes(msgspec.json.encode(wanted))
        result = str(self.folder / "result.json")
        task = tasks.Run(f"job {self.number}", str(path), self.file(on), result, limits)
        return child.answer(tasks.encode(task), self.kept)


def counts(result: Json, index: int = 0) -> dict[int, int]:
    """Counts of an experiment by outcome."""
    return {int(key, 16): number for key, number in result["results"][index]["data"]["counts"].items()}


def p_value(observed: Mapping[int, int], probabilities: NDArray[np.float64]) -> float:
    """Chance of counts at least as unlikely as these, by Pearson's χ² with bins of at least 5 expected.

    It is 0 if what is impossible occurred.

    Args:
        observed: Counts by outcome.
        probabilities: float64, shape (outcomes,).
    """
    occurred = [outcome for outcome, number in observed.items() if number]
    if any(not 0 <= outcome < len(probabilities) or probabilities[outcome] < IMPOSSIBLE for outcome in occurred):
        return 0.0
    shots = sum(observed.values())
    expected = probabilities * shots
    seen = np.array([observed.get(outcome, 0) for outcome in range(len(probabilities))], dtype=float)
    rare = expected < 5
    bins = np.append(expected[~rare], expected[rare].sum())
    found = np.append(seen[~rare], seen[rare].sum())
    if bins[-1] < 5:
        place = int(np.argmin(bins[:-1]))
        bins[place] += bins[-1]
        found[place] += found[-1]
        bins, found = bins[:-1], found[:-1]
    if len(bins) == 1:
        return 1.0
    return float(chi2.sf(((found - bins) ** 2 / bins).sum(), len(bins) - 1))


def distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Total variation distance."""
    return float(np.abs(one - other).sum() / 2)
