# SPDX-License-Identifier: Apache-2.0
"""Twirled circuits do the same as the circuit they come from, and errors look alike from all sides."""

import asking
import numpy as np
import physics
import pytest
from qiskit.circuit import ClassicalRegister, Parameter, QuantumCircuit, QuantumRegister
from qiskit.circuit.classical import expr
from qiskit.quantum_info import Operator

from chandelier.engines import shots
from chandelier.engines.primitives import twirling


def tangle(name: str) -> QuantumCircuit:
    """A circuit with several layers of a two-qubit gate and gates between them."""
    circuit = QuantumCircuit(4)
    for turn, (first, second) in enumerate([(0, 1), (2, 3), (1, 2), (3, 2), (0, 1)]):
        circuit.sx(first)
        circuit.rz(0.3 + turn, second)
        getattr(circuit, name)(first, second)
    circuit.barrier()
    getattr(circuit, name)(0, 1)
    return circuit


@pytest.mark.parametrize("name", sorted(twirling.TWIRLED))
def test_paulis_behind_a_gate_undo_those_in_front(name: str) -> None:
    """On a simulator, with each gate, every randomization is the same operator."""
    target, circuit = physics.target("ibmq_qasm_simulator"), tangle(name)
    source = np.random.default_rng(1)

    made = [twirling.gates(circuit, source, target, "active") for _ in range(12)]

    assert len({len(one.data) for one in made}) > 1
    assert all(Operator(one).equiv(Operator(circuit)) for one in made)


@pytest.mark.parametrize("strategy", ["active", "active-accum", "active-circuit", "all"])
@pytest.mark.parametrize(("device", "name"), [("ibmq_manila", "cx"), ("ibm_kingston", "cz"), ("ibm_sherbrooke", "ecr")])
def test_on_devices_only_their_gates_are_used(device: str, name: str, strategy: str) -> None:
    """Every strategy gives the same operator, of gates of the device, with as many two-qubit gates as before."""
    target, circuit = physics.target(device), tangle(name)
    source = np.random.default_rng(2)

    for _ in range(6):
        made = twirling.gates(circuit, source, target, strategy)

        assert Operator(made).equiv(Operator(circuit))
        assert made.count_ops()[name] == circuit.count_ops()[name]
        assert set(made.count_ops()) <= target.basis | {"barrier"}


def test_a_strategy_says_which_idle_qubits_take_part() -> None:
    """With `active` nothing happens to a qubit beside the gate, with `all` something does."""
    target = physics.target("ibmq_manila")
    circuit = QuantumCircuit(3)
    circuit.x(2)
    circuit.cx(0, 1)
    third = circuit.qubits[2]
    source = np.random.default_rng(3)

    beside = {
        strategy: {
            twirling.gates(circuit, source, target, strategy).depth(lambda step: third in step.qubits)
            for _ in range(20)
        }
        for strategy in ("active", "all")
    }

    assert beside["active"] == {1}
    assert len(beside["all"]) > 1


def test_parameters_stay_parameters() -> None:
    """A circuit with free parameters is twirled before they have values."""
    target, theta = physics.target("ibmq_manila"), Parameter("t")
    circuit = QuantumCircuit(2)
    circuit.rz(theta, 0)
    circuit.sx(0)
    circuit.cx(0, 1)

    made = twirling.gates(circuit, np.random.default_rng(4), target, "active")

    assert list(made.parameters) == [theta]
    assert Operator(made.assign_parameters([0.7])).equiv(Operator(circuit.assign_parameters([0.7])))


def test_waiting_gates_are_not_merged() -> None:
    """An `id`, by which clients wait, is still there after neighbours were merged."""
    circuit = QuantumCircuit(1)
    for name in ("x", "x", "id", "sx", "id"):
        getattr(circuit, name)(0)

    made = twirling.merged(circuit, physics.target("ibmq_manila"))

    assert dict(made.count_ops()) == {"id": 2, "sx": 1}


