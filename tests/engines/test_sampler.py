# SPDX-License-Identifier: Apache-2.0
"""The sampler's outcomes have the right distribution, in the shapes and with the facts that the real client expects."""

import datetime
from typing import Any

import asking
import numpy as np
import physics
import pytest
from qiskit.circuit import ClassicalRegister, Clbit, Parameter, QuantumCircuit, QuantumRegister, Qubit
from qiskit.primitives.containers import BitArray, SamplerPubResult
from scipy.stats import chi2

from chandelier import errors
from chandelier.engines import shots
from chandelier.engines import target as targets
from chandelier.engines.primitives import programs, sampler

IDEAL = physics.target("ibmq_qasm_simulator")
MANILA = physics.target("ibmq_manila")
SEED = {"simulator": {"seed_simulator": 7}}


def bell() -> QuantumCircuit:
    """Two qubits that agree."""
    circuit = QuantumCircuit(2)
    circuit.rz(np.pi / 2, 0)
    circuit.sx(0)
    circuit.rz(np.pi / 2, 0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def likely(counts: dict[int, int], circuit: QuantumCircuit, target: targets.Target) -> float:
    """The chance of counts that are at least as far from the exact distribution, where 5 or more are expected."""
    exact = shots.exact(circuit, target, asking.LIMITS)
    assert exact is not None
    total = sum(counts.values())
    common = {word: chance for word, chance in exact.items() if chance * total >= 5}
    rest = max(1 - sum(common.values()), 0.0)
    seen = [counts.get(word, 0) for word in common]
    found = sum((n - p * total) ** 2 / (p * total) for n, p in zip(seen, common.values(), strict=True))
    if rest * total >= 1:
        found += (total - sum(seen) - rest * total) ** 2 / (rest * total)
    return float(chi2.sf(found, max(len(common) - (rest * total < 1), 1)))


@pytest.mark.parametrize("target", [IDEAL, MANILA], ids=["ideal", "manila"])
def test_outcomes_have_the_exact_distribution(target: targets.Target) -> None:
    """Of a random circuit, counts agree with the exact distribution, with the device's errors."""
    circuit = asking.scrambled(4, 1, depth=3)
    circuit.measure_all()

    pub = asking.sampled([(circuit, None, 20_000)], target, SEED)[0]

    assert likely(pub.data.meas.get_int_counts(), circuit, target) > 1e-4


@pytest.mark.parametrize("enabled", [("enable_gates",), ("enable_measure",), ("enable_gates", "enable_measure")])
def test_twirling_keeps_the_distribution_without_noise(enabled: tuple[str, ...]) -> None:
    """Merged and flipped back, the outcomes of all randomizations are those of the circuit."""
    circuit = asking.scrambled(3, 2)
    circuit.measure_all()
    options = {**SEED, "twirling": dict.fromkeys(enabled, True)}

    pub = asking.sampled([(circuit, None, 10_000)], IDEAL, options)[0]

    assert likely(pub.data.meas.get_int_counts(), circuit, IDEAL) > 1e-4


def test_registers_come_in_their_order() -> None:
    """Each register is a field of its own width, and joined they are in the order of the circuit."""
    low, high = ClassicalRegister(2, "zeta"), ClassicalRegister(3, "alpha")
    circuit = QuantumCircuit(QuantumRegister(5), low, high)
    circuit.x([0, 4])
    circuit.measure([0, 1, 2, 3, 4], [*low, *high])

    pub = asking.sampled([(circuit, None, 10)], IDEAL)[0]

    assert isinstance(pub, SamplerPubResult)
    assert list(pub.data) == ["zeta", "alpha"]
    assert pub.data.zeta.get_counts() == {"01": 10}
    assert pub.data.alpha.get_counts() == {"100": 10}
    assert pub.join_data().get_counts() == {"10001": 10}


def test_a_pub_has_the_shape_of_its_values() -> None:
    """Values of shape (2, 3) give outcomes of shape (2, 3), each of its own set."""
    theta = Parameter("t")
    circuit = QuantumCircuit(1)
    circuit.rx(theta, 0)
    circuit.measure_all()
    angles = np.array([[0.0, 1.0, np.pi], [np.pi, 2.0, 0.0]])

    pub = asking.sampled([(circuit, angles[..., None], 2000)], IDEAL, SEED)[0]

    ones = [[pub.data.meas.get_int_counts((i, j)).get(1, 0) / 2000 for j in range(3)] for i in range(2)]
    assert pub.data.meas.shape == (2, 3)
    assert pub.data.meas.num_shots == 2000
    np.testing.assert_allclose(ones, np.sin(angles / 2) ** 2, atol=0.06)


@pytest.mark.parametrize(
    ("given", "options", "taken"),
    [(None, {}, 4096), (None, {"default_shots": 33}, 33), (12, {"default_shots": 33}, 12)],
)
def test_shots_of_the_pub_come_first(given: int | None, options: dict[str, Any], taken: int) -> None:
    """Then the default of the options, then 4096."""
    pub = asking.sampled([(bell(), None, given)], MANILA, options)[0]

    assert pub.data.meas.num_shots == taken


def test_a_seed_gives_the_same_outcomes_and_everything_its_own() -> None:
    """Two jobs with one seed agree shot by shot; pubs and sets of values do not."""
    theta = Parameter("t")
    circuit = QuantumCircuit(1)
    circuit.rx(theta, 0)
    circuit.measure_all()
    pubs = [(circuit, [[1.5], [1.5]], 64)] * 2

    def outcomes(seed: int) -> list[bytes]:
        result = asking.sampled(pubs, IDEAL, {"simulator": {"seed_simulator": seed}})
        return [pub.data.meas.array[place].tobytes() for pub in result for place in range(2)]

    first = outcomes(1)
    assert outcomes(1) == first
    assert len({*first}) == 4
    assert set(outcomes(2)).isdisjoint(first)


def test_without_a_seed_no_two_jobs_agree() -> None:
    """Nobody asked for the same outcomes again."""
    found = {asking.sampled([(bell(), None, 100)], IDEAL)[0].data.meas.array.tobytes() for _ in range(2)}

    assert len(found) == 2


@pytest.mark.parametrize(("kind", "shape"), [("kerneled", (2, 50, 1)), ("avg_kerneled", (2, 1))])
def test_points_of_the_signal(kind: str, shape: tuple[int, ...]) -> None:
    """Instead of bits a device gives complex numbers, which tell 0 from 1."""
    theta = Parameter("t")
    circuit = QuantumCircuit(1)
    circuit.rz(theta, 0)
    circuit.x(0)
    circuit.measure_all()
    rest = QuantumCircuit(1)
    rest.measure_all()

    result = asking.sampled(
        [(circuit, [[0.0], [1.0]], 50), (rest, None, 50)], MANILA, {**SEED, "execution": {"meas_type": kind}}
    )

    assert result[0].data.meas.shape == shape
    assert result[0].data.meas.dtype == np.complex128
    assert abs(result[0].data.meas.mean() - result[1].data.meas.mean()) > 1e-3


def test_points_cannot_be_twirled() -> None:
    """What is not a bit cannot be flipped back."""
    options = {"execution": {"meas_type": "kerneled"}, "twirling": {"enable_measure": True}}

    with pytest.raises(errors.ProgramRefused, match="exclude each other") as caught:
        asking.sampled([bell()], MANILA, options)

    assert caught.value.code == 8040


@pytest.mark.parametrize(
    ("options", "rounds", "each"),
    [
        ({}, 16, 64),
        ({"num_randomizations": 7}, 7, 143),
        ({"shots_per_randomization": 300}, 4, 300),
    ],
)
def test_shots_are_shared_out_among_randomizations(options: dict[str, Any], rounds: int, each: int) -> None:
    """A pub gets the shots that it asks for, and the result says how they came about."""
    theta = Parameter("t")
    circuit = QuantumCircuit(2)
    circuit.rz(theta, 0)
    circuit.cx(0, 1)
    circuit.measure_all()
    pubs = [(circuit, np.zeros((3, 1)), 1000)]

    work = asking.opened(sampler, pubs, MANILA, {**SEED, "twirling": {"enable_measure": True, **options}})
    result = asking.sampled(pubs, MANILA, {**SEED, "twirling": {"enable_measure": True, **options}})

    assert work.run().shots == 3 * rounds * each
    assert result[0].data.meas.shape == (3,)
    assert result[0].data.meas.num_shots == 1000
    assert result[0].metadata["num_randomizations"] == rounds
    assert result.metadata["twirling"]["enable_measure"] is True
    (span,) = result.metadata["execution"]["execution_spans"]
    assert span.mask(0).shape == (3, 1000)
    assert span.mask(0).all()


def test_spans_say_when_every_shot_was_taken() -> None:
    """One span, of the time of the run, covers all shots of all pubs."""
    before = datetime.datetime.now(datetime.UTC)
    result = asking.sampled([(bell(), None, 10), (bell(), None, 20)], MANILA, SEED)
    after = datetime.datetime.now(datetime.UTC)

    (span,) = result.metadata["execution"]["execution_spans"]
    assert before <= span.start <= span.stop <= after
    assert span.pub_idxs == [0, 1]
    assert span.size == 30
    assert result.metadata["version"] == 2


def test_the_metadata_of_a_circuit_come_back() -> None:
    """What the user wrote at the circuit is in the result."""
    circuit = bell()
    circuit.metadata = {"made by": "a test"}

    pub = asking.sampled([circuit], IDEAL)[0]

    assert pub.metadata == {"circuit_metadata": {"made by": "a test"}}


def test_nothing_measured_is_nothing_to_sample() -> None:
    """A circuit without measurements is refused with a sentence, even if it has a register."""
    circuit = QuantumCircuit(2, 2)
    circuit.cx(0, 1)

    with pytest.raises(errors.ProgramRefused, match=r"pubs\[1\]: the circuit measures nothing") as caught:
        asking.sampled([bell(), circuit], MANILA)

    assert caught.value.code == 8044


def test_bits_of_no_register_have_no_place() -> None:
    """A result has a field for each register; what is measured elsewhere would be lost."""
    circuit = QuantumCircuit([Qubit()], [Clbit()])
    circuit.measure(0, 0)

    with pytest.raises(errors.ProgramRefused, match="bits of no register") as caught:
        asking.sampled([circuit], IDEAL)

    assert caught.value.code == 8044


def test_a_measurement_in_a_branch_is_one() -> None:
    """A circuit that measures only inside a branch is sampled."""
    circuit = QuantumCircuit(1, 2)
    with circuit.if_test((circuit.clbits[0], 0)):
        circuit.x(0)
        circuit.measure(0, 1)

    assert asking.sampled([(circuit, None, 5)], IDEAL)[0].data.c.get_counts() == {"10": 5}


def test_wide_registers_keep_their_bits() -> None:
    """More than 64 bits are no less."""
    circuit = QuantumCircuit(70, 70)
    circuit.x([0, 65])
    circuit.measure(range(70), range(70))

    array = asking.sampled([(circuit, None, 3)], physics.target("simulator_stabilizer"))[0].data.c

    assert isinstance(array, BitArray)
    assert array.get_int_counts() == {1 << 65 | 1: 3}


def test_no_sets_of_values_are_an_empty_result() -> None:
    """A pub of no sets of values has outcomes of shape (0,)."""
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("t"), 0)
    circuit.measure_all()

    pub = asking.sampled([(circuit, np.zeros((0, 1)), 10)], IDEAL)[0]

    assert pub.data.meas.shape == (0,)


