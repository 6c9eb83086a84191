# SPDX-License-Identifier: Apache-2.0
"""The old client schedules pulses, runs them at every level of measurement, and is told what cannot be run."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from clouds import Cloud

pytestmark = pytest.mark.acceptance

WITH_PULSES: Final = {"ibmq_armonk": 1, "ibmq_manila": 5, "ibm_lagos": 7, "ibm_hanoi": 27, "simulator_pulse": 5}
#: For shares of a thousand shots: six standard deviations of a fair coin, and misread bits.
WIDE: Final = 0.1


@pytest.fixture(scope="module")
def seen(observe: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """What the client sees of pulses: documents, circuits it has scheduled, levels of measurement."""
    return observe("pulses")


@pytest.fixture(scope="module")
def ran(observe: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """What came of schedules that were written by hand."""
    return observe("pulse_programs")


@pytest.fixture(scope="module")
def gated(observe: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """What came of circuits that bring pulses."""
    return observe("pulse_gates")


def distance(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Return the total variation distance of two sets of counts."""
    sizes = sum(one.values()), sum(other.values())
    every = one.keys() | other.keys()
    return sum(abs(one.get(key, 0) / sizes[0] - other.get(key, 0) / sizes[1]) for key in every) / 2


def test_devices_with_pulses_are_found(seen: dict[str, Any]) -> None:
    """By the client's own filter; the others have no defaults, and nothing breaks."""
    assert set(seen["found"]) == set(WITH_PULSES)
    assert seen["without"] == {"ibmq_essex": None, "ibm_sherbrooke": None}


def test_configurations_tell_of_pulses(seen: dict[str, Any]) -> None:
    """Levels of measurement, length of a sample, shapes, channels, and the Hamiltonian."""
    for name, qubits in WITH_PULSES.items():
        told = seen["configurations"][name]
        assert told["open_pulse"]
        assert told["levels"] == [0, 1, 2]
        assert 0.2e-9 < told["dt"] == told["dtm"] < 0.5e-9
        assert {"gaussian", "gaussian_square", "drag", "constant"} <= set(told["parametric"])
        assert told["kernels"]
        assert told["discriminators"]
        assert sorted(qubit for group in told["meas_map"] for qubit in group) == list(range(qubits))
        assert {f"{kind}{qubit}" for kind in ("d", "m", "acquire") for qubit in range(qubits)} <= set(told["channels"])
    manila = seen["configurations"]["ibmq_manila"]
    assert manila["control"] == [0]
    assert manila["sources"][:2] == [[1], [0]]
    assert "omegad1*X0||U0" in manila["strings"]


def test_frequencies_agree_everywhere(seen: dict[str, Any]) -> None:
    """Defaults, properties and Hamiltonian name the same frequency of a qubit."""
    first = seen["defaults"]["ibmq_manila"]["frequencies"][0]

    assert first == pytest.approx(seen["frequency"], rel=1e-12)
    assert first == pytest.approx(seen["configurations"]["ibmq_manila"]["wq0"] / (2 * math.pi), rel=1e-12)


def test_defaults_have_the_gates_of_the_device(seen: dict[str, Any]) -> None:
    """For each qubit x, sx, rz, the older u gates and a measurement; cx in both directions, as long as published."""
    for name, qubits in WITH_PULSES.items():
        told = seen["defaults"][name]
        assert len(told["frequencies"]) == len(told["readout"]) == qubits
        assert {"x", "sx", "rz", "u1", "u2", "u3", "id", "measure"} <= set(told["gates"])
        assert {f"a{qubit}" for qubit in range(qubits)} <= set(told["measured"])
        assert told["x"] == {"ibmq_armonk": 320, "ibm_hanoi": 144}.get(name, 160)
    manila = seen["defaults"]["ibmq_manila"]
    there_and_back = [pair for one in range(4) for pair in ([one, one + 1], [one + 1, one])]
    assert manila["pairs"] == sorted(there_and_back)
    assert manila["cx"] * seen["configurations"]["ibmq_manila"]["dt"] == pytest.approx(seen["lengths"]["to"])
    assert seen["lengths"]["back"] > seen["lengths"]["to"]


def test_gates_with_parameters_turn_frames(seen: dict[str, Any]) -> None:
    """`get` fills them in: rz turns by its angle backwards, u3 has three turns."""
    told = seen["defaults"]["ibmq_manila"]

    assert told["rz"] == [-0.4]
    assert told["parameters"] == ["P0", "P1", "P2"]
    assert sorted(told["u3"]) == pytest.approx([-0.3, -0.2, -0.1])


