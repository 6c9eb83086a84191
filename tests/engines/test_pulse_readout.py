# SPDX-License-Identifier: Apache-2.0
"""Acquisitions show three states of a qubit at every measurement level, and all of these tell of the same shots."""

import math
import tracemalloc

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from physics import Json, p_value, target
from qiskit.result import Result
from scipy.stats import norm

from chandelier.engines import readout
from chandelier.engines import target as targets
from chandelier.engines.pulses import acquisition
from chandelier.formats import qobj

MANILA = target("ibmq_manila")
IDEAL = target("ibmq_qasm_simulator")
SHOTS = 200_000
DEVICES = ["ibmq_armonk", "ibmq_manila", "ibm_lagos"]


def look(qubit: int, slot: int | None = 0, seconds: float | None = None) -> acquisition.Look:
    """One look at a qubit."""
    return acquisition.Look(qubit, slot, seconds)


def prepared(*levels: int, shots: int) -> NDArray[np.uint8]:
    """Levels of some looks, the same in every shot."""
    return np.tile(np.array(levels, dtype=np.uint8), (shots, 1))


def drawn(*levels: int, shots: int, seed: int = 5) -> NDArray[np.uint8]:
    """A level of each shot and look, as likely as the others."""
    return np.random.default_rng(seed).integers(0, 3, (shots, len(levels))).astype(np.uint8)


def asked(level: int, returned: str | None = "single", *, memory: bool = True) -> qobj.Config:
    """What a program asks for."""
    return qobj.Config(meas_level=level, meas_return=returned, memory=memory)


def seen(
    levels: NDArray[np.uint8], *looks: acquisition.Look, on: targets.Target = MANILA, seed: int = 3
) -> acquisition.Seen:
    """Draw shots."""
    return acquisition.seen(np.random.default_rng(seed), levels, looks, on)


def measured(
    levels: NDArray[np.uint8],
    *looks: acquisition.Look,
    config: qobj.Config,
    on: targets.Target = MANILA,
    slots: int = 3,
    samples: int = 20,
) -> Json:
    """Draw shots and write them, always with the same seed."""
    rng = np.random.default_rng(3)
    shown = acquisition.seen(rng, levels, looks, on)
    if readout.level(config) == 2:
        return acquisition.classified(shown.bits, [look.slot for look in looks], memory=bool(config.memory))
    return acquisition.signals(rng, shown, on, config, slots=slots, samples=samples)


def complexes(data: Json) -> NDArray[np.complex128]:
    """The numbers of a `memory`."""
    pairs = np.array(data["memory"])
    found: NDArray[np.complex128] = pairs[..., 0] + 1j * pairs[..., 1]
    return found


def where(qubit: int, on: targets.Target = MANILA) -> readout.Clouds:
    """The clouds of a qubit."""
    return readout.clouds(on.name, qubit, on.qubits[qubit] if on.qubits else None)


@pytest.mark.parametrize("state", [0, 1])
@pytest.mark.parametrize("name", DEVICES)
def test_bits_are_wrong_as_often_as_published(name: str, state: int) -> None:
    """For 0 and for 1 of each qubit, over the published length of a measurement."""
    device = target(name)
    for index, data in enumerate(device.qubits):
        shown = seen(
            prepared(state, shots=SHOTS), look(index, 0, data.readout_length or None), on=device, seed=10 + index
        )
        ones = int(np.count_nonzero(shown.bits))
        chance = 1 - data.flip_down if state else data.flip_up
        assert p_value({0: SHOTS - ones, 1: ones}, np.array([1 - chance, chance])) > 1e-3, index


def test_level_2_is_level_1_told_apart() -> None:
    """One seed gives the same shots at both: bit by bit, also in slots that are not in the order of their qubits."""
    levels = drawn(0, 3, 1, shots=5000)
    looks = [look(0, 2), look(3, 0), look(1, 1)]
    points = complexes(measured(levels, *looks, config=asked(1)))
    data = measured(levels, *looks, config=asked(2))

    words = [int(shot, 16) for shot in data["memory"]]
    for qubit, slot in ((0, 2), (3, 0), (1, 1)):
        bits = [bool(word >> slot & 1) for word in words]
        assert bits == readout.discriminated(points[:, slot], where(qubit)).tolist()
    assert {key: data["memory"].count(key) for key in data["counts"]} == data["counts"]


