# SPDX-License-Identifier: Apache-2.0
"""Whoever types commands, and what the audit log and the ledger have."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import factories
from chandelier import cli, devices, errors
from chandelier.cli import words as wording
from chandelier.jobs import records
from chandelier.jobs.lifecycle import State
from chandelier.store import Store
from chandelier.tenancy import audit, network, usage, users

#: When the jobs of the usage tests ended.
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


class Shell:
    """A data folder, and whoever types commands for it."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def text(self, *words: str) -> str:
        """Return what a command prints; it must succeed."""
        done = CliRunner().invoke(cli.app, [*words, "--data", str(self.data)], terminal_width=200)
        if done.exception is not None:
            raise done.exception
        return done.stdout

    def ended(self, *words: str) -> tuple[int, str]:
        """Return the exit status of a command and what it prints on standard error."""
        done = CliRunner().invoke(cli.app, [*words, "--data", str(self.data)], terminal_width=200)
        return done.exit_code, done.stderr

    def json(self, *words: str) -> Any:
        """Return the JSON document that a command prints."""
        return json.loads(self.text(*words, "--json"))

    def refused(self, *words: str) -> str:
        """Return the sentence with which a command is refused."""
        with pytest.raises(errors.ChandelierError) as caught:
            self.text(*words)
        return wording.said(caught.value.message)

    def tree(self) -> None:
        """Make a hub with two groups, and a project."""
        self.text("hub", "add", "lab", "--title", "Our laboratory")
        self.text("group", "add", "lab/students", "--share", "3000")
        self.text("group", "add", "lab/staff")
        self.text("project", "add", "lab/students/qc1")


def acts(store: Store) -> list[tuple[str, str]]:
    """Return what the audit log has, the first first."""
    return [(act.act, act.path) for act in reversed(store.read(audit.list_))]


def use(store: Store, path: str, email: str, device: str, ended: datetime, run_ms: int) -> None:
    """Write what a job used into the ledger."""

    def work(tx: Any) -> None:
        place = network.find(tx, *path.split("/"))
        user = users.find_by_email(tx, email)
        assert place is not None
        assert user is not None
        number = f"{usage.total(tx, usage.Selection()).jobs:024}"
        device_id = devices.get(tx, device).id
        usage.record(tx, usage.Entry(number, ended, place.project_id, user.id, device_id, 10, 500, run_ms, run_ms))

    store.write(work)


def submit(store: Store, path: str, email: str, device: str, *states: State) -> None:
    """Add a job in each of some states."""

    def work(tx: Any) -> None:
        place = network.find(tx, *path.split("/"))
        user = users.find_by_email(tx, email)
        assert place is not None
        assert user is not None
        wanted = devices.get(tx, device)
        for state in states:
            owner, project, where = user.id, place.project_id, wanted.id
            calibration = wanted.calibration
            job = records.create(
                tx, owner, project, where, NOON, kind="q-object", calibration=calibration, draft=records.Draft()
            )
            for step in factories.PATHS[state]:
                records.advance(tx, job.id, (step,), job.created)

    store.write(work)
