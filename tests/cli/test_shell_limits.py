# SPDX-License-Identifier: Apache-2.0
"""Limits of time and of pending jobs from the shell."""

import pytest
from shells import Shell

from chandelier import app, settings, setup
from chandelier.fairshare.rules import Rules
from chandelier.settings import FairShare
from chandelier.tenancy import audit


def test_device_time_is_limited_listed_and_freed(shell: Shell) -> None:
    """Of all devices together and of one; each act is written down."""
    whole = shell.json("limit", "set", "ibm-q/open", "--seconds", "3600")
    shell.text("limit", "set", "ibm-q/open/main", "--seconds", "60", "--days", "7", "--device", "manila")
    listed = shell.json("limit", "list")
    inside = shell.json("limit", "list", "ibm-q/open/main")
    shell.text("limit", "remove", "ibm-q/open")
    opened = setup.open_store(settings.load({"data": shell.data}, {}))
    acts = opened.read(lambda tx: [act.act for act in audit.list_(tx)])
    opened.close()

    assert (whole["path"], whole["seconds"], whole["days"], whole["used"]) == ("ibm-q/open", 3600, 28, 0)
    assert [(row["path"], row["device"], row["full"]) for row in listed] == [
        ("ibm-q/open", None, False),
        ("ibm-q/open/main", "manila", False),
    ]
    assert inside == listed
    assert [row["path"] for row in shell.json("limit", "list")] == ["ibm-q/open/main"]
    assert [act for act in acts if act.startswith("limit.")] == ["limit.remove", "limit.set", "limit.set"]


def test_a_dry_run_limits_nothing(shell: Shell) -> None:
    """It says what would be."""
    told = shell.text("limit", "set", "ibm-q", "--seconds", "0", "--dry-run")

    assert "Nothing is changed" in told
    assert shell.json("limit", "list") == []


def test_a_limit_that_is_reached_is_shown(shell: Shell) -> None:
    """With the day on which jobs start again, if there is one; who sets it is told at once."""
    told = shell.text("limit", "set", "ibm-q", "--seconds", "0")

    assert "Note: with that all of it is used, so its jobs wait" in told
    assert "Note" not in shell.text("limit", "set", "ibm-q", "--seconds", "60", "--dry-run")
    assert [(row["full"], row["again"]) for row in shell.json("limit", "list")] == [(True, None)]


def test_the_longest_job_of_a_device_is_set(shell: Shell) -> None:
    """And taken back; it stands among the device's facts, and in the audit log."""
    assert shell.json("limit", "job", "manila", "--seconds", "120") == {"device": "manila", "max_job_seconds": 120}
    assert shell.json("device", "show", "manila")["max_job_seconds"] == 120
    assert shell.json("audit", "log")[0]["after"] == {"device": "manila", "max_job_seconds": 120}
    assert shell.json("limit", "job", "manila", "--none") == {"device": "manila", "max_job_seconds": None}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["limit", "set", "ibm-q", "--seconds", "-1"], "-1"),
        (["limit", "set", "ibm-q", "--seconds", "1", "--days", "0"], "0"),
        (["limit", "set", "ibm-q", "--seconds", "1", "--device", "nodevice"], "nodevice"),
        (["limit", "set", "nohub", "--seconds", "1"], "nohub"),
        (["limit", "remove", "ibm-q"], "ibm-q"),
        (["limit", "job", "manila"], "--none"),
        (["limit", "job", "manila", "--seconds", "0"], "0 s"),
        (["limit", "job", "manila", "--seconds", "nan"], "nan"),
        (["grant", "set", "ibm-q", "manila", "--max-pending", "0"], "--max-pending"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, words: list[str], told: str) -> None:
    """The message names what cannot be."""
    assert told in shell.refused(*words)


def test_pending_jobs_are_limited_by_a_grant(shell: Shell) -> None:
    """Beside its other limits."""
    shell.text("grant", "set", "ibm-q", "manila", "--max-pending", "50", "--max-running", "3")
    limits = {row["device"]: row["max_pending"] for row in shell.json("grant", "list", "ibm-q")}

    assert limits["manila"] == 50
    assert set(limits.values()) == {50, None}


def test_the_settings_of_fair_share_are_its_rules() -> None:
    """Unset, they are what the rules are without settings; each is in the unit that its name says."""
    changed = FairShare(half_life_days=1, credit_hours=1, max_gap_hours=1, guard_fraction=0.5, guard_burst_hours=1)

    assert app._policy(FairShare()) == Rules()
    assert app._policy(changed) == Rules(86400.0, 3600.0, 3600.0, 0.5, 3600.0)