@pytest.mark.parametrize("returned", ["single", "avg"])
def test_the_mean_of_the_samples_is_the_point(returned: str) -> None:
    """A boxcar over level 0 gives level 1 of the same seed, to the last digit that is shown."""
    levels, looks = drawn(0, 4, shots=700), [look(0, 1), look(4, 0, 1e-6)]
    points = complexes(measured(levels, *looks, config=asked(1, returned)))
    samples = complexes(measured(levels, *looks, config=asked(0, returned), samples=37))

    assert np.array_equal(samples.mean(axis=-1).round(1), points)
    assert np.abs(samples.mean(axis=-1) - points).max() < 1e-6


def test_many_samples_are_made_in_parts() -> None:
    """The mean stays exact where not all samples are made at once."""
    levels = prepared(1, shots=40)
    samples = complexes(measured(levels, look(0), config=asked(0), slots=1, samples=20_000))
    points = complexes(measured(levels, look(0), config=asked(1), slots=1))

    assert np.array_equal(samples.mean(axis=-1).round(1), points)


def test_the_mean_of_very_many_samples() -> None:
    """Rounding errors of a long sum do not reach the mean."""
    levels, samples = prepared(1, shots=3), 500_000
    found = complexes(measured(levels, look(0), config=asked(0, "avg"), slots=1, samples=samples))
    mean = complexes(measured(levels, look(0), config=asked(1, "avg"), slots=1))

    tenths = np.rint(found[0].view(np.float64) * 10).astype(np.int64).reshape(-1, 2).sum(axis=0)
    assert (tenths == np.rint(mean.view(np.float64) * 10).astype(np.int64) * samples).all()


def test_averages_are_those_of_the_single_points() -> None:
    """A seed gives the same shots, whether they are averaged or not; clients that say nothing get averages."""
    levels, looks = drawn(0, 1, shots=900), [look(0, 0), look(1, 1)]
    single = complexes(measured(levels, *looks, config=asked(1)))
    for returned in ("avg", None):
        mean = complexes(measured(levels, *looks, config=asked(1, returned)))
        assert mean == pytest.approx(single.mean(axis=0), abs=0.1)


@pytest.mark.parametrize(
    ("level", "returned", "shape"),
    [(1, "single", (7, 3)), (1, "avg", (3,)), (0, "single", (7, 3, 20)), (0, "avg", (3, 20))],
)
def test_shapes_that_clients_read(level: int, returned: str, shape: tuple[int, ...]) -> None:
    """What a client makes of a result has an axis for shots, slots and samples each, and empty slots show 0."""
    data = measured(drawn(0, shots=7), look(0, 1), config=asked(level, returned))
    entry = {"shots": 7, "success": True, "meas_level": level, "meas_return": returned, "data": data}
    result = Result.from_dict(
        {
            "backend_name": "a",
            "backend_version": "1.0.0",
            "qobj_id": "b",
            "job_id": "c",
            "success": True,
            "results": [entry],
        }
    )
    found = result.get_memory(0)

    assert found.shape == shape
    assert np.iscomplexobj(found)
    shown = found if level == 1 else found[..., 0]
    assert shown[..., 1].all()
    assert not shown[..., [0, 2]].any()


def test_level_2_has_lists_of_shots_only_if_asked() -> None:
    """Whatever it says of averages; keys have no leading zeros."""
    data = measured(prepared(0, 1, shots=50), look(0, 0), look(1, 9), config=asked(2, "avg", memory=False), on=IDEAL)

    assert data == {"counts": {"0x200": 50}}


def test_level_2_lists_each_shot() -> None:
    """In the order of the shots."""
    levels = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.uint8)
    data = measured(levels, look(0, 1), look(1, 4), config=asked(2), on=IDEAL)

    assert data["memory"] == ["0x0", "0x2", "0x10", "0x12"]


def test_the_last_look_into_a_slot_counts() -> None:
    """At each level; a look without a slot leaves nothing in the memory."""
    levels = prepared(0, 1, 1, shots=5)
    looks = [look(0, 0), look(0, 0), look(1, None)]
    points = complexes(measured(levels, *looks, config=asked(1), on=IDEAL))

    assert measured(levels, *looks, config=asked(2), on=IDEAL)["counts"] == {"0x1": 5}
    assert readout.discriminated(points[:, 0], where(0, IDEAL)).all()
    assert not points[:, 1:].any()


