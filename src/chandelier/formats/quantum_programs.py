# SPDX-License-Identifier: Apache-2.0
"""Params and results of the executor: circuits, each run as it is or through a samplex that draws random versions.

Source: protocol, Runtime API, sections 7.3 and 8; `ibm_quantum_schemas/executor/version_2_0/models.py`.
"""

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from chandelier import errors
from chandelier.formats import given, options, packed, tagged, tensors

#: The versions of the documents that are read and written, and whether circuits and tensors are compressed in them.
COMPRESSED: Final[Mapping[str, bool]] = {"v1.0": False, "v1.1": False, "v2.0": True}
#: A program has no more items, and an item no more elements.
MOST_ITEMS: Final = 10_000
MOST_ELEMENTS: Final = 10_000_000

#: A JSON value of the client that a result repeats unchanged, where there is none.
NOTHING: Final = msgspec.Raw(b"null")


class Circuits(msgspec.Struct, frozen=True):
    """One circuit for each item, in their order.

    Attributes:
        qpy: A QPY file with all of them; None if they were sent as texts.
        qasm: OpenQASM 3 texts; empty if they were sent as QPY.
        version: The QPY version that the client says it wrote; 0 for texts.
        count: How many there are, as the client says; a QPY file has to be held against it.
    """

    qpy: bytes | None
    qasm: tuple[str, ...]
    version: int
    count: int


class CircuitItem(msgspec.Struct, frozen=True):
    """A circuit to run for each set of values.

    Attributes:
        arguments: float64 of shape (..., parameters); the last axis is over `circuit.parameters`. See `spread`.
        shape: What the leading axes broadcast to; axes that it adds are repetitions.
        chunk_size: Elements per loop over the shots; None if the server may choose.
    """

    arguments: npt.NDArray[np.float64]
    shape: tuple[int, ...]
    chunk_size: int | None = None


class SamplexItem(msgspec.Struct, frozen=True):
    """A circuit to run with arguments that a samplex draws.

    Attributes:
        ssv: Version of the samplex' format, 1 to 4.
        samplex: The samplex, JSON text, not yet looked at.
        arguments: What it is given, by name.
        shape: What the shape of the arguments broadcasts to; axes that it adds are randomizations.
        chunk_size: As in `CircuitItem`.
    """

    ssv: int
    samplex: str
    arguments: Mapping[str, bool | int | tagged.PauliLindblad | npt.NDArray[Any]]
    shape: tuple[int, ...]
    chunk_size: int | None = None


class ExecutorOptions(msgspec.Struct, frozen=True):
    """Options of an executor job.

    Attributes:
        rep_delay: Wait between shots, s; None for that of the device.
        scheduler_timing: Whether the metadata of each item are to have the timing of its circuit.
        stretch_values: Whether they are to have the values of its stretches.
    """

    rep_delay: float | None = None
    scheduler_timing: bool = False
    stretch_values: bool = False


class Params(msgspec.Struct, frozen=True):
    """Params of an executor job.

    Attributes:
        schema_version: One of `COMPRESSED`; the result is in the same.
        shots: Of each element of each item.
        circuits: One for each item.
        items: What to run.
        meas_level: `classified`, `kerneled`, `avg_kerneled` or `both`.
        semantic_role: To be repeated in the result; the client's post-processing goes by it.
        passthrough_data: JSON, to be repeated in the result verbatim.
        options: The options.
    """

    schema_version: str
    shots: int
    circuits: Circuits
    items: tuple[CircuitItem | SamplexItem, ...]
    meas_level: Literal["classified", "kerneled", "avg_kerneled", "both"]
    semantic_role: str | None
    passthrough_data: msgspec.Raw
    options: ExecutorOptions


class Timing(msgspec.Struct, frozen=True):
    """The schedule of a circuit: comma-separated text, and its duration in dt."""

    timing: str
    circuit_duration: int


class Stretch(msgspec.Struct, frozen=True):
    """What a stretch was resolved to, in dt; `expanded_values` are pairs of time and duration."""

    name: str
    value: int
    remainder: int
    expanded_values: tuple[tuple[int, int], ...]


