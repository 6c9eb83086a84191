# SPDX-License-Identifier: Apache-2.0
"""Qobj envelopes and experiments are read by allow-list, and what is wrong with one is named."""

import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier import errors
from chandelier.formats import qobj

SAMPLES = Path(__file__).parent.parent / "data" / "qobj"
GOOD: dict[str, Any] = {
    "qobj_id": "one",
    "type": "QASM",
    "schema_version": "1.3.0",
    "header": {"backend_name": "ibmq_manila"},
    "config": {"shots": 100},
    "experiments": [{"instructions": [{"name": "x", "qubits": [0]}]}],
}


def decoded(**changes: object) -> qobj.Envelope:
    """The envelope of a good program with some changes; a change to ... leaves a key out."""
    document = {key: value for key, value in (GOOD | changes).items() if value is not ...}
    return qobj.decode_envelope(msgspec.json.encode(document))


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_programs_of_real_clients(path: Path) -> None:
    """Every complete program that a client made is read, with its experiments left for later."""
    body = path.read_bytes()
    if path.stem == "ifelse":  # cut off by the client, which cannot write this instruction
        with pytest.raises(errors.Invalid):
            qobj.decode_envelope(body)
        return
    envelope = qobj.decode_envelope(body)
    raw = msgspec.json.decode(body)

    assert envelope.type == raw["type"]
    assert qobj.shots(envelope) == raw["config"]["shots"]
    assert len(envelope.experiments) == len(raw["experiments"])
    assert msgspec.json.decode(envelope.header) == raw["header"]


def test_instructions_of_real_clients() -> None:
    """Every instruction of a client's circuits keeps its name, qubits and parameters."""
    for path in sorted(SAMPLES.glob("*.json")):
        if path.stem in {"ifelse", "pulse_rabi_armonk_ml2"}:
            continue
        raw = msgspec.json.decode(path.read_bytes())
        envelope = qobj.decode_envelope(path.read_bytes())
        for index, experiment in enumerate(envelope.experiments):
            for step, wanted in zip(
                qobj.decode_experiment(experiment, index).instructions,
                raw["experiments"][index]["instructions"],
                strict=True,
            ):
                assert step.name == wanted["name"]
                assert list(step.qubits or ()) == wanted.get("qubits", [])
                assert step.params == wanted.get("params")
                assert step.conditional == wanted.get("conditional")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"qobj_id": ...}, ["qobj_id"]),
        ({"qobj_id": 5}, ["qobj_id"]),
        ({"type": ...}, ["type"]),
        ({"type": "PROSE"}, ["type", "'PROSE'", "QASM"]),
        ({"type": 7}, ["type", "7"]),
        ({"type": True}, ["type"]),
        ({"experiments": ...}, ["experiments"]),
        ({"experiments": []}, ["0 experiments"]),
        ({"experiments": {}}, ["experiments"]),
        ({"experiments": [[]]}, ["experiments[0]"]),
        ({"experiments": [{}, "x"]}, ["experiments[1]"]),
        ({"config": {"shots": True}}, ["shots", "bool"]),
        ({"config": {"shots": 1.5}}, ["shots", "float"]),
        ({"config": {"shots": "many"}}, ["shots", "str"]),
        ({"config": []}, ["config"]),
        ({"config": {"memory_slots": -1}}, ["memory_slots"]),
        ({"config": {"memory_slots": 10**9}}, ["memory_slots"]),
        ({"header": []}, ["header"]),
        ({"header": "x"}, ["header"]),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], words: list[str]) -> None:
    """An envelope with a missing or wrong field is invalid, and the message names the field."""
    with pytest.raises(errors.Invalid) as invalid:
        decoded(**changes)

    assert invalid.value.code == 8000
    for word in words:
        assert word in invalid.value.message


@pytest.mark.parametrize("shots", [0, -3, 10**30])
def test_a_number_of_shots_that_no_device_takes(shots: int) -> None:
    """A number of shots outside every range has the code of shots, and is told."""
    with pytest.raises(errors.Invalid) as invalid:
        decoded(config={"shots": shots})

    assert invalid.value.code == 8006
    assert "at least 1, and at most the `max_shots`" in invalid.value.message
    assert str(shots) in invalid.value.message