def test_a_rabi_experiment_finds_the_pulse_of_the_device(seen: dict[str, Any]) -> None:
    """Averaged signals of 21 amplitudes have their maximum at the amplitude of `x`."""
    assert seen["rabi"]["found"] == pytest.approx(seen["rabi"]["published"], rel=0.03)


def test_levels_of_measurement_have_their_shapes(seen: dict[str, Any]) -> None:
    """Average and single points, average and single samples, in the order shots, slots, samples."""
    assert seen["levels"]["shapes"] == {"avg 1": [5], "single 1": [1000, 5], "avg 0": [5, 30], "single 0": [100, 5, 30]}


def test_bits_and_points_say_the_same(seen: dict[str, Any]) -> None:
    """Points told apart, and bits, are 1 as often as the published readout errors say."""
    zero, one = seen["levels"]["misread"]

    assert seen["levels"]["discriminated"] == pytest.approx([zero, 1 - one], abs=0.04)
    assert seen["levels"]["bits"] == pytest.approx([zero, 1 - one], abs=0.04)
    assert seen["levels"]["memory"] == [1000, 1000]
    assert seen["levels"]["flipped"] == "00001"


def test_a_scheduled_bell_circuit_is_one(seen: dict[str, Any]) -> None:
    """Pulses and gates of either direction give much the same counts; the job is retrieved as it was."""
    for told in seen["bell"].values():
        assert told["type"] == "PulseQobj"
        assert told["status"] == "DONE"
        assert told["retrieved"] == told["pulses"]
        assert sum(told["pulses"].values()) == 8000
        # Twice the shots of what chance leaves, and what the model of the pulses has beyond published gate errors.
        assert distance(told["pulses"], told["gates"]) < 0.05


def test_the_ideal_twin_is_almost_perfect(seen: dict[str, Any]) -> None:
    """Without relaxation and misread bits only the pulses' own small error is left."""
    counts = seen["ideal"]["pulses"]

    assert counts.get("01", 0) + counts.get("10", 0) < 40
    assert counts["00"] == pytest.approx(4000, abs=300)


@pytest.mark.parametrize(
    ("case", "share"),
    [
        ("nothing", 0.0),
        ("flip", 1.0),
        ("two halves", 1.0),
        ("half and back", 0.0),
        ("set and unset", 0.0),
        ("far", 0.0),
        ("far and back", 1.0),
        ("beaten", 0.0),
        ("samples", 1.0),
        ("drawn", 1.0),
        ("gaussian", 1.0),
        ("constant", 0.0),
        ("sine", 0.0),
    ],
)
def test_pulses_turn_a_qubit(ran: dict[str, Any], case: str, share: float) -> None:
    """Phases, frequencies, waits, samples and shapes do what they do on a machine."""
    assert ran["turns"][case] == pytest.approx(share, abs=WIDE)


def test_oscillators_can_differ_between_experiments(ran: dict[str, Any]) -> None:
    """A flip far from the qubit's frequency does nothing."""
    assert ran["oscillators"] == pytest.approx([1.0, 0.0, 0.0], abs=WIDE)


def test_three_hundred_experiments_go_into_a_job(ran: dict[str, Any]) -> None:
    """A fringe of so many points has the form that it should have, and the job manager splits what it is given."""
    several = ran["several"]

    assert several["experiments"] == several["most"] == 300
    assert several["off"] < 0.15
    assert several["jobs"] == 3
    assert several["split"] == pytest.approx([1.0, 0.91], abs=0.2)


def test_acquisitions_are_written_as_the_user_likes(ran: dict[str, Any]) -> None:
    """Kernels and discriminators are taken, slots may be chosen: qubit 0 is flipped and seen in slot 3."""
    assert ran["acquired"]["wire"]["name"] == "hw_qmfk"
    assert ran["acquired"]["counts"]["1000"] > 800


def test_shapes_stay_shapes(ran: dict[str, Any]) -> None:
    """Pulses that were sent by their parameters are kept so."""
    assert ran["kept"] == ["drag", "gaussian_square"]


def test_the_ideal_simulator_shows_its_state(ran: dict[str, Any]) -> None:
    """A snapshot has the amplitudes of three levels of each qubit; here qubit 0 is in level 1."""
    state = ran["looked"]["snapshots"]["statevector"]["turned"][0]

    assert len(state) == 3**5
    assert math.hypot(*state[1]) == pytest.approx(1, abs=1e-3)


