# SPDX-License-Identifier: Apache-2.0
"""Programs of real clients mean what these clients mean, down to conditions and hidden bits."""

import operator
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from physics import Bench, Json, counts, gate, measure, opened, p_value, program, sample, steps
from qulacs import QuantumCircuit as Reference
from qulacs import QuantumState
from qulacs.gate import DenseMatrix
from test_gates import REFERENCE, X, Y, Z, controlled, phase, r, rotation, u

from chandelier.engines import circuits, methods

SIMULATOR = "ibmq_qasm_simulator"
RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def probabilities(circuit: Reference) -> NDArray[np.float64]:
    """Probabilities of the outcomes of all qubits, first qubit least significant."""
    state = QuantumState(circuit.get_qubit_count())
    circuit.update_quantum_state(state)
    found: NDArray[np.float64] = np.abs(state.get_vector()) ** 2
    return found


def test_forty_five_kinds_of_gate(bench: Bench) -> None:
    """A program with every gate that a client knows gives the outcomes that its matrices predict."""
    known = {(name, width): matrix for name, params, width, matrix in REFERENCE if not params}
    wanted = Reference(4)
    for step in opened(sample("std")).experiments[0].instructions:
        if step.name in {"barrier", "measure"}:
            continue
        qubits = list(step.qubits or ())
        matrix = known.get((step.name, len(qubits)))
        wanted.add_gate(DenseMatrix(qubits, matrix if matrix is not None else rotated(step.name, step.params)))
    result = bench.run({**sample("std"), "config": {"shots": 50_000, "seed_simulator": 3}}, SIMULATOR)

    assert p_value(counts(result), probabilities(wanted)) > 1e-6


def rotated(name: str, params: list[float]) -> NDArray[np.complex128]:
    """The matrix of a gate at other angles than the table's."""
    table: dict[str, Callable[..., NDArray[np.complex128]]] = {
        "rx": lambda a: rotation(X, a),
        "ry": lambda a: rotation(Y, a),
        "rz": lambda a: rotation(Z, a),
        "p": phase,
        "u": u,
        "u1": phase,
        "u2": lambda a, b: u(np.pi / 2, a, b),
        "u3": u,
        "r": r,
        "cp": lambda a: controlled(phase(a), 1),
        "crx": lambda a: controlled(rotation(X, a), 1),
        "cry": lambda a: controlled(rotation(Y, a), 1),
        "crz": lambda a: controlled(rotation(Z, a), 1),
        "cu": lambda a, b, c, d: controlled(np.exp(1j * d) * u(a, b, c), 1),
        "rxx": lambda a: rotation(np.kron(X, X), a),
        "ryy": lambda a: rotation(np.kron(Y, Y), a),
        "rzz": lambda a: rotation(np.kron(Z, Z), a),
        "rzx": lambda a: rotation(np.kron(X, Z), a),
        "mcphase": lambda a: controlled(phase(a), 2),
    }
    return table[name](*params)


def array(pairs: list[object]) -> NDArray[np.complex128]:
    """An array from nested lists of [re, im]."""
    return np.array(pairs)[..., 0] + 1j * np.array(pairs)[..., 1]


def test_states_matrices_and_channels(bench: Bench) -> None:
    """Initialize, unitary, kraus, diagonal and multiplexer of a client give the outcomes that they define."""
    instructions = opened(sample("special")).experiments[0].instructions
    init, unitary, kraus, diagonal, multiplexer = (step.params for step in instructions[:5])
    state = np.kron([1, 0], array(init))
    state = np.kron(array(unitary[0]), np.eye(2)) @ state
    total = np.zeros(8)
    for branch_operator in kraus:
        branch = np.kron(np.eye(4), array(branch_operator)) @ state
        branch = np.kron(np.eye(2), np.diag(array(diagonal))) @ branch
        flipped = branch.copy()
        for index in range(8):  # x on qubit 2 where qubit 0 is 1
            if index & 1:
                flipped[index] = branch[index ^ 4]
        total += np.abs(flipped) ** 2
    assert multiplexer[1] == [[0, 1], [1, 0]]
    result = bench.run({**sample("special"), "config": {"shots": 50_000, "seed_simulator": 3}}, SIMULATOR)

    assert p_value(counts(result), total) > 1e-6


