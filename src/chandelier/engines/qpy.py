# SPDX-License-Identifier: Apache-2.0
"""Circuits as today's clients send them: QPY made into circuits of Qiskit, after a look at what it contains.

The file is untrusted. `formats.qpy` has walked through it, so that nothing is made of classes that are not listed
and no count is believed; what is left for a hostile file are the limits of its process.
"""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from qiskit import qpy
from qiskit.circuit import CircuitInstruction, Clbit, IfElseOp, QuantumCircuit, Qubit
from qiskit.circuit.annotation import QPYSerializer
from qiskit.qpy import QPY_VERSION

from chandelier import errors
from chandelier.engines import openqasm
from chandelier.formats import qpy as files
from chandelier.formats import texts

#: The newest version that can be read.
NEWEST: Final = QPY_VERSION
#: From this version on expressions of parameters are written without a library.
_PLAIN_FROM: Final = 13


def load(body: bytes, annotations: Mapping[str, Callable[[], QPYSerializer]] | None = None) -> list[QuantumCircuit]:
    """Read the circuits of a file.

    Args:
        body: The file, not compressed.
        annotations: By the beginning of their names, who reads annotations; None to refuse any.

    Raises:
        errors.ProgramRefused: Code 8036: the version is newer than ours; 8037: there are pulses in it; 8039: it cannot
            be read.
    """
    contents = files.scan(body, NEWEST, annotated=annotations is not None)
    if contents.symengine and contents.formulas and contents.version < _PLAIN_FROM:
        raise errors.ProgramRefused(
            "The circuit has expressions of parameters in the form of symengine, which is not read here. Write it with "
            "qpy.dump(..., use_symengine=False), or assign its parameters first.",
            8039,
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            circuits = qpy.load(io.BytesIO(body), annotation_factories=annotations)
            if contents.version >= files.SCRAMBLED_FROM:
                for circuit, places in zip(circuits, contents.conditional, strict=True):
                    _mend(circuit, places)
    except (KeyboardInterrupt, SystemExit, MemoryError, errors.ProgramRefused):
        raise
    except BaseException as error:
        raise errors.ProgramRefused(f"The circuit's QPY cannot be read: {_told(error)}.", 8039) from error
    if not all(isinstance(circuit, QuantumCircuit) for circuit in circuits):
        raise errors.ProgramRefused("The QPY holds something else than circuits.", 8039)
    return list(circuits)


def _mend(circuit: QuantumCircuit, places: Sequence[int]) -> None:
    """Put what is under a condition on its wires.

    Qiskit 2.6 reads such an instruction as a block of one, whose wires have the indices of the whole circuit; to look
    at it at all, the block must have as many wires.
    """
    for place in places:
        step = circuit.data[place]
        statement = step.operation
        if not isinstance(statement, IfElseOp):
            raise errors.ProgramRefused("A condition (c_if) is not read as one. Use if_test.", 8039)
        (block,) = statement.blocks
        block.add_bits([Qubit() for _ in range(circuit.num_qubits - block.num_qubits)])
        block.add_bits([Clbit() for _ in range(circuit.num_clbits - block.num_clbits)])
        body = QuantumCircuit(list(step.qubits), list(step.clbits))
        body.append(block.data[0].operation, step.qubits, step.clbits)
        circuit.data[place] = CircuitInstruction(IfElseOp(statement.condition, body), step.qubits, step.clbits)


def qasm3(text: str) -> QuantumCircuit:
    """Read a circuit of OpenQASM.

    Raises:
        errors.ProgramRefused: Code 8012; the message names the line.
    """
    declared = max(texts.declared(text))  # a parser would make them all, and die of it
    if declared > files.MAX_WIRES:
        raise errors.ProgramRefused(
            f"The text declares {declared} qubits or bits; up to {files.MAX_WIRES} are possible.", 8012
        )
    return openqasm.parse(text)


def _told(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"{type(error).__name__}: {str(error)[:300]}".removesuffix(".")
