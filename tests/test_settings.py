# SPDX-License-Identifier: Apache-2.0
"""Settings come from the file, the variables and the command line, in that order, and say what is wrong."""

from pathlib import Path

import pytest

from chandelier import errors, settings


def folder_with(tmp_path: Path, text: str) -> Path:
    """Return a data folder with a configuration file."""
    (tmp_path / "chandelier.toml").write_text(text, encoding="utf-8")
    return tmp_path


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    """An empty folder and an empty environment give the documented defaults."""
    loaded = settings.load({"data": tmp_path}, {})

    assert loaded == settings.Settings(data=tmp_path)
    assert loaded.url_of_database == f"sqlite:///{tmp_path.resolve()}/chandelier.sqlite"


def test_variables_win_over_the_file_and_options_over_both(tmp_path: Path) -> None:
    """Each source overrides the one before it, field by field."""
    data = folder_with(tmp_path, 'port = 1\nhost = "file"\nworkers = 7\n')
    loaded = settings.load({"data": data, "port": 3, "host": None}, {"CHANDELIER_PORT": "2", "CHANDELIER_HOST": "env"})

    assert (loaded.port, loaded.host, loaded.workers) == (3, "env", 7)


def test_the_folder_may_come_from_a_variable(tmp_path: Path) -> None:
    """`CHANDELIER_DATA` says where the file is."""
    folder_with(tmp_path, "port = 4321\n")

    assert settings.load({}, {"CHANDELIER_DATA": str(tmp_path)}).port == 4321


def test_a_variable_may_hold_a_table_as_json(tmp_path: Path) -> None:
    """The devices to serve can be named without a file."""
    loaded = settings.load({"data": tmp_path}, {"CHANDELIER_DEVICES": '{"mine": "manila"}'})

    assert loaded.devices == {"mine": "manila"}


@pytest.mark.parametrize(
    ("text", "environment", "days"),
    [
        ("", {}, 7),
        ("[retention]\ndeleted_days = 30", {}, 30),
        ("[retention]\ndeleted_days = 30", {"CHANDELIER_RETENTION_DELETED_DAYS": "0.5"}, 0.5),
        ("", {"CHANDELIER_RETENTION_DELETED_DAYS": "0"}, 0),
    ],
)
def test_a_table_is_set_field_by_field(tmp_path: Path, text: str, environment: dict[str, str], days: float) -> None:
    """In the file under its name, by a variable with its name before the field's."""
    loaded = settings.load({"data": folder_with(tmp_path, text)}, environment)

    assert loaded == settings.Settings(data=tmp_path, retention=settings.Retention(deleted_days=days))


def test_tables_do_not_disturb_one_another(tmp_path: Path) -> None:
    """Each field comes from where it was said last, the others keep what the file or the default says."""
    text = "[fairshare]\nhalf_life_days = 3\ncredit_hours = 1\n[retention]\ndeleted_days = 1\n"
    loaded = settings.load({"data": folder_with(tmp_path, text)}, {"CHANDELIER_FAIRSHARE_CREDIT_HOURS": "2.5"})

    assert loaded.fairshare == settings.FairShare(half_life_days=3, credit_hours=2.5)
    assert loaded.retention == settings.Retention(deleted_days=1)


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        ("[retention]\ndeleted_weeks = 1", {}, ["chandelier.toml", "deleted_weeks"]),
        ("[retention]\ndeleted_days = -1", {}, ["retention.deleted_days", "-1"]),
        ("", {"CHANDELIER_RETENTION_DELETED_DAYS": "nan"}, ["retention.deleted_days"]),
        ("", {"CHANDELIER_RETENTION_DELETED_DAYS": "a week"}, ["CHANDELIER_", "deleted_days"]),
        ("[fairshare]\nhalf_life_days = 0", {}, ["fairshare.half_life_days", "0"]),
        ("[fairshare]\nguard_fraction = 1.5", {}, ["fairshare.guard_fraction", "1.5", "0 to 1"]),
        ("", {"CHANDELIER_FAIRSHARE_CREDIT_HOURS": "-1"}, ["fairshare.credit_hours", "-1"]),
        ("", {"CHANDELIER_FAIRSHARE_MAX_GAP_HOURS": "nan"}, ["fairshare.max_gap_hours"]),
        ("port = 'x'", {}, ["chandelier.toml", "port"]),
        ("prot = 1", {}, ["chandelier.toml", "prot"]),
        ("port = ", {}, ["chandelier.toml", "TOML"]),
        ("", {"CHANDELIER_PORT": "many"}, ["CHANDELIER_", "port"]),
        ("", {"CHANDELIER_DEVICES": "manila"}, ["CHANDELIER_DEVICES"]),
    ],
)
def test_what_is_wrong_names_its_source(
    tmp_path: Path, text: str, environment: dict[str, str], words: list[str]
) -> None:
    """The message names the file or the variables, and the field."""
    with pytest.raises(errors.Invalid) as caught:
        settings.load({"data": folder_with(tmp_path, text)}, environment)

    assert all(word in caught.value.message for word in words), caught.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workers", "-1"),
        ("port", "70000"),
        ("job_seconds", "-1"),
        ("url_seconds", "-5"),
        ("max_list_limit", "0"),
        ("logins_per_minute", "0"),
        ("log_level", "loud"),
        ("drift", "yes"),
        ("public_url", "cloud.example.org"),
        ("public_url", "https://cloud.example.org/path"),
    ],
)
def test_values_that_make_no_sense_are_refused(tmp_path: Path, name: str, value: str) -> None:
    """The message names the setting and the value."""
    with pytest.raises(errors.Invalid) as caught:
        settings.load({"data": tmp_path}, {f"CHANDELIER_{name.upper()}": value})

    assert name in caught.value.message
    assert value in caught.value.message


def test_other_variables_are_not_looked_at(tmp_path: Path) -> None:
    """A variable that is no setting does not matter, whatever it holds."""
    assert settings.load({"data": tmp_path}, {"CHANDELIER_CLIENT": "x", "PORT": "1"}).port == 8000
