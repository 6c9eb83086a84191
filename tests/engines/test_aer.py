# SPDX-License-Identifier: Apache-2.0
"""Outcomes have the right statistics, repeat with their seed, and fail one by one."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from physics import Bench, Json, counts, gate, measure, p_value, program, target, ways
from qulacs import QuantumCircuit, QuantumState
from qulacs.gate import CNOT, U3

from chandelier.engines import aer, saved
from chandelier.formats import tasks

SIMULATOR = "ibmq_qasm_simulator"


@pytest.mark.parametrize("on", ["ibmq_qasm_simulator", "simulator_statevector", "simulator_mps"])
def test_ideal_counts(bench: Bench, on: str) -> None:
    """Counts of random circuits follow the exact probabilities of an independent simulator."""
    rng = np.random.default_rng(11)
    width = 4
    steps: list[Json] = []
    reference = QuantumCircuit(width)
    for _ in range(6):
        for qubit in range(width):
            angles = [float(angle) for angle in rng.uniform(-np.pi, np.pi, 3)]
            steps.append(gate("u3", [qubit], *angles))
            reference.add_gate(U3(qubit, *angles))
        control, flipped = (int(index) for index in rng.permutation(width)[:2])
        steps.append(gate("cx", [control, flipped]))
        reference.add_gate(CNOT(control, flipped))
    state = QuantumState(width)
    reference.update_quantum_state(state)
    expected = np.abs(state.get_vector()) ** 2
    result = bench.run(program([*steps, measure(*range(width))], shots=20_000), on)

    assert p_value(counts(result), expected) > 1e-6


def coins(count: int, **config: Any) -> Json:
    """Some experiments of three coins each."""
    return program(*[[gate("h", [0]), gate("h", [1]), gate("h", [2]), measure(0, 1, 2)]] * count, **config)


@pytest.mark.parametrize("name", ["seed_simulator", "seed"])
def test_a_seed_repeats_the_outcome(bench: Bench, name: str) -> None:
    """The same seed gives the same shots, another seed others, under both names that clients use."""
    config = {"shots": 50, "memory": True, "seed_simulator": None}
    one, again, other = (bench.run(coins(2, **(config | {name: seed})), SIMULATOR)["results"] for seed in (42, 42, 43))

    assert [entry["data"] for entry in one] == [entry["data"] for entry in again]
    assert one[0]["data"] != other[0]["data"]
    assert one[0]["data"] != one[1]["data"]
    assert one[0]["seed_simulator"] == 42


def test_a_recorded_seed_repeats_the_outcome(bench: Bench) -> None:
    """Without a seed one is drawn, and recorded so that the outcome can be repeated."""
    config = {"shots": 50, "memory": True}
    drawn = bench.run(coins(1, **config, seed_simulator=None), SIMULATOR)["results"][0]
    other = bench.run(coins(1, **config, seed_simulator=None), SIMULATOR)["results"][0]
    again = bench.run(coins(1, **config, seed_simulator=drawn["seed_simulator"]), SIMULATOR)["results"][0]

    assert again["data"] == drawn["data"]
    assert other["data"] != drawn["data"]


#: A circuit of which Aer follows single shots; that two of them agree by chance is out of the question.
FOLLOWED = [*(gate("x", [index]) for index in range(32)), measure(*range(32))]
EVEN = {
    "type": "qerror",
    "operations": ["x"],
    "instructions": [[gate("x", [0])], [gate("id", [0])]],
    "probabilities": [0.5, 0.5],
}


def followed(experiments: int, **config: Any) -> Json:
    """Some equal experiments of which Aer follows single shots."""
    return program(
        *[FOLLOWED] * experiments, noise_model={"errors": [EVEN]}, memory=True, method="stabilizer", **config
    )


def test_seeds_side_by_side_have_no_shots_in_common(bench: Bench) -> None:
    """The shots of a seed are not those of the next seed, one later."""
    one, other = (bench.run(followed(1, shots=100, seed_simulator=seed), SIMULATOR)["results"][0] for seed in (7, 8))

    assert not set(one["data"]["memory"]) & set(other["data"]["memory"])


def test_equal_experiments_have_no_shots_in_common(bench: Bench) -> None:
    """However many shots an experiment has, those of the next are others."""
    one, other = bench.run(followed(2, shots=2300), SIMULATOR)["results"]

    assert not set(one["data"]["memory"]) & set(other["data"]["memory"])


@pytest.mark.parametrize("followed_singly", [False, True])
def test_outcomes_do_not_depend_on_the_other_experiments(bench: Bench, followed_singly: bool) -> None:
    """An experiment has the outcomes of its seed and place, whatever else is in the program."""
    wanted = (
        followed(2, shots=20) if followed_singly else coins(2, shots=20, memory=True, method="matrix_product_state")
    )
    both = bench.run(wanted, SIMULATOR)["results"]
    wanted["experiments"][0]["config"] = {"shots": 30}
    changed = bench.run(wanted, SIMULATOR)["results"]

    assert changed[1]["data"] == both[1]["data"]
    assert changed[1]["seed_simulator"] == both[1]["seed_simulator"] == 7


@pytest.mark.parametrize("seed", [-1, 2**70])
def test_an_odd_seed(bench: Bench, seed: int) -> None:
    """Any integer is a seed."""
    assert bench.run(coins(1, seed_simulator=seed), SIMULATOR)["success"]


def test_experiments_with_settings_of_their_own(bench: Bench) -> None:
    """Shots, memory and seeds of an experiment go before those of the program, in the order of the program."""
    wanted = coins(3, shots=10)
    wanted["experiments"][1]["config"] = {"shots": 20, "memory": True, "seed_simulator": 99}
    wanted["experiments"][2]["config"] = {"memory_slots": 5}
    results = bench.run(wanted, SIMULATOR)["results"]

    assert [entry["shots"] for entry in results] == [10, 20, 10]
    assert [entry["circ_id"] for entry in results] == [0, 1, 2]
    assert [len(entry["data"].get("memory", [])) for entry in results] == [0, 20, 0]
    assert results[1]["seed_simulator"] == 99
    assert [entry["header"]["name"] for entry in results] == [f"experiment {index}" for index in range(3)]


def test_memory_agrees_with_counts(bench: Bench) -> None:
    """The list of shots has one outcome for each, and tallies to the counts."""
    data = bench.run(coins(1, memory=True, shots=200), SIMULATOR)["results"][0]["data"]

    assert len(data["memory"]) == 200
    assert {key: data["memory"].count(key) for key in data["counts"]} == data["counts"]


@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        ([gate("h", [0]), gate("save_statevector", [0]), measure(0, 1)], "not applied to all qubits"),
    ],
)
def test_one_failure_leaves_the_others_alone(bench: Bench, failing: list[Json], reason: str) -> None:
    """An experiment that fails while it runs is reported; the others have their outcomes."""
    wanted = program([gate("x", [0]), measure(0)], failing, [gate("x", [0]), measure(0)])
    reply = bench.reply(wanted, SIMULATOR)

    assert isinstance(reply, tasks.Finished)
    assert not reply.success
    assert reply.code == 8020
    assert reply.message.startswith("Experiment 1: ")
    result = bench.last()
    assert not result["success"]
    assert [entry["success"] for entry in result["results"]] == [True, False, True]
    assert reason in reply.message
    assert result["results"][1]["status"].startswith("ERROR: ")
    assert result["results"][1]["data"] == {}
    assert counts(result, 0) == counts(result, 2) == {1: 1000}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("ERROR: std::bad_alloc", 8022),
        ("ERROR: Insufficient memory to run circuit", 8022),
        ("ERROR: Insufficient memory to run circuit 7. Required memory: 512M, max memory: 9M", 8008),
        ("ERROR: odd", 8020),
    ],
)
def test_what_aer_says_of_memory(bench: Bench, monkeypatch: pytest.MonkeyPatch, status: str, code: int) -> None:
    """Where Aer ran out of memory, the code says so."""
    report = SimpleNamespace(success=False, status=status)
    monkeypatch.setattr(aer, "_call", lambda *_: report)
    reply = bench.reply(program([gate("save_state", [0])]), SIMULATOR)

    assert isinstance(reply, tasks.Refused | tasks.Finished)
    assert reply.code == code


def test_more_memory_than_aer_may_use() -> None:
    """An experiment that Aer finds too large is told in our words, with what it takes and what a job may use."""
    device = target("simulator_statevector")
    found = ways(program([*(gate("h", [index]) for index in range(21)), gate("save_state", range(21))]), device)
    (refused,) = aer.run(found, device, tasks.Limits(8 << 20, 60.0))

    assert refused.code == 8008
    assert refused.message == (
        "Simulating its 21 active qubits (statevector) takes 32 MiB of memory; a job may use 8 MiB. Use fewer qubits."
    )


def test_plain_values() -> None:
    """Whatever Aer saves becomes JSON."""
    assert saved.plain({3: np.complex128(1 + 2j), "x": (np.float64(0.5), [1j], None)}) == {
        "0x3": [1.0, 2.0],
        "x": [0.5, [[0.0, 1.0]], None],
    }


def test_a_hundred_experiments(bench: Bench) -> None:
    """A batch of circuits on a device gives each its own outcomes."""
    experiments = [[gate("x", [index % 5]), measure(*range(5))] for index in range(100)]
    result = bench.run(program(*experiments, shots=100), "ibmq_manila")

    for index in range(100):
        tally = counts(result, index)
        assert max(tally, key=lambda outcome: tally[outcome]) == 1 << index % 5


@pytest.mark.parametrize(
    ("on", "qubits", "wide"),
    [
        ("simulator_statevector", 15, False),
        ("simulator_statevector", 16, True),
        ("simulator_mps", 16, False),
        ("simulator_stabilizer", 40, False),
    ],
)
def test_which_experiments_get_threads(on: str, qubits: int, wide: bool) -> None:
    """Threads are for large states; small ones and methods without them have one."""
    steps = [gate("h", [0]), *(gate("cx", [index, index + 1]) for index in range(qubits - 1))]
    routes = ways(program([*steps, measure(*range(qubits))]), target(on))
    roomy = tasks.Limits(memory_bytes=8 << 30, cpu_seconds=60.0)
    tight = tasks.Limits(memory_bytes=routes[0].plan.memory_bytes + aer.THREAD_BYTES, cpu_seconds=60.0)

    assert aer.wide(routes[0]) == wide
    assert aer.threads(routes, roomy, available=8) == (8 if wide else 1)
    assert aer.threads(routes, tight, available=8) == (2 if wide else 1)
    assert aer.threads(routes, roomy, available=1) == 1
