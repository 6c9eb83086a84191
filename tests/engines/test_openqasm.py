# SPDX-License-Identifier: Apache-2.0
"""OpenQASM texts mean what the language says, and hostile ones are refused with a reason."""

from typing import Any

import msgspec
import numpy as np
import openqasm3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from physics import LIMITS, Bench, Json, counts, gate, measure, program, target
from scipy.stats import chi2_contingency

from chandelier import errors
from chandelier.engines import child, compiler, openqasm, picture, programs, transcript
from chandelier.formats import qobj, tasks

SIMULATOR = target("ibmq_qasm_simulator")
#: Five qubits in the shape of a T, gates u1 to u3 and cx, no conditions.
ESSEX = target("ibmq_essex")
LIBRARY = 'include "qelib1.inc"; '
TWO = LIBRARY + "qreg q[2]; creg c[2]; "
#: Sixty gates, each twice the one before.
DOUBLING = "gate g0 a {}" + "".join(f"gate g{i + 1} a {{g{i} a; g{i} a;}}" for i in range(60))
THREE = 'OPENQASM 3.0; include "stdgates.inc"; '


def compiled(text: str, on: Any = SIMULATOR, shots: int = 1000, **more: Any) -> Json:
    """The Qobj that one text is made into."""
    body = msgspec.json.encode({"qasms": [{"qasm": text, **more}], "shots": shots, "seed": 11})
    made: Json = msgspec.json.decode(compiler.compiled(body, on, job_id="job").program)
    return made


def steps(text: str, on: Any = SIMULATOR) -> list[Json]:
    """The instructions that one text is made into."""
    return compiled(text, on)["experiments"][0]["instructions"]  # type: ignore[no-any-return]


