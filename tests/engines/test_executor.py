# SPDX-License-Identifier: Apache-2.0
"""Quantum programs as today's client writes them, and what it makes of the answers."""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import physics
import pytest
import today
from numpy.typing import NDArray
from qiskit import transpile
from qiskit.circuit import ClassicalRegister, Parameter, QuantumCircuit, QuantumRegister
from qiskit.quantum_info import PauliLindbladMap, SparsePauliOp
from qiskit_ibm_runtime import Executor, QuantumProgram
from qiskit_ibm_runtime.executor_estimator import Estimator
from qiskit_ibm_runtime.executor_sampler import Sampler
from samplomatic import InjectNoise, Twirl, build

from chandelier import errors
from chandelier.engines import target as targets
from chandelier.engines.primitives import executor, samplexes

MANILA = "ibmq_manila"
SIMULATOR = "ibmq_qasm_simulator"

Json = dict[str, Any]


def _bell(angle: Parameter | float) -> QuantumCircuit:
    """A circuit for two qubits of the device, whose qubits are not equally likely to be 1."""
    circuit = QuantumCircuit(5, 2)
    circuit.rz(0.3, 1)
    circuit.sx(1)
    circuit.rz(angle, 1)
    circuit.sx(1)
    circuit.cx(1, 2)
    circuit.measure([1, 2], [0, 1])
    return circuit


def _told(program: QuantumProgram, name: str = MANILA, *, path: tuple[str | int, ...] = (), value: Any = None) -> Json:
    """The params that the client sends for a program, with something in them changed."""
    sent: list[bytes] = []
    device = today.backend(name)
    device.service._run = lambda inputs, **_: sent.append(json.dumps(inputs).encode())
    Executor(device).run(program)
    document: Json = json.loads(sent[0])
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    if path:
        place[path[-1]] = value
    return document


def _open(document: Json, name: str = MANILA, limits: Any = today.LIMITS) -> executor.Job:
    opened = executor.open_(json.dumps(document).encode(), physics.target(name), limits)
    assert isinstance(opened, executor.Job)
    return opened


def _refused(document: Json, name: str = MANILA, limits: Any = today.LIMITS) -> errors.ProgramRefused:
    with pytest.raises(errors.ProgramRefused) as caught:
        _open(document, name, limits)
    return caught.value


