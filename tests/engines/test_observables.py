# SPDX-License-Identifier: Apache-2.0
"""Observables are shared out among few circuits, and what outcomes say of them agrees with their matrices."""

import itertools
import math

import asking
import numpy as np
import physics
import pytest
from qiskit.circuit import ClassicalRegister, QuantumCircuit
from qiskit.quantum_info import SparseObservable, SparsePauliOp, Statevector

from chandelier import errors
from chandelier.engines import shots
from chandelier.engines.primitives import exactly, observables

LETTERS = "IXYZ01+-rl"


def words(width: int, count: int, seed: int) -> list[str]:
    """Random words of Paulis and projectors, each once."""
    source = np.random.default_rng(seed)
    return sorted({"".join(source.choice(list(LETTERS), size=width)) for _ in range(count)})


def test_a_label_begins_with_the_highest_qubit() -> None:
    """The leftmost character is of the highest qubit, and the identity is left out."""
    assert observables.parse({"XI0": 2.0}, 3) == {((0, "0"), (2, "X")): 2.0}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"XX": 1.0}, "has 2 characters; the circuit has 3 qubits"),
        ({"XXQ": 1.0}, "has 'Q'"),
        ({"XXX": math.nan}, "is not finite"),
    ],
)
def test_a_wrong_observable_is_refused(labels: dict[str, float], message: str) -> None:
    """The message names what is wrong."""
    with pytest.raises(errors.ProgramRefused, match=message) as caught:
        observables.parse(labels, 3)

    assert caught.value.code == 8041


def test_each_term_is_in_one_group_of_which_it_asks_nothing_else() -> None:
    """All terms are shared out, and each agrees with the axes of its group."""
    terms = [term for label in words(5, 200, 1) for term in observables.parse({label: 1.0}, 5)]

    groups = observables.grouped(terms)

    assert sorted(term for group in groups for term in group.terms) == sorted(term for term in terms if term)
    assert len(groups) < 120
    for group in groups:
        axes = dict(group.axes)
        assert all(axes[qubit] == observables.FACTORS[letter][0] for term in group.terms for qubit, letter in term)


def test_what_commutes_on_every_qubit_needs_one_circuit() -> None:
    """All products of Zs on four qubits are known from one measurement of Z."""
    terms = [tuple((q, "Z") for q in range(4) if word >> q & 1) for word in range(16)]

    (group,) = observables.grouped(terms)

    assert group.axes == ((0, "Z"), (1, "Z"), (2, "Z"), (3, "Z"))
    assert len(group.terms) == 15


def test_projectors_become_sums_of_paulis_of_the_same_matrix() -> None:
    """The Pauli operators add up to the product of projectors."""
    for label in words(3, 40, 2):
        made = observables.paulis(observables.parse({label: 0.7}, 3))
        listed = [("".join(x for _, x in term), [q for q, _ in term], weight) for term, weight in made.items()]
        matrix = SparsePauliOp.from_sparse_list(listed, num_qubits=3).to_matrix()
        wanted = SparsePauliOp.from_sparse_observable(SparseObservable.from_label(label) * 0.7).to_matrix()

        np.testing.assert_allclose(matrix, wanted, atol=1e-12)


def test_too_many_projectors_are_not_written_as_paulis() -> None:
    """A term of 13 projectors would be 8192 Pauli operators."""
    with pytest.raises(errors.ProgramRefused, match="projectors of 13 qubits") as caught:
        observables.paulis(observables.parse({"0" * 13: 1.0}, 13))

    assert caught.value.code == 8042


