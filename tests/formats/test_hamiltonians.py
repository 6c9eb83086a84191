# SPDX-License-Identifier: Apache-2.0
"""Published Hamiltonians become the numbers of a model, and what the model has not is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier import errors
from chandelier.formats import hamiltonians, snapshots

#: Two coupled qubits, whose second is also driven through a control channel.
TWO: dict[str, Any] = {
    "h_str": [
        "_SUM[i,0,1,wq{i}/2*(I{i}-Z{i})]",
        "_SUM[i,0,1,delta{i}/2*O{i}*O{i}]",
        "_SUM[i,0,1,-delta{i}/2*O{i}]",
        "_SUM[i,0,1,omegad{i}*X{i}||D{i}]",
        "jq0q1*Sp0*Sm1",
        "jq0q1*Sm0*Sp1",
        "omegad0*X1||U0",
    ],
    "vars": {"wq0": 30.0, "wq1": 31, "delta0": -2.0, "delta1": -2.5, "omegad0": 0.5, "omegad1": 0.25, "jq0q1": 0.01},
    "osc": {},
    "qub": {"0": 3, "1": 3},
}


def changed(*terms: str, **values: float) -> hamiltonians.Hamiltonian:
    """The Hamiltonian of `TWO` with more terms and other values."""
    return hamiltonians.parse({"h_str": [*TWO["h_str"], *terms], "vars": TWO["vars"] | values})


def published() -> list[str]:
    """The snapshots that have a Hamiltonian with terms."""
    return [name for name in snapshots.names() if snapshots.read(name)[0].get("hamiltonian", {}).get("h_str")]


def test_the_numbers_of_two_qubits() -> None:
    """Frequencies, anharmonicities, couplings and drives come out in rad/s, by qubit, pair and channel."""
    assert hamiltonians.parse(TWO) == hamiltonians.Hamiltonian(
        qubits={0: hamiltonians.Qubit(30e9, -2e9), 1: hamiltonians.Qubit(31e9, -2.5e9)},
        couplings={(0, 1): 0.01e9},
        drives={
            "d0": hamiltonians.Drive(0, 0.5e9),
            "d1": hamiltonians.Drive(1, 0.25e9),
            "u0": hamiltonians.Drive(1, 0.5e9),
        },
    )


def test_every_published_hamiltonian() -> None:
    """All snapshots that publish a Hamiltonian are read, and every value of theirs has its place."""
    names = published()
    for name in names:
        configuration = snapshots.read(name)[0]
        document = configuration["hamiltonian"]
        values = {key: 1e9 * value for key, value in document["vars"].items()}
        found = hamiltonians.parse(document)

        assert list(found.qubits) == list(range(configuration["n_qubits"])), name
        for index, qubit in found.qubits.items():
            assert qubit.frequency == pytest.approx(values[f"wq{index}"], rel=1e-15)
            assert qubit.anharmonicity == pytest.approx(values[f"delta{index}"], rel=1e-15)
            assert found.drives[f"d{index}"].qubit == index
        assert {f"jq{a}q{b}": value for (a, b), value in found.couplings.items()} == pytest.approx(
            {key: value for key, value in values.items() if key.startswith("jq")}
        )
    assert len(names) == 49


def test_control_channels_drive_at_the_place_of_their_control() -> None:
    """A control channel acts on the qubit that is not the one whose frequency it has."""
    configuration = snapshots.read("manila")[0]
    found = hamiltonians.parse(configuration["hamiltonian"])

    for number, los in enumerate(configuration["u_channel_lo"]):
        assert tuple(sorted((found.drives[f"u{number}"].qubit, los[0]["q"]))) in found.couplings


def test_json_text_is_the_same() -> None:
    """A Hamiltonian that is a text instead of an object is read as well."""
    assert hamiltonians.parse(json.dumps(TWO)) == hamiltonians.parse(TWO)


def test_other_ways_to_write_the_same() -> None:
    """Terms may be split, nested in parentheses, spaced, and given with numbers in place of names."""
    terms = [
        "30 * O0 + 2*(31/2*(I1 - Z1))/2",
        "-2.0/2*(O0*O0 - O0) + -(2.5e0)/2*O1*O1 - -2.5/2*O1",
        "_SUM[a,0,0,_SUM[b,1,1,jq{a}q{b}*Sm{b}*Sp{a}]]",
        "(jq0q1/2)*Sm0*Sp1 + jq0q1*Sm0*Sp1/2",
        "omegad0/2*X0||D0",
        "omegad0/2*X0 || D0",
        "omegad1*X1||D1",
        "omegad0*X1||U0",
    ]

    assert hamiltonians.parse({"h_str": terms, "vars": TWO["vars"]}) == hamiltonians.parse(TWO)


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ("jq0q2*Sp0*Sm1", "'jq0q2' is no value of `vars`"),
        ("wq0*Q0", "'Q0' is no value of `vars` and no operator"),
        ("wq0*X0", "does not know its term X0"),
        ("wq0*O0*O1", "does not know its term O0*O1"),
        ("jq0q1*Sp0*Sm0", "does not know its term Sp0*Sm0"),
        ("wq0*Sp1*Sm2", "Sp1*Sm2 is there without its conjugate"),
        ("wq0*Sp0*Sm1", "without its conjugate, or with another value"),
        ("wq0*O0*O0*O0", "more than two operators"),
        ("wq0*O0||U1", "does not know that channel u1 drives O0"),
        ("wq0*X0||U0", "channel u0 drives 2 operators"),
        ("wq0*X7||U1", "channel u1 drives qubit 7, which has no other terms"),
        ("wq0*X0||M0", "'M0' is no channel"),
        ("wq0*X0||D0||D1", "'D0||D1' is no channel"),
        ("wq0*(O0", "a parenthesis is not closed"),
        ("wq0*", "it ends too early"),
        ("wq0*O0)", "')' is not expected"),
        ("wq0 wq1", "'wq1' is not expected"),
        ("O0/0", "divided by what is not a number, or by zero"),
        ("wq0/O0", "divided by what is not a number, or by zero"),
        ("wq{i}*O0", "'{i}*O0' is not understood"),
        ("2**O0", "'*' is not expected"),
        ("__import__('os')", "\"'os')\" is not understood"),
        ("1e999*O0", "the value of '1e999' is not finite"),
        ("huge*huge*O0", "a sum of its values is not finite"),
        ("_SUM[i,0,1]", "a sum must be"),
        ("_SUM[i,0,999999,O{i}]", "a sum has 1000000 terms"),
        ("_SUM[i,0,999,_SUM[j,0,999,O{i}]]", "its sums have more than 100000 terms"),
        ("(" * 9 + "O0" + ")" * 9, "nested more than 8 deep"),
        ("O0+" * 400 + "O0", "a term has 1202 characters"),
    ],
)
def test_what_the_model_does_not_know_is_named(term: str, words: str) -> None:
    """A term that cannot be read, or that no model of coupled oscillators has, is refused with its reason."""
    with pytest.raises(errors.Invalid) as invalid:
        changed(term, huge=1e300)

    assert invalid.value.code == 8011
    assert words in invalid.value.message


@pytest.mark.parametrize(
    "document",
    [None, {}, {"h_str": []}, {"h_latex": ""}, {"h_str": "x"}, {"h_str": [1]}, {"h_str": ["O0"], "vars": {"a": "b"}}],
)
def test_a_document_without_terms(document: dict[str, Any] | None) -> None:
    """A device without terms has no Hamiltonian that could be used, whatever else is in the document."""
    with pytest.raises(errors.Invalid, match="Hamiltonian"):
        hamiltonians.parse(document)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"h_str": ["O0"], "vars": {"a": 1e999}}', "[" * 100_000, "\ud800"]
)
def test_text_that_is_no_hamiltonian(text: str) -> None:
    """JSON text that is damaged, or of something else, is refused."""
    with pytest.raises(errors.Invalid, match="Hamiltonian"):
        hamiltonians.parse(text)


@given(
    st.lists(
        st.lists(
            st.sampled_from([*"2*/+-()", "wq0", "X0", "Sp0", "Sm1", "Z1", "O0", "I0", "1e9", "||", "D0", "{i}"]),
            max_size=12,
        ).map("".join)
        | st.text(max_size=20),
        max_size=4,
    )
)
def test_any_terms_are_read_or_refused(terms: list[str]) -> None:
    """Terms that nobody would write give numbers or a refusal, and nothing else."""
    code, found = 0, hamiltonians.parse(TWO)
    try:
        found = changed(*terms)
    except errors.Invalid as error:
        code = error.code

    assert code in {0, 8011}
    assert set(found.qubits) >= {0, 1}


def test_a_sum_without_terms_is_refused() -> None:
    """Sums of nothing within each other would take for ever without ever being counted."""
    inner = "_SUM[z,1,0,X{z}]"
    for name in "abc":
        inner = f"_SUM[{name},0,1999,{inner}]"

    with pytest.raises(errors.Invalid, match="a sum has no terms"):
        hamiltonians.parse({"h_str": [inner], "vars": {}})
