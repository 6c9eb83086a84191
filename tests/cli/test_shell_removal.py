# SPDX-License-Identifier: Apache-2.0
"""What is taken away from the shell: asked for, told beforehand, and written down."""

import os
import pty
import subprocess
import sys

import pytest
import shells
from shells import Shell, acts

from chandelier.jobs.lifecycle import State
from chandelier.store import Store

#: What is in the tree of `Shell.tree`, and its path.
PLACES = {"hub": "lab", "group": "lab/students", "project": "lab/students/qc1"}


@pytest.fixture
def busy(shell: Shell, store: Store) -> Shell:
    """The shell of a cloud whose hub has people, two devices and jobs."""
    shell.tree()
    for device in ("manila", "lima"):
        shell.text("grant", "set", "lab/students/qc1", device, "--above")
    shell.text("user", "add", "ann@example.org", "--project", "lab/students/qc1")
    shell.text("member", "add", "lab/students", "bob@example.org")
    shells.submit(store, "lab/students/qc1", "ann@example.org", "manila", State.QUEUED, State.VALIDATING, State.RUNNING)
    shells.submit(store, "lab/students/qc1", "ann@example.org", "manila", State.COMPLETED, State.CREATING)
    shells.submit(store, "lab/students/qc1", "ann@example.org", "lima", State.QUEUED)
    shells.submit(store, "ibm-q/open/main", "op@example.org", "manila", State.QUEUED)
    return shell


@pytest.mark.parametrize("level", PLACES)
def test_a_script_must_say_that_it_is_sure(shell: Shell, store: Store, level: str) -> None:
    """Nobody can be asked where there is no terminal, so nothing is removed without `--yes`."""
    shell.tree()
    before = acts(store)

    assert "add --yes" in shell.refused(level, "remove", PLACES[level])
    assert acts(store) == before
    assert shell.json(level, "remove", PLACES[level], "--yes")["removed"]
    assert acts(store) == [*before, (f"{level}.remove", PLACES[level])]


@pytest.mark.parametrize(("answer", "status"), [("n", 1), ("y", 0)])
def test_a_person_is_asked(shell: Shell, store: Store, answer: str, status: int) -> None:
    """They see first what goes, on standard error."""
    shell.tree()
    person, terminal = pty.openpty()
    os.write(person, f"{answer}\n".encode())
    command = [sys.executable, "-m", "chandelier", "hub", "remove", "lab", "--data", str(shell.data), "--json"]
    done = subprocess.run(command, stdin=terminal, capture_output=True, text=True, check=False)
    os.close(person)
    os.close(terminal)

    assert done.returncode == status
    assert "lab is removed with 2 groups and 1 project" in done.stderr
    assert "1 project: lab/students/qc1" in done.stderr
    assert done.stdout.lstrip().startswith("{") == (status == 0)
    assert (acts(store)[-1] == ("hub.remove", "lab")) == (status == 0)


def test_a_dry_removal_tells_whom_it_concerns(busy: Shell, store: Store) -> None:
    """Projects, people, grants, and the jobs that go on all the same."""
    before = acts(store)

    told = busy.json("hub", "remove", "lab", "--dry-run")
    assert not told["removed"]
    assert told["projects"] == ["lab/students/qc1"]
    assert told["people"] == ["bob@example.org", "ann@example.org"]
    assert [(each["path"], each["device"]) for each in told["grants"]] == [
        (path, device) for path in PLACES.values() for device in ("lima", "manila")
    ]
    assert (told["jobs_waiting"], told["jobs_running"]) == (3, 1)
    text = busy.text("hub", "remove", "lab", "--dry-run")
    assert "2 people lose their role there: bob@example.org, ann@example.org\n" in text
    assert "6 grants no longer in force: lima for lab, manila for lab, lima for lab/students and 3 more\n" in text
    assert "3 jobs wait and 1 runs there; they go on: an accepted job is run unless it is cancelled\n" in text
    assert "no job waits or runs there" in busy.text("group", "remove", "lab/staff", "--dry-run")
    assert acts(store) == before


