# SPDX-License-Identifier: Apache-2.0
"""Device documents: each rule mends what it says and leaves the rest alone."""

import copy
import math
from typing import Any

import pytest

from chandelier import errors
from chandelier.formats import device

DATE = "2024-05-27T15:27:23-03:00"
DATE_UTC = "2024-05-27T18:27:23Z"


def a_configuration(**changes: Any) -> dict[str, Any]:
    """A small configuration with everything that snapshots have got wrong."""
    return {
        "backend_name": "ibmq_example",
        "backend_version": "1.2.6",
        "n_qubits": 2,
        "basis_gates": ["cx", "id", "rz", "sx", "x"],
        "gates": [
            {
                "name": "rz",
                "parameters": ["theta"],
                "qasm_def": "gate rz(theta) q {}",
                "coupling_map": [[0], [1]],
            },
            {"name": "reset", "parameters": None, "qasm_def": None},
        ],
        "local": False,
        "simulator": False,
        "conditional": False,
        "open_pulse": True,
        "memory": True,
        "max_shots": 100000,
        "max_experiments": 900,
        "coupling_map": [[0, 1], [1, 0]],
        "online_date": "2021-04-28T04:00:00+00:00",
        "supported_instructions": [
            "cx",
            "u1",
            "play",
            "acquire",
            "delay",
            "measure",
            "reset",
            "if_else",
            "x",
        ],
        "dt": 0.2222222222222222,
        "rep_times": [1000.0],
        "qubit_lo_range": [[4.4, 5.4], [4.3, 5.3]],
        "url": "None",
        **changes,
    }


def a_record(name: str, value: float | None, unit: str = "", **extra: Any) -> dict[str, Any]:
    """One record as snapshots have it."""
    return {"date": DATE, "name": name, "unit": unit, "value": value, **extra}


def a_gate(name: str, qubits: list[int], error: float, **extra: Any) -> dict[str, Any]:
    """One calibrated gate as snapshots have it."""
    parameters = [a_record("gate_error", error), a_record("gate_length", 35.5, "ns")]
    return {"qubits": qubits, "gate": name, "parameters": parameters, **extra}


def some_properties(**changes: Any) -> dict[str, Any]:
    """Properties of a sound device of two qubits."""
    return {
        "backend_name": "ibmq_example",
        "backend_version": "1.2.6",
        "last_update_date": DATE,
        "qubits": [[a_record("T1", 130.0, "us"), a_record("T2", 100.0, "us"), a_record("readout_error", 0.03)]] * 2,
        "gates": [a_gate("x", [0], 1e-4), a_gate("x", [1], 1e-4), a_gate("cx", [0, 1], 0.01)],
        "general": [],
        **changes,
    }


def normalised(**changes: Any) -> dict[str, Any]:
    """The example configuration, normalised."""
    return device.normalise_configuration(
        a_configuration(**changes), served_name="ibmq_served", description="An example."
    )


def normalised_properties(**changes: Any) -> dict[str, Any]:
    """The example properties, normalised."""
    return device.normalise_properties(
        some_properties(**changes), served_name="ibmq_served", basis_gates=["cx", "id", "rz", "sx", "x"]
    )


def operational(parameters: list[dict[str, Any]]) -> list[Any]:
    """Values of the `operational` records in a list."""
    return [r["value"] for r in parameters if r["name"] == "operational"]


def test_served_name_replaces_the_original() -> None:
    """Configuration and properties both carry the name under which the device is served."""
    assert normalised()["backend_name"] == normalised_properties()["backend_name"] == "ibmq_served"


def test_the_originals_are_not_changed() -> None:
    """Normalising reads its arguments only."""
    configuration, properties = a_configuration(), some_properties(gates=[a_gate("x", [0], 1.0)])
    before = copy.deepcopy((configuration, properties))
    device.normalise_configuration(configuration, served_name="other", description="")
    device.normalise_properties(properties, served_name="other", basis_gates=["x"])

    assert (configuration, properties) == before