def test_nothing_measured() -> None:
    """All shots show 0."""
    levels = np.zeros((4, 0), dtype=np.uint8)

    assert measured(levels, config=asked(2)) == {"counts": {"0x0": 4}, "memory": ["0x0"] * 4}
    assert not complexes(measured(levels, config=asked(1))).any()


def test_functions_of_the_register_are_columns_too() -> None:
    """Bits that were computed go into their slots, over what was measured into them before."""
    shown = seen(np.array([[1, 0], [1, 1]], dtype=np.uint8), look(0, 0), look(1, None), on=IDEAL)
    bits = np.hstack([shown.bits, ~shown.bits[:, 1:]])

    assert acquisition.classified(bits, [0, None, 70], memory=True)["memory"] == [hex((1 << 70) + 1), "0x1"]
    assert acquisition.classified(bits, [0, None, 0], memory=False) == {"counts": {"0x0": 1, "0x1": 1}}


@pytest.mark.parametrize("name", DEVICES)
def test_a_third_state_is_read_as_1(name: str) -> None:
    """Of most of its shots, where 1 itself is."""
    device = target(name)
    for index, data in enumerate(device.qubits):
        shares = [
            np.count_nonzero(seen(prepared(level, shots=20_000), look(index), on=device).bits) / 20_000
            for level in (1, 2)
        ]
        assert shares[1] > 0.93
        assert shares[1] > shares[0] - 0.02 or data.flip_down < 0.05


def test_a_third_state_can_be_told_apart() -> None:
    """In the plane nearly all its points are nearer to its own cloud's centre than to those of 0 and 1."""
    for index in range(MANILA.n_qubits):
        points = seen(prepared(2, shots=5000), look(index)).points
        clouds = where(index)
        nearest = np.abs(points - np.array([*clouds.centres, clouds.third])).argmin(axis=1)
        assert np.count_nonzero(nearest == 2) > 0.93 * 5000


