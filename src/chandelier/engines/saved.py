# SPDX-License-Identifier: Apache-2.0
"""What a simulator is asked to show of its state, by the `save_*` of today and by the snapshots of 2020.

A snapshot is saved under a label of its own and put into the form of its time afterwards: one value for each shot,
or the mean of all shots with the same memory, as `{"memory", "value"}`.

Source: legacy API reference, sections 12.2 and 12.4; Aer 0.7, snapshots of the state classes and
`DataContainer.add_average_snapshot`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import qiskit_aer.library as aer
from qiskit.circuit import Instruction
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import (
    Clifford,
    DensityMatrix,
    Operator,
    SparsePauliOp,
    StabilizerState,
    Statevector,
    SuperOp,
)

from chandelier import errors
from chandelier.engines import matrices
from chandelier.formats import qobj

#: Largest number of qubits of an observable given as a matrix.
MAX_OBSERVABLE_QUBITS: Final = 6
#: Start of the label under which a snapshot is saved, so that it can be told from what the user saved.
PREFIX: Final = "snapshot:"


class Snapshot(NamedTuple):
    """One type of snapshot.

    Attributes:
        save: The instruction that saves the same.
        shown: Key under which the result shows it.
        each: Whether it is shown for each shot, where shots differ; else as the mean over shots with equal memory.
        variance: Whether the variance over these shots is shown too.
        whole: Whether it shows the state of all qubits, whichever it names.
        does: What it shows, for the reference page.
    """

    save: str
    shown: str
    each: bool = False
    variance: bool = False
    whole: bool = False
    does: str = ""


#: Snapshots by `snapshot_type`.
SNAPSHOTS: Final[Mapping[str, Snapshot]] = {
    "state": Snapshot("save_state", "state", each=True, whole=True, does="the state in the form of the method"),
    "statevector": Snapshot("save_statevector", "statevector", each=True, whole=True, does="amplitudes"),
    "stabilizer": Snapshot("save_stabilizer", "stabilizer", each=True, whole=True, does="generators, as text"),
    "unitary": Snapshot("save_unitary", "unitary", each=True, whole=True, does="the matrix of the circuit so far"),
    "superop": Snapshot("save_superop", "superop", each=True, whole=True, does="the channel of the circuit so far"),
    "amplitudes": Snapshot("save_amplitudes", "amplitudes", each=True, does="amplitudes of the states in `params`"),
    "density_matrix": Snapshot("save_density_matrix", "density_matrix", does="reduced density matrix"),
    "density_matrix_with_variance": Snapshot(
        "save_density_matrix", "density_matrix", variance=True, does="the same, with its variance over the shots"
    ),
    "probabilities": Snapshot("save_probabilities_dict", "probabilities", does="probabilities of outcomes"),
    "probabilities_with_variance": Snapshot(
        "save_probabilities_dict", "probabilities", variance=True, does="the same, with their variance"
    ),
    "expectation_value_pauli": Snapshot(
        "save_expval", "expectation_value", does="mean of a sum of Pauli terms, `[coefficient, label]` each"
    ),
    "expectation_value_pauli_with_variance": Snapshot(
        "save_expval", "expectation_value", variance=True, does="the same, with its variance"
    ),
    "expectation_value_pauli_single_shot": Snapshot(
        "save_expval", "expectation_values", each=True, does="the same, for each shot"
    ),
    "expectation_value_matrix": Snapshot(
        "save_expval",
        "expectation_value",
        does="mean of a sum of products of matrices, `[coefficient, [[places of qubits, matrix], …]]` each",
    ),
    "expectation_value_matrix_with_variance": Snapshot(
        "save_expval", "expectation_value", variance=True, does="the same, with its variance"
    ),
    "expectation_value_matrix_single_shot": Snapshot(
        "save_expval", "expectation_values", each=True, does="the same, for each shot"
    ),
}

_SAVES: Final[Mapping[str, Callable[..., Instruction]]] = {
    "save_clifford": aer.SaveClifford,
    "save_density_matrix": aer.SaveDensityMatrix,
    "save_matrix_product_state": aer.SaveMatrixProductState,
    "save_probabilities": aer.SaveProbabilities,
    "save_probabilities_dict": aer.SaveProbabilitiesDict,
    "save_stabilizer": aer.SaveStabilizer,
    "save_state": aer.SaveState,
    "save_statevector": aer.SaveStatevector,
    "save_statevector_dict": aer.SaveStatevectorDict,
    "save_superop": aer.SaveSuperOp,
    "save_unitary": aer.SaveUnitary,
}

#: Saves that know nothing of conditional collection.
_UNCONDITIONAL: Final = frozenset({"save_clifford", "save_superop", "save_unitary"})

#: Labels that Aer gives where the program gives none; of the others it is the rest of the name.
_LABELS: Final[Mapping[str, str]] = {
    "save_amplitudes_sq": "amplitudes_squared",
    "save_expval": "expectation_value",
    "save_expval_var": "expectation_value_variance",
}

#: Names of all instructions that look at the state.
NAMES: Final = frozenset(_SAVES) | {
    "save_amplitudes",
    "save_amplitudes_sq",
    "save_expval",
    "save_expval_var",
    "snapshot",
}


class _How(NamedTuple):
    """How Aer collects the values of the shots."""

    label: str
    pershot: bool
    conditional: bool


def saved_as(instruction: qobj.Instruction) -> str:
    """Name of the instruction that does what this one does: a snapshot's by its type, else its own."""
    if instruction.name != "snapshot":
        return instruction.name
    row = SNAPSHOTS.get(kind(instruction))
    return row.save if row else instruction.name


