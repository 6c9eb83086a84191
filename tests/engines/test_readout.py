# SPDX-License-Identifier: Apache-2.0
"""Points at level 1 are told apart with the published errors, and what is misread is misread as often as asked."""

import tracemalloc

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from physics import Bench, Json, counts, gate, measure, p_value, program, sample, steps, target, ways
from scipy.stats import norm

from chandelier import errors
from chandelier.engines import readout
from chandelier.engines import target as targets
from chandelier.formats import tasks

MANILA = target("ibmq_manila")
DEVICES = ["ibmq_armonk", "ibmq_manila", "ibm_lagos", "ibm_hanoi", "ibm_sherbrooke", "ibm_kingston"]
SHOTS = 200_000


def qubit(up: float, down: float) -> targets.QubitData:
    """A qubit of which only the readout matters."""
    return targets.QubitData(1.0, 1.0, None, up, down, 0.0)


def expected(where: readout.Clouds) -> tuple[float, float]:
    """Errors of a line half way between the mean points, worked out from the clouds: of 0 read as 1, of 1 as 0."""
    zero, one = where.means()
    line, axis = (zero + one) / 2, where.axis
    above = [float(norm.sf(-((centre - line) * axis.conjugate()).real / where.width)) for centre in where.centres]
    read = [(1 - lost) * above[state] + lost * above[1 - state] for state, lost in zip((0, 1), where.lost, strict=True)]
    return read[0], 1 - read[1]


@pytest.mark.parametrize("name", DEVICES)
def test_every_qubit_has_its_published_errors(name: str) -> None:
    """The line half way between the mean points gives both, of each qubit of each device."""
    device = target(name)
    for index, data in enumerate(device.qubits):
        if abs(data.flip_up + data.flip_down - 1) < 0.02:
            continue  # its measurement says nothing of its state, so that no line tells anything apart
        wrong = expected(readout.clouds(name, index, data))
        assert wrong == pytest.approx((data.flip_up, data.flip_down), abs=2e-6), index


@pytest.mark.parametrize(
    ("up", "down"),
    [(0.0, 0.0), (0.02, 0.02), (0.01, 0.3), (0.3, 0.01), (0.0, 0.4), (0.02, 0.7), (0.7, 0.6), (0.9, 0.3)],
)
def test_any_pair_of_errors(up: float, down: float) -> None:
    """None, equal ones, one much larger than the other, and qubits that are read the wrong way round."""
    assert expected(readout.clouds("any", 0, qubit(up, down))) == pytest.approx((up, down), abs=2e-6)


def test_a_measurement_that_says_nothing() -> None:
    """Errors that add up to 1 put no distance between the means, and are no error of the program's."""
    for up in (0.5, 0.02, 0.98):
        where = readout.clouds("any", 0, qubit(up, 1 - up))
        assert np.isfinite(where.centres).all()


def test_clouds_stay_where_they_are() -> None:
    """They depend on the device's name and the qubit, and on nothing else; another qubit has others."""
    first = readout.clouds("ibmq_manila", 0, MANILA.qubits[0])

    assert first == readout.clouds("ibmq_manila", 0, MANILA.qubits[0])
    assert first.centres[0] != readout.clouds("ibmq_manila", 1, MANILA.qubits[0]).centres[0]
    assert first.centres[0] != readout.clouds("ibmq_lima", 0, MANILA.qubits[0]).centres[0]


@pytest.mark.parametrize("state", [False, True])
def test_drawn_points_are_read_with_the_error(state: bool) -> None:
    """Many points of one preparation fall on the wrong side as often as published, within five deviations."""
    where = readout.clouds("ibmq_manila", 0, qubit(0.02, 0.09))
    found = readout.points(np.random.default_rng(3), np.full(SHOTS, state), where)
    wrong = np.count_nonzero(readout.discriminated(found, where) != state) / SHOTS

    wanted = 0.09 if state else 0.02
    assert wrong == pytest.approx(wanted, abs=5 * np.sqrt(wanted / SHOTS))
    assert found.mean() == pytest.approx(where.means()[state], abs=5 * where.width * 2 / np.sqrt(SHOTS))


def points(entry: Json) -> NDArray[np.complex128]:
    """The points of a result."""
    pairs = np.array(entry["data"]["memory"])
    found: NDArray[np.complex128] = pairs[..., 0] + 1j * pairs[..., 1]
    return found


FLIP = [gate("x", [1]), gate("measure", [0, 1], memory=[2, 0])]