def test_a_long_schedule_comes_back(ran: dict[str, Any]) -> None:
    """Six cx, with turns of frames between them, undo each other."""
    assert ran["whole"] > 0.85


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("essex", ("ibmq_essex", "8011")),
        ("wide", ("0, 1, 2, 3, 4, 5, 6", "up to 5", "8009")),
        ("channel", ("ibmq_manila has no channel d17", "d0 to d4", "8005")),
        ("loud", ("pulse library", "magnitude 1.5", "8004")),
        ("oscillators", ("qubit_lo_freq has 3 entries", "5 qubits", "8004")),
        ("snapshot", ("'here'", "simulators", "8010")),
    ],
)
def test_what_cannot_run_is_said(ran: dict[str, Any], case: str, words: tuple[str, ...]) -> None:
    """The job's message names what is wrong, and its code."""
    assert all(word in ran["refused"][case] for word in words), ran["refused"][case]


def test_circuits_bring_pulses_for_their_gates(gated: dict[str, Any]) -> None:
    """An x that is calibrated to nothing does nothing; one with the pulses of the device does what x does."""
    ones = {name: counts.get("1", 0) / 2000 for name, counts in gated["counts"].items()}

    assert gated["calibrated"] == [[], ["x"], ["x"], ["mine"], ["mine"], ["mine"]]
    for name, share in (("plain", 1), ("nothing", 0), ("its own", 1), ("mine", 1), ("backwards", 0)):
        assert ones[name] == pytest.approx(share, abs=WIDE)


def test_a_gate_of_two_qubits_is_pulses_too(gated: dict[str, Any]) -> None:
    """The device's own cx under another name entangles."""
    counts = gated["counts"]["pair"]

    assert (counts["00"] + counts["11"]) / 2000 > 0.85
    assert counts["00"] == pytest.approx(1000, abs=200)


def flips(qubits: int) -> dict[str, Any]:
    """Return a program that plays a pulse on each of some qubits and measures them."""
    shape = {"duration": 160, "sigma": 40, "amp": [0.1, 0]}
    played = [
        {"name": "parametric_pulse", "t0": 0, "ch": f"d{qubit}", "pulse_shape": "gaussian", "parameters": shape}
        for qubit in range(qubits)
    ]
    slots = list(range(qubits))
    read = {"name": "acquire", "t0": 160, "duration": 1600, "qubits": slots, "memory_slot": slots}
    return {
        "qobj_id": "flips",
        "type": "PULSE",
        "schema_version": "1.3.0",
        "header": {},
        "config": {"shots": 10, "meas_level": 2, "memory_slots": qubits, "pulse_library": []},
        "experiments": [{"header": {}, "instructions": [*played, read]}],
    }


def gated_flip(qubits: int) -> dict[str, Any]:
    """Return a circuit whose gates are such pulses."""
    program = flips(qubits)
    played = program["experiments"][0]["instructions"][:-1]
    own = [{"name": "x", "qubits": [index], "params": [], "instructions": [one]} for index, one in enumerate(played)]
    gates = [{"name": "x", "qubits": [index]} for index in range(qubits)]
    read = {"name": "measure", "qubits": list(range(qubits)), "memory": list(range(qubits))}
    config = {"shots": 10, "memory_slots": qubits, "calibrations": {"gates": own}}
    return program | {"type": "QASM", "config": config, "experiments": [{"header": {}, "instructions": [*gates, read]}]}


def test_projects_may_be_kept_from_pulses(cloud: Cloud) -> None:
    """A project without pulses is told so by the documents and by the job; one may have them on one qubit only."""
    cloud.json("project", "add", "ibm-q/open/quiet")
    cloud.json("grant", "set", "ibm-q/open/quiet", "ibmq_manila", "--above", "--pulse-qubits", "1")
    cloud.json("grant", "set", "ibm-q/open/quiet", "ibm_lagos", "--above", "--open-pulse", "off")
    api, place = cloud.api(), "/Network/ibm-q/Groups/open/Projects/quiet"

    def ended(program: dict[str, Any], device: str) -> Any:
        sent = api.post(f"{place}/Jobs", json={"qObject": program, "backend": {"name": device}})
        return api.wait(sent["id"]).get("error", {}).get("code")

    told = {entry["backend_name"]: entry["open_pulse"] for entry in api.get(f"{place}/devices/v/1")}
    assert told == {"ibmq_manila": True, "ibm_lagos": False}
    assert api.get(f"{place}/devices/ibm_lagos/defaults") == {}
    assert [ended(flips(qubits), "ibmq_manila") for qubits in (1, 2)] == [None, 8015]
    assert ended(flips(1), "ibm_lagos") == 8011
    assert ended(gated_flip(1), "ibmq_manila") is None
    assert ended(gated_flip(2), "ibmq_manila") == 8015
    assert ended(gated_flip(1), "ibm_lagos") == 8011
    cloud.json("project", "remove", "ibm-q/open/quiet", "--yes")
