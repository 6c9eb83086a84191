# SPDX-License-Identifier: Apache-2.0
"""Programs of pulses are read by allow-list, and what is wrong with one is named."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier import errors
from chandelier.formats import pulses, qobj

DATA = Path(__file__).parent.parent / "data"
PROGRAMS = sorted([*DATA.glob("pulses/pulse_*.json"), *DATA.glob("qobj/pulse_*.json")])


def raw(value: object) -> msgspec.Raw:
    """A value as undecoded JSON."""
    return msgspec.Raw(msgspec.json.encode(value))


def experiment(**fields: object) -> pulses.Experiment:
    """An experiment with one instruction."""
    return pulses.decode_experiment(raw({"instructions": [{"name": "fc", "t0": 0} | fields]}), 3)


def config(**settings: object) -> qobj.Config:
    """Settings, decoded as those of a program."""
    return msgspec.json.decode(msgspec.json.encode(settings), type=qobj.Config)


def drawn(*samples: object, name: str = "mine") -> dict[str, Any]:
    """A pulse of a library."""
    return {"name": name, "samples": samples}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs_of_real_clients(path: Path) -> None:
    """Every field of every instruction that a client wrote is kept."""
    document = msgspec.json.decode(path.read_bytes())
    envelope = qobj.decode_envelope(path.read_bytes())

    assert envelope.type == "PULSE"
    for index, (one, wanted) in enumerate(zip(envelope.experiments, document["experiments"], strict=True)):
        found = pulses.decode_experiment(one, index)
        assert msgspec.json.decode(found.header) == wanted["header"]
        assert found.memory_slots == wanted["header"]["memory_slots"]
        for step, fields in zip(found.instructions, wanted["instructions"], strict=True):
            kept = {key: value for key, value in msgspec.to_builtins(step).items() if value is not None}
            assert msgspec.json.decode(msgspec.json.encode(kept)) == fields


def test_settings_of_real_clients() -> None:
    """Frequencies come out in Hz, the size of a slot and the library as they were sent."""
    envelope = qobj.decode_envelope((DATA / "pulses" / "pulse_misc.json").read_bytes())
    library = pulses.library(envelope.config)

    assert pulses.frequencies(envelope.config.qubit_lo_freq, "qubit_lo_freq") == pytest.approx(
        (4.74e9, 4.660914072609433e9, 4.792493277895261e9, 4.834410370035304e9, 4.959527978256725e9)
    )
    assert pulses.slot_size(envelope.config) == 100
    assert [samples.tolist() for samples in library.values()] == [[0.1 + 0.05j] * 160]
    assert not next(iter(library.values())).flags.writeable


def test_settings_left_out() -> None:
    """Without settings there are no frequencies and no library, and slots have the usual size."""
    assert pulses.frequencies(config().meas_lo_freq, "meas_lo_freq") is None
    assert pulses.library(config()) == {}
    assert pulses.slot_size(config(memory_slot_size=None)) == pulses.DEFAULT_SLOT_SIZE


def test_an_experiment_has_frequencies_of_its_own() -> None:
    """The frequencies of an experiment replace those of the program, and the others stay."""
    both = qobj.merged(config(qubit_lo_freq=[5], meas_lo_freq=[7]), config(qubit_lo_freq=[5.1]))

    assert pulses.frequencies(both.qubit_lo_freq, "qubit_lo_freq") == (5.1e9,)
    assert pulses.frequencies(both.meas_lo_freq, "meas_lo_freq") == (7e9,)


@pytest.mark.parametrize("odd", [None, "x", {"a": 1}, [None], -1, 1e300, [["x"]]])
def test_circuits_may_carry_odd_settings(odd: object) -> None:
    """What only pulses have is not looked at in a program of circuits."""
    settings = dict.fromkeys(("qubit_lo_freq", "meas_lo_freq", "pulse_library", "memory_slot_size"), odd)
    body = {
        "qobj_id": "",
        "type": "QASM",
        "config": settings,
        "experiments": [{"instructions": [], "config": settings}],
    }

    envelope = qobj.decode_envelope(msgspec.json.encode(body))

    assert qobj.decode_experiment(envelope.experiments[0], 0).instructions == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": None}, "name"),
        ({"t0": None}, "t0"),
        ({"t0": 1.5}, "t0"),
        ({"t0": "0"}, "t0"),
        ({"ch": 0}, "ch"),
        ({"duration": 1.5}, "duration"),
        ({"frequency": "5"}, "frequency"),
        ({"phase": []}, "phase"),
        ({"parameters": []}, "parameters"),
        ({"qubits": 0}, "qubits"),
        ({"qubits": [-1]}, "qubits"),
        ({"memory_slot": [10**9]}, "memory_slot"),
        ({"kernels": ["boxcar"]}, "kernels"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, object], words: str) -> None:
    """A field of a wrong type refuses the program; the message names the experiment and the field."""
    with pytest.raises(errors.ProgramRefused) as refused:
        experiment(**fields)

    assert refused.value.code == 8000
    assert refused.value.message.startswith("Experiment 3: ")
    assert words in refused.value.message


@pytest.mark.parametrize("document", [{}, {"instructions": {}}, {"instructions": [], "header": []}, [], 3, None])
def test_what_is_no_experiment(document: object) -> None:
    """An experiment of another form is refused."""
    with pytest.raises(errors.ProgramRefused, match="Experiment 0: ") as refused:
        pulses.decode_experiment(raw(document), 0)

    assert refused.value.code == 8000


def test_kernels_and_discriminators() -> None:
    """Kernels and discriminators keep their names and parameters."""
    step = experiment(kernels=[{"name": "boxcar", "params": {"start_window": 0}}], discriminators=[{"name": "linear"}])

    assert step.instructions[0].kernels == (pulses.Option("boxcar", {"start_window": 0}),)
    assert step.instructions[0].discriminators == (pulses.Option("linear"),)


def test_pulses_of_a_gate() -> None:
    """The pulses of a gate may have phases that name its parameters, and other keys are ignored."""
    (step,) = pulses.sequence([{"name": "fc", "t0": 0, "ch": "d0", "phase": "-(P0)", "colour": "red"}])

    assert step == pulses.Instruction("fc", 0, ch="d0", phase="-(P0)")


@pytest.mark.parametrize("values", [[{}], ["x"], {"name": "fc"}, 3])
def test_pulses_of_a_gate_that_are_none(values: Any) -> None:
    """A sequence of another form is refused."""
    with pytest.raises(errors.ProgramRefused, match="The pulses of a gate: "):
        pulses.sequence(values)


def test_samples_are_numbers_or_pairs() -> None:
    """A sample may be real; one that is too large by rounding alone becomes 1."""
    samples = pulses.library(config(pulse_library=[drawn(0.5, [0, -1], [1.0000001, 0])]))["mine"]

    assert samples.tolist() == [0.5, -1j, 1]


def test_a_pulse_may_come_twice() -> None:
    """The same pulse twice is one; two pulses with one name are refused."""
    assert list(pulses.library(config(pulse_library=[drawn(1), drawn([1, 0])]))) == ["mine"]
    with pytest.raises(errors.ProgramRefused, match="two pulses with the name 'mine'"):
        pulses.library(config(pulse_library=[drawn(1), drawn(0.5)]))


@pytest.mark.parametrize(
    ("library", "code", "words"),
    [
        ([drawn()], 8004, "'mine' has no samples"),
        ([drawn(0, 1.1)], 8004, "'mine' has a sample of magnitude 1.1"),
        ([drawn([0.8, 0.8])], 8004, "'mine' has a sample of magnitude 1.13"),
        ([drawn(1.7e308, [1.7e308, 1.7e308])], 8004, "'mine' has a sample of magnitude inf"),
        ([drawn("1")], 8000, "samples"),
        ([drawn([1])], 8000, "samples"),
        ([drawn(None)], 8000, "samples"),
        ([{"samples": [1]}], 8000, "name"),
        ({}, 8000, "pulse library"),
        ("x", 8000, "pulse library"),
        ([drawn(*[0] * 600_000, name=name) for name in "ab"], 8004, "1200000 samples"),
        ([drawn(*[0] * 3_100_000)], 8004, "more than 1000000 samples"),
    ],
)
def test_libraries_that_cannot_be_played(library: Any, code: int, words: str) -> None:
    """Samples that are no numbers, too large or too many are refused, and the message names the pulse."""
    with pytest.raises(errors.ProgramRefused) as refused:
        pulses.library(config(pulse_library=library))

    assert refused.value.code == code
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("value", "code"),
    [([5, "x"], 8000), ({}, 8000), (5, 8000), ([0], 8004), ([-5], 8004), ([1001], 8004), ([5] * 10_001, 8004)],
)
def test_frequencies_out_of_range(value: object, code: int) -> None:
    """Frequencies that no device has are refused with the name of the setting."""
    with pytest.raises(errors.ProgramRefused, match="The setting qubit_lo_freq ") as refused:
        pulses.frequencies(raw(value), "qubit_lo_freq")

    assert refused.value.code == code


@pytest.mark.parametrize(("value", "code"), [("x", 8000), (1.5, 8000), (0, 8004), (-1, 8004), (10**6, 8004)])
def test_sizes_of_slots_out_of_range(value: object, code: int) -> None:
    """A size that no slot can have is refused."""
    with pytest.raises(errors.ProgramRefused, match="memory_slot_size") as refused:
        pulses.slot_size(config(memory_slot_size=value))

    assert refused.value.code == code


@given(st.lists(st.one_of(st.floats(-1, 1), st.tuples(st.floats(-0.7, 0.7), st.floats(-0.7, 0.7))), min_size=1))
def test_samples_are_kept(values: list[Any]) -> None:
    """What a user draws is what is played."""
    wanted = np.array([complex(*value) if isinstance(value, tuple) else value for value in values])

    assert np.array_equal(pulses.library(config(pulse_library=[drawn(*values)]))["mine"], wanted)
