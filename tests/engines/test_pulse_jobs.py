# SPDX-License-Identifier: Apache-2.0
"""Programs of pulses, from the document that a client sends to the document that it gets."""

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import physics
import pytest
import schedules
from physics import Bench, Json, counts
from schedules import acquire, play, program, sequence

from chandelier import errors
from chandelier.engines import child
from chandelier.engines.pulses import waveforms
from chandelier.formats import tasks

MANILA = "ibmq_manila"
IDEAL = "simulator_pulse"
PULSES = Path(__file__).parent.parent / "data" / "pulses"


def data(result: Json, index: int = 0) -> Any:
    """The data of an experiment."""
    entry = result["results"][index]
    assert entry["success"], entry["status"]
    return entry["data"]


def ones(result: Json, index: int = 0) -> float:
    """How often slot 0 showed 1."""
    tally = counts(result, index)
    return sum(number for outcome, number in tally.items() if outcome & 1) / sum(tally.values())


def refusal(bench: Bench, wanted: Json, on: str = MANILA) -> tasks.Refused:
    """Why a program is refused."""
    reply = bench.reply(wanted, on)
    assert isinstance(reply, tasks.Refused), reply
    return reply


def test_gates_of_the_device_are_its_pulses(bench: Bench) -> None:
    """An ideal device shows 1 after its x, and half of the time after its sx."""
    wanted = program([*sequence(IDEAL, "x", 0), acquire(160, 0)], [*sequence(IDEAL, "sx", 0), acquire(160, 0)])

    result = bench.run(wanted, IDEAL)

    assert ones(result, 0) == 1.0
    assert ones(result, 1) == pytest.approx(0.5, abs=0.08)


def test_the_result_tells_what_was_asked(bench: Bench) -> None:
    """Header, shots, level and the seed come back with the counts."""
    result = bench.run(program([acquire(0, 0)], shots=100), MANILA)

    entry = result["results"][0]
    assert result["success"]
    assert result["header"] == {"made": "by a test"}
    assert entry["header"] == {"name": "experiment 0"}
    assert (entry["shots"], entry["meas_level"], entry["seed_simulator"]) == (100, 2, 7)
    assert sum(counts(result).values()) == 100


def test_a_seed_repeats_a_job(bench: Bench) -> None:
    """The same seed gives the same shots, another one gives others."""
    wanted = program([*sequence(MANILA, "sx", 0), acquire(160, 0, 1)], memory=True)
    other = program([*sequence(MANILA, "sx", 0), acquire(160, 0, 1)], memory=True, seed_simulator=8)

    first, second, third = (data(bench.run(each, MANILA))["memory"] for each in (wanted, wanted, other))

    assert first == second
    assert first != third


def test_a_program_of_a_real_client_runs(bench: Bench) -> None:
    """A Rabi scan that Terra made turns the qubit further with each amplitude, and its points lie on one line."""
    wanted = msgspec.json.decode((PULSES / "pulse_rabi_armonk.json").read_bytes())

    result = bench.run(wanted, "ibmq_armonk")

    points = np.array([complex(*data(result, index)["memory"][0]) for index in range(21)])
    along = (points - points[0]) / (points[np.argmax(np.abs(points - points[0]))] - points[0])
    pulse = waveforms.samples("gaussian", {"duration": 320, "sigma": 80, "amp": [1.0, 0.0]})
    model = schedules.modelled("ibmq_armonk")
    angle = model.channels["d0"].strength * pulse.sum().real * model.dt
    expected = (1 - np.cos(np.linspace(0, 1, 21) * angle)) / 2
    assert along.real == pytest.approx(expected / expected.max(), abs=0.06)
    assert along.imag == pytest.approx(0, abs=0.06)


@pytest.mark.parametrize("name", ["ibmq_essex", "ibmq_qasm_simulator"])
def test_a_device_without_pulses_says_so(bench: Bench, name: str) -> None:
    """It names itself and what to do."""
    refused = refusal(bench, physics.sample("pulse_rabi_armonk_ml2"), name)

    assert refused.code == 8011
    assert name in refused.message


