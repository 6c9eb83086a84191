# SPDX-License-Identifier: Apache-2.0
"""What is wrong is told in the shell's words, not in those of documents."""

from typing import Any

import pytest
from shells import Shell

from chandelier import cli
from chandelier.cli import words


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("`priority` is 0; it must be 1.", "The share is 0; it must be 1."),
        ("`name` of a hub is 'X'; it must be so.", "The name of the hub is 'X'; it must be so."),
        ("`max_running` is 0; it must be 1.", "--max-running is 0; it must be 1."),
        ("`pulse_qubits` is 0.", "--pulse-qubits is 0."),
        ("There is no hub lab.", "There is no hub lab."),
    ],
)
def test_fields_have_the_names_of_options(message: str, told: str) -> None:
    """What else is said stays as it is."""
    assert words.said(message) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('port = "x"', "port must be a whole number, not a text."),
        ("prot = 5", "there is no setting prot."),
        ('[retention]\ndeleted_days = "x"', "retention.deleted_days must be a number, not a text."),
        ("[retention]\nx = 5", "retention has no setting x."),
        ("[devices]\na = 5", "every value of devices must be a text, not a whole number."),
    ],
)
def test_a_wrong_setting_is_told_in_words(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: Any, text: str, told: str
) -> None:
    """By its name, and nothing of the library that found it."""
    (shell.data / "chandelier.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["chandelier", "hub", "list", "--data", str(shell.data)])
    with pytest.raises(SystemExit):
        cli.run()

    assert capsys.readouterr().err.endswith(f"chandelier.toml is wrong: {told}\n")
