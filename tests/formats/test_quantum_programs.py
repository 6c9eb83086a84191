# SPDX-License-Identifier: Apache-2.0
"""Executor programs are read as the real client writes them, and its own decoders read the results."""

import datetime
import io
import json
import math
import zlib
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ibm_quantum_schemas.common import CompressedTensorModel, TensorModel
from ibm_quantum_schemas.executor.version_2_0 import ParamsModel, QuantumProgramResultModel
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter
from qiskit.quantum_info import PauliLindbladMap
from qiskit_ibm_runtime import RuntimeEncoder
from qiskit_ibm_runtime.decoders.executor.decoder import ExecutorResultDecoder
from qiskit_ibm_runtime.decoders.executor_sampler.decoder import ClientSideSamplerResultDecoder
from qiskit_ibm_runtime.executor_sampler.prepare import prepare
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from qiskit_ibm_runtime.options_models import ExecutorOptions, SamplerOptions
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS
from qiskit_ibm_runtime.quantum_program.quantum_program import QuantumProgram
from samplomatic import InjectNoise, Twirl, build
from samplomatic.serialization import samplex_from_json

from chandelier import errors
from chandelier.formats import packed, quantum_programs, tagged, tensors

START, STOP = (datetime.datetime(2026, 1, 1, 12, minute, tzinfo=datetime.UTC) for minute in (1, 2))


def circuit() -> QuantumCircuit:
    """Two qubits with parameters a and b, measured."""
    made = QuantumCircuit(2)
    made.rx(Parameter("a"), 0)
    made.rx(Parameter("b"), 1)
    made.measure_all()
    return made


def written(program: QuantumProgram, version: str = "v2.0", **changes: object) -> dict[str, Any]:
    """The params that the real client makes of a program."""
    options = ExecutorOptions(**changes)
    params = QUANTUM_PROGRAM_PARAMS_CONVERTERS[version].encoder(program, options).model_dump(mode="json")
    read: dict[str, Any] = json.loads(json.dumps(params, cls=RuntimeEncoder))
    return read


def program() -> dict[str, Any]:
    """The params of a program with one circuit and four sets of values, three times each."""
    made = QuantumProgram(shots=50)
    made.append_circuit_item(circuit(), circuit_arguments=np.arange(8.0).reshape(4, 2))
    params = written(made)
    params["quantum_program"]["items"][0]["shape"] = [3, 4]
    return params


def read(params: object) -> quantum_programs.Params:
    """The params of an executor job."""
    return quantum_programs.decode(json.dumps(params).encode())


def outcome(params: object) -> int | None:
    """The code with which params are refused; None if they are read."""
    try:
        read(params)
    except errors.ProgramRefused as error:
        return error.code
    return None


def changed(path: str, value: object) -> dict[str, Any]:
    """A good program with one change; ... removes a key."""
    params: Any = program()
    *parents, last = path.split(".")
    place = params
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return dict(params)


@pytest.mark.parametrize("version", ["v1.0", "v1.1", "v2.0"])
def test_circuit_items_of_the_client(version: str) -> None:
    """Circuits, arguments, shapes and shots arrive, in each version of the documents that is read."""
    made = QuantumProgram(shots=50)
    values = np.arange(8.0).reshape(4, 2)
    swept = circuit()
    made.append_circuit_item(swept, circuit_arguments=values)
    bell = QuantumCircuit(2, 2)
    made.append_circuit_item(bell)
    document = written(made, version)
    document["quantum_program"]["items"][0]["shape"] = [3, 4]
    params = read(document)
    first, second = params.items

    assert isinstance(first, quantum_programs.CircuitItem)
    assert isinstance(second, quantum_programs.CircuitItem)
    assert params.circuits.qpy is not None
    assert qpy.load(io.BytesIO(params.circuits.qpy)) == [swept, bell]
    assert (params.circuits.count, params.circuits.version) == (2, params.circuits.qpy[6])
    assert (params.shots, params.meas_level, params.semantic_role) == (50, "classified", None)
    assert (first.shape, first.chunk_size) == ((3, 4), None)
    np.testing.assert_array_equal(quantum_programs.spread(first), np.broadcast_to(values, (3, 4, 2)))
    assert quantum_programs.spread(second).shape == (0,)


def test_shapes_that_the_arguments_say() -> None:
    """An item without a shape of its own has that of its arguments."""
    (item,) = read(changed("quantum_program.items.0.shape", [])).items

    assert item.shape == (4,)


