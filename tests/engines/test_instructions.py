# SPDX-License-Identifier: Apache-2.0
"""Every instruction of the reference page does what the page says, by every method that takes it; the rest is refused.

There is a row here for each instruction: gates have their matrices in `test_gates`, the others their examples below.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from physics import LIMITS, Bench, Json, counts, gate, measure, opened, p_value, program, target, ways
from test_gates import REFERENCE, Matrix, off_by

from chandelier import errors
from chandelier.engines import aer, cost, gates, instructions, matrices, methods, saved, validation
from chandelier.formats import simulators

SIMULATOR = "ibmq_qasm_simulator"
CHOOSING = target(SIMULATOR)
DEVICE = target("ibmq_manila")
R = 0.5**0.5

#: What the schema of 2020 and the lists of 2021 name.
PROTOCOL = frozenset(
    "u3 U id u1 u0 u2 cx CX snapshot reset barrier bfunc copy measure h s sdg t tdg x y z rx ry rz cy cz ch swap "  # noqa: SIM905 -- a table
    "cu1 crz rzz cu3 ccx cswap wait noise save load nop initialize unitary kraus diagonal multiplexer superop roerror "
    "delay u p r csx cp cu2 rxx ryy rzx mcx mcy mcz mcsx mcp mcu1 mcu2 mcu3 mcrx mcry mcrz mcr mcswap sx ccz".split()
)


@dataclasses.dataclass(frozen=True)
class Example:
    """A circuit in which one instruction matters.

    Attributes:
        steps: It, without the measurements at the end.
        width: Number of qubits measured at the end.
        wanted: Probability of each outcome.
        ends: Whether the qubits are measured at the end.
    """

    steps: list[Json]
    width: int
    wanted: Mapping[int, float]
    ends: bool = True


X = gate("x", [0])
#: Relaxation of 0.36.
DAMPING = [[[1, 0], [0, 0.8]], [[0, 0.6], [0, 0]]]
DAMPED = [[1, 0, 0, 0.36], [0, 0.8, 0, 0], [0, 0, 0.8, 0], [0, 0, 0, 0.64]]
MIRROR = [[0.6, 0.8], [0.8, -0.6]]
SPLIT = {0: 0.36, 1: 0.64}
ONE = {"name": "bfunc", "mask": "0x1", "relation": "==", "val": "0x1", "register": 3, "memory": 2}
NEITHER: Mapping[str, Example] = {
    "measure": Example([X, gate("measure", [0], memory=[1]), X], 1, {0b10: 1}),
    "reset": Example([X, gate("reset", [0])], 1, {0: 1}),
    "barrier": Example([X, gate("barrier", [0]), {"name": "barrier"}], 1, {1: 1}),
    "delay": Example(
        [X, gate("delay", [0], 160), *(gate("delay", [0], 1.5, unit=unit) for unit in ("ps", "ns", "us", "ms", "s"))],
        1,
        {1: 1},
    ),
    "wait": Example([X, gate("wait", [0], 3)], 1, {1: 1}),
    "bfunc": Example(
        [X, gate("measure", [0], memory=[0], register=[0]), ONE, gate("x", [1], conditional=3)], 2, {0b111: 1}
    ),
    "copy": Example(
        [
            X,
            gate("measure", [0], register=[4]),
            {"name": "copy", "register_orig": 4, "register_copy": [5, 6]},
            gate("x", [1], conditional=6),
        ],
        2,
        {0b11: 1},
    ),
    "roerror": Example(
        [X, measure(0, 1), {"name": "roerror", "memory": [0], "params": [[1, 0], [0.36, 0.64]]}], 2, SPLIT, ends=False
    ),
    "initialize": Example([X, gate("initialize", [0], [0.6, 0], [0, 0.8])], 1, SPLIT),
    "unitary": Example([gate("unitary", [0], MIRROR)], 1, SPLIT),
    "diagonal": Example([gate("h", [0]), gate("diagonal", [0], 1, [-1, 0]), gate("h", [0])], 1, {1: 1}),
    "multiplexer": Example(
        [gate("x", [1]), gate("multiplexer", [0, 1], [[1, 0], [0, 1]], [[0, 1], [1, 0]])], 2, {0b11: 1}
    ),
    "pauli": Example([gate("pauli", [0, 1], "XZ")], 2, {0b10: 1}),
    "kraus": Example([X, gate("kraus", [0], *DAMPING)], 1, SPLIT),
    "superop": Example([X, gate("superop", [0], DAMPED)], 1, SPLIT),
    "set_statevector": Example([X, gate("set_statevector", [0], [0.6, 0], [0, 0.8])], 1, SPLIT),
    "set_density_matrix": Example([X, gate("set_density_matrix", [0], [[0.36, 0], [0, 0.64]])], 1, SPLIT),
    "set_stabilizer": Example(
        [X, gate("set_stabilizer", [0], {"stabilizer": ["+Z"], "destabilizer": ["+X"]})], 1, {0: 1}
    ),
    "set_matrix_product_state": Example(
        [X, gate("set_matrix_product_state", [0, 1], [[[[[R, 0]], [[0, R]]], [[[1], [0]], [[0], [1]]]], [[1, 1]]])],
        2,
        {0b00: 0.5, 0b11: 0.5},
    ),
    "set_unitary": Example([X, gate("set_unitary", [0], MIRROR)], 1, SPLIT),
    "set_superop": Example(
        [gate("id", [0]), gate("set_superop", [0], [[0.36, 0, 0, 0.36], [0] * 4, [0] * 4, [0.64, 0, 0, 0.64]])],
        1,
        SPLIT,
    ),
}

BELL = [gate("h", [0]), gate("cx", [0, 1])]
VECTOR = np.array([R, 0, 0, R])
RHO = np.outer(VECTOR, VECTOR)


def array(value: Any) -> NDArray[np.complex128]:
    """An array from nested lists of [re, im]."""
    pairs = np.array(value)
    found: NDArray[np.complex128] = pairs[..., 0] + 1j * pairs[..., 1]
    return found


def vector(value: Any) -> bool:
    """Whether these are the amplitudes of the Bell state, up to a phase."""
    return bool(np.isclose(abs(np.vdot(VECTOR, array(value))), 1))


def generators(value: Any) -> bool:
    """Whether these generate the group that leaves the Bell state as it is."""
    return set(value["stabilizer"]) <= {"+XX", "+ZZ", "-YY"} and len(set(value["stabilizer"])) == 2


def chain(value: Any) -> bool:
    """Whether this is a chain of two sites with equal Schmidt numbers between them."""
    sites, weights = value
    return len(sites) == 2 and bool(np.allclose(weights, [[R, R]]))


def density(value: Any) -> bool:
    """Whether this is the Bell state's density matrix."""
    return bool(np.allclose(array(value), RHO))


