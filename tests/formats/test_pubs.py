# SPDX-License-Identifier: Apache-2.0
"""Params of sampler and estimator are read as real clients write them, and what does not fit is named."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.quantum_info import Pauli, PauliList, SparseObservable, SparsePauliOp
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder

from chandelier import errors
from chandelier.formats import observables, pubs, tagged, untagged

TEXT = "OPENQASM 3.0; qubit[2] q;"


def circuit() -> QuantumCircuit:
    """Two qubits, with parameters a and b."""
    made = QuantumCircuit(2)
    made.rx(Parameter("a"), 0)
    made.rx(Parameter("b"), 1)
    return made


def written(value: object) -> bytes:
    """A document as the real client writes it."""
    return json.dumps(value, cls=RuntimeEncoder).encode()


def sampler(*parts: object, **params: object) -> pubs.SamplerParams:
    """The params of a sampler with one pub."""
    return pubs.decode_sampler(written({"pubs": [parts], "version": 2, "support_qiskit": True} | params))


def estimator(*parts: object, **params: object) -> pubs.EstimatorParams:
    """The params of an estimator with one pub."""
    return pubs.decode_estimator(written({"pubs": [parts], "version": 2, "support_qiskit": True} | params))


def outcome(decode: Callable[[bytes], pubs.SamplerParams | pubs.EstimatorParams], body: bytes) -> int | None:
    """The code with which params, or the values in them, are refused; None if they are read."""
    try:
        for pub in decode(body).pubs:
            pubs.bound(pub.values, ["a", "b"], "pubs[0]")
    except errors.ProgramRefused as error:
        return error.code
    return None


def observed(value: object) -> observables.Observables:
    """An array of observables as the real client writes it."""
    return observables.read(untagged.decode(written(value)), "pubs[0][1]")


def test_sampler_pubs_of_the_client() -> None:
    """Circuit, values and shots of the client's pubs arrive, whichever way the user gave the values."""
    made = circuit()
    given_ = [
        SamplerPub.coerce((made, np.ones((3, 4, 2)), 100)),
        SamplerPub.coerce((made, {"b": [1, 2], "a": [3, 4]})),
        SamplerPub.coerce(QuantumCircuit(1, 1)),
    ]
    params = pubs.decode_sampler(written({"pubs": given_, "options": {"default_shots": 10}, "support_qiskit": True}))
    first, second, third = params.pubs

    assert [pub.shots for pub in params.pubs] == [100, None, None]
    assert pubs.bound(first.values, ["a", "b"], "pubs[0]").shape == (3, 4, 2)
    np.testing.assert_array_equal(pubs.bound(second.values, ["a", "b"], "pubs[1]"), [[3, 1], [4, 2]])
    assert pubs.bound(third.values, [], "pubs[2]").shape == (0,)
    assert params.options.default_shots == 10
    assert params.qiskit


def test_estimator_pubs_of_the_client() -> None:
    """Observables, values and precision of the client's pubs arrive, with a resilience level beside them."""
    pub = EstimatorPub.coerce((circuit(), [["XX"], [{"ZI": 0.5, "IZ": 2}]], np.ones((3, 2)), 0.1))
    params = pubs.decode_estimator(written({"pubs": [pub], "version": 2, "resilience_level": 2}))
    (read,) = params.pubs

    assert read.precision == 0.1
    assert read.observables.shape == (2, 1)
    assert dict(read.observables.flat[1].terms) == {"ZI": 0.5, "IZ": 2.0}
    assert pubs.shape(pubs.bound(read.values, ["a", "b"], "").shape[:-1], read.observables.shape, "") == (2, 3)
    assert params.options.resilience.zne_mitigation


def test_shots_and_precision_of_the_job() -> None:
    """What the params say beside the pubs holds for pubs that do not say it themselves."""
    sampled = pubs.decode_sampler(json.dumps({"pubs": [[TEXT], [TEXT, None, 5]], "shots": 20}).encode())
    estimated = pubs.decode_estimator(
        json.dumps({"pubs": [[TEXT, "Z"], [TEXT, "Z", None, 0]], "precision": 0.25}).encode()
    )

    assert [pub.shots for pub in sampled.pubs] == [20, 5]
    assert [pub.precision for pub in estimated.pubs] == [0.25, 0]
    assert not sampled.qiskit


def test_pubs_of_clients_without_qiskit() -> None:
    """A circuit may be a text, what follows may be left out, and values may be plain lists or dictionaries."""
    params = pubs.decode_sampler(
        json.dumps({"pubs": [TEXT, [TEXT], [TEXT, [0.1, 0.2]], [TEXT, {"a": 1}, 5]], "support_qiskit": False}).encode()
    )
    bare, alone, listed, named = params.pubs

    assert bare == alone == pubs.SamplerPub(tagged.Text(TEXT), None, None)
    np.testing.assert_array_equal(pubs.bound(listed.values, ["a", "b"], ""), [0.1, 0.2])
    np.testing.assert_array_equal(pubs.bound(named.values, ["a"], ""), [1])
    assert named.shots == 5
    assert not params.qiskit