class ItemResult(msgspec.Struct, frozen=True):
    """The result of an item.

    Attributes:
        results: By register: truth values of shape (*shape, shots, width), column j being classical bit j; complex of
            shape (*shape, shots, width) if kerneled and (*shape, width) if averaged.
        scheduler_timing: If it was asked for.
        stretch_values: If they were asked for.
    """

    results: Mapping[str, npt.NDArray[Any]]
    scheduler_timing: Timing | None = None
    stretch_values: tuple[Stretch, ...] | None = None


class ChunkPart(msgspec.Struct, frozen=True):
    """Which elements of an item were run: of its axes, permuted and flattened, `element_range` (start, stop, step)."""

    idx_item: int
    size: int
    permutation: tuple[int, ...]
    element_range: tuple[int, int, int]


class ChunkSpan(msgspec.Struct, frozen=True):
    """When which parts of a program were run."""

    start: datetime.datetime
    stop: datetime.datetime
    parts: tuple[ChunkPart, ...]


Chunk = Annotated[int, msgspec.Meta(ge=1)] | Literal["auto"]


class _Version(msgspec.Struct, frozen=True):
    schema_version: str | None = None


class _Circuits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    b64_data: str | None = None
    qpy_version: int = 0
    num_programs: int = 0
    data: list[str] | None = None


class _CircuitItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="item_type", tag="circuit"):
    circuit_arguments: tensors.Tensor
    shape: packed.Axes
    chunk_size: Chunk = "auto"


class _Samplex(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ssv: Annotated[int, msgspec.Meta(ge=1, le=4)]
    samplex_json: str


class _SamplexItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="item_type", tag="samplex"):
    samplex: _Samplex
    samplex_arguments: dict[str, msgspec.Raw]
    shape: packed.Axes
    chunk_size: Chunk = "auto"


class _Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    shots: options.Count
    circuits: _Circuits
    items: Annotated[list[_CircuitItem | _SamplexItem], msgspec.Meta(min_length=1, max_length=MOST_ITEMS)]
    semantic_role: str | None = None
    meas_level: Literal["classified", "kerneled", "avg_kerneled", "both"] = "classified"
    passthrough_data: msgspec.Raw = NOTHING


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    init_qubits: bool = True
    rep_delay: options.Delay | None = None
    scheduler_timing: bool = False
    stretch_values: bool = False
    experimental: dict[str, Any] = {}


class _Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema_version: str
    quantum_program: _Program
    options: _Options = _Options()


class _Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sparse_terms: tuple[tuple[str, tuple[int, ...], float], ...]
    num_qubits: Annotated[int, msgspec.Meta(ge=0)]


def decode(body: bytes | bytearray | memoryview) -> Params:
    """Read the params of an executor job.

    Raises:
        errors.ProgramRefused: Codes 8030 to 8034; the message names what is wrong.
    """
    version = given.decode(body, _Version).schema_version
    if version not in COMPRESSED:
        known = ", ".join(COMPRESSED)
        raise errors.ProgramRefused(f"The `schema_version` is {version!r:.60}; it may be one of {known}.", 8030)
    wire = given.decode(body, _Params)
    program = wire.quantum_program
    source = _Source(packed.Allowance(), COMPRESSED[version])
    circuits = _circuits(program.circuits, source)
    if circuits.count != len(program.items):
        raise errors.ProgramRefused(
            f"The program has {len(program.items)} items and {circuits.count} circuits; it needs one for each.", 8033
        )
    if len({item.chunk_size == "auto" for item in program.items}) > 1:
        raise errors.ProgramRefused("The `chunk_size` must be `auto` in all items or in none.", 8032)
    return Params(
        schema_version=version,
        shots=program.shots,
        circuits=circuits,
        items=tuple(_item(item, f"items[{index}]", source) for index, item in enumerate(program.items)),
        meas_level=program.meas_level,
        semantic_role=program.semantic_role,
        passthrough_data=program.passthrough_data,
        options=_options(wire.options),
    )


class _Source(msgspec.Struct, frozen=True):
    """How bytes are written in a document, and how many it may still unpack."""

    allowance: packed.Allowance
    compressed: bool


def _options(wire: _Options) -> ExecutorOptions:
    given.refuse(
        {"init_qubits": not wire.init_qubits, **{f"experimental.{key:.60}": True for key in wire.experimental}}
    )
    return ExecutorOptions(wire.rep_delay, wire.scheduler_timing, wire.stretch_values)


