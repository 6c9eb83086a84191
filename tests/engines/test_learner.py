# SPDX-License-Identifier: Apache-2.0
"""What the noise learner tells, against the noise of the device worked out from its model."""

import functools
import itertools
import json
import math
import warnings
from typing import Any

import numpy as np
import physics
import pytest
import today
from numpy.typing import NDArray
from qiskit import transpile
from qiskit.circuit import CircuitInstruction, QuantumCircuit
from qiskit.circuit.library import CXGate, RZGate, SXGate
from qiskit.quantum_info import PTM, Pauli, SparsePauliOp, Statevector, SuperOp
from qiskit_ibm_runtime import NoiseLearnerV3
from qiskit_ibm_runtime.executor_estimator import Estimator
from qiskit_ibm_runtime.noise_learner import NoiseLearner
from qiskit_ibm_runtime.options import NoiseLearnerOptions
from qiskit_ibm_runtime.results.noise_learner import LayerError
from samplomatic import Twirl
from samplomatic.transpiler import generate_boxing_pass_manager
from samplomatic.utils import find_unique_box_instructions

from chandelier import errors
from chandelier.engines import noise, shots
from chandelier.engines import target as targets
from chandelier.engines.primitives import calibrate, cycles, learner, lindblad

MANILA = "ibmq_manila"
LETTERS = "IXYZ"
#: Angles of the three rotations about Z between which an `sx` makes each Pauli operator.
ROTATIONS = {
    "I": (0.0, math.pi, math.pi),
    "X": (math.pi, 2 * math.pi, math.pi),
    "Y": (math.pi / 2, 2 * math.pi, 3 * math.pi / 2),
    "Z": (math.pi, math.pi, math.pi),
}


@functools.cache
def _device() -> targets.Target:
    return physics.target(MANILA)


@functools.cache
def _error(name: str, *qubits: int) -> NDArray[np.float64]:
    """What the error of a gate leaves of each Pauli operator."""
    site = (name, qubits)
    return _diagonal(SuperOp(noise.errors_of(_device(), [site])[site]))


def _diagonal(channel: SuperOp) -> NDArray[np.float64]:
    """What a channel leaves of each Pauli operator, averaged over a twirl; the first qubit changes fastest."""
    found: NDArray[np.float64] = np.real(np.diag(PTM(channel).data))
    return found


@functools.cache
def _dressing(qubit: int) -> NDArray[np.float64]:
    """What the two pulses of a random dressing leave of I, X, Y and Z."""
    site = ("sx", (qubit,))
    error = SuperOp(noise.errors_of(_device(), [site])[site])
    left = []
    for letter, (first, middle, last) in ROTATIONS.items():
        ideal = SuperOp(np.eye(4))
        noisy = SuperOp(np.eye(4))
        for angle in (first, middle):
            ideal = ideal.compose(RZGate(angle)).compose(SXGate())
            noisy = noisy.compose(RZGate(angle)).compose(SXGate()).compose(error)
        ideal, noisy = ideal.compose(RZGate(last)), noisy.compose(RZGate(last))
        assert np.allclose(ideal.data, SuperOp(Pauli(letter)).data)
        left.append(_diagonal(SuperOp(Pauli(letter)).compose(noisy)))
    return np.mean(left, axis=0)  # type: ignore[no-any-return]


def _image(word: str, cx: tuple[int, int]) -> str:
    """What a CX makes of an operator; letter i is that of qubit i."""
    control, goal = cx
    made = Pauli(word[goal] + word[control]).evolve(CXGate(), frame="s").to_label().lstrip("-+i")
    letters = list(word)
    letters[control], letters[goal] = made[1], made[0]
    return "".join(letters)


def _cycle(word: str, qubits: tuple[int, ...], cx: tuple[int, int]) -> float:
    """What one dressed layer leaves of an operator: of its dressing first, then of the gate and of those that wait."""
    target = _device()
    site = ("cx", (qubits[cx[0]], qubits[cx[1]]))
    gate = _error(*site[:1], *site[1])
    left = math.prod(_dressing(qubit)[LETTERS.index(letter)] for qubit, letter in zip(qubits, word, strict=True))
    made = _image(word, cx)
    left *= gate[LETTERS.index(made[cx[0]]) + 4 * LETTERS.index(made[cx[1]])]
    for place, qubit in enumerate(qubits):
        if place not in cx:
            waiting = _diagonal(SuperOp(noise.relaxation(target, qubit, target.length(*site))))
            left *= waiting[LETTERS.index(made[place])]
    return float(left)


