# SPDX-License-Identifier: Apache-2.0
"""Every gate as a matrix, written down from its published definition and not taken from the libraries under test.

The first qubit is the least significant of a matrix, controls come first. Angles are radians.

Source: Cross, Bishop, Smolin and Gambetta, arXiv:1707.03429, with its library `qelib1.inc`; Nielsen and Chuang,
section 4.2; for the rest as noted.
"""

import cmath
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

Matrix = NDArray[np.complex128]

_I: Final[Matrix] = np.eye(2, dtype=np.complex128)
_X: Final[Matrix] = np.array([[0, 1], [1, 0]], dtype=np.complex128)
_Y: Final[Matrix] = np.array([[0, -1j], [1j, 0]])
_Z: Final[Matrix] = np.array([[1, 0], [0, -1]], dtype=np.complex128)
_H: Final[Matrix] = np.array([[1, 1], [1, -1]], dtype=np.complex128) * math.sqrt(0.5)
_SX: Final[Matrix] = np.array([[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]])
_SWAP: Final[Matrix] = np.eye(4, dtype=np.complex128)[[0, 2, 1, 3]]


def matrix(name: str, params: Sequence[float], qubits: int) -> Matrix:
    """The matrix of a gate.

    Args:
        name: As in a program.
        params: Its parameters.
        qubits: Number of its qubits; for a gate with any number of controls this tells how many.

    Returns:
        complex128, shape (2**qubits, 2**qubits).
    """
    if name in CONTROLLED:
        base = CONTROLLED[name](*params)
        return controlled(base, qubits - (len(base).bit_length() - 1))
    return FIXED[name](*params)


def controlled(base: Matrix, controls: int) -> Matrix:
    """What a matrix becomes with some controls, all of which must be 1."""
    count = len(base) << controls
    whole = np.eye(count, dtype=np.complex128)
    places = np.arange(len(base)) << controls | (1 << controls) - 1
    whole[np.ix_(places, places)] = base
    return whole


def tensor(*factors: Matrix) -> Matrix:
    """Matrices on qubits of their own, the first least significant."""
    whole = np.eye(1, dtype=np.complex128)
    for factor in factors:
        whole = np.kron(factor, whole).astype(np.complex128)
    return whole


def phase(angle: float) -> Matrix:
    """The phase of 1."""
    return np.diag([1, cmath.exp(1j * angle)])


def turn(angle: float, axis: Matrix) -> Matrix:
    """The rotation exp(-i angle/2 axis)."""
    turned: Matrix = expm(-0.5j * angle * axis)
    return turned


def general(theta: float, phi: float, lam: float) -> Matrix:
    """The general rotation. Source: arXiv:1707.03429, equation 2, with the phase of OpenQASM 3."""
    cosine, sine = math.cos(theta / 2), math.sin(theta / 2)
    return np.array(
        [
            [cosine, -cmath.exp(1j * lam) * sine],
            [cmath.exp(1j * phi) * sine, cmath.exp(1j * (phi + lam)) * cosine],
        ]
    )


def with_phase(theta: float, phi: float, lam: float, gamma: float) -> Matrix:
    """The general rotation and a phase of everything."""
    return cmath.exp(1j * gamma) * general(theta, phi, lam)


def _u2(phi: float, lam: float) -> Matrix:
    return general(math.pi / 2, phi, lam)


def _r(theta: float, phi: float) -> Matrix:
    return turn(theta, math.cos(phi) * _X + math.sin(phi) * _Y)


def _rv(x: float, y: float, z: float) -> Matrix:
    return turn(1.0, x * _X + y * _Y + z * _Z)


def _ecr() -> Matrix:
    """Cross resonance, its echo, cross resonance again. Source: Sheldon et al., arXiv:1603.04821, figure 1."""
    half = turn(math.pi / 4, tensor(_Z, _X))
    return half.conj().T @ tensor(_X, _I) @ half


def _between(theta: float, beta: float, signs: float) -> Matrix:
    """A rotation between two states whose bits differ: of 00 and 11 if `signs` is -1, of 01 and 10 if it is 1."""
    turned = turn(theta, (tensor(_X, _X) + signs * tensor(_Y, _Y)) / 2)
    frame = tensor(turn(-beta, _Z), _I) if signs > 0 else tensor(_I, turn(beta, _Z))
    return frame @ turned @ frame.conj().T


def _product(*steps: tuple[Matrix, tuple[int, ...]], qubits: int) -> Matrix:
    """The matrix of a circuit, of steps in their order."""
    whole = np.eye(1 << qubits, dtype=np.complex128)
    for factor, places in steps:
        whole = embedded(factor, places, qubits) @ whole
    return whole


