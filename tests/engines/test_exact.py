# SPDX-License-Identifier: Apache-2.0
"""Noisy experiments are computed exactly: as Aer's density matrix, whatever the order of the blocks."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from noisy import PATHS, by_aer, computed, random_steps
from physics import LIMITS, Bench, Json, counts, distance, gate, measure, p_value, program, target, ways
from qiskit.quantum_info import SuperOp

from chandelier.engines import cost, exact, noise, running, superops
from chandelier.engines import target as targets
from chandelier.formats import snapshots, tasks


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_probabilities_as_aer(name: str, seed: int) -> None:
    """Random circuits over all gates of a device, with waits, have the probabilities of Aer's density matrix."""
    device, path = target(name), PATHS[name]
    rng = np.random.default_rng([seed, len(name)])
    steps = random_steps(device, path, rng, 40)
    if device.delays:
        steps[20:20] = [gate("delay", [path[0]], 9000), {"name": "barrier"}]
    measured = [int(index) for index in rng.permutation(path)]
    (way,) = ways(program([*steps, gate("measure", measured, memory=list(range(len(path))))]), device)

    assert any(step.name == "delay" for step in way.steps) or len(path) == 1
    assert distance(computed(way, device), by_aer(way, device, measured)) < 1e-9


def test_some_qubits_in_any_slots() -> None:
    """Qubits that are not measured are traced out, and what is measured shows in the slots that were named."""
    device = target("ibm_lagos")
    steps = random_steps(device, PATHS["ibm_lagos"], np.random.default_rng(5), 40)
    (way,) = ways(program([*steps, gate("measure", [5, 0, 3], memory=[6, 1, 3])], memory_slots=8), device)
    expected = np.zeros(256)
    for index, probability in enumerate(by_aer(way, device, [5, 0, 3])):
        expected[(index & 1) << 6 | (index >> 1 & 1) << 1 | (index >> 2) << 3] = probability

    assert distance(computed(way, device), expected) < 1e-9


