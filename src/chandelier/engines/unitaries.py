# SPDX-License-Identifier: Apache-2.0
"""The gates as numbers: how many of a gate's qubits are controls, and what it does to the others.

A gate's first qubit is the least significant of its matrix, controls come first. A matrix on one qubit is a tuple
of its four entries, row by row, which is faster to make and to multiply than an array.

Source: the matrices in the documentation of Qiskit's circuit library; legacy API reference, section 12.2.
"""

import cmath
import functools
import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chandelier.engines import gates, matrices
from chandelier.formats import qobj

Complex = NDArray[np.complex128]
#: A matrix on one qubit: its entries row by row.
Small = tuple[complex, complex, complex, complex]


#: Number of an instruction's qubits, from the first, that must be 1, and what it then does to the others: four
#: entries, or complex128 of shape (2**others, 2**others).
Unitary = tuple[int, Small | Complex]


_HALF: Final = math.sqrt(0.5)

IDENTITY: Final[Small] = (1, 0, 0, 1)
X: Final[Small] = (0, 1, 1, 0)
Y: Final[Small] = (0, -1j, 1j, 0)
Z: Final[Small] = (1, 0, 0, -1)
H: Final[Small] = (_HALF, _HALF, _HALF, -_HALF)
S: Final[Small] = (1, 0, 0, 1j)
SDG: Final[Small] = (1, 0, 0, -1j)
T: Final[Small] = (1, 0, 0, complex(_HALF, _HALF))
TDG: Final[Small] = (1, 0, 0, complex(_HALF, -_HALF))
SX: Final[Small] = (0.5 + 0.5j, 0.5 - 0.5j, 0.5 - 0.5j, 0.5 + 0.5j)
SXDG: Final[Small] = (0.5 - 0.5j, 0.5 + 0.5j, 0.5 + 0.5j, 0.5 - 0.5j)


def _u(theta: float, phi: float, lam: float) -> Small:
    cos, sin = math.cos(theta / 2), math.sin(theta / 2)
    turn = cmath.rect(1, phi)
    return cos, -cmath.rect(sin, lam), turn * sin, turn * cmath.rect(cos, lam)


def _u2(phi: float, lam: float) -> Small:
    return _u(math.pi / 2, phi, lam)


def _p(lam: float) -> Small:
    return 1, 0, 0, cmath.rect(1, lam)


def _r(theta: float, phi: float) -> Small:
    cos, sin = math.cos(theta / 2), math.sin(theta / 2)
    return cos, -1j * cmath.rect(sin, -phi), -1j * cmath.rect(sin, phi), cos


def _rx(theta: float) -> Small:
    cos, sin = math.cos(theta / 2), math.sin(theta / 2)
    return cos, -1j * sin, -1j * sin, cos


def _ry(theta: float) -> Small:
    cos, sin = math.cos(theta / 2), math.sin(theta / 2)
    return cos, -sin, sin, cos


def _rz(theta: float) -> Small:
    return cmath.rect(1, -theta / 2), 0, 0, cmath.rect(1, theta / 2)


def _cu(theta: float, phi: float, lam: float, gamma: float) -> Small:
    phase = cmath.rect(1, gamma)
    one, two, three, four = _u(theta, phi, lam)
    return phase * one, phase * two, phase * three, phase * four


_CONSTANTS: Final[Mapping[str, Small]] = {
    "id": IDENTITY,
    "u0": IDENTITY,
    "nop": IDENTITY,
    "x": X,
    "y": Y,
    "z": Z,
    "h": H,
    "s": S,
    "sdg": SDG,
    "t": T,
    "tdg": TDG,
    "sx": SX,
    "sxdg": SXDG,
    "cx": X,
    "CX": X,
    "cy": Y,
    "cz": Z,
    "ch": H,
    "cs": S,
    "csdg": SDG,
    "csx": SX,
    "ccx": X,
    "ccz": Z,
    "c3sx": SX,
    "c3sqrtx": SX,
    "mcx": X,
    "mcx_gray": X,
    "mcy": Y,
    "mcz": Z,
    "mcsx": SX,
}

_ROTATIONS: Final[Mapping[str, Callable[..., Small]]] = {
    "p": _p,
    "u1": _p,
    "u2": _u2,
    "u3": _u,
    "u": _u,
    "U": _u,
    "r": _r,
    "rx": _rx,
    "ry": _ry,
    "rz": _rz,
    "cp": _p,
    "cu1": _p,
    "cu2": _u2,
    "cu3": _u,
    "cu": _cu,
    "crx": _rx,
    "cry": _ry,
    "crz": _rz,
    "mcp": _p,
    "mcphase": _p,
    "mcu1": _p,
    "mcu2": _u2,
    "mcu3": _u,
    "mcu": _cu,
    "mcr": _r,
    "mcrx": _rx,
    "mcry": _ry,
    "mcrz": _rz,
}