def test_a_dry_withdrawal_tells_who_loses_the_device(busy: Shell) -> None:
    """The device alone: its projects, their members, its grants from there down, its jobs."""
    told = busy.json("grant", "remove", "lab/students", "lima", "--dry-run")

    assert told["projects"] == ["lab/students/qc1"]
    assert told["people"] == ["ann@example.org"]
    assert [(each["path"], each["device"]) for each in told["grants"]] == [
        ("lab/students", "lima"),
        ("lab/students/qc1", "lima"),
    ]
    assert (told["jobs_waiting"], told["jobs_running"]) == (1, 0)
    text = busy.text("grant", "remove", "lab/students", "lima", "--dry-run")
    assert "1 person can use lima there no more: ann@example.org\n" in text
    assert "1 job waits and 0 run there; they go on" in text
    assert [row["device"] for row in busy.json("grant", "list", "lab/students")] == ["manila", "lima"]


def test_a_dry_grant_tells_every_place_that_changes(busy: Shell, store: Store) -> None:
    """Those above that are granted along, and what each limit was before."""
    busy.text("project", "add", "lab/staff/p1")
    before = acts(store)

    told = busy.json("grant", "set", "lab/staff/p1", "lima", "--above", "--max-shots", "9", "--dry-run")
    assert [(step["path"], step["before"] is None) for step in told["changes"]] == [
        ("lab/staff", True),
        ("lab/staff/p1", True),
    ]
    text = busy.text("grant", "set", "lab/staff/p1", "lima", "--above", "--max-shots", "9", "--dry-run")
    assert "lab/staff gets lima: share 1000\nlab/staff/p1 gets lima: share 1000, max-shots 9\n" in text
    text = busy.text("grant", "set", "lab", "manila", "--max-running", "1", "--dry-run")
    assert "lab has manila: share 1000, max-running 1 (was no limit)\n" in text
    assert "2 jobs wait and 1 runs there; they go on" in text
    assert acts(store) == before


def test_limits_that_do_not_count_are_told(shell: Shell) -> None:
    """Set below more than above is allowed, but then the least counts; or more than the device can do."""
    shell.tree()
    shell.text("grant", "set", "lab/students/qc1", "lima", "--above", "--max-shots", "9000")
    note = "Note: lab/students/qc1 has max-shots 9000, but lab allows 4096: that counts\n"

    assert note in shell.text("grant", "set", "lab", "lima", "--max-shots", "4096")
    assert note in shell.text("grant", "set", "lab/students/qc1", "lima", "--max-running", "2")
    assert "Note" not in shell.text("grant", "set", "lab/students/qc1", "lima", "--max-shots", "4000")
    text = shell.text("grant", "set", "lab", "lima", "--max-experiments", "1000", "--open-pulse", "on")
    assert "Note: lab has max-experiments 1000, but lima itself does" in text
    assert "Note: lab has open-pulse yes, but lima itself does no: that counts" in text


def test_what_a_project_may_finally_do_is_listed(shell: Shell) -> None:
    """What counts for each limit and, if it is something else, what is set; and where it is set."""
    shell.tree()
    shell.text("grant", "set", "lab/students/qc1", "manila", "--above", "--max-shots", "9000")
    shell.text("grant", "set", "lab", "manila", "--max-shots", "4096", "--max-running", "3", "--open-pulse", "off")

    [listed] = shell.json("grant", "list", "lab/students/qc1")
    assert (listed["max_shots"], listed["max_running"], listed["usable"]) == (9000, None, True)
    effective = listed["effective"]
    assert (effective["max_shots"], effective["max_running"], effective["open_pulse"]) == (4096, 3, False)
    shown = shell.json("grant", "show", "lab/students/qc1", "manila")
    assert shown["effective"] == effective
    assert [(level["at"], level["max_shots"]) for level in shown["levels"][1:]] == [
        ("lab", 4096),
        ("lab/students", None),
        ("lab/students/qc1", 9000),
    ]
    assert shown["effective"]["max_experiments"] == shown["levels"][0]["max_experiments"]
    assert "4096 (set: 9000)" in shell.text("grant", "list", "lab/students/qc1")
    assert "lab allows 4096" in shell.text("grant", "show", "lab/students/qc1", "manila")
    shell.text("grant", "remove", "lab/students", "manila")
    [listed] = shell.json("grant", "list", "lab/students/qc1")
    assert (listed["usable"], listed["effective"]) == (False, None)
    assert shell.json("project", "show", "lab/students/qc1")["devices"] == []
    assert shell.json("project", "list", "lab/students")[0]["devices"] == 0
    assert "lab/students has no manila" in shell.text("grant", "show", "lab/students/qc1", "manila")