def test_normalising_twice_changes_nothing() -> None:
    """A document already in shape stays as it is."""
    once, properties = normalised(), normalised_properties(gates=[a_gate("x", [0], 1.0)], qubits=[[], []])

    assert device.normalise_configuration(once, served_name="ibmq_served", description="An example.") == once
    assert all(rule(once) == once for rule in device.CONFIGURATION_RULES)
    assert device.with_coherence_first(properties) == properties


@pytest.mark.parametrize("blank", [None, "None"])
def test_blanks_are_left_out(blank: str | None) -> None:
    """Null and the text `None` mean that the key is absent."""
    served = normalised(quantum_volume=blank, max_shots=blank)

    assert "quantum_volume" not in served
    assert served["max_shots"] == device.REQUIRED["max_shots"]


def test_a_null_coupling_map_stays() -> None:
    """Clients read a null coupling map as all-to-all, and insist on the key."""
    assert normalised(coupling_map=None)["coupling_map"] is None


@pytest.mark.parametrize("key", sorted(device.REQUIRED))
def test_required_keys_are_added(key: str) -> None:
    """Every key that clients insist on is there, even where the snapshot lacks it."""
    raw = a_configuration()
    raw.pop(key, None)

    assert key in device.normalise_configuration(raw, served_name="a", description="")


@pytest.mark.parametrize("key", ["basis_gates", "n_qubits", "online_date"])
def test_what_cannot_be_made_up_is_demanded(key: str) -> None:
    """Without its gates, size or date a device is refused, by name of the key."""
    raw = a_configuration()
    del raw[key]

    with pytest.raises(errors.Invalid, match=key):
        device.normalise_configuration(raw, served_name="a", description="")


def test_published_limits_stay() -> None:
    """Shots and experiments are limited as the original was."""
    assert (normalised()["max_shots"], normalised()["max_experiments"]) == (100000, 900)


def test_numbers_keep_their_wire_units() -> None:
    """Sample time in ns, repetition times in us, frequencies in GHz: exactly as published."""
    served = normalised()

    assert (served["dt"], served["rep_times"], served["qubit_lo_range"][0]) == (
        0.2222222222222222,
        [1000.0],
        [4.4, 5.4],
    )


def test_seconds_are_refused() -> None:
    """A configuration in SI units is refused, since clients would scale it again."""
    with pytest.raises(errors.Invalid, match="ns"):
        normalised(dt=3.5555555555555554e-09)


def test_gates_have_no_nulls() -> None:
    """The reset of real snapshots has null parameters and definition; it gets an empty list and text."""
    reset = normalised()["gates"][1]

    assert reset == {"name": "reset", "parameters": [], "qasm_def": ""}


def test_gates_lose_unknown_keys_and_empty_coupling_maps() -> None:
    """One key too many in a gate makes clients drop the whole device."""
    gate = {"name": "x", "parameters": [], "qasm_def": "gate x q {}", "coupling_map": [], "latency": 3}

    assert normalised(gates=[gate])["gates"] == [{"name": "x", "parameters": [], "qasm_def": "gate x q {}"}]


def test_gates_keep_their_coupling_map() -> None:
    """A coupling map with entries is part of a gate."""
    assert normalised()["gates"][0]["coupling_map"] == [[0], [1]]


@pytest.mark.parametrize(
    ("published", "served"),
    [
        ("2021-04-28T04:00:00+00:00", "2021-04-28T04:00:00Z"),
        ("2021-04-28T00:00:00.123-04:00", "2021-04-28T04:00:00Z"),
        ("2021-04-28T04:00:00", "2021-04-28T04:00:00Z"),
        ("2021-04-28", "2021-04-28T00:00:00Z"),
    ],
)
def test_online_date_has_one_form(published: str, served: str) -> None:
    """The date is in UTC, to the second, with a Z."""
    assert normalised(online_date=published)["online_date"] == served


def test_an_unreadable_online_date_is_refused() -> None:
    """A device with a date that is none would vanish from listings, so it is refused at once."""
    with pytest.raises(errors.Invalid, match="soon"):
        normalised(online_date="soon")


