# SPDX-License-Identifier: Apache-2.0
"""The examination of a data folder: what is wrong, and what to do about it."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from chandelier import checkup, migrations, setup
from chandelier.checkup import Finding
from chandelier.settings import Settings
from factories import NOW


def database(settings: Settings) -> list[Finding]:
    """Return what is found of database and devices."""
    return [finding for finding in checkup.examine(settings) if finding.subject in {"database", "devices"}]


@pytest.fixture
def settings(empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A data folder whose database has no schema yet; children are not looked at."""
    monkeypatch.setattr(checkup, "_workers", lambda: "not looked at")
    made = Settings(data=tmp_path / "data", database_url=empty_database_url, devices={"manila": "manila"})
    made.data.mkdir(mode=0o700)
    setup.write_private(made.secret_file, "00" * 32)
    return made


def test_a_database_of_an_older_release_is_no_riddle(settings: Settings) -> None:
    """Its schema is older, and the next start of the server changes that; devices are not looked at before."""
    store = setup.open_store(settings)
    migrations.upgrade(store, "0007")
    [older] = database(settings)
    migrations.upgrade(store)
    store.close()
    setup.initialise(settings, "op@example.org", NOW)

    assert older == Finding(
        "database",
        False,
        f"The schema of the database is that of an older release (0007; of this one it is {migrations.newest()}). "
        "The next start of the server brings it up to date.",
    )
    assert [(finding.subject, finding.good) for finding in database(settings)] == [
        ("database", True),
        ("devices", True),
    ]


def test_a_database_of_a_newer_release_or_of_none_is_told_as_such(settings: Settings) -> None:
    """Each with what to do about it."""
    [empty] = database(settings)
    store = setup.open_store(settings)
    migrations.upgrade(store)
    store.write(lambda tx: tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))
    store.close()
    [newer] = database(settings)

    assert (empty.good, empty.message) == (False, "The database is empty. Run chandelier init again.")
    assert not newer.good
    assert "that of a newer release (9999; " in newer.message
