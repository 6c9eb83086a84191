# SPDX-License-Identifier: Apache-2.0
"""Tagged JSON as clients send it, read by allow-list into the values of `formats.tagged`.

Nothing is imported, built or called by a name found in a document, and everything that unpacks is counted.

Source: protocol, Runtime API, section 7.1; `qiskit_ibm_runtime/json.py`, class `RuntimeDecoder`.
"""

import datetime
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from chandelier import errors
from chandelier.formats import packed, tagged

#: The ways of extrapolating, which clients may write as if they were arrays.
EXTRAPOLATORS: Final = (
    "linear",
    "exponential",
    "double_exponential",
    *(f"polynomial_degree_{degree}" for degree in range(1, 8)),
    "fallback",
)

#: Values nested more deeply than this are refused.
DEEPEST: Final = 100


def decode(body: bytes | bytearray | memoryview, allowance: packed.Allowance | None = None) -> tagged.Value:
    """Read tagged JSON.

    Returns:
        JSON values, and wherever a tagged value stood, what it means: a value of this module, an array, a complex
        number, a time. A set becomes a list.

    Raises:
        errors.ProgramRefused: Code 8030: not JSON, nested too deeply, a tag that programs cannot use, or a value
            that is not what its tag says. Code 8034: it is too large once unpacked.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        reason = "its values are nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise errors.ProgramRefused(f"The params of the job are not JSON: {reason}.", 8030) from error
    return _read(document, "", _Place(allowance or packed.Allowance(), DEEPEST))


class _Place(msgspec.Struct, frozen=True):
    """What is still allowed where a value stands."""

    allowance: packed.Allowance
    depth: int


def _read(value: tagged.Value, where: str, place: _Place) -> tagged.Value:
    if not isinstance(value, dict | list):
        return value
    if place.depth == 0:
        raise errors.ProgramRefused("The params of the job are nested too deeply.", 8030)
    inner = _Place(place.allowance, place.depth - 1)
    if isinstance(value, list):
        return [
            _read(item, f"{where}[{index}]", inner) if isinstance(item, dict | list) else item
            for index, item in enumerate(value)
        ]
    if "__type__" in value:
        return _tagged(value, where, inner)
    return {key: _read(item, f"{where}.{key:.60}" if where else f"{key:.60}", inner) for key, item in value.items()}


def _tagged(value: dict[str, Any], where: str, place: _Place) -> tagged.Value:
    tag = value["__type__"]
    if not isinstance(tag, str) or (tag not in _READERS and tag not in _LEAVES):
        raise errors.ProgramRefused(f"{where}: a program can use no value of type {tag!r:.60}.", 8030)
    if "__value__" not in value:
        raise errors.ProgramRefused(f"{where}: the value of type {tag} has no `__value__`.", 8030)
    try:
        return _LEAVES[tag](value["__value__"]) if tag in _LEAVES else _READERS[tag](value, where, place)
    except (msgspec.MsgspecError, RecursionError, ValueError, TypeError, OverflowError) as error:
        raise errors.ProgramRefused(f"{where} is not a value of type {tag}: {error!s:.300}.", 8030) from error


def _circuit(value: dict[str, Any], where: str, place: _Place) -> tagged.Circuit:
    return tagged.Circuit(packed.unpack(value["__value__"], where, place.allowance))


def _gate(value: dict[str, Any], where: str, place: _Place) -> tagged.Gate:
    return tagged.Gate(packed.unpack(value["__value__"], where, place.allowance))


def _parameter(value: dict[str, Any], where: str, place: _Place) -> tagged.Parameter:
    return tagged.Parameter(packed.unpack(value["__value__"], where, place.allowance, compressed=False))


def _array(value: dict[str, Any], where: str, place: _Place) -> tagged.Value:
    """An array; one that was written as a list becomes an array too, unless it is not of numbers."""
    content = value["__value__"]
    if content in EXTRAPOLATORS:  # the client itself takes these for no array, and writes lists of them as arrays
        return content
    if isinstance(content, str):
        return packed.array(packed.unpack(content, where, place.allowance), where)
    listed = _read(content, where, place)
    array = np.asarray(listed)
    return array if array.dtype.kind in "biufc" else listed


def _complex(content: Any) -> complex:
    real, imaginary = msgspec.convert(content, tuple[float, float])
    return complex(real, imaginary)


def _datetime(content: Any) -> datetime.datetime:
    return datetime.datetime.fromisoformat(msgspec.convert(content, str))


def _list(value: dict[str, Any], where: str, place: _Place) -> list[tagged.Value]:
    return [_read(item, where, place) for item in msgspec.convert(value["__value__"], list[Any])]


def _fields(value: dict[str, Any], where: str, place: _Place) -> dict[str, tagged.Value]:
    fields = msgspec.convert(value["__value__"], dict[str, Any])
    return {key: _read(item, f"{where}.{key:.60}", place) for key, item in fields.items()}


def _settings(value: dict[str, Any], where: str, place: _Place) -> tagged.Settings:
    return tagged.Settings(msgspec.convert(value.get("__class__"), str), _fields(value, where, place))


def _learned(value: dict[str, Any], where: str, place: _Place) -> tagged.Learned:
    name = value.get("__class__", value["__type__"])
    if name not in _LEARNED:
        raise ValueError(f"there is no class {name!r:.60}")
    return tagged.Learned(name, _fields(value, where, place))


def _noise(content: Any) -> tagged.NoiseModel:
    return tagged.NoiseModel(msgspec.convert(content, dict[str, Any]))


def _observables(value: dict[str, Any], where: str, place: _Place) -> tagged.Observables:
    return tagged.Observables(_read(value["__value__"], where, place))


def _lindblad(content: Any) -> tagged.PauliLindblad:
    wire = msgspec.convert(content, _WireMap)
    return tagged.PauliLindblad(wire.paulis, wire.num_qubits)


class _WireMap(msgspec.Struct, frozen=True):
    paulis: tuple[tuple[str, tuple[int, ...], float], ...]
    num_qubits: int


def _bindings(value: dict[str, Any], where: str, place: _Place) -> tagged.Bindings:
    content = msgspec.convert(value["__value__"], _WireBindings)
    values = []
    for key, item in (content.data or {}).items():
        names = _read(msgspec.json.decode(key), where, place)
        if not isinstance(names, list):
            names = [names]
        values.append((tuple(name(entry) for entry in names), numbers(_read(item, where, place), where)))
    return tagged.Bindings(content.shape, tuple(values))


class _WireBindings(msgspec.Struct, frozen=True):
    shape: packed.Axes | None = None
    data: dict[str, Any] | None = None


#: What may stand in a program and holds no tagged values itself, by its tag.
_LEAVES: Final[Mapping[str, Callable[[Any], tagged.Value]]] = {
    "NoiseModel": _noise,
    "PauliLindbladMap": _lindblad,
    "complex": _complex,
    "datetime": _datetime,
}

#: What else may stand in a program, by its tag.
_READERS: Final[Mapping[str, Callable[[dict[str, Any], str, _Place], tagged.Value]]] = {
    "BindingsArray": _bindings,
    "Instruction": _gate,
    "NoiseLearnerResult": _learned,
    "ObservablesArray": _observables,
    "Parameter": _parameter,
    "QuantumCircuit": _circuit,
    "_json": _learned,
    "ndarray": _array,
    "set": _list,
    "settings": _settings,
}

#: The types that a program may use.
TAGS: Final = (*_LEAVES, *_READERS)

_LEARNED: Final = frozenset({"LayerError", "NoiseLearnerResult", "PauliLindbladError"})


def name(value: tagged.Value) -> str:
    """The name of a parameter, however it was written.

    Raises:
        ValueError: It is not one.
    """
    if isinstance(value, tagged.Parameter):
        return value.name
    if isinstance(value, str):
        return value
    raise ValueError("a name of a parameter is neither text nor a parameter")


def numbers(value: tagged.Value, where: str) -> npt.NDArray[Any]:
    """An array of real numbers, however it was written: tagged, or nested lists.

    Raises:
        errors.ProgramRefused: Code 8033: it is not one.
    """
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise errors.ProgramRefused(f"{where}: {error}.", 8033) from error
    if array.size == 0 and array.dtype.kind in "fO":  # what NumPy makes of empty lists
        return array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise errors.ProgramRefused(f"{where} is not an array of real numbers.", 8033)
    return array


def circuit(value: tagged.Value, where: str) -> tagged.Circuit | tagged.Text:
    """A circuit however it was written: tagged QPY or OpenQASM text.

    Raises:
        errors.ProgramRefused: Code 8030: it is neither.
    """
    if isinstance(value, tagged.Circuit):
        return value
    if isinstance(value, str):
        return tagged.Text(value)
    raise errors.ProgramRefused(f"{where} is neither a circuit nor an OpenQASM text.", 8030)
