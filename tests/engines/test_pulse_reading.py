# SPDX-License-Identifier: Apache-2.0
"""Instructions of pulses become steps, in their order; what cannot be played is refused by its place and reason."""

import copy
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chandelier import errors
from chandelier.engines.pulses import reading, steps, waveforms
from chandelier.formats import pulses, qobj

DATA = Path(__file__).parent.parent / "data"
PROGRAMS = {path.stem: path.read_bytes() for path in sorted(DATA.glob("*/pulse_*.json"))}
LIBRARY = {"mine": np.full(16, 0.5 + 0j)}
CONSTANT: dict[str, Any] = {
    "name": "parametric_pulse",
    "pulse_shape": "constant",
    "ch": "d0",
    "parameters": {"duration": 16, "amp": 0.5},
}
ACQUIRE: dict[str, Any] = {"name": "acquire", "duration": 100, "qubits": [0, 1], "memory_slot": [1, 0]}
BFUNC: dict[str, Any] = {"name": "bfunc", "mask": "0x3", "relation": "==", "val": "0x1", "register": 2}


def step(**fields: object) -> steps.Step:
    """The step of one instruction at time 0 of a schedule with two memory slots."""
    (found,) = schedule({"t0": 0} | fields)
    return found


def schedule(*instructions: dict[str, Any], slots: int = 2) -> tuple[steps.Step, ...]:
    """The steps of some instructions."""
    return reading.read(pulses.sequence(list(instructions)), LIBRARY, where="Experiment 0", slots=slots)


def program(body: bytes) -> list[tuple[steps.Step, ...]]:
    """The schedules of a whole program."""
    try:
        envelope = qobj.decode_envelope(body)
    except errors.Invalid as error:
        raise errors.ProgramRefused(error.message, error.code) from error
    library = pulses.library(envelope.config)
    found = []
    for index, raw in enumerate(envelope.experiments):
        experiment = pulses.decode_experiment(raw, index)
        slots = experiment.memory_slots or 0
        found.append(reading.read(experiment.instructions, library, where=f"Experiment {index}", slots=slots))
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_of_real_clients(name: str) -> None:
    """Every instruction of a client's program is one step, at its time and on its channel."""
    document = msgspec.json.decode(PROGRAMS[name])

    for found, wanted in zip(program(PROGRAMS[name]), document["experiments"], strict=True):
        assert [one.t0 for one in found] == [fields["t0"] for fields in wanted["instructions"]]
        channels = [fields.get("ch") for fields in wanted["instructions"]]
        assert [getattr(one, "channel", None) for one in found] == channels


def test_one_of_everything() -> None:
    """The kinds of instructions of a client's program are what they are, in SI units."""
    (found,) = program(PROGRAMS["pulse_misc"])

    assert found[:3] == (
        steps.Frequency(0, "d0", 4.75e9, absolute=True),
        steps.Frequency(0, "d0", 1e6),
        steps.Snapshot(0, "s1", "statevector"),
    )
    assert [type(one) for one in found[3:5]] == [steps.Play, steps.Play]
    assert [one.duration for one in found[3:5]] == [160, 320]
    assert found[5] == steps.Phase(160, "d0", 0.3, absolute=True)
    assert found[7:] == (steps.Wait(320, "d0", 64), steps.Acquire(384, 1600, (0,), (0,)))


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"name": "fc", "ch": "u12", "phase": -1}, steps.Phase(0, "u12", -1.0)),
        ({"name": "setp", "ch": "m0", "phase": 2.5}, steps.Phase(0, "m0", 2.5, absolute=True)),
        ({"name": "shiftf", "ch": "d1", "frequency": -0.3}, steps.Frequency(0, "d1", -0.3e9)),
        ({"name": "pv", "ch": "d0", "val": [0.3, -0.4]}, steps.Hold(0, "d0", 0.3 - 0.4j)),
        ({"name": "pv", "ch": "d0", "val": 1}, steps.Hold(0, "d0", 1.0 + 0j)),
        ({"name": "delay", "ch": "a0", "duration": 0}, steps.Wait(0, "a0", 0)),
        (ACQUIRE, steps.Acquire(0, 100, (0, 1), (1, 0))),
        (ACQUIRE | {"memory_slot": None}, steps.Acquire(0, 100, (0, 1), ())),
        (ACQUIRE | {"register_slot": [5, 6]}, steps.Acquire(0, 100, (0, 1), (1, 0), (5, 6))),
        ({"name": "snapshot", "label": "a", "type": "state"}, steps.Snapshot(0, "a", "state")),
        ({"name": "snapshot", "label": "a"}, steps.Snapshot(0, "a", "statevector")),
        (BFUNC, steps.Function(0, 3, "==", 1, 2)),
        (BFUNC | {"mask": 3, "val": 1, "relation": "=", "memory": [0]}, steps.Function(0, 3, "==", 1, 2, 0)),
        (BFUNC | {"relation": ">=", "register": [7]}, steps.Function(0, 3, ">=", 1, 7)),
        ({"name": "copy", "register_orig": 1, "register_copy": [2, 3]}, steps.Copy(0, 1, (2, 3))),
    ],
)
def test_steps_of_instructions(fields: dict[str, Any], wanted: steps.Step) -> None:
    """An instruction becomes the step that it means."""
    assert step(**fields) == wanted