def test_samplex_items_of_the_client() -> None:
    """A samplex arrives as its text, with arguments of all kinds."""
    boxed = QuantumCircuit(2)
    with boxed.box([Twirl(), InjectNoise("noise")]):
        boxed.cx(0, 1)
    with boxed.box([Twirl()]):
        boxed.rx(Parameter("a"), 0)
        boxed.measure_all()
    template, samplex = build(boxed)
    made = QuantumProgram(shots=20)
    noise = PauliLindbladMap.from_sparse_list([("XZ", [0, 1], 0.5)], 2)
    made.append_samplex_item(
        template,
        samplex=samplex,
        samplex_arguments={"parameter_values": np.ones((4, 1)), "pauli_lindblad_maps": {"noise": noise}},
        shape=(5, 4),
    )
    (item,) = read(written(made)).items

    assert isinstance(item, quantum_programs.SamplexItem)
    assert item.shape == (5, 4)
    assert samplex_from_json(item.samplex).finalize() == samplex.finalize()
    values = item.arguments["parameter_values"]
    assert isinstance(values, np.ndarray)
    np.testing.assert_array_equal(values, np.ones((4, 1)))
    assert item.arguments["pauli_lindblad_maps.noise"] == tagged.PauliLindblad((("XZ", (0, 1), 0.5),), 2)


def test_arguments_of_a_samplex() -> None:
    """Truth values and integers stay what they are."""
    params = program()
    params["quantum_program"]["items"] = [
        {
            "item_type": "samplex",
            "samplex": {"ssv": 1, "samplex_json": "{}"},
            "samplex_arguments": {"yes": True, "two": 2},
            "shape": [],
        }
    ]
    (item,) = read(params).items

    assert isinstance(item, quantum_programs.SamplexItem)
    assert item.arguments == {"yes": True, "two": 2}
    assert item.arguments["yes"] is True


def test_circuits_as_texts() -> None:
    """Circuits may be OpenQASM texts, one for each item."""
    params = read(changed("quantum_program.circuits", {"data": ["OPENQASM 3.0;"]}))

    assert params.circuits == quantum_programs.Circuits(None, ("OPENQASM 3.0;",), 0, 1)