def operator(value: Any) -> bool:
    """Whether a matrix takes the ground state to the Bell state."""
    return vector([[entry[0].real, entry[0].imag] for entry in array(value)])


def process(value: Any) -> bool:
    """Whether a superoperator takes the ground state to the Bell state."""
    return bool(np.allclose(array(value)[:, 0], RHO.reshape(-1)))


STATES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    methods.STATEVECTOR: ("statevector", vector),
    methods.DENSITY_MATRIX: ("density_matrix", density),
    methods.MPS: ("matrix_product_state", chain),
    methods.STABILIZER: ("stabilizer", generators),
    methods.UNITARY: ("unitary", operator),
    methods.SUPEROP: ("superop", process),
}

#: Instruction: its parameters, key of the result, and whether the value there is right.
LOOKS: Mapping[str, tuple[list[Any], str, Callable[[Any], bool]]] = {
    "save_statevector": ([], "statevector", vector),
    "save_statevector_dict": (
        [],
        "statevector_dict",
        lambda value: vector([value["0x0"], [0, 0], [0, 0], value["0x3"]]),
    ),
    "save_amplitudes": ([0, 3], "amplitudes", lambda value: np.allclose(np.abs(array(value)), R)),
    "save_amplitudes_sq": ([1, 3], "amplitudes_squared", lambda value: np.allclose(value, [0, 0.5])),
    "save_density_matrix": ([], "density_matrix", density),
    "save_probabilities": ([], "probabilities", lambda value: np.allclose(value, [0.5, 0, 0, 0.5])),
    "save_probabilities_dict": (
        [],
        "probabilities_dict",
        lambda value: value == {"0x0": pytest.approx(0.5), "0x3": pytest.approx(0.5)},
    ),
    "save_expval": ([["XX", [2, 4]], ["ZI", [1, 1]]], "expectation_value", lambda value: np.isclose(value, 2)),
    "save_expval_var": ([["ZI", [1, 1]]], "expectation_value_variance", lambda value: np.allclose(value, [0, 1])),
    "save_stabilizer": ([], "stabilizer", generators),
    "save_clifford": ([], "clifford", generators),
    "save_matrix_product_state": ([], "matrix_product_state", chain),
    "save_unitary": ([], "unitary", operator),
    "save_superop": ([], "superop", process),
}