def test_what_was_computed_is_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes first; what is kept is right, and of the circuit that is asked for."""
    monkeypatch.setattr(exact, "_MOST", 8)
    device = target("ibmq_manila")
    circuits = [[*[gate("x", [index])] * index, gate("sx", [0]), measure(0, 1)] for index in range(4)]
    known = exact.Known(superops.of_device(device))
    for way in [way for way in ways(program(*circuits), device) for _ in range(2)] * 2:
        assert way.order is not None
        expected = exact.probabilities(way.order, known.kept)
        assert np.array_equal(known.probabilities(way, way.order), expected)
        assert len(known.found) <= 2
        assert known.size == sum(map(len, known.found.values())) <= 8


def test_nothing_is_measured(bench: Bench) -> None:
    """Without a measurement the memory reads 0."""
    result = bench.run(program([gate("x", [0]), gate("cx", [0, 1])], memory=True, shots=3), "ibmq_manila")

    assert result["results"][0]["data"] == {"counts": {"0x0": 3}, "memory": ["0x0"] * 3}


def same_errors(device: targets.Target, sites: Sequence[targets.Site]) -> None:
    """The errors of gates, and where there are none, are those that Aer derives."""
    kept = superops.of_device(device)
    for (name, qubits), error in noise.errors_of(device, sites).items():
        found = kept.error(name, qubits)
        assert (found is None) == (error is None), (name, qubits)
        if found is not None:
            assert np.abs(superops.transfer(SuperOp(error).data) - found).max() < 1e-12, (name, qubits)


@pytest.mark.parametrize("name", snapshots.DEFAULTS)
def test_errors_of_gates_are_aers(name: str) -> None:
    """What two numbers say of a gate's error is what Aer derives at length, for the gates of every device.

    Of the large devices every tenth: Aer takes seconds for all.
    """
    device = target(name)
    sites = sorted(device.gates)
    same_errors(device, sites if len(sites) < 100 else sites[::10])


def test_errors_at_the_bounds() -> None:
    """Errors that are not published, not physical, or less than relaxation alone are what Aer makes of them."""
    qubit = targets.QubitData(50e-6, 70e-6, None, 0.0, 0.0, 0.0)
    still = targets.QubitData(math.inf, math.inf, None, 0.0, 0.0, 0.0)
    gates = {
        (f"{name}{length}", qubits): targets.GateData(error, length)
        for name, error in [("none", None), ("zero", 0.0), ("small", 1e-9), ("half", 0.5), ("most", 0.99)]
        for length in (0.0, 1e-7, 1e-5, 1e-4)
        for qubits in [(0,), (1,), (0, 1)]
    }
    device = dataclasses.replace(target("ibmq_manila"), qubits=(qubit, still), gates=gates)

    same_errors(device, [*gates, ("unknown", (0,))])


@pytest.mark.parametrize("name", ["ibmq_manila", "ibm_sherbrooke", "ibm_kingston"])
def test_counts_follow_the_probabilities(bench: Bench, name: str) -> None:
    """What is drawn has the exact probabilities, and every shot of the memory is counted."""
    device, path = target(name), PATHS[name]
    steps = random_steps(device, path, np.random.default_rng(8), 40)
    wanted = program([*steps, gate("measure", path, memory=list(range(5)))], shots=20_000, memory=True)
    (way,) = ways(wanted, device)
    result = bench.run(wanted, name)
    data = result["results"][0]["data"]

    assert p_value(counts(result), computed(way, device)) > 1e-6
    assert {key: data["memory"].count(key) for key in data["counts"]} == data["counts"]


def chain(path: Sequence[int], **config: Any) -> Json:
    """A long chain on a device with `cx`."""
    pairs = itertools.pairwise(path)
    return program([gate("sx", [path[0]]), *(gate("cx", pair) for pair in pairs), measure(*path)], **config)


LONG = (0, 1, 4, 7, 10, 12, 15, 18, 21, 23, 24, 25, 22, 19, 16, 14, 11, 8, 9)


def test_a_long_chain_is_cheap() -> None:
    """The state of a chain is that of two qubits, so nineteen of them with noise take milliseconds."""
    (way,) = ways(chain(LONG, shots=4000), target("ibm_hanoi"), tasks.Limits(256 << 20, 0.1))

    assert way.plan.path == cost.EXACT
    assert way.order is not None
    assert way.order.branching is not None


def test_a_long_chain_is_right() -> None:
    """Drawn on the way, the outcomes of neighbours in a long chain follow the exact probabilities of them alone."""
    device = target("ibm_hanoi")
    (way,) = ways(chain(LONG, shots=20_000), device)
    (found,) = running.run([way], device, LIMITS)
    for first in (0, 8, 16):
        few = LONG[first : first + 3]
        steps = [*chain(LONG)["experiments"][0]["instructions"][:-1], {"name": "barrier"}]
        (short,) = ways(program([*steps, gate("measure", few, memory=[0, 1, 2])]), device)
        seen: dict[int, int] = {}
        for key, number in found.result.data["counts"].items():
            word = sum((int(key, 16) >> index & 1) << place for place, index in enumerate(few))
            seen[word] = seen.get(word, 0) + number

        assert p_value(seen, computed(short, device)) > 1e-6


def test_a_wide_device_at_once(bench: Bench) -> None:
    """All qubits of a big device, each with its own noise, have more outcomes than anything could hold."""
    device = target("ibm_sherbrooke")
    good = [index for index in range(127) if index not in device.faulty_qubits and ("x", (index,)) in device.gates]
    steps = [gate("x", [index]) for index in good]
    result = bench.run(program([*steps, measure(*good)], shots=500), "ibm_sherbrooke")
    found = counts(result)
    index = good[-1]
    ones = sum(number for word, number in found.items() if word >> index & 1)
    up = 1 - (device.gates["x", (index,)].error or 0)
    up = up * (1 - device.qubits[index].flip_down) + (1 - up) * device.qubits[index].flip_up

    assert sum(found.values()) == 500
    assert p_value({0: 500 - ones, 1: ones}, np.array([1 - up, up])) > 1e-6


def test_what_no_outcome_depends_on_is_left_out() -> None:
    """Gates after the last that matters to any measured qubit are not computed."""
    steps = [gate("sx", [0]), gate("cx", [0, 1]), gate("cx", [2, 3]), gate("cx", [1, 2]), measure(0)]
    (way,) = ways(program(steps), target("ibmq_manila"))
    assert way.order is not None

    assert len(way.order.woven.blocks) == 3
    assert [move.block for move in way.order.moves] == [0]


def test_the_same_seed_gives_the_same_shots(bench: Bench) -> None:
    """A seed repeats the shots of an experiment, whatever else is in the program; another seed gives others."""
    one = [gate("sx", [0]), gate("cx", [0, 1]), measure(0, 1)]
    other = [gate("x", [2]), measure(2)]
    config = {"shots": 100, "memory": True}
    alone = bench.run(program(one, **config, seed_simulator=3), "ibmq_manila")["results"][0]
    among = bench.run(program(one, other, **config, seed_simulator=3), "ibmq_manila")["results"][0]
    twice = bench.run(program(one, one, **config, seed_simulator=3), "ibmq_manila")["results"]
    changed = bench.run(program(one, **config, seed_simulator=4), "ibmq_manila")["results"][0]

    assert alone["data"] == among["data"] == twice[0]["data"]
    assert twice[0]["data"] != twice[1]["data"]
    assert changed["data"] != alone["data"]
    assert alone["metadata"]["method"] == "density_matrix"


def test_a_seed_is_recorded(bench: Bench) -> None:
    """Without a seed one is drawn, and recorded so that the outcome can be repeated."""
    steps = [gate("sx", [0]), measure(0)]
    config = {"shots": 60, "memory": True}
    drawn = bench.run(program(steps, **config, seed_simulator=None), "ibmq_manila")["results"][0]
    again = bench.run(program(steps, **config, seed_simulator=drawn["seed_simulator"]), "ibmq_manila")["results"][0]

    assert again["data"] == drawn["data"]


def test_a_tangle_goes_to_aer() -> None:
    """Where all qubits are in the state at once, following single shots is faster."""
    device = target("ibm_hanoi")
    pairs = [pair for pair in sorted(device.edges["cx"]) if max(pair) < 19 and ("cx", pair) not in device.faulty_gates]
    tangle = [gate("cx", pair) for pair in pairs] * 4
    (way,) = ways(program([*tangle, measure(*range(19))], shots=1), device, tasks.Limits(8 << 30, 600.0))

    assert way.plan.path == cost.AER


def test_channels_on_a_simulator() -> None:
    """A circuit with channels on a simulator is computed by blocks too."""
    half = math.sqrt(0.5)
    flip = [[[half, 0], [0, half]], [[0, half], [half, 0]]]
    steps = [gate("h", [0]), gate("cx", [0, 1]), {"name": "kraus", "qubits": [1], "params": flip}, measure(0, 1)]
    simulator = target("ibmq_qasm_simulator")
    (way,) = ways(program(steps), simulator)

    assert computed(way, simulator) == pytest.approx([0.25] * 4)


def test_a_simulator_has_no_noise_in_its_metadata(bench: Bench) -> None:
    """What has channels and no noise of a device says so."""
    identity = [[[1, 0], [0, 0]], [[0, 0], [1, 0]]]
    result = bench.run(program([gate("kraus", [0], identity), measure(0)]), "ibmq_qasm_simulator")

    assert result["results"][0]["metadata"]["noise"] == "ideal"