def refusal(text: str, on: Any = SIMULATOR) -> errors.ProgramRefused:
    """Why a text is refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        compiled(text, on)
    return caught.value


def outcome(text: str) -> errors.ProgramRefused | None:
    """Why a text is refused; None if it is taken, and becomes a program that can be opened."""
    try:
        programs.open_(msgspec.json.encode(compiled(text)))
    except errors.ProgramRefused as error:
        return error
    return None


def probabilities(bench: Bench, text: str, outcomes: int, shots: int = 200) -> np.ndarray[Any, Any]:
    """What a simulator finds a text to do."""
    found = counts(bench.run(compiled(text, shots=shots), "ibmq_qasm_simulator"))
    return np.array([found.get(outcome, 0) / shots for outcome in range(outcomes)])


def test_a_text_is_the_program_that_it_says(bench: Bench) -> None:
    """The same circuit by text and by Qobj has the same distribution."""
    text = TWO + "u3(0.7,0.2,0.1) q[0]; ry(1.1) q[1]; cu1(0.9) q[0],q[1]; h q[0]; cx q[0],q[1]; measure q -> c;"
    same = program(
        [
            gate("u3", [0], 0.7, 0.2, 0.1),
            gate("ry", [1], 1.1),
            gate("cu1", [0, 1], 0.9),
            gate("h", [0]),
            gate("cx", [0, 1]),
            measure(0, 1),
        ],
        shots=20_000,
    )
    found = [counts(bench.run(wanted, "ibmq_qasm_simulator")) for wanted in (same, compiled(text, shots=20_000))]
    table = [[one.get(outcome, 0) for outcome in range(4)] for one in found]

    assert chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("head", ["", "OPENQASM 2.0;\n", "IBMQASM 2.0; // old\n", "// first\nOPENQASM 2;"])
def test_the_version_line_may_be_missing(head: str) -> None:
    """One client takes it away before it sends a text."""
    assert steps(f"{head}{LIBRARY}qreg q[1]; x q[0];") == [{"name": "x", "qubits": [0]}]


def test_the_gates_of_the_time() -> None:
    """`u0` is a wait of one `id`, and the builtin gates need no library."""
    assert [step["name"] for step in steps(TWO + "u0(1) q[0]; u1(1) q[0]; u2(1,2) q[0]; id q[1]; cx q[0],q[1];")] == [
        "id", "u1", "u2", "id", "cx",
    ]  # fmt: skip
    assert [step["name"] for step in steps("qreg q[2]; U(1,2,3) q[0]; CX q[0],q[1];")] == ["u", "cx"]


@pytest.mark.parametrize(("value", "expected"), [(1, [0, 0, 0, 1]), (2, [0, 1, 0, 0]), (7, [0, 1, 0, 0])])
def test_conditions_compare_a_register(bench: Bench, value: int, expected: list[float]) -> None:
    """`if(c==n)` looks at all bits of the register, the first lowest; a number too large for it never matches."""
    text = LIBRARY + f"qreg q[2]; creg c[1]; creg d[1]; x q[0]; measure q[0]->c[0]; if(c=={value}) x q[1]; "

    assert probabilities(bench, text + "measure q[1]->d[0];", 4) == pytest.approx(expected)


def test_conditions_of_two_bits(bench: Bench) -> None:
    """The second bit of a register counts two, also where another register is below it."""
    text = LIBRARY + "qreg q[2]; creg a[1]; creg c[2]; x q[1]; measure q->c; if(c==2) x q[0]; measure q[0]->a[0];"

    assert probabilities(bench, text, 8)[0b101] == 1


def test_a_gate_of_ones_own_goes_before_the_library(bench: Bench) -> None:
    """Many texts of the time define `swap`, or anything else, by themselves."""
    text = "gate swap a,b { x a; } gate twice(t) a { rx(t/2) a; rx(t/2) a; } " + TWO.replace(LIBRARY, "")
    moved = LIBRARY + text + "twice(pi) q[1]; swap q[0],q[1]; measure q->c;"

    assert probabilities(bench, moved, 4)[0b11] == 1


def test_an_opaque_gate_is_refused() -> None:
    """Nobody knows what it does; declaring one is no fault."""
    assert steps(TWO + "opaque magic(a) x; x q[0];")
    assert (refusal(TWO + "opaque magic(a) x; magic(1) q[0];").code, "magic") == (8010, "magic")


def test_branches_of_version_three(bench: Bench) -> None:
    """Both branches, one inside the other, by the bits as they were when the condition was met."""
    text = THREE + (
        "qubit[2] q; bit[2] c; x q[0]; c[0] = measure q[0]; "
        "if (c[0]) { x q[0]; c[0] = measure q[0]; if (c == 0) { x q[1]; } else { reset q[1]; } } else { h q[1]; } "
        "c[1] = measure q[1];"
    )
    assert probabilities(bench, text, 4)[0b10] == 1


def test_loops_of_version_three_are_unrolled() -> None:
    """With the number of the round as an angle."""
    found = steps(THREE + "qubit q; for int i in [1:3] { rx(i) q; }")

    assert [step["params"] for step in found] == [[1.0], [2.0], [3.0]]


def test_modifiers_of_version_three(bench: Bench) -> None:
    """Controls that want 0, powers and inverses."""
    text = THREE + "qubit[2] q; bit[2] c; negctrl @ x q[0], q[1]; pow(2) @ sx q[0]; inv @ s q[0]; c = measure q;"

    assert probabilities(bench, text, 4)[0b11] == 1


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("while (c == 1) { x q; }", 8010),
        ("switch (c) { case 1 { x q; } }", 8012),
        ("if (c > 1) { x q; }", 8012),
        ("for int i in [0:1] { break; }", 8010),
        ("input float a; rx(a) q;", 8010),
        ("x q", 8012),
        ("float a = 1.0;", 8012),
        ('include "/etc/passwd";', 8012),
    ],
)
def test_what_is_not_supported_of_version_three(statement: str, code: int) -> None:
    """It is refused in words, never dropped."""
    assert refusal(THREE + "qubit q; bit[2] c; " + statement).code == code


def test_the_message_names_program_and_line() -> None:
    """The line is that of the text as it was sent."""
    body = msgspec.json.encode({"qasms": [{"qasm": "qreg q[1];"}, {"qasm": TWO + "\n\n boom q[0];"}], "shots": 1})
    with pytest.raises(errors.ProgramRefused, match=r"Program 1: .*line 3, .*boom") as caught:
        compiler.compiled(body, SIMULATOR, job_id="job")

    assert caught.value.code == 8012


def test_a_text_stays_as_it_is_where_the_device_can_run_it() -> None:
    """Waits and all."""
    text = LIBRARY + "qreg q[2]; creg c[2]; u2(0,pi) q[0]; id q[0]; id q[0]; cx q[0],q[1]; measure q->c;"

    assert [step["name"] for step in steps(text, ESSEX)][:4] == ["u2", "id", "id", "cx"]


def test_a_text_is_transpiled_for_a_device_that_has_other_gates_or_couplings(bench: Bench) -> None:
    """The servers of the time did so; the outcome is that of the text, but for the noise."""
    text = (
        LIBRARY + "qreg q[5]; creg c[2]; x q[0]; h q[0]; h q[0]; cx q[0],q[4]; measure q[0]->c[0]; measure q[4]->c[1];"
    )
    made = compiled(text, ESSEX)
    names = {step["name"] for step in made["experiments"][0]["instructions"]}
    found = counts(bench.run(made, "ibmq_essex"))

    assert names <= ESSEX.basis | {"measure"}
    assert found[0b11] > 800
    assert made == compiled(text, ESSEX)


def test_conditions_on_a_device_without_them() -> None:
    """That, not its gates, is why the text is refused."""
    assert refusal(TWO + "h q[0]; if(c==1) x q[0];", ESSEX).code == 8010


def test_the_header_is_that_of_a_newer_client() -> None:
    """With the registers, and which qubit was measured into each slot."""
    text = LIBRARY + "qreg a[2]; qreg b[1]; creg c[1]; creg d[2]; measure b[0]->c[0]; measure a[1]->d[1];"
    (experiment,) = compiled(text, name="mine", metadata={"x": 1}, seed="77")["experiments"]
    header = experiment["header"]

    assert (header["name"], header["metadata"], experiment["config"]["seed_simulator"]) == ("mine", {"x": 1}, 77)
    assert (header["n_qubits"], header["memory_slots"]) == (3, 3)
    assert (header["qreg_sizes"], header["creg_sizes"]) == ([["a", 2], ["b", 1]], [["c", 1], ["d", 2]])
    assert header["clbit_labels"] == [["c", 0], ["d", 0], ["d", 1]]
    assert header["measured_qubits"] == [2, None, 1]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("qreg q[33];", 8005),
        ("qreg q[20]; qreg r[13];", 8005),
        (f"qreg q[{10**25}];", 8005),
        ("OPENQASM 3; qubit[100000000] q;", 8005),
        ("qreg q[1]; creg c[100000000];", 8005),
        ('include "/etc/passwd"; qreg q[1];', 8012),
        ('include "../../secret.inc"; qreg q[1];', 8012),
        ("OPENQASM 4.0; qreg q[1];", 8012),
        ("qreg q[1]; /* U(0,0,0) q[0];", 8012),
        (THREE + "qubit q; /* x q;", 8012),
        ("qreg q[1]; U(" + "(" * 100_000 + "1" + ")" * 100_000 + ",0,0) q[0];", None),
        (THREE + "qubit q; rx(" + "(" * 2000 + "1" + ")" * 2000 + ") q;", 8012),
        (THREE + "qubit q; " + "{" * 2000 + "}" * 2000, 8012),
        (TWO + DOUBLING + "g60 q;", 8013),
        (
            THREE + "gate g0 a {}" + "".join(f"gate g{i + 1} a {{g{i} a; g{i} a;}}" for i in range(60)) + "qubit q;",
            8013,
        ),
        (THREE + "qubit q; for int i in [0:1000000000] { }", 8013),
        (TWO + "u1(1/0) q[0];", 8012),
        (TWO + "u1(2^2^2^2^2^2) q[0];", 8004),
        (TWO + "u1(ln(0)) q[0];", None),
        ("", None),
        ("\N{SNOWMAN}", 8012),
    ],
    ids=lambda value: str(value)[:40],
)
def test_hostile_texts(text: str, code: int | None) -> None:
    """They are refused before they cost anything, with a reason; None marks what may be taken."""
    error = outcome(text)
    if error is None:
        assert code is None
    else:
        assert error.code == code or code is None
        assert error.message.startswith("Program 0: ")
        assert "root:" not in error.message


def test_too_many_qubits_in_the_words_that_a_client_knows() -> None:
    """One client makes an exception of its own from this message."""
    message = refusal("qreg q[6];", ESSEX).message

    assert "registers exceed the number of qubits, it can't be greater than 5" in message


def test_a_definition_thousands_deep() -> None:
    """No recursion is needed to get to its ground."""
    text = (
        "gate g0 a { U(0,0,0) a; }"
        + "".join(f"gate g{i + 1} a {{g{i} a;}}" for i in range(3000))
        + "qreg q[1]; g3000 q;"
    )

    assert [step["name"] for step in steps(text)] == ["u"]


_SOUP = (
    'OPENQASM 2.0; 3.0 include "qelib1.inc"; "stdgates.inc"; qreg creg q c [2]; [1] qubit bit gate opaque measure '
    "-> reset barrier if (c==1) else for int i in [0:2] while { } ( ) , ; x h cx U CX u3(1,2,pi) rx -1 1e999 / ^ "
    "+ sin @ ctrl inv pow(2) def return let // /* */ \N{SNOWMAN} \x00 g a q[0] c[0] = input const uint"
)
_WORDS = st.sampled_from(_SOUP.split(" "))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_WORDS, max_size=25).map(" ".join), st.sampled_from(["", TWO, THREE + "qubit[2] q; bit[2] c; "]))
def test_whatever_is_sent_is_taken_or_refused(text: str, head: str) -> None:
    """Nothing else comes out of any text."""
    error = outcome(head + text)

    assert error is None or error.code in errors.CODES


def test_many_plain_gates_of_version_three_are_not_copies() -> None:
    """Only definitions are copied by the importer; a definition in a loop is."""
    tree = openqasm3.parse("OPENQASM 3.0;\nqubit q;\n" + "x q;\n" * 50_100)
    assert openqasm._check_size(tree.statements, {}) == 0
    body = "gate big a { " + "U(0,0,0) a; " * 2000 + "}\nqubit q;\n"
    looped = "OPENQASM 3.0;\n" + body + "for int i in [0:9] { " + "big q; " * 30 + "}\n"
    with pytest.raises(errors.ProgramRefused) as caught:
        openqasm._check_size(openqasm3.parse(looped).statements, {})
    assert caught.value.code == 8013


@pytest.mark.parametrize(("bits", "shots", "fits"), [(10_000, 1000, True), (10_000, 4000, False), (12, 10**9, True)])
def test_an_answer_has_a_size(bits: int, shots: int, fits: bool) -> None:
    """Outcomes are bit strings as wide as the registers: few shots of wide ones, or many of narrow ones."""
    text = f"OPENQASM 2.0; qreg q[1]; creg c[{bits}]; measure q[0] -> c[0];"
    if fits:
        compiled(text, shots=shots)
        return
    with pytest.raises(errors.ProgramRefused) as caught:
        compiled(text, shots=shots)
    assert (caught.value.code, "shots" in caught.value.message) == (8013, True)


def test_a_budget_is_spent_by_all_programs_together() -> None:
    """Many small texts are one large job."""
    with pytest.raises(errors.ProgramRefused) as caught:
        transcript.of(openqasm.parse(TWO + "h q; h q;"), transcript.Budget(3))

    assert caught.value.code == 8013


def test_a_child_compiles_texts_when_it_validates(bench: Bench) -> None:
    """It writes the Qobj that is run, and a picture if one is wanted; running it needs nothing else."""
    sent, made, drawn = (bench.folder / name for name in ("sent.json", "made.json", "drawn.png"))
    sent.write_bytes(msgspec.json.encode({"qasms": [{"qasm": TWO + "x q[1]; measure q->c;"}], "shots": 10}))
    device, result = bench.file("ibmq_qasm_simulator"), bench.folder / "result.json"
    validate = tasks.Validate("job", str(sent), device, LIMITS, converted=str(made), picture=str(drawn))
    kept = child.Kept()
    for _ in range(2):  # a job may be checked again by the same child
        made.unlink(missing_ok=True)
        accepted = child.answer(tasks.encode(validate), kept)
        assert isinstance(accepted, tasks.Accepted), accepted
        assert qobj.decode_envelope(made.read_bytes()).qobj_id == "job"
    finished = child.answer(tasks.encode(tasks.Run("job", str(made), device, str(result), LIMITS)), child.Kept())

    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert isinstance(finished, tasks.Finished)
    assert counts(bench.last()) == {0b10: 10}


def test_large_circuits_are_not_drawn() -> None:
    """Nobody could read them."""
    assert picture.png(openqasm.parse(TWO + "h q;" * 200)) is None


@pytest.mark.parametrize(
    "declaration",
    ["bit[2000000 * 1000] c;", "bit[2000000000] c;", "qubit[40000 - 1] r;", "if (true) { bit[99999] c; }"],
)
def test_registers_of_version_three_are_counted_before_they_are_made(declaration: str) -> None:
    """The importer would make them all, and the child die of it."""
    with pytest.raises(errors.ProgramRefused) as caught:
        openqasm.parse(THREE + "qubit[2] q; " + declaration)
    assert (caught.value.code, str(openqasm.MAX_DECLARED) in caught.value.message) == (8012, True)


def test_the_size_of_a_register_may_be_reckoned() -> None:
    """From numbers."""
    assert openqasm.parse(THREE + "qubit[2 * 3 + 1 - 2] q;").num_qubits == 5