def embedded(factor: Matrix, places: Sequence[int], qubits: int) -> Matrix:
    """A matrix on some of several qubits, entry by entry."""
    size = 1 << qubits
    whole = np.zeros((size, size), dtype=np.complex128)
    others = ~sum(1 << place for place in places)
    for column in range(size):
        inner = sum((column >> place & 1) << at for at, place in enumerate(places))
        for row in range(len(factor)):
            target = column & others | sum((row >> at & 1) << place for at, place in enumerate(places))
            whole[target, column] = factor[row, inner]
    return whole


def _rccx() -> Matrix:
    """Source: `rccx` of qelib1.inc; Maslov, arXiv:1508.03273, figure 3."""
    cx, t, tdg, u2 = controlled(_X, 1), phase(math.pi / 4), phase(-math.pi / 4), _u2(0, math.pi)
    inner = [(t, (2,)), (cx, (1, 2)), (tdg, (2,)), (cx, (0, 2)), (t, (2,)), (cx, (1, 2)), (tdg, (2,))]
    return _product((u2, (2,)), *inner, (u2, (2,)), qubits=3)


def _rcccx() -> Matrix:
    """Source: `rc3x` of qelib1.inc; Maslov, arXiv:1508.03273, figure 4."""
    cx, t, tdg, u2 = controlled(_X, 1), phase(math.pi / 4), phase(-math.pi / 4), _u2(0, math.pi)
    outer = [(u2, (3,)), (t, (3,)), (cx, (2, 3)), (tdg, (3,)), (u2, (3,))]
    inner = [(cx, (0, 3)), (t, (3,)), (cx, (1, 3)), (tdg, (3,))]
    return _product(*outer, *inner, *inner, *outer, qubits=4)


def _constant(value: Matrix) -> Callable[..., Matrix]:
    return lambda *_unused: value


#: Gates of a fixed number of qubits.
FIXED: Final[Mapping[str, Callable[..., Matrix]]] = {
    "id": _constant(_I),
    "u0": _constant(_I),
    "nop": _constant(_I),
    "x": _constant(_X),
    "y": _constant(_Y),
    "z": _constant(_Z),
    "h": _constant(_H),
    "s": _constant(phase(math.pi / 2)),
    "sdg": _constant(phase(-math.pi / 2)),
    "t": _constant(phase(math.pi / 4)),
    "tdg": _constant(phase(-math.pi / 4)),
    "sx": _constant(_SX),
    "sxdg": _constant(_SX.conj().T),
    "p": phase,
    "u1": phase,
    "u2": _u2,
    "u3": general,
    "u": general,
    "U": general,
    "r": _r,
    "rx": lambda angle: turn(angle, _X),
    "ry": lambda angle: turn(angle, _Y),
    "rz": lambda angle: turn(angle, _Z),
    "rv": _rv,
    "swap": _constant(_SWAP),
    "iswap": _constant(_SWAP * np.array([1, 1j, 1j, 1])),
    "dcx": _constant(_product((controlled(_X, 1), (0, 1)), (controlled(_X, 1), (1, 0)), qubits=2)),
    "ecr": _constant(_ecr()),
    "rxx": lambda angle: turn(angle, tensor(_X, _X)),
    "ryy": lambda angle: turn(angle, tensor(_Y, _Y)),
    "rzz": lambda angle: turn(angle, tensor(_Z, _Z)),
    "rzx": lambda angle: turn(angle, tensor(_Z, _X)),
    "xx_minus_yy": lambda theta, beta: _between(theta, beta, -1.0),
    "xx_plus_yy": lambda theta, beta: _between(theta, beta, 1.0),
    "rccx": _constant(_rccx()),
    "rcccx": _constant(_rcccx()),
}

#: Gates with controls: what they control. All qubits before those of the matrix are controls.
CONTROLLED: Final[Mapping[str, Callable[..., Matrix]]] = {
    "cx": _constant(_X),
    "CX": _constant(_X),
    "cy": _constant(_Y),
    "cz": _constant(_Z),
    "ch": _constant(_H),
    "cs": _constant(phase(math.pi / 2)),
    "csdg": _constant(phase(-math.pi / 2)),
    "csx": _constant(_SX),
    "cp": phase,
    "cu1": phase,
    "cu2": _u2,
    "cu3": general,
    "cu": with_phase,
    "crx": FIXED["rx"],
    "cry": FIXED["ry"],
    "crz": FIXED["rz"],
    "ccx": _constant(_X),
    "ccz": _constant(_Z),
    "cswap": _constant(_SWAP),
    "c3sx": _constant(_SX),
    "c3sqrtx": _constant(_SX),
    "mcx": _constant(_X),
    "mcx_gray": _constant(_X),
    "mcy": _constant(_Y),
    "mcz": _constant(_Z),
    "mcsx": _constant(_SX),
    "mcp": phase,
    "mcphase": phase,
    "mcu1": phase,
    "mcu2": _u2,
    "mcu3": general,
    "mcu": with_phase,
    "mcrx": FIXED["rx"],
    "mcry": FIXED["ry"],
    "mcrz": FIXED["rz"],
    "mcr": _r,
    "mcswap": _constant(_SWAP),
}