def test_every_relation_of_a_condition(bench: Bench) -> None:
    """For each relation, mask, value and register a conditional gate happens exactly when it should."""
    rng = np.random.default_rng(5)
    cases = [
        (relation, int(rng.integers(8)), int(rng.integers(10)), register)
        for relation in RELATIONS
        for register in range(8)
        for _ in range(6)
    ]
    experiments = [
        [
            *(gate("x", [bit]) for bit in range(3) if register >> bit & 1),
            *(gate("measure", [bit], memory=[bit], register=[bit]) for bit in range(3)),
            {"name": "bfunc", "mask": hex(mask), "relation": relation, "val": value, "register": 6},
            gate("x", [3], conditional=6),
            measure(3),
        ]
        for relation, mask, value, register in cases
    ]
    result = bench.run(program(*experiments, shots=3), SIMULATOR)

    for index, (relation, mask, value, register) in enumerate(cases):
        happened = RELATIONS[relation](register & mask, value)
        assert counts(result, index) == {register | happened << 3: 3}, cases[index]


def test_the_relations_are_those_of_the_reference() -> None:
    """No relation that is accepted goes untested; a single equals sign is an alias."""
    assert set(circuits.RELATIONS) == {*RELATIONS, "="}


def test_conditions_on_a_register_and_on_a_bit(bench: Bench) -> None:
    """A client's program with conditions, a reset and a delay gives the outcomes worked out by hand.

    Qubit 0 is a coin a[0]; x on qubit 1 if a == 1, so b[1] equals the coin, and so does b[2]; a[1] reads the
    qubit after its reset.
    """
    result = bench.run({**sample("cond"), "config": {"shots": 4000, "seed_simulator": 3}}, SIMULATOR)
    found = counts(result)

    assert set(found) == {0b00000, 0b11001}
    assert p_value({0: found[0], 1: found[0b11001]}, np.array([0.5, 0.5])) > 1e-6


def test_a_register_remembers_when_its_qubit_is_measured_again(bench: Bench) -> None:
    """A condition tests the register as it was when the boolean function was computed."""
    result = bench.run(
        program(
            [
                gate("x", [0]),
                gate("measure", [0], memory=[0], register=[0]),
                {"name": "bfunc", "mask": "0x1", "relation": "==", "val": "0x1", "register": 4},
                gate("x", [0]),
                gate("measure", [0], memory=[0], register=[0]),
                gate("x", [1], conditional=4),
                measure(1),
            ]
        ),
        SIMULATOR,
    )

    assert counts(result) == {0b10: 1000}


def test_registers_without_memory_stay_hidden(bench: Bench) -> None:
    """A measurement into a register alone drives a condition and leaves no bit in the result."""
    result = bench.run(
        program(
            [
                gate("x", [0]),
                gate("measure", [0], register=[7]),
                gate("x", [1], conditional=7),
                {"name": "copy", "register_orig": 7, "register_copy": [8, 9]},
                gate("x", [2], conditional=9),
                gate("measure", [1, 2], memory=[0, 1]),
            ],
            memory=True,
            shots=5,
        ),
        SIMULATOR,
    )

    assert counts(result) == {0b11: 5}
    assert result["results"][0]["data"]["memory"] == ["0x3"] * 5


def test_a_register_that_nobody_wrote_reads_zero(bench: Bench) -> None:
    """Bits of a mask that were never measured are 0, as in a condition on a register measured in part."""
    result = bench.run(
        program(
            [
                {"name": "bfunc", "mask": "0xff", "relation": "==", "val": "0x0", "register": 9, "memory": 2},
                gate("x", [0], conditional=9),
                measure(0),
            ],
            shots=5,
        ),
        SIMULATOR,
    )

    assert counts(result) == {0b101: 5}


def test_the_oldest_form_of_a_condition(bench: Bench) -> None:
    """A condition written as an object tests the memory."""
    condition = {"mask": "0x3", "type": "equals", "val": "0x1"}
    result = bench.run(
        program([gate("x", [0]), measure(0, 1), gate("x", [2], conditional=condition), measure(2)], shots=5),
        SIMULATOR,
    )

    assert counts(result) == {0b101: 5}