def _observed(bits: NDArray[np.bool_]) -> dict[int, int]:
    """How often each word occurred; bit j of a word is column j."""
    words = bits.reshape(-1, bits.shape[-1]) @ (1 << np.arange(bits.shape[-1]))
    values, counts = np.unique(words, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _chances(circuit: QuantumCircuit, target: targets.Target) -> NDArray[np.float64]:
    found = np.zeros(2**circuit.num_clbits)
    for word, chance in today.probabilities(circuit, target).items():
        found[word] = chance
    return found


def _with_readout(change: Callable[[targets.QubitData], targets.QubitData]) -> targets.Target:
    target = physics.target(MANILA)
    return dataclasses.replace(target, qubits=tuple(change(data) for data in target.qubits))


def test_the_sampler_counts_what_the_device_shows() -> None:
    """With its default options: every set of values has the outcomes that the device's noise gives it."""
    angle = Parameter("a")
    values = np.array([[0.4], [1.9], [-2.5]])
    result = Sampler(today.backend(MANILA)).run([(_bell(angle), values)], shots=4000).result()

    assert result[0].data.c.array.shape == (3, 4000, 1)
    for index, (value,) in enumerate(values):
        expected = _chances(_bell(float(value)), physics.target(MANILA))
        counts = result[0].data.c[index].get_int_counts()
        assert physics.p_value(counts, expected) > 1e-6


def test_a_twirled_sampler_counts_what_the_device_shows() -> None:
    """With gates and measurements twirled: the bits that were turned around are turned back by the client."""
    sampler = Sampler(today.backend(MANILA))
    sampler.options.twirling.enable_gates = True
    sampler.options.twirling.enable_measure = True
    job = sampler.run([_bell(0.7)], shots=20_000)
    counts = job.result()[0].data.c.get_int_counts()

    balanced = _with_readout(
        lambda data: dataclasses.replace(
            data, flip_up=(data.flip_up + data.flip_down) / 2, flip_down=(data.flip_up + data.flip_down) / 2
        )
    )
    shown = np.array([counts.get(word, 0) for word in range(4)]) / sum(counts.values())
    assert physics.distance(shown, _chances(_bell(0.7), balanced)) < 0.03
    assert job.plan.experiments == 32


@pytest.mark.parametrize(("level", "mitigated"), [(0, False), (1, True)])
def test_the_estimator_is_right(level: int, mitigated: bool) -> None:
    """By default it mitigates the errors of readout, without which they are in its values; its error bars hold."""
    device = today.backend(MANILA)
    circuit = QuantumCircuit(2)
    circuit.ry(0.6, 0)
    circuit.cx(0, 1)
    placed = transpile(circuit, device, initial_layout=[2, 1], optimization_level=1, seed_transpiler=1)
    observables = [SparsePauliOp("ZZ"), SparsePauliOp("IZ"), SparsePauliOp("XX")]
    estimator = Estimator(device)
    if not mitigated:
        estimator.options.resilience_level = level
    job = estimator.run([(placed, [one.apply_layout(placed.layout) for one in observables])], precision=0.01)
    data = job.result()[0].data

    target = physics.target(MANILA)
    if mitigated:
        target = _with_readout(lambda data: dataclasses.replace(data, flip_up=0.0, flip_down=0.0))
    expected = []
    for word in ("ZZ", "IZ", "XX"):
        measured = placed.copy()
        for place, qubit in enumerate((2, 1)):
            if word[1 - place] == "X":
                measured.rz(math.pi / 2, qubit)
                measured.sx(qubit)
                measured.rz(math.pi / 2, qubit)
        measured.add_register(ClassicalRegister(2))
        measured.measure([2, 1], [0, 1])
        kept = [place for place in range(2) if word[1 - place] != "I"]
        chances = today.probabilities(measured, target)
        expected.append(
            sum(chance * (-1) ** sum(bits >> place & 1 for place in kept) for bits, chance in chances.items())
        )
    # The circuits of the client have two gates more on each qubit.
    assert np.abs(data.evs - expected).max() < 6 * data.stds.max() + 0.005
    assert np.all(data.stds < 0.03)


def test_column_j_is_classical_bit_j() -> None:
    """In every register; results have the shape of the values, then shots, then bits."""
    circuit = QuantumCircuit(QuantumRegister(5, "q"), ClassicalRegister(3, "low"), ClassicalRegister(2, "high"))
    circuit.rx(Parameter("a"), 0)
    circuit.x(1)
    circuit.measure([1, 0, 2], [0, 1, 4])
    program = QuantumProgram(shots=7)
    program.append_circuit_item(circuit, circuit_arguments=np.array([[[0.0]] * 3, [[math.pi]] * 3]))
    result = Executor(today.backend(SIMULATOR)).run(program).result()

    assert result[0]["low"].shape == (2, 3, 7, 3)
    assert result[0]["low"][0].all(axis=(0, 1)).tolist() == [True, False, False]
    assert result[0]["low"][1].all(axis=(0, 1)).tolist() == [True, True, False]
    assert not result[0]["high"].any()


def test_points_and_bits_belong_together() -> None:
    """Points of a register lie where the device's clouds are; bits told with them are wrong as often as published."""
    circuit = QuantumCircuit(5, 2)
    circuit.x(3)
    circuit.measure([0, 3], [0, 1])
    found = {}
    for level in ("kerneled", "avg_kerneled", "both"):
        program = QuantumProgram(shots=5000, meas_level=level)
        program.append_circuit_item(circuit)
        found[level] = Executor(today.backend(MANILA)).run(program).result()[0]

    assert {name: one.shape for name, one in found["both"].items()} == {"c": (5000, 2), "c_iq": (5000, 2)}
    averaged = found["avg_kerneled"]["c_avg_iq"]
    single = found["kerneled"]["c_iq"]
    assert np.abs(averaged - single.mean(axis=0)).max() < 6 * single.std(axis=0).max() * math.sqrt(2 / 5000)
    up = physics.target(MANILA).qubits[0].flip_up
    assert abs(found["both"]["c"][:, 0].mean() - up) < 5 * math.sqrt(up / 5000)
    assert found["both"]["c"][:, 1].mean() > 0.9


def test_chunks_are_told_as_they_ran() -> None:
    """Everything at once; or in parts of the size that the client asks for, each with its own times."""
    circuit = QuantumCircuit(5, 1)
    circuit.rz(Parameter("a"), 0)
    circuit.measure(0, 0)
    program = QuantumProgram(shots=3)
    program.append_circuit_item(circuit, circuit_arguments=np.zeros((2, 2, 1)), chunk_size=3)
    parted = Executor(today.backend(MANILA)).run(program).result().metadata.chunk_timing
    program.items[0].chunk_size = None
    whole = Executor(today.backend(MANILA)).run(program).result().metadata.chunk_timing

    assert [[(part.idx_item, part.size) for part in span.parts] for span in whole] == [[(0, 4)]]
    assert [[(part.idx_item, part.size) for part in span.parts] for span in parted] == [[(0, 3)], [(0, 1)]]
    assert parted[0].start <= parted[0].stop <= parted[1].start <= parted[1].stop


def test_noise_that_a_client_injects_is_drawn() -> None:
    """A samplex gets a Pauli-Lindblad map and draws errors of its rates; its signs and flips come back."""
    rate = 0.2
    circuit = QuantumCircuit(1, 1)
    with circuit.box([Twirl(), InjectNoise("mine")]):
        circuit.noop(0)
    with circuit.box([Twirl()]):
        circuit.measure(0, 0)
    template, samplex = build(circuit)
    program = QuantumProgram(shots=1)
    maps = {"mine": PauliLindbladMap.from_list([("X", rate)])}
    program.append_samplex_item(template, samplex, samplex_arguments={"pauli_lindblad_maps": maps}, shape=(4000,))
    item = Executor(today.backend(SIMULATOR)).run(program).result()[0]

    assert item["pauli_signs"].shape == (4000, 1)
    assert not item["pauli_signs"].any()
    wrong = (item["c"] ^ item["measurement_flips.c"]).mean()
    expected = (1 - math.exp(-2 * rate)) / 2
    assert abs(wrong - expected) < 5 * math.sqrt(expected * (1 - expected) / 4000)


def test_values_change_along_their_axes_and_nothing_else_does() -> None:
    """Axes of a samplex item on which no argument depends are randomizations, wherever they stand."""
    circuit = QuantumCircuit(1, 1)
    with circuit.box([Twirl()]):
        circuit.rx(Parameter("a"), 0)
        circuit.measure(0, 0)
    template, samplex = build(circuit)
    program = QuantumProgram(shots=5)
    values = np.array([0.0, math.pi]).reshape(2, 1, 1)
    program.append_samplex_item(template, samplex, samplex_arguments={"parameter_values": values}, shape=(6, 2, 8))
    item = Executor(today.backend(SIMULATOR)).run(program).result()[0]

    bits = item["c"] ^ item["measurement_flips.c"]
    assert bits.shape == (6, 2, 8, 5, 1)
    assert not bits[:, 0].any()
    assert bits[:, 1].all()
    assert 0.2 < item["measurement_flips.c"].mean() < 0.8


def test_circuits_may_be_openqasm() -> None:
    """As texts, one for each item."""
    text = 'OPENQASM 3.0; include "stdgates.inc"; bit[2] c; x $1; c[0] = measure $0; c[1] = measure $1;'
    document = _told(_simple())
    document["quantum_program"]["circuits"] = {"data": [text]}
    document["quantum_program"]["items"][0]["circuit_arguments"] = _tensor(np.empty((0,)))
    found = msgspec.json.decode(_open(document, SIMULATOR).run().body)

    assert found["data"][0]["results"]["c"]["shape"] == [10, 2]


def _simple() -> QuantumProgram:
    program = QuantumProgram(shots=10)
    circuit = QuantumCircuit(5, 1)
    circuit.rz(Parameter("a"), 0)
    circuit.measure(0, 0)
    program.append_circuit_item(circuit, circuit_arguments=np.zeros((3, 1)))
    return program


def _twirled() -> QuantumProgram:
    circuit = QuantumCircuit(2)
    with circuit.box([Twirl()]):
        circuit.cx(0, 1)
    with circuit.box([Twirl()]):
        circuit.measure_all()
    template, samplex = build(circuit)
    program = QuantumProgram(shots=10)
    program.append_samplex_item(template, samplex, shape=(4,))
    return program


def _tensor(values: NDArray[Any]) -> Json:
    from ibm_quantum_schemas.common import CompressedTensorModel  # noqa: PLC0415 -- for one test

    return CompressedTensorModel.from_numpy(values).model_dump()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [("scheduler_timing", True, 8010), ("stretch_values", True, 8010), ("rep_delay", 0.5, 8040)],
)
def test_an_option_that_is_not_answered_is_refused(option: str, value: Any, code: int) -> None:
    """By its name."""
    refused = _refused(_told(_simple(), path=("options", option), value=value))

    assert refused.code == code
    assert option in refused.message


