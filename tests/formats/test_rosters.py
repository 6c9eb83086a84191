# SPDX-License-Identifier: Apache-2.0
"""Rosters as spreadsheets, schools and hurried teachers write them."""

import pytest

from chandelier import errors, sheets
from chandelier.formats import rosters
from chandelier.formats.rosters import Entry


def test_one_address_a_line_is_a_roster() -> None:
    """Nothing else is needed."""
    assert rosters.read(b"ann@example.org\nbob@example.org\n") == [
        Entry(1, "ann@example.org"),
        Entry(2, "bob@example.org"),
    ]


def test_without_a_header_the_columns_have_their_order() -> None:
    """Address, name, password; what is empty is not given."""
    assert rosters.read(b'ann@example.org,"Example, Ann",long enough\nbob@example.org,Bob,\n') == [
        Entry(1, "ann@example.org", "Example, Ann", "long enough"),
        Entry(2, "bob@example.org", "Bob"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Name,Student id,Email\nZoë,7,zoe@example.org\n",
        "name;E-Mail;password\nZoë;zoe@example.org;\n",
        "\ufeffFull name\tEmail address\nZoë\tzoe@example.org\n",
        "mail,name\r\n\r\n zoe@example.org , Zoë \r\n",
    ],
)
def test_a_header_names_the_columns(text: str) -> None:
    """In any order, with other columns between, with any delimiter, with a byte order mark or not."""
    (entry,) = rosters.read(text.encode())

    assert (entry.email, entry.name, entry.password) == ("zoe@example.org", "Zoë", None)


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    """The header and empty lines too."""
    assert [entry.line for entry in rosters.read(b"email\n\na@example.org\n\nb@example.org")] == [3, 5]


def test_a_line_without_an_address_is_left_to_who_knows_addresses() -> None:
    """After the first line nothing is a header."""
    assert rosters.read(b"a@example.org\nbob\n")[1] == Entry(2, "bob")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "nobody"),
        (b"email,name\n", "nobody"),
        (b"name,id\nAnn,7\n", "neither an address nor a column `email`"),
        (b"email,mail\na@example.org,b@example.org\n", "two columns"),
        (b"a@example.org,A,password,more\n", "Line 1 of the roster has 4 columns"),
        (b"email,name\na@example.org,A\nb@example.org,B,C\n", "Line 3"),
        (b'a@example.org\n"b"@example.org\n', "Line 2 of the roster has a quote in a wrong place"),
        (b'a@example.org\n"b@example.org\nc@example.org\n', "Line 2 of the roster has a quote"),
        (b'a@example.org\n"b@example.org\nc@example.org"\n', "Line 2 of the roster has a quote that is not closed"),
        ("a@example.org,Zoë\n".encode("latin-1"), "UTF-8"),
    ],
)
def test_what_is_no_roster_is_told(content: bytes, told: str) -> None:
    """With the line and what is wrong there."""
    with pytest.raises(errors.Invalid, match=told):
        rosters.read(content)


def test_what_is_written_can_be_read() -> None:
    """Commas and quotes in names too."""
    text = sheets.write(["email", "name"], [["ann@example.org", 'Ann "A", Example']])

    assert text.splitlines()[0] == "email,name"
    assert rosters.read(text.encode()) == [Entry(2, "ann@example.org", 'Ann "A", Example')]


@pytest.mark.parametrize(
    "address",
    [
        '"ann@example.org"',
        "ann@example.org,",
        "ann@example.org;bob@example.org",
        "Ann <ann@example.org>",
        "ann @example.org",
        "ann@example.org\u200b",
        "mailto:ann@example.org",
        "“ann@example.org”",
    ],
)
def test_an_address_is_a_bare_one(address: str) -> None:
    """Whatever spreadsheets and mail programs leave around it is told, not made part of an account."""
    with pytest.raises(errors.Invalid, match="bare address"):
        rosters.check(address)


@pytest.mark.parametrize("address", ["ann@example.org", "o'brien+lab@example.org", "zoë@example.org"])
def test_a_bare_address_passes(address: str) -> None:
    """Apostrophes are in names."""
    rosters.check(address)
