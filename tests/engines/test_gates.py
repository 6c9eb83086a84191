# SPDX-License-Identifier: Apache-2.0
"""Every gate does what its definition says, whichever method runs it."""

import cmath
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from physics import gate, steps
from qiskit.quantum_info import Operator
from qiskit_aer import AerSimulator

from chandelier import errors
from chandelier.engines import circuits, gates, methods, unitaries

Matrix = NDArray[np.complex128]


def u(theta: float, phi: float, lam: float) -> Matrix:
    """The general rotation of OpenQASM, with the upper left entry real."""
    c, s = np.cos(theta / 2), np.sin(theta / 2)
    return np.array([[c, -cmath.exp(1j * lam) * s], [cmath.exp(1j * phi) * s, cmath.exp(1j * (phi + lam)) * c]])


def rotation(generator: Matrix, angle: float) -> Matrix:
    """exp(-i angle/2 generator) of a generator that squares to one."""
    turned: Matrix = np.cos(angle / 2) * np.eye(len(generator)) - 1j * np.sin(angle / 2) * generator
    return turned


def controlled(matrix: Matrix, controls: int) -> Matrix:
    """A gate with controls, which come first and are the least significant bits."""
    size = len(matrix) << controls
    whole = np.eye(size, dtype=complex)
    ones = (1 << controls) - 1
    places = [(index << controls) | ones for index in range(len(matrix))]
    whole[np.ix_(places, places)] = matrix
    return whole


def phase(angle: float) -> Matrix:
    """diag(1, exp(i angle))."""
    return np.diag([1, cmath.exp(1j * angle)]).astype(complex)


I2 = np.eye(2, dtype=complex)
X = np.array([[0, 1], [1, 0]], dtype=complex)
Y = np.array([[0, -1j], [1j, 0]])
Z = np.diag([1, -1]).astype(complex)
H: Matrix = np.array([[1, 1], [1, -1]]).astype(complex) * 0.5**0.5
SX: Matrix = np.array([[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]])
SWAP = np.eye(4, dtype=complex)[[0, 2, 1, 3]]
A, B, C, D = 0.3, 0.7, -1.1, 0.5


def r(theta: float, phi: float) -> Matrix:
    """Rotation about an axis in the equator."""
    return rotation(np.cos(phi) * X + np.sin(phi) * Y, theta)


def xx_yy(theta: float, beta: float, low: int, high: int) -> Matrix:
    """Rotation between two of the states of two qubits."""
    whole = np.eye(4, dtype=complex)
    whole[low, low] = whole[high, high] = np.cos(theta / 2)
    whole[low, high] = -1j * np.sin(theta / 2) * cmath.exp(-1j * beta)
    whole[high, low] = -1j * np.sin(theta / 2) * cmath.exp(1j * beta)
    return whole


def rv(x: float, y: float, z: float) -> Matrix:
    """Rotation about the vector (x, y, z) by its length."""
    angle = np.sqrt(x * x + y * y + z * z)
    return rotation((x * X + y * Y + z * Z) / angle, angle)


def rccx() -> Matrix:
    """A Toffoli gate up to phases, as Qiskit documents it."""
    whole = np.eye(8, dtype=complex)
    whole[3, 3] = whole[7, 7] = 0
    whole[3, 7], whole[7, 3] = -1j, 1j
    whole[5, 5] = -1
    return whole


def rcccx() -> Matrix:
    """A Toffoli gate with three controls, up to phases, as Qiskit documents it."""
    whole = np.eye(16, dtype=complex)
    whole[3, 3], whole[11, 11] = 1j, -1j
    whole[7, 7] = whole[15, 15] = 0
    whole[7, 15], whole[15, 7] = 1, -1
    return whole


