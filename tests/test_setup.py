# SPDX-License-Identifier: Apache-2.0
"""The data folder: made once, left alone afterwards, told of when it is broken."""

import stat
from pathlib import Path

import msgspec
import pytest

from chandelier import acts, devices, errors, setup
from chandelier.formats import rosters
from chandelier.settings import Settings
from chandelier.store import Store
from chandelier.tenancy import access, audit, members, network, users
from chandelier.tenancy.access import Principal
from factories import NOW, after


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", devices={"small": "lima"})


@pytest.fixture(name="made")
def _made(settings: Settings) -> setup.Made:
    return setup.initialise(settings, "op@example.org", NOW)


def opened(settings: Settings) -> Store:
    """Open the store of a data folder."""
    return setup.open_store(settings)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return the content of each file but the database's."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "sqlite" not in path.name
    }


def test_a_new_folder_gets_all_it_needs(settings: Settings, made: setup.Made) -> None:
    """An operator with a token that works, a place, devices."""
    store = opened(settings)
    login = users.login_with_token(store, made.token, NOW)
    principal = store.read(lambda tx: access.authenticate(tx, login.text, NOW))
    available = store.read(lambda tx: access.available(tx, made.place))

    assert (principal.email, principal.operator) == ("op@example.org", True)
    assert made.place.path == "ibm-q/open/main"
    assert store.read(lambda tx: access.place(tx, principal, None)) == made.place
    names = [entry.device.name for entry in available]
    assert "ibmq_qasm_simulator" in names
    assert names[-1] == "small"
    assert settings.token_file.read_text(encoding="ascii").strip() == made.token
    store.close()


def test_secrets_are_readable_by_their_owner_only(settings: Settings, made: setup.Made) -> None:
    """And so is the folder."""
    for path, mode in ((settings.secret_file, 0o600), (settings.token_file, 0o600), (settings.data, 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert made.token not in settings.secret_file.read_text(encoding="ascii")


def test_a_second_time_changes_nothing(settings: Settings, made: setup.Made) -> None:
    """Neither files nor accounts nor devices."""
    before = snapshot(settings.data)
    again = setup.initialise(settings, "other@example.org", after(99))

    assert again == made
    assert snapshot(settings.data) == before
    store = opened(settings)
    assert store.read(lambda tx: users.find_by_email(tx, "other@example.org")) is None
    assert len(store.read(lambda tx: users.list_tokens(tx, made.operator.id))) == 1
    store.close()


@pytest.mark.parametrize("loss", ["missing", "foreign", "revoked"])
def test_a_lost_operator_token_is_replaced(settings: Settings, made: setup.Made, loss: str) -> None:
    """If the file is gone, or has a token that is not valid."""
    if loss == "missing":
        settings.token_file.unlink()
    elif loss == "foreign":
        settings.token_file.write_text("0" * 128, encoding="ascii")
    else:
        store = opened(settings)
        (token,) = store.read(lambda tx: users.list_tokens(tx, made.operator.id))
        store.write(lambda tx: users.revoke(tx, token.id, after(1)))
        store.close()
    again = setup.initialise(settings, "op@example.org", after(2))

    assert again.operator == made.operator
    assert again.token != made.token
    store = opened(settings)
    assert store.read(lambda tx: users.holder(tx, again.token, after(3))) == made.operator.id
    tokens = [token.id for token in store.read(lambda tx: users.list_tokens(tx, made.operator.id))]
    issued = [act for act in reversed(store.read(audit.list_)) if act.act == "token.issue"]
    assert [(act.who, act.path, (act.after or {})["token"]) for act in issued] == [("setup", "", one) for one in tokens]
    store.close()


def test_a_new_device_is_added_the_next_time(settings: Settings, made: setup.Made) -> None:
    """And those that are there stay."""
    more = msgspec.structs.replace(settings, devices={"small": "lima", "larger": "guadalupe"})
    setup.initialise(more, "op@example.org", after(9))
    store = opened(settings)

    names = [entry.device.name for entry in store.read(lambda tx: access.available(tx, made.place))]
    assert names[-2:] == ["small", "larger"]
    assert store.read(lambda tx: devices.get(tx, "larger")).qubits == 16
    store.close()


def test_devices_can_be_added_later(settings: Settings, made: setup.Made) -> None:
    """They belong to the default project, and stay when the folder is made ready once more."""
    store = opened(settings)
    added = setup.add_devices(store, settings, {"ibmq_rome": "rome", "small": "lima"}, after(5))
    again = setup.add_devices(store, settings, {"ibmq_rome": "rome"}, after(6))
    setup.initialise(settings, "op@example.org", after(7))

    assert [(device.name, device.qubits) for device in added] == [("ibmq_rome", 5), ("small", 5)]
    assert again == added[:1]
    names = [entry.device.name for entry in store.read(lambda tx: access.available(tx, made.place))]
    assert names[-2:] == ["small", "ibmq_rome"]
    store.close()


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ({"small": "rome"}, errors.Invalid),
        ({"two words": "rome"}, errors.Invalid),
        ({"ibmq_qasm_simulator": "rome"}, errors.Invalid),
        ({"ibmq_rome": "nowhere"}, errors.Unavailable),
    ],
)
def test_a_device_that_cannot_be_added_is_told(
    settings: Settings, made: setup.Made, wanted: dict[str, str], kind: type[errors.ChandelierError]
) -> None:
    """The settings have another snapshot for the name, it is none, or a simulator's, or there is no such snapshot."""
    store = opened(settings)
    with pytest.raises(kind):
        setup.add_devices(store, settings, wanted, after(5))

    assert store.read(lambda tx: len(access.available(tx, made.place))) == 7
    assert store.read(lambda tx: devices.get(tx, "small")).qubits == 5
    store.close()