def test_pulses_by_name_and_by_shape() -> None:
    """A pulse of the library and one of the same shape play the same samples."""
    named, shaped = step(name="mine", ch="m1"), step(**CONSTANT)

    assert isinstance(named, steps.Play)
    assert isinstance(shaped, steps.Play)
    assert named.channel == "m1"
    assert np.array_equal(named.samples, shaped.samples)
    assert shaped.samples is waveforms.samples("constant", {"duration": 16, "amp": 0.5})


def test_the_order_of_the_program_is_kept() -> None:
    """Steps come in the order in which they are written, whatever their times."""
    found = schedule({"name": "fc", "t0": 9, "ch": "d0", "phase": 1}, {"name": "fc", "t0": 3, "ch": "d0", "phase": 2})

    assert [one.t0 for one in found] == [9, 3]


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"name": "theirs", "ch": "d0"}, 8010, "the program has no pulse of this name"),
        ({"name": "mine", "ch": "d0", "conditional": 0}, 8010, "condition"),
        ({"name": "mine"}, 8004, "ch is missing"),
        ({"name": "mine", "ch": "q0"}, 8004, "ch is 'q0'"),
        ({"name": "mine", "ch": "d"}, 8004, "ch is 'd'"),
        ({"name": "mine", "ch": "d00"}, 8004, "ch is 'd00'"),
        ({"name": "mine", "ch": "d\u0663"}, 8004, "ch is 'd"),
        ({"name": "mine", "ch": "a0"}, 8004, "channel a0 only measures"),
        ({"name": "mine", "ch": "d0", "t0": -1}, 8004, "t0 is -1"),
        ({"name": "mine", "ch": "d0", "t0": 10**400}, 8004, "too many digits"),
        ({"name": "mine", "ch": "d0", "t0": 10**8 - 15}, 8004, "it ends at 100000001"),
        ({"name": "parametric_pulse", "ch": "d0"}, 8004, "needs pulse_shape and parameters"),
        (CONSTANT | {"pulse_shape": "round"}, 8010, "'round'"),
        (CONSTANT | {"parameters": {"duration": 16, "amp": 2}}, 8004, "a magnitude of 2"),
        ({"name": "fc", "ch": "d0"}, 8004, "phase is missing"),
        ({"name": "fc", "ch": "d0", "phase": "-(P0)"}, 8004, "phase is '-(P0)'"),
        ({"name": "fc", "ch": "d0", "phase": 1e10}, 8004, "phase is 1e+10"),
        ({"name": "setf", "ch": "d0"}, 8004, "needs a frequency"),
        ({"name": "setf", "ch": "d0", "frequency": 4.9e9}, 8004, "4.9e+09 GHz"),
        ({"name": "pv", "ch": "d0"}, 8004, "val is missing"),
        ({"name": "pv", "ch": "d0", "val": [1]}, 8004, "val is a list"),
        ({"name": "pv", "ch": "d0", "val": [True, 0]}, 8004, "val is a list"),
        ({"name": "pv", "ch": "d0", "val": [0.8, 0.8]}, 8004, "val is more than 1"),
        ({"name": "pv", "ch": "d0", "val": 10**400}, 8004, "val is more than 1"),
        ({"name": "delay", "ch": "d0"}, 8004, "duration is missing"),
        ({"name": "delay", "ch": "d0", "duration": -1}, 8004, "duration is -1"),
        (ACQUIRE | {"duration": 0}, 8004, "duration is 0"),
        (ACQUIRE | {"qubits": []}, 8004, "needs qubits"),
        (ACQUIRE | {"memory_slot": [0]}, 8004, "2 qubits into 1 memory slots"),
        (ACQUIRE | {"register_slot": [0]}, 8004, "2 qubits into 1 register slots"),
        (ACQUIRE | {"qubits": [1, 1]}, 8005, "a qubit twice"),
        (ACQUIRE | {"memory_slot": [1, 1]}, 8005, "a memory slot twice"),
        (ACQUIRE | {"register_slot": [1, 1]}, 8005, "a register slot twice"),
        (ACQUIRE | {"memory_slot": [0, 2]}, 8005, "no memory slot 2"),
        (ACQUIRE | {"register_slot": [0, 10_000]}, 8005, "no slot 10000"),
        ({"name": "snapshot"}, 8004, "needs a label"),
        (BFUNC | {"mask": None}, 8004, "needs mask"),
        (BFUNC | {"register": []}, 8004, "one register"),
        (BFUNC | {"register": 10_000}, 8005, "no slot 10000"),
        (BFUNC | {"memory": 2}, 8005, "no memory slot 2"),
        (BFUNC | {"relation": "~"}, 8004, "relation is '~'"),
        (BFUNC | {"mask": "3x"}, 8004, "mask is '3x'"),
        (BFUNC | {"val": -1}, 8004, "val is -1"),
        (BFUNC | {"val": [1]}, 8004, "val is a list"),
        (BFUNC | {"val": 1.5}, 8004, "val is 1.5"),
        (BFUNC | {"mask": 2**256}, 8010, "mask has 257 bits"),
        ({"name": "copy", "register_orig": 1}, 8004, "needs register_orig and register_copy"),
        ({"name": "copy", "register_orig": 1, "register_copy": 10_000}, 8005, "no slot 10000"),
    ],
)
def test_what_cannot_be_played_is_named(fields: dict[str, Any], code: int, words: str) -> None:
    """An instruction that is wrong is refused with its place, its name and its reason."""
    with pytest.raises(errors.ProgramRefused) as refused:
        step(**fields)

    assert refused.value.code == code
    assert refused.value.message.startswith(f"Experiment 0, instruction 0 ({fields['name']}): ")
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({**CONSTANT, "t0": 0}, {"name": "mine", "ch": "d0", "t0": 15}, "channel d0 plays a pulse until 16"),
        ({**CONSTANT, "t0": 15}, {"name": "mine", "ch": "d0", "t0": 0}, "channel d0 plays a pulse until 16"),
        ({**CONSTANT, "t0": 0}, {"name": "pv", "ch": "d0", "val": 0, "t0": 8}, "something else begins on it at 8"),
        ({**ACQUIRE, "t0": 0}, {**ACQUIRE, "t0": 99}, "channel a0 measures its qubit until 100"),
    ],
)
def test_a_channel_does_one_thing_at_a_time(first: dict[str, Any], second: dict[str, Any], words: str) -> None:
    """Pulses that overlap on a channel, and measurements that overlap on a qubit, are refused."""
    with pytest.raises(errors.ProgramRefused) as refused:
        schedule(first, second)

    assert refused.value.code == 8005
    assert words in refused.value.message