def test_single_points_of_a_device(bench: Bench) -> None:
    """One point for each shot and slot; told apart they are what level 2 gives, whatever qubit a slot shows."""
    wanted = program(FLIP, shots=20_000, meas_level=1, meas_return="single", memory_slots=3)
    entry = bench.run(wanted, "ibmq_manila")["results"][0]
    found = points(entry)

    assert (entry["meas_level"], entry["meas_return"]) == (1, "single")
    assert "counts" not in entry["data"]
    assert found.shape == (20_000, 3)
    assert not found[:, 1].any()
    bits = [
        readout.discriminated(found[:, slot], readout.clouds("ibmq_manila", index, MANILA.qubits[index]))
        for slot, index in ((2, 0), (0, 1))
    ]
    tally = np.bincount(bits[0] * 4 + bits[1], minlength=8)
    level2 = counts(bench.run(program(FLIP, shots=20_000, memory_slots=3, seed_simulator=8), "ibmq_manila"))
    for outcome in (0, 1, 4, 5):
        mean = (tally[outcome] + level2.get(outcome, 0)) / 2
        assert abs(tally[outcome] - level2.get(outcome, 0)) < 5 * np.sqrt(2 * mean) + 5


def test_average_points_of_a_device(bench: Bench) -> None:
    """An average has one point for each slot, the mean of the single ones; it is what is given if nothing is said."""
    single = bench.run(program(FLIP, meas_level=1, meas_return="single"), "ibmq_manila")["results"][0]
    for config in ({"meas_return": "avg"}, {}):
        entry = bench.run(program(FLIP, meas_level=1, **config), "ibmq_manila")["results"][0]

        assert entry["meas_return"] == "avg"
        assert points(entry).shape == (3,)
        assert points(entry) == pytest.approx(points(single).mean(axis=0), abs=1.0)


def test_a_seed_repeats_the_points(bench: Bench) -> None:
    """With a seed, whether asked for or recorded, and not without."""
    drawn = bench.run(program(FLIP, shots=20, meas_level=1, seed_simulator=None), "ibmq_manila")["results"][0]
    other = bench.run(program(FLIP, shots=20, meas_level=1, seed_simulator=None), "ibmq_manila")["results"][0]
    again = bench.run(program(FLIP, shots=20, meas_level=1, seed_simulator=drawn["seed_simulator"]), "ibmq_manila")[
        "results"
    ][0]

    assert again["data"] == drawn["data"]
    assert other["data"] != drawn["data"]


def test_levels_side_by_side(bench: Bench) -> None:
    """Experiments of one program may ask for different levels."""
    wanted = program(FLIP, FLIP, shots=50)
    wanted["experiments"][1]["config"] = {"meas_level": 1, "meas_return": "single"}
    bits, signal = bench.run(wanted, "ibmq_manila")["results"]

    assert sum(bits["data"]["counts"].values()) == 50
    assert (bits["meas_level"], signal["meas_level"]) == (2, 1)
    assert points(signal).shape == (50, 3)


def test_a_program_of_a_client_at_level_1(bench: Bench) -> None:
    """What a client of 2021 sends is answered in the shape that it reads."""
    entry = bench.run(sample("kerneled"), "ibmq_manila")["results"][0]

    assert entry["meas_return"] == "single"
    assert points(entry).shape == (200, 3)


def test_points_that_would_not_fit_are_refused(bench: Bench) -> None:
    """A result too large is foreseen, not found out."""
    limits = tasks.Limits(memory_bytes=2 << 30, cpu_seconds=60.0, result_bytes=5 << 20)
    reply = bench.reply(
        program(FLIP, shots=2000, meas_level=1, meas_return="single", memory_slots=500), "ibmq_manila", limits
    )

    assert reply.code == 8025  # type: ignore[union-attr]


ROWS = [[0.9, 0.1], [0.25, 0.75]]


def roerror(rows: object, **more: object) -> Json:
    """A readout error."""
    return {"name": "roerror", "params": rows, **more}


@pytest.mark.parametrize("params", [ROWS, [ROWS]])
def test_a_readout_error_in_a_program(bench: Bench, params: object) -> None:
    """A bit is misread with the probabilities of its row, others are not."""
    wanted = program([gate("x", [1]), measure(0, 1, 2), roerror(params, memory=[1])], shots=20_000)

    assert (
        p_value(
            counts(bench.run(wanted, "ibmq_qasm_simulator")),
            np.array([0, 0, 0.75, 0, 0, 0, 0, 0]) + np.array([0.25, 0, 0, 0, 0, 0, 0, 0]),
        )
        > 1e-6
    )


def test_two_bits_misread_together_then_one(bench: Bench) -> None:
    """The first slot is the lower bit of a row; errors follow each other."""
    swap = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    wanted = program(
        [gate("x", [0]), measure(0, 1, 2), roerror(swap, memory=[0, 2]), roerror([[0, 1], [1, 0]], memory=[1])],
        shots=10,
        memory=True,
    )
    data = bench.run(wanted, "ibmq_qasm_simulator")["results"][0]["data"]

    assert data == {"counts": {"0x6": 10}, "memory": ["0x6"] * 10}


