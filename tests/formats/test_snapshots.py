# SPDX-License-Identifier: Apache-2.0
"""Snapshots: found without importing anything, unchanged since they were looked at, and served in shape."""

import hashlib
import json
import re
import subprocess
import sys
from typing import Any

import pytest

from chandelier import errors
from chandelier.formats import device, snapshots

#: SHA-256 of the parsed configuration and properties of each device of a set, written with sorted keys.
PINS = {
    "armonk": (
        "d17c1ac3e4f2d1685470ddb51c44403c8b935c00669a2710e01c65b2026713ba",
        "6eed1ce6bfb7b2a4dfe97e0f7f8d873062a80d933470acd1506bfbbc940796db",
    ),
    "essex": (
        "1184d77a7a3abf5e320f673ddf0b9d396e5e8ff7358c834812bec8991a4cb9e7",
        "e83939bda2b93b7ff1498048d1121ea7a11b5df76327a7e143617bad8b132851",
    ),
    "manila": (
        "762d2e5c923894f3a98e5a921c27e655d24fb0520c9239d1c0b8961ece2c91ec",
        "80e6de9d9fcc6347cbd9f7c406872bf6886a0adf16711ab58c64e987878cccbe",
    ),
    "lagos": (
        "dc26e7474f9fbce528a82291d30e42d7422cec33b2901681e96224eaf6c22a47",
        "2b55ab8d80497bb271ab7dcd490d06127c094f74fdaf279bcb9bed9802b7d4eb",
    ),
    "hanoi": (
        "f5be7e0f9b0823749c3c7eeb3c8182a319096eafee5e0982226b0c1034ebf938",
        "57ce7cdca2cc5fba63bc9ca088f3d69907fa177ffc2c23f21fbb392f9f662e39",
    ),
    "sherbrooke": (
        "81a530f5f5c7b33f41227cd09a3b9764260615b3c624040464ee2316ccd5d0c2",
        "e5bf49d78d43267c5d33c433e18f04c7fb8fb226355c0d9bcd0eb7ecb261ef12",
    ),
    "kingston": (
        "5f7d42891dd25c3aa61a8b7ab23e67c0f0e9c5b6e77f13078136cc4d54c77bd9",
        "439d6f3c24abcfe355f86ff546d7f03dc71550988033ae699a836bdcf3173959",
    ),
    "burlington": (
        "1d22d87b6fa590342824852108f4529703c7ee65f8f297577d2b1ac3dbdc1916",
        "5ee911ac319fa3c3c4d0ed1d1b3f66f238e13602115e4925038605721c36406c",
    ),
    "london": (
        "520123553d6adb2c410b334143c8688a023ac65a65adb16226d3d4067ed0f893",
        "01892ae031a5df7e734b87393f4ead50d63b0384f59920aa0acade3066e6cb4e",
    ),
    "melbourne": (
        "4ea34b61a068559ad81d5c2a20888cf2c744e52e9ecd1f84ac9d178ffa836488",
        "e66c8cf6f162313096b1753f2992e77af8431cdec9179575f8b05fe54899e2b3",
    ),
    "ourense": (
        "e5996e8220ca66732c8a747b91d4f4fb94284deb957342e5d105e2169b93a2c7",
        "c8982b35f3298a63503ef8a9bfdc467c8169d618bec7968a231cb70a262c2d29",
    ),
    "rome": (
        "c6d2bfec1b2c5518ae5ee2c072bd5687efd69b7802869b87b90ae29d133337c1",
        "c3e67485e21025eeaaad1d1c1e9c18a41ad547810b7241ad3b8d4f0c1eba5c35",
    ),
    "vigo": (
        "4a99eef02cf86dde0d8fa1af4ecd3d9563b8add956b63e4ddb80af2be063a13c",
        "a205b8e0af30ccf4e95e2221594ee6984d41a4452c1cffcf31a5aef6c6dcb220",
    ),
    "yorktown": (
        "833e4341ce1c7a365e61ef0eccc66361f12d57f703fb9cd687bb9b52335100c1",
        "ac1df837bbb816d199a60793be4c446009b97fd8afcc359c5ba16329e9e55eb9",
    ),
}