#: name, parameters, number of qubits, matrix
REFERENCE: list[tuple[str, tuple[float, ...], int, Matrix]] = [
    ("id", (), 1, I2),
    ("u0", (1.0,), 1, I2),
    ("nop", (), 1, I2),
    ("x", (), 1, X),
    ("y", (), 1, Y),
    ("z", (), 1, Z),
    ("h", (), 1, H),
    ("s", (), 1, phase(np.pi / 2)),
    ("sdg", (), 1, phase(-np.pi / 2)),
    ("t", (), 1, phase(np.pi / 4)),
    ("tdg", (), 1, phase(-np.pi / 4)),
    ("sx", (), 1, SX),
    ("sxdg", (), 1, SX.conj().T),
    ("p", (A,), 1, phase(A)),
    ("u1", (A,), 1, phase(A)),
    ("u2", (A, B), 1, u(np.pi / 2, A, B)),
    ("u3", (A, B, C), 1, u(A, B, C)),
    ("u", (A, B, C), 1, u(A, B, C)),
    ("U", (A, B, C), 1, u(A, B, C)),
    ("r", (A, B), 1, r(A, B)),
    ("rx", (A,), 1, rotation(X, A)),
    ("ry", (A,), 1, rotation(Y, A)),
    ("rz", (A,), 1, rotation(Z, A)),
    ("rv", (A, B, C), 1, rv(A, B, C)),
    ("cx", (), 2, controlled(X, 1)),
    ("CX", (), 2, controlled(X, 1)),
    ("cy", (), 2, controlled(Y, 1)),
    ("cz", (), 2, controlled(Z, 1)),
    ("ch", (), 2, controlled(H, 1)),
    ("cs", (), 2, controlled(phase(np.pi / 2), 1)),
    ("csdg", (), 2, controlled(phase(-np.pi / 2), 1)),
    ("csx", (), 2, controlled(SX, 1)),
    ("cp", (A,), 2, controlled(phase(A), 1)),
    ("cu1", (A,), 2, controlled(phase(A), 1)),
    ("cu2", (A, B), 2, controlled(u(np.pi / 2, A, B), 1)),
    ("cu3", (A, B, C), 2, controlled(u(A, B, C), 1)),
    ("cu", (A, B, C, D), 2, controlled(cmath.exp(1j * D) * u(A, B, C), 1)),
    ("crx", (A,), 2, controlled(rotation(X, A), 1)),
    ("cry", (A,), 2, controlled(rotation(Y, A), 1)),
    ("crz", (A,), 2, controlled(rotation(Z, A), 1)),
    ("swap", (), 2, SWAP),
    ("iswap", (), 2, np.array([[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]])),
    ("dcx", (), 2, np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]], dtype=complex)),
    ("ecr", (), 2, (np.kron(I2, X) - np.kron(X, Y)) / np.sqrt(2)),
    ("rxx", (A,), 2, rotation(np.kron(X, X), A)),
    ("ryy", (A,), 2, rotation(np.kron(Y, Y), A)),
    ("rzz", (A,), 2, rotation(np.kron(Z, Z), A)),
    ("rzx", (A,), 2, rotation(np.kron(X, Z), A)),
    ("xx_plus_yy", (A, B), 2, xx_yy(A, B, 1, 2)),
    ("xx_minus_yy", (A, B), 2, xx_yy(A, B, 0, 3)),
    ("ccx", (), 3, controlled(X, 2)),
    ("ccz", (), 3, controlled(Z, 2)),
    ("cswap", (), 3, controlled(SWAP, 1)),
    ("rccx", (), 3, rccx()),
    ("rcccx", (), 4, rcccx()),
    ("c3sx", (), 4, controlled(SX, 3)),
    ("c3sqrtx", (), 4, controlled(SX, 3)),
    *[
        (name, params, width, controlled(matrix, width - 1))
        for (name, params, matrix), width in itertools.product(
            [
                ("mcx", (), X),
                ("mcx_gray", (), X),
                ("mcy", (), Y),
                ("mcz", (), Z),
                ("mcsx", (), SX),
                ("mcp", (A,), phase(A)),
                ("mcphase", (A,), phase(A)),
                ("mcu1", (A,), phase(A)),
                ("mcu2", (A, B), u(np.pi / 2, A, B)),
                ("mcu3", (A, B, C), u(A, B, C)),
                ("mcu", (A, B, C, D), cmath.exp(1j * D) * u(A, B, C)),
                ("mcrx", (A,), rotation(X, A)),
                ("mcry", (A,), rotation(Y, A)),
                ("mcrz", (A,), rotation(Z, A)),
                ("mcr", (A, B), r(A, B)),
            ],
            (1, 2, 3, 4),
        )
    ],
    *[("mcswap", (), width, controlled(SWAP, width - 2)) for width in (2, 3, 4)],
]


