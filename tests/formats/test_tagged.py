# SPDX-License-Identifier: Apache-2.0
"""Tagged JSON is read as the real client writes it, written as it reads it, and can never do more than be refused."""

import base64
import datetime
import io
import json
import sys
import zlib
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter
from qiskit.circuit.library import RXGate
from qiskit.primitives.containers import BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.quantum_info import PauliLindbladMap, SparsePauliOp
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder
from qiskit_ibm_runtime.execution_span import DoubleSliceSpan, ExecutionSpans, TwirledSliceSpan, TwirledSliceSpanV2

from chandelier import errors
from chandelier.formats import packed, tagged, untagged

#: Every type of number that a client's array may have.
NUMBERS = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]


def sent(value: object) -> Any:
    """What the server reads of a value that the real client wrote."""
    return untagged.decode(json.dumps(value, cls=RuntimeEncoder).encode())


def received(value: object) -> Any:
    """What the real client reads of a value that the server wrote."""
    return json.loads(tagged.encode(value), cls=RuntimeDecoder)


def ndarray(data: bytes) -> bytes:
    """A tagged array with these bytes as its file."""
    text = base64.b64encode(zlib.compress(data)).decode()
    return json.dumps({"__type__": "ndarray", "__value__": text}).encode()


def refused(body: bytes, code: int = 8030) -> str:
    """The message with which a document is refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        untagged.decode(body)
    assert caught.value.code == code
    return caught.value.message


def outcome(body: bytes) -> int | None:
    """The code with which a document is refused; None if it is read."""
    try:
        untagged.decode(body)
    except errors.ProgramRefused as error:
        return error.code
    return None


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (4, 5), (2, 3, 4)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_the_client(dtype: str, shape: tuple[int, ...], order: Any) -> None:
    """An array arrives with its type, shape and values, also empty, without axes or in Fortran order."""
    array = np.asarray(np.arange(np.prod(shape)).reshape(shape).astype(dtype), order=order)
    read = sent(array)

    assert read.dtype == array.dtype
    assert read.shape == shape
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("dtype", [">f8", ">i2", ">c16"])
def test_arrays_of_the_other_byte_order(dtype: str) -> None:
    """A big-endian array has the same values and is in this machine's order afterwards."""
    array = np.arange(6).reshape(2, 3).astype(dtype)
    read = sent(array)

    assert read.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_versions_of_the_file_format(version: tuple[int, int]) -> None:
    """Both versions of NumPy's format that can hold numbers are read."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.arange(5.0), version=version)

    np.testing.assert_array_equal(untagged.decode(ndarray(buffer.getvalue())), np.arange(5.0))


@given(arrays.arrays(st.sampled_from(NUMBERS), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)))
def test_arrays_for_the_client(array: npt.NDArray[Any]) -> None:
    """The client reads every array as it was, and so does NumPy."""
    np.testing.assert_array_equal(np.load(io.BytesIO(packed.file(array))), array)
    read = received(array)

    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_a_view_is_written_as_it_looks() -> None:
    """An array that is not contiguous, or is big-endian, is written with its values in C order."""
    array = np.arange(24, dtype=">i4").reshape(2, 3, 4).transpose(2, 0, 1)[::2]

    np.testing.assert_array_equal(received(array), array)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a"]),
        np.zeros(2, dtype=[("a", "f8")]),
        np.zeros(2, dtype="M8[s]"),
        np.zeros(2, dtype=np.longdouble),
        np.zeros(2, dtype="V8"),
    ],
)
def test_arrays_of_anything_else(array: npt.NDArray[Any]) -> None:
    """An array of texts, records, times or bytes is refused."""
    buffer = io.BytesIO()
    np.save(buffer, array)

    assert "not an array of numbers" in refused(ndarray(buffer.getvalue()))


def test_objects_are_not_unpickled() -> None:
    """A file of pickled objects is refused by its header."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], dtype=object), allow_pickle=True)

    assert "not an array of numbers" in refused(ndarray(buffer.getvalue()))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}; import os",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-2,), }",
        "{'descr': '<f8', 'fortran_order': 1, 'shape': (2,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, , 3), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1, " * 40 + "), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }",
        "",
    ],
)
def test_headers_that_are_wrong(header: str) -> None:
    """A header that is not of the form that NumPy writes, or not true of the data, is refused."""
    file = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(16)

    assert refused(ndarray(file))


def test_arrays_written_as_lists() -> None:
    """What the client writes for arrays of objects stays a list with its values read; numbers become an array."""
    array = np.empty(2, dtype=object)
    array[:] = [Parameter("a"), "b"]
    read = sent(array)

    assert [untagged.name(value) for value in read] == ["a", "b"]
    np.testing.assert_array_equal(untagged.decode(b'{"__type__": "ndarray", "__value__": [[1, 2.5]]}'), [[1, 2.5]])
    assert untagged.decode(b'{"__type__": "ndarray", "__value__": "linear"}') == "linear"


