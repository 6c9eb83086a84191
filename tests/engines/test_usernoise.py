# SPDX-License-Identifier: Apache-2.0
"""Errors of a user's noise model are those of the instructions they name, by every method, and of nothing else."""

from typing import Any

import numpy as np
import pytest
from physics import Bench, Json, counts, gate, measure, p_value, program

from chandelier.engines import gates, methods, programs
from chandelier.formats import tasks

SIMULATOR = "ibmq_qasm_simulator"
FLIPPED = 0.3
METHODS = [methods.AUTOMATIC, methods.STATEVECTOR, methods.DENSITY_MATRIX, methods.MPS]

#: Names of gates into which others are broken, by the number of their qubits.
PARTS = {1: "id x y z h s sdg t tdg sx p u u1 u2 u3 r rx ry rz".split(), 2: "cx cy cz cp csx swap rzz".split()}  # noqa: SIM905


def flips(name: str, width: int, chance: float = FLIPPED, **more: Any) -> Json:
    """An error that flips the first qubit of a gate."""
    branches = [[gate(flip, [0]), *[gate("id", [place]) for place in range(1, width)]] for flip in ("x", "id")]
    error = {"type": "qerror", "operations": [name], "instructions": branches, "probabilities": [chance, 1 - chance]}
    return {**error, **more}


def model(*errors: Json) -> Json:
    """A noise model of some errors."""
    return {"errors": list(errors)}


def by_each(steps: list[Json], names: list[str], **config: Any) -> Json:
    """A program with the same circuit for each of some methods."""
    wanted = program(*[steps] * len(names), **config)
    for experiment, name in zip(wanted["experiments"], names, strict=True):
        experiment["config"] = {"method": name}
    return wanted


def up(result: Json, index: int) -> float:
    """How often the first qubit was 1."""
    found = counts(result, index)
    return sum(number for word, number in found.items() if word & 1) / sum(found.values())


def telling(bench: Bench, name: str, width: int, angles: list[float]) -> tuple[list[Json], float]:
    """Steps that end with a gate, after which a flip can be told, and how often the first qubit is 1 without it."""
    for prepared in ([], ["h"], ["sx"], ["sx", "s"]):
        steps = [gate(one, [index]) for index in range(width) for one in prepared]
        steps.append(gate(name, range(width), *angles))
        shown = bench.run(program([*steps, gate("save_probabilities", [0])]), SIMULATOR)
        chance = shown["results"][0]["data"]["probabilities"][1]
        if abs(chance - 0.5) > 0.2:
            return steps, chance
    raise AssertionError(name)


@pytest.mark.parametrize("name", sorted(gates.SHAPES))
def test_each_gate_has_its_own_error_by_each_method(bench: Bench, name: str) -> None:
    """A gate has the error of its name, once, and not those of the gates into which a method breaks it."""
    shape = gates.SHAPES[name]
    width = shape.qubits + 2 * shape.controlled
    steps, chance = telling(bench, name, width, [0.3, 0.5, 0.7, 0.9][: shape.params])
    own = {name, programs.ALIASES.get(name), *(step["name"] for step in steps)}
    others = [flips(part, size, 1.0) for size, names in PARTS.items() for part in names if part not in own]
    able = [*METHODS, *([methods.STABILIZER] if name in gates.CLIFFORD else [])]
    noise = model(*others, flips(name, width))
    result = bench.run(by_each([*steps, measure(0)], able, shots=400, noise_model=noise), SIMULATOR)
    quiet = bench.run(by_each([*steps, measure(0)], able, shots=400, noise_model=model(*others)), SIMULATOR)

    noisy = FLIPPED * (1 - chance) + (1 - FLIPPED) * chance
    if name not in {step["name"] for step in steps[:-1]}:
        assert [up(result, index) for index in range(len(able))] == pytest.approx([noisy] * len(able), abs=0.1)
    assert [up(quiet, index) for index in range(len(able))] == pytest.approx([chance] * len(able), abs=0.1)


@pytest.mark.parametrize("name", ["csx", "iswap", "ch", "cu3", "ccz", "mcx", "rccx", "xx_plus_yy"])
def test_how_often_a_gate_errs(bench: Bench, name: str) -> None:
    """The error of a gate happens as often as the model says, whatever a method makes of the gate."""
    shape = gates.SHAPES[name]
    width = max(shape.qubits, 3 if shape.controlled else 2)
    steps = [gate(name, range(width), *[0.3] * shape.params), measure(*range(width))]
    wanted = by_each(steps, METHODS, shots=2000, noise_model=model(flips(name, width)))
    result = bench.run(wanted, SIMULATOR)

    expected = np.zeros(2**width)
    expected[:2] = 1 - FLIPPED, FLIPPED
    assert min(p_value(counts(result, index), expected) for index in range(len(METHODS))) > 1e-6


def test_an_error_on_some_qubits(bench: Bench) -> None:
    """An error of some qubits is that of a gate on these, in their order; it goes before that of all others."""
    noise = model(flips("iswap", 2, 1.0, gate_qubits=[[0, 1]]), flips("iswap", 2, 0.0), flips("ch", 2, 1.0))
    noise["errors"][1]["instructions"][1] = [gate("x", [1])]
    steps = [gate("iswap", [0, 1]), gate("iswap", [3, 2]), gate("ch", [4, 5]), measure(*range(6))]
    result = bench.run(by_each(steps, METHODS, noise_model=noise), SIMULATOR)

    assert [counts(result, index) for index in range(len(METHODS))] == [{0b010101: 1000}] * len(METHODS)


