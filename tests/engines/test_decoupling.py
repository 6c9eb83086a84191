# SPDX-License-Identifier: Apache-2.0
"""Waits of a device's qubits are filled with pulses that do nothing in total and whose effect is simulated."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import asking
import physics
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import Operator

from chandelier import errors
from chandelier.engines import shots
from chandelier.engines import target as targets
from chandelier.engines.primitives import decoupling
from chandelier.formats import options

MANILA = physics.target("ibmq_manila")


def wanted(sequence: Any = "XX", **more: Any) -> options.Decoupling:
    """Options that ask for a sequence."""
    return options.Decoupling(enable=True, sequence_type=sequence, **more)


def resting(nanoseconds: float) -> QuantumCircuit:
    """Qubit 0 is excited, waits for qubit 1, and both meet before they are measured."""
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.x(1)
    circuit.barrier()
    circuit.delay(nanoseconds, 1, unit="ns")
    circuit.barrier()
    circuit.measure([0, 1], [0, 1])
    return circuit


def gateless(target: targets.Target, **lengths: float) -> targets.Target:
    """A device like another whose gates have no errors and the given lengths, s."""
    gates: Mapping[targets.Site, targets.GateData] = {
        site: targets.GateData(error=None, length=lengths.get(site[0], 0.0)) for site in target.gates
    }
    return dataclasses.replace(asking.misread(target, 0.0, 0.0), gates=gates)


@pytest.mark.parametrize("sequence", sorted(decoupling.SEQUENCES))
@pytest.mark.parametrize("slack", ["middle", "edges"])
def test_a_wait_is_filled_to_its_length(sequence: str, slack: str) -> None:
    """Pauses and pulses take as long as the wait, and each pause but one or two is a whole number of samples."""
    made = decoupling.decoupled(resting(3001.3), wanted(sequence, extra_slack_distribution=slack), MANILA)

    mine = [step for step in made.circuit.data if step.qubits == (made.circuit.qubits[0],)]
    pauses = [step.operation.duration for step in mine if step.name == "delay"]
    pulses = [step for step in mine if step.name == "x"][1:]
    samples = [pause / (MANILA.dt or 0.0) for pause in pauses]
    whole = [abs(one - round(one)) < 1e-3 for one in samples]
    assert made.sequences == 2  # qubit 1 waits as well: it is told to
    assert len(pulses) == len(decoupling.SEQUENCES[sequence])
    assert sum(pauses) + len(pulses) * MANILA.length("x", (0,)) == pytest.approx(3001.3e-9, abs=1e-14)
    assert whole.count(False) == 1
    assert whole[len(pauses) // 2 if slack == "middle" else -1] is False


@pytest.mark.parametrize("sequence", sorted(decoupling.SEQUENCES))
def test_a_sequence_does_nothing_in_total(sequence: str) -> None:
    """Without noise the circuit is the same operator."""
    circuit = QuantumCircuit(2)
    circuit.sx([0, 1])
    circuit.barrier()
    circuit.delay(2, 1, unit="us")
    circuit.barrier()
    circuit.sx([0, 1])

    made = decoupling.decoupled(circuit, wanted(sequence), MANILA)

    made.circuit.data = [step for step in made.circuit.data if step.name != "delay"]
    plain = QuantumCircuit(2)
    plain.x([0, 1])
    assert made.sequences == 2
    assert Operator(made.circuit).equiv(Operator(plain))


def test_a_short_wait_stays_a_wait() -> None:
    """Where a sequence does not fit, the qubit waits as before."""
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.barrier()
    circuit.x(1)
    circuit.barrier()
    circuit.measure([0, 1], [0, 1])

    made = decoupling.decoupled(circuit, wanted(skip_reset_qubits=True), MANILA)

    assert made.sequences == 0
    assert [step.name for step in made.circuit.data if step.name == "delay"] == ["delay"]


def test_a_qubit_at_rest_is_left_alone_if_that_is_wanted() -> None:
    """Before its first gate a qubit gets pulses only without `skip_reset_qubits`."""
    circuit = QuantumCircuit(3)
    circuit.cx(0, 1)
    circuit.barrier()
    circuit.x(2)

    kept = decoupling.decoupled(circuit, wanted(skip_reset_qubits=True), MANILA)
    filled = decoupling.decoupled(circuit, wanted(), MANILA)

    assert (kept.sequences, filled.sequences) == (0, 1)
    assert kept.circuit.count_ops() == {"cx": 1, "x": 1}
    assert filled.circuit.count_ops() == {"cx": 1, "x": 3, "delay": 3}


@pytest.mark.parametrize(("method", "first"), [("asap", "x"), ("alap", "delay")])
def test_instructions_are_placed_early_or_late(method: str, first: str) -> None:
    """Between two meetings, the free time of a qubit is behind its gate, or before it."""
    circuit = QuantumCircuit(3)
    circuit.cx(0, 1)
    circuit.x(0)
    for _ in range(3):
        circuit.cx(1, 2)
    circuit.cx(0, 1)

    made = decoupling.decoupled(circuit, wanted(scheduling_method=method, skip_reset_qubits=True), MANILA).circuit

    alone = [step.name for step in made.data if step.qubits == (circuit.qubits[0],)]
    assert alone[0] == first
    assert alone.count("x") == 3


def test_pulses_share_the_wait_between_both_states() -> None:
    """An excited qubit that is flipped halfway loses less: what decays before is what is left alone behind."""
    target = gateless(MANILA)
    t1 = target.qubits[0].t1
    wait = 0.5 * t1

    plain = shots.exact(resting(wait * 1e9), target, asking.LIMITS)
    made = decoupling.decoupled(resting(wait * 1e9), wanted(), target).circuit
    found = shots.exact(made, target, asking.LIMITS)

    assert plain is not None
    assert found is not None
    excited = 1.0
    for part, flipped in ((0.25, True), (0.5, True), (0.25, False)):
        excited *= math.exp(-part * wait / t1)
        excited = 1 - excited if flipped else excited
    assert sum(chance for word, chance in plain.items() if word & 1) == pytest.approx(math.exp(-0.5), abs=1e-6)
    assert sum(chance for word, chance in found.items() if word & 1) == pytest.approx(excited, abs=1e-4)
    assert excited > math.exp(-0.5) + 0.1


def test_pulses_bring_their_own_errors() -> None:
    """On the device as it is, filling a wait in the ground state can only do harm."""
    circuit = QuantumCircuit(2, 1)
    circuit.id(0)
    circuit.barrier()
    circuit.delay(5, 1, unit="us")
    circuit.barrier()
    circuit.measure(0, 0)

    plain = shots.exact(circuit, MANILA, asking.LIMITS)
    made = decoupling.decoupled(circuit, wanted("XY4"), MANILA)
    found = shots.exact(made.circuit, MANILA, asking.LIMITS)

    assert plain is not None
    assert found is not None
    assert made.sequences >= 1
    assert found[1] > plain[1] + 1e-4


@pytest.mark.parametrize("name", ["ibmq_qasm_simulator", "ibmq_essex"])
def test_without_timing_decoupling_is_refused(name: str) -> None:
    """A simulator, and a device without delays, cannot be asked for it."""
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)

    with pytest.raises(errors.ProgramRefused, match=f"{name} has no timing") as caught:
        asking.sampled([circuit], physics.target(name), {"dynamical_decoupling": {"enable": True}})

    assert caught.value.code == 8040


def test_nobody_knows_when_a_branch_waits() -> None:
    """Circuits that branch, or whose delays depend on parameters, are refused."""
    branching = QuantumCircuit(1, 1)
    branching.measure(0, 0)
    with branching.if_test((branching.clbits[0], 1)):
        branching.x(0)
    open_ended = QuantumCircuit(1, 1)
    open_ended.delay(Parameter("t"), 0, unit="us")
    open_ended.measure(0, 0)

    for circuit, why in ((branching, "branches"), (open_ended, "depends on a parameter")):
        with pytest.raises(errors.ProgramRefused, match=why) as caught:
            decoupling.decoupled(circuit, wanted(), MANILA)

        assert caught.value.code == 8040


def test_the_result_says_how_many_waits_were_filled() -> None:
    """Sampler and estimator tell the options and the number of sequences."""
    asked = {"dynamical_decoupling": {"enable": True, "sequence_type": "XpXm"}, "simulator": {"seed_simulator": 3}}
    silent = resting(3000).remove_final_measurements(inplace=False)

    sampled = asking.sampled([(resting(3000), None, 100)], MANILA, asked)
    estimated = asking.estimated([(silent, "ZZ", None, 0.1)], MANILA, asked)

    assert sampled.metadata["dynamical_decoupling"]["sequence_type"] == "XpXm"
    assert sampled[0].metadata["dynamical_decoupling"] == {"sequences": 2}
    assert estimated[0].metadata["dynamical_decoupling"]["sequences"] >= 1