OFFERED = {**snapshots.DEFAULTS, **snapshots.ERA_2020}
SERVED = sorted(OFFERED)
#: What one client of 2020 has written into it: qubits, and pairs for `cx` in both directions. Source: DotQASM,
#: `Backend/IBM/IBM*.cs`, and protocol 9.5.
DOTQASM: dict[str, tuple[int, set[tuple[int, int]]]] = {
    "ibmq_armonk": (1, set()),
    "ibmq_burlington": (5, {(0, 1), (1, 2), (1, 3), (3, 4)}),
    "ibmq_essex": (5, {(0, 1), (1, 2), (1, 3), (3, 4)}),
    "ibmq_london": (5, {(0, 1), (1, 2), (1, 3), (3, 4)}),
    "ibmq_ourense": (5, {(0, 1), (1, 2), (1, 3), (3, 4)}),
    "ibmq_rome": (5, {(0, 1), (1, 2), (2, 3), (3, 4)}),
    "ibmq_vigo": (5, {(0, 1), (1, 2), (1, 3), (3, 4)}),
    "ibmqx2": (5, {(0, 1), (1, 2), (0, 2), (2, 3), (2, 4), (3, 4)}),
    "ibmq_16_melbourne": (
        15,
        {(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 8), (7, 8), (8, 9), (9, 10), (10, 11), (11, 12),
         (13, 14), (0, 14), (1, 13), (2, 12), (3, 11), (4, 10), (5, 9)},
    ),
}  # fmt: skip


def a_device(served_name: str) -> device.DeviceDocument:
    """One of the devices that are offered in sets."""
    return snapshots.load(OFFERED[served_name], served_name)


def texts(value: Any) -> list[str]:
    """Every text in a document, however deep."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else []


def test_defaults_are_all_installed() -> None:
    """Every device of a set has its snapshot in the installed package."""
    for wanted in snapshots.SETS.values():
        assert set(wanted.values()) <= set(snapshots.names())


@pytest.mark.parametrize("name", sorted(PINS))
def test_snapshots_are_those_that_were_checked(name: str) -> None:
    """A new release of the package that changes a device is noticed here, not by a user."""
    digests = tuple(
        hashlib.sha256(json.dumps(part, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        for part in snapshots.read(name)
    )

    assert digests == PINS[name]


def test_every_device_of_a_set_is_pinned() -> None:
    """None escapes the check above."""
    assert set(PINS) == {snapshot for wanted in snapshots.SETS.values() for snapshot in wanted.values()}


def test_sets_agree_on_names() -> None:
    """Adding one set never changes a device of another."""
    assert all(OFFERED[name] == snapshot for name, snapshot in snapshots.DEFAULTS.items())


def test_the_devices_of_2020_have_their_names_and_sizes() -> None:
    """Programs of that time have both written into them, and check neither."""
    assert set(snapshots.ERA_2020) == set(DOTQASM)
    for name, (qubits, pairs) in DOTQASM.items():
        configuration = a_device(name).configuration
        coupling = {tuple(pair) for pair in configuration["coupling_map"] or []}
        assert (configuration["backend_name"], configuration["n_qubits"]) == (name, qubits)
        assert {*pairs, *((second, first) for first, second in pairs)} <= coupling, name


@pytest.mark.parametrize("name", sorted(DOTQASM))
def test_the_devices_of_2020_take_the_gates_of_2020(name: str) -> None:
    """In their basis until January 2021, and among what they support after."""
    configuration = a_device(name).configuration
    takes = {*configuration["basis_gates"], *configuration.get("supported_instructions", ())}

    assert {"id", "u1", "u2", "u3"} <= takes
    assert "cx" in takes or configuration["n_qubits"] == 1


def test_nothing_of_qiskit_is_imported() -> None:
    """A server that loads devices stays small and starts fast."""
    program = (
        "import sys; from chandelier.formats import snapshots; snapshots.load('manila'); "
        "print([name for name in sys.modules if name.startswith('qiskit')])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"


def test_a_missing_package_is_said_so() -> None:
    """Without the package there are no snapshots, and the error names it."""
    with pytest.raises(errors.Unavailable, match="no_such_package"):
        snapshots.folder("no_such_package")


def test_a_package_without_snapshots_is_said_so() -> None:
    """A release that moves the files gives an error rather than an empty list."""
    with pytest.raises(errors.Unavailable, match="backends"):
        snapshots.folder("msgspec")


@pytest.mark.parametrize("name", ["atlantis", "", "..", "../backends/manila", "manila/", "poughkeepsie"])
def test_unknown_snapshots_are_refused(name: str) -> None:
    """Only names that are listed can be read; paths are no names."""
    with pytest.raises(errors.Unavailable) as caught:
        snapshots.read(name)

    assert caught.value.code == 3102
    assert caught.value.code in errors.CODES


def test_every_listed_snapshot_can_be_served() -> None:
    """Whatever the package holds (apart from the excluded) comes out with all its qubits."""
    for name in snapshots.names():
        document = snapshots.load(name)
        assert document.properties is not None
        assert len(document.properties["qubits"]) == document.configuration["n_qubits"], name


def test_names_are_configurable() -> None:
    """The name given is the one in both documents; without one it is the original's."""
    twin, original = snapshots.load("manila", "twin_manila"), snapshots.load("manila")

    assert twin.properties is not None
    assert twin.configuration["backend_name"] == twin.properties["backend_name"] == "twin_manila"
    assert original.configuration["backend_name"] == "ibmq_manila"