def test_an_error_in_a_branch(bench: Bench) -> None:
    """A gate on a condition errs if it happens, on the qubits of the device that the model means."""
    steps = [
        gate("x", [9]),
        gate("measure", [9, 4], memory=[0, 1], register=[0, 1]),
        gate("iswap", [20, 4], conditional=0),
        gate("iswap", [30, 4], conditional=1),
        gate("measure", [20, 30], memory=[2, 3]),
    ]
    noise = model(flips("iswap", 2, 1.0, gate_qubits=[[20, 4], [30, 4]]))
    result = bench.run(by_each(steps, METHODS, noise_model=noise), SIMULATOR)

    assert [counts(result, index) for index in range(len(METHODS))] == [{0b0101: 1000}] * len(METHODS)


def test_a_label_is_a_name(bench: Bench) -> None:
    """A matrix with a label has the error of the label; with another the error of all matrices."""
    matrix = [[[1, 0], [0, 0]], [[0, 0], [1, 0]]]
    steps = [gate("unitary", [0], matrix, label="mine"), gate("unitary", [1], matrix, label="yours"), measure(0, 1)]
    mine = bench.run(by_each(steps, METHODS, noise_model=model(flips("mine", 1, 1.0))), SIMULATOR)
    every = bench.run(by_each(steps, METHODS, noise_model=model(flips("unitary", 1, 1.0))), SIMULATOR)

    assert [counts(mine, index) for index in range(len(METHODS))] == [{0b01: 1000}] * len(METHODS)
    assert [counts(every, index) for index in range(len(METHODS))] == [{0b11: 1000}] * len(METHODS)


@pytest.mark.parametrize(
    "step",
    [
        gate("pauli", [0], "Z"),
        gate("kraus", [0], [[[1, 0], [0, 0]], [[0, 0], [1, 0]]]),
        gate("superop", [0], np.eye(4).tolist()),
        gate("diagonal", [0], 1, [0, 1]),
        gate("multiplexer", [0, 1], np.eye(2).tolist(), np.eye(2).tolist()),
        gate("initialize", [0], "0"),
        gate("initialize", [0], 0.6, 0.8),
        gate("delay", [0], 100),
        gate("reset", [0]),
        gate("measure", [0], memory=[1]),
    ],
    ids=lambda step: step["name"],
)
def test_what_is_not_a_gate_errs_too(bench: Bench, step: Json) -> None:
    """Any instruction that the model names has its error."""
    noise = model(flips(step["name"], len(step["qubits"]), 1.0))
    found = bench.run(
        by_each([step, gate("h", [1]), gate("save_probabilities", [0])], METHODS, noise_model=noise), SIMULATOR
    )
    chance = 1.0 if step["params" if "params" in step else "name"] != [0.6, 0.8] else 0.36

    shown = [entry["data"]["probabilities"][1] for entry in found["results"]]
    assert shown == pytest.approx([chance] * len(METHODS))


def test_an_error_as_a_channel(bench: Bench) -> None:
    """The superoperator of a gate that the method lacks is that of the noisy gate."""
    steps = [gate("iswap", [0, 1]), gate("save_superop", [0, 1])]
    result = bench.run(program(steps, noise_model=model(flips("iswap", 2))), SIMULATOR)
    rows = result["results"][0]["data"]["superop"]

    assert [rows[place][0][0] for place in (0b0000, 0b0101)] == pytest.approx([1 - FLIPPED, FLIPPED])


def test_an_error_wider_than_the_gate(bench: Bench) -> None:
    """A gate on fewer qubits than its error is refused; other experiments go on."""
    small = [gate("mcx", [0, 1]), measure(0)]
    large = [gate("mcx", [0, 1, 2]), measure(0)]
    bench.reply(program(small, large, noise_model=model(flips("mcx", 3))), SIMULATOR)
    one, other = bench.last()["results"]

    assert (one["success"], other["success"]) == (False, True)
    assert "error on 3 qubits for mcx, which acts on 2" in one["status"]


@pytest.mark.parametrize(
    "error", [flips("measure", 2), flips("reset", 2), flips("x", 1, gate_qubits=[[0]], noise_qubits=[[1]])]
)
def test_errors_that_cannot_be(bench: Bench, error: Json) -> None:
    """Errors on other qubits than those of the instruction are refused before anything runs."""
    reply = bench.reply(program([gate("x", [0]), measure(0)], noise_model=model(error)), SIMULATOR)

    assert (type(reply).__name__, getattr(reply, "code", None)) == ("Refused", 8010), reply


@pytest.mark.parametrize("wanted", [{"foo": 1}, {"error": [{"type": "qerror"}]}, {"errors": None}])
def test_a_model_without_its_list_of_errors_is_refused(bench: Bench, wanted: Json) -> None:
    """What is misspelt would be a model without noise, and nobody would notice."""
    reply = bench.reply(program([gate("x", [0]), measure(0)], noise_model=wanted), SIMULATOR)

    assert isinstance(reply, tasks.Refused)
    assert reply.code == 8010
    assert "errors" in reply.message
