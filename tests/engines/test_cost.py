# SPDX-License-Identifier: Apache-2.0
"""Predictions choose the method and refuse what would not end, with numbers that users can act on."""

import itertools

import pytest
from physics import LIMITS, Json, gate, measure, opened, program, target, ways

from chandelier import errors
from chandelier.engines import cost, methods, programs
from chandelier.formats import tasks

SIMULATOR = target("ibmq_qasm_simulator")
MANILA = target("ibmq_manila")
HANOI = target("ibm_hanoi")
SHERBROOKE = target("ibm_sherbrooke")


def ghz(count: int, *, first: str = "h") -> list[Json]:
    """A chain of controlled flips."""
    chain = [gate("cx", [index, index + 1]) for index in range(count - 1)]
    return [gate(first, [0]), *chain, measure(*range(count))]


def deep(count: int, layers: int) -> list[Json]:
    """A circuit without structure, on a line."""
    steps = []
    for layer in range(layers):
        steps += [gate("u3", [index], 0.1, 0.2, 0.3) for index in range(count)]
        steps += [gate("cx", [index, index + 1]) for index in range(layer % 2, count - 1, 2)]
    return [*steps, measure(*range(count))]


def refusal(wanted: Json, name: str, limits: tasks.Limits = LIMITS) -> errors.ProgramRefused:
    """The refusal of a program by its predicted cost."""
    with pytest.raises(errors.ProgramRefused) as caught:
        ways(wanted, target(name), limits)
    return caught.value


def test_a_state_that_does_not_fit() -> None:
    """A statevector of 32 qubits is refused with its size."""
    error = refusal(program(deep(32, 2)), "simulator_statevector")

    assert error.code == 8008
    assert "32 active qubits" in error.message
    assert "64.1 GiB" in error.message
    assert "2 GiB" in error.message


def test_only_active_qubits_count() -> None:
    """A statevector of two qubits of many is small."""
    (way,) = ways(program([gate("h", [0]), gate("cx", [0, 31]), measure(0, 31)]), target("simulator_statevector"))

    assert way.plan.memory_bytes < 70 << 20


def test_too_many_shots_take_too_long() -> None:
    """What fits in memory but not in time is refused with the time."""
    error = refusal(program(deep(25, 40), shots=100), "simulator_statevector", tasks.Limits(8 << 30, 10.0))

    assert error.code == 8009
    assert "10 s" in error.message


def test_all_experiments_together() -> None:
    """Experiments that are each short enough can be too long together."""
    limits = tasks.Limits(2 << 30, 2.0)
    ways(program(deep(18, 40)), SIMULATOR, limits)
    error = refusal(program(*[deep(18, 40)] * 100), "ibmq_qasm_simulator", limits)

    assert error.code == 8009
    assert "100 experiments" in error.message


@pytest.mark.parametrize(
    ("wanted", "method"),
    [
        (program(ghz(2)), methods.STATEVECTOR),
        (program(ghz(30)), methods.STABILIZER),
        (program(deep(20, 40)), methods.STATEVECTOR),
        (program([gate("u3", [0], 0.1, 0.2, 0.3), *ghz(32), gate("save_probabilities", [0])]), methods.MPS),
        (program([gate("kraus", [0], [[1, 0], [0, 1]]), measure(0)]), methods.DENSITY_MATRIX),
        (program([gate("h", [0]), gate("save_unitary", [0])]), methods.UNITARY),
        (program([gate("h", [0]), gate("snapshot", [0], type="unitary")]), methods.UNITARY),
        (program([gate("h", [0]), gate("save_clifford", [0])]), methods.STABILIZER),
        (program([gate("h", [0]), gate("save_superop", [0])]), methods.SUPEROP),
        (program([gate("h", [0]), gate("save_statevector", [0])]), methods.STATEVECTOR),
        (program([gate("h", [0])], method="matrix_product_state"), methods.MPS),
    ],
)
def test_the_simulator_that_chooses(wanted: Json, method: str) -> None:
    """Clifford circuits that are big go to stabilizers, what fits to a state, the rest to a product of matrices."""
    (way,) = ways(wanted, SIMULATOR)

    assert way.plan.method == method