def test_a_wait_between_shots_occupies_the_device() -> None:
    """As long as the program asks for, where the device has a choice."""
    short = _open(_told(_simple(), path=("options", "rep_delay"), value=0.0001)).plan.device_seconds
    long = _open(_told(_simple(), path=("options", "rep_delay"), value=0.0004)).plan.device_seconds

    assert long - short == pytest.approx(30 * 0.0003)


def test_an_item_without_elements_or_bits_has_nothing_to_tell() -> None:
    """And harms no other."""
    program = QuantumProgram(shots=3)
    circuit = QuantumCircuit(5, 1)
    circuit.rz(Parameter("a"), 0)
    circuit.measure(0, 0)
    program.append_circuit_item(circuit, circuit_arguments=np.zeros((0, 1)))
    program.append_circuit_item(QuantumCircuit(5))
    program.append_circuit_item(circuit, circuit_arguments=np.zeros((2, 1)))
    result = Executor(today.backend(MANILA)).run(program).result()

    assert [{name: one.shape for name, one in item.items()} for item in result] == [
        {"c": (0, 3, 1)},
        {},
        {"c": (2, 3, 1)},
    ]


@pytest.mark.parametrize(
    ("path", "value", "code", "word"),
    [
        (("items", 0, "circuit_arguments"), _tensor(np.zeros((3, 2))), 8046, "1 parameters"),
        (("items", 0, "shape"), [1000, 1000, 3], 8046, "3000000 elements"),
        (("shots",), 10**9, 8008, "5.59 GiB of memory"),
    ],
)
def test_items_that_do_not_fit_are_refused(path: tuple[str | int, ...], value: Any, code: int, word: str) -> None:
    """Before anything is run, with both numbers that disagree."""
    refused = _refused(_told(_simple(), path=("quantum_program", *path), value=value))

    assert refused.code == code
    assert word in refused.message