@pytest.mark.parametrize("key", ["experiments", "experiements"])
@pytest.mark.parametrize("element", [b"{}", b"0", b"[]"])
def test_a_list_that_is_too_long_is_never_made(key: str, element: bytes) -> None:
    """Millions of experiments are refused without an object for each of them."""
    body = b'{"qobj_id": "", "type": 0, "%s": [%s]}' % (key.encode(), b",".join([element] * 2_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(errors.Invalid) as invalid:
            qobj.decode_envelope(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert invalid.value.code == 8000
    assert f"more than {qobj.MAX_EXPERIMENTS} experiments" in invalid.value.message
    assert peak < 10 << 20


def test_as_many_experiments_as_possible() -> None:
    """The longest list that is taken is read whole and in order, nulls included in the count."""
    envelope = decoded(experiments=[{"header": {"number": index}} for index in range(qobj.MAX_EXPERIMENTS)])

    assert len(envelope.experiments) == 10_000
    assert bytes(envelope.experiments[-1]) == b'{"header":{"number":9999}}'
    with pytest.raises(errors.Invalid, match=r"experiments\[1\]"):
        decoded(experiments=[{}, None])


def test_documents_of_the_settings_stay_undecoded() -> None:
    """A large noise model takes no more memory in an envelope than its JSON."""
    model = b'{"errors": [%s]}' % b",".join([b"{}"] * 2_000_000)
    body = b'{"qobj_id": "", "type": 0, "config": {"noise_model": %s}, "experiments": [{}]}' % model
    tracemalloc.start()
    try:
        envelope = qobj.decode_envelope(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert bytes(envelope.config.noise_model) == model
    assert envelope.config.calibrations == qobj.ABSENT
    assert peak < 1 << 20


@pytest.mark.parametrize(("raw", "read"), [(b"null", {}), (b"{}", {}), (b'{"a": [1]}', {"a": [1]})])
def test_a_document_of_the_settings(raw: bytes, read: dict[str, object]) -> None:
    """A document is decoded on request; one that was left out is empty."""
    assert qobj.document(msgspec.Raw(raw)) == read


@pytest.mark.parametrize("raw", [b"1", b'"x"', b"[]", b"{"])
def test_a_document_that_is_no_object(raw: bytes) -> None:
    """A document that is no object makes the program a wrong one."""
    with pytest.raises(errors.ProgramRefused) as refusal:
        qobj.document(msgspec.Raw(raw))

    assert refusal.value.code == 8000


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b"{", b"[" * 100_000, b'{"a": NaN}'])
def test_what_is_no_object(body: bytes) -> None:
    """Bytes that are not a JSON object are invalid."""
    with pytest.raises(errors.Invalid):
        qobj.decode_envelope(body)


@given(st.binary() | st.text().map(str.encode) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner),
).map(msgspec.json.encode))  # fmt: skip
def test_any_bytes_are_read_or_invalid(body: bytes) -> None:
    """Nothing but the documented error comes out of any bytes."""
    try:
        envelope = qobj.decode_envelope(body)
        for index, experiment in enumerate(envelope.experiments):
            qobj.decode_experiment(experiment, index)
    except (errors.Invalid, errors.ProgramRefused):
        pass


def test_leniency() -> None:
    """Unknown keys, nulls, a number for the type, a misspelt key and any schema version are accepted."""
    envelope = decoded(
        type=1, extra=[1], header=None, config=None, schema_version=None, experiments=..., experiements=[{}]
    )

    assert envelope.type == "PULSE"
    assert bytes(envelope.header) == b"{}"
    assert qobj.shots(envelope) == 1024
    assert len(envelope.experiments) == 1
    assert decoded(header=...).header is not None


def test_headers_are_not_touched() -> None:
    """An experiment's header is kept byte for byte, and nonsense in it is not an error."""
    text = b'{"n_qubits": "two",  "memory_slots": -1, "global_phase": "pi", "x": 1.50}'
    raw = msgspec.Raw(b'{"header": ' + text + b', "instructions": []}')
    experiment = qobj.decode_experiment(raw, 0)

    assert bytes(experiment.header) == text
    assert (experiment.n_qubits, experiment.memory_slots, experiment.global_phase) == (None, None, 0.0)


def test_the_place_of_a_mistake() -> None:
    """A mistake inside an experiment is told with its place."""
    raw = msgspec.Raw(b'{"instructions": [{"name": "x"}, {"name": "x", "qubits": [0.5]}]}')
    with pytest.raises(errors.ProgramRefused) as refusal:
        qobj.decode_experiment(raw, 3)

    assert "Experiment 3" in refusal.value.message
    assert "instructions[1].qubits[0]" in refusal.value.message


def test_settings_of_an_experiment_go_first() -> None:
    """What an experiment leaves out comes from the program."""
    common = qobj.Config(shots=10, memory=True)

    assert qobj.merged(common, qobj.Config(shots=20)) == qobj.Config(shots=20, memory=True)
    assert qobj.merged(common, qobj.Config()) is common


@pytest.mark.parametrize(("value", "number"), [(5, 5), ("0x1f", 31), ("1F", 31), (0, 0)])
def test_masks(value: int | str, number: int) -> None:
    """A mask is an integer or hexadecimal text."""
    assert qobj.number(value) == number


@pytest.mark.parametrize("value", [-1, "-0x1", "zz", ""])
def test_masks_that_are_none(value: int | str) -> None:
    """A mask is not negative."""
    with pytest.raises(ValueError, match=r"."):
        qobj.number(value)


def test_slots() -> None:
    """One slot or a list of them."""
    assert [qobj.slots(value) for value in (None, 3, (1, 2))] == [(), (3,), (1, 2)]