@pytest.mark.parametrize(
    ("steps", "method"),
    [
        (ghz(60), methods.STABILIZER),
        ([gate("t", [0]), *ghz(5)], methods.STATEVECTOR),
        ([gate("t", [0]), *ghz(60)], methods.EXTENDED_STABILIZER),
    ],
)
def test_an_approximation_only_where_it_is_needed(steps: list[Json], method: str) -> None:
    """The extended stabilizer simulator approximates what nothing else computes exactly."""
    (way,) = ways(program(steps, shots=20), target("simulator_extended_stabilizer"))

    assert way.plan.method == method


def noisy(count: int, shots: int, **config: int) -> Json:
    """A chain on a line of a device's qubits."""
    line = [0, 1, 2, 3, 5, 8, 11, 14, 16, 19, 22, 25, 24, 23, 21, 18][:count]
    usable = [pair for pair in itertools.pairwise(line) if pair != (5, 8)]  # which is faulty
    return program([*(gate("cx", pair) for pair in usable), measure(*line)], shots=shots, **config)


def test_noise_is_computed_exactly() -> None:
    """A chain on a device is done before Aer would have begun."""
    (small,) = ways(noisy(4, 4000), HANOI)
    (large,) = ways(noisy(13, 20), HANOI)

    assert small.plan.path == large.plan.path == cost.EXACT
    assert small.plan.seconds < large.plan.seconds < cost.START


def test_aer_takes_the_cheaper_of_two_methods() -> None:
    """Few qubits and many shots are a density matrix; many qubits and few shots are trajectories."""
    (small,) = ways(noisy(4, 4000, meas_level=1), HANOI)
    (large,) = ways(noisy(13, 20, meas_level=1), HANOI, tasks.Limits(2 << 30, 600.0))

    assert small.plan.path == large.plan.path == cost.AER
    assert small.plan.method == methods.DENSITY_MATRIX
    assert large.plan.method == methods.STATEVECTOR


def test_measuring_twice_takes_trajectories() -> None:
    """Shots that differ before the end, and are each listed with its signal, are followed one by one."""
    (way,) = ways(program([gate("x", [0]), measure(0), gate("x", [0]), measure(0)], meas_level=1), MANILA)

    assert way.plan.method == methods.STATEVECTOR


def test_a_big_noisy_circuit_is_refused() -> None:
    """What no method can do in time on a device is refused before it starts."""
    chain = [gate("sx", [index]) for index in range(127)]
    pairs = [pair for pair in sorted(SHERBROOKE.edges["ecr"]) if ("ecr", pair) not in SHERBROOKE.faulty_gates]
    steps = chain + [gate("ecr", pair) for pair in pairs] * 6 + [measure(*range(127))]
    error = refusal(program(steps, shots=4000), "ibm_sherbrooke")

    assert error.code in {8008, 8009}
    assert "127 active qubits" in error.message


def test_noise_on_twenty_qubits_is_refused_at_once() -> None:
    """A tangle with noise would run for hours, whatever the method; the message has the estimate."""
    pairs = [pair for pair in sorted(HANOI.edges["cx"]) if max(pair) < 19 and ("cx", pair) not in HANOI.faulty_gates]
    tangle = [step for pair in pairs for step in (gate("sx", pair[:1]), gate("cx", pair))] * 6
    error = refusal(program([*tangle, measure(*range(19))], shots=4000), "ibm_hanoi")

    assert error.code == 8009
    assert "19 active qubits" in error.message
    assert "4000 shots" in error.message


def test_occupation_of_the_machine() -> None:
    """Shots cost their length and the wait before the next, which a program may choose within a range."""
    steps = [gate("x", [0]), measure(0)]
    length = MANILA.length("x", (0,)) + MANILA.length("measure", (0,))
    (usual,) = ways(program(steps, shots=1000), MANILA)
    (quick,) = ways(program(steps, shots=1000, rep_delay=10.0), MANILA)
    (greedy,) = ways(program(steps, shots=1000, rep_delay=-5.0), MANILA)
    (fixed,) = ways(program([gate("u3", [0], 1, 2, 3), measure(0)], shots=1000), target("ibmq_essex"))
    (free,) = ways(program([gate("x", [0])]), SIMULATOR)

    assert usual.device_seconds == pytest.approx(1000 * (250e-6 + length))
    assert quick.device_seconds == pytest.approx(1000 * (10e-6 + length))
    assert greedy.device_seconds == pytest.approx(1000 * length)
    assert fixed.device_seconds == pytest.approx(1000 * 1e-3)
    assert free.device_seconds == 0


