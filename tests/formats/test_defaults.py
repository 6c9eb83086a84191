# SPDX-License-Identifier: Apache-2.0
"""Pulse defaults: every gate as instructions, with the frames of all channels that turn with a qubit."""

import math
from typing import Any

import pytest

from chandelier.formats import defaults, openpulse, snapshots, tunings

Json = dict[str, Any]

DRAG = tunings.Drag(160, 40.0, (0.2, 0.0), -1.0)
HALF = tunings.Drag(160, 40.0, (0.1, 0.001), -0.9)
PAIR = tunings.Pair(
    control=0,
    target=1,
    channel=0,
    duration=464,
    sigma=64.0,
    width=208.0,
    amp=(0.3, 0.1),
    cancel=(0.02, -0.01),
    turns=(0.25, -0.5),
    error=1e-4,
    leak=1e-5,
)
TUNING = tunings.Tuning("", dict.fromkeys(range(5), tunings.Qubit(DRAG, HALF, (0.0, 0.0))), (PAIR,))


@pytest.fixture(scope="module")
def served() -> Json:
    """The defaults of a device of five qubits in a line, of which the first two have a cx."""
    document = snapshots.untuned("manila")
    return defaults.document(TUNING, document.configuration, document.properties)


def sequence(served: Json, name: str, *qubits: int) -> list[Json]:
    """The instructions of a gate."""
    (found,) = [one for one in served["cmd_def"] if (one["name"], one["qubits"]) == (name, list(qubits))]
    return found["sequence"]  # type: ignore[no-any-return]


def phases(steps: list[Json], channel: str) -> list[tuple[int, Any]]:
    """The turns of the frame of a channel, each with its time."""
    return [(step["t0"], step["phase"]) for step in steps if step["name"] == "fc" and step["ch"] == channel]


def pulses(steps: list[Json]) -> list[tuple[int, str, str]]:
    """Time, channel and label of each pulse."""
    return [(step["t0"], step["ch"], step["label"]) for step in steps if step["name"] == "parametric_pulse"]


def test_what_clients_insist_on_is_there(served: Json) -> None:
    """The first five keys are those without which no client reads the document."""
    properties = snapshots.untuned("manila").properties
    assert properties is not None
    measured = [record["value"] for qubit in properties["qubits"] for record in qubit if record["name"] == "frequency"]

    assert served["qubit_freq_est"] == measured
    assert served["meas_freq_est"][0] == pytest.approx(7.163170819)
    assert (served["buffer"], served["pulse_library"]) == (0, [])
    assert served["meas_kernel"] == {"name": "hw_qmfk", "params": {}}
    assert served["discriminator"]["params"] == {}
    assert [(one["name"], one["qubits"]) for one in served["cmd_def"]] == sorted(
        (one["name"], one["qubits"]) for one in served["cmd_def"]
    )


def test_every_qubit_has_every_gate(served: Json) -> None:
    """Also those of devices before 2021, and a measurement for itself."""
    for index in range(5):
        names = {one["name"] for one in served["cmd_def"] if one["qubits"] == [index]}
        assert names == {"id", "rz", "u1", "u2", "u3", "sx", "x", "measure"}


def test_a_turn_about_z_turns_all_frames_of_a_qubit(served: Json) -> None:
    """Its drive channel, and each control channel that drives another qubit at its frequency. Source: a real device."""
    assert sequence(served, "rz", 1) == [
        {"name": "fc", "t0": 0, "ch": channel, "phase": "-(P0)"} for channel in ("d1", "u0", "u3")
    ]


def test_general_gates_name_their_parameters(served: Json) -> None:
    """u3 is two pulses between three turns: first its last angle, then its first, then its second."""
    steps = sequence(served, "u3", 0)

    assert phases(steps, "d0") == phases(steps, "u1") == [(0, "-(P2)"), (160, "-(P0)"), (320, "-(P1)")]
    assert pulses(steps) == [(0, "d0", "X90p_d0"), (160, "d0", "X90m_d0")]
    assert phases(sequence(served, "u2", 0), "d0") == [(0, "-(P1)"), (160, "-(P0)")]


def test_a_pulse_along_y_is_turned_by_a_quarter(served: Json) -> None:
    """The pulse of u2 is that of sx times i."""
    (pulse,) = [step for step in sequence(served, "u2", 3) if step["name"] == "parametric_pulse"]

    assert pulse["parameters"] == {"amp": [-0.001, 0.1], "duration": 160, "sigma": 40.0, "beta": -0.9}


