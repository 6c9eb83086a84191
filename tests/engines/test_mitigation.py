# SPDX-License-Identifier: Apache-2.0
"""Mitigation takes back what it is meant to take back, and its error bars say how well."""

import dataclasses
import math

import asking
import numpy as np
import physics
import pytest
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector
from qiskit_ibm_runtime.decoders.result_decoder import ResultDecoder

from chandelier.engines import target as targets
from chandelier.engines.primitives import estimator, extrapolation, folding, mitigation, observables

MANILA = physics.target("ibmq_manila")
#: Reads one in ten zeros and one in five ones wrongly.
MISREAD = asking.misread(MANILA, up=0.1, down=0.2)
FACTORS = np.array([1.0, 3.0, 5.0])
POINTS = np.array([0.0, 1.0, 2.0])


def worse(target: targets.Target, cx: float) -> targets.Target:
    """A device like another, with the same error of every cx."""
    gates = {
        site: dataclasses.replace(one, error=cx if site[0] == "cx" else one.error) for site, one in target.gates.items()
    }
    return dataclasses.replace(target, gates=gates)


def test_plain_error_bars_are_honest() -> None:
    """Over 400 estimates of correlated terms in several groups, the errors are of the size that is told."""
    circuit = asking.scrambled(3, 5)
    operator = SparsePauliOp(["ZZI", "IZZ", "XXI", "ZIZ", "IYX", "ZII"], [0.7, -0.4, 0.5, 0.3, 0.6, 0.2])
    truth = asking.noisy(circuit, operator, MISREAD)

    result = asking.estimated([(circuit, operator, None, 0.05)] * 400, MISREAD, {"seed_estimator": 1})

    mean, spread = asking.scores(
        np.array([one.data.evs for one in result]), np.array([one.data.stds for one in result]), truth
    )
    # Both tolerances are about four standard errors of 400 scores.
    assert abs(mean) < 0.2
    assert abs(spread - 1) < 0.15


def test_error_bars_of_mitigated_readout_are_honest() -> None:
    """Over 200 jobs, each with a calibration of its own, the errors are of the size that is told."""
    circuit = QuantumCircuit(2)  # of large values, which the calibration's errors matter for
    circuit.x(0)
    circuit.cx(0, 1)
    operator = SparsePauliOp(["ZZ", "IZ", "ZI"], [0.7, -0.4, 0.5])
    truth = asking.noisy(circuit, operator, asking.misread(MISREAD, 0.0, 0.0))

    results = [
        asking.estimated([(circuit, operator, None, 0.03)], MISREAD, {"seed_estimator": seed}, level=1)[0].data
        for seed in range(200)
    ]

    mean, spread = asking.scores(np.array([one.evs for one in results]), np.array([one.stds for one in results]), truth)
    # Four standard errors of 200 scores; with 32 randomizations the scores are those of t, 3 % wider.
    assert abs(mean) < 0.29
    assert abs(spread - 1.03) < 0.21


def test_readout_errors_are_divided_out() -> None:
    """On a device with strong errors of readout, the estimate is off without mitigation and right with it."""
    circuit = asking.scrambled(3, 7)
    operators = [SparsePauliOp(label) for label in ("ZZZ", "XIY", "IZI")]
    options = {"seed_estimator": 2}

    plain = asking.estimated([(circuit, operators, None, 0.01)], MISREAD, options)[0].data
    found = asking.estimated([(circuit, operators, None, 0.01)], MISREAD, options, level=1)[0].data

    for place, operator in enumerate(operators):
        read = asking.noisy(circuit, operator, MISREAD)
        unread = asking.noisy(circuit, operator, asking.misread(MISREAD, 0.0, 0.0))
        assert abs(plain.evs[place] - read) < 5 * plain.stds[place]
        assert abs(found.evs[place] - unread) < 5 * found.stds[place]
        assert abs(plain.evs[place] - unread) > 5 * plain.stds[place]


def test_readout_is_learned_and_not_looked_up() -> None:
    """The factors that are divided out err as shots do: two seeds give two answers."""
    circuit = QuantumCircuit(1)

    found = [
        float(asking.estimated([(circuit, "Z", None, 0.1)], MISREAD, {"seed_estimator": seed}, level=1)[0].data.evs)
        for seed in (1, 2)
    ]

    assert found[0] != found[1]
    assert found == pytest.approx([1.0, 1.0], abs=0.5)


def test_what_readout_has_destroyed_is_not_made_up() -> None:
    """If nothing is left of a product of Zs, its value is not a number, and others stay."""
    group = observables.Group(((0, "Z"), (1, "Z")), (((0, "Z"),), ((1, "Z"),)))
    shown = observables.count([np.array([[False, True]] * 50 + [[False, False]] * 50)])
    learned = observables.count([np.array([[False, True]] * 60 + [[False, False]] * 40)])
    evidence = mitigation.Evidence([group], [[shown]], np.array([1.0]))

    found = mitigation.estimated(
        evidence, [{((0, "Z"),): 1.0, (): 2.0}, {((1, "Z"),): 1.0}], mitigation.Readout(learned, group)
    )

    assert found.evs[0] == pytest.approx(3.0)
    assert math.isnan(found.evs[1])
    assert math.isinf(found.stds[1])