def test_no_other_text_looks_like_a_date() -> None:
    """A second date among the texts is left out; a sentence with a date in it stays."""
    served = normalised(calibrated="2024-05-27T00:00:00Z", note="Calibrated on 2024-05-27.")

    assert "calibrated" not in served
    assert "note" in served


@pytest.mark.parametrize(
    ("published", "served"),
    [
        ("1.2.6", "1.2.6"),
        ("2", "2.0.0"),
        ("1.4", "1.4.0"),
        ("1.2.3.4", "1.2.3"),
        ("v7-beta", "7.0.0"),
        ("?", "1.0.0"),
    ],
)
def test_versions_have_three_parts(published: str, served: str) -> None:
    """Early clients check for X.Y.Z, in both documents."""
    assert normalised(backend_version=published)["backend_version"] == served
    assert normalised_properties(backend_version=published)["backend_version"] == served


def test_flags_say_what_this_server_does() -> None:
    """Programs come as Qobj, over object storage or inline; no pulses, no local device, no simulator."""
    served = normalised(simulator=True, local=True, allow_q_object=False, measure_esp_enabled=True)

    assert served["allow_object_storage"] is served["allow_q_object"] is True
    assert (served["open_pulse"], served["local"], served["simulator"]) == (False, False, False)
    assert served["measure_esp_enabled"] is False
    assert served["input_allowed"] == ["job"]


def test_instructions_are_those_of_circuits() -> None:
    """Pulse instructions and control flow are not offered."""
    listed = ["cx", "play", "acquire", "delay", "measure", "reset", "if_else", "x"]

    assert normalised(supported_instructions=listed)["supported_instructions"] == [
        "cx", "delay", "measure", "reset", "x"
    ]  # fmt: skip


def test_retired_gates_stay_where_the_device_takes_them() -> None:
    """A device of 2021 makes them of its `sx`; they are not in its basis, so nothing is transpiled to them."""
    served = normalised(supported_instructions=["u1", "u3", "x"])

    assert served["supported_instructions"] == ["u1", "u3", "x"]
    assert served["basis_gates"] == ["cx", "id", "rz", "sx", "x"]
    without = normalised(supported_instructions=["u1", "x"], basis_gates=["x"])
    assert without["supported_instructions"] == ["x"]


def test_gates_outside_the_basis_are_not_described() -> None:
    """A second kind of measurement is no gate that a program can use here."""
    gates = [{"name": "x", "parameters": []}, {"name": "measure_2", "parameters": []}]

    assert [gate["name"] for gate in normalised(gates=gates)["gates"]] == ["x"]


def test_properties_have_all_lists() -> None:
    """Where a list is missing it is empty."""
    raw = some_properties()
    del raw["general"]
    served = device.normalise_properties(raw, served_name="a", basis_gates=["x"])

    assert served["general"] == []


def test_records_have_exactly_four_keys() -> None:
    """A fifth key in a record is an error for Terra; a missing unit is an empty text."""
    raw = a_record("T1", 130.0, "us", quality="good")
    unitless = {"date": DATE, "name": "readout_error", "value": 0.1}
    served = normalised_properties(qubits=[[raw, a_record("T2", 90.0, "us"), unitless]])["qubits"][0]

    assert all(set(r) == {"date", "name", "unit", "value"} for r in served)
    assert served[2]["unit"] == ""


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "?"])
def test_records_without_a_number_go(value: Any) -> None:
    """What was not measured is absent rather than null."""
    served = normalised_properties(general=[a_record("jq_01", value), a_record("zz_01", 1e-5)])

    assert [r["name"] for r in served["general"]] == ["zz_01"]


def test_dates_are_in_utc() -> None:
    """The update date and those of records are the same instants as published."""
    served = normalised_properties()

    assert served["last_update_date"] == DATE_UTC
    assert {r["date"] for qubit in served["qubits"] for r in qubit} == {DATE_UTC}