def test_a_cx_is_an_echoed_cross_resonance(served: Json) -> None:
    """Both tones twice, the second time with the other sign, and x on the control before and between."""
    steps = sequence(served, "cx", 0, 1)
    tones = [step for step in steps if step.get("pulse_shape") == "gaussian_square"]

    assert pulses(steps) == [
        (0, "d0", "Xp_d0"),
        (0, "d1", "X90p_d1"),
        (160, "u0", "CR90p_u0"),
        (160, "d1", "CR90p_d1_u0"),
        (624, "d0", "Xp_d0"),
        (784, "u0", "CR90m_u0"),
        (784, "d1", "CR90m_d1_u0"),
    ]
    assert tones[0]["parameters"] == {"amp": [0.3, 0.1], "duration": 464, "sigma": 64.0, "width": 208.0}
    assert tones[2]["parameters"]["amp"] == [-0.3, -0.1]
    assert phases(steps, "d0") == phases(steps, "u1") == [(1248, -0.25)]
    assert phases(steps, "d1") == phases(steps, "u0") == phases(steps, "u3") == [(1248, 0.5)]


def test_the_other_direction_lasts_one_sx_longer(served: Json) -> None:
    """What would be four H is one sx on each qubit before, in place of the first pulses, and one after."""
    steps = sequence(served, "cx", 1, 0)
    lengths = [defaults.lasts(TUNING.qubits, PAIR, backward=backward) for backward in (False, True)]

    assert lengths == [1248, 1248 + 160]
    assert [label for _, _, label in pulses(steps) if label.startswith("X")] == [
        *("X90p_d0", "X90p_d1", "Xp_d0", "X90p_d0", "X90p_d1"),
    ]
    turned = {channel: sum(phase for _, phase in phases(steps, channel)) for channel in ("d0", "u1", "d1", "u0", "u3")}
    assert turned["d0"] == turned["u1"] == pytest.approx(-0.25 - 3 * math.pi / 2 - math.pi / 2 - math.pi + 2 * math.pi)
    assert turned["d1"] == turned["u0"] == turned["u3"]


def test_a_measurement_acquires_all_that_share_their_electronics(served: Json) -> None:
    """One pulse for each qubit that is read, and all of the group are acquired, as long as was published."""
    one, together = sequence(served, "measure", 2), sequence(served, "measure", 0, 1, 2, 3, 4)

    assert [step["ch"] for step in one[:-1]] == ["m2"]
    assert [step["ch"] for step in together[:-1]] == ["m0", "m1", "m2", "m3", "m4"]
    assert one[-1] == together[-1]
    assert one[-1] == {
        "name": "acquire",
        "t0": 0,
        "duration": 24080,  # 5351.1 ns
        "qubits": [0, 1, 2, 3, 4],
        "memory_slot": [0, 1, 2, 3, 4],
    }


@pytest.mark.parametrize("snapshot", ["armonk", "manila", "lagos", "hanoi"])
def test_pulses_are_of_the_shapes_that_the_device_takes(snapshot: str) -> None:
    """And last a multiple of its granularity."""
    document = snapshots.load(snapshot)
    assert document.defaults is not None
    for one in document.defaults["cmd_def"]:
        for step in one["sequence"]:
            if step["name"] == "parametric_pulse":
                assert step["pulse_shape"] in document.configuration["parametric_pulses"]
                assert step["parameters"]["duration"] % 16 == step["t0"] % 16 == 0


def test_a_device_of_one_qubit_has_no_pairs() -> None:
    """Its only turns are those of its drive channel."""
    document = snapshots.load("armonk")
    assert document.defaults is not None

    assert {one["name"] for one in document.defaults["cmd_def"]} == {
        *("id", "rz", "u1", "u2", "u3", "sx", "x", "measure")
    }
    assert phases(sequence(document.defaults, "rz", 0), "d0") == [(0, "-(P0)")]


def test_equal_tunings_are_equal_bytes() -> None:
    """In whatever order their qubits were found, and they are read back as they were."""
    turned = tunings.Tuning("", dict(reversed(TUNING.qubits.items())), (PAIR,))

    assert tunings.encode(turned) == tunings.encode(TUNING)
    assert tunings.decode(tunings.encode(TUNING)) == TUNING


def test_no_shipped_tuning_for_a_model_that_nobody_knows() -> None:
    """A device with other numbers gets pulses of its own."""
    assert tunings.shipped("0" * 64) is None
    assert tunings.shipped(openpulse.model(snapshots.untuned("valencia"))) is None
