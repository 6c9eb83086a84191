# SPDX-License-Identifier: Apache-2.0
"""The estimator's values agree with exact ones, in the shapes and with the facts that the real client expects."""

import json
from typing import Any

import asking
import msgspec
import numpy as np
import physics
import pytest
from qiskit.circuit import ClassicalRegister, Parameter, QuantumCircuit
from qiskit.primitives.containers import PubResult
from qiskit.quantum_info import SparseObservable, SparsePauliOp, Statevector, random_pauli_list
from qiskit_ibm_runtime import RuntimeEncoder

from chandelier import errors
from chandelier.engines.primitives import estimator, programs, work

IDEAL = physics.target("ibmq_qasm_simulator")
MANILA = physics.target("ibmq_manila")


def operator(width: int, seed: int, terms: int = 6) -> SparsePauliOp:
    """A random observable."""
    source = np.random.default_rng(seed)
    labels = random_pauli_list(width, terms, seed=seed, phase=False)
    return SparsePauliOp(labels, source.normal(size=terms)).simplify()


@pytest.mark.parametrize("seed", range(6))
def test_ideal_values_are_those_of_the_state(seed: int) -> None:
    """Random observables of random circuits come out within five standard errors."""
    circuit = asking.scrambled(4, seed, depth=3)
    wanted = [operator(4, 10 * seed + place) for place in range(3)]

    data = asking.estimated([(circuit, wanted)], IDEAL, {"seed_estimator": seed})[0].data

    truth = np.array([Statevector(circuit).expectation_value(one).real for one in wanted])
    assert (np.abs(data.evs - truth) < 5 * data.stds).all()
    assert (data.stds > 0).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["ibmq_manila", "ibm_lagos"])
def test_values_of_a_device_have_all_its_errors(name: str, seed: int) -> None:
    """Without mitigation the values are those of the device's exact noisy distribution, readout included."""
    target, circuit = physics.target(name), asking.scrambled(3, 20 + seed, depth=2)
    circuit = _placed(circuit, name)
    wanted = [operator(circuit.num_qubits, 30 * seed + place, 4) for place in range(2)]

    data = asking.estimated([(circuit, wanted)], target, {"seed_estimator": seed})[0].data

    truth = np.array([asking.noisy(circuit, one, target) for one in wanted])
    assert (np.abs(data.evs - truth) < 5 * data.stds).all()


def _placed(circuit: QuantumCircuit, name: str) -> QuantumCircuit:
    """On a line of the device's qubits."""
    line = [0, 1, 2] if name == "ibmq_manila" else [3, 5, 4]
    made = QuantumCircuit(6)
    return made.compose(circuit, line) if name != "ibmq_manila" else circuit


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_level_of_resilience_is_within_its_errors(level: int) -> None:
    """On a device with small errors of gates, each level comes out near what it aims at."""
    circuit = asking.scrambled(2, 40, depth=1)
    wanted = SparsePauliOp(["ZZ", "XI", "IY"], [1.0, 0.5, -0.5])
    aims = [MANILA, asking.misread(MANILA, 0.0, 0.0)]

    pub = asking.estimated([(circuit, wanted)], MANILA, {"seed_estimator": 5}, level=level)[0]

    truth = (
        asking.noisy(circuit, wanted, aims[level]) if level < 2 else Statevector(circuit).expectation_value(wanted).real
    )
    assert abs(float(pub.data.evs) - truth) < 5 * float(pub.data.stds)


def test_projectors_are_probabilities() -> None:
    """The six projectors of each qubit come out as the state has them, also with mitigated readout."""
    circuit = asking.scrambled(2, 41)
    labels = [one + other for one in "01+-rl" for other in "01+-rl"]
    wanted = [SparseObservable.from_label(label) for label in labels]
    truth = [Statevector(circuit).expectation_value(SparsePauliOp.from_sparse_observable(one)).real for one in wanted]

    ideal = asking.estimated([(circuit, wanted)], IDEAL, {"seed_estimator": 6})[0].data
    device = asking.estimated([(circuit, wanted)], MANILA, {"seed_estimator": 6}, level=1)[0].data

    assert (np.abs(ideal.evs - truth) < 5 * ideal.stds).all()
    assert (np.abs(device.evs - truth) < 5 * device.stds + 0.05).all()


def test_observables_and_values_broadcast() -> None:
    """Three observables in a column and four sets of values make an array of three by four."""
    theta = Parameter("t")
    circuit = QuantumCircuit(2)
    circuit.ry(theta, 0)
    circuit.cx(0, 1)
    angles = np.linspace(0.1, 3.0, 4)

    pub = asking.estimated([(circuit, [["ZI"], ["XX"], ["YY"]], angles[:, None])], IDEAL, {"seed_estimator": 7})[0]

    truth = np.array([np.cos(angles), np.sin(angles), -np.sin(angles)])
    assert isinstance(pub, PubResult)
    assert pub.data.evs.shape == pub.data.stds.shape == (3, 4)
    assert (np.abs(pub.data.evs - truth) < 5 * pub.data.stds + 1e-3).all()