def runs_by(name: str) -> list[str]:
    """Methods that take an instruction, by its name of today."""
    today = {"wait": "delay"}.get(name, name)
    return [method for method in methods.METHODS if methods.takes(method, today)]


def by_each(steps: Mapping[str, list[Json]], shots: int = 1000) -> Json:
    """A program with an experiment for each method."""
    wanted = program(*steps.values(), shots=shots)
    for experiment, method in zip(wanted["experiments"], steps, strict=True):
        experiment["config"] = {"method": method}
    return wanted


def ending(method: str, width: int) -> Json:
    """How the outcome of a circuit is seen."""
    if method == methods.UNITARY:
        return gate("save_unitary", range(width))
    return gate("save_superop", range(width)) if method == methods.SUPEROP else measure(*range(width))


def chances(method: str, data: Json) -> NDArray[np.float64]:
    """Probabilities of the outcomes from the ground state, of a method that measures nothing."""
    if method == methods.UNITARY:
        return np.abs(array(data["unitary"])[:, 0]) ** 2
    column = array(data["superop"])[:, 0]
    size = round(len(column) ** 0.5)
    found: NDArray[np.float64] = column.reshape(size, size).diagonal().real
    return found


def refused(steps: list[Json], name: str, *, on: Any = CHOOSING, **config: Any) -> int:
    """Check that a program is refused with a message that names the instruction; return the code."""
    if config.get("method") in {methods.UNITARY, methods.SUPEROP}:
        steps = [*steps, gate("save_state", [0], label="so that there is something to show")]
    with pytest.raises(errors.ProgramRefused) as refusal:
        validation.check(opened(program(steps, **config)), on)

    today = {"wait": "delay", "u0": "id", "nop": "id", "CX": "cx", "U": "u3"}.get(name, name)
    assert f"({today}" in refusal.value.message
    return refusal.value.code


def test_every_instruction_has_a_row_here() -> None:
    """The page names what the engine knows, and nothing on it goes untested."""
    assert set(instructions.GATES) == set(gates.SHAPES) == {name for name, *_ in REFERENCE}
    assert set(instructions.OTHERS) == set(NEITHER) == set(methods.STRUCTURE) | set(matrices.BUILDERS) | {"wait"}
    assert set(instructions.LOOKS) == {*LOOKS, "save_state", "snapshot"} == saved.NAMES


def test_nothing_of_the_protocol_is_missing() -> None:
    """Whatever the schema, the lists of 2021 and our own simulators name is a row of the page, or refused by name."""
    listed = {name for row in simulators.SIMULATORS.values() for name in row.basis_gates.split()}

    assert listed | PROTOCOL <= set(instructions.ALL) | set(validation.REFUSED)
    assert not set(instructions.ALL) & set(validation.REFUSED)


@pytest.mark.parametrize("simulator", sorted(simulators.SIMULATORS))
def test_simulators_take_what_they_list(simulator: str) -> None:
    """Each name of a simulator's basis is one that its method takes."""
    row = simulators.SIMULATORS[simulator]

    assert [name for name in row.basis_gates.split() if not methods.takes(row.method, name)] == []


FIRST = {
    name: row for row in reversed(REFERENCE) for name in [row[0]] if row[2] > 1 or not gates.SHAPES[name].controlled
}


def prepared(width: int, *, clifford: bool) -> tuple[list[Json], NDArray[np.complex128]]:
    """Instructions that make a state in which every qubit matters, and the state."""
    state = np.ones(1, dtype=np.complex128)
    steps = []
    for index in range(width):
        if clifford:
            one = np.array([R, [R, R * 1j, -R, -R * 1j][index]])
            steps += [gate("h", [index]), *[gate("s", [index])] * index]
        else:
            angle = 0.4 + 0.5 * index
            one = np.array([np.cos(angle / 2), np.sin(angle / 2)])
            steps += [gate("ry", [index], angle)]
        state = np.kron(one, state)
    return steps, state


