# SPDX-License-Identifier: Apache-2.0
"""Usage from the shell: sums, dates, spreadsheets, and what is removed."""

import csv
from typing import Any

import pytest
import shells
import sqlalchemy as sa
from shells import NOON, Shell

from chandelier.store import Store


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--by", "hub"], {"ibm-q": (1, 8), "lab": (3, 7)}),
        (["--by", "group"], {"ibm-q/open": (1, 8), "lab/students": (3, 7)}),
        ([], {"ibm-q/open/main": (1, 8), "lab/students/qc1": (2, 3), "lab/students/qc2": (1, 4)}),
        (["--by", "user"], {"ann@example.org": (2, 6), "op@example.org": (2, 9)}),
        (["--by", "device"], {"lima": (2, 12), "manila": (2, 3)}),
        (["--by", "day"], {"2026-03-14": (2, 3), "2026-03-15": (2, 12)}),
        (["lab", "--by", "day"], {"2026-03-14": (2, 3), "2026-03-15": (1, 4)}),
        (["lab/students/qc1", "--by", "user"], {"ann@example.org": (1, 2), "op@example.org": (1, 1)}),
        (["--by", "hub", "--to", "2026-03-14"], {"lab": (2, 3)}),
        (["--by", "hub", "--from", "2026-03-15", "--to", "2026-03-15"], {"ibm-q": (1, 8), "lab": (1, 4)}),
        (["--by", "hub", "--to", "2026-03-14T12:00"], {}),
        (["--by", "hub", "--from", "2026-03-14T12:00+00:00", "--to", "2026-03-14T12:00:01Z"], {"lab": (2, 3)}),
    ],
)
def test_usage_is_summed(used: Shell, words: list[str], expected: dict[str, tuple[int, int]]) -> None:
    """By hub, group, project, user, device or day: jobs and seconds that they ran."""
    report = used.json("usage", "report", *words)

    [key] = report["by"]
    assert {row[key]: (row["jobs"], row["run_seconds"]) for row in report["rows"]} == expected
    assert report["total"]["jobs"] == sum(jobs for jobs, _ in expected.values())


def test_usage_can_be_summed_by_several_things(used: Shell) -> None:
    """Whatever is asked for are the first columns, in that order."""
    report = used.json("usage", "report", "--by", "user", "--by", "hub")

    assert [(row["user"], row["hub"], row["jobs"]) for row in report["rows"]] == [
        ("ann@example.org", "lab", 2),
        ("op@example.org", "ibm-q", 1),
        ("op@example.org", "lab", 1),
    ]
    [first, *_] = report["rows"]
    assert first | {"user": "", "hub": ""} == {
        "user": "",
        "hub": "",
        "jobs": 2,
        "executions": 20,
        "queue_seconds": 1.0,
        "run_seconds": 6.0,
        "device_seconds": 6.0,
        "average_queue_seconds": 0.5,
        "average_run_seconds": 3.0,
    }


def test_usage_is_a_table_and_a_file_for_a_spreadsheet(used: Shell) -> None:
    """The table has a line for the total, the file has none."""
    text = used.text("usage", "report", "--by", "device")
    rows = list(csv.DictReader(used.text("usage", "report", "--by", "device", "--csv").splitlines()))

    assert text.splitlines()[-1].split()[:2] == ["total", "4"]
    assert [(row["device"], row["jobs"], row["run_seconds"]) for row in rows] == [
        ("lima", "2", "12.0"),
        ("manila", "2", "3.0"),
    ]


def test_usage_of_what_is_removed_stays(used: Shell) -> None:
    """Under its name, marked."""
    used.text("hub", "remove", "lab", "--yes")

    assert [row["hub"] for row in used.json("usage", "report", "--by", "hub")["rows"]] == ["ibm-q", "lab (removed)"]