@pytest.mark.parametrize(
    ("values", "names", "wanted"),
    [
        (None, [], np.zeros((0,))),
        ([], [], np.zeros((0,))),
        (np.zeros((3, 0)), [], np.zeros((3, 0))),
        ([1, 2, 3], ["a"], [[1], [2], [3]]),
        ([[1], [2]], ["a"], [[1], [2]]),
        (4, ["a"], [4]),
        ([[1, 2]], ["a", "b"], [[1, 2]]),
        (BindingsArray({("b", "a"): [[1, 2]]}), ["a", "b"], [[2, 1]]),
        (BindingsArray({"a": [1, 2], "b": [3, 4]}), ["b", "a"], [[3, 1], [4, 2]]),
        (BindingsArray(shape=(2,)), [], np.zeros((2, 0))),
        ({"a": 1, "b": [2]}, ["a", "b"], [1, 2]),
        ({"a": [[1]], "b": [[2]]}, ["a", "b"], [[1, 2]]),
        (np.array([[True, False]]), ["a", "b"], [[1, 0]]),
        (np.array([[1, 2]], dtype=">i4"), ["a", "b"], [[1, 2]]),
    ],
)
def test_values(values: object, names: list[str], wanted: Any) -> None:
    """Values go to the circuit's parameters in its order; the axis of a single parameter may be left out."""
    bound = pubs.bound(sampler(TEXT, values).pubs[0].values, names, "pubs[0]")

    assert bound.dtype == np.float64
    np.testing.assert_array_equal(bound, np.asarray(wanted, dtype=float))


@pytest.mark.parametrize(
    ("values", "names", "reason"),
    [
        (None, ["a"], "no value for the parameter 'a'"),
        (np.array([1, np.nan]), ["a", "b"], "not a finite number"),
        (BindingsArray({"a": np.inf}), ["a"], "not a finite number"),
        ([1, 2, 3], ["a", "b"], "2 parameters, and the values are for 3"),
        (1, [], "0 parameters"),
        ({"a": 1}, ["a", "b"], "no value for the parameter 'b'"),
        ({"a": 1, "c": 1}, ["a"], "no parameter 'c'"),
        ({"a": [1, 2], "b": [1, 2, 3]}, ["a", "b"], "do not go together"),
        (
            {"__type__": "BindingsArray", "__value__": {"shape": [2], "data": {'["a"]': [1, 2], '"a"': [1, 2]}}},
            ["a"],
            "a parameter has two values",
        ),
        (
            {"__type__": "BindingsArray", "__value__": {"shape": [3], "data": {'["a"]': [1, 2]}}},
            ["a"],
            "cannot have values of the shape",
        ),
        ({"__type__": "BindingsArray", "__value__": {"shape": [3, -1]}}, [], "shape"),
    ],
)
def test_values_that_do_not_fit(values: object, names: list[str], reason: str) -> None:
    """Values that are missing, too many or of another shape are refused with the name of the pub."""
    with pytest.raises(errors.ProgramRefused, match=reason) as caught:
        pubs.bound(sampler(TEXT, values).pubs[0].values, names, "pubs[0]")
    assert caught.value.code in {8030, 8033}


@pytest.mark.parametrize("values", [["a"], [[1], [1, 2]], [1j], [None], np.array([1j]), {"a": "b"}, "text"])
def test_values_that_are_no_numbers(values: object) -> None:
    """Texts, complex numbers and uneven lists are no values."""
    with pytest.raises(errors.ProgramRefused) as caught:
        sampler(TEXT, values)
    assert caught.value.code == 8033


def test_sets_of_values_without_end() -> None:
    """A shape that costs nothing to write cannot ask for more results than a pub may have."""
    values = sampler(TEXT, np.zeros((10**5, 10**5, 0))).pubs[0].values
    named = sampler(TEXT, BindingsArray(shape=(10**5, 10**5))).pubs[0].values
    for given_ in (values, named):
        with pytest.raises(errors.ProgramRefused) as caught:
            pubs.bound(given_, [], "pubs[0]")
        assert caught.value.code == 8034