def seen(method: str, width: int) -> Json:
    """How a state is seen whole."""
    names = {
        methods.STABILIZER: "save_stabilizer",
        methods.EXTENDED_STABILIZER: "save_statevector",
        methods.UNITARY: "save_unitary",
        methods.SUPEROP: "save_superop",
    }
    return gate(names.get(method, "save_density_matrix"), range(width))


PAULIS = {"I": np.eye(2), "X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1])}


def pauli(text: str) -> Matrix:
    """The matrix of a signed Pauli label."""
    whole = np.eye(1, dtype=np.complex128) * (-1 if text[0] == "-" else 1)
    for letter in text[1:]:
        whole = np.kron(whole, PAULIS[letter])
    return whole


def check_state(method: str, data: Json, matrix: Matrix, state: NDArray[np.complex128]) -> None:
    """Compare what a method saved after a gate with the gate's matrix."""
    after = matrix @ state
    if method == methods.UNITARY:
        assert off_by(array(data["unitary"]), matrix) < 1e-9
    elif method == methods.SUPEROP:
        assert np.abs(array(data["superop"]) - np.kron(matrix.conj(), matrix)).max() < 1e-9
    elif method == methods.STABILIZER:
        for text in data["stabilizer"]["stabilizer"]:
            assert np.vdot(after, pauli(text) @ after) == pytest.approx(1)
    elif method == methods.EXTENDED_STABILIZER:
        assert abs(np.vdot(after, array(data["statevector"]))) == pytest.approx(1)
    else:
        assert np.abs(array(data["density_matrix"]) - np.outer(after, after.conj())).max() < 1e-9


@pytest.mark.parametrize("name", sorted(instructions.GATES))
def test_each_gate_by_each_method(bench: Bench, name: str) -> None:
    """A gate does by every method that takes it what its matrix says; by the others it is refused by name."""
    _, params, width, matrix = FIRST[name]
    steps: dict[str, list[Json]] = {}
    states: dict[str, NDArray[np.complex128]] = {}
    for method in runs_by(name):
        clifford = method in {methods.STABILIZER, methods.EXTENDED_STABILIZER}
        before, states[method] = prepared(width, clifford=clifford)
        if method in {methods.UNITARY, methods.SUPEROP}:
            before = []
        steps[method] = [*before, gate(name, range(width), *params), seen(method, width)]
        if method == methods.SUPEROP and width > 3:
            del steps[method]  # as of three qubits, and slow
    for method, entry in zip(steps, bench.run(by_each(steps), SIMULATOR)["results"], strict=True):
        assert entry["success"], (method, entry["status"])
        check_state(method, entry["data"], matrix, states[method])
    for method in set(methods.METHODS) - set(runs_by(name)):
        assert refused([gate(name, range(width), *params)], name, method=method) == 8001


@pytest.mark.parametrize("name", sorted(instructions.GATES))
def test_each_gate_on_a_device(name: str) -> None:
    """A device takes exactly the gates of its basis."""
    _, params, width, _ = FIRST[name]
    step = gate(name, range(width), *params)
    today = {"nop": "id", "u0": "id", "CX": "cx", "U": "u3"}.get(name, name)
    if today in DEVICE.basis:
        validation.check(opened(program([step])), DEVICE)
    else:
        assert refused([step], name, on=DEVICE) == 8001
    assert instructions.GATES[name].devices == instructions.BASIS


@pytest.mark.parametrize("name", sorted(NEITHER))
def test_each_other_instruction_by_each_method(bench: Bench, name: str) -> None:
    """It has the outcomes of its example by every method that takes it; by the others it is refused by name."""
    example = NEITHER[name]
    steps = {
        method: [*example.steps, *([ending(method, example.width)] if example.ends else [])] for method in runs_by(name)
    }
    size = 1 << max(8, example.width)
    for method, entry in zip(steps, bench.run(by_each(steps), SIMULATOR)["results"], strict=True):
        assert entry["success"], (method, entry["status"])
        if method in {methods.UNITARY, methods.SUPEROP}:
            found = chances(method, entry["data"])
            assert found == pytest.approx([example.wanted.get(outcome, 0) for outcome in range(len(found))])
        else:
            wanted = np.array([example.wanted.get(outcome, 0.0) for outcome in range(size)])
            tally = {int(key, 16): number for key, number in entry["data"]["counts"].items()}
            assert set(tally) == set(example.wanted), method
            assert p_value(tally, wanted) > 1e-6, method
    for method in set(methods.METHODS) - set(runs_by(name)):
        only = [step for step in example.steps if step["name"] == name]
        assert refused(only, name, method=method) in {8001, 8010}


@pytest.mark.parametrize("name", sorted(NEITHER))
def test_each_other_instruction_on_a_device(name: str) -> None:
    """A device takes what it has, and refuses the rest by name."""
    (step, *_) = [step for step in NEITHER[name].steps if step["name"] == name]
    if name in {"measure", "reset", "barrier", "delay", "wait"}:
        validation.check(opened(program([step])), DEVICE)
        assert instructions.OTHERS[name].devices != instructions.NEVER
    else:
        assert refused([step], name, on=DEVICE) in {8001, 8010}
        assert (instructions.OTHERS[name].devices == instructions.NEVER) == (name not in {"bfunc", "copy"})


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_each_save_by_each_method(bench: Bench, name: str) -> None:
    """It shows what it should by every method that takes it, and is refused by name by others and by devices."""
    params, key, right = LOOKS[name]
    step = gate(name, [0, 1], *params)
    steps = {method: [*BELL, step] for method in runs_by(name)}
    for method, entry in zip(steps, bench.run(by_each(steps), SIMULATOR)["results"], strict=True):
        assert list(entry["data"]) == [key], method
        assert right(entry["data"][key]), method
    for method in set(methods.METHODS) - set(runs_by(name)):
        assert refused([step], name, method=method) == 8001
    assert refused([step], name, on=DEVICE) == 8010
    assert instructions.LOOKS[name].devices == instructions.NEVER


def test_the_state_in_the_form_of_each_method(bench: Bench) -> None:
    """`save_state` shows a vector, a matrix, a chain or generators, under the name of its form or under a label."""
    assert runs_by("save_state") == [method for method in methods.METHODS if method in STATES]
    steps = {method: [*BELL, gate("save_state", [0, 1]), gate("save_state", [0, 1], label="mine")] for method in STATES}
    for method, entry in zip(steps, bench.run(by_each(steps), SIMULATOR)["results"], strict=True):
        key, right = STATES[method]
        assert set(entry["data"]) == {key, "mine"}
        assert right(entry["data"][key])
        assert right(entry["data"]["mine"])
    assert refused([gate("save_state", [0])], "save_state", on=DEVICE) == 8010


def snapshot(kind: str, *params: Any, qubits: tuple[int, ...] = (0, 1)) -> Json:
    """A snapshot with a label."""
    return gate("snapshot", qubits, *params, label="here", snapshot_type=kind)


TERMS = [[2.0, "XX"], [[1, 0], "ZZ"]]
TURN = [
    [1.0, [[[0], [[0, 1], [1, 0]]], [[1], [[[0, 0], [1, 0]], [[1, 0], [0, 0]]]]]],
    [1.0, [[[0, 1], np.diag([1, -1, -1, 1]).tolist()]]],
]
#: Type: parameters, key of the result, and whether the list of its values is right, of a Bell state.
SNAPSHOTS: Mapping[str, tuple[list[Any], str, Callable[[Any], bool]]] = {
    "state": ([], "state", lambda value: len(value) == 1),
    "statevector": ([], "statevector", lambda value: len(value) == 1 and vector(value[0])),
    "stabilizer": ([], "stabilizer", lambda value: len(value) == 1 and set(value[0]) <= {"XX", "ZZ", "-YY"}),
    "unitary": ([], "unitary", lambda value: len(value) == 1 and operator(value[0])),
    "superop": ([], "superop", lambda value: len(value) == 1 and process(value[0])),
    "amplitudes": ([0, 3], "amplitudes", lambda value: np.allclose(np.abs(array(value)), [[R, R]])),
    "density_matrix": ([], "density_matrix", lambda value: value[0]["memory"] == "0x0" and density(value[0]["value"])),
    "density_matrix_with_variance": (
        [], "density_matrix", lambda value: density(value[0]["value"]) and not np.any(value[0]["variance"])
    ),
    "probabilities": (
        [], "probabilities",
        lambda value: value == [{"memory": "0x0", "value": {"0x0": pytest.approx(0.5), "0x3": pytest.approx(0.5)}}],
    ),
    "probabilities_with_variance": ([], "probabilities", lambda value: value[0]["variance"] == {"0x0": 0, "0x3": 0}),
    "expectation_value_pauli": (
        TERMS, "expectation_value", lambda value: value == [{"memory": "0x0", "value": [pytest.approx(3), 0]}]
    ),
    "expectation_value_pauli_with_variance": (
        TERMS,
        "expectation_value",
        lambda value: value[0]["value"][0] == pytest.approx(3) and value[0]["variance"] == [0, 0],
    ),
    "expectation_value_pauli_single_shot": (
        TERMS, "expectation_values", lambda value: value == [[pytest.approx(3), 0]]
    ),
    "expectation_value_matrix": (
        TURN, "expectation_value", lambda value: value == [{"memory": "0x0", "value": [pytest.approx(2), 0]}]
    ),
    "expectation_value_matrix_with_variance": (
        TURN, "expectation_value", lambda value: value[0]["variance"] == [0, 0]
    ),
    "expectation_value_matrix_single_shot": (
        TURN, "expectation_values", lambda value: value == [[pytest.approx(2), 0]]
    ),
}  # fmt: skip


def test_every_type_of_snapshot_has_a_row_here() -> None:
    """None goes untested."""
    assert set(SNAPSHOTS) == set(saved.SNAPSHOTS)


@pytest.mark.parametrize("kind", sorted(SNAPSHOTS))
def test_each_type_of_snapshot_by_each_method(bench: Bench, kind: str) -> None:
    """It has the form of 2020 by every method that takes it; by others and on devices it is refused by name."""
    params, key, right = SNAPSHOTS[kind]
    does = saved.SNAPSHOTS[kind].save
    steps = {method: [*BELL, snapshot(kind, *params)] for method in runs_by(does)}
    for method, entry in zip(steps, bench.run(by_each(steps), SIMULATOR)["results"], strict=True):
        assert entry["success"], (method, entry["status"])
        assert list(entry["data"]) == ["snapshots"], method
        assert right(entry["data"]["snapshots"][key]["here"]), (method, entry["data"])
    for method in set(methods.METHODS) - set(runs_by(does)):
        assert refused([snapshot(kind, *params)], "snapshot", method=method) == 8001
    assert refused([snapshot(kind, *params)], "snapshot", on=DEVICE) == 8010


def test_snapshots_by_memory(bench: Bench) -> None:
    """A mean is taken apart for each value of the memory; what the registers hold does not matter."""
    hidden = {"name": "bfunc", "mask": "0x1", "relation": "==", "val": "0x1", "register": 9}
    coin = [gate("h", [2]), gate("measure", [2], register=[7])]
    steps = [
        *coin,
        gate("h", [0]),
        gate("measure", [0], memory=[0], register=[0]),
        hidden,
        gate("x", [1], conditional=9),
        gate("z", [1], conditional=7),
        snapshot("probabilities", qubits=(1,)),
        snapshot("expectation_value_pauli", [1.0, "Z"], qubits=(1,)),
        snapshot("probabilities_with_variance", qubits=(2,)),
        gate("save_expval", [1], ["Z", [1, 1]], snapshot_type="c_average"),
        snapshot("statevector"),
    ]
    for method in (methods.STATEVECTOR, methods.MPS):
        data = bench.run(program(steps, shots=400, method=method), SIMULATOR)["results"][0]["data"]
        shown = data["snapshots"]

        assert [(row["memory"], row["value"]) for row in shown["probabilities"]["here"]][:2] != []
        assert data["expectation_value"] == {"0x0": pytest.approx(1), "0x1": pytest.approx(-1)}
        assert [row["memory"] for row in shown["expectation_value"]["here"]] == ["0x0", "0x1"]
        assert [row["value"][0] for row in shown["expectation_value"]["here"]] == pytest.approx([1, -1])
        assert len(shown["statevector"]["here"]) == 400
        assert len(shown["statevector"]["here"][0]) == 8


def test_a_mean_over_hidden_bits_counts_shots(bench: Bench) -> None:
    """Shots that differ in a register only are one mean, each shot with equal weight, and have a variance."""
    steps = [
        gate("ry", [0], float(2 * np.arcsin(0.5))),
        gate("measure", [0], register=[0]),
        gate("x", [1], conditional=0),
        snapshot("probabilities_with_variance", qubits=(1,)),
    ]
    data = bench.run(program(steps, shots=4000), SIMULATOR)["results"][0]["data"]
    (row,) = data["snapshots"]["probabilities"]["here"]

    assert row["memory"] == "0x0"
    assert row["value"]["0x1"] == pytest.approx(0.25, abs=0.04)
    assert row["variance"]["0x1"] == pytest.approx(0.1875, abs=0.03)


def test_a_snapshot_of_the_state_shows_all_qubits(bench: Bench) -> None:
    """Whichever it names, and if it names none."""
    for qubits in ([0], []):
        step = {"name": "snapshot", "label": "a", "type": "statevector", "qubits": qubits}
        data = bench.run(program([*BELL, step]), SIMULATOR)["results"][0]["data"]

        assert vector(data["snapshots"]["statevector"]["a"][0])


@pytest.mark.parametrize("kind", ["memory", "register", "odd"])
def test_other_types_of_snapshot(kind: str) -> None:
    """They are refused, with a list of those that are known."""
    assert refused([snapshot(kind)], "snapshot") == 8010


@pytest.mark.parametrize("name", sorted(validation.REFUSED))
def test_what_nothing_does(name: str) -> None:
    """It is refused by name, on a simulator and on a device, with what to do instead."""
    for on in (CHOOSING, DEVICE):
        assert refused([gate(name, [0], 1)], name, on=on) == 8010


@pytest.mark.parametrize("name", ["qerror_loc", "jump", "ghz"])
def test_what_nobody_knows(name: str) -> None:
    """An unknown name is no instruction anywhere."""
    for on in (CHOOSING, DEVICE):
        assert refused([gate(name, [0])], name, on=on) == 8001


@pytest.mark.parametrize("method", sorted(methods.METHODS))
def test_the_result_names_the_method_that_computed(bench: Bench, method: str) -> None:
    """A method chosen by name is the one that computes; for the approximate one, an exact one where that can."""
    steps = [gate("h", [0]), ending(method, 1)]
    entry = bench.run(program(steps, method=method), SIMULATOR)["results"][0]

    exact = {methods.STABILIZER, methods.STATEVECTOR}
    assert entry["metadata"]["method"] in (exact if method == methods.EXTENDED_STABILIZER else {method})


def approximately(steps: list[Json], shots: int) -> Json:
    """Run a program by the extended stabilizer method itself."""
    (way,) = ways(program(steps, shots=shots), target("simulator_extended_stabilizer"))
    plan = cost.Plan(methods.EXTENDED_STABILIZER, 1.0, 1 << 20)
    (outcome,) = aer.run([dataclasses.replace(way, plan=plan)], target("simulator_extended_stabilizer"), LIMITS)
    assert not outcome.code, outcome.message
    found: Json = {"metadata": outcome.result.metadata, **outcome.result.data}
    return found


@pytest.mark.parametrize("name", sorted(gates.CLIFFORD_T & set(gates.SHAPES)))
def test_each_gate_by_the_approximate_method(name: str) -> None:
    """The extended stabilizer method takes its gates, and says in the metadata that it computed."""
    _, params, width, matrix = FIRST[name]
    found = approximately([gate(name, range(width), *params), measure(*range(width))], 2)

    assert found["metadata"]["method"] == methods.EXTENDED_STABILIZER
    possible = np.flatnonzero(np.abs(matrix[:, 0]) ** 2 > 1e-9)
    assert {int(key, 16) for key in found["counts"]} <= set(possible.tolist())


def test_what_the_approximate_method_saves() -> None:
    """Amplitudes and some probabilities."""
    found = approximately([*BELL, gate("save_statevector", [0, 1]), gate("save_amplitudes_sq", [0, 1], 0, 1)], 1)

    assert vector(found["statevector"])
    assert found["amplitudes_squared"] == pytest.approx([0.5, 0], abs=0.1)


CONDITIONED = {"name": "bfunc", "mask": "0x3", "relation": "==", "val": "0x1", "register": 2}


@pytest.mark.parametrize("method", [name for name, row in methods.METHODS.items() if row.conditional])
def test_conditions_by_each_method(bench: Bench, method: str) -> None:
    """By register and by memory: on gates, measurements, resets, boolean functions, copies and saves."""
    when = {"mask": "0x3", "type": "equals", "val": "0x1"}
    steps = [
        X,
        gate("measure", [0, 1], memory=[0, 1], register=[0, 1]),
        CONDITIONED,
        gate("x", [1], conditional=2),
        gate("x", [2], conditional=when),
        gate("reset", [0], conditional=1),
        gate("barrier", [0], conditional=2),
        {"name": "bfunc", "mask": "0x0", "relation": "==", "val": "0x0", "register": 5, "conditional": 1},
        {"name": "copy", "register_orig": 0, "register_copy": 6, "conditional": 2},
        gate("x", [3], conditional=5),
        gate("x", [4], conditional=6),
        gate("measure", [0, 1, 2, 3, 4], memory=[2, 3, 4, 5, 6]),
        gate("measure", [4], memory=[7], conditional=1),
    ]
    assert counts(bench.run(program(steps, method=method, shots=20), SIMULATOR)) == {0b1011101: 20}


@pytest.mark.parametrize("method", [methods.UNITARY, methods.SUPEROP])
def test_methods_without_conditions(method: str) -> None:
    """They measure nothing, so nothing can depend on a measurement; the message names the method."""
    assert refused([CONDITIONED], "bfunc", method=method) == 8010


@pytest.mark.parametrize("name", ["initialize", "set_statevector", "set_density_matrix", "kraus", "multiplexer"])
def test_states_and_channels_on_conditions(bench: Bench, name: str) -> None:
    """Shots that meet the condition have the outcomes of the example, the others those without the instruction."""
    example = NEITHER[name]
    (place,) = [index for index, step in enumerate(example.steps) if step["name"] == name]
    last = example.width - 1
    for met in (False, True):
        coin = [gate("x", [last])] * met + [gate("measure", [last], register=[9])] + [gate("x", [last])] * met
        step = {**example.steps[place], "conditional": 9}
        steps = [*coin, *example.steps[:place], step, *example.steps[place + 1 :], measure(*range(example.width))]
        for method in [one for one in runs_by(name) if methods.METHODS[one].conditional]:
            found = counts(bench.run(program(steps, method=method, shots=200), SIMULATOR))
            assert set(found) == (set(example.wanted) if met else {2 * last + (name != "multiplexer")}), method


def test_a_save_on_a_condition(bench: Bench) -> None:
    """A value is saved from those shots that meet the condition."""
    steps = [
        gate("h", [0]),
        gate("measure", [0], memory=[0], register=[0]),
        gate("save_expval", [0], ["Z", [1, 1]], conditional=0),
    ]
    data = bench.run(program(steps), SIMULATOR)["results"][0]["data"]

    assert data["expectation_value"] == pytest.approx(-1)


FLIPS = {
    "errors": [
        {
            "type": "qerror",
            "operations": ["x"],
            "probabilities": [0.75, 0.25],
            "instructions": [[{"name": "id", "qubits": [0]}], [{"name": "x", "qubits": [0]}]],
        },
        {"type": "roerror", "operations": ["measure"], "probabilities": [[0.9, 0.1], [0.2, 0.8]]},
    ]
}


@pytest.mark.parametrize("method", [None, *(name for name, row in methods.METHODS.items() if row.conditional)])
def test_a_noise_model_by_each_method(bench: Bench, method: str | None) -> None:
    """Noise of a user's own acts on gates and on readout by every method that has shots."""
    config = {"noise_model": FLIPS, "shots": 20_000, **({"method": method} if method else {})}
    result = bench.run(program([X, measure(0)], **config), SIMULATOR)

    one = 0.75 * 0.8 + 0.25 * 0.1
    assert p_value(counts(result), np.array([1 - one, one])) > 1e-6


def test_a_noise_model_as_a_channel(bench: Bench) -> None:
    """The superoperator of a noisy gate is that of the mixture."""
    entry = bench.run(program([X, gate("save_superop", [0])], noise_model=FLIPS, method=methods.SUPEROP), SIMULATOR)[
        "results"
    ][0]

    assert chances(methods.SUPEROP, entry["data"]) == pytest.approx([0.25, 0.75])
