# SPDX-License-Identifier: Apache-2.0
"""A data folder, and a shell on it, for each test."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import shells
from shells import NOON, Shell

from chandelier import setup
from chandelier.settings import Settings
from chandelier.store import Store


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that is ready, to copy."""
    data = tmp_path_factory.mktemp("made") / "data"
    setup.initialise(Settings(data=data, devices={"manila": "manila", "lima": "lima"}), "op@example.org", NOON)
    return data


@pytest.fixture
def shell(made: Path, tmp_path: Path) -> Shell:
    """A shell on a fresh data folder."""
    shutil.copytree(made, tmp_path / "data")
    return Shell(tmp_path / "data")


@pytest.fixture
def store(shell: Shell) -> Iterator[Store]:
    """The store of that folder."""
    opened = setup.open_store(Settings(data=shell.data))
    yield opened
    opened.close()


@pytest.fixture
def used(shell: Shell, store: Store) -> Shell:
    """The shell of a cloud where jobs ran on two days, in three projects."""
    shell.tree()
    shell.text("project", "add", "lab/students/qc2")
    shell.text("user", "add", "ann@example.org")
    shells.use(store, "lab/students/qc1", "op@example.org", "manila", NOON, 1000)
    shells.use(store, "lab/students/qc1", "ann@example.org", "manila", NOON, 2000)
    shells.use(store, "lab/students/qc2", "ann@example.org", "lima", NOON + timedelta(days=1), 4000)
    shells.use(store, "ibm-q/open/main", "op@example.org", "lima", NOON + timedelta(days=1), 8000)
    return shell
