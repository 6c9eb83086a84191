# SPDX-License-Identifier: Apache-2.0
"""The running cloud that tests of the Runtime API ask."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import window as windows
from window import OpenWindow, Window

from chandelier import gateway
from factories import Town


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works in these clouds, so nothing is worth waiting for."""
    monkeypatch.setattr(gateway, "_PATIENCE_SECONDS", 0.0)


@pytest.fixture
def open_window(sqlite_town: Town, tmp_path: Path) -> Iterator[OpenWindow]:
    """Opens a cloud on SQLite, with settings if any are wanted; once in a test."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(windows.open_window(sqlite_town, tmp_path, **settings))


@pytest.fixture
def window(open_window: OpenWindow) -> Window:
    """A cloud on SQLite, for what the kind of database plays no part in."""
    return open_window()


@pytest.fixture
def either(town: Town, tmp_path: Path) -> Iterator[Window]:
    """A cloud, once on each kind of database."""
    with windows.open_window(town, tmp_path) as opened:
        yield opened