def test_outcomes_that_would_be_too_large_are_refused() -> None:
    """By what they hold and by what they leave."""
    small = msgspec.structs.replace(today.LIMITS, result_bytes=100)
    little = msgspec.structs.replace(today.LIMITS, memory_bytes=1000)
    document = _told(_simple(), path=("quantum_program", "shots"), value=1000)

    assert _refused(document, limits=small).code == 8025
    assert _refused(document, limits=little).code == 8008
    assert _refused(_told(_twirled()), limits=little).code == 8008


def _samplex(change: Callable[[Json], None]) -> Json:
    """The params of a twirled program whose samplex somebody has tampered with."""
    document = _told(_twirled())
    item = document["quantum_program"]["items"][0]
    graph = json.loads(item["samplex"]["samplex_json"])
    change(graph)
    item["samplex"]["samplex_json"] = json.dumps(graph)
    return document


def _first(graph: Json, kind: str) -> Json:
    return next(node["data"] for node in graph["nodes"] if node["data"]["id"] == kind)


def _specified(graph: Json, **changes: Any) -> None:
    outputs = json.loads(graph["attrs"]["output_specification"])
    outputs["parameter_values"] = json.dumps(json.loads(outputs["parameter_values"]) | changes)
    graph["attrs"]["output_specification"] = json.dumps(outputs)