def kind(instruction: qobj.Instruction) -> str:
    """Type of a snapshot."""
    return instruction.snapshot_type or instruction.kind or "statevector"


def key(instruction: qobj.Instruction) -> str:
    """Label under which Aer saves what an instruction asks for."""
    if instruction.name == "snapshot":
        return f"{PREFIX}{kind(instruction)}:{instruction.label or ''}"
    name = instruction.name
    return instruction.label or _LABELS.get(name, name.removeprefix("save_"))


def whole(instruction: qobj.Instruction) -> bool:
    """Whether an instruction means all qubits, whichever it names."""
    return instruction.name == "snapshot" and kind(instruction) in SNAPSHOTS and SNAPSHOTS[kind(instruction)].whole


def each(instruction: qobj.Instruction) -> bool:
    """Whether a value is kept for each shot."""
    if instruction.name != "snapshot":
        return (instruction.snapshot_type or "").endswith("list")
    row = SNAPSHOTS.get(kind(instruction))
    return row is not None and (row.each or row.variance)


def operation(instruction: qobj.Instruction, *, listed: bool = False) -> Instruction:
    """Make the instruction of Aer for one of `NAMES`.

    Args:
        instruction: What the program says.
        listed: Whether to keep values for each shot of what is to be the mean of shots with equal memory, because
            the circuit has hidden bits, which Aer takes for memory.

    Raises:
        errors.ProgramRefused: Code 8004 or 8010.
    """
    name, count, how = saved_as(instruction), len(instruction.qubits or ()), _how(instruction, listed=listed)
    if name == "snapshot":
        raise errors.ProgramRefused(
            f"snapshots of type {kind(instruction)!r} are not supported; those of types {', '.join(SNAPSHOTS)} are",
            8010,
        )
    if name in {"save_expval", "save_expval_var"}:
        return _expectation(instruction, name, count, how)
    if name in {"save_amplitudes", "save_amplitudes_sq"}:
        return _amplitudes(instruction, name, count, how)
    options: dict[str, Any] = {"pershot": how.pershot}
    if name not in _UNCONDITIONAL:
        options["conditional"] = how.conditional
    if instruction.name == "snapshot" or instruction.label:
        options["label"] = how.label
    return _SAVES[name](count, **options)


def _how(instruction: qobj.Instruction, *, listed: bool) -> _How:
    if instruction.name == "snapshot":
        row = SNAPSHOTS.get(kind(instruction), Snapshot("", ""))
        return _How(key(instruction), row.each or row.variance or listed, not row.each)
    way = instruction.snapshot_type or ""
    listed = listed and way == "c_average"
    return _How(key(instruction), way.endswith("list") or listed, way.startswith("c_"))