def test_pulses_of_a_library_play_their_samples(bench: Bench) -> None:
    """A pulse by its samples does what the same pulse by its shape does."""
    (shaped,) = [step for step in sequence(IDEAL, "x", 0) if step["name"] == "parametric_pulse"]
    samples = waveforms.samples(shaped["pulse_shape"], shaped["parameters"])
    library = [{"name": "mine", "samples": [[float(value.real), float(value.imag)] for value in samples]}]

    result = bench.run(program([{"name": "mine", "t0": 0, "ch": "d0"}, acquire(160, 0)], pulse_library=library), IDEAL)

    assert ones(result) == 1.0


def test_a_frame_turns_the_axis(bench: Bench) -> None:
    """Two half turns are one turn about the same axis, and none about opposite ones."""
    for name, phase in (("fc", math.pi), ("setp", math.pi)):
        turned = {"name": name, "t0": 160, "ch": "d0", "phase": phase}
        straight = [*sequence(IDEAL, "sx", 0), *sequence(IDEAL, "sx", 0, t0=160), acquire(320, 0)]

        result = bench.run(program(straight, [*straight, turned]), IDEAL)

        assert ones(result, 0) == 1.0
        assert ones(result, 1) == pytest.approx(0.0, abs=0.002)


@pytest.mark.parametrize("name", ["setf", "shiftf"])
def test_a_frequency_off_resonance_does_not_turn(bench: Bench, name: str) -> None:
    """A pulse 50 MHz away leaves the qubit where it is; one 2 MHz away turns it less than fully."""
    found = schedules.defaults(IDEAL)["qubit_freq_est"][0]

    def at(off: float) -> list[Json]:
        frequency = found + off if name == "setf" else off
        return [{"name": name, "t0": 0, "ch": "d0", "frequency": frequency}, *sequence(IDEAL, "x", 0), acquire(160, 0)]

    result = bench.run(program(at(0.0), at(0.002), at(0.05)), IDEAL)

    assert ones(result, 0) == 1.0
    assert 0.8 < ones(result, 1) < 1.0
    assert ones(result, 2) < 0.02


def test_a_local_oscillator_can_be_moved(bench: Bench) -> None:
    """For the whole program, and for one experiment alone."""
    found = schedules.defaults(IDEAL)["qubit_freq_est"]
    away = [found[0] + 0.05, *found[1:]]
    schedule = [*sequence(IDEAL, "x", 0), acquire(160, 0)]
    wanted = program(schedule, schedule, qubit_lo_freq=away)
    wanted["experiments"][1]["config"] = {"qubit_lo_freq": found}

    result = bench.run(wanted, IDEAL)

    assert ones(result, 0) < 0.02
    assert ones(result, 1) == 1.0


def test_a_held_value_drives(bench: Bench) -> None:
    """It turns the qubit as long as it is held: as a constant pulse of the same length does."""
    held = [
        {"name": "pv", "t0": 0, "ch": "d0", "val": [0.05, 0.0]},
        {"name": "pv", "t0": 300, "ch": "d0", "val": [0.0, 0.0]},
        acquire(300, 0),
    ]
    constant = [play("constant", 0, amp=0.05, duration=300), acquire(300, 0)]

    result = bench.run(program(held, constant, shots=20000), IDEAL)

    assert ones(result, 0) == pytest.approx(ones(result, 1), abs=0.02)
    assert 0.02 < ones(result, 0) < 0.98