def test_values_belong_to_the_parameters_in_their_order() -> None:
    """Each parameter gets its own value, whatever the order in which the circuit uses them."""
    beta, alpha = Parameter("beta"), Parameter("alpha")
    circuit = QuantumCircuit(2)
    circuit.ry(beta, 0)
    circuit.ry(alpha, 1)

    data = asking.estimated([(circuit, ["IZ", "ZI"], {"alpha": 0.3, "beta": 2.0}, 0.005)], IDEAL)[0].data

    assert data.evs == pytest.approx([np.cos(2.0), np.cos(0.3)], abs=0.03)


@pytest.mark.parametrize(
    ("precision", "options", "shots", "told"),
    [
        (None, {}, 4096, 1 / 64),
        (0.1, {}, 100, 0.1),
        (0.01, {}, 10_000, 0.01),
        (None, {"default_precision": 0.2}, 25, 0.2),
        (None, {"default_shots": 400}, 400, 0.05),
        (0.1, {"default_shots": 400}, 100, 0.1),
    ],
)
def test_a_precision_becomes_shots(precision: float | None, options: dict[str, Any], shots: int, told: float) -> None:
    """The pub's precision comes first, then the default number of shots, then the default precision."""
    circuit = asking.scrambled(2, 42)

    pub = asking.estimated([(circuit, "ZZ", None, precision)], IDEAL, options)[0]

    assert pub.metadata["shots"] == shots
    assert pub.metadata["target_precision"] == pytest.approx(told)
    assert float(pub.data.stds) <= told * 1.05


def test_a_precision_of_zero_is_exact() -> None:
    """A simulator without noise computes the values from the state, without errors."""
    circuit, wanted = asking.scrambled(4, 43), [operator(4, 44), operator(4, 45)]

    pub = asking.estimated([(circuit, wanted, None, 0.0)], IDEAL)[0]

    np.testing.assert_allclose(
        pub.data.evs, [Statevector(circuit).expectation_value(one).real for one in wanted], atol=1e-9
    )
    assert pub.data.stds.tolist() == [0.0, 0.0]


def test_a_device_is_never_exact() -> None:
    """Shots of a device have errors, so that a precision of 0 is refused; so are measurements on a simulator."""
    measured = QuantumCircuit(1, 1)
    measured.measure(0, 0)

    with pytest.raises(errors.ProgramRefused, match="estimates from shots") as caught:
        asking.estimated([(asking.scrambled(2, 46), "ZZ", None, 0.0)], MANILA)
    with pytest.raises(errors.ProgramRefused, match="this one has measure") as other:
        asking.estimated([(measured, "Z", None, 0.0)], IDEAL)

    assert (caught.value.code, other.value.code) == (8041, 8040)


def test_a_seed_gives_the_same_values_and_every_pub_its_own() -> None:
    """Two jobs with one seed agree; two pubs, two sets of values, and two seeds differ."""
    theta = Parameter("t")
    circuit = QuantumCircuit(1)
    circuit.rx(theta, 0)
    pubs = [(circuit, "Z", [[1.0], [1.0]]), (circuit, "Z", [[1.0], [1.0]])]

    def values(seed: int) -> list[float]:
        result = asking.estimated(pubs, IDEAL, {"seed_estimator": seed})
        return [float(one) for pub in result for one in pub.data.evs]

    first = values(8)
    assert values(8) == first
    assert len({*first}) == 4
    assert values(9) != first


def test_a_seed_holds_for_everything_random() -> None:
    """Twirled, folded and calibrated jobs are repeated as well."""
    pubs = [(asking.scrambled(2, 47), ["ZZ", "XY"], None, 0.1)]

    found = [asking.estimated(pubs, MANILA, {"seed_estimator": 10}, level=2)[0].data.evs.tolist() for _ in range(2)]

    assert found[0] == found[1]


def test_constants_need_no_shots() -> None:
    """The identity is known, alone or beside other terms, and an observable without terms is 0."""
    circuit = asking.scrambled(2, 48)

    pub = asking.estimated(
        [(circuit, [SparsePauliOp(["II"], [3.0]), SparsePauliOp(["II", "ZZ"], [2.0, 0.0])])], MANILA
    )[0]

    assert pub.data.evs == pytest.approx([3.0, 2.0], abs=0.05)
    assert pub.data.stds[0] == 0


def test_nothing_asked_is_nothing_told() -> None:
    """A pub without sets of values has an empty result."""
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("t"), 0)

    pub = asking.estimated([(circuit, "Z", np.zeros((0, 1)))], IDEAL)[0]

    assert pub.data.evs.shape == pub.data.stds.shape == (0,)


