# SPDX-License-Identifier: Apache-2.0
"""The audit log from the shell: every act that administers, and never a token."""

import json
from pathlib import Path

import pytest
import shells
from shells import Shell, acts

from chandelier.jobs.lifecycle import State
from chandelier.store import Store, Transaction
from chandelier.tenancy import audit, network


def test_acts_outside_the_tree_are_written_down(shell: Shell) -> None:
    """Accounts, tokens and devices, with what they are and without any token."""
    added = shell.json("user", "add", "ann@example.org", "--name", "Ann", "--no-project")
    issued = shell.json("token", "issue", "ann@example.org", "--name", "laptop")
    shell.text("token", "revoke", issued["id"])
    shell.text("device", "add", "rome", "--snapshot", "rome")
    shell.text("device", "pause", "manila", "--message", "new cables")

    *rows, first = shell.json("audit", "log")
    assert (first["act"], first["who"], first["after"]["name"]) == ("token.issue", "setup", "operator's file")
    assert [(row["act"], row["path"], row["after"] or row["before"]) for row in reversed(rows)] == [
        ("user.add", "", rows[-1]["after"] | {"email": "ann@example.org", "name": "Ann"}),
        ("token.issue", "", {"email": "ann@example.org", "token": issued["id"], "name": "laptop"}),
        ("token.revoke", "", {"email": "ann@example.org", "token": issued["id"], "name": "laptop"}),
        ("device.add", "", {"device": "rome", "snapshot": "rome", "project": "ibm-q/open/main"}),
        ("device.set", "", {"device": "manila", "state": "paused", "message": "new cables"}),
    ]
    assert all(row["who"].endswith(" (shell)") for row in rows)
    logged = json.dumps(rows)
    assert added["token"] not in logged
    assert issued["token"] not in logged
    assert "device manila; state active > paused" in shell.text("audit", "log")


def test_acts_outside_the_tree_are_no_hub_s(shell: Shell, store: Store) -> None:
    """Its administrators see what was done in it, whatever is asked with a path."""
    shell.tree()
    shell.text("user", "add", "ann@example.org", "--project", "lab/students/qc1")
    assert seen_in("lab", store) == {"hub.add", "group.add", "project.add", "member.add"}
    assert seen_in("ibm-q", store) == set()
    assert [row["act"] for row in shell.json("audit", "log", "lab/students/qc1")] == ["member.add", "project.add"]
    assert "user.add" in [row["act"] for row in shell.json("audit", "log")]


def test_a_cancelled_job_is_written_down(shell: Shell, store: Store) -> None:
    """In the project where it was; not one that had ended before."""
    shells.submit(store, "ibm-q/open/main", "op@example.org", "manila", State.QUEUED)
    [job] = shell.json("job", "list")
    shell.text("job", "cancel", job["id"])

    before = len(acts(store)) - 1
    row = shell.json("audit", "log")[0]
    assert (row["act"], row["path"]) == ("job.cancel", "ibm-q/open/main")
    assert row["after"] == {"job": job["id"]}
    assert shell.ended("job", "cancel", job["id"])[0] == 1
    assert len(acts(store)) == before + 1


def test_an_import_is_written_down_without_its_tokens(shell: Shell, tmp_path: Path) -> None:
    """All addresses as JSON, and in the table the first few."""
    shell.tree()
    people = [f"student{number}@example.org" for number in range(300)]
    (tmp_path / "class.csv").write_text("\n".join(people), encoding="utf-8")
    shell.text("member", "import", "lab/students/qc1", str(tmp_path / "class.csv"))

    [row, *_] = shell.json("audit", "log", "lab/students/qc1")
    assert row["after"] == {"accounts": people, "joined": people, "tokens": people}
    text = shell.text("audit", "log", "lab/students/qc1")
    assert "accounts student0@example.org, student1@example.org, student2@example.org and 297 more;" in text
    assert "student3@" not in text


@pytest.mark.parametrize(("words", "path"), [([], "ibm-q/open/main"), (["--project", "lab/students/qc1"], None)])
def test_who_is_added_to_a_project_is_in_its_log(shell: Shell, words: list[str], path: str | None) -> None:
    """As whoever else becomes a member."""
    shell.tree()
    shell.text("user", "add", "ann@example.org", *words)

    [row, *_] = shell.json("audit", "log", path or words[-1])
    assert (row["act"], row["after"]) == (
        "member.add",
        {"email": "ann@example.org", "role": "member", "invited": False},
    )


def seen_in(hub: str, store: Store) -> set[str]:
    """Return the acts that administrators of a hub are told of."""

    def work(tx: Transaction) -> set[str]:
        spot = network.spot(tx, hub)
        assert spot is not None
        return {act.act for act in audit.list_(tx, hub_id=spot.hub.id)}

    return store.read(work)