def test_summary_of_a_program() -> None:
    """Gates are counted over all experiments; measurements, resets, barriers and waits are none."""
    wanted = program(
        [gate("x", [0]), gate("barrier", [0, 4]), gate("cx", [0, 1]), gate("delay", [3], 16), measure(0, 1)],
        [gate("rz", [2], 1.0), gate("reset", [2]), gate("measure", [2], memory=[3])],
        memory=True,
        n_qubits=5,
    )
    found = programs.summary(opened(wanted), 0.5)

    assert found == tasks.Summary(
        kind="QASM",
        experiments=2,
        shots=1000,
        qubits=2,
        gates=3,
        memory_slots=4,
        memory=True,
        n_qubits=5,
        device_seconds=0.5,
    )


def test_no_method_for_contradictory_saves() -> None:
    """A program that saves what no one method can give is refused."""
    wanted = program([gate("x", [0]), gate("save_statevector", [0]), gate("set_density_matrix", [0], [[1, 0], [0, 0]])])
    error = refusal(wanted, "ibmq_qasm_simulator")

    assert error.code == 8001
    assert "save_statevector is not among" in error.message


@pytest.mark.parametrize(
    ("name", "save", "size"),
    [
        ("simulator_mps", "save_statevector", "288 GiB"),
        ("simulator_mps", "save_probabilities", "96.1 GiB"),
        ("simulator_stabilizer", "save_probabilities_dict", "32.1 GiB"),
    ],
)
def test_what_is_saved_takes_memory(name: str, save: str, size: str) -> None:
    """A small state of many qubits that is to be saved in full is refused with the size of what is saved."""
    chain = ghz(30)[:-1]
    ways(program(chain), target(name))
    error = refusal(program([*chain, gate(save, range(30))]), name)

    assert error.code == 8008
    assert size in error.message


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        (program(*[ghz(2)] * 5, memory=True, shots=1000), "29.3 KiB"),
        (program([*ghz(10)[:-1], gate("save_statevector", range(10))]), "10 KiB"),
        (program([measure(0), gate("save_probabilities", [0], snapshot_type="list")], shots=2000), "15.6 KiB"),
    ],
)
def test_a_result_that_is_sure_to_be_too_large(wanted: Json, size: str) -> None:
    """Shots to be listed and states to be saved are refused before the run if the least they take is too much."""
    ways(wanted, SIMULATOR)
    error = refusal(wanted, "ibmq_qasm_simulator", tasks.Limits(2 << 30, 60.0, 8000))

    assert error.code == 8025
    assert size in error.message
    assert "7.81 KiB" in error.message


def test_bytes_are_readable() -> None:
    """Sizes are told with a unit."""
    assert cost.readable(3 << 20) == "3 MiB"
    assert cost.readable(2.0**100) == "1.1e+12 EiB"


@pytest.mark.parametrize("name", ["unitary", "multiplexer"])
def test_a_large_matrix_has_its_price(name: str) -> None:
    """What Aer is given as numbers costs time for each entry, which soon is more than that of the state."""
    one = [[float(row == column) for column in range(256)] for row in range(256)]
    params = [one] if name == "unitary" else [[[1.0]]] * 256
    matrix = gate(name, range(8), *params)
    wanted = [gate("x", [0]), gate("save_probabilities", [0])]
    ((dear,), (cheap,)) = (ways(program(steps), SIMULATOR) for steps in ([matrix, *wanted], wanted))

    assert dear.plan.path == cheap.plan.path == cost.AER
    assert dear.plan.seconds - cheap.plan.seconds == pytest.approx(cost.ENTRY * 4**8, rel=0.1)
