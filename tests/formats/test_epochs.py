# SPDX-License-Identifier: Apache-2.0
"""A calibration in one line."""

from chandelier.formats import epochs, snapshots
from chandelier.formats.device import record

DATE = "2026-03-14T15:09:26Z"


def test_a_line_has_the_medians_of_a_calibration() -> None:
    """Times in microseconds; a gate that takes no time is no measure of a qubit."""
    properties = snapshots.load("manila").properties
    assert properties is not None
    line = epochs.line(properties)

    assert {key: float(f"{value:.4g}") for key, value in line.items()} == {
        "t1": 144.7,
        "t2": 54.36,
        "readout_error": 0.0219,
        "gate_error": 0.0003539,
        "cx_error": 0.01009,
        "faulty": 0,
    }


def test_what_is_not_operational_counts_as_that_only() -> None:
    """And of what there is nothing there is no median."""
    qubit = [record("T1", 80, "us", DATE), record("T2", 2000, "ns", DATE)]
    faulty = [record("T1", 1, "us", DATE), record("operational", 0, "", DATE)]
    gate = {"gate": "cx", "qubits": [0, 1], "name": "cx0_1", "parameters": [record("operational", 0, "", DATE)]}
    line = epochs.line({"qubits": [qubit, faulty], "gates": [gate], "general": []})

    assert line == {
        "t1": 80.0,
        "t2": 2.0,
        "readout_error": None,
        "gate_error": None,
        "cx_error": None,
        "faulty": 2,
    }