def test_a_wait_lets_the_qubit_relax(bench: Bench) -> None:
    """After one T1 about a third of the population of 1 is left, whatever dt of it are waited."""
    t1 = physics.target(MANILA).qubits[0].t1
    duration = round(t1 / schedules.modelled(MANILA).dt)
    wait = {"name": "delay", "t0": 160, "ch": "d0", "duration": duration}
    wanted = program([*sequence(MANILA, "x", 0), wait, acquire(160 + duration, 0)], shots=20000)

    up, down = physics.target(MANILA).qubits[0].flip_up, physics.target(MANILA).qubits[0].flip_down
    left = (ones(bench.run(wanted, MANILA)) - up) / (1 - up - down)

    assert left == pytest.approx(math.exp(-1), abs=0.02)


def test_qubits_are_measured_into_their_slots(bench: Bench) -> None:
    """A memory slot shows the qubit that is acquired into it, whatever their numbers."""
    wanted = program([*sequence(IDEAL, "x", 1), acquire(160, 0, 1, slots=[3, 2])])

    assert counts(bench.run(wanted, IDEAL)) == {0b00100: 1000}


def test_levels_show_the_same_shots(bench: Bench) -> None:
    """Bits, points and samples have the shapes of the protocol."""
    schedule = [*sequence(MANILA, "sx", 0), acquire(160, 0, 1)]
    settings = {"shots": 50, "memory_slots": 2, "memory_slot_size": 8}

    shapes = {
        (level, how): np.shape(
            data(bench.run(program(schedule, meas_level=level, meas_return=how, **settings), MANILA))["memory"]
        )
        for level in (0, 1)
        for how in ("single", "avg")
    }

    assert shapes == {
        (0, "single"): (50, 2, 8, 2),
        (0, "avg"): (2, 8, 2),
        (1, "single"): (50, 2, 2),
        (1, "avg"): (2, 2),
    }


def test_a_measurement_collapses(bench: Bench) -> None:
    """What is measured twice shows the same twice, and a pulse between turns it round."""
    twice = [*sequence(IDEAL, "sx", 0), acquire(160, 0, slots=[0]), acquire(30000, 0, slots=[1])]
    turned = [*twice[:-1], *sequence(IDEAL, "x", 0, t0=22600), acquire(30000, 0, slots=[1])]

    result = bench.run(program(twice, turned), IDEAL)

    assert set(counts(result, 0)) == {0b00, 0b11}
    assert set(counts(result, 1)) == {0b01, 0b10}


def test_measured_qubits_of_a_pair_leave_the_other_in_its_state(bench: Bench) -> None:
    """Of an entangled pair the second qubit, measured later, agrees with the first."""
    cx = sequence(IDEAL, "cx", 0, 1, t0=160)
    end = 160 + max(step["t0"] + step.get("parameters", {}).get("duration", 0) for step in cx)
    schedule = [*sequence(IDEAL, "sx", 0), *cx, acquire(end, 0), acquire(end + 5000, 1)]

    tally = counts(bench.run(program(schedule, shots=2000), IDEAL))

    assert (tally.get(0, 0) + tally.get(3, 0)) / 2000 > 0.99
    assert tally[0] == pytest.approx(1000, abs=150)


def test_registers_are_compared_and_copied(bench: Bench) -> None:
    """A function of measured registers is kept in the memory, and a copy can be compared too."""
    schedule = [
        *sequence(IDEAL, "x", 0),
        acquire(160, 0, 1, register_slot=[4, 5]),
        {"name": "copy", "t0": 23000, "register_orig": 4, "register_copy": [6]},
        {"name": "bfunc", "t0": 23000, "mask": "0x30", "relation": "==", "val": "0x10", "register": 7, "memory": 2},
        {"name": "bfunc", "t0": 23000, "mask": "0x60", "relation": ">", "val": "0x40", "register": 8, "memory": 3},
    ]

    assert counts(bench.run(program(schedule), IDEAL)) == {0b00101: 1000}