def test_circuits_stay_files() -> None:
    """A circuit becomes the QPY file that the client packed, which Qiskit reads."""
    circuit = QuantumCircuit(2, metadata={"a": 1})
    circuit.h(0)
    read = sent({"pubs": [[circuit]]})["pubs"][0][0]

    assert isinstance(read, tagged.Circuit)
    assert qpy.load(io.BytesIO(read.qpy)) == [circuit]
    assert received(read) == circuit


def test_other_values_of_the_client() -> None:
    """Parameters, instructions, numbers, times, sets, bindings, operators and noise arrive as values."""
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    names = BindingsArray({("a", "b"): np.ones((3, 2)), "c": np.zeros((3, 1))})
    operator = sent(SparsePauliOp(["XX", "ZI"], [1, 2]))

    assert sent(Parameter("θ")).name == "θ"
    assert isinstance(sent(RXGate(1.5)), tagged.Gate)
    assert sent([1 + 2j, moment, {1}]) == [1 + 2j, moment, [1]]
    assert operator.name == "SparsePauliOp"
    assert operator.values["data"].values == {"data": ["XX", "ZI"]}
    assert sent(names).shape == (3,)
    assert [keys for keys, _ in sent(names).values] == [("a", "b"), ("c",)]
    assert isinstance(sent(NoiseModel()), tagged.NoiseModel)
    assert sent(PauliLindbladMap.from_sparse_list([("XZ", [0, 2], 0.5)], 3)) == tagged.PauliLindblad(
        (("XZ", (0, 2), 0.5),), 3
    )


@pytest.mark.parametrize("kind", ["os.system", "spmatrix", "Result", "to_json", "BitArray", None, 3, ["ndarray"]])
def test_unknown_types(kind: object) -> None:
    """A type that programs cannot use is refused by its name."""
    assert "a program can use no value of type" in refused(json.dumps({"__type__": kind, "__value__": 1}).encode())


def test_nothing_is_imported_by_name() -> None:
    """A module and a class that a document names are not looked for, and a class that nothing knows is refused."""
    value = {"__type__": "settings", "__module__": "os", "__class__": "system", "__value__": {"command": "true"}}
    learned = {"__type__": "_json", "__module__": "subprocess", "__class__": "Popen", "__value__": {"args": "true"}}

    assert untagged.decode(json.dumps(value).encode()) == tagged.Settings("system", {"command": "true"})
    assert "no class 'Popen'" in refused(json.dumps(learned).encode())


def test_bombs_are_not_unpacked() -> None:
    """A small document that would unpack into more than it may is refused, in one piece or in many."""
    bomb = base64.b64encode(zlib.compress(bytes(packed.MOST_UNPACKED + 1), 9)).decode()
    half = base64.b64encode(zlib.compress(bytes(packed.MOST_UNPACKED // 2 + 1), 9)).decode()
    one = {"__type__": "QuantumCircuit", "__value__": bomb}
    two = [{"__type__": "QuantumCircuit", "__value__": half}] * 2

    assert "256 MiB" in refused(json.dumps(one).encode(), 8034)
    assert "256 MiB" in refused(json.dumps(two).encode(), 8034)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 5000 + b"]" * 5000,
        b"[" * 150 + b"]" * 150,
        b'{"__type__": "QuantumCircuit"}',
        b'{"__type__": "QuantumCircuit", "__value__": 3}',
        b'{"__type__": "QuantumCircuit", "__value__": "not base64"}',
        b'{"__type__": "QuantumCircuit", "__value__": "AAAA"}',
        b'{"__type__": "complex", "__value__": [1]}',
        b'{"__type__": "datetime", "__value__": "yesterday"}',
        b'{"__type__": "ndarray", "__value__": [[1], [1, 2]]}',
        b'{"__type__": "BindingsArray", "__value__": {"data": {"[": 1}}}',
    ],
)
def test_documents_that_are_wrong(body: bytes) -> None:
    """What is not JSON, too deep, or not what its tag says is refused."""
    assert refused(body)


def test_truncated_streams() -> None:
    """A zlib stream that is cut off, or has something behind it, is refused."""
    whole = zlib.compress(b"QISKIT" * 100)
    for data in (whole[:-5], whole + b"more"):
        text = base64.b64encode(data).decode()
        assert "does not end" in refused(json.dumps({"__type__": "QuantumCircuit", "__value__": text}).encode())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=60).map(
        lambda data: base64.b64encode(zlib.compress(data)).decode()
    ),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    | st.fixed_dictionaries({
        "__type__": st.sampled_from([*untagged.TAGS, "nothing"]),
        "__value__": inner,
        "__class__": st.sampled_from(["PauliList", "SparsePauliOp", "LayerError", "x"]),
    }),
    max_leaves=20,
)  # fmt: skip


