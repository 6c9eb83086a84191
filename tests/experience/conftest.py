# SPDX-License-Identifier: Apache-2.0
"""The running cloud that tests of the Experience API ask."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import desk as desks
from desk import Desk, OpenDesk
from factories import Town




@pytest.fixture
def desk(sqlite_town: Town, tmp_path: Path) -> Iterator[Desk]:
    """A cloud on SQLite, for what the kind of database plays no part in."""
    with desks.open_desk(sqlite_town, tmp_path) as opened:
        yield opened


@pytest.fixture
def either(town: Town, tmp_path: Path) -> Iterator[Desk]:
    """A cloud, once on each kind of database."""
    with desks.open_desk(town, tmp_path) as opened:
        yield opened


@pytest.fixture
def open_desk(sqlite_town: Town, tmp_path: Path) -> Iterator[OpenDesk]:
    """Opens a cloud with other settings."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(desks.open_desk(sqlite_town, tmp_path, **settings))
