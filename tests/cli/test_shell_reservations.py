# SPDX-License-Identifier: Apache-2.0
"""Reservations from the shell."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from shells import NOON, Shell

from chandelier import setup
from chandelier.settings import Settings
from chandelier.tenancy import audit


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a hub and a class, to copy."""
    data = tmp_path_factory.mktemp("made") / "data"
    setup.initialise(Settings(data=data, devices={"manila": "manila", "lima": "lima"}), "op@example.org", NOON)
    shell = Shell(data)
    shell.text("hub", "add", "campus")
    shell.text("group", "add", "campus/course")
    for path in ("campus", "campus/course"):
        shell.text("grant", "set", path, "manila")
    return data


def moment(hours: float) -> str:
    """Return a moment some hours from now, to the second."""
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="seconds").replace("+00:00", "Z")


def test_a_lab_is_reserved_listed_and_cancelled(shell: Shell) -> None:
    """With what is left; each act is written down."""
    begins, ends = moment(24), moment(26)
    kept = shell.json("reservation", "add", "campus/course", "manila", "--from", begins, "--for", "2h")

    assert (kept["path"], kept["device"], kept["mode"]) == ("campus/course", "manila", "priority")
    assert (kept["begins"], kept["left_hours"], kept["dry_run"]) == (begins, 38.0, False)
    assert kept["ends"] in {ends, moment(26)}
    listed = shell.json("reservation", "list", "campus")
    assert [row["id"] for row in listed] == [kept["id"]]
    assert listed == shell.json("reservation", "list", "--device", "manila")
    assert shell.json("reservation", "list", "--device", "lima") == []
    assert shell.json("reservation", "list", "ibm-q") == []
    gone = shell.json("reservation", "cancel", kept["id"])
    assert gone["ends"] == gone["begins"]
    assert shell.json("reservation", "list") == []
    opened = setup.open_store(Settings(data=shell.data))
    acts = [act.act for act in opened.read(lambda tx: audit.list_(tx, limit=2))]
    opened.close()
    assert acts == ["reservation.cancel", "reservation.add"]
    assert "is over" in shell.refused("reservation", "cancel", kept["id"])


def test_a_dry_run_keeps_nothing(shell: Shell) -> None:
    """Neither of adding, nor of cancelling, nor of a quota."""
    assert "Nothing is changed" in shell.text("reservation", "add", "campus", "manila", "--for", "90m", "--dry-run")
    assert shell.json("reservation", "list") == []
    kept = shell.json("reservation", "add", "campus", "manila", "--for", "90m", "--mode", "dedicated")
    assert "Nothing is changed" in shell.text("reservation", "cancel", kept["id"], "--dry-run")
    assert "Nothing is changed" in shell.text("reservation", "quota", "campus", "7", "--dry-run")

    assert [row["mode"] for row in shell.json("reservation", "list")] == ["dedicated"]
    assert shell.json("reservation", "quota", "campus")["hours"] == 40


def test_a_quota_is_shown_and_set(shell: Shell) -> None:
    """And kept."""
    assert "40 h" in shell.text("reservation", "quota", "campus")
    assert shell.json("reservation", "quota", "campus", "1.5")["default"] is False
    shell.text("reservation", "add", "campus", "manila", "--for", "1h")

    assert shell.json("reservation", "quota", "campus")["left_hours"] == 0.5
    start = moment(3)
    assert "0.50 left" in shell.refused("reservation", "add", "campus", "manila", "--from", start, "--for", "1h")
    assert "A quota is 0 to" in shell.refused("reservation", "quota", "campus", "1e9")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--to or --for"),
        (("--for", "2h", "--to", "2100-01-01"), "--to or --for"),
        (("--for", "2 hours"), "90m, 2h or 1d"),
        (("--from", "tomorrow", "--for", "2h"), "--from"),
        (("--from", "9999-12-31T00:00", "--for", "2d"), "90m, 2h or 1d"),
        (("--to", "0001-01-01T00:00+05:00"), "--to"),
        (("--from", "2020-01-01", "--for", "2h"), "past"),
        (("--for", "2d"), "at most 24 hours"),
    ],
)
def test_times_are_refused_with_a_sentence(shell: Shell, words: tuple[str, ...], said: str) -> None:
    """That says what to write."""
    assert said in shell.refused("reservation", "add", "campus/course", "manila", *words)


def test_the_settings_hold(shell: Shell) -> None:
    """The table `[reservations]`."""
    (shell.data / "chandelier.toml").write_text("[reservations]\nlongest_hours = 1\nquota_hours = 2\n")

    assert "at most 1 hours" in shell.refused("reservation", "add", "campus", "manila", "--for", "2h")
    assert shell.json("reservation", "quota", "campus")["hours"] == 2


def test_what_is_not_there_is_refused(shell: Shell) -> None:
    """A device that the place does not have, a place, a reservation."""
    assert "lima" in shell.refused("reservation", "add", "campus", "lima", "--for", "1h")
    assert "nowhere" in shell.refused("reservation", "add", "nowhere", "manila", "--for", "1h")
    assert "There is no reservation" in shell.refused("reservation", "cancel", "0" * 24)