def test_options_of_the_client() -> None:
    """The wait between shots and what is to be told of the schedule arrive."""
    made = QuantumProgram(shots=5)
    made.append_circuit_item(QuantumCircuit(1, 1))
    params = written(made, execution={"rep_delay": 0.0002, "scheduler_timing": True, "stretch_values": True})

    assert read(params).options == quantum_programs.ExecutorOptions(0.0002, True, True)


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("schema_version", "v0.1", 8030),
        ("schema_version", "v3.0", 8030),
        ("schema_version", ..., 8030),
        ("quantum_program", ..., 8032),
        ("quantum_program.shots", 0, 8032),
        ("quantum_program.shots", 1.5, 8032),
        ("quantum_program.more", 1, 8031),
        ("options.more", 1, 8031),
        ("options.init_qubits", False, 8031),
        ("options.experimental", {"magic": 1}, 8031),
        ("options.rep_delay", -1, 8032),
        ("quantum_program.meas_level", "raw", 8032),
        ("quantum_program.items", [], 8032),
        ("quantum_program.circuits", {}, 8030),
        ("quantum_program.circuits", {"data": []}, 8033),
        ("quantum_program.circuits.num_programs", 2, 8033),
        ("quantum_program.circuits.b64_data", "???", 8030),
        ("quantum_program.items.0.item_type", "magic", 8032),
        ("quantum_program.items.0.chunk_size", 0, 8032),
        ("quantum_program.items.0.chunk_size", "all", 8032),
        ("quantum_program.items.0.shape", [5], 8033),
        ("quantum_program.items.0.shape", [-1, 4], 8032),
        ("quantum_program.items.0.shape", [1] * 40, 8032),
        ("quantum_program.items.0.shape", [10**9, 4], 8034),
        ("quantum_program.items.0.more", 1, 8031),
        ("quantum_program.items.0.circuit_arguments.shape", [5, 2], 8030),
        ("quantum_program.items.0.circuit_arguments.shape", [-4, -2], 8030),
        ("quantum_program.items.0.circuit_arguments.shape", [10**30, 2], 8030),
        ("quantum_program.items.0.circuit_arguments.dtype", "f32", 8030),
        ("quantum_program.items.0.circuit_arguments.dtype", "object", 8030),
        ("quantum_program.items.0.circuit_arguments.dtype", "i64", 8033),
        ("quantum_program.items.0.circuit_arguments.data", "AAAA", 8030),
        ("quantum_program.items.0.circuit_arguments.data", packed.pack(np.full(8, np.nan).tobytes()), 8033),
    ],
)
def test_programs_that_are_wrong(path: str, value: object, code: int) -> None:
    """An unknown version, key or type, sizes that do not agree, and shapes that do not broadcast are refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        read(changed(path, value))
    assert caught.value.code == code


def test_chunk_sizes_go_together() -> None:
    """Either all items say how much is run at a time, or none does."""
    params = program()
    item = params["quantum_program"]["items"][0]
    params["quantum_program"]["circuits"] = {"data": ["", ""]}
    params["quantum_program"]["items"] = [{**item, "chunk_size": 5}, item]
    with pytest.raises(errors.ProgramRefused, match="chunk_size"):
        read(params)
    params["quantum_program"]["items"] = [{**item, "chunk_size": 5}] * 2
    assert [entry.chunk_size for entry in read(params).items] == [5, 5]


def test_what_passes_through_is_not_touched() -> None:
    """Role and passed-through data are repeated byte for byte, whatever numbers and keys they hold."""
    data = '{"b": [1.0, 1e2, {"a": null, "a ": -0.0}], "x": "\\u00e9", "big": 123456789012345678901234567890}'
    body = json.dumps(changed("quantum_program.passthrough_data", "HERE")).replace('"HERE"', data)
    params = quantum_programs.decode(body.replace('"semantic_role": null', '"semantic_role": "sampler_v2"').encode())
    result = quantum_programs.encode(params, [], [])

    assert data.encode() in result
    assert json.loads(result)["semantic_role"] == "sampler_v2"


def test_results_for_the_client() -> None:
    """The client's decoder finds the arrays of each register, and when they were taken."""
    params = read(program())
    bits = np.random.default_rng(2).random((3, 4, 50, 9)) < 0.5
    item = quantum_programs.ItemResult(
        {"meas": bits, "iq": np.ones((3, 4, 9), dtype=complex)},
        quantum_programs.Timing("main,reset,...", 100),
        (quantum_programs.Stretch("s", 10, 1, ((0, 10), (20, 10))),),
    )
    part = quantum_programs.ChunkPart(0, 12, (0, 1), (0, 12, 1))
    body = quantum_programs.encode(params, [item], [quantum_programs.ChunkSpan(START, STOP, (part,))])
    model = QuantumProgramResultModel.model_validate_json(body)
    result: Any = ExecutorResultDecoder.decode(body.decode())

    np.testing.assert_array_equal(result[0]["meas"], bits)
    np.testing.assert_array_equal(result[0]["iq"], np.ones((3, 4, 9), dtype=complex))
    assert model.metadata.chunk_timing[0].start == START
    assert model.metadata.chunk_timing[0].parts[0].element_range == (0, 12, 1)
    assert model.data[0].metadata.scheduler_timing is not None
    assert model.data[0].metadata.stretch_values is not None


@pytest.mark.parametrize("version", ["v1.0", "v1.1", "v2.0"])
def test_results_in_the_version_of_the_params(version: str) -> None:
    """A client of an older version gets a result that it can read."""
    made = QuantumProgram(shots=3)
    made.append_circuit_item(QuantumCircuit(1, 1))
    params = read(written(made, version))
    item = quantum_programs.ItemResult({"c": np.array([[True], [False], [True]])})
    result: Any = ExecutorResultDecoder.decode(quantum_programs.encode(params, [item], []).decode())

    np.testing.assert_array_equal(result[0]["c"], [[True], [False], [True]])