@pytest.mark.parametrize("name", ["ibmq_qasm_simulator", "ibmq_manila", "ibmq_essex"])
def test_exact_distributions_give_exact_expectations(name: str) -> None:
    """On any device without its errors, every term comes out as the state has it: the axes are turned the right way."""
    target = physics.target(name)
    ideal = physics.target("ibmq_qasm_simulator")
    circuit = QuantumCircuit(3)
    for qubit, angle in enumerate((0.4, 1.1, 2.0)):
        circuit.u(angle, 0.3 + angle, 0.7, qubit)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    state = Statevector(circuit)
    terms = [term for label in words(3, 300, 3) for term in observables.parse({label: 1.0}, 3)]

    for group in observables.grouped(terms):
        measured, _ = observables.measuring(circuit, group, target)
        found = shots.exact(measured, ideal, asking.LIMITS)
        assert found is not None
        outcomes = np.array([[bool(word >> bit & 1) for bit in range(len(group.axes))] for word in found])
        means = np.array(list(found.values())) @ observables.values(group, outcomes)
        for term, mean in zip(group.terms, means, strict=True):
            label = "".join(dict(term).get(qubit, "I") for qubit in (2, 1, 0))
            operator = SparsePauliOp.from_sparse_observable(SparseObservable.from_label(label))
            assert mean == pytest.approx(state.expectation_value(operator).real, abs=1e-9)


def test_a_register_of_the_same_name_stays() -> None:
    """A circuit that has a register called as ours keeps it."""
    circuit = QuantumCircuit(1)
    circuit.add_register(ClassicalRegister(1, "observed"))

    measured, name = observables.measuring(
        circuit, observables.grouped([((0, "X"),)])[0], physics.target("ibmq_manila")
    )

    assert name == "observed_"
    assert [register.name for register in measured.cregs] == ["observed", "observed_"]


def test_outcomes_are_counted_by_randomization() -> None:
    """Every outcome is counted in the randomization in which it occurred."""
    source = np.random.default_rng(4)
    bits = [source.integers(2, size=(shots, 11)).astype(bool) & (source.random(11) < 0.3) for shots in (70, 30)]

    counted = observables.count(bits)

    assert counted.counts.sum(axis=1).tolist() == [70, 30]
    for row, one in zip(counted.counts, bits, strict=True):
        for outcome, number in zip(counted.outcomes, row, strict=True):
            assert (one == outcome).all(axis=1).sum() == number


def test_variances_are_those_of_the_shots_and_of_the_randomizations() -> None:
    """What is found from counts is what one finds shot by shot, correlations included."""
    source = np.random.default_rng(5)
    bits = [source.integers(2, size=(40, 3)).astype(bool) for _ in range(6)]
    group = observables.Group(((0, "Z"), (1, "Z"), (2, "Z")), (((0, "Z"),), ((0, "Z"), (1, "Z")), ((1, "Z"), (2, "1"))))
    weights = np.array([0.5, -2.0, 1.0])
    counted = observables.count(bits)

    found = observables.variances(counted, observables.values(group, counted.outcomes) @ weights[:, None])

    rows = [
        [sum(_worth(term, shot) * w for term, w in zip(group.terms, weights, strict=True)) for shot in one]
        for one in bits
    ]
    assert found.pooled[0] == pytest.approx(np.var(list(itertools.chain(*rows)), ddof=1) / 240)
    assert found.spread[0] == pytest.approx(np.var(np.mean(rows, axis=1), ddof=1) / 6)


def _worth(term: observables.Term, shot: np.ndarray) -> float:
    factors = {"Z": (1.0, -1.0), "1": (0.0, 1.0)}
    return math.prod(factors[letter][int(shot[qubit])] for qubit, letter in term)


def test_values_from_the_state_leave_out_nothing() -> None:
    """Qubits to which nothing happens count as the ground state, and projectors as matrices."""
    circuit = asking.scrambled(2, 6).compose(QuantumCircuit(2))
    wide = QuantumCircuit(4)
    wide.compose(circuit, [3, 1], inplace=True)
    labels = words(4, 60, 7)

    found = exactly.values(wide, np.zeros((len(labels), 0)), [observables.parse({label: 1.0}, 4) for label in labels])

    state = Statevector(wide)
    operators = [SparsePauliOp.from_sparse_observable(SparseObservable.from_label(label)) for label in labels]
    np.testing.assert_allclose(found, [state.expectation_value(one).real for one in operators], atol=1e-9)