def test_a_snapshot_shows_the_state(bench: Bench) -> None:
    """Three levels of five qubits, the first least significant; only an ideal simulator has one state."""
    look = {"name": "snapshot", "t0": 160, "label": "mine", "type": "statevector"}
    schedule = [*sequence(IDEAL, "x", 1), look, acquire(160, 1)]

    (state,) = data(bench.run(program(schedule), IDEAL))["snapshots"]["statevector"]["mine"]
    told = refusal(bench, program(schedule)).message

    assert len(state) == 3**5
    assert np.hypot(*state[3]) == pytest.approx(1, abs=1e-3)
    assert "is for simulators" in told


def test_a_hundred_experiments_with_the_same_pulses_are_simulated_once(bench: Bench) -> None:
    """The prediction counts them once, and each has its own shots."""
    schedule = [*sequence(MANILA, "cx", 0, 1), acquire(3000, 0, 1)]
    one, many = program(schedule), program(*[schedule] * 100)

    first, second = bench.reply(one, MANILA), bench.reply(many, MANILA)

    assert isinstance(first, tasks.Finished)
    assert isinstance(second, tasks.Finished)
    result = bench.last()
    assert len({str(entry["data"]["counts"]) for entry in result["results"]}) > 50


@pytest.mark.parametrize(
    ("schedule", "settings", "code", "said"),
    [
        ([acquire(0, 5, slots=[0])], {}, 8005, "qubits 0 to 4"),
        ([play("constant", 0, ch="d7", duration=64), acquire(64, 0)], {}, 8005, "no channel d7"),
        ([play("constant", 0, ch="u99", duration=64), acquire(64, 0)], {}, 8005, "it has u0 to u7"),
        ([acquire(0, 0)], {"shots": 0}, 8006, "shots"),
        ([acquire(0, 0)], {"meas_level": 3}, 8010, "measurement level 3"),
        ([acquire(0, 0)], {"meas_level": 1, "meas_return": "sum"}, 8010, "'single' or 'avg'"),
        ([acquire(0, 0)], {"qubit_lo_freq": [5.0]}, 8004, "qubit_lo_freq has 1 entries"),
        ([acquire(0, 0, slots=[9])], {}, 8005, "slot"),
        ([acquire(0, 0, conditional=1)], {}, 8010, "condition"),
        ([{"name": "unknown", "t0": 0, "ch": "d0"}], {}, 8010, "unknown"),
    ],
)
def test_what_is_wrong_is_said(bench: Bench, schedule: list[Json], settings: Json, code: int, said: str) -> None:
    """A refusal names the experiment and what is wrong with it."""
    refused = refusal(bench, program(schedule, **settings))

    assert refused.code == code, refused
    assert said in refused.message


def test_too_many_experiments_are_refused(bench: Bench) -> None:
    """As of circuits."""
    assert refusal(bench, program(*[[acquire(0, 0)]] * 301)).code == 8007


def test_what_would_take_too_long_is_refused_with_the_prediction(bench: Bench) -> None:
    """A schedule of five joined qubits for a millisecond is told how long it would take."""
    control = sorted(name for name in schedules.modelled(MANILA).channels if name[0] == "u")
    tones = [play("constant", 0, ch=name, duration=1_500_000, amp=0.1) for name in control[::2]]

    refused = refusal(bench, program([*tones, acquire(1_500_000, 0, 1, 2, 3, 4)], shots=8192))

    assert refused.code == 8009
    assert "5 qubits, up to 5 together" in refused.message
    assert " s; a job may run for 60 s" in refused.message


def test_a_value_held_for_long_costs_little(bench: Bench) -> None:
    """A qubit that is driven for 20 ms off resonance and on it: neither time nor memory goes with the samples."""
    driven = [
        {"name": "pv", "t0": 0, "ch": "d0", "val": [0.01, 0.0]},
        {"name": "delay", "t0": 0, "ch": "d0", "duration": 90_000_000},
        acquire(90_000_000, 0),
    ]

    assert ones(bench.run(program(driven), MANILA)) == pytest.approx(0.5, abs=0.08)


