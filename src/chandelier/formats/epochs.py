# SPDX-License-Identifier: Apache-2.0
"""A calibration in one line: the middle of its qubits and gates, to see how a device changes from day to day."""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any, Final

from chandelier.formats.device import Document

#: To microseconds.
_US: Final[Mapping[str, float]] = {"ns": 1e-3, "us": 1.0, "µs": 1.0, "μs": 1.0, "ms": 1e3, "s": 1e6}


def line(properties: Document) -> dict[str, Any]:
    """Return the medians of a calibration over what is operational, None where there is nothing.

    Returns:
        `t1` and `t2` in us; `readout_error`; `gate_error` of gates on one qubit that last, `cx_error` of gates on two;
        `faulty`, how many qubits and gates are marked as not operational.
    """
    qubits = [_values(records) for records in properties["qubits"]]
    gates = [(len(gate["qubits"]), _values(gate["parameters"])) for gate in properties["gates"]]
    marked = [values for values in (*qubits, *(known for _, known in gates)) if values.get("operational") == 0]
    good = [values for values in qubits if values.get("operational") != 0]
    working = [(count, values) for count, values in gates if values.get("operational") != 0]
    lasting = [values for count, values in working if count == 1 and values.get("gate_length", 0.0) > 0]
    return {
        "t1": _middle(values.get("T1") for values in good),
        "t2": _middle(values.get("T2") for values in good),
        "readout_error": _middle(values.get("readout_error") for values in good),
        "gate_error": _middle(values.get("gate_error") for values in lasting),
        "cx_error": _middle(values.get("gate_error") for count, values in working if count == 2),
        "faulty": len(marked),
    }


def _values(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    return {each["name"]: each["value"] * _US.get(each["unit"], 1.0) for each in records}


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
