# SPDX-License-Identifier: Apache-2.0
"""Which devices can take pulses, on what model, and what their documents say then."""

import copy
import math
from typing import Any

import msgspec
import pytest

from chandelier.formats import device, openpulse, simulators, snapshots, tunings

#: Why there are none, for snapshots of each kind that has none.
WITHOUT = {
    "sherbrooke": "its gates are ecr, id, rz, sx, x",
    "kingston": "no Hamiltonian was published",
    "fez": "no Hamiltonian was published",
    "essex": "no Hamiltonian was published",
    "boeblingen": "its gates are cx, id, u1, u2, u3",
    "prague": "its gates are cz",
    "geneva": "its Hamiltonian has no delta0",
    "toronto": "the x of its qubit 0 is 2560 samples long",
}
WITH = ("armonk", "athens", "cairo", "guadalupe", "hanoi", "lagos", "manila", "montreal", "valencia", "yorktown")


def tuning_of(snapshot: str) -> tunings.Tuning:
    """The tuning that comes with the package."""
    found = tunings.shipped(openpulse.model(snapshots.untuned(snapshot)))
    assert found is not None
    return found


def lengths(document: device.DeviceDocument, gate: str) -> dict[tuple[int, ...], int]:
    """How long a gate lasts, dt, by its qubits."""
    found = openpulse.lengths(document.configuration, document.properties)
    return {qubits: samples for (name, qubits), samples in found.items() if name == gate}


@pytest.mark.parametrize("snapshot", sorted(WITHOUT))
def test_devices_without_pulses_say_why(snapshot: str) -> None:
    """In their description, which every client shows; nothing else of them changes."""
    document = snapshots.load(snapshot)

    assert f"It takes no pulses: {WITHOUT[snapshot]}" in document.configuration["description"]
    assert document.configuration["open_pulse"] is False
    assert document.defaults is None


@pytest.mark.parametrize("snapshot", WITH)
def test_the_others_can_have_pulses(snapshot: str) -> None:
    """Whether or not some come with the package."""
    document = snapshots.untuned(snapshot)

    assert openpulse.obstacle(document.configuration, document.properties) is None
    assert document.configuration["open_pulse"] is False
    assert "no pulses" not in document.configuration["description"]


@pytest.mark.parametrize("key", ["meas_map", "qubit_lo_range", "discriminators"])
def test_a_key_that_clients_need_for_pulses_is_needed(key: str) -> None:
    """Without it they would take the device for one without pulses."""
    document = snapshots.untuned("manila")
    short = {name: value for name, value in document.configuration.items() if name != key}

    assert openpulse.obstacle(short, document.properties) == f"its configuration has no {key}"


def test_published_strengths_are_mended() -> None:
    """They are 1.1558 times too strong for pulses of 160 samples, 1.1562 times for 320, as all real defaults show."""
    published, _ = snapshots.read("manila")
    strengths = published["hamiltonian"]["vars"]
    served = snapshots.untuned("manila").configuration["hamiltonian"]

    assert 1 / openpulse.kappa(160) == pytest.approx(1.15580055, rel=1e-7)
    assert 1 / openpulse.kappa(320) == pytest.approx(1.15618887, rel=1e-7)
    assert 1 / openpulse.kappa(96) == pytest.approx(1.15519517, rel=1e-7)
    for index in range(5):
        assert served["vars"][f"omegad{index}"] == strengths[f"omegad{index}"] * openpulse.kappa(160)
    assert served["h_str"] == published["hamiltonian"]["h_str"]


def test_the_hamiltonian_says_what_was_changed() -> None:
    """Whoever simulates it reads what it is for, and that the frequencies are dressed."""
    text = snapshots.untuned("manila").configuration["hamiltonian"]["description"]

    assert text.startswith("Qubits are modeled as Duffing oscillators.")
    assert text.count(openpulse.CHANGED) == 1
    assert "0.865" in text
    assert "wq" in text


@pytest.mark.parametrize("snapshot", WITH)
def test_the_hamiltonian_does_not_contradict_itself(snapshot: str) -> None:
    """What was published of frequencies that differ from the defaults is left out; what is around it stays."""
    published, _ = snapshots.read(snapshot)
    before = published["hamiltonian"]["description"]
    text = snapshots.untuned(snapshot).configuration["hamiltonian"]["description"]

    assert "not exactly what is returned by the backend defaults" in before
    assert "backend defaults" not in text
    assert "flip-flop interaction.\n\nQuantities are returned in angular frequencies" in text
    assert len(text) == len(before) - len(openpulse.UNTRUE) + len(openpulse.CHANGED)


