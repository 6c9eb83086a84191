# SPDX-License-Identifier: Apache-2.0
"""Noise models that users send to a simulator, read by allow-list.

An error belongs to the instructions of the program that have its name, or its label, and to nothing else: what a
method lacks is broken into other gates, which have no errors of their own, so that the method does not matter.

Source: the JSON form of Aer's NoiseModel; its own reader is deprecated and wants complex numbers, not JSON.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from qiskit.circuit import Instruction, Operation, QuantumCircuit
from qiskit_aer.noise import NoiseModel, QuantumError, ReadoutError
from qiskit_aer.noise.noiseerror import NoiseError

from chandelier import errors
from chandelier.engines import circuits, gates, methods, programs
from chandelier.formats import qobj

MAX_ERRORS: Final = 10_000
MAX_ERROR_QUBITS: Final = 4

#: What an error may do to the qubits.
ALLOWED: Final = gates.CLIFFORD | {"kraus", "unitary", "superop", "reset", "t", "tdg"}

#: Instructions to which Aer adds the error of their name by itself; to `pauli`, `kraus` and others it does not.
_OWN: Final = frozenset(gates.SHAPES) | {"diagonal", "initialize", "unitary"}
#: Instructions that Aer does qubit by qubit.
_SINGLE: Final = frozenset({"delay", "measure", "reset"})
#: Label of a gate that stands for a part of another. Aer looks for the errors of a label, not of the name under it.
_PART: Final = "part of another gate"

#: Errors by the name or label of instructions, then by their qubits; None for all others.
Errors = Mapping[str, Mapping[tuple[int, ...] | None, QuantumError]]


class _Error(msgspec.Struct, frozen=True):
    type: Literal["qerror", "roerror"]
    probabilities: list[Any]
    operations: list[str] = []
    instructions: list[list[qobj.Instruction]] = []
    gate_qubits: list[list[int]] | None = None
    noise_qubits: list[list[int]] | None = None


class _Model(msgspec.Struct, frozen=True):
    # Must be there: what is misspelt would be a model without noise.
    errors: Annotated[list[_Error], msgspec.Meta(max_length=MAX_ERRORS)]


class Model(NamedTuple):
    """A noise model.

    Attributes:
        errors: Those of instructions.
        readout: Those of readout, with their qubits; None for all others.
    """

    errors: Errors
    readout: Sequence[tuple[ReadoutError, Sequence[Sequence[int]] | None]]


def read(raw: msgspec.Raw) -> Model | None:
    """Read a noise model; None if there is none, or an empty one.

    Raises:
        errors.ProgramRefused: Code 8010; the message says what about the model is wrong.
    """
    return _read(bytes(raw))


@functools.lru_cache(maxsize=4)
def _read(body: bytes) -> Model | None:
    document = qobj.document(msgspec.Raw(body))
    if not document:
        return None
    try:
        wire = msgspec.convert(document, _Model)
        readout = [(ReadoutError(e.probabilities), e.gate_qubits) for e in wire.errors if e.type == "roerror"]
        model = Model(_errors(wire), readout)
        _whole(model)
    except errors.ProgramRefused as error:
        raise errors.ProgramRefused(f"The noise model is not supported: {error.message}", 8010) from error
    except (NoiseError, ValueError, TypeError, msgspec.ValidationError) as error:
        raise errors.ProgramRefused(f"The noise model is not supported: {error}.", 8010) from error
    return model


def _errors(wire: _Model) -> Errors:
    """The errors of instructions; several of the same happen one after the other."""
    found: dict[str, dict[tuple[int, ...] | None, QuantumError]] = {}
    for error in wire.errors:
        if error.type == "roerror":
            continue
        if error.noise_qubits is not None and error.noise_qubits != error.gate_qubits:
            raise ValueError("an error is on other qubits than its gate")
        quantum = _quantum(error)
        if quantum.ideal():
            continue
        sites = [None] if error.gate_qubits is None else [tuple(qubits) for qubits in error.gate_qubits]
        for name in error.operations:
            today = programs.ALIASES.get(name, name)
            if today in _SINGLE and quantum.num_qubits > 1:
                raise ValueError(f"an error of {name} acts on {quantum.num_qubits} qubits")
            known = found.setdefault(today, {})
            for site in sites:
                known[site] = known[site].compose(quantum) if site in known else quantum
    return found


def assembled(model: Model, steps: Sequence[qobj.Instruction], layout: Sequence[int] | None) -> NoiseModel:
    """Put together what some instructions need of a noise model, for Aer.

    Args:
        model: The model.
        steps: The instructions.
        layout: The model's qubits in the order of the circuits'; errors of others are left out. None where both
            have the same numbers.
    """
    used = {
        (name, qubits)
        for step in steps
        for name in (step.name, step.label)
        for qubits in [step.qubits, *([(index,) for index in step.qubits or ()] if step.name in _SINGLE else [])]
    }
    names = {name for name, _ in used}
    return _whole(
        Model(
            {
                name: {site: error for site, error in sites.items() if site is None or (name, site) in used}
                for name, sites in model.errors.items()
                if name in names
            },
            model.readout,
        ),
        layout,
    )


def _whole(model: Model, layout: Sequence[int] | None = None) -> NoiseModel:
    noise = NoiseModel()
    for name, sites in model.errors.items():
        for site, quantum in sites.items():
            if site is None:
                noise.add_all_qubit_quantum_error(quantum, name, warnings=False)
            for qubits in _sites([] if site is None else [site], layout):
                noise.add_quantum_error(quantum, name, qubits, warnings=False)
    for readout, places in model.readout:
        if places is None:
            noise.add_all_qubit_readout_error(readout, warnings=False)
        for qubits in _sites(places or [], layout):
            noise.add_readout_error(readout, qubits, warnings=False)
    return noise


def attached(found: Errors, step: qobj.Instruction, parts: list[gates.Part]) -> list[gates.Part]:
    """Give an instruction its errors, where Aer would not, or would give those of its parts.

    Args:
        found: The errors of a model.
        step: The instruction.
        parts: What stands for it in the circuit, with the places of their qubits among its own.

    Raises:
        errors.ProgramRefused: Code 8010: its error acts on more qubits than it does.
    """
    count = len(step.qubits or ())
    name = step.label if step.label is not None and step.label in found else step.name
    sites = found.get(name, {})
    error = sites.get(step.qubits, sites.get(None))
    if error is not None and error.num_qubits > count:
        raise errors.ProgramRefused(
            f"The noise model has an error on {error.num_qubits} qubits for {name[:60]}, which acts on {count} here.",
            8010,
        )
    if name in _OWN and [(part.name, places) for part, places in parts] == [(name, tuple(range(count)))]:
        return parts
    quiet = [(_unnamed(part) if part.name in found else part, places) for part, places in parts]
    return quiet if error is None else [*quiet, (error.to_instruction(), tuple(range(error.num_qubits)))]


def _unnamed(part: Operation) -> Operation:
    """The same operation without the errors of its name."""
    if not isinstance(part, Instruction):
        return part
    copy = part.to_mutable()
    copy.label = _PART
    return copy


def _sites(gate_qubits: Sequence[Sequence[int]], layout: Sequence[int] | None) -> Sequence[Sequence[int]]:
    """The qubits of an error by their numbers in the circuits."""
    if layout is None:
        return gate_qubits
    place = {index: number for number, index in enumerate(layout)}
    return [[place[index] for index in qubits] for qubits in gate_qubits if place.keys() >= set(qubits)]


def _quantum(error: _Error) -> QuantumError:
    if len(error.instructions) != len(error.probabilities):
        raise ValueError(f"{len(error.instructions)} branches have {len(error.probabilities)} probabilities")
    steps = [step for branch in error.instructions for step in branch]
    width = 1 + max((index for step in steps for index in step.qubits or ()), default=0)
    if width > MAX_ERROR_QUBITS:
        raise ValueError(f"an error acts on {width} qubits; up to {MAX_ERROR_QUBITS} are possible")
    branches = [_branch(branch, width) for branch in error.instructions]
    return QuantumError(list(zip(branches, error.probabilities, strict=True)))


def _branch(steps: list[qobj.Instruction], width: int) -> QuantumCircuit:
    circuit = QuantumCircuit(width)
    for step in steps:
        if step.name not in ALLOWED or step.conditional is not None:
            raise ValueError(f"an error contains {step.name[:60]!r}")
        if step.name == "reset":
            circuit.reset(list(step.qubits or ()))
            continue
        for operation, places in circuits.operations(step, methods.native(methods.STATEVECTOR), circuit):
            circuit.append(operation, [(step.qubits or ())[place] for place in places])
    return circuit
