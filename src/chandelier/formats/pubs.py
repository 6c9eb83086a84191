# SPDX-License-Identifier: Apache-2.0
"""Params and results of the sampler and the estimator: pubs, which are circuits with what to do with them.

Source: protocol, Runtime API, sections 7.2 and 8; `ibm_quantum_schemas/sampler/version_0_1` and
`.../estimator/version_0_1`.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from chandelier import errors
from chandelier.formats import given, observables, options, tagged, untagged

#: A job has no more pubs.
MOST_PUBS: Final = 10_000
#: A pub has no more sets of parameter values, and no more expectation values.
MOST_ELEMENTS: Final = 1_000_000


Pubs = Annotated[list[Any], msgspec.Meta(min_length=1, max_length=MOST_PUBS)]
Shots = options.Count
#: A precision; 0 asks for the exact value.
Tolerance = Annotated[float, msgspec.Meta(ge=0, le=1e9)]

#: Values of a circuit's parameters as a pub has them: named, or in the order of the circuit's parameters; None where
#: the client left them out. See `bound`.
Values = tagged.Bindings | npt.NDArray[Any] | None


class SamplerPub(msgspec.Struct, frozen=True):
    """A circuit to sample.

    Attributes:
        circuit: The circuit.
        values: Values of its parameters; see `bound`.
        shots: Its own, or those of the job; None to take the default of the options.
    """

    circuit: tagged.Circuit | tagged.Text
    values: Values
    shots: int | None = None


class EstimatorPub(msgspec.Struct, frozen=True):
    """A circuit and what to measure after it.

    Attributes:
        circuit: The circuit.
        observables: Observables as wide as the circuit.
        values: Values of its parameters; see `bound`.
        precision: Standard error wanted, its own or that of the job; None to take the default of the options, 0 for
            the exact value.
    """

    circuit: tagged.Circuit | tagged.Text
    observables: observables.Observables
    values: Values
    precision: float | None = None


class SamplerParams(msgspec.Struct, frozen=True):
    """Params of a sampler job.

    Attributes:
        pubs: At least one.
        options: The options.
        qiskit: Whether the result is to be tagged, as every Qiskit client asks; plain JSON if not.
    """

    pubs: tuple[SamplerPub, ...]
    options: options.SamplerOptions
    qiskit: bool = True


class EstimatorParams(msgspec.Struct, frozen=True):
    """Params of an estimator job; as `SamplerParams`, the resilience level is in `options.resilience`."""

    pubs: tuple[EstimatorPub, ...]
    options: options.EstimatorOptions
    qiskit: bool = True


class _SamplerParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pubs: Pubs
    options: Any = None
    version: Literal[2] = 2
    support_qiskit: bool = False
    shots: Shots | None = None


class _EstimatorParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pubs: Pubs
    options: Any = None
    version: Literal[2] = 2
    support_qiskit: bool = False
    precision: Tolerance | None = None
    resilience_level: Annotated[int, msgspec.Meta(ge=0, le=2)] = 1


def decode_sampler(body: bytes | bytearray | memoryview) -> SamplerParams:
    """Read the params of a sampler job.

    Raises:
        errors.ProgramRefused: Codes 8030 to 8034; the message names the pub and what is wrong.
    """
    params = given.read(_document(body), _SamplerParams, "")
    pubs = tuple(_sampler_pub(pub, f"pubs[{index}]", params.shots) for index, pub in enumerate(params.pubs))
    return SamplerParams(pubs, options.sampler(params.options), params.support_qiskit)


def decode_estimator(body: bytes | bytearray | memoryview) -> EstimatorParams:
    """Read the params of an estimator job.

    Raises:
        errors.ProgramRefused: Codes 8030 to 8034; the message names the pub and what is wrong.
    """
    params = given.read(_document(body), _EstimatorParams, "")
    pubs = tuple(_estimator_pub(pub, f"pubs[{index}]", params.precision) for index, pub in enumerate(params.pubs))
    return EstimatorParams(pubs, options.estimator(params.options, params.resilience_level), params.support_qiskit)


def _document(body: bytes | bytearray | memoryview) -> dict[str, Any]:
    document = untagged.decode(body)
    if not isinstance(document, dict) or "pubs" not in document:
        raise errors.ProgramRefused("The params of the job are not an object with `pubs`.", 8030)
    return document


def _parts(pub: Any, least: int, most: int, where: str) -> list[Any]:
    """The parts of a pub, with None for those that were left out at its end."""
    parts = pub if isinstance(pub, list) else [pub]
    if not least <= len(parts) <= most:
        raise errors.ProgramRefused(f"{where} has {len(parts)} parts; it must have {least} to {most}.", 8030)
    return [*parts, *[None] * (most - len(parts))]


def _sampler_pub(pub: Any, where: str, otherwise: int | None) -> SamplerPub:
    circuit, values, shots = _parts(pub, 1, 3, where)
    return SamplerPub(
        untagged.circuit(circuit, f"{where}[0]"),
        _values(values, f"{where}[1]"),
        given.one(shots, Shots, f"{where}[2]") if shots is not None else otherwise,
    )


def _estimator_pub(pub: Any, where: str, otherwise: float | None) -> EstimatorPub:
    circuit, array, values, precision = _parts(pub, 2, 4, where)
    return EstimatorPub(
        untagged.circuit(circuit, f"{where}[0]"),
        observables.read(array, f"{where}[1]"),
        _values(values, f"{where}[2]"),
        given.one(precision, Tolerance, f"{where}[3]") if precision is not None else otherwise,
    )


def _values(values: Any, where: str) -> Values:
    if values is None or isinstance(values, tagged.Bindings):
        return values
    if isinstance(values, Mapping):
        return tagged.Bindings(None, tuple(((name,), untagged.numbers(array, where)) for name, array in values.items()))
    return untagged.numbers(values, where)


def bound(values: Values, names: Sequence[str], where: str) -> npt.NDArray[np.float64]:
    """The values of a circuit's parameters.

    Args:
        values: As the pub has them.
        names: Names of the circuit's parameters, in its order (`circuit.parameters`).
        where: The pub, for messages: `pubs[3]`.

    Returns:
        float64 of shape (..., len(names)); the leading axes are the shape of the pub's values.

    Raises:
        errors.ProgramRefused: Code 8033: values are missing, or there are too many, or they are not numbers. Code
            8034: there are too many sets of them.
    """
    if values is None:
        values = tagged.Bindings((), ())
    array = _named(values, names, where) if isinstance(values, tagged.Bindings) else _ordered(values, names, where)
    if math.prod(array.shape[:-1]) > MOST_ELEMENTS:
        raise errors.ProgramRefused(f"{where}: a pub may have {MOST_ELEMENTS} sets of values at most.", 8034)
    if not np.isfinite(array).all():
        raise errors.ProgramRefused(f"{where}: a value of a parameter is not a finite number.", 8033)
    return array


def _ordered(values: npt.NDArray[Any], names: Sequence[str], where: str) -> npt.NDArray[np.float64]:
    count = len(names)
    if values.ndim and values.shape[-1] == count:
        return values.astype(np.float64, copy=False)
    if count == 1:
        return values.astype(np.float64, copy=False)[..., np.newaxis]
    got = values.shape[-1] if values.ndim else 1
    raise errors.ProgramRefused(
        f"{where}: the circuit has {count} parameters, and the values are for {got} (their last axis).", 8033
    )


def _named(values: tagged.Bindings, names: Sequence[str], where: str) -> npt.NDArray[np.float64]:
    arrays = [(keys, _aligned(keys, array, values.shape, where)) for keys, array in values.values]
    _check_names([key for keys, _ in arrays for key in keys], names, where)
    shapes = sorted({array.shape[:-1] for _, array in arrays})
    if len(shapes) > 1:
        raise errors.ProgramRefused(
            f"{where}: values of the shapes {shapes[0]} and {shapes[-1]} do not go together.", 8033
        )
    leading = shapes[0] if shapes else (values.shape or ())
    if (
        math.prod(leading) > MOST_ELEMENTS or max(leading, default=0) > MOST_ELEMENTS
    ):  # without parameters, a shape costs nothing to write
        raise errors.ProgramRefused(f"{where}: a pub may have {MOST_ELEMENTS} sets of values at most.", 8034)
    result = np.empty((*leading, len(names)))
    place = {name: index for index, name in enumerate(names)}
    for keys, array in arrays:
        result[..., [place[key] for key in keys]] = array
    return result


def _aligned(
    keys: tuple[str, ...], array: npt.NDArray[Any], shape: tuple[int, ...] | None, where: str
) -> npt.NDArray[Any]:
    """The values of some parameters, with a last axis over them, which may be left out where there is only one.

    Source: `qiskit/primitives/containers/bindings_array.py`, `_infer_shape` and `_standardize_shape`.
    """
    bare = array.shape == shape if shape is not None else array.shape[-1:] != (1,)
    if len(keys) == 1 and bare:
        array = array[..., np.newaxis]
    wrong = shape is not None and array.shape[:-1] != shape
    if array.shape[-1:] != (len(keys),) or wrong:
        raise errors.ProgramRefused(
            f"{where}: {len(keys)} parameters cannot have values of the shape {array.shape}.", 8033
        )
    return array


def _check_names(found: Sequence[str], names: Sequence[str], where: str) -> None:
    missing = sorted(set(names) - set(found))
    unknown = sorted(set(found) - set(names))
    if unknown:
        raise errors.ProgramRefused(f"{where}: the circuit has no parameter {unknown[0]!r:.60}.", 8033)
    if missing:
        raise errors.ProgramRefused(f"{where}: there is no value for the parameter {missing[0]!r:.60}.", 8033)
    if len(found) > len(names):
        raise errors.ProgramRefused(f"{where}: a parameter has two values.", 8033)


def shape(values: tuple[int, ...], array: tuple[int, ...], where: str) -> tuple[int, ...]:
    """The shape of an estimator pub: that of its values and that of its observables, broadcast.

    Raises:
        errors.ProgramRefused: Code 8033: they do not broadcast. Code 8034: there would be too many elements.
    """
    axes = []
    for one, other in itertools.zip_longest(reversed(values), reversed(array), fillvalue=1):
        if one != other and 1 not in {one, other}:
            raise errors.ProgramRefused(
                f"{where}: values of the shape {values} and observables of the shape {array} do not broadcast.", 8033
            )
        axes.append(other if one == 1 else one)
    if math.prod(axes) > MOST_ELEMENTS:
        raise errors.ProgramRefused(f"{where}: a pub may have {MOST_ELEMENTS} expectation values at most.", 8034)
    return tuple(reversed(axes))


def encode_sampler(
    results: Sequence[tuple[tagged.DataBin, Mapping[str, Any]]], metadata: Mapping[str, Any], *, qiskit: bool = True
) -> bytes:
    """Write the result of a sampler job.

    Args:
        results: For each pub its data (registers: `tagged.bits`, or complex arrays) and metadata.
        metadata: Of the job; `version` is added.
        qiskit: As in `SamplerParams`.
    """
    return _encode("SamplerPubResult", results, metadata, qiskit)


def encode_estimator(
    results: Sequence[tuple[tagged.DataBin, Mapping[str, Any]]], metadata: Mapping[str, Any], *, qiskit: bool = True
) -> bytes:
    """Write the result of an estimator job.

    Args:
        results: For each pub its data (`evs`, `stds`, ..: float64 arrays of the pub's shape) and metadata.
        metadata: Of the job; `version` is added.
        qiskit: As in `EstimatorParams`.
    """
    return _encode("PubResult", results, metadata, qiskit)


def _encode(
    kind: str, results: Sequence[tuple[tagged.DataBin, Mapping[str, Any]]], metadata: Mapping[str, Any], qiskit: bool
) -> bytes:
    whole = {**metadata, "version": 2}
    if qiskit:
        pubs = tuple(tagged.PubResult(kind, data, own) for data, own in results)
        return tagged.encode(tagged.PrimitiveResult(pubs, whole))
    plain = [
        {"data": {name: _plain(field) for name, field in data.fields.items()}, "metadata": own} for data, own in results
    ]
    return tagged.encode({"results": plain, "metadata": whole})


def _plain(field: tagged.BitArray | npt.NDArray[Any]) -> Any:
    """A field without tags: outcomes as hexadecimal numbers, complex numbers as pairs."""
    if isinstance(field, tagged.BitArray):
        return {"samples": _samples(field), "num_bits": field.num_bits}
    if np.iscomplexobj(field):
        return np.stack([field.real, field.imag], axis=-1).tolist()
    return field.tolist()


def _samples(field: tagged.BitArray) -> Any:
    rows = field.array.reshape(-1, field.array.shape[-1])
    texts = [hex(int.from_bytes(row.tobytes(), "big")) for row in rows]
    return np.array(texts, dtype=object).reshape(field.array.shape[:-1]).tolist()