def test_an_ideal_simulator_makes_no_errors() -> None:
    """Its clouds do not overlap, no shot is lost, and 2 is read as 1."""
    levels = drawn(0, 1, 2, shots=SHOTS // 4)
    shown = seen(levels, look(0, 0), look(1, 1), look(4, 2, 1e-3), on=IDEAL)

    assert np.array_equal(shown.landed, levels)
    assert np.array_equal(shown.bits, levels > 0)


def test_the_published_length_is_the_usual_one() -> None:
    """Not to say how long an acquisition lasts is to take the published length."""
    levels, data = drawn(0, shots=500), MANILA.qubits[0]
    usual, said = seen(levels, look(0)), seen(levels, look(0, 0, data.readout_length))

    assert np.array_equal(usual.points, said.points)


@pytest.mark.parametrize("factor", [0.1, 0.25, 4.0])
def test_noise_falls_with_the_length(factor: float) -> None:
    """As one over its square root; where the points lie in the mean does not depend on it."""
    data = MANILA.qubits[1]
    points = seen(prepared(0, shots=SHOTS), look(1, 0, factor * data.readout_length)).points
    width = where(1).width / math.sqrt(factor)

    assert points.real.std() == pytest.approx(width, rel=0.01)
    assert points.imag.std() == pytest.approx(width, rel=0.01)
    assert points.mean() == pytest.approx(where(1).centres[0], abs=5 * width * math.sqrt(2 / SHOTS))


@pytest.mark.parametrize("factor", [0.05, 0.3, 3.0, 20.0])
def test_errors_of_other_lengths(factor: float) -> None:
    """A short acquisition is noisy, a long one lets 1 relax: both errors are those of the clouds of that length."""
    data, clouds = MANILA.qubits[4], where(4)
    seconds = factor * data.readout_length
    zero, one = clouds.means()
    heights = [
        float(norm.sf(-((centre - (zero + one) / 2) / clouds.axis).real / (clouds.width / math.sqrt(factor))))
        for centre in clouds.centres
    ]
    kept = min((1 - clouds.lost[1]) * math.exp(-(seconds - data.readout_length) / 2 / data.t1), 1.0)

    for state, chance in ((0, heights[0]), (1, kept * heights[1] + (1 - kept) * heights[0])):
        ones = int(np.count_nonzero(seen(prepared(state, shots=SHOTS), look(4, 0, seconds)).bits))
        assert p_value({0: SHOTS - ones, 1: ones}, np.array([1 - chance, chance])) > 1e-3, state


def test_a_third_state_relaxes_to_1() -> None:
    """In a long acquisition, twice as fast as 1 does, and never to 0 itself."""
    chance = 1 - math.exp(-50e-6 / MANILA.qubits[2].t1)
    landed = np.bincount(seen(prepared(2, shots=SHOTS), look(2, 0, 50e-6)).landed.ravel(), minlength=3)

    assert p_value(dict(enumerate(landed.tolist())), np.array([0, chance, 1 - chance])) > 1e-3


def test_no_length_at_all() -> None:
    """It is as good as no measurement, and no error."""
    shown = seen(drawn(0, shots=1000), look(0, 0, 0.0))

    assert np.isfinite(shown.points).all()
    assert 0.3 < np.count_nonzero(shown.bits) / 1000 < 0.7


def test_the_noise_of_samples_is_white() -> None:
    """Each sample has the variance that makes the mean as wide as the cloud, and tells nothing of its neighbours."""
    shots, samples = 20_000, 8
    found = complexes(measured(prepared(0, shots=shots), look(0), config=asked(0), slots=1, samples=samples))[:, 0]
    noise = (found - found.mean(axis=0)) / (where(0).width * math.sqrt(samples))

    for part in (noise.real, noise.imag):
        assert part.T @ part / shots == pytest.approx(np.eye(samples), abs=5 / math.sqrt(shots) * math.sqrt(2))


def test_the_signal_rises() -> None:
    """The resonator fills with its time constant; the mean of the envelope is 1."""
    rise, long = acquisition.envelope(50, 500e-9), acquisition.envelope(200, 2e-6)
    data = measured(prepared(0, shots=2000), look(0, 0, 500e-9), config=asked(0, "avg"), slots=1, samples=50)
    clouds = where(0)
    spread = clouds.width * math.sqrt(50 * MANILA.qubits[0].readout_length / 500e-9 / 2000)

    assert rise.mean() == pytest.approx(1)
    assert (1 - long[20] / long[-1]) / (1 - long[10] / long[-1]) == pytest.approx(math.exp(-1), rel=1e-3)
    assert np.abs(complexes(data)[0] - clouds.centres[0] * rise).max() < 6 * spread
    assert (acquisition.envelope(4, 0.0) == 1).all()


@pytest.mark.parametrize("level", [0, 1])
def test_one_shot_is_its_own_average(level: int) -> None:
    """With one shot both returns show the same."""
    levels = prepared(1, shots=1)
    single, mean = (
        complexes(measured(levels, look(0), config=asked(level, returned))) for returned in ("single", "avg")
    )

    assert np.array_equal(single[0], mean)


@pytest.mark.parametrize("returned", ["single", "avg"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_sizes_are_foreseen(level: int, returned: str) -> None:
    """What is written is at most by half more than foreseen, and what is held is no more."""
    config, levels = asked(level, returned), drawn(0, 1, shots=3000)
    looks = [look(0, 0), look(1, 2)]
    size = acquisition.predicted(config, shots=3000, looks=2, used={0, 2}, slots=3, samples=20)
    tracemalloc.start()
    data = measured(levels, *looks, config=config)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    real = len(msgspec.json.encode(data))
    assert size.written * 0.8 < real < size.written * 1.6 + 100
    assert peak < size.held + (1 << 20)
    assert 0 < size.seconds < 1


def test_sizes_of_many_slots_and_samples() -> None:
    """Level 0 of single shots grows with everything; averages and bits do not."""
    sizes = [
        acquisition.predicted(asked(level, returned), shots=8192, looks=5, used=range(5), slots=5, samples=1000)
        for level, returned in ((0, "single"), (0, "avg"), (1, "single"), (2, "avg"))
    ]

    assert sizes[0].written == 8192 * 5 * 1000 * acquisition.POINT_WRITTEN
    assert sizes[0].held > 4 << 30
    assert sizes[1].written == 5000 * acquisition.POINT_WRITTEN
    assert max(size.held for size in sizes[1:]) < 64 << 20


def test_a_wide_memory_is_foreseen_and_cheap() -> None:
    """A bit in a far slot costs digits in the result, not an array for all slots before it."""
    levels, config = prepared(1, shots=200), asked(2)
    size = acquisition.predicted(config, shots=200, looks=1, used={100_000}, slots=100_001)
    tracemalloc.start()
    data = measured(levels, look(0, 100_000), config=config, on=IDEAL)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert data["counts"] == {hex(1 << 100_000): 200}
    assert size.written == pytest.approx(len(msgspec.json.encode(data)), rel=0.05)
    assert peak < 2 << 20