def test_a_record_without_a_date_takes_that_of_the_update() -> None:
    """Clients insist on a date in each record."""
    served = normalised_properties(general=[{"name": "zz_01", "unit": "GHz", "value": 1.0}])

    assert served["general"][0]["date"] == DATE_UTC


def test_properties_without_an_update_date_are_refused() -> None:
    """Historical queries ask for properties by that date."""
    with pytest.raises(errors.Invalid):
        normalised_properties(last_update_date=None)


def test_calibrated_gates_have_exactly_four_keys() -> None:
    """A missing name is made of gate and qubits; other keys go."""
    served = normalised_properties(gates=[a_gate("cx", [1, 0], 0.01, fidelity=0.99)])["gates"][0]

    assert set(served) == {"qubits", "gate", "name", "parameters"}
    assert served["name"] == "cx1_0"


def test_calibrated_gates_outside_the_basis_go() -> None:
    """Terra would make the device's target of them, and transpile to gates that are then refused."""
    gates = [
        a_gate("x", [0], 0.1),
        a_gate("rzz", [0, 1], 0.1),
        a_gate("measure", [0], 0.1),
        a_gate("reset", [0], 0.1),
    ]

    assert [gate["gate"] for gate in normalised_properties(gates=gates)["gates"]] == ["x", "reset"]


def test_a_gate_with_error_one_is_not_operational() -> None:
    """It is marked, its qubits are not: other gates may still reach them."""
    served = normalised_properties(gates=[a_gate("cx", [0, 1], 1), a_gate("cx", [1, 0], 0.01)])

    assert [operational(gate["parameters"]) for gate in served["gates"]] == [[0], []]
    assert [operational(qubit) for qubit in served["qubits"]] == [[], []]


def test_a_qubit_with_a_failed_gate_of_its_own_is_not_operational() -> None:
    """Nothing can be done with a qubit that cannot be driven."""
    served = normalised_properties(gates=[a_gate("x", [0], 1e-4), a_gate("x", [1], 1.0)])

    assert [operational(qubit) for qubit in served["qubits"]] == [[], [0]]


def test_a_qubit_without_coherence_times_is_not_operational() -> None:
    """T1 and T2 are there for readers by position, far too short to mistake, and the qubit is marked."""
    served = normalised_properties(qubits=[[a_record("readout_error", 0.5)]])["qubits"][0]

    assert [(r["name"], r["unit"]) for r in served[:2]] == [("T1", "us"), ("T2", "us")]
    assert all(0 < r["value"] < 0.01 for r in served[:2])
    assert operational(served) == [0]


def test_t1_is_first_and_t2_second() -> None:
    """Widgets read them by position; the other records keep their order."""
    mixed = [
        a_record("readout_error", 0.1),
        a_record("T2", 90.0, "us"),
        a_record("x", 1.0),
        a_record("T1", 80.0, "us"),
    ]
    served = normalised_properties(qubits=[mixed])["qubits"][0]

    assert [r["name"] for r in served] == ["T1", "T2", "readout_error", "x"]
    assert [r["value"] for r in served[:2]] == [80.0, 90.0]
    assert operational(served) == []


def test_documents_survive_json() -> None:
    """What is read equals what was written, numbers to the last digit."""
    document = device.DeviceDocument(normalised(), normalised_properties())

    assert device.from_json(device.to_json(document)) == document


def test_json_does_not_depend_on_the_order_of_keys() -> None:
    """Equal documents have equal bytes, hence equal digests, and others do not."""
    configuration = normalised()
    turned = dict(reversed(configuration.items()))
    same, other = device.DeviceDocument(turned), device.DeviceDocument(normalised(max_shots=7))
    document = device.DeviceDocument(configuration)

    assert device.to_json(same) == device.to_json(document)
    assert device.digest(same) == device.digest(document) != device.digest(other)
    assert len(device.digest(document)) == 64


@pytest.mark.parametrize("data", [b"", b"[]", b'{"properties": null}', b'{"configuration": 3}'])
def test_other_json_is_no_device_document(data: bytes) -> None:
    """Damaged files are refused as invalid."""
    with pytest.raises(errors.Invalid):
        device.from_json(data)