def test_measurements_and_resets_on_conditions(bench: Bench) -> None:
    """A condition guards measurements and resets like gates."""
    result = bench.run(
        program(
            [
                gate("x", [0]),
                gate("x", [1]),
                gate("x", [2]),
                gate("measure", [0], register=[0], memory=[0]),
                {"name": "bfunc", "mask": 1, "relation": "!=", "val": 1, "register": 1},
                gate("reset", [1], conditional=0),
                gate("reset", [2], conditional=1),
                gate("measure", [2], memory=[4], register=[4], conditional=1),
                measure(1, 2),
            ],
            shots=5,
        ),
        SIMULATOR,
    )

    assert counts(result) == {0b101: 5}


def test_a_hundred_memory_slots(bench: Bench) -> None:
    """Outcomes wider than a machine word are single hexadecimal numbers without leading zeros."""
    result = bench.run({**sample("slots"), "experiments": sample("slots")["experiments"]}, SIMULATOR)
    data = result["results"][0]["data"]

    assert set(data["counts"]) == {hex(1 << 70), hex(1 << 70 | 1 << 99 | 1)}
    assert set(data["memory"]) == set(data["counts"])


def test_bound_parameters(bench: Bench) -> None:
    """Two experiments that differ in an angle differ in their outcomes."""
    result = bench.run({**sample("param"), "config": {"shots": 20_000, "seed_simulator": 3}}, SIMULATOR)

    for index, angle in enumerate((0.1, 1.2)):
        up = np.sin(angle / 2) ** 2
        assert p_value(counts(result, index), np.array([1 - up, up])) > 1e-6


def test_saved_quantities_are_json(bench: Bench) -> None:
    """States are lists of pairs, probabilities go by hexadecimal outcome."""
    data = bench.run(sample("saves"), SIMULATOR)["results"][0]["data"]

    half = pytest.approx(0.5)
    assert np.allclose(data["statevector"], [[0.5**0.5, 0], [0, 0], [0, 0], [0.5**0.5, 0]])
    assert data["expectation_value"] == pytest.approx(2.0)
    assert data["probabilities"] == {"0x0": half, "0x3": half}
    assert set(data["counts"]) == {"0x0", "0x3"}


@pytest.mark.parametrize(
    ("save", "wanted"),
    [
        ("save_density_matrix", {"density_matrix": [[[1, 0], [0, 0]], [[0, 0], [0, 0]]]}),
        ("save_probabilities", {"probabilities": [1, 0]}),
        ("save_statevector_dict", {"statevector_dict": {"0x0": [1, 0]}}),
        ("save_unitary", {"unitary": [[[1, 0], [0, 0]], [[0, 0], [1, 0]]]}),
        ("save_stabilizer", {"stabilizer": {"stabilizer": ["+Z"], "destabilizer": ["+X"]}}),
        ("save_amplitudes", {"amplitudes": [[1, 0]]}),
        ("save_amplitudes_sq", {"amplitudes_squared": [1]}),
    ],
)
def test_each_kind_of_save(bench: Bench, save: str, wanted: dict[str, object]) -> None:
    """What is saved has the default label and no counts beside it, since nothing was measured."""
    params = [[0]] if save.startswith("save_amplitudes") else []
    step = {"name": save, "qubits": [0], **({"params": params[0]} if params else {})}
    data = bench.run(program([gate("id", [0]), step]), SIMULATOR)["results"][0]["data"]

    assert data == wanted


def test_snapshots_of_the_first_clients(bench: Bench) -> None:
    """A snapshot appears under its type and label, as a list of values."""
    snapshot = {"name": "snapshot", "label": "here", "snapshot_type": "statevector", "qubits": [0]}
    data = bench.run(program([gate("x", [0]), snapshot, measure(0)], shots=5), SIMULATOR)["results"][0]["data"]

    assert data["snapshots"] == {"statevector": {"here": [[[0, 0], [1, 0]]]}}
    assert data["counts"] == {"0x1": 5}


def test_a_superoperator_is_a_channel(bench: Bench) -> None:
    """A superoperator that forgets half of a state gives the mixture."""
    keep, damp = np.sqrt(0.5), 0.5
    matrix = np.array([[1, 0, 0, damp], [0, keep, 0, 0], [0, 0, keep, 0], [0, 0, 0, 1 - damp]])
    result = bench.run(
        program([gate("x", [0]), gate("superop", [0], matrix.tolist()), measure(0)], shots=20_000), SIMULATOR
    )

    assert p_value(counts(result), np.array([0.5, 0.5])) > 1e-6