@given(st.lists(st.integers(0, 3), max_size=4), st.lists(st.integers(0, 3), max_size=4))
def test_shapes_broadcast_as_in_numpy(values: list[int], array: list[int]) -> None:
    """The shape of a pub is what NumPy broadcasts, or an error names both shapes."""
    try:
        wanted = np.broadcast_shapes(tuple(values), tuple(array))
    except ValueError:
        with pytest.raises(errors.ProgramRefused, match="do not broadcast"):
            pubs.shape(tuple(values), tuple(array), "pubs[0]")
    else:
        assert pubs.shape(tuple(values), tuple(array), "pubs[0]") == wanted


def test_expectation_values_without_end() -> None:
    """Two small arrays whose broadcast would be huge are refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        pubs.shape((10**4, 1), (10**4,), "pubs[0]")
    assert caught.value.code == 8034


@pytest.mark.parametrize(
    ("value", "shape", "terms"),
    [
        ("ZZ", (), [[("ZZ", 1.0)]]),
        ({"0+": 2, "rl": -1.5}, (), [[("0+", 2.0), ("rl", -1.5)]]),
        (SparsePauliOp(["XX", "ZI", "XX"], [1, 2j * -1j, 3]), (), [[("XX", 4.0), ("ZI", 2.0)]]),
        (Pauli("-XY"), (), [[("XY", -1.0)]]),
        (PauliList(["XX", "-YY"]), (2,), [[("XX", 1.0)], [("YY", -1.0)]]),
        ([["XX"], [SparsePauliOp("ZZ")]], (2, 1), [[("XX", 1.0)], [("ZZ", 1.0)]]),
        (ObservablesArray([["XX", SparseObservable("0-")]]), (1, 2), [[("XX", 1.0)], [("0-", 1.0)]]),
        ([[{"XX": 1 + 0j}]], (1, 1), [[("XX", 1.0)]]),
        ([[[["X"]]]], (1, 1, 1, 1), [[("X", 1.0)]]),
        ({"": 2.0}, (), [[("", 2.0)]]),
        ([], (0,), []),
    ],
)
def test_observables(value: object, shape: tuple[int, ...], terms: list[Any]) -> None:
    """However an observable is written, it becomes words with real coefficients, each word once."""
    read = observed(value)

    assert read.shape == shape
    assert [list(observable.terms) for observable in read.flat] == terms


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("XQ", "other letters"),
        ({"XX": 1, "X": 1}, "different widths"),
        (["XX", "X"], "of 1 and of 2 qubits"),
        ({"XX": 1j}, "not a real number"),
        ({"XX": "1"}, "not a real number"),
        ({"XX": True}, "not a real number"),
        ({}, "no terms"),
        (3, "not an observable"),
        (None, "not an observable"),
        ([["X"], "X"], "different shapes"),
        ([["X"], ["X", "Z"]], "different shapes"),
        (Pauli("iXX"), "not a Pauli operator with a real sign"),
        (SparsePauliOp("X", 1j), "not a real number"),
        ({"__type__": "settings", "__class__": "SparsePauliOp", "__value__": {"data": ["X"]}}, "one coefficient"),
        ({"__type__": "settings", "__class__": "PauliList", "__value__": {}}, "without a list"),
        ({"__type__": "settings", "__class__": "Operator", "__value__": {}}, "not an observable"),
    ],
)
def test_observables_that_are_none(value: object, reason: str) -> None:
    """What is not a Hermitian sum of words of one width is refused with its place."""
    with pytest.raises(errors.ProgramRefused, match=reason) as caught:
        observed(value)
    assert caught.value.code == 8033
    assert caught.value.message.startswith("pubs[0][1]")


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ((), 8030),
        ((TEXT, None, 10, 1), 8030),
        ((3,), 8030),
        ((None,), 8030),
        ((TEXT, None, 0), 8032),
        ((TEXT, None, -5), 8032),
        ((TEXT, None, 1.5), 8032),
        ((TEXT, None, True), 8032),
        ((TEXT, None, "many"), 8032),
        ((TEXT, None, 2**60), 8032),
    ],
)
def test_sampler_pubs_that_are_wrong(parts: tuple[object, ...], code: int) -> None:
    """A pub with too few or too many parts, without a circuit or with wrong shots is refused by name."""
    with pytest.raises(errors.ProgramRefused, match=r"pubs\[0\]") as caught:
        sampler(*parts)
    assert caught.value.code == code


@pytest.mark.parametrize("precision", [-0.1, "fine", True, float("inf")])
def test_precisions_that_are_wrong(precision: object) -> None:
    """A precision is a number and not negative."""
    with pytest.raises(errors.ProgramRefused) as caught:
        estimator(TEXT, "Z", None, np.array(precision) if precision == float("inf") else precision)
    assert caught.value.code == 8032


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"version": 1}, 8032),
        ({"pubs": []}, 8032),
        ({"pubs": [[TEXT]] * (pubs.MOST_PUBS + 1)}, 8032),
        ({"pubs": {}}, 8032),
        ({"shots": 0}, 8032),
        ({"precision": 0.1}, 8031),
        ({"resilience_level": 1}, 8031),
        ({"options": {"shots": 10}}, 8031),
        ({"support_qiskit": "yes"}, 8032),
    ],
)
def test_params_that_are_wrong(params: dict[str, object], code: int) -> None:
    """Unknown keys, another version and no pubs or too many are refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        sampler(TEXT, **params)
    assert caught.value.code == code


