# SPDX-License-Identifier: Apache-2.0
"""Device documents become what a device can do, in SI units."""

import dataclasses
from pathlib import Path

import pytest
from physics import document, target

from chandelier import errors
from chandelier.engines import target as targets
from chandelier.formats import device


@pytest.mark.parametrize("unit", ["us", "µs", "μs"])
def test_units_of_time(unit: str) -> None:
    """A microsecond is the same in every spelling."""
    records = [{"date": "", "name": "T1", "unit": unit, "value": 150.0}]
    conf = document("ibmq_armonk").configuration
    found = targets.parse(device.DeviceDocument(conf, {"qubits": [records], "gates": []}))

    assert found.qubits[0].t1 == pytest.approx(150e-6)


def test_calibration_of_a_qubit() -> None:
    """Times, frequency and readout of a qubit are those of its records."""
    qubit = target("ibmq_manila").qubits[0]

    assert qubit.t1 == pytest.approx(131.5286444531517e-6)
    assert qubit.t2 == pytest.approx(102.20390054827382e-6)
    assert qubit.frequency_ghz == pytest.approx(4.962356469801913)
    assert qubit.flip_up == pytest.approx(0.0158)
    assert qubit.flip_down == pytest.approx(0.0548)
    assert qubit.readout_length == pytest.approx(5351.11e-9)


def test_dephasing_is_not_longer_than_twice_relaxation() -> None:
    """A published T2 above 2·T1, which no channel has, is cut."""
    records = [{"name": "T1", "unit": "us", "value": 10.0}, {"name": "T2", "unit": "us", "value": 30.0}]
    found = targets.parse(
        device.DeviceDocument(document("ibmq_armonk").configuration, {"qubits": [records], "gates": []})
    )

    assert found.qubits[0].t2 == pytest.approx(20e-6)


def test_couplings_have_a_direction() -> None:
    """A gate exists on the ordered qubits of its map."""
    assert target("ibmq_manila").edges["cx"] >= {(0, 1), (1, 0)}
    assert (1, 0) in target("ibm_sherbrooke").edges["ecr"]
    assert (0, 1) not in target("ibm_sherbrooke").edges["ecr"]


def test_faults() -> None:
    """Gates with an error of 1 are faulty on the qubits that they are published for."""
    faulty = target("ibm_hanoi").faulty_gates

    assert ("cx", (5, 8)) in faulty
    assert ("cx", (0, 1)) not in faulty


@pytest.mark.parametrize(
    ("name", "resets", "delays", "midcircuit"),
    [("ibmq_essex", False, False, False), ("ibmq_manila", True, True, True), ("ibmq_armonk", False, True, True)],
)
def test_what_generations_can_do(name: str, resets: bool, delays: bool, midcircuit: bool) -> None:
    """Resets, delays and measurements inside a circuit came with the years."""
    found = target(name)

    assert (found.resets, found.delays, found.midcircuit) == (resets, delays, midcircuit)


def test_a_document_is_read_once(tmp_path: Path) -> None:
    """The same path gives the same object, so that preparations for it are shared."""
    path = tmp_path / "device.json"
    path.write_bytes(device.to_json(document("ibmq_armonk")))

    assert targets.load(str(path)) is targets.load(str(path))
    assert targets.load(str(path)) != dataclasses.replace(targets.load(str(path)))


@pytest.mark.parametrize("content", [b"", b"{}", b'{"configuration": {}}', b'{"configuration": {"simulator": 1}}'])
def test_a_document_that_is_none(tmp_path: Path, content: bytes) -> None:
    """A damaged document is a fault of the server, not of the program."""
    path = tmp_path / "device.json"
    path.write_bytes(content)
    with pytest.raises(errors.Unavailable):
        targets.load(str(path))
