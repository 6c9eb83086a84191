# SPDX-License-Identifier: Apache-2.0
"""The running cloud that tests of the Experience API ask."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import desk as desks
import msgspec
import pytest
from desk import Desk, OpenDesk

import factories
from chandelier.experience import codes
from chandelier.store import open_store
from factories import Town

SECRET = b"another secret for tests, 32 bytes"


class Template(msgspec.Struct, frozen=True):
    """A folder to copy, and what stands in it: making a town anew for each test would take most of the time."""

    folder: Path
    town: Town
    tokens: dict[str, str]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works in these clouds, so nothing is worth waiting for."""
    monkeypatch.setattr(codes, "PATIENCE_SECONDS", 0.0)


@pytest.fixture(scope="session")
def template(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A town on SQLite."""
    folder = tmp_path_factory.mktemp("town")
    shutil.copy(sqlite_template, folder / "cloud.sqlite")
    with contextlib.closing(open_store(f"sqlite:///{folder / 'cloud.sqlite'}", folder / "objects", SECRET)) as store:
        town = factories.a_town(store)
        return Template(folder, town, desks.log_in(town))


@pytest.fixture
def open_desk(template: Template, tmp_path: Path) -> Iterator[OpenDesk]:
    """Opens a cloud on SQLite, with settings if any are wanted; once in a test."""
    with contextlib.ExitStack() as stack:

        def work(**settings: object) -> Desk:
            folder = shutil.copytree(template.folder, tmp_path / "cloud")
            store = open_store(f"sqlite:///{folder / 'cloud.sqlite'}", folder / "objects", SECRET)
            stack.callback(store.close)
            town = msgspec.structs.replace(template.town, store=store)
            return stack.enter_context(desks.open_desk(town, template.tokens, folder, **settings))

        yield work


@pytest.fixture
def desk(open_desk: OpenDesk) -> Desk:
    """A cloud on SQLite, for what the kind of database plays no part in."""
    return open_desk()


@pytest.fixture
def either(town: Town, tmp_path: Path) -> Iterator[Desk]:
    """A cloud, once on each kind of database."""
    with desks.open_desk(town, desks.log_in(town), tmp_path) as opened:
        yield opened
