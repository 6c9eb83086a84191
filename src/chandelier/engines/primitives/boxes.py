# SPDX-License-Identifier: Apache-2.0
"""Layers of gates as clients mark them: boxes whose annotation says that they are to be twirled.

Gates on one qubit at the side of a box that is dressed become a part of the dressing; what is left is the layer.

Source: samplomatic 0.21, `utils/undress_box.py`; how annotations are written: `ibm_quantum_schemas`,
`common/annotation_serializer.py`.
"""

import collections
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from qiskit.circuit import Annotation, BoxOp, CircuitInstruction, QuantumCircuit, QuantumRegister, Qubit
from qiskit.circuit.annotation import QPYSerializer

from chandelier import errors
from chandelier.engines.primitives import cycles, samplexes

_LEFT: Final = "left"
_RIGHT: Final = "right"
_LENGTH: Final = struct.Struct("!H")
_TWIRL: Final = struct.Struct("!QQQ")


class Note(Annotation):  # type: ignore[misc]  # Qiskit is not typed
    """An annotation, of which only the side of a twirl's dressing matters here.

    Attributes:
        dressing: `left` or `right`; empty if it is not a twirl.
    """

    namespace = "samplomatic.note"

    def __init__(self, dressing: str) -> None:
        self.dressing = dressing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Note) and other.dressing == self.dressing

    def __hash__(self) -> int:
        return hash(self.dressing)


class Reader(QPYSerializer):  # type: ignore[misc]  # Qiskit is not typed
    """Reads annotations from QPY."""

    def dump_annotation(self, namespace: str, annotation: Annotation) -> Any:
        """Annotations are only read here."""
        del namespace, annotation
        return NotImplemented

    def load_annotation(self, payload: bytes) -> Note:
        """Read an annotation.

        Raises:
            ValueError: It is damaged.
        """
        try:
            (length,) = _LENGTH.unpack_from(payload)
            if payload[_LENGTH.size : _LENGTH.size + length] != b"Twirl":
                return Note("")
            start = _LENGTH.size + length
            group, dressing, _ = _TWIRL.unpack_from(payload, start)
            start += _TWIRL.size + group
            return Note(payload[start : start + dressing].decode())
        except struct.error as error:
            raise ValueError("an annotation is damaged") from error


#: Who reads annotations, by the beginning of their names.
READERS: Final[Mapping[str, Callable[[], QPYSerializer]]] = {"samplomatic": Reader}


def frequent(circuits: Sequence[QuantumCircuit], strategy: str, most: int | None) -> list[cycles.Layer]:
    """Find the layers of some circuits: the most frequent first, of equally frequent ones that with most gates.

    Args:
        circuits: The circuits.
        strategy: Which qubits beside those of its gates a layer has; as clients write it.
        most: How many layers; None for all.

    Raises:
        errors.ProgramRefused: Code 8047: what is in a box is no layer.
    """
    counts: collections.Counter[cycles.Layer] = collections.Counter()
    for circuit in circuits:
        made = samplexes.boxed(circuit, strategy)
        places = {qubit: index for index, qubit in enumerate(made.qubits)}
        found = (layer(step, places) for step in made.data if isinstance(step.operation, BoxOp))
        counts.update(one for one in found if one.gates)
    ordered = sorted(counts, key=lambda one: (-counts[one], -len(one.gates)))
    return ordered[:most]


def marked(circuit: QuantumCircuit, n_qubits: int) -> list[tuple[str, cycles.Layer]]:
    """Read the boxes of a circuit, whose qubits are those of the device's register `q`.

    Returns:
        For each the protocol that can learn its noise, `lindblad` or `trex`, and the layer.

    Raises:
        errors.ProgramRefused: Code 8047: an instruction is no box, not to be twirled, or no layer.
    """
    places = {qubit: index for index, qubit in enumerate(QuantumRegister(n_qubits, "q"))}
    found = []
    for index, step in enumerate(circuit.data):
        if not isinstance(step.operation, BoxOp) or not _dressing(step.operation):
            raise _refused(f"Instruction {index} is not a box that is to be twirled")
        if not set(step.qubits) <= places.keys():
            raise _refused(f"Instruction {index} has qubits that are not of the device's register `q`")
        names = {inner.operation.name for inner in step.operation.body.data} - {"barrier"}
        if names == {"measure"}:
            found.append(("trex", _readout(step, places, index)))
        else:
            found.append(("lindblad", layer(step, places)))
    return found


def layer(step: CircuitInstruction, places: Mapping[Qubit, int]) -> cycles.Layer:
    """The layer in a box.

    Args:
        step: The box, with its annotation.
        places: The device's qubit for each of the circuit's.

    Raises:
        errors.ProgramRefused: Code 8047: it is none.
    """
    body = step.operation.body
    outer = dict(zip(body.qubits, (places[qubit] for qubit in step.qubits), strict=True))
    last = _dressing(step.operation) == _RIGHT
    seen: set[int] = set()
    gates = []
    for inner in reversed(body.data) if last else body.data:
        qubits = tuple(outer[qubit] for qubit in inner.qubits)
        name = inner.operation.name
        if name == "barrier" or (len(qubits) == 1 and inner.is_standard_gate() and qubits[0] not in seen):
            continue
        if len(qubits) != 2 or not inner.is_standard_gate() or not seen.isdisjoint(qubits):
            raise _refused(f"The box on qubits {sorted(outer.values())} is no layer of gates: its {name}")
        seen.update(qubits)
        gates.append((name, qubits, tuple(_angle(value) for value in inner.operation.params)))
    return cycles.Layer(tuple(sorted(outer.values())), tuple(sorted(gates, key=lambda one: one[1])))


def _readout(step: CircuitInstruction, places: Mapping[Qubit, int], index: int) -> cycles.Layer:
    measured = [inner.qubits[0] for inner in step.operation.body.data if inner.operation.name == "measure"]
    if sorted(map(step.operation.body.qubits.index, measured)) != list(range(len(step.qubits))):
        raise _refused(f"Instruction {index} does not measure each of its qubits once")
    return cycles.Layer(tuple(sorted(places[qubit] for qubit in step.qubits)), ())


def _dressing(box: BoxOp) -> str:
    """The side on which a box is dressed; empty if it is not to be twirled."""
    sides = [str(getattr(one.dressing, "value", one.dressing)) for one in box.annotations if hasattr(one, "dressing")]
    return next((side for side in sides if side in {_LEFT, _RIGHT}), "")


def _angle(value: object) -> float:
    if not isinstance(value, int | float):
        raise _refused("A gate of a layer has a free parameter")
    return float(value)


def _refused(what: str) -> errors.ProgramRefused:
    return errors.ProgramRefused(f"{what}; its noise cannot be learned.", cycles.UNLEARNABLE)