#: Gates without controls on several qubits, and those on which they act beside their controls.
_LARGE: Final[Mapping[str, int]] = {
    "swap": 2,
    "iswap": 2,
    "dcx": 2,
    "ecr": 2,
    "rxx": 2,
    "ryy": 2,
    "rzz": 2,
    "rzx": 2,
    "xx_minus_yy": 2,
    "xx_plus_yy": 2,
    "rccx": 3,
    "rcccx": 4,
    "cswap": 2,
    "mcswap": 2,
    "rv": 1,
}
#: What a gate with controls does to the qubits that are none.
_INNER: Final[Mapping[str, str]] = {"cswap": "swap", "mcswap": "swap"}

#: Gates that are given by their numbers.
NUMERIC: Final = frozenset({"unitary", "diagonal", "multiplexer"})

#: Gates that change no probability of a measurement that follows.
DIAGONAL: Final = frozenset(
    "id u0 nop z s sdg t tdg p u1 rz cz cs csdg cp cu1 crz ccz rzz mcz mcp mcphase mcu1 mcrz diagonal".split()  # noqa: SIM905 -- a table
)

#: Instructions that `of` knows.
KNOWN: Final = frozenset(_CONSTANTS) | frozenset(_ROTATIONS) | frozenset(_LARGE) | NUMERIC


def of(step: qobj.Instruction) -> Unitary:
    """Read what an instruction of `KNOWN` does.

    Raises:
        errors.ProgramRefused: Code 8004: its parameters are wrong.
    """
    name, count = step.name, len(step.qubits or ())
    if name in _CONSTANTS:
        return count - 1, _CONSTANTS[name]
    if name in NUMERIC:
        return 0, numeric(step)
    params = step.params
    if not params or len(params) != gates.SHAPES[name].params:
        params = gates.parameters(name, count, params)
    if name in _ROTATIONS:
        return count - 1, _ROTATIONS[name](*params)
    return count - _LARGE[name], _large(_INNER.get(name, name), tuple(params))


def whole(step: qobj.Instruction) -> Complex:
    """Write down what an instruction of `KNOWN` does to all of its qubits.

    Returns:
        complex128, shape (2**qubits, 2**qubits), the first qubit the least significant.

    Raises:
        errors.ProgramRefused: Code 8004: its parameters are wrong.
    """
    count, inner = of(step)
    block = np.array(inner, dtype=np.complex128).reshape(math.isqrt(np.size(inner)), -1)
    found: Complex = np.eye(len(block) << count, dtype=np.complex128)
    last = (1 << count) - 1  # of each value of the other qubits, where all controls are 1
    found[last :: last + 1, last :: last + 1] = block
    return found


def controls(step: qobj.Instruction) -> int:
    """Number of an instruction's qubits, from the first, that it only looks at."""
    count, name = len(step.qubits or ()), step.name
    if name in DIAGONAL:
        return count
    return 0 if name in NUMERIC else count - _LARGE.get(name, 1)


def multiplied(second: Small, first: Small) -> Small:
    """Multiply two matrices on one qubit.

    Args:
        second: What happens later.
        first: What happens before.
    """
    a, b, c, d = second
    e, f, g, h = first
    return a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h


def numeric(step: qobj.Instruction) -> Complex:
    """Read the matrix of an instruction that is given by numbers.

    Returns:
        complex128, shape (2**qubits, 2**qubits).

    Raises:
        errors.ProgramRefused: Code 8004 or 8010.
    """
    operation = matrices.operation(step)
    if step.name == "diagonal":
        return np.diag(np.asarray(operation.params, dtype=np.complex128))
    return np.asarray(operation.to_matrix(), dtype=np.complex128)


@functools.lru_cache(maxsize=4096)
def _large(name: str, params: tuple[float, ...]) -> Complex:
    matrix = gates.operation(name, gates.SHAPES[name].qubits, params, frozenset()).to_matrix()
    return np.asarray(matrix, dtype=np.complex128)


def state(step: qobj.Instruction) -> Complex:
    """Read the state that an `initialize` sets.

    Returns:
        complex128, shape (2**qubits,), of norm 1.

    Raises:
        errors.ProgramRefused: Code 8004.
    """
    params, count = step.params, len(step.qubits or ())
    label = params if isinstance(params, str) else "".join(part for part in params if isinstance(part, str))
    if label:
        whole: Complex = np.ones(1, dtype=np.complex128)
        for letter in label:
            whole = np.outer(whole, _STATES[letter]).reshape(-1)
        return whole
    if len(params) == 1:
        chosen = np.zeros(1 << count, dtype=np.complex128)
        chosen[params[0]] = 1
        return chosen
    amplitudes = matrices.numbers(params, 1)
    found: Complex = amplitudes / np.linalg.norm(amplitudes)
    return found


#: States of one qubit by the letters of labels.
_STATES: Final[Mapping[str, Complex]] = {
    "0": np.array([1, 0], dtype=np.complex128),
    "1": np.array([0, 1], dtype=np.complex128),
    "+": np.array([_HALF, _HALF], dtype=np.complex128),
    "-": np.array([_HALF, -_HALF], dtype=np.complex128),
    "r": np.array([_HALF, 1j * _HALF], dtype=np.complex128),
    "l": np.array([_HALF, -1j * _HALF], dtype=np.complex128),
}
