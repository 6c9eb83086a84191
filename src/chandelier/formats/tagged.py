# SPDX-License-Identifier: Apache-2.0
"""Tagged JSON: values that Runtime clients know as `{"__type__": ..., "__value__": ...}`, and how they are written.

Circuits stay bytes, for only the engines know Qiskit. `formats.untagged` reads what clients send.

Source: protocol, Runtime API, section 7.1; `qiskit_ibm_runtime/json.py`, classes `RuntimeEncoder` and
`RuntimeDecoder`.
"""

import datetime
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from chandelier.formats import packed

#: A JSON value in which tagged values have been read.
Value = Any


class Circuit(msgspec.Struct, frozen=True):
    """A circuit as Qiskit saves it.

    Attributes:
        qpy: A QPY file, unpacked, not yet looked at.
    """

    qpy: bytes


class Text(msgspec.Struct, frozen=True):
    """A circuit as OpenQASM text, which clients without Qiskit send."""

    qasm: str


class Gate(msgspec.Struct, frozen=True):
    """One instruction.

    Attributes:
        qpy: A QPY file of a circuit with this instruction alone.
    """

    qpy: bytes


class Parameter(msgspec.Struct, frozen=True):
    """A circuit's parameter.

    Attributes:
        payload: As QPY writes a parameter: 2 bytes length of the name, 16 bytes UUID, the name in UTF-8.
    """

    payload: bytes

    @property
    def name(self) -> str:
        """The parameter's name; empty if the payload is not one."""
        return self.payload[18:].decode("utf-8", "replace")


class Bindings(msgspec.Struct, frozen=True):
    """Values for the parameters of a circuit.

    Attributes:
        shape: The shape of the sets of values; None where the client left it out.
        values: Names of parameters, and an array whose last axis is over the names; with one name, also an array
            without that axis.
    """

    shape: tuple[int, ...] | None
    values: tuple[tuple[tuple[str, ...], npt.NDArray[Any]], ...]


class Observables(msgspec.Struct, frozen=True):
    """An array of observables as written: nested lists of what `formats.observables` reads."""

    nested: Value


class Settings(msgspec.Struct, frozen=True):
    """An operator of Qiskit by what it is made from; nothing is made from it here.

    Attributes:
        name: Name of the class, such as `SparsePauliOp`; the module is not kept, since nothing is imported.
        values: What the class would be called with.
    """

    name: str
    values: Mapping[str, Value]


class Learned(msgspec.Struct, frozen=True):
    """What a noise learner returned: one layer, its error, or a whole result.

    Attributes:
        name: `LayerError`, `PauliLindbladError` or `NoiseLearnerResult`.
        values: Its fields.
    """

    name: str
    values: Mapping[str, Value]


class PauliLindblad(msgspec.Struct, frozen=True):
    """A Pauli-Lindblad map, sparse.

    Attributes:
        terms: Pauli letters, the qubits that they act on, and the rate.
        num_qubits: Number of qubits of the map.
    """

    terms: tuple[tuple[str, tuple[int, ...], float], ...]
    num_qubits: int


class NoiseModel(msgspec.Struct, frozen=True):
    """A noise model as Aer writes it; nothing of it is read here."""

    values: Mapping[str, Value]


class BitArray(msgspec.Struct, frozen=True):
    """Outcomes of one register, packed; see `bits`.

    Attributes:
        array: uint8 of shape (..., shots, ceil(num_bits / 8)), most significant byte first.
        num_bits: Width of the register.
    """

    array: npt.NDArray[np.uint8]
    num_bits: int


class DataBin(msgspec.Struct, frozen=True):
    """The data of one pub's result.

    Attributes:
        shape: Shape of the pub.
        fields: Register or quantity name, and its `BitArray` or array.
    """

    shape: tuple[int, ...]
    fields: Mapping[str, BitArray | npt.NDArray[Any]]


class PubResult(msgspec.Struct, frozen=True):
    """The result of one pub.

    Attributes:
        kind: `SamplerPubResult` or `PubResult` (which estimators write).
        data: The data.
        metadata: JSON values, and values of this module.
    """

    kind: str
    data: DataBin
    metadata: Mapping[str, Value]


class PrimitiveResult(msgspec.Struct, frozen=True):
    """The result of a sampler or estimator job."""

    pub_results: tuple[PubResult, ...]
    metadata: Mapping[str, Value]


class Span(msgspec.Struct, frozen=True):
    """When which shots were taken.

    Attributes:
        kind: `DoubleSliceSpan` (start and stop of flattened sets of values, start and stop of shots),
            `TwirledSliceSpan` (whether randomizations are the first axis, the same four) or `TwirledSliceSpanV2` (the
            same five, shots of the pub), which is written as `TwirledSliceSpan` where that says the same, since client
            0.40 knows no V2.
        start: When the span began.
        stop: When it ended.
        slices: By the place of the pub: the shape of its data without the register axis, then what the kind says.
    """

    kind: str
    start: datetime.datetime
    stop: datetime.datetime
    slices: Mapping[int, tuple[tuple[int, ...], *tuple[int | bool, ...]]]