def test_what_may_be_at_the_same_time() -> None:
    """Pulses one after another or on several channels, turns of frames, and waits do not disturb each other."""
    instructions = [
        {**CONSTANT, "t0": 16},
        {"name": "pv", "ch": "d0", "val": 0, "t0": 32},
        {**CONSTANT, "t0": 0},
        {**CONSTANT, "t0": 0, "ch": "d1"},
        {"name": "pv", "ch": "d0", "val": 0, "t0": 0},
        {"name": "fc", "ch": "d0", "phase": 1, "t0": 16},
        {"name": "fc", "ch": "d1", "phase": 1, "t0": 16},
        {"name": "fc", "ch": "u0", "phase": 1, "t0": 8},
        {"name": "delay", "ch": "d0", "duration": 90, "t0": 1},
        {**ACQUIRE, "t0": 0},
        {**ACQUIRE, "t0": 100},
    ]

    assert len(schedule(*instructions)) == len(instructions)


@pytest.mark.parametrize("change", [{"name": "fc", "phase": 1}, {"name": "setf", "frequency": 5.0}])
def test_a_pulse_keeps_its_frame(change: dict[str, Any]) -> None:
    """A frame or a frequency that changed while a pulse plays would have to cut it; it is refused with both times."""
    with pytest.raises(errors.ProgramRefused, match=r"until 16, and something else begins on it at 8") as refused:
        schedule({**CONSTANT, "t0": 0}, {**change, "ch": "d0", "t0": 8})
    assert refused.value.code == 8005


def test_a_schedule_that_would_fill_the_memory() -> None:
    """Long pulses are refused once there are too many of them, although each may be played."""
    long = CONSTANT | {"parameters": {"duration": 4_000_000, "amp": 0.1}}

    with pytest.raises(errors.ProgramRefused, match=r"instruction 2 .* 12000000 samples") as refused:
        schedule(*[long | {"t0": number * 4_000_000} for number in range(3)])
    assert refused.value.code == 8004


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a document something could be changed, but for the middle of long lists."""
    found = [path]
    if isinstance(value, dict):
        items = list(value.items())
    else:
        items = list(enumerate(value))[:8] if isinstance(value, list) else []
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


DOCUMENTS = {name: msgspec.json.decode(body) for name, body in PROGRAMS.items()}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | st.sampled_from(["d0", "bfunc", "copy", "pv", "setp", "snapshot", "acquire", 10**30, -1, 1e300, "0x1", "=="]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_of_a_program_is_read_or_refused(data: st.DataObject) -> None:
    """A program of a client with some values replaced or left out gives steps or a refusal, and nothing else."""
    document = copy.deepcopy(DOCUMENTS[data.draw(st.sampled_from(sorted(DOCUMENTS)))])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(document)[1:] or [("qobj_id",)]))
        inner = document
        for key in path[:-1]:
            inner = inner[key]
        if data.draw(st.booleans()):
            inner[path[-1]] = data.draw(JSON)
        elif path[-1] in inner if isinstance(inner, dict) else path[-1] < len(inner):
            del inner[path[-1]]
    code, count = 0, len(document.get("experiments") or ())
    try:
        count -= len(program(msgspec.json.encode(document)))
    except errors.ProgramRefused as error:
        code = error.code

    assert code in {8000, 8004, 8005, 8006, 8010} or count == code == 0