def _pair(word: str, qubits: tuple[int, ...], cx: tuple[int, int]) -> float:
    """What two dressed layers leave of an operator."""
    return _cycle(word, qubits, cx) * _cycle(_image(word, cx), qubits, cx)


def _rates(qubits: tuple[int, ...], cx: tuple[int, int]) -> dict[str, float]:
    """The rates of all operators, for a noise that the layer does not change: f = exp(−2 Σ λ) solved for λ."""
    words = ["".join(letters) for letters in itertools.product(LETTERS, repeat=len(qubits))][1:]
    left = np.array([_pair(word, qubits, cx) for word in words])
    odd = np.array([[Pauli(one).anticommutes(Pauli(other)) for other in words] for one in words], dtype=float)
    return dict(zip(words, np.linalg.solve(4 * odd, -np.log(left)), strict=True))


def _learned(seed: int) -> tuple[list[str], lindblad.Rates]:
    """Learn a layer of three qubits, one of which waits."""
    target = _device()
    layer = cycles.Layer((0, 1, 2), (("cx", (0, 1), ()),))
    model, rng = cycles.model(layer, target), np.random.default_rng(seed)
    depths = (0, 2, 10)
    data: list[list[NDArray[np.float64]]] = []
    for setting in model.settings:
        data.append([])
        for depth in depths:
            circuit = cycles.template(layer, depth, target)
            drawn = cycles.draw(layer, setting, depth, 12, target, rng)
            asked = [shots.Asked(circuit, 128, int(rng.integers(2**31)), values=values) for values in drawn.values]
            taken = shots.take(asked, target, today.LIMITS)
            bits = np.stack([next(iter(one.bits.values())) for one in taken]) ^ drawn.flips[:, None, :]
            odd = (bits.astype(int) @ (model.terms != 0).T) % 2
            data[-1].append((1 - 2 * odd).mean(axis=1))
    words = ["".join(lindblad.LETTERS[letter] for letter in term) for term in model.terms]
    return words, lindblad.learned(model, depths, data, rng)


def test_fidelities_are_those_of_the_device() -> None:
    """Of a layer with a qubit that waits: within the errors told, which are neither too large nor too small."""
    words, found = _learned(5)
    expected = np.array([_pair(word, (0, 1, 2), (0, 1)) for word in words])
    scores = (found.fidelities - expected) / found.fidelities_spread

    assert len(words) == 27
    assert np.abs(scores).max() < 4.5
    assert 0.6 < scores.std() < 1.6
    assert found.fidelities_spread.max() < 0.01


def _circuit() -> QuantumCircuit:
    """Two layers of gates, the first of which comes twice."""
    circuit = QuantumCircuit(3)
    circuit.h(0)
    for pair in ((0, 1), (1, 2), (0, 1)):
        circuit.cx(*pair)
        circuit.sx(1)
    circuit.measure_all()
    return circuit


