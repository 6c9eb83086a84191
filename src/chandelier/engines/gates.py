# SPDX-License-Identifier: Apache-2.0
"""The gates a program may name, and how each becomes an operation of Qiskit.

Angles are radians. A gate's first qubit is the least significant of its matrix, controls come first.

Source: legacy API reference, sections 9.5 and 12.2.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from qiskit.circuit import Gate, Operation
from qiskit.circuit import library as lib

from chandelier import errors
from chandelier.formats import qobj


class Shape(NamedTuple):
    """How many parameters and qubits a gate takes.

    Attributes:
        params: Number of real parameters.
        qubits: Number of qubits; for a gate with any number of controls the smallest.
        controlled: Whether more qubits mean more controls.
    """

    params: int
    qubits: int
    controlled: bool = False


#: An operation and which of the qubits of the whole it acts on.
Part = tuple[Operation, tuple[int, ...]]


class _Row(NamedTuple):
    make: Callable[..., Gate]
    params: int
    qubits: int


def _identity(*_unused: float) -> Gate:
    return lib.IGate()


#: Gates of a fixed number of qubits: name, class, parameters, qubits.
_FIXED: Final[Mapping[str, _Row]] = {
    "id": _Row(lib.IGate, 0, 1),
    "u0": _Row(_identity, 1, 1),
    "nop": _Row(_identity, 0, 1),
    "x": _Row(lib.XGate, 0, 1),
    "y": _Row(lib.YGate, 0, 1),
    "z": _Row(lib.ZGate, 0, 1),
    "h": _Row(lib.HGate, 0, 1),
    "s": _Row(lib.SGate, 0, 1),
    "sdg": _Row(lib.SdgGate, 0, 1),
    "t": _Row(lib.TGate, 0, 1),
    "tdg": _Row(lib.TdgGate, 0, 1),
    "sx": _Row(lib.SXGate, 0, 1),
    "sxdg": _Row(lib.SXdgGate, 0, 1),
    "p": _Row(lib.PhaseGate, 1, 1),
    "u1": _Row(lib.U1Gate, 1, 1),
    "u2": _Row(lib.U2Gate, 2, 1),
    "u3": _Row(lib.U3Gate, 3, 1),
    "u": _Row(lib.UGate, 3, 1),
    "U": _Row(lib.UGate, 3, 1),
    "r": _Row(lib.RGate, 2, 1),
    "rx": _Row(lib.RXGate, 1, 1),
    "ry": _Row(lib.RYGate, 1, 1),
    "rz": _Row(lib.RZGate, 1, 1),
    "rv": _Row(lib.RVGate, 3, 1),
    "cx": _Row(lib.CXGate, 0, 2),
    "CX": _Row(lib.CXGate, 0, 2),
    "cy": _Row(lib.CYGate, 0, 2),
    "cz": _Row(lib.CZGate, 0, 2),
    "ch": _Row(lib.CHGate, 0, 2),
    "cs": _Row(lib.CSGate, 0, 2),
    "csdg": _Row(lib.CSdgGate, 0, 2),
    "csx": _Row(lib.CSXGate, 0, 2),
    "cp": _Row(lib.CPhaseGate, 1, 2),
    "cu1": _Row(lib.CU1Gate, 1, 2),
    "cu3": _Row(lib.CU3Gate, 3, 2),
    "cu": _Row(lib.CUGate, 4, 2),
    "crx": _Row(lib.CRXGate, 1, 2),
    "cry": _Row(lib.CRYGate, 1, 2),
    "crz": _Row(lib.CRZGate, 1, 2),
    "swap": _Row(lib.SwapGate, 0, 2),
    "iswap": _Row(lib.iSwapGate, 0, 2),
    "dcx": _Row(lib.DCXGate, 0, 2),
    "ecr": _Row(lib.ECRGate, 0, 2),
    "rxx": _Row(lib.RXXGate, 1, 2),
    "ryy": _Row(lib.RYYGate, 1, 2),
    "rzz": _Row(lib.RZZGate, 1, 2),
    "rzx": _Row(lib.RZXGate, 1, 2),
    "xx_minus_yy": _Row(lib.XXMinusYYGate, 2, 2),
    "xx_plus_yy": _Row(lib.XXPlusYYGate, 2, 2),
    "ccx": _Row(lib.CCXGate, 0, 3),
    "ccz": _Row(lib.CCZGate, 0, 3),
    "cswap": _Row(lib.CSwapGate, 0, 3),
    "rccx": _Row(lib.RCCXGate, 0, 3),
    "rcccx": _Row(lib.RC3XGate, 0, 4),
    "c3sx": _Row(lib.C3SXGate, 0, 4),
    "c3sqrtx": _Row(lib.C3SXGate, 0, 4),
}

#: Gates with any number of controls: name, class of the controlled gate, its parameters and qubits.
_CONTROLLED: Final[Mapping[str, _Row]] = {
    "mcx": _Row(lib.XGate, 0, 1),
    "mcx_gray": _Row(lib.XGate, 0, 1),
    "mcy": _Row(lib.YGate, 0, 1),
    "mcz": _Row(lib.ZGate, 0, 1),
    "mcsx": _Row(lib.SXGate, 0, 1),
    "mcp": _Row(lib.PhaseGate, 1, 1),
    "mcphase": _Row(lib.PhaseGate, 1, 1),
    "mcu1": _Row(lib.U1Gate, 1, 1),
    "mcu2": _Row(lib.U2Gate, 2, 1),
    "mcu3": _Row(lib.U3Gate, 3, 1),
    "mcrx": _Row(lib.RXGate, 1, 1),
    "mcry": _Row(lib.RYGate, 1, 1),
    "mcrz": _Row(lib.RZGate, 1, 1),
    "mcr": _Row(lib.RGate, 2, 1),
    "mcswap": _Row(lib.SwapGate, 0, 2),
    "cu2": _Row(lib.U2Gate, 2, 1),
}

#: One client sends the angles θ, φ, λ of the general rotation with every gate on one qubit, whatever the gate
#: takes; these are the ones that the gate takes.
_EULER: Final[Mapping[str, tuple[int, ...]]] = {
    "u1": (2,),
    "p": (2,),
    "rz": (2,),
    "rx": (0,),
    "ry": (0,),
    "u2": (1, 2),
    "u0": (0,),
}

SHAPES: Final[Mapping[str, Shape]] = {
    **{name: Shape(row.params, row.qubits) for name, row in _FIXED.items()},
    **{name: Shape(row.params, row.qubits, controlled=True) for name, row in _CONTROLLED.items()},
    "mcu": Shape(4, 1, controlled=True),
    "cu2": Shape(2, 2),
}

#: Gates that map Pauli operators to Pauli operators, so that a stabilizer simulator can do them.
CLIFFORD: Final = frozenset(
    "id u0 nop x y z h s sdg sx sxdg cx CX cy cz swap iswap dcx ecr pauli".split()  # noqa: SIM905 -- a table
)

#: Gates that an extended stabilizer simulator can do.
CLIFFORD_T: Final = CLIFFORD | frozenset({"t", "tdg", "p", "u1", "rz", "ccx", "ccz"})


def parameters(name: str, qubits: int, params: qobj.Json) -> list[float]:
    """Check a gate's arity and parameters.

    Returns:
        The parameters, as many as the gate takes.

    Raises:
        errors.ProgramRefused: Code 8004.
    """
    shape = SHAPES[name]
    if qubits < shape.qubits or (qubits > shape.qubits and not shape.controlled):
        least = "at least " if shape.controlled else ""
        raise errors.ProgramRefused(f"it takes {least}{shape.qubits} qubits, not {qubits}", 8004)
    values = [] if params is None else params
    if not isinstance(values, list) or not all(_real(value) for value in values):
        raise errors.ProgramRefused("its parameters must be a list of finite numbers", 8004)
    if len(values) == 3 and shape.params < 3 and shape.qubits == 1 and not shape.controlled:
        values = [values[index] for index in _EULER.get(name, ())] if shape.params else []
    if len(values) != shape.params:
        raise errors.ProgramRefused(f"it takes {shape.params} parameters, not {len(values)}", 8004)
    return [float(value) for value in values]


def operation(name: str, qubits: int, params: Sequence[float], native: frozenset[str]) -> Gate:
    """Make the operation of a gate.

    Args:
        name: One of `SHAPES`.
        qubits: Number of qubits.
        params: As `parameters` gave them.
        native: Names that the simulator takes as they are.
    """
    if name in _FIXED:
        return _FIXED[name].make(*params)
    if name in native:
        return Gate(name, qubits, list(params))
    if name == "mcu":
        theta, phi, lam, gamma = params
        return _controlled_u(theta, phi, lam, gamma, qubits - 1)
    row = _CONTROLLED[name]
    gate = row.make(*params)
    controls = qubits - row.qubits
    return gate.control(controls, annotated=False) if controls else gate


def flattened(gate: Operation, native: frozenset[str]) -> tuple[list[Part], float]:
    """Break an operation into ones that the simulator takes.

    Returns:
        The operations with the places of their qubits, and the global phase that they leave out, radians.
    """
    if gate.name in native or getattr(gate, "definition", None) is None:
        return [(gate, tuple(range(gate.num_qubits)))], 0.0
    definition = gate.definition
    parts: list[Part] = []
    phase = float(definition.global_phase)
    for step in definition.data:
        places = tuple(definition.find_bit(qubit).index for qubit in step.qubits)
        inner, more = flattened(step.operation, native)
        parts += [(part, tuple(places[index] for index in local)) for part, local in inner]
        phase += more
    return parts, phase


def _controlled_u(theta: float, phi: float, lam: float, gamma: float, controls: int) -> Gate:
    gate = lib.UGate(theta, phi, lam)
    if controls == 0:
        return gate
    if controls == 1:
        return lib.CUGate(theta, phi, lam, gamma)
    return lib.CUGate(theta, phi, lam, gamma).control(controls - 1, annotated=False)


def _real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