def test_the_metadata_say_what_was_done() -> None:
    """Shots, randomizations, what was mitigated, and the circuit's own metadata come back."""
    circuit = asking.scrambled(2, 49)
    circuit.metadata = {"made by": "a test"}

    result = asking.estimated([(circuit, "ZZ")], MANILA, {"seed_estimator": 11}, level=1)

    assert result.metadata["version"] == 2
    assert result.metadata["resilience"] == {
        "measure_mitigation": True,
        "zne_mitigation": False,
        "pec_mitigation": False,
    }
    assert result.metadata["twirling"]["enable_measure"] is True
    assert result[0].metadata == {
        "target_precision": 1 / 64,
        "shots": 4096,
        "num_randomizations": 32,
        "resilience": {},
        "circuit_metadata": {"made by": "a test"},
    }
    assert set(result[0].data) == {"evs", "stds", "ensemble_standard_error"}


def test_there_is_nothing_to_mitigate_on_a_simulator() -> None:
    """At the default level, an ideal simulator measures each group once, and says so."""
    result = asking.run(estimator, [(asking.scrambled(2, 50), "ZZ")], IDEAL)

    assert result.metadata["resilience"]["measure_mitigation"] is False
    assert result[0].metadata["num_randomizations"] == 1


def test_on_devices_the_first_level_is_the_default() -> None:
    """Without a level, readout is mitigated, which twirled measurements belong to."""
    result = asking.run(estimator, [(asking.scrambled(2, 50), "ZZ", None, 0.1)], MANILA)

    assert result.metadata["resilience"]["measure_mitigation"] is True
    assert result.metadata["twirling"]["enable_measure"] is True


def test_registers_of_the_circuit_do_not_disturb() -> None:
    """A circuit that measures on its way is estimated at its end."""
    circuit = QuantumCircuit(2)
    circuit.add_register(ClassicalRegister(1, "observed"))
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)

    data = asking.estimated([(circuit, ["IZ", "ZI"])], IDEAL)[0].data

    assert data.evs.tolist() == [-1.0, -1.0]


def test_too_many_circuits_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of sets of values, groups and randomizations is limited."""
    monkeypatch.setattr(work, "MAX_CIRCUITS", 100)

    with pytest.raises(errors.ProgramRefused, match="more than 100 circuits") as caught:
        asking.estimated([(asking.scrambled(2, 51), ["ZZ", "XX", "YY", "XY"])], MANILA, level=1)

    assert caught.value.code == 8042


def test_gates_that_the_device_has_not_are_refused() -> None:
    """A circuit in other gates is refused before anything is run."""
    circuit = QuantumCircuit(2)
    circuit.h(0)

    with pytest.raises(errors.ProgramRefused) as caught:
        asking.estimated([(circuit, "ZZ")], MANILA)

    assert caught.value.code == 8001


def test_the_job_is_found_by_its_program() -> None:
    """The table of programs opens an estimator job, whose plan says what it will take."""
    body = asking.params(estimator, [(asking.scrambled(2, 52), ["ZZ", "XX"], None, 0.1)], {}, resilience_level=0)

    work = programs.open_("estimator", body, MANILA, asking.LIMITS)
    done = work.run()

    assert work.plan.experiments == 2
    assert done.shots == 200
    assert done.metadata == {"methods": ["density_matrix"]}
    assert all(start <= stop for start, stop in done.spans)


def test_observables_of_another_width_are_refused() -> None:
    """An observable must be as wide as the circuit."""
    body = json.dumps({"pubs": [(QuantumCircuit(2), {"ZZZ": 1.0}, None, None)], "version": 2}, cls=RuntimeEncoder)

    with pytest.raises(errors.ProgramRefused, match=r"3 .*2 qubits"):
        programs.open_("estimator", body.encode(), IDEAL, asking.LIMITS)


def test_values_without_errors_are_priced() -> None:
    """They are computed when the result is told, and count like any other work."""
    theta = Parameter("theta")
    circuit = QuantumCircuit(3)
    circuit.ry(theta, 0)
    circuit.cx(0, 1)
    few, many = (asking.opened(estimator, [(circuit, "IIZ", np.linspace(0, 1, sets), 0)], IDEAL) for sets in (10, 1000))
    assert 50 < many.plan.seconds / few.plan.seconds < 150
    assert many.plan.seconds > 0.1
    body = asking.params(estimator, [(circuit, "IIZ", np.linspace(0, 1, 20_000), 0)])
    with pytest.raises(errors.ProgramRefused) as caught:
        estimator.open_(body, IDEAL, msgspec.structs.replace(asking.LIMITS, cpu_seconds=1.0))
    assert caught.value.code == 8009