@pytest.mark.parametrize("amplifier", ["gate_folding", "gate_folding_front", "gate_folding_back"])
@pytest.mark.parametrize("factor", [1.0, 1.4, 2.2, 3.0, 7.0])
def test_folding_adds_gates_that_do_nothing(amplifier: str, factor: float) -> None:
    """The circuit stays the same operator, and has the number of two-qubit gates that the factor says."""
    circuit = asking.scrambled(3, 8, depth=4)
    before = circuit.count_ops()["cx"]

    made = folding.folded(circuit, factor, amplifier, np.random.default_rng(1))

    assert Operator(made.circuit).equiv(Operator(circuit))
    assert made.circuit.count_ops()["cx"] == round(made.factor * before)
    assert abs(made.factor - factor) <= 1 / before + 1e-12


def test_amplifiers_differ_in_which_gates_they_fold() -> None:
    """The first gates are folded by one amplifier, the last by another."""
    circuit = QuantumCircuit(4)
    for first in range(3):
        circuit.cx(first, first + 1)
    source = np.random.default_rng(2)

    front, back = (folding.folded(circuit, 5 / 3, f"gate_folding_{end}", source).circuit for end in ("front", "back"))

    pairs = [[tuple(one.find_bit(q).index for q in step.qubits) for step in one.data] for one in (front, back)]
    assert pairs == [[(0, 1)] * 3 + [(1, 2), (2, 3)], [(0, 1), (1, 2)] + [(2, 3)] * 3]


def test_an_exponential_is_found_through_its_points() -> None:
    """Values on a decay give its value at no noise."""
    values = 0.9 * np.exp(-0.2 * FACTORS)

    found = extrapolation.fit("exponential", FACTORS, values, np.full(3, 0.01), POINTS)

    assert found.good
    np.testing.assert_allclose(found.values, 0.9 * np.exp(-0.2 * POINTS), atol=1e-8)


def test_two_exponentials_are_found_through_their_points() -> None:
    """Values on a sum of two decays give its value at no noise."""
    factors = np.array([1.0, 1.5, 2.0, 3.0, 5.0, 9.0])
    values = 0.5 * np.exp(-0.1 * factors) + 0.4 * np.exp(-0.9 * factors)

    found = extrapolation.fit("double_exponential", factors, values, np.full(6, 1e-4), POINTS)

    assert found.good
    assert found.values[0] == pytest.approx(0.9, abs=1e-5)


@pytest.mark.parametrize("degree", range(1, 8))
def test_a_polynomial_is_found_through_its_points(degree: int) -> None:
    """Values on a polynomial give its value at no noise."""
    factors, heights = np.arange(1.0, degree + 3), 0.5 / 4.0 ** np.arange(degree + 1)
    values = np.polynomial.polynomial.polyval(factors, heights)

    found = extrapolation.fit(f"polynomial_degree_{degree}", factors, values, np.full(len(factors), 1e-6), POINTS)

    assert found.good
    assert found.values[0] == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("name", ["linear", "exponential", "polynomial_degree_2"])
def test_slopes_say_how_a_fit_moves(name: str) -> None:
    """The derivatives that carry errors over are those of the fit."""
    factors = np.array([1.0, 2.0, 3.0, 5.0])
    values, stds = np.array([0.71, 0.58, 0.52, 0.33]), np.array([0.01, 0.02, 0.02, 0.03])

    found = extrapolation.fit(name, factors, values, stds, POINTS)

    for place in range(4):
        step = np.eye(4)[place] * 1e-5
        up = extrapolation.fit(name, factors, values + step, stds, POINTS).values
        down = extrapolation.fit(name, factors, values - step, stds, POINTS).values
        # Gauss and Newton leave out the curvature of the model, which the residuals weigh.
        np.testing.assert_allclose(found.slopes[:, place], (up - down) / 2e-5, atol=0.05)


@pytest.mark.parametrize(
    "values",
    [[0.02, -0.01, 0.01], [0.2, 0.5, 0.9], [0.0, 0.0, 0.0], [0.02, 0.001, 0.03]],
    ids=["signs differ", "grows", "nothing", "nothing but errors"],
)
def test_an_exponential_that_is_none_is_not_believed(values: list[float]) -> None:
    """The next extrapolator takes over, and after the last the least noise."""
    measured, stds = np.array(values), np.full(3, 0.02)
    names = ["exponential", "polynomial_degree_2"]
    fits = [extrapolation.fit(name, FACTORS, measured, stds, POINTS) for name in names]

    name, best = extrapolation.chosen(names, fits, FACTORS, measured, POINTS)

    assert not fits[0].good
    assert name == ("polynomial_degree_2" if fits[1].good else "fallback")
    assert best.good


