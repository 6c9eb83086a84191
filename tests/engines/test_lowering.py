# SPDX-License-Identifier: Apache-2.0
"""A circuit written down does what the circuit does, with what clients put into circuits today."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from qiskit.circuit import (
    ClassicalRegister,
    Clbit,
    Duration,
    Gate,
    Parameter,
    ParameterVector,
    QuantumCircuit,
    QuantumRegister,
    Qubit,
)
from qiskit.circuit import library as lib
from qiskit.circuit.classical import expr, types
from qiskit.quantum_info import (
    DensityMatrix,
    Operator,
    SparsePauliOp,
    Statevector,
    random_clifford,
    random_unitary,
    state_fidelity,
)

from chandelier import errors
from chandelier.engines import circuits, gates, lowering, matrices, transcript
from chandelier.formats import qobj

#: Gates that the reference knows.
KNOWN = frozenset({"cx", "h", "p", "reset", "rx", "ry", "rz", "u", "unitary", "x"})


def said(circuit: QuantumCircuit, values: Sequence[float] | None = None) -> QuantumCircuit:
    """The circuit that the instructions of a circuit say."""
    lowered = lowering.lower(circuit)
    built = circuits.build(
        lowering.bound(lowered, values), slots=lowered.slots, phase=lowered.phase, native=KNOWN
    ).circuit
    built.add_bits([Qubit() for _ in range(circuit.num_qubits - built.num_qubits)])
    return built


def steps(circuit: QuantumCircuit) -> tuple[qobj.Instruction, ...]:
    """The instructions of a circuit."""
    return lowering.lower(circuit).instructions


def refusal(act: Callable[[], Any]) -> errors.ProgramRefused:
    """Why something is refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        act()
    return caught.value


@pytest.mark.parametrize("name", sorted(gates.SHAPES))
def test_gates_of_the_library_stay_what_they_are(name: str) -> None:
    """Every gate of the engine that Qiskit has, on a superposition, with its phase."""
    shape = gates.SHAPES[name]
    count = shape.qubits + (2 if shape.controlled else 0)
    gate = gates.operation(name, count, [0.3 + 0.4 * place for place in range(shape.params)], frozenset())
    circuit = QuantumCircuit(count, global_phase=0.2)
    for qubit in range(count):
        circuit.u(0.4 + qubit, 0.2, 0.9, qubit)
    circuit.append(gate, list(reversed(range(count))))

    assert np.allclose(Operator(said(circuit)).data, Operator(circuit).data)


MADE: dict[str, Callable[[], tuple[Any, int]]] = {
    "a gate of gates": lambda: (_nested().to_gate(), 2),
    "a controlled gate of gates": lambda: (_nested().to_gate().control(1), 3),
    "controls that want 0": lambda: (lib.XGate().control(2, ctrl_state=1), 3),
    "a matrix": lambda: (lib.UnitaryGate(random_unitary(8, seed=3)), 3),
    "a controlled matrix": lambda: (lib.UnitaryGate(random_unitary(2, seed=3)).control(2, annotated=False), 3),
    "a diagonal": lambda: (lib.DiagonalGate([1, 1j, -1, -1j]), 2),
    "Pauli operators": lambda: (lib.PauliGate("XYZ"), 3),
    "an evolution": lambda: (lib.PauliEvolutionGate(SparsePauliOp(["XX", "ZZ"], [0.3, 0.4]), 0.7), 2),
    "a Fourier transform": lambda: (lib.QFTGate(3), 3),
    "a permutation": lambda: (lib.PermutationGate([2, 0, 1]), 3),
    "a Clifford operator": lambda: (random_clifford(3, seed=5), 3),
    "a linear function": lambda: (lib.LinearFunction([[1, 1], [0, 1]]), 2),
    "a multiplexed rotation": lambda: (lib.UCRYGate([0.1, 0.5]), 2),
    "an annotated gate": lambda: (_nested().to_gate().control(1, annotated=True), 3),
    "a power": lambda: (lib.SXGate().power(0.5), 1),
    "an inverse": lambda: (_nested().to_gate().inverse(), 2),
    "many controls": lambda: (lib.MCXGate(4), 5),
}