def test_pulses_that_need_too_much_memory_are_refused(bench: Bench) -> None:
    """Short texts can name long pulses: all of them together are counted before any is played."""
    long = [
        [play("gaussian", 0, amp=0.1, duration=9_000_000, sigma=10 + index), acquire(9_000_000, 0)]
        for index in range(6)
    ]

    assert refusal(bench, program(*long)).code == 8008


def test_an_error_has_a_known_code() -> None:
    """The codes of these refusals are in the table."""
    assert {8004, 8005, 8006, 8007, 8009, 8010, 8011} <= errors.CODES.keys()


def planned(bench: Bench, wanted: Json, on: str = MANILA) -> Any:
    """The summary and the prediction of a program."""
    path = bench.folder / "asked.json"
    path.write_bytes(msgspec.json.encode(wanted))
    task = tasks.Validate("asked", str(path), bench.file(on), physics.LIMITS)
    return child.answer(tasks.encode(task), child.Kept())


def test_a_held_value_counts_as_a_channel(bench: Bench) -> None:
    """Limits of projects are held against what sounds, however it is written."""
    held = {"name": "pv", "t0": 0, "val": [0.01, 0.0]}

    summary = planned(bench, program([{**held, "ch": "d0"}, {**held, "ch": "u0"}, acquire(100, 0)])).summary

    assert (summary.channels, summary.gates) == (2, 2)


def test_measuring_all_qubits_again_and_again_costs_little(bench: Bench) -> None:
    """Shots that find the same are alike from then on, so their number of histories does not count."""
    often = [acquire(200 * index, 0, duration=100, slots=[0]) for index in range(300)]

    accepted = planned(bench, program([*sequence(MANILA, "sx", 0), *[{**one, "t0": one["t0"] + 160} for one in often]]))

    assert accepted.seconds < 1
    assert ones(
        bench.run(program([*sequence(IDEAL, "sx", 0), *[{**one, "t0": one["t0"] + 160} for one in often]]), IDEAL)
    )


def test_functions_of_registers_are_part_of_the_prediction(bench: Bench) -> None:
    """Many wide ones for many shots are refused, with the time that they would take."""
    wide = {"name": "bfunc", "t0": 30000, "mask": "0x" + "f" * 64, "relation": "==", "val": "0x1", "register": 1}

    refused = refusal(bench, program([acquire(0, 0, register_slot=[0]), *[wide] * 2000], shots=8192))

    assert refused.code == 8009


def test_looks_at_the_state_go_on_from_one_to_the_next(bench: Bench) -> None:
    """Each snapshot shows what a job with it alone shows, also of qubits that are simulated together."""
    cx = sequence(IDEAL, "cx", 0, 1, t0=160)
    end = 160 + max(step["t0"] - 160 + step.get("parameters", {}).get("duration", 0) for step in cx)
    looks = [{"name": "snapshot", "t0": time, "label": str(time), "type": "statevector"} for time in (160, 700, end)]
    schedule = [*sequence(IDEAL, "sx", 0), *cx, acquire(end, 0, 1)]

    together = data(bench.run(program([*schedule, *looks]), IDEAL))["snapshots"]["statevector"]
    alone = [data(bench.run(program([*schedule, look]), IDEAL))["snapshots"]["statevector"] for look in looks]

    for look, one in zip(looks, alone, strict=True):
        assert np.abs(np.subtract(together[look["label"]], one[look["label"]])).max() < 1e-6
    assert np.abs(np.subtract(together["160"], together["700"])).max() > 0.1


def test_a_channel_far_from_its_frequency_is_refused(bench: Bench) -> None:
    """As when a frequency in GHz is given where Hz are meant: the qubit would not notice it, and nobody be told."""
    slip = {"name": "setf", "t0": 0, "ch": "d0", "frequency": 4.96e-9}

    refused = refusal(bench, program([slip, *sequence(MANILA, "x", 0), acquire(160, 0)]))

    assert refused.code == 8004
    assert "up to 1 GHz is possible" in refused.message