def test_extrapolation_comes_closer_to_the_truth() -> None:
    """On a device with bad gates, the value at no noise is nearer to the ideal one than what was measured."""
    target = worse(asking.misread(MANILA, 0.0, 0.0), 0.03)
    circuit = QuantumCircuit(2)
    circuit.sx(0)
    for _ in range(6):
        circuit.cx(0, 1)
        circuit.rz(0.4, 1)
    circuit.cx(0, 1)
    operator = SparsePauliOp(["ZZ", "XX"], [1.0, 0.5])
    ideal = Statevector(circuit).expectation_value(operator).real
    options = {"seed_estimator": 3, "resilience": {"zne_mitigation": True, "zne": {"noise_factors": [1, 2, 3]}}}

    data = asking.estimated([(circuit, operator, None, 0.004)], target, options)[0].data

    raw = asking.noisy(circuit, operator, target)
    assert abs(data.evs_noise_factors[0] - raw) < 5 * data.stds_noise_factors[0]
    assert abs(raw - ideal) > 0.1
    assert abs(float(data.evs) - ideal) < abs(raw - ideal) / 3
    assert abs(float(data.evs) - ideal) < 5 * float(data.stds)


def test_without_two_qubit_gates_there_is_nothing_to_extrapolate() -> None:
    """Folding reaches no other factor than 1: the value is the one that was measured, and the result says so."""
    circuit = QuantumCircuit(1)
    circuit.sx(0)
    circuit.rz(0.5, 0)
    circuit.sx(0)

    pub = asking.estimated([(circuit, "Z")], MANILA, {"seed_estimator": 6, "resilience": {"zne_mitigation": True}})[0]

    assert pub.metadata["resilience"]["zne"]["reached_noise_factors"] == [1, 1, 1]
    assert pub.metadata["resilience"]["zne"]["extrapolator"] == "fallback"
    assert float(pub.data.evs) == pub.data.evs_noise_factors[0]
    assert float(pub.data.stds) == pub.data.stds_noise_factors[0]


def test_many_products_of_a_wide_register_fit_into_memory() -> None:
    """All pairs of 60 qubits are known from one measurement, with the errors of each and of their sum."""
    circuit = QuantumCircuit(60)
    circuit.h(range(60))
    pairs = [(one, other) for one in range(60) for other in range(one)]
    total = SparsePauliOp.from_sparse_list([("ZZ", pair, 1.0) for pair in pairs], num_qubits=60)
    first = SparsePauliOp.from_sparse_list([("ZZ", pairs[0], 1.0)], num_qubits=60)

    work = asking.opened(
        estimator, [(circuit, [total, first])], physics.target("simulator_stabilizer"), {"seed_estimator": 7}
    )
    data = ResultDecoder.decode(work.run().body.decode())[0].data

    assert work.plan.experiments == 1
    assert (np.abs(data.evs) < 5 * data.stds).all()
    assert data.stds == pytest.approx([(len(pairs) / 4096) ** 0.5, 1 / 64], rel=0.1)


def test_every_fit_and_every_factor_is_told() -> None:
    """The result has the shapes and the metadata that the client documents and draws."""
    circuit = asking.scrambled(2, 9)
    options = {
        "seed_estimator": 4,
        "resilience": {
            "zne_mitigation": True,
            "zne": {"extrapolator": ["exponential", "linear", "fallback"], "extrapolated_noise_factors": [0, 0.5]},
        },
    }
    values = [[["ZZ"], ["XX"]], np.zeros((1, 3, 0))]

    pub = asking.estimated([(circuit, *values, 0.1)], MANILA, options)[0]

    assert pub.data.evs.shape == (2, 3)
    assert pub.data.evs_noise_factors.shape == pub.data.stds_noise_factors.shape == (2, 3, 3)
    assert pub.data.ensemble_stds_noise_factors.shape == (2, 3, 3)
    assert pub.data.evs_extrapolated.shape == pub.data.stds_extrapolated.shape == (2, 3, 3, 2)
    zne = pub.metadata["resilience"]["zne"]
    assert zne["noise_factors"] == [1, 3, 5]
    assert zne["extrapolators"] == ["exponential", "linear", "fallback"]
    assert np.shape(zne["extrapolator"]) == (2, 3)
    for index in np.ndindex(2, 3):
        place = zne["extrapolators"].index(zne["extrapolator"][index[0]][index[1]])
        assert pub.data.evs[index] == pytest.approx(pub.data.evs_extrapolated[(*index, place, 0)])
        assert pub.data.stds[index] == pytest.approx(pub.data.stds_extrapolated[(*index, place, 0)])
        assert pub.data.evs_extrapolated[(*index, 2, 1)] == pytest.approx(pub.data.evs_noise_factors[(*index, 0)])