def _nested() -> QuantumCircuit:
    inner = QuantumCircuit(2, global_phase=0.4, name="inner")
    inner.h(0)
    inner.cx(0, 1)
    outer = QuantumCircuit(2, name="outer")
    outer.append(inner.to_gate(), [1, 0])
    outer.rz(0.3, 0)
    return outer


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("what", sorted(MADE))
def test_other_operations_are_unrolled(what: str) -> None:
    """What the engine does not know by name it does by its definition, phases included."""
    operation, count = MADE[what]()
    circuit = QuantumCircuit(count)
    circuit.append(operation, range(count))

    assert np.allclose(Operator(said(circuit)).data, Operator(circuit).data)


def test_a_gate_of_ones_own_is_not_ours_by_its_name() -> None:
    """A gate that the program calls `h` and defines as X is X."""
    own = QuantumCircuit(1, name="h")
    own.x(0)
    circuit = QuantumCircuit(1)
    circuit.append(own.to_gate(), [0])

    assert [step.name for step in steps(circuit)] == ["x"]


def test_a_gate_that_is_only_named_is_the_device_s() -> None:
    """Without a definition there is nothing but the name; a name that nothing knows is refused."""
    circuit = QuantumCircuit(2)
    circuit.append(Gate("ecr", 2, []), [0, 1])
    assert [step.name for step in steps(circuit)] == ["ecr"]

    circuit.append(Gate("frobnicate", 1, []), [0])
    error = refusal(lambda: steps(circuit))
    assert error.code == 8001
    assert "frobnicate" in error.message


def test_values_fill_parameters_wherever_they_are() -> None:
    """As alone, in formulas, in gates of gates and in controlled ones: as if they had been assigned."""
    vector, angle = ParameterVector("v", 2), Parameter("a")
    inner = QuantumCircuit(2, name="inner")
    inner.rx(angle, 0)
    inner.rzz(2 * angle - vector[0], 0, 1)
    circuit = QuantumCircuit(3, global_phase=angle)
    circuit.h([0, 1, 2])
    circuit.ry(vector[1], 0)
    circuit.append(inner.to_gate(), [1, 2])
    circuit.cp(vector[0] * vector[1], 0, 2)
    circuit.u(0.1, angle, 0.2, 1)
    values = [0.3, -1.2, 2.1]
    found = Operator(said(circuit, values))

    assert found.equiv(Operator(circuit.assign_parameters(values)))


def test_parameters_without_values_are_named() -> None:
    """A user reads which are missing."""
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("alpha"), 0)
    circuit.rz(Parameter("beta"), 0)
    lowered = lowering.lower(circuit)
    for values in (None, [0.1], [0.1, 0.2, 0.3]):
        error = refusal(lambda values=values: lowering.bound(lowered, values))  # type: ignore[misc]
        assert error.code == 8038
        assert "alpha, beta" in error.message


def test_an_angle_that_is_no_real_number_is_refused() -> None:
    """Values come from formulas too, which may divide by 0 or leave the real numbers."""
    angle = Parameter("a")
    for formula in (1 / angle, angle.log(), (angle - 1) ** 0.5):
        circuit = QuantumCircuit(1)
        circuit.rx(formula, 0)
        lowered = lowering.lower(circuit)
        assert refusal(lambda lowered=lowered: lowering.bound(lowered, [0.0])).code == 8004  # type: ignore[misc]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "ps", "dt"])
def test_delays_keep_their_units(unit: str) -> None:
    """A Qobj knows the same ones."""
    circuit = QuantumCircuit(1)
    circuit.delay(32, 0, unit)
    (step,) = steps(circuit)

    assert (step.name, step.params, step.unit) == ("delay", [32], unit)


def test_delays_may_be_formulas() -> None:
    """Of parameters, and of durations, as far as these say how long they are."""
    length = Parameter("t")
    circuit = QuantumCircuit(1)
    circuit.delay(2 * length, 0, "us")
    circuit.delay(expr.add(Duration.us(1), expr.mul(Duration.ns(500), 2.0)), 0)
    circuit.delay(expr.mul(Duration.dt(100), 3.0), 0)
    found = lowering.bound(lowering.lower(circuit), [1.5])

    assert [(step.params, step.unit) for step in found] == [
        ([3.0], "us"),
        ([pytest.approx(2e-6)], "s"),
        ([300.0], "dt"),
    ]