def _circuits(wire: _Circuits, source: _Source) -> Circuits:
    if (wire.b64_data is None) == (wire.data is None):
        raise errors.ProgramRefused("The `circuits` have either `b64_data` or `data`.", 8030)
    if wire.b64_data is None:
        texts = tuple(wire.data or ())
        return Circuits(None, texts, 0, len(texts))
    qpy = packed.unpack(wire.b64_data, "circuits", source.allowance, compressed=source.compressed)
    return Circuits(qpy, (), wire.qpy_version, wire.num_programs)


def _item(wire: _CircuitItem | _SamplexItem, where: str, source: _Source) -> CircuitItem | SamplexItem:
    if math.prod(wire.shape) > MOST_ELEMENTS:
        raise errors.ProgramRefused(f"{where}: an item may have {MOST_ELEMENTS} elements at most.", 8034)
    chunk = None if wire.chunk_size == "auto" else wire.chunk_size
    if isinstance(wire, _SamplexItem):
        arguments = {
            name: _argument(raw, f"{where}.samplex_arguments.{name:.60}", source)
            for name, raw in wire.samplex_arguments.items()
        }
        return SamplexItem(wire.samplex.ssv, wire.samplex.samplex_json, arguments, wire.shape, chunk)
    values = tensors.read(
        wire.circuit_arguments, f"{where}.circuit_arguments", source.allowance, compressed=source.compressed
    )
    if values.dtype != np.float64 or values.ndim == 0:
        raise errors.ProgramRefused(f"{where}.circuit_arguments must be f64 and have an axis for parameters.", 8033)
    if not np.isfinite(values).all():
        raise errors.ProgramRefused(f"{where}.circuit_arguments has a number that is not finite.", 8033)
    shape = _whole(wire.shape, values.shape[:-1])
    if shape is None or math.prod(shape) > MOST_ELEMENTS:
        raise errors.ProgramRefused(
            f"{where}: arguments of the shape {values.shape[:-1]} do not broadcast with {wire.shape}.", 8033
        )
    return CircuitItem(values, shape, chunk)


def _whole(shape: tuple[int, ...], inner: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of an item, None if there is none: clients leave it empty where arguments alone say it."""
    try:
        return tuple(np.broadcast_shapes(shape, inner))
    except ValueError:
        return None


def _argument(raw: msgspec.Raw, where: str, source: _Source) -> bool | int | tagged.PauliLindblad | npt.NDArray[Any]:
    if bytes(memoryview(raw)[:1]) != b"{":
        number: bool | int = given.decode(raw, bool | int, where)
        return number
    if "dtype" in given.decode(raw, dict[str, msgspec.Raw], where):
        tensor = given.decode(raw, tensors.Tensor, where)
        return tensors.read(tensor, where, source.allowance, compressed=source.compressed)
    map_ = given.decode(raw, _Map, where)
    return tagged.PauliLindblad(map_.sparse_terms, map_.num_qubits)


def spread(item: CircuitItem) -> npt.NDArray[np.float64]:
    """The arguments of each element of an item, float64 of shape (*item.shape, parameters), not writeable."""
    return np.broadcast_to(item.arguments, (*item.shape, item.arguments.shape[-1]))


class _Metadata(msgspec.Struct, frozen=True):
    scheduler_timing: Timing | None
    stretch_values: tuple[Stretch, ...] | None


class _ItemResult(msgspec.Struct, frozen=True):
    results: dict[str, tensors.Tensor]
    metadata: _Metadata


class _ChunkTiming(msgspec.Struct, frozen=True):
    chunk_timing: tuple[ChunkSpan, ...]


class _Result(msgspec.Struct, frozen=True):
    schema_version: str
    data: list[_ItemResult]
    metadata: _ChunkTiming
    passthrough_data: msgspec.Raw
    semantic_role: str | None


def encode(params: Params, results: Sequence[ItemResult], spans: Sequence[ChunkSpan]) -> bytes:
    """Write the result of an executor job, which repeats role and passed-through data of its params."""
    compressed = COMPRESSED[params.schema_version]
    data = [
        _ItemResult(
            {name: tensors.write(values, compressed=compressed) for name, values in result.results.items()},
            _Metadata(result.scheduler_timing, result.stretch_values),
        )
        for result in results
    ]
    document = _Result(
        params.schema_version, data, _ChunkTiming(tuple(spans)), params.passthrough_data, params.semantic_role
    )
    return msgspec.json.encode(document)