def test_descriptions_say_what_it_is_made_from() -> None:
    """Nobody should take the twin for the machine, nor forget how old its calibration is."""
    assert snapshots.load("manila", "twin").configuration["description"] == (
        "Simulated from a public calibration snapshot of ibmq_manila, 27 May 2024."
    )


@pytest.mark.parametrize("name", SERVED)
def test_default_configurations_are_in_shape(name: str) -> None:
    """Required keys, strict gates, one date, a version, no nulls: no client drops the device."""
    configuration = a_device(name).configuration
    dated = [text for text in texts(configuration) if re.match(r"\d{4}-\d\d-\d\d", text)]

    assert {*device.REQUIRED, *device.ESSENTIAL} <= set(configuration)
    assert all(value is not None for key, value in configuration.items() if key != "coupling_map")
    assert configuration["gates"]
    for gate in configuration["gates"]:
        assert set(gate) <= set(device.GATE_KEYS.split())
        assert isinstance(gate["qasm_def"], str)
        assert isinstance(gate["parameters"], list)
        assert gate.get("coupling_map", True)
    assert dated == [configuration["online_date"]]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", configuration["online_date"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", configuration["backend_version"])
    assert configuration["open_pulse"] is (OFFERED[name] in {"armonk", "manila", "lagos", "hanoi"})
    assert 0.1 < configuration.get("dt", 1) < 10


@pytest.mark.parametrize("name", SERVED)
def test_default_properties_are_in_shape(name: str) -> None:
    """Four keys in each record and each gate, T1 and T2 in front, gates of the basis only."""
    document = a_device(name)
    properties = document.properties
    assert properties is not None
    gates = properties["gates"]
    records = [r for qubit in properties["qubits"] for r in qubit] + [r for gate in gates for r in gate["parameters"]]

    assert all(set(r) == {"date", "name", "unit", "value"} for r in records + properties["general"])
    assert all([qubit[0]["name"], qubit[1]["name"]] == ["T1", "T2"] for qubit in properties["qubits"])
    assert all(set(gate) == {"qubits", "gate", "name", "parameters"} for gate in gates)
    assert {gate["gate"] for gate in gates} <= {"reset", *document.configuration["basis_gates"]}


@pytest.mark.parametrize(
    ("name", "qubits", "gates"),
    [
        ("ibmq_manila", [], []),
        ("ibm_hanoi", [], ["cx19_20", "cx5_8"]),
        ("ibm_kingston", [96, 112, 113, 131, 146], None),
    ],
)
def test_known_faults_are_marked(name: str, qubits: list[int], gates: list[str] | None) -> None:
    """What the calibration gave up on is out of operation, and nothing else."""
    properties = a_device(name).properties
    assert properties is not None

    def marked(records: list[dict[str, Any]]) -> bool:
        return any(r["name"] == "operational" and r["value"] == 0 for r in records)

    assert [index for index, qubit in enumerate(properties["qubits"]) if marked(qubit)] == qubits
    if gates is not None:
        assert sorted(gate["name"] for gate in properties["gates"] if marked(gate["parameters"])) == gates


def test_published_numbers_are_served_unchanged() -> None:
    """Normalising touches shape only: each measured number is the published one, until pulses last longer."""
    _, published = snapshots.read("manila")
    served = snapshots.untuned("manila").properties
    assert served is not None

    assert [[r["value"] for r in qubit] for qubit in served["qubits"]] == [
        [r["value"] for r in qubit] for qubit in published["qubits"]
    ]
    assert [[r["value"] for r in gate["parameters"]] for gate in served["gates"]] == [
        [r["value"] for r in gate["parameters"]] for gate in published["gates"]
    ]