def test_a_stretch_has_no_length() -> None:
    """Nothing here decides how long it should be."""
    circuit = QuantumCircuit(1)
    circuit.delay(circuit.add_stretch("a"), 0)

    assert lowering.flows(circuit)


def test_registers_may_overlap_and_bits_may_be_in_none() -> None:
    """Slots are the bits of the circuit in its order; registers say which of them they are."""
    bits = [Clbit() for _ in range(5)]
    first, second = ClassicalRegister(name="first", bits=bits[1:4]), ClassicalRegister(name="second", bits=bits[3:0:-1])
    circuit = QuantumCircuit([Qubit(), Qubit()], bits, first, second)
    circuit.measure(1, 4)
    lowered = lowering.lower(circuit)

    assert lowered.slots == 5
    assert lowered.registers == (lowering.Register("first", (1, 2, 3)), lowering.Register("second", (3, 2, 1)))
    assert lowered.instructions[0].memory == (4,)


def test_states_are_prepared_by_numbers_labels_and_amplitudes() -> None:
    """`initialize` in all of its forms."""
    for value, state in ((2, [0, 0, 1, 0]), ("+1", [0, 1, 0, 1]), ([0.6, 0, 0, 0.8j], [0.6, 0, 0, 0.8j])):
        circuit = QuantumCircuit(2)
        circuit.initialize(value)
        (step,) = steps(circuit)
        prepared = QuantumCircuit(2)
        prepared.append(matrices.operation(step), [0, 1])
        wanted = Statevector(np.array(state) / np.linalg.norm(state))
        assert step.name == "initialize"
        assert state_fidelity(DensityMatrix(prepared), wanted) == pytest.approx(1)


def test_conditions_are_those_of_a_qobj() -> None:
    """On bits, registers and comparisons with a number; a loop of known length is unrolled."""
    qubits, bits = QuantumRegister(2), ClassicalRegister(2, "c")
    circuit = QuantumCircuit(qubits, bits)
    circuit.measure(0, 0)
    with circuit.if_test((bits, 3)) as otherwise:
        circuit.x(1)
    with otherwise:
        circuit.z(1)
    with circuit.if_test(expr.logic_not(bits[0])):
        circuit.y(1)
    with circuit.for_loop(range(2)):
        circuit.h(0)
    found = steps(circuit)

    assert not lowering.flows(circuit)
    assert [step.name for step in found if step.conditional is not None] == ["x", "z", "y"]
    assert sum(step.name == "h" for step in found) == 2


def test_what_no_qobj_can_say_is_known() -> None:
    """Loops, choices, variables and expressions, also inside of a branch."""
    made = [QuantumCircuit(QuantumRegister(1), ClassicalRegister(2, "c")) for _ in range(5)]
    with made[0].while_loop((made[0].clbits[0], 1)):
        made[0].x(0)
    with made[1].switch(made[1].cregs[0]) as case, case(1):
        made[1].x(0)
    made[2].add_var("v", expr.lift(1, types.Uint(4)))
    with made[3].if_test(expr.less(made[3].cregs[0], 2)):
        made[3].x(0)
    with made[4].if_test((made[4].clbits[0], 1)), made[4].while_loop((made[4].clbits[1], 1)):
        made[4].x(0)

    assert all(lowering.flows(circuit) for circuit in made)


def test_the_work_is_bounded() -> None:
    """A few gates that contain each other can be billions of instructions."""
    gate: Gate = lib.XGate()
    for level in range(12):
        both = QuantumCircuit(1, name=f"g{level}")
        both.append(gate, [0])
        both.append(gate, [0])
        gate = both.to_gate()
    circuit = QuantumCircuit(1)
    circuit.append(gate, [0])

    assert refusal(lambda: lowering.lower(circuit, transcript.Budget(1000))).code == 8013


def test_a_circuit_that_is_not_sound_is_refused() -> None:
    """Files can say that a block has more wires than its statement."""
    circuit = QuantumCircuit(1, 1)
    body = QuantumCircuit(1, 1)
    body.x(0)
    circuit.if_test((circuit.clbits[0], 1), body, [0], [0])
    circuit.data[0].operation.blocks[0].add_bits([Qubit()])

    assert refusal(lambda: steps(circuit)).code == 8004