def test_the_second_learner_learns_layers() -> None:
    """As the client asks for it and reads the answer: the rates of the most frequent layer are those of the device."""
    device = today.backend(MANILA)
    placed = transpile(_circuit(), device, initial_layout=[2, 1, 0], optimization_level=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = NoiseLearnerOptions(
            max_layers_to_learn=1, num_randomizations=16, layer_pair_depths=[0, 4, 16], twirling_strategy="active"
        )
        options.simulator.seed_simulator = 11
        result = NoiseLearner(device, options).run([placed]).result()
    (layer,) = result

    assert isinstance(layer, LayerError)
    assert layer.qubits == [1, 2]
    assert layer.circuit.count_ops() == {"cx": 1}
    expected = _rates((1, 2), (1, 0))
    found = {word[::-1]: rate for word, rate in zip(layer.error.generators.to_labels(), layer.error.rates, strict=True)}
    assert found.keys() == expected.keys()
    # The standard deviation of a rate is 0.00025 at most.
    assert max(abs(found[word] - expected[word]) for word in expected) < 0.00125
    assert max(expected.values()) > 0.002
    assert result.metadata["backend"] == MANILA
    assert result.metadata["input_options"]["layer_pair_depths"] == [0, 4, 16]


def _boxes(layout: list[int]) -> list[CircuitInstruction]:
    """The layers of a circuit, as users find them."""
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    placed = transpile(circuit, today.backend(MANILA), initial_layout=layout, optimization_level=0)
    boxed = generate_boxing_pass_manager(twirling_strategy="active").run(placed)
    return [one for one in find_unique_box_instructions(boxed.data) if len(one.operation.body.data)]


def test_the_third_learner_learns_gates_and_measurements() -> None:
    """With errors told for every rate; qubits are counted in the order of the device."""
    wanted = NoiseLearnerV3(today.backend(MANILA))
    wanted.options.num_randomizations = 16
    wanted.options.layer_pair_depths = [0, 4, 16]
    gates, readout = wanted.run(_boxes([3, 2, 4])).result()

    truth = _rates((2, 3), (1, 0))
    for generators, rate, spread in zip(gates._generators, gates._rates, gates._rates_std, strict=True):
        for pauli in generators:
            word = pauli.to_pauli().to_label()[::-1]
            assert abs(rate - truth[word]) < 5 * spread + 1e-4, word
    assert gates.metadata["post_selection"]["fraction_kept"] == {0: 1.0, 4: 1.0, 16: 1.0}

    qubits = [_device().qubits[index] for index in (2, 3, 4)]
    expected = [-math.log(1 - data.flip_up - data.flip_down) / 2 for data in qubits]
    assert [one.to_sparse_list() for one in readout._generators] == [[("X", [0])], [("X", [1])], [("X", [2])]]
    assert np.all(np.abs(readout._rates - expected) < 5 * readout._rates_std + 1e-3)
    assert np.all(readout._rates_std < 0.03)
    assert readout.metadata["learning_protocol"] == "trex"
    assert readout.to_pauli_lindblad_map().num_qubits == 3


def test_what_was_learned_cancels_the_noise() -> None:
    """A client that learns its layers and cancels their noise at random gets values without it, on average."""
    device = today.backend(MANILA)
    circuit = QuantumCircuit(2)
    circuit.ry(0.6, 0)
    for _ in range(3):
        circuit.cx(0, 1)
    placed = transpile(circuit, device, initial_layout=[1, 2], optimization_level=0)
    boxing = generate_boxing_pass_manager(
        enable_measures=False, inject_noise_targets="gates", twirling_strategy="active_accum"
    )
    layers = [one for one in find_unique_box_instructions(boxing.run(placed).data) if len(one.operation.body.data)]
    wanted = NoiseLearnerV3(device)
    wanted.options.num_randomizations = 16
    wanted.options.layer_pair_depths = [0, 4, 16]
    maps = wanted.run(layers).result().to_pauli_lindblad_maps()

    values = {}
    for cancelled, number in ((False, 200), (True, 1500)):
        estimator = Estimator(device)
        estimator.options.twirling.enable_gates = True
        estimator.options.twirling.num_randomizations = number
        estimator.options.twirling.shots_per_randomization = 64
        if cancelled:
            estimator.options.resilience.pec_mitigation = True
            estimator.options.resilience.layer_noise_model = list(zip(layers, maps, strict=True))
        data = estimator.run([(placed, SparsePauliOp("ZZ").apply_layout(placed.layout))]).result()[0].data
        values[cancelled] = float(data.evs), float(data.stds)

    # After an odd number of gates both qubits are always alike.
    (noisy, _), (clean, spread) = values[False], values[True]
    assert noisy < 0.97
    assert abs(clean - 1) < 5 * spread
    assert spread < 0.012


@pytest.mark.parametrize("name", [MANILA, "ibmq_essex"])
@pytest.mark.parametrize("depth", [None, 0, 3])
def test_without_noise_every_bit_is_as_it_was_turned(name: str, depth: int | None) -> None:
    """Whatever is drawn, in every basis, with the pulses of today's devices and those of 2019."""
    target, rng = physics.target(name), np.random.default_rng(3)
    layer = cycles.Layer((0, 1, 2), (("cx", (1, 0), ()),))
    circuit = cycles.template(layer, depth, target)
    for setting in [[2, 2, 2]] if depth is None else cycles.model(layer, target).settings:
        drawn = cycles.draw(layer, setting, depth, 2, target, rng)
        for values, flips in zip(drawn.values, drawn.flips, strict=True):
            final = circuit.assign_parameters(values).remove_final_measurements(inplace=False)
            (outcome,) = Statevector(final).probabilities_dict(qargs=[0, 1, 2], decimals=9)
            assert [bit == "1" for bit in reversed(outcome)] == flips.tolist()


def test_every_pair_of_neighbours_is_measured_in_every_basis() -> None:
    """Nine settings suffice for two-coloured and even for four-coloured maps; one qubit alone takes three."""
    eye = np.eye(10, dtype=np.uint8)
    for pairs in ([(0, 1), (1, 2), (2, 3), (3, 4)], list(itertools.combinations(range(4), 2))):
        model = lindblad.model(pairs, eye, np.zeros(10, dtype=np.bool_))
        assert len(model.settings) == 9
        for first, second in pairs:
            assert len({(row[first], row[second]) for row in model.settings.tolist()}) == 9
        assert lindblad.measured(model.terms, model.settings).any(axis=0).all()
    five = lindblad.model(list(itertools.combinations(range(5), 2)), eye, np.zeros(10, dtype=np.bool_))
    assert lindblad.measured(five.terms, five.settings).any(axis=0).all()
    alone = lindblad.model([], np.eye(2, dtype=np.uint8), np.zeros(2, dtype=np.bool_))
    assert len(alone.settings) == 3


def test_rates_that_are_known_are_found() -> None:
    """From decays without noise, the rates are those that made them, also where two layers turn an operator around."""
    target = _device()
    model = cycles.model(cycles.Layer((1, 2), (("cx", (1, 2), ()),)), target)
    rates = np.linspace(0.001, 0.009, model.design.shape[1])
    left = np.exp(-2 * model.design @ rates)
    depths = (0, 1, 3, 10)
    turned = lindblad.Model(model.terms, model.groups, model.design, -model.signs, model.settings)
    for wanted in (model, turned):
        data = [[np.tile(0.9 * (wanted.signs * left) ** depth, (8, 1)) for depth in depths] for _ in wanted.settings]
        found = lindblad.learned(wanted, depths, data, np.random.default_rng(1))
        assert found.rates == pytest.approx(rates, rel=1e-4)


@pytest.mark.parametrize(
    ("gates", "word"),
    [
        ((("dcx", (0, 1), ()),), "not its own inverse"),
        ((("rzz", (0, 1), (0.3,)),), "not one of Clifford gates"),
    ],
)
def test_a_layer_that_cannot_be_learned_is_refused(gates: Any, word: str) -> None:
    """With its qubits and the reason."""
    with pytest.raises(errors.ProgramRefused, match=word) as caught:
        cycles.model(cycles.Layer((0, 1), gates), _device())
    assert caught.value.code == 8047


def _third(change: dict[str, Any], circuit: QuantumCircuit | None = None) -> bytes:
    from ibm_quantum_schemas.common import QpyModelV13ToV17  # noqa: PLC0415 -- for this test

    wanted = circuit or QuantumCircuit(5)
    sent = QpyModelV13ToV17.from_quantum_circuit(wanted, qpy_version=17).model_dump()
    return json.dumps({"schema_version": "v0.3", "instructions": sent, "options": change, "version": 3}).encode()


def _boxed(*gates: tuple[str, tuple[int, ...]], dressing: str = "left") -> QuantumCircuit:
    circuit = QuantumCircuit(5)
    with circuit.box([Twirl(dressing=dressing)]):
        for name, qubits in gates:
            getattr(circuit, name)(*qubits)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "code", "word"),
    [
        (_boxed(("cx", (0, 1)), ("cx", (1, 2))), 8047, "no layer of gates"),
        (_boxed(("cx", (0, 1)), ("sx", (0,))), 8047, "its sx"),
        (_boxed(("sx", (0,)), ("cx", (0, 1)), dressing="right"), 8047, "its sx"),
        (_boxed(("ccx", (0, 1, 2))), 8047, "its ccx"),
        (_boxed(("cx", (0, 3))), 8002, "cx"),
    ],
)
def test_a_box_that_is_no_layer_is_refused(circuit: QuantumCircuit, code: int, word: str) -> None:
    """A gate after the dressing's side, two gates on one qubit, a gate that the device has not got there."""
    with pytest.raises(errors.ProgramRefused, match=word) as caught:
        learner.open_(_third({}, circuit), _device(), today.LIMITS)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("change", "name", "word"),
    [
        ({"layer_pair_depths": [3, 3]}, MANILA, "two that differ"),
        ({"layer_pair_depths": [0, 10**4]}, MANILA, "up to 1000"),
        ({"num_randomizations": 10**6}, MANILA, "fewer"),
        ({}, "ibmq_qasm_simulator", "has no noise"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], name: str, word: str) -> None:
    """Depths that show no decay, more circuits than a job may run, a simulator without noise."""
    with pytest.raises(errors.ProgramRefused, match=word):
        learner.open_(_third(change, _boxed(("cx", (0, 1)))), physics.target(name), today.LIMITS)


def test_no_job_calibrates_a_device() -> None:
    """The program that promises it is refused, and says who can."""
    with pytest.raises(errors.ProgramRefused, match="operator") as caught:
        calibrate.open_(b'{"schema_version": "v0.1", "options": {}}', _device(), today.LIMITS)
    assert caught.value.code == 8048