@given(VALUES)
def test_garbage_is_only_ever_refused(value: object) -> None:
    """Whatever stands in a document, it is read or refused as a program."""
    assert outcome(msgspec.json.encode(value)) in {None, 8030, 8033, 8034}


@given(st.binary(max_size=200))
def test_garbage_in_files_is_only_ever_refused(data: bytes) -> None:
    """Whatever stands in the file of an array, it is read or refused as a program."""
    for file in (data, b"\x93NUMPY\x01\x00" + data, packed.file(np.arange(6.0))[: len(data)] + data):
        assert outcome(ndarray(file)) in {None, 8030}


@given(arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=70)))
def test_outcomes_for_the_client(bits: npt.NDArray[np.bool_]) -> None:
    """The client finds classical bit j of a register where column j of the outcomes says, for any width."""
    if bits.shape[-1] == 0:
        bits = np.zeros((*bits.shape[:-1], 1), dtype=bool)
    read = received(tagged.bits(bits))
    wanted = BitArray.from_bool_array(bits, order="little")

    assert read.num_bits == bits.shape[-1]
    np.testing.assert_array_equal(read.array, wanted.array)
    np.testing.assert_array_equal(tagged.unpacked(tagged.bits(bits)), bits)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 63, 64, 65, 127, 433])
def test_counts_of_wide_registers(width: int) -> None:
    """The words that the client prints have classical bit 0 on the right, over any number of bytes."""
    bits = np.random.default_rng(width).random((5, width)) < 0.5
    words = ["".join("01"[int(bit)] for bit in row[::-1]) for row in bits]

    assert received(tagged.bits(bits)).get_bitstrings() == words


def test_many_outcomes_take_no_loop() -> None:
    """A hundred circuits of 4096 shots of 127 bits are encoded without looking at each shot."""
    bits = np.random.default_rng(7).random((100, 4096, 127)) < 0.5
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        tagged.encode(tagged.bits(bits))
    finally:
        sys.setprofile(None)

    assert calls < 500


def test_what_shrinks_is_compressed() -> None:
    """Outcomes that repeat themselves travel in few bytes, outcomes that do not are stored as they are."""
    same = np.zeros((4096, 1280), dtype=bool)
    random = np.random.default_rng(1).random((4096, 1280)) < 0.5

    assert len(tagged.encode(tagged.bits(same))) < same.size / 8 / 50
    assert len(tagged.encode(tagged.bits(random))) < 1.4 * random.size / 8


def test_results_for_the_client() -> None:
    """A whole result has the client's own types, with its spans of execution, at all depths."""
    start, stop = (datetime.datetime(2026, 1, 1, hour, tzinfo=datetime.UTC) for hour in (1, 2))
    data = tagged.DataBin((2,), {"meas": tagged.bits(np.zeros((2, 10, 3), dtype=bool)), "evs": np.ones(2)})
    plain = tagged.Span("DoubleSliceSpan", start, stop, {0: ((2, 10), 0, 2, 0, 10)})
    twirled = tagged.Span("TwirledSliceSpanV2", start, stop, {1: ((4, 2, 5), True, 0, 8, 0, 5, 18)})
    metadata = {"spans": tagged.Spans((plain, twirled)), "number": np.float64(0.5), "many": np.int64(3)}
    result = received(tagged.PrimitiveResult((tagged.PubResult("SamplerPubResult", data, {"a": 1j}),), metadata))

    assert isinstance(result, PrimitiveResult)
    assert isinstance(result[0], SamplerPubResult)
    assert isinstance(result[0].data, DataBin)
    assert result[0].data.shape == (2,)
    assert result[0].data.meas.get_counts() == {"000": 20}
    assert result[0].metadata == {"a": 1j}
    assert (result.metadata["number"], result.metadata["many"]) == (0.5, 3)
    assert result.metadata["spans"] == ExecutionSpans(
        [
            DoubleSliceSpan(start, stop, {0: ((2, 10), slice(0, 2), slice(0, 10))}),
            TwirledSliceSpanV2(start, stop, {1: ((4, 2, 5), True, slice(0, 8), slice(0, 5), 18)}),
        ]
    )


@pytest.mark.parametrize("shape", [(4, 2, 5), (2, 4, 5), (4, 5)])
def test_spans_for_older_clients(shape: tuple[int, ...]) -> None:
    """Where a pub has all the shots of its randomizations, they are described as older clients know it."""
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    front = shape[0] == 4
    span = tagged.Span("TwirledSliceSpanV2", moment, moment, {0: (shape, front, 0, 8, 0, 5, 20)})
    (read,) = received(tagged.Spans((span,)))

    assert json.loads(tagged.encode(tagged.Spans((span,))))["__type__"] == "ExecutionSpanCollection"
    assert read == TwirledSliceSpan(moment, moment, {0: (shape, front, slice(0, 8), slice(0, 5))})
    assert type(read) is TwirledSliceSpan
