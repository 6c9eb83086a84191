# SPDX-License-Identifier: Apache-2.0
"""Making a data folder: once, again, and where it cannot be."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chandelier import devices, errors, setup
from chandelier.settings import Settings
from chandelier.tenancy import access, network, users

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_a_second_time_finds_everything(tmp_path: Path) -> None:
    """Initialising is idempotent: same operator, same token, same place, no device twice."""
    settings = Settings(data=tmp_path / "data")
    first = setup.initialise(settings, "op@example.org", NOW)
    second = setup.initialise(settings, "other@example.org", NOW)

    assert second == first
    store = setup.open_store(settings)
    names = [device.name for device in store.read(devices.list_)]
    store.close()
    assert len(names) == len(set(names)) == 12


def test_secret_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """The signing secret and the operator's token have mode 0600, the folder 0700."""
    settings = Settings(data=tmp_path / "data")
    setup.initialise(settings, "op@example.org", NOW)

    modes = [stat.S_IMODE(path.stat().st_mode) for path in (settings.secret_file, settings.token_file, settings.data)]
    assert modes == [0o600, 0o600, 0o700]


def test_a_token_of_another_database_is_replaced(tmp_path: Path) -> None:
    """When the folder is pointed to a new database, the operator gets a token that is valid there."""
    before = Settings(data=tmp_path / "data")
    old = setup.initialise(before, "op@example.org", NOW)
    after = Settings(data=tmp_path / "data", database_url=f"sqlite:///{tmp_path / 'other.sqlite'}")
    new = setup.initialise(after, "op@example.org", NOW)

    store = setup.open_store(after)
    assert new.token != old.token
    assert store.read(lambda tx: users.holder(tx, new.token, NOW)) == new.operator.id
    store.close()


def test_a_new_user_is_a_member_of_the_default_project(tmp_path: Path) -> None:
    """Whoever is added can use the default project's devices at once, with the token printed."""
    settings = Settings(data=tmp_path / "data")
    setup.initialise(settings, "op@example.org", NOW)
    store = setup.open_store(settings)
    user, token = setup.add_user(store, "Ada@Example.org", NOW, name="Ada", password="a long password")

    assert user.email == "ada@example.org"
    assert store.read(lambda tx: users.holder(tx, token, NOW)) == user.id
    places = store.read(lambda tx: network.places_of(tx, user.id))
    assert [place.path for place in places] == ["ibm-q/open/main"]
    assert len(store.read(lambda tx: access.available(tx, places[0]))) == 12
    store.close()


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    """A data folder that cannot be made is one clear sentence."""
    (tmp_path / "data").write_text("in the way", encoding="ascii")
    with pytest.raises(errors.Unavailable, match="cannot be written"):
        setup.initialise(Settings(data=tmp_path / "data"), "op@example.org", NOW)


def test_a_folder_that_was_never_made_says_what_to_do(tmp_path: Path) -> None:
    """Opening names the command that makes a folder."""
    with pytest.raises(errors.Unavailable, match="chandelier init"):
        setup.open_store(Settings(data=tmp_path / "nothing"))