def _expectation(instruction: qobj.Instruction, name: str, count: int, how: _How) -> Instruction:
    read = _snapshot_observable if instruction.name == "snapshot" else _observable
    try:
        observable = read(instruction, count)
    except (TypeError, ValueError, IndexError, QiskitError) as error:
        raise errors.ProgramRefused(f"its parameters are not a list of Pauli terms ({error})", 8004) from error
    if observable.num_qubits != count:
        raise errors.ProgramRefused(f"its Pauli terms are of {observable.num_qubits} qubits, not {count}", 8004)
    if np.abs(observable.coeffs.imag).max() > matrices.TOLERANCE:
        raise errors.ProgramRefused("its observable is not Hermitian", 8010)
    make = aer.SaveExpectationValueVariance if name == "save_expval_var" else aer.SaveExpectationValue
    return make(observable, how.label, pershot=how.pershot, conditional=how.conditional)


def _observable(instruction: qobj.Instruction, _count: int) -> SparsePauliOp:
    """`params` is a list of `[Pauli label, [coefficient, of the variance]]`."""
    labels = [str(label) for label, _ in instruction.params]
    return SparsePauliOp(labels, [_coefficient(weight) for _, weight in instruction.params])


def _coefficient(weight: qobj.Json) -> float:
    return matrices.number(weight[0] if isinstance(weight, list) else weight).real


def _snapshot_observable(instruction: qobj.Instruction, count: int) -> SparsePauliOp:
    """`params` is a list of `[coefficient, label]` or of `[coefficient, [[places, matrix], …]]`."""
    if "pauli" in kind(instruction):
        labels = [str(label) for _, label in instruction.params]
        return SparsePauliOp(labels, [matrices.number(weight) for weight, _ in instruction.params])
    if not 1 <= count <= MAX_OBSERVABLE_QUBITS:
        raise errors.ProgramRefused(f"a matrix of {count} qubits; 1 to {MAX_OBSERVABLE_QUBITS} are possible", 8010)
    total = Operator(np.zeros((2**count, 2**count)))
    for weight, factors in instruction.params:
        term = Operator(np.eye(2**count))
        for places, matrix in factors:
            term = term.compose(Operator(matrices.numbers(matrix, 2)), qargs=list(places))
        total = total + matrices.number(weight) * term
    return SparsePauliOp.from_operator(total)


def _amplitudes(instruction: qobj.Instruction, name: str, count: int, how: _How) -> Instruction:
    states = instruction.params
    if not isinstance(states, list) or not all(
        isinstance(state, int) and not isinstance(state, bool) and 0 <= state < 2**count for state in states
    ):
        raise errors.ProgramRefused("its parameters are not states of its qubits", 8004)
    make = aer.SaveAmplitudesSquared if name == "save_amplitudes_sq" else aer.SaveAmplitudes
    return make(count, states, how.label, pershot=how.pershot, conditional=how.conditional)


def collected(raw: Mapping[str, Any], steps: Iterable[qobj.Instruction], *, slots: int, hidden: bool) -> dict[str, Any]:
    """Write what Aer saved as the `data` of a result.

    Args:
        raw: Data of an experiment as Aer gives it; counts and memory are left out.
        steps: The experiment's instructions.
        slots: Number of memory slots.
        hidden: Whether there are bits above them.
    """
    asked = {key(step): step for step in steps if step.name in NAMES}
    visible, data = (1 << slots) - 1, {}
    snapshots: dict[str, dict[str, Any]] = {}
    for label, value in raw.items():
        step = asked.get(label)
        if label in {"counts", "memory"}:
            continue
        if step is not None and step.name == "snapshot":
            row = SNAPSHOTS[kind(step)]
            snapshots.setdefault(row.shown, {})[step.label or ""] = _snapshot(
                row, value, visible, listed=row.variance or hidden
            )
        elif step is not None and (step.snapshot_type or "").startswith("c_"):
            data[label] = _by_memory(value, visible, step.snapshot_type or "", hidden=hidden)
        else:
            data[label] = plain(value)
    return {**data, "snapshots": snapshots} if snapshots else data