def off_by(found: Matrix, wanted: Matrix) -> float:
    """Largest difference of two matrices up to a global phase."""
    place = np.unravel_index(np.argmax(np.abs(wanted)), wanted.shape)
    turn = found[place] / wanted[place]
    return float(np.abs(found - turn * wanted).max())


def circuit(name: str, params: tuple[float, ...], width: int, method: str) -> circuits.Circuit:
    """The circuit of one gate."""
    step = steps(gate(name, range(width), *params))
    return circuits.build(step, slots=0, phase=0.0, native=methods.native(method))


@pytest.mark.parametrize(("name", "params", "width", "wanted"), REFERENCE)
def test_gate_as_aer_runs_it(name: str, params: tuple[float, ...], width: int, wanted: Matrix) -> None:
    """Aer's unitary of a gate that it takes as it is equals the gate's definition."""
    built = circuit(name, params, width, methods.UNITARY).circuit
    built.save_unitary()
    found = AerSimulator(method="unitary").run(built).result().data()["unitary"]

    assert off_by(np.asarray(found), wanted) < 1e-10


@pytest.mark.parametrize("method", [methods.MPS, methods.DENSITY_MATRIX, methods.STATEVECTOR])
def test_gates_broken_into_smaller_ones(method: str) -> None:
    """A gate that a method lacks is broken into gates that it has, and these have the same unitary."""
    natives = methods.native(method)
    for name, params, width, wanted in REFERENCE:
        built = circuit(name, params, width, method).circuit
        if any(step.operation.name.startswith(("mc", "cu2")) for step in built.data):
            continue  # made for Aer alone; the test above has seen it

        assert {step.operation.name for step in built.data} <= natives, name
        assert off_by(np.asarray(Operator(built).data), wanted) < 1e-10, name


def test_no_gate_without_a_reference() -> None:
    """Every gate of the table is compared with its definition."""
    assert {name for name, *_ in REFERENCE} == set(gates.SHAPES)


def test_global_phase_is_kept() -> None:
    """What a broken gate leaves out goes to the phase of the circuit, so that saved states are exact."""
    found = np.asarray(Operator(circuit("iswap", (), 2, methods.MPS).circuit).data)

    assert np.abs(found - REFERENCE[[row[0] for row in REFERENCE].index("iswap")][3]).max() < 1e-10


@pytest.mark.parametrize(
    ("name", "width", "params"),
    [
        ("h", 2, []),
        ("cx", 1, []),
        ("u3", 1, [0.1]),
        ("u3", 1, [0.1, 0.2, 0.3, 0.4]),
        ("rx", 1, []),
        ("rx", 1, ["pi"]),
        ("rx", 1, [True]),
        ("rx", 1, [float("inf")]),
        ("rx", 1, [[0.1, 0.0]]),
        ("rx", 1, {"theta": 1}),
        ("cx", 2, [0.1]),
        ("mcswap", 1, []),
    ],
)
def test_wrong_arity(name: str, width: int, params: object) -> None:
    """A gate with a wrong number of qubits or parameters, or parameters that are no numbers, is refused."""
    with pytest.raises(errors.ProgramRefused) as refusal:
        gates.parameters(name, width, params)

    assert refusal.value.code == 8004


@pytest.mark.parametrize(
    ("name", "kept"),
    [("x", []), ("u1", [0.3]), ("u2", [0.2, 0.3]), ("rx", [0.1]), ("rz", [0.3]), ("u3", [0.1, 0.2, 0.3])],
)
def test_three_angles_with_every_gate(name: str, kept: list[float]) -> None:
    """A client that sends three angles with every gate on one qubit gets the gate that it means."""
    assert gates.parameters(name, 1, [0.1, 0.2, 0.3]) == kept


@pytest.mark.parametrize("name", sorted(name for name, shape in gates.SHAPES.items() if shape.controlled))
@pytest.mark.parametrize("controls", [1, 2, 3, 4])
def test_matrices_with_controls_are_qiskits(name: str, controls: int) -> None:
    """The matrix that is written down for a gate with controls is that of Qiskit's gate, phase included."""
    count = gates.SHAPES[name].qubits + controls
    angles = np.random.default_rng(controls).uniform(-3, 3, gates.SHAPES[name].params).tolist()
    (step,) = steps(gate(name, range(count), *angles))
    wanted = Operator(gates.operation(name, count, angles, frozenset())).data

    assert np.abs(unitaries.whole(step) - wanted).max() < 1e-12