@pytest.mark.parametrize("level", [-1, 3, "1"])
def test_resilience_levels_that_do_not_exist(level: object) -> None:
    """A resilience level is 0, 1 or 2."""
    with pytest.raises(errors.ProgramRefused, match="resilience_level") as caught:
        estimator(TEXT, "Z", resilience_level=level)
    assert caught.value.code == 8032


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"3", b'"pubs"', b'{"pubs"'])
def test_bodies_that_are_no_params(body: bytes) -> None:
    """What is not an object with pubs is refused."""
    for decode in (pubs.decode_sampler, pubs.decode_estimator):
        with pytest.raises(errors.ProgramRefused) as caught:
            decode(body)
        assert caught.value.code == 8030


SCRAPS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**20)
    | st.floats()
    | st.sampled_from(["XX", "Z", "auto", TEXT, "AA=="]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["pubs", "options", "twirling", "resilience", "zne", "shape", "data", "XX", "a"]),
            inner,
            max_size=4,
        )
        | st.fixed_dictionaries(
            {"__type__": st.sampled_from(untagged.TAGS), "__value__": inner, "__class__": st.just("Pauli")}
        )
    ),
    max_leaves=15,
)


@given(SCRAPS, SCRAPS, SCRAPS, SCRAPS)
def test_garbage_is_only_ever_refused(first: object, second: object, third: object, settings: object) -> None:
    """Whatever stands in params, they are read or refused as a program."""
    for pub in (first, [TEXT, first, second], [TEXT, first, second, third]):
        body = json.dumps({"pubs": [pub], "options": settings}).encode()
        for decode in (pubs.decode_sampler, pubs.decode_estimator):
            assert outcome(decode, body) in {None, 8030, 8031, 8032, 8033, 8034}


def test_sampler_results_for_the_client() -> None:
    """The client finds registers by name, as bits or as complex numbers, with the shape of the pub."""
    bits = np.random.default_rng(3).random((2, 50, 5)) < 0.5
    data = tagged.DataBin((2,), {"c": tagged.bits(bits), "iq": np.ones((2, 50, 5), dtype=complex)})
    result = json.loads(pubs.encode_sampler([(data, {"circuit_metadata": {}})], {}), cls=RuntimeDecoder)

    assert result.metadata == {"version": 2}
    assert result[0].data.shape == (2,)
    assert result[0].data.c.num_shots == 50
    np.testing.assert_array_equal(result[0].data.c.to_bool_array("little"), bits)
    assert result[0].data.iq.shape == (2, 50, 5)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,)])
def test_estimator_results_for_the_client(shape: tuple[int, ...]) -> None:
    """The client finds expectation values and standard errors in the shape of the pub."""
    data = tagged.DataBin(shape, {"evs": np.full(shape, 0.5), "stds": np.full(shape, 0.1)})
    body = pubs.encode_estimator([(data, {"target_precision": 0.1, "shots": 100})], {"resilience": {"zne": None}})
    result = json.loads(body, cls=RuntimeDecoder)

    np.testing.assert_array_equal(result[0].data.evs, np.full(shape, 0.5))
    np.testing.assert_array_equal(result[0].data.stds, np.full(shape, 0.1))
    assert result[0].metadata == {"target_precision": 0.1, "shots": 100}
    assert result.metadata == {"resilience": {"zne": None}, "version": 2}


def test_results_for_clients_without_qiskit() -> None:
    """Without tags, outcomes are hexadecimal numbers, one for each shot, and arrays are lists."""
    bits = np.zeros((2, 3, 9), dtype=bool)
    bits[1, 2, [0, 8]] = True
    data = tagged.DataBin((2,), {"c": tagged.bits(bits), "iq": np.full((1,), 1 + 2j), "evs": np.ones(2)})
    result = json.loads(pubs.encode_sampler([(data, {"shots": 3})], {}, qiskit=False))
    (read,) = result["results"]

    assert read["data"]["c"] == {"samples": [["0x0"] * 3, ["0x0", "0x0", "0x101"]], "num_bits": 9}
    assert read["data"]["iq"] == [[1, 2]]
    assert read["data"]["evs"] == [1, 1]
    assert read["metadata"] == {"shots": 3}