def _by_memory(value: Mapping[str, Any], visible: int, way: str, *, hidden: bool) -> dict[str, Any]:
    """Values by the memory of their shots, without its hidden bits."""
    grouped = _grouped(value, visible, listed=way == "c_list" or (way == "c_average" and hidden))
    if way == "c_list":
        return {hex(word): plain(parts) for word, parts in grouped.items()}
    if way == "c_average":
        return {hex(word): plain(_mean(parts)) for word, parts in grouped.items()}
    return {hex(word): plain(parts[-1]) for word, parts in grouped.items()}


def _grouped(value: Mapping[str, Any], visible: int, *, listed: bool) -> dict[int, list[Any]]:
    """Values by memory; Aer writes that of a circuit without any as an empty text."""
    grouped: dict[int, list[Any]] = {}
    for word, part in value.items():
        grouped.setdefault(int(word or "0", 16) & visible, []).extend(part if listed else [part])
    return dict(sorted(grouped.items()))


def _snapshot(row: Snapshot, value: Any, visible: int, *, listed: bool) -> list[Any]:
    if row.each:
        return [_old(row, part) for part in value]
    shown = []
    for word, parts in _grouped(value, visible, listed=listed).items():
        entry = {"memory": hex(word), "value": _old(row, _mean(parts))}
        if row.variance:
            entry["variance"] = _old(row, _variance(parts))
        shown.append(entry)
    return shown


def _old(row: Snapshot, value: Any) -> qobj.Json:
    """A value in the form of 2020: means are complex numbers, stabilizers a list without plus signs."""
    if row.save == "save_stabilizer":
        return [text.removeprefix("+") for text in plain(value)["stabilizer"]]
    return plain(complex(value) if row.save == "save_expval" else value)


def _mean(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], Mapping):
        keys = {key for part in parts for key in part}
        return {key: sum(part.get(key, 0.0) for part in parts) / len(parts) for key in sorted(keys)}
    return np.mean([_numbers(part) for part in parts], axis=0)


def _variance(parts: Sequence[Any]) -> Any:
    """Unbiased variance over shots; 0 where one evolution stands for all of them."""
    if isinstance(parts[0], Mapping):
        keys = {key for part in parts for key in part}
        return {key: _variance([part.get(key, 0.0) for part in parts]) for key in sorted(keys)}
    if len(parts) == 1:
        return np.zeros_like(_numbers(parts[0]))
    return np.var([_numbers(part) for part in parts], axis=0, ddof=1)


def _numbers(value: Any) -> Any:
    return np.asarray(value.data if isinstance(value, DensityMatrix) else value)


class NotFiniteError(Exception):
    """A saved value is too large for a number, or none at all: JSON cannot say it."""


def plain(value: Any) -> qobj.Json:
    """Write what Aer saved as JSON: complex numbers as `[re, im]`, outcomes as hexadecimal text.

    Raises:
        NotFiniteError: A number is infinite, or not a number.
    """
    if isinstance(value, np.ndarray | np.number | float | complex) and not np.isfinite(value).all():
        raise NotFiniteError
    for type_, reader in _READERS.items():
        if isinstance(value, type_):
            return plain(reader(value))
    if isinstance(value, np.ndarray | np.generic):
        if np.iscomplexobj(value):
            return np.stack([value.real, value.imag], axis=-1).tolist()
        return value.tolist()
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, Mapping):
        return {hex(key) if isinstance(key, int) else str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


_READERS: Final[Mapping[type, Callable[[Any], Any]]] = {
    Statevector: lambda state: state.data,
    DensityMatrix: lambda state: state.data,
    Operator: lambda operator: operator.data,
    SuperOp: lambda channel: channel.data,
    StabilizerState: lambda state: state.clifford.to_dict(),
    Clifford: lambda clifford: clifford.to_dict(),
}