def test_an_older_model_is_mended() -> None:
    """A document that was made when the sentence was still quoted loses it, and nothing else changes but the text."""
    document = snapshots.untuned("manila")
    hamiltonian = document.configuration["hamiltonian"]
    older = hamiltonian | {
        "description": hamiltonian["description"].replace(" The provided", openpulse.UNTRUE + " The provided")
    }
    quoting = msgspec.structs.replace(document, configuration=document.configuration | {"hamiltonian": older})

    assert openpulse.UNTRUE in older["description"]
    assert openpulse.with_model(quoting) == document
    assert openpulse.model(quoting) == openpulse.model(document)


def test_frequencies_of_the_model_are_those_of_the_calibration() -> None:
    """Each wq is 2π times what the properties and the defaults have, exactly, after they moved too."""
    document = msgspec.json.decode(device.to_json(snapshots.load("manila")), type=device.DeviceDocument)
    assert document.properties is not None
    for qubit in document.properties["qubits"]:
        for record in qubit:
            record["value"] += 1e-5 * (record["name"] == "frequency")
    moved = openpulse.with_pulses(document, tuning_of("manila"))
    assert moved.defaults is not None
    frequencies = [r["value"] for qubit in document.properties["qubits"] for r in qubit if r["name"] == "frequency"]
    variables = moved.configuration["hamiltonian"]["vars"]

    assert moved.defaults["qubit_freq_est"] == frequencies
    assert [variables[f"wq{index}"] for index in range(5)] == [2 * math.pi * value for value in frequencies]
    assert openpulse.model(moved) != openpulse.model(snapshots.load("manila"))


def test_a_device_with_pulses_says_so() -> None:
    """In all the keys by which clients know one, among the measurement levels, and in the supported instructions."""
    configuration = snapshots.load("manila").configuration

    assert configuration["open_pulse"] is True
    assert configuration["meas_levels"] == [0, 1, 2]
    assert {"play", "acquire", "setf", "shiftf", "cx", "measure"} <= set(configuration["supported_instructions"])
    assert set(openpulse.KEYS.split()) <= set(configuration)


def test_gates_last_as_long_as_their_pulses() -> None:
    """Of either direction, in the properties; what has no pulses keeps its published length."""
    document, published = snapshots.load("manila"), snapshots.untuned("manila")
    tuning = tuning_of("manila")
    longer = {}
    for pair in tuning.pairs:
        longer[pair.control, pair.target] = 160 + 2 * pair.duration + 160
        longer[pair.target, pair.control] = longer[pair.control, pair.target] + 160

    assert lengths(document, "cx") == longer
    assert lengths(document, "x") == lengths(published, "x")
    few = msgspec.structs.replace(tuning, pairs=tuning.pairs[:1])
    kept = lengths(openpulse.with_pulses(published, few), "cx")
    assert kept[3, 4] == lengths(published, "cx")[3, 4]


def test_twice_is_as_good_as_once() -> None:
    """A document with pulses can be given them again, or others, and its model keeps its name."""
    document, tuning = snapshots.load("lagos"), tuning_of("lagos")
    before = copy.deepcopy(document)

    assert openpulse.with_pulses(document, tuning) == before == document
    assert openpulse.with_model(document) == document
    assert openpulse.model(document) == openpulse.model(snapshots.untuned("lagos")) == tuning.model


def test_pairs_without_pulses_are_named() -> None:
    """In the description, and no longer once they have some."""
    document, tuning = snapshots.untuned("manila"), tuning_of("manila")
    missing = tuple(tunings.Missing(pair, "too weak") for pair in ((3, 4), (0, 1)))
    partly = openpulse.with_pulses(document, msgspec.structs.replace(tuning, pairs=tuning.pairs[1:3], missing=missing))
    described = partly.configuration["description"]
    assert partly.defaults is not None

    assert described.endswith("27 May 2024. No pulses were found for the pairs 0-1, 3-4.")
    assert not [one for one in partly.defaults["cmd_def"] if set(one["qubits"]) == {0, 1}]
    whole = openpulse.with_pulses(partly, tuning).configuration["description"]
    assert whole == document.configuration["description"]


def test_the_simulator_of_pulses_is_an_ideal_twin() -> None:
    """It has the model and the pulses of a device, and nothing that relaxes or was measured."""
    simulator, twin = simulators.document(simulators.PULSES), snapshots.load("manila")
    configuration: dict[str, Any] = simulator.configuration

    assert simulator.properties is None
    assert (configuration["simulator"], configuration["open_pulse"], configuration["n_qubits"]) == (True, True, 5)
    assert configuration["hamiltonian"] == twin.configuration["hamiltonian"]
    assert set(openpulse.KEYS.split()) <= set(configuration)
    assert simulator.defaults is not None
    assert twin.defaults is not None
    assert simulator.defaults["qubit_freq_est"] == pytest.approx(twin.defaults["qubit_freq_est"], rel=1e-14)
    gates = [one for one in twin.defaults["cmd_def"] if one["name"] != "measure"]
    assert [one for one in simulator.defaults["cmd_def"] if one["name"] != "measure"] == gates