def test_misread_shots_agree_with_their_counts(bench: Bench) -> None:
    """With memory each shot is misread, and the counts are those of the shots."""
    wanted = program([gate("h", [0]), measure(0), roerror(ROWS, memory=[0])], shots=5000, memory=True)
    data = bench.run(wanted, "ibmq_qasm_simulator")["results"][0]["data"]

    assert {key: data["memory"].count(key) for key in data["counts"]} == data["counts"]
    assert p_value({int(key, 16): count for key, count in data["counts"].items()}, np.array([0.575, 0.425])) > 1e-6


def test_nothing_is_misread_without_a_roerror() -> None:
    """Counts and shots stay as they are, and no randomness is used."""
    rng = np.random.default_rng(1)
    state = rng.bit_generator.state

    assert readout.misread(rng, {3: 5}, steps(measure(0))) == {3: 5}
    assert readout.misread_shots(rng, [3, 1], steps(measure(0))) == [3, 1]
    assert rng.bit_generator.state == state


@pytest.mark.parametrize(
    ("rows", "slots", "code"),
    [
        (ROWS, [], 8010),
        (ROWS, [0, 1, 2, 3, 4], 8010),
        (ROWS, [0, 1], 8004),
        ([[0.9, 0.2], [0, 1]], [0], 8004),
        ([[1.1, -0.1], [0, 1]], [0], 8004),
        ([["a", 0], [0, 1]], [0], 8004),
        (None, [0], 8004),
        ([[]], [0], 8004),
        ("01", [0], 8004),
    ],
)
def test_wrong_probabilities(rows: object, slots: list[int], code: int) -> None:
    """Rows that are no probabilities, or too many slots, are refused."""
    (step,) = steps(roerror(rows, memory=slots))
    with pytest.raises(errors.ProgramRefused) as refusal:
        readout.confusion(step)

    assert refusal.value.code == code


def test_the_points_are_json() -> None:
    """Nested lists of numbers, rounded to a tenth of a unit."""
    found = readout.kerneled(np.random.default_rng(1), [0, 1], steps(measure(0)), MANILA, slots=1, average=False)

    assert msgspec.json.decode(msgspec.json.encode(found)) == found
    assert len(found) == 2
    assert len(found[0][0]) == 2


def test_averages_take_no_memory_for_each_shot_and_slot() -> None:
    """Of thousands of slots only those that are measured cost anything."""
    words = [0, 1] * 1000
    tracemalloc.start()
    found = readout.kerneled(np.random.default_rng(1), words, steps(measure(0)), MANILA, slots=10_000, average=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert np.shape(found) == (10_000, 2)
    assert np.count_nonzero(found) == 2
    assert peak < 4 << 20


def test_averages_are_those_of_the_single_points() -> None:
    """A seed gives the same shots, whether they are averaged or not."""
    words = [0, 1, 3, 2] * 10
    each, mean = (
        readout.kerneled(
            np.random.default_rng(1), words, steps(measure(0), measure(1)), MANILA, slots=3, average=average
        )
        for average in (False, True)
    )

    assert np.mean(each, axis=0) == pytest.approx(np.array(mean), abs=0.1)


def test_points_that_would_fill_the_memory_are_refused(bench: Bench) -> None:
    """Points take more memory than what they leave in the result, and that is foreseen too; averages take none."""
    wanted = {"shots": 20_000, "meas_level": 1, "memory_slots": 1200}
    reply = bench.reply(program(FLIP, meas_return="single", **wanted), "ibmq_manila")
    (way,) = ways(program(FLIP, meas_return="avg", **wanted), MANILA)

    assert reply.code == 8008  # type: ignore[union-attr]
    assert "averages" in reply.message  # type: ignore[union-attr]
    assert way.plan.memory_bytes < 100 << 20


def test_seeded_results_of_earlier_releases_stay() -> None:
    """Where the clouds lie, and the points of a seed, are as they were before the clouds of a third state came."""
    where = readout.clouds("ibmq_manila", 0, MANILA.qubits[0])
    found = readout.kerneled(
        np.random.default_rng(11), [0, 1, 3], steps(measure(0), measure(1)), MANILA, slots=2, average=False
    )

    assert where.centres[0] == pytest.approx(5148222.913129024 - 10289961.432014663j, rel=1e-12)
    assert where.centres[1] == pytest.approx(714507.1682555103 - 12472750.960874105j, rel=1e-12)
    assert found == [
        [[4589065.7, -10616454.6], [-1824117.2, 7591020.2]],
        [[136638.1, -11848486.5], [-3598525.6, 8595356.4]],
        [[653075.9, -11654368.3], [-1451091.7, 15194928.6]],
    ]