@pytest.mark.parametrize("params", [["+", "1"], ["+1"], [2]])
def test_initialize_by_name_or_number(bench: Bench, params: list[object]) -> None:
    """A label names the qubits from the most significant; a number is a basis state."""
    result = bench.run(program([{**gate("initialize", [0, 1]), "params": params}, measure(0, 1)]), SIMULATOR)

    assert set(counts(result)) == ({0b10} if params == [2] else {0b01, 0b11})


def test_nothing_measured_reads_zero(bench: Bench) -> None:
    """A program without measurements has all shots at zero."""
    result = bench.run(program([gate("h", [0])], memory_slots=2, memory=True, shots=3), SIMULATOR)

    assert result["results"][0]["data"] == {"counts": {"0x0": 3}, "memory": ["0x0"] * 3}


@pytest.mark.parametrize(
    "on", ["ibmq_qasm_simulator", "simulator_statevector", "simulator_mps", "simulator_stabilizer"]
)
def test_each_simulator_does_teleportation(bench: Bench, on: str) -> None:
    """Each method that knows conditions moves a state with them."""
    steps_ = [
        gate("x", [0]),
        gate("h", [1]),
        gate("cx", [1, 2]),
        gate("cx", [0, 1]),
        gate("h", [0]),
        gate("measure", [0, 1], memory=[0, 1], register=[0, 1]),
        {"name": "bfunc", "mask": "0x2", "relation": "==", "val": "0x2", "register": 2},
        gate("x", [2], conditional=2),
        gate("z", [2], conditional=0),
        measure(2),
    ]
    found = counts(bench.run(program(steps_), on))

    assert set(found) == {0b100, 0b101, 0b110, 0b111}


def test_bits_of_a_wide_comparison() -> None:
    """An expression over many bits is built, with one hidden bit for each register that matters."""
    built = circuits.build(
        steps(
            measure(0, 1) | {"register": [0, 200]},
            {"name": "bfunc", "mask": hex(1 << 200 | 1), "relation": "<", "val": hex(1 << 200), "register": 3},
        ),
        slots=2,
        phase=0.0,
        native=methods.native(methods.STATEVECTOR),
    )

    assert built.circuit.num_clbits == 2 + 3


#: Noise that changes nothing, which only Aer computes.
SILENT = {"errors": [{"type": "roerror", "operations": ["measure"], "probabilities": [[1.0, 0.0], [0.0, 1.0]]}]}
ZERO = {"name": "bfunc", "mask": "0x1", "relation": "==", "val": "0x0"}


@pytest.mark.parametrize("noise", [{}, {"noise_model": SILENT}])
@pytest.mark.parametrize(
    ("before", "word"),
    [
        ([ZERO | {"memory": [0]}], 0b01),
        ([gate("x", [0]), ZERO | {"memory": [1]}], 0b10),
        ([ZERO | {"memory": [0, 1], "register": [0]}], 0b11),
        ([ZERO | {"register": [1]}, ZERO | {"memory": [0], "register": [0, 1], "conditional": 1}], 0b01),
        ([{"name": "copy", "register_orig": 9, "register_copy": [0]}, ZERO | {"memory": [0]}], 0b01),
        ([{"name": "copy", "register_orig": 9, "register_copy": [0]}, gate("x", [1]), measure(0, 1)], 0b10),
        ([ZERO | {"memory": [0]}, gate("x", [1]), gate("measure", [1], memory=[1])], 0b11),
    ],
)
def test_bits_that_are_computed_and_not_measured(
    bench: Bench, before: list[Json], word: int, noise: dict[str, Json]
) -> None:
    """What a program computes of bits is in its counts, whatever is measured; values are read before any is written."""
    found = counts(bench.run(program(before, memory_slots=2, **noise), SIMULATOR))

    assert found == {word: 1000}


def test_a_circuit_with_computed_bits_is_measured() -> None:
    """Aer looks at the memory of circuits with a measurement only; theirs goes to a hidden bit."""
    hidden = circuits.build(
        steps(ZERO | {"memory": [0]}), slots=1, phase=0.0, native=methods.native(methods.STATEVECTOR)
    )

    assert hidden.circuit.count_ops()["measure"] == 1
    assert hidden.circuit.num_clbits == 1 + 1 + 1