def test_usage_of_a_path_that_is_removed_is_kept(used: Shell) -> None:
    """It can be asked for as before, and is marked; of what never was nothing is known."""
    used.text("project", "remove", "lab/students/qc1", "--yes")

    report = used.json("usage", "report", "lab/students/qc1", "--by", "user")
    assert (report["path"], report["removed"], report["total"]["jobs"]) == ("lab/students/qc1", True, 2)
    text = used.text("usage", "report", "lab/students/qc1", "--by", "user")
    assert text.startswith("lab/students/qc1 (removed)\n")
    assert not used.json("usage", "report", "lab")["removed"]
    assert used.json("usage", "report", "lab")["total"]["jobs"] == 3
    used.text("group", "remove", "lab/students", "--yes")
    assert used.json("usage", "report", "lab/students/qc2")["total"]["jobs"] == 1
    assert "There is no project lab/students/qc3" in used.refused("usage", "report", "lab/students/qc3").replace(
        "group lab/students", "project lab/students/qc3"
    )


def test_what_had_one_path_after_another_is_shown_apart(used: Shell, store: Store) -> None:
    """The present one by its path, one that was removed with a mark, several with the time of their end."""
    for _ in range(2):
        used.text("project", "remove", "lab/students/qc1", "--yes")
        used.text("project", "add", "lab/students/qc1")
        shells.use(store, "lab/students/qc1", "op@example.org", "manila", NOON, 16000)

    rows = used.json("usage", "report", "lab/students/qc1")["rows"]
    assert [row["run_seconds"] for row in sorted(rows, key=lambda row: str(row["project"]))] == [16.0, 3.0, 16.0]
    new, *old = sorted(str(row["project"]) for row in rows)
    assert new == "lab/students/qc1"
    assert all(path.startswith("lab/students/qc1 (removed 2") for path in old)
    assert used.json("usage", "report", "lab/students/qc1", "--by", "group")["rows"][0]["jobs"] == 4
    used.text("project", "remove", "lab/students/qc2", "--yes")
    [row] = used.json("usage", "report", "lab/students/qc2")["rows"]
    assert row["project"] == "lab/students/qc2 (removed)"


@pytest.mark.parametrize(
    ("words", "jobs"),
    [
        (["--from", "03/15/2026"], 2),
        (["--from", "03-14-26", "--to", "03.14.26"], 2),
        (["--to", " 2026-03-14 "], 2),
        (["--to", "2026-03-14T13:00+01:00"], 0),
        (["--to", "2026-03-14T13:00:01+01:00"], 2),
        (["--from", "0001-01-01", "--to", "9999-12-31"], 4),
        (["--to", "1969-12-31"], 0),
    ],
)
def test_dates_are_those_of_the_other_door(used: Shell, words: list[str], jobs: int) -> None:
    """In either way of writing a day; the last day counts, the last moment does not."""
    assert used.json("usage", "report", *words)["total"]["jobs"] == jobs


@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize(
    "date",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "13/13/2026",
        "2026-02-30",
        "2026-03",
        "20260301",
        "2026-W10-1",
        "2026-03-01T12",
        "",
        "٢٠٢٦-٠٣-٠١",
    ],
)
def test_a_date_that_cannot_be_is_one_sentence(shell: Shell, option: str, date: str) -> None:
    """It names the option and what was written."""
    told = shell.refused("usage", "report", option, date)

    assert told.startswith(f"{option} is {date!r}; ")
    assert told.endswith(".")


def test_a_time_that_ends_before_it_begins_is_refused(shell: Shell) -> None:
    """Instead of being empty."""
    assert "exchange the two" in shell.refused("usage", "report", "--from", "2026-03-02", "--to", "2026-03-01")


def test_a_spreadsheet_takes_no_cell_for_a_formula(used: Shell, store: Store) -> None:
    """Whatever was a name once: here of an account made before such addresses were refused."""

    def work(tx: Any) -> None:
        tx.execute(sa.text("UPDATE users SET email = '=1+1@example.org' WHERE email = 'ann@example.org'"))

    store.write(work)
    rows = list(csv.DictReader(used.text("usage", "report", "--by", "user", "--csv").splitlines()))

    assert [row["user"] for row in rows] == ["'=1+1@example.org", "op@example.org"]