def test_an_unknown_snapshot_is_told(settings: Settings) -> None:
    """With its name, before anybody is told that all is well."""
    wrong = msgspec.structs.replace(settings, devices={"small": "nowhere"})

    with pytest.raises(errors.Unavailable, match="nowhere") as caught:
        setup.initialise(wrong, "op@example.org", NOW)
    assert caught.value.code == 3102


def test_a_folder_that_is_none_is_told(settings: Settings) -> None:
    """With what to do."""
    with pytest.raises(errors.Unavailable, match="chandelier init"):
        setup.open_store(settings)


def test_where_a_folder_was_sought_is_told(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that depends on where one stands is told in full."""
    monkeypatch.chdir(tmp_path)
    relative = msgspec.structs.replace(settings, data=Path("nowhere"))

    with pytest.raises(errors.Unavailable) as caught:
        setup.open_store(relative)
    assert caught.value.message.startswith(f"{tmp_path / 'nowhere'} is not a data folder yet")


@pytest.mark.parametrize("text", ["", "00", "not hexadecimal", "é"])
def test_a_broken_secret_is_told(settings: Settings, made: setup.Made, text: str) -> None:
    """Nothing is ever signed with less than all of it."""
    assert made.token
    settings.secret_file.write_text(text, encoding="utf-8")

    with pytest.raises(errors.Unavailable, match="backup"):
        setup.open_store(settings)


def test_a_folder_that_cannot_be_made_is_told() -> None:
    """With what to do."""
    with pytest.raises(errors.Unavailable, match="cannot be written"):
        setup.initialise(Settings(data=Path("/dev/null/data")), "op@example.org", NOW)


def test_a_folder_where_a_file_is_is_told(tmp_path: Path) -> None:
    """With what to do."""
    (tmp_path / "data").write_text("", encoding="ascii")

    with pytest.raises(errors.Unavailable):
        setup.initialise(Settings(data=tmp_path / "data"), "op@example.org", NOW)


def test_a_private_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """And replaces the one before."""
    path = tmp_path / "token"
    path.write_text("old", encoding="ascii")
    path.chmod(0o644)
    setup.write_private(path, "new")

    assert path.read_text(encoding="ascii") == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_of_a_private_file_that_cannot_be_written_nothing_is_left(tmp_path: Path) -> None:
    """Here because its text cannot be encoded."""
    with pytest.raises(UnicodeEncodeError):
        setup.write_private(tmp_path / "token", "\ud800")

    assert list(tmp_path.iterdir()) == []


def test_an_added_user_can_log_in_and_is_a_member(store: Store) -> None:
    """By the token, and by the password if there is one."""
    user, text = setup.add_user(store, "Ann@Example.org", NOW, name="Ann", password="long enough")
    principal = Principal(user.id, user.email, user.name, user.operator)

    assert users.login_with_token(store, text, NOW).user_id == user.id
    assert users.login_with_password(store, "ann@example.org", "long enough", NOW).user_id == user.id
    assert store.read(lambda tx: access.place(tx, principal, None)).path == "ibm-q/open/main"
    assert not user.operator


@pytest.mark.parametrize(
    ("email", "password", "kind"),
    [
        ("ann@example.org", None, errors.Conflict),
        ("bob@example.org", "short", errors.Invalid),
        ("bob", None, errors.Invalid),
    ],
)
def test_a_user_that_cannot_be_added_is_not_half_there(
    store: Store, email: str, password: str | None, kind: type[Exception]
) -> None:
    """Neither account nor membership."""
    setup.add_user(store, "ann@example.org", NOW)
    with pytest.raises(kind):
        setup.add_user(store, email, NOW, password=password)

    assert store.read(lambda tx: users.find_by_email(tx, "bob@example.org")) is None
    assert len(store.read(network.all_places)) == 1


def test_a_class_is_imported(store: Store) -> None:
    """Accounts, memberships, old invitations and tokens; the audit log has one entry for all."""
    by = audit.By("op (shell)", NOW)
    setup.add_user(store, "ann@example.org", NOW)
    place = store.write(lambda tx: network.ensure_default(tx, NOW))
    hub = store.write(lambda tx: acts.add_hub(tx, by, "lab"))
    group = store.write(lambda tx: acts.add_group(tx, by, hub, "students"))
    project = store.write(lambda tx: acts.add_project(tx, by, group, "qc"))
    store.write(lambda tx: acts.add_member(tx, by, place.spot, "bob@example.org"))
    roster = [rosters.Entry(1, "Ann@example.org"), rosters.Entry(2, "bob@example.org", "Bob", "long enough")]
    steps: list[None] = []
    people = setup.prepare_members(store, roster, lambda: steps.append(None))
    enrolled = store.write(lambda tx: setup.import_members(tx, by, project, people, step=lambda: steps.append(None)))

    assert len(steps) == 2 * len(roster)
    assert [(each.user.email, each.created, each.joined) for each in enrolled] == [
        ("ann@example.org", False, True),
        ("bob@example.org", True, True),
    ]
    bob = users.login_with_password(store, "bob@example.org", "long enough", NOW).user_id
    assert enrolled[0].token is None
    assert enrolled[1].token is not None
    assert users.login_with_token(store, enrolled[1].token, NOW).user_id == bob
    assert [place.path for place in store.read(lambda tx: members.places_of(tx, bob))] == [
        "ibm-q/open/main",
        "lab/students/qc",
    ]
    [act] = store.read(lambda tx: audit.list_(tx, path="lab/students/qc", limit=1))
    assert (act.who, act.act) == ("op (shell)", "member.import")
    assert act.after == {
        "accounts": ["bob@example.org"],
        "joined": ["ann@example.org", "bob@example.org"],
        "tokens": ["bob@example.org"],
    }


@pytest.mark.parametrize("new_tokens", [False, True])
@pytest.mark.parametrize("how", ["invited", "appointed"])
def test_an_administrator_since_the_roster_was_checked_is_refused(store: Store, how: str, new_tokens: bool) -> None:
    """While passwords were hashed; nobody is imported then."""
    by = audit.By("op (shell)", NOW)
    hub = store.write(lambda tx: acts.add_hub(tx, by, "lab"))
    place = store.write(lambda tx: network.ensure_default(tx, NOW))
    roster = [rosters.Entry(1, "ann@example.org"), rosters.Entry(4, "bob@example.org")]
    people = setup.prepare_members(store, roster, lambda: None)
    if how == "appointed":
        setup.add_user(store, "bob@example.org", NOW)
    store.write(lambda tx: acts.add_member(tx, by, hub, "bob@example.org"))

    with pytest.raises(errors.Invalid, match=r"^Nothing is imported. Line 4: bob@example.org "):
        store.write(lambda tx: setup.import_members(tx, by, place.spot, people, new_tokens=new_tokens))
    assert store.read(lambda tx: users.find_by_email(tx, "ann@example.org")) is None


def test_an_invitation_that_becomes_a_role_is_written_down(store: Store) -> None:
    """In the hub's log, by whoever makes the account; and once, if the account begins there."""
    by = audit.By("op (shell)", NOW)
    hub = store.write(lambda tx: acts.add_hub(tx, by, "lab"))
    place = store.write(lambda tx: network.ensure_default(tx, NOW))
    for spot in (hub, place.spot):
        store.write(lambda tx, spot=spot: acts.add_member(tx, by, spot, "bob@example.org"))  # type: ignore[misc]
    setup.add_user(store, "bob@example.org", NOW, who="max (shell)")

    [act, *_] = store.read(lambda tx: audit.list_(tx, hub_id=hub.hub.id))
    assert (act.who, act.act, act.path) == ("max (shell)", "member.join", "lab")
    assert act.before == {"email": "bob@example.org", "role": "admin", "invited": True}
    assert act.after == {"email": "bob@example.org", "role": "admin", "invited": False}
    assert [act.act for act in store.read(lambda tx: audit.list_(tx, path=place.path))] == ["member.join", "member.add"]


def test_an_account_made_in_between_keeps_its_password(store: Store) -> None:
    """Only a new account gets that of the roster."""
    place = store.write(lambda tx: network.ensure_default(tx, NOW))
    roster = [rosters.Entry(1, "ann@example.org"), rosters.Entry(2, "bob@example.org", "", "long enough")]
    people = setup.prepare_members(store, roster, lambda: None)
    setup.add_user(store, "bob@example.org", NOW, password="chosen by Bob")
    by = audit.By("op (shell)", NOW)
    enrolled = store.write(lambda tx: setup.import_members(tx, by, place.spot, people))

    assert [each.created for each in enrolled] == [True, False]
    assert users.login_with_password(store, "bob@example.org", "chosen by Bob", NOW)