@pytest.mark.parametrize("twirled", [False, True])
def test_the_sampler_of_the_client(twirled: bool) -> None:
    """The client's own sampler sends what is read, and makes counts of the result."""
    options = SamplerOptions()
    options.twirling.enable_measure = twirled
    options.twirling.num_randomizations = 4
    made, executor = prepare([(circuit(), np.ones((3, 2)))], options, 40, False, FakeManilaV2())
    made._semantic_role = "sampler_v2"  # what its sampler does next
    params = read(QUANTUM_PROGRAM_PARAMS_CONVERTERS["v2.0"].encoder(made, executor).model_dump(mode="json"))
    (item,) = params.items
    bits = np.zeros((*item.shape, params.shots, 2), dtype=bool)
    bits[..., 0] = True
    results = {"meas": bits}
    if twirled:
        results["measurement_flips.meas"] = np.zeros((*item.shape, 1, 2), dtype=bool)
    decoded = ExecutorResultDecoder.decode(
        quantum_programs.encode(params, [quantum_programs.ItemResult(results)], []).decode()
    )
    result: Any = ClientSideSamplerResultDecoder.decode(decoded)

    assert isinstance(item, quantum_programs.SamplexItem if twirled else quantum_programs.CircuitItem)
    assert params.semantic_role == "sampler_v2"
    assert result[0].data.meas.get_counts(1) == {"01": 40}


@given(
    arrays.arrays(
        st.sampled_from([*tensors.DTYPES.values(), ">f8", ">i4"]),
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=11),
    ),
    st.booleans(),
)
def test_tensors_both_ways(array: npt.NDArray[Any], fortran: bool) -> None:
    """The client reads a tensor as it was, and the server reads what the client writes, compressed or not."""
    array = np.asarray(array, order="F" if fortran else "C")
    native = array.astype(array.dtype.newbyteorder("="))
    compressed = tensors.write(array)
    theirs = CompressedTensorModel.from_numpy(native)
    plain = CompressedTensorModel.model_validate(msgspec.to_builtins(compressed))
    sent = tensors.Tensor(theirs.data, tuple(theirs.shape), theirs.dtype)

    np.testing.assert_array_equal(plain.to_numpy(), array)
    np.testing.assert_array_equal(tensors.read(sent, "", packed.Allowance()), array)
    np.testing.assert_array_equal(
        tensors.read(tensors.write(array, compressed=False), "", packed.Allowance(), compressed=False), array
    )
    assert tensors.read(sent, "", packed.Allowance()).dtype == native.dtype


@pytest.mark.parametrize("dtype", ["bool", "f8", "u1", "c16"])
def test_tensors_without_compression(dtype: str) -> None:
    """The client's older model of tensors reads what is written without compression."""
    array = np.arange(15).reshape(3, 5).astype(dtype)
    model = TensorModel.model_validate(msgspec.to_builtins(tensors.write(array, compressed=False)))

    np.testing.assert_array_equal(model.to_numpy(), array)


def test_tensors_of_other_types() -> None:
    """An array of another type is the programmer's mistake."""
    with pytest.raises(ValueError, match="cannot be of type"):
        tensors.write(np.zeros(2, dtype=object))


def test_tensors_that_are_bombs() -> None:
    """Bits that would unpack into more than the document may have are refused, before they are unpacked."""
    count = packed.MOST_UNPACKED + 8
    tensor = tensors.Tensor(packed.pack(bytes(count // 8)), (count,), "bool")
    with pytest.raises(errors.ProgramRefused) as caught:
        tensors.read(tensor, "it", packed.Allowance())
    assert caught.value.code == 8034
    assert len(zlib.compress(bytes(count // 8))) < math.isqrt(count) * 10


SCRAPS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**20)
    | st.floats()
    | st.sampled_from(["v2.0", "circuit", "auto", "AA==", "f64"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["data", "shape", "dtype", "ssv", "samplex_json", "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(SCRAPS, SCRAPS, SCRAPS, SCRAPS)
def test_garbage_is_only_ever_refused(first: object, second: object, third: object, fourth: object) -> None:
    """Whatever stands in params, they are read or refused as a program."""
    item = {"item_type": "circuit", "circuit_arguments": first, "shape": second}
    samplex = {"item_type": "samplex", "samplex": third, "samplex_arguments": {"a": first}, "shape": second}
    for scrap in (
        first,
        {"schema_version": "v2.0", "quantum_program": first},
        {"schema_version": "v2.0", "quantum_program": {"shots": 1, "circuits": {"data": [""]}, "items": [item]}},
        {"schema_version": "v2.0", "quantum_program": {"shots": 1, "circuits": fourth, "items": [samplex, fourth]}},
    ):
        assert outcome(scrap) in {None, 8030, 8031, 8032, 8033, 8034}


def test_the_model_of_the_client_agrees() -> None:
    """A program that is read is one that the published model accepts."""
    assert ParamsModel.model_validate(program()).quantum_program.shots == 50