def test_waits_between_shots_are_asked_of_the_device() -> None:
    """A longer wait takes longer on the machine, and one out of its range is refused."""
    short, long = (
        asking.opened(sampler, [(bell(), None, 1000)], MANILA, {"execution": {"rep_delay": delay}}).plan.device_seconds
        for delay in (1e-4, 5e-4)
    )

    assert long - short == pytest.approx(0.4, rel=0.01)
    for target, delay, why in ((MANILA, 1.0, "waits 0 to 0.0005 s"), (IDEAL, 1e-4, "cannot be chosen")):
        with pytest.raises(errors.ProgramRefused, match=why) as caught:
            asking.opened(sampler, [bell()], target, {"execution": {"rep_delay": delay}})

        assert caught.value.code == 8040


def test_results_too_large_are_not_kept() -> None:
    """A document beyond its limit is refused rather than written."""
    limits = type(asking.LIMITS)(memory_bytes=2 << 30, cpu_seconds=60.0, result_bytes=500)

    with pytest.raises(errors.ProgramRefused) as caught:
        sampler.open_(asking.params(sampler, [bell()]), IDEAL, limits).run()

    assert caught.value.code == 8025


def test_unknown_programs_are_refused_by_name() -> None:
    """The message lists those that there are."""
    with pytest.raises(errors.ProgramRefused, match=r"no program 'hello-world' here; .*sampler") as caught:
        programs.open_("hello-world", b"{}", IDEAL, asking.LIMITS)

    assert caught.value.code == 8035


@pytest.mark.parametrize("kind", ["enable_gates", "enable_measure"])
def test_randomizations_are_counted_before_they_are_made(kind: str) -> None:
    """However many are asked for, the refusal comes at once."""
    options = {"twirling": {kind: True, "num_randomizations": 10**9, "shots_per_randomization": 1}}
    circuit = QuantumCircuit(1)
    circuit.measure_all()
    with pytest.raises(errors.ProgramRefused) as caught:
        asking.opened(sampler, [(circuit, None, 10)], IDEAL, options)
    assert (caught.value.code, "num_randomizations" in caught.value.message) == (8042, True)