def _formulas(graph: Json, circuit: str) -> None:
    table = json.loads(graph["attrs"]["param_table"])
    graph["attrs"]["param_table"] = json.dumps(table | {"circuit_base64": circuit})


@pytest.mark.parametrize(
    "change",
    [
        lambda graph: _first(graph, "N10").update(id="P", circuit_base64=""),
        lambda graph: _first(graph, "N10").update(distribution='{"id": "P", "ssv": "4"}'),
        lambda graph: _first(graph, "N10").update(distribution='{"id": "D0", "ssv": "4", "num_subsystems": 1e12}'),
        lambda graph: _first(graph, "N10").update(distribution='{"id": "D0", "ssv": "4", "num_subsystems": 99999999}'),
        lambda graph: _first(graph, "N9").update(slice_idxs="[0,999999999999,1]", is_slice="true"),
        lambda graph: _first(graph, "N3").update(num_output_subsystems="1000000000"),
        lambda graph: _specified(graph, dtype="O"),
        lambda graph: _specified(graph, shape=["num_randomizations", 10**12]),
        lambda graph: _specified(graph, id="V0"),
        lambda graph: _formulas(graph, "QUFB"),
        lambda graph: graph["attrs"].pop("param_table"),
        lambda graph: graph["links"].append({"source": 0, "target": 10**6}),
        lambda graph: graph["nodes"].append(graph["nodes"][0]),
        lambda graph: graph["attrs"].update(ssv="3"),
    ],
)
def test_a_samplex_that_was_tampered_with_is_refused(change: Callable[[Json], None]) -> None:
    """Whatever it says of its sizes, parts and types, nothing is made of it."""
    assert _refused(_samplex(change)).code in {8039, 8045}


def test_the_numbers_of_a_samplex_cost_nothing() -> None:
    """A reader that made room for the largest of them would need terabytes."""

    def change(graph: Json) -> None:
        for node in graph["nodes"]:
            node["id"] += 10**12
        for link in graph["links"]:
            link.update(source=link["source"] + 10**12, target=link["target"] + 10**12)

    assert _open(_samplex(change), SIMULATOR).plan.experiments == 4


def test_a_samplex_of_a_newer_client_is_refused() -> None:
    """And the message says what is read."""
    with pytest.raises(errors.ProgramRefused, match="reads 1 to 4"):
        samplexes.open_("{}", 5, {}, ())


def test_missing_arguments_of_a_samplex_are_named() -> None:
    """So that one knows what to give it."""
    circuit = QuantumCircuit(1, 1)
    with circuit.box([Twirl()]):
        circuit.rx(Parameter("a"), 0)
        circuit.measure(0, 0)
    template, samplex = build(circuit)
    program = QuantumProgram(shots=5)
    program.append_samplex_item(template, samplex, samplex_arguments={"parameter_values": [0.1]}, shape=(6,))
    document = _told(program, path=("quantum_program", "items", 0, "samplex_arguments"), value={})

    refused = _refused(document)
    assert refused.code == 8046
    assert "parameter_values" in refused.message