class Spans(msgspec.Struct, frozen=True):
    """When the shots of a job were taken."""

    spans: tuple[Span, ...]


def encode(value: Value) -> bytes:
    """Write a value as tagged JSON; arrays, complex numbers, times and the values of this module are tagged.

    Raises:
        TypeError: It holds something that has no tag.
    """
    return msgspec.json.encode(_written(value))


def _written(value: Value) -> Value:
    writer = _WRITERS.get(type(value))
    if writer is not None:
        return writer(value)
    if isinstance(value, Mapping):
        return {str(key): _written(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_written(item) for item in value]
    if isinstance(value, np.generic):
        return _written(value.item())
    return value


def _tag(kind: str, value: Value) -> dict[str, Value]:
    return {"__type__": kind, "__value__": _written(value)}


def _write_array(array: npt.NDArray[Any]) -> dict[str, Value]:
    return {"__type__": "ndarray", "__value__": packed.pack(packed.file(array))}


def _write_bin(data: DataBin) -> dict[str, Value]:
    kinds = ["BitArray" if isinstance(field, BitArray) else "ndarray" for field in data.fields.values()]
    content = {"field_names": list(data.fields), "field_types": kinds, "shape": data.shape, "fields": data.fields}
    return _tag("DataBin", content)


def _write_span(span: Span) -> dict[str, Value]:
    kind, slices = span.kind, span.slices
    if kind == "TwirledSliceSpanV2" and all(_untrimmed(*place) for place in slices.values()):
        kind, slices = "TwirledSliceSpan", {index: (shape, *rest[:-1]) for index, (shape, *rest) in slices.items()}
    return _tag(kind, {"start": span.start, "stop": span.stop, "data_slices": slices})


def _untrimmed(shape: tuple[int, ...], *rest: int | bool) -> bool:
    """Whether all shots that the randomizations took are shots of the pub."""
    randomizations = shape[0] if rest[0] else shape[-2]
    return randomizations * shape[-1] == rest[-1]


def _write_settings(settings: Settings) -> dict[str, Value]:
    return {**_tag("settings", settings.values), "__module__": _MODULES[settings.name], "__class__": settings.name}


def _write_learned(learned: Learned) -> dict[str, Value]:
    if learned.name == "NoiseLearnerResult":
        return _tag(learned.name, learned.values)
    return {**_tag("_json", learned.values), "__module__": _LEARNED_MODULE, "__class__": learned.name}


#: The modules of operators that results hold, which the client wants to know.
_MODULES: Final = {"PauliList": "qiskit.quantum_info.operators.symplectic.pauli_list"}
#: Clients of all versions know it by this name.
_LEARNED_MODULE: Final = "qiskit_ibm_runtime.utils.noise_learner_result"

_WRITERS: Final[Mapping[type, Callable[[Any], Value]]] = {
    BitArray: lambda bits: _tag("BitArray", {"array": bits.array, "num_bits": bits.num_bits}),
    Circuit: lambda circuit: {"__type__": "QuantumCircuit", "__value__": packed.pack(circuit.qpy)},
    DataBin: _write_bin,
    Learned: _write_learned,
    PauliLindblad: lambda map_: _tag("PauliLindbladMap", {"paulis": map_.terms, "num_qubits": map_.num_qubits}),
    PrimitiveResult: lambda result: _tag(
        "PrimitiveResult", {"pub_results": result.pub_results, "metadata": result.metadata}
    ),
    PubResult: lambda result: _tag(result.kind, {"data": result.data, "metadata": result.metadata}),
    Settings: _write_settings,
    Span: _write_span,
    # Client 0.40 knows no other name, and later ones know it too.
    Spans: lambda spans: _tag("ExecutionSpanCollection", {"spans": spans.spans}),
    complex: lambda number: {"__type__": "complex", "__value__": [number.real, number.imag]},
    datetime.datetime: lambda moment: {"__type__": "datetime", "__value__": moment.isoformat()},
    np.ndarray: _write_array,
}


def bits(values: npt.NDArray[np.bool_]) -> BitArray:
    """Pack outcomes.

    Args:
        values: Truth values of shape (..., shots, width); column j is classical bit j of the register.
    """
    little = np.packbits(values, axis=-1, bitorder="little")
    return BitArray(np.ascontiguousarray(little[..., ::-1]), values.shape[-1])


def unpacked(array: BitArray) -> npt.NDArray[np.bool_]:
    """The outcomes of a register, as `bits` takes them."""
    little = np.unpackbits(array.array[..., ::-1], axis=-1, count=array.num_bits, bitorder="little")
    return little.view(np.bool_)
