# SPDX-License-Identifier: Apache-2.0
"""What each method of simulation can do.

Source: the basis gates and custom instructions of Aer 0.18, by method.
"""

import functools
from collections.abc import Mapping
from typing import Final, NamedTuple

from qiskit_aer import AerSimulator

from chandelier.engines import gates, matrices, saved

AUTOMATIC: Final = "automatic"
STATEVECTOR: Final = "statevector"
DENSITY_MATRIX: Final = "density_matrix"
MPS: Final = "matrix_product_state"
STABILIZER: Final = "stabilizer"
EXTENDED_STABILIZER: Final = "extended_stabilizer"
UNITARY: Final = "unitary"
SUPEROP: Final = "superop"

#: Instructions that neither act on a state by numbers nor look at it.
STRUCTURE: Final = frozenset({"barrier", "bfunc", "copy", "delay", "measure", "reset", "roerror"})

_ANY_GATE: Final = frozenset(gates.SHAPES) | {"pauli", "unitary", "diagonal", "multiplexer"}
_PROBABILITIES: Final = frozenset({"save_probabilities", "save_probabilities_dict", "save_state"})
_EXPECTATIONS: Final = frozenset({"save_expval", "save_expval_var"})


class Method(NamedTuple):
    """What one method can do.

    Attributes:
        gates: Names of gates.
        others: Names of states, channels and saves.
        structure: Names of those of `STRUCTURE`.
        conditional: Whether instructions may depend on measured bits.
    """

    gates: frozenset[str]
    others: frozenset[str]
    structure: frozenset[str] = STRUCTURE
    conditional: bool = True


METHODS: Final[Mapping[str, Method]] = {
    STATEVECTOR: Method(
        _ANY_GATE,
        _PROBABILITIES
        | _EXPECTATIONS
        | {"initialize", "kraus", "superop", "save_amplitudes", "save_amplitudes_sq", "save_density_matrix"}
        | {"save_statevector", "save_statevector_dict", "set_statevector"},
    ),
    DENSITY_MATRIX: Method(
        _ANY_GATE,
        _PROBABILITIES
        | _EXPECTATIONS
        | {
            "initialize",
            "kraus",
            "superop",
            "save_amplitudes_sq",
            "save_density_matrix",
            "set_density_matrix",
        },
    ),
    MPS: Method(
        _ANY_GATE,
        _PROBABILITIES
        | _EXPECTATIONS
        | {"initialize", "kraus", "superop", "save_amplitudes", "save_amplitudes_sq", "save_density_matrix"}
        | {"save_matrix_product_state", "save_statevector", "set_matrix_product_state"},
    ),
    STABILIZER: Method(
        gates.CLIFFORD,
        _PROBABILITIES | _EXPECTATIONS | {"save_amplitudes_sq", "save_clifford", "save_stabilizer", "set_stabilizer"},
    ),
    EXTENDED_STABILIZER: Method(gates.CLIFFORD_T, frozenset({"save_amplitudes_sq", "save_statevector"})),
    UNITARY: Method(
        _ANY_GATE,
        frozenset({"save_state", "save_unitary", "set_unitary"}),
        structure=frozenset({"barrier", "delay"}),
        conditional=False,
    ),
    SUPEROP: Method(
        _ANY_GATE,
        frozenset({"kraus", "save_state", "save_superop", "set_superop", "superop"}),
        structure=frozenset({"barrier", "delay", "reset"}),
        conditional=False,
    ),
}

#: What only one method can do decides for it, in this order.
DECISIVE: Final[Mapping[str, str]] = {
    "save_unitary": UNITARY,
    "save_superop": SUPEROP,
    "save_stabilizer": STABILIZER,
    "save_clifford": STABILIZER,
    "save_matrix_product_state": MPS,
    "set_unitary": UNITARY,
    "set_superop": SUPEROP,
    "set_stabilizer": STABILIZER,
    "set_matrix_product_state": MPS,
    "set_density_matrix": DENSITY_MATRIX,
}


def takes(method: str, name: str) -> bool:
    """Whether a method can do an instruction; `automatic` can do what any can."""
    if method == AUTOMATIC:
        return any(takes(one, name) for one in METHODS)
    row = METHODS[method]
    return name in row.gates or name in row.others or name in row.structure


#: What Aer 0.18 lists and does wrong: a diagonal matrix as a channel is that of another one, and the extended
#: stabilizer method takes `rz` of Clifford angles only. They are broken into other gates.
_WRONG: Final[Mapping[str, frozenset[str]]] = {
    EXTENDED_STABILIZER: frozenset({"rz"}),
    SUPEROP: frozenset({"diagonal"}),
}


@functools.cache
def native(method: str) -> frozenset[str]:
    """Names that Aer takes as they are."""
    listed = frozenset(AerSimulator(method=method).configuration().basis_gates)
    return listed - _WRONG.get(method, frozenset())


def saves(name: str) -> bool:
    """Whether an instruction only looks at the state."""
    return name == "snapshot" or name.startswith("save_")


def channel(name: str) -> bool:
    """Whether an instruction turns pure states into mixed ones."""
    return name in {"kraus", "superop"}


def known(name: str) -> bool:
    """Whether any method can do an instruction, those of `STRUCTURE` aside."""
    return name in gates.SHAPES or name in matrices.BUILDERS or name in saved.NAMES