def test_flipped_outcomes_are_flipped_back() -> None:
    """Every randomization of a measurement has the distribution of the circuit once its bits are flipped back."""
    target = physics.target("ibmq_qasm_simulator")
    circuit = asking.scrambled(3, 5)
    circuit.add_register(ClassicalRegister(2, "low"), ClassicalRegister(1, "high"))
    circuit.measure([0, 1, 2], [1, 0, 2])
    wanted = shots.exact(circuit, target, asking.LIMITS)
    assert wanted is not None

    for one in twirling.measurements(circuit, 10, np.random.default_rng(6), target):
        flip = sum(1 << place for place, bit in enumerate([*one.flips["low"], *one.flips["high"]]) if bit)
        found = shots.exact(one.circuit, target, asking.LIMITS)
        assert found is not None
        for word, chance in wanted.items():
            assert found.get(word ^ flip, 0.0) == pytest.approx(chance, abs=1e-9)


def test_the_same_flips_are_the_same_circuit() -> None:
    """With one qubit there are two circuits, whatever the number of randomizations."""
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)

    made = twirling.measurements(circuit, 50, np.random.default_rng(7), physics.target("ibmq_manila"))

    assert len(made) == 50
    assert len({id(one.circuit) for one in made}) == 2


def test_measurements_that_something_depends_on_stay_as_they_are() -> None:
    """Neither a measurement that a branch reads nor one whose qubit goes on is flipped."""
    quantum, early, late = QuantumRegister(3), ClassicalRegister(2, "early"), ClassicalRegister(3, "late")
    circuit = QuantumCircuit(quantum, early, late)
    circuit.measure(0, early[0])
    circuit.measure(1, early[1])
    with circuit.if_test((early[1], 1)):
        circuit.x(2)
    circuit.measure([0, 1, 2], late)

    made = twirling.measurements(circuit, 40, np.random.default_rng(8), physics.target("ibmq_qasm_simulator"))

    assert not any(one.flips["early"].any() for one in made)
    assert np.array([one.flips["late"] for one in made]).any(axis=0).all()


def test_twirled_readout_errors_do_not_depend_on_the_state() -> None:
    """A device that misreads 1 more often than 0 misreads both alike on average over flips."""
    target = asking.misread(physics.target("ibmq_manila"), up=0.02, down=0.2)
    zero, one = QuantumCircuit(1, 1), QuantumCircuit(1, 1)
    one.x(0)
    for circuit in (zero, one):
        circuit.measure(0, 0)
    options = {"twirling": {"enable_measure": True, "num_randomizations": 400}, "simulator": {"seed_simulator": 9}}

    result = asking.sampled([(zero, None, 40_000), (one, None, 40_000)], target, options)

    wrong = [result[0].data.c.get_int_counts()[1] / 40_000, result[1].data.c.get_int_counts()[0] / 40_000]
    # The halves of 400 randomizations differ by their number, each flip being a coin.
    error = 5 * 0.18 * 0.5 / 400**0.5 + 5 * (0.11 * 0.89 / 40_000) ** 0.5
    assert wrong == pytest.approx([0.11, 0.11], abs=error)
    assert abs(wrong[0] - 0.02) > 0.04


@pytest.mark.parametrize("place", ["read", "written"])
def test_measurements_whose_bit_is_stored_or_overwritten_stay_as_they_are(place: str) -> None:
    """A store names no bits among its own, but it reads one, or writes it, all the same."""
    circuit = QuantumCircuit(2, 2)
    known = circuit.add_var("known", expr.lift(False))
    circuit.x(0)
    circuit.measure(0, 0)
    if place == "read":
        circuit.store(known, expr.lift(circuit.clbits[0]))
        with circuit.if_test(known):
            circuit.x(1)
    else:
        circuit.store(circuit.clbits[0], False)
    circuit.measure(1, 1)
    options = {"twirling": {"enable_measure": True}, "simulator": {"seed_simulator": 3}}
    result = asking.sampled([(circuit, None, 1000)], physics.target("ibmq_qasm_simulator"), options)

    assert result[0].data.c.get_counts() == {"11" if place == "read" else "00": 1000}
