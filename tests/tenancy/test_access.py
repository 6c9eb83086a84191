# SPDX-License-Identifier: Apache-2.0
"""The gate: which places, devices and jobs are whose."""

from functools import partial

import pytest
import sqlalchemy as sa

from chandelier import errors
from chandelier.store import Transaction, database
from chandelier.tenancy import access, grants, members, network, users
from chandelier.tenancy.access import Principal
from chandelier.tenancy.network import Place
from factories import NOW, Town, a_device, a_place, after

#: Names of the two places of the town.
HOME = ("ibm-q", "open", "main")
ANNEX = ("annex", "main", "main")


def places(town: Town, who: Principal) -> list[str]:
    """Return the paths of a caller's places."""
    return [place.path for place in town.store.read(lambda tx: access.places(tx, who))]


def devices_of(town: Town, place: Place) -> list[str]:
    """Return the names of a place's devices."""
    return [entry.device.name for entry in town.store.read(lambda tx: access.available(tx, place))]


def change(town: Town, table: str, condition: str, column: str) -> None:
    """Mark rows as ended, as later releases of the house will."""
    found = database.metadata.tables[table]

    def work(tx: Transaction) -> None:
        assert tx.execute(sa.update(found).where(sa.text(condition)).values({column: after(60)})).rowcount > 0

    town.store.write(work)


def test_a_caller_is_known_by_the_token(town: Town) -> None:
    """With the rights that the account has now."""

    def log_in(tx: Transaction) -> list[str]:
        return [users.issue(tx, who.user_id, "access", NOW)[0] for who in (town.ann, town.operator)]

    texts = town.store.write(log_in)
    callers = [town.store.read(partial(access.authenticate, token=text, now=NOW)) for text in texts]

    assert callers == [town.ann, town.operator]
    assert [caller.operator for caller in callers] == [False, True]


@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_no_caller_without_a_token(town: Town, token: str | None) -> None:
    """The message says whether there was none or a wrong one."""
    with pytest.raises(errors.Unauthenticated) as caught:
        town.store.read(lambda tx: access.authenticate(tx, token, NOW))

    assert caught.value.code == 2001
    assert ("No access token" in caught.value.message) == (not token)


def test_members_see_their_places_the_default_first(town: Town) -> None:
    """And nobody else's."""
    assert places(town, town.ann) == ["ibm-q/open/main"]
    assert places(town, town.bob) == ["ibm-q/open/main", "annex/main/main"]


def test_the_operator_sees_every_place(town: Town) -> None:
    """Also those without membership."""
    assert places(town, town.operator) == ["ibm-q/open/main", "annex/main/main"]
    assert town.store.read(lambda tx: access.place(tx, town.operator, ANNEX)) == town.annex


def test_the_default_place_is_first_even_if_it_is_younger(town: Town) -> None:
    """Old clients take the first place for their own."""
    older = town.store.write(lambda tx: a_place(tx, "old", "old", "old", after(-1000)))
    town.store.write(lambda tx: members.join(tx, older.project_id, town.bob.user_id, NOW))

    assert places(town, town.bob) == ["ibm-q/open/main", "old/old/old", "annex/main/main"]
    assert town.store.read(lambda tx: access.place(tx, town.bob, None)) == town.home


@pytest.mark.parametrize(
    "names", [ANNEX, ("no", "such", "place"), ("ibm-q", "open", "other"), ("IBM-Q", "open", "main"), ("", "", "")]
)
def test_foreign_places_do_not_exist(town: Town, names: tuple[str, str, str]) -> None:
    """A place that is not hers and one that is not there are told alike."""
    with pytest.raises(errors.NotFound) as caught:
        town.store.read(lambda tx: access.place(tx, town.ann, names))

    assert caught.value.code == 3001
    assert caught.value.message == (
        f"There is no project {'/'.join(names)}, or you are not a member. GET /Network lists yours."
    )


def test_who_is_no_member_anywhere_is_told_so(town: Town) -> None:
    """Instead of being given somebody's place."""
    user = town.store.write(lambda tx: users.create(tx, "eve@example.org", NOW))
    eve = Principal(user.id, user.email, user.name, False)

    assert places(town, eve) == []
    with pytest.raises(errors.NotFound) as caught:
        town.store.read(lambda tx: access.place(tx, eve, None))
    assert caught.value.code == 3001


def test_removed_members_are_outside(town: Town) -> None:
    """And inside again when they join again."""
    change(town, "members", f"user_id = '{town.bob.user_id}' AND node_id = '{town.annex.project_id}'", "removed")
    assert places(town, town.bob) == ["ibm-q/open/main"]
    with pytest.raises(errors.NotFound):
        town.store.read(lambda tx: access.place(tx, town.bob, ANNEX))
    with pytest.raises(errors.NotFound):
        town.store.read(lambda tx: access.any_device(tx, town.bob, "hidden"))

    town.store.write(lambda tx: members.join(tx, town.annex.project_id, town.bob.user_id, after(99)))
    assert places(town, town.bob) == ["ibm-q/open/main", "annex/main/main"]


@pytest.mark.parametrize("table", ["hubs", "groups", "projects"])
def test_deleted_places_are_gone_for_all(town: Town, table: str) -> None:
    """Whichever part of the way was deleted, for operators too; jobs can still name the project."""
    ids = {"hubs": town.annex.hub.id, "groups": town.annex.group.id, "projects": town.annex.project.id}
    change(town, table, f"id = '{ids[table]}'", "deleted")

    for who in (town.bob, town.operator):
        assert places(town, who) == ["ibm-q/open/main"]
        with pytest.raises(errors.NotFound):
            town.store.read(partial(access.place, principal=who, names=ANNEX))
    assert town.store.read(lambda tx: network.get(tx, town.annex.project_id)).path == "annex/main/main"


def test_a_place_has_the_devices_that_were_granted(town: Town) -> None:
    """In the order of the catalogue, and no others."""
    assert devices_of(town, town.home) == ["device"]
    assert devices_of(town, town.annex) == ["device", "hidden"]


def test_devices_of_other_places_do_not_exist(town: Town) -> None:
    """Told like a device that is nowhere."""
    for name in ("hidden", "no such device", ""):
        with pytest.raises(errors.NotFound) as caught:
            town.store.read(partial(access.device, place=town.home, name=name))
        assert caught.value.code == 3100
    assert town.store.read(lambda tx: access.device(tx, town.annex, "hidden")).device == town.hidden


def test_any_device_looks_in_all_places_of_the_caller(town: Town) -> None:
    """Bob reaches the annex's device, the operator too, Ann does not."""
    for who in (town.bob, town.operator):
        assert town.store.read(partial(access.any_device, principal=who, name="hidden")).device == town.hidden
    with pytest.raises(errors.NotFound):
        town.store.read(lambda tx: access.any_device(tx, town.ann, "hidden"))


def test_a_device_granted_to_nobody_is_nobodys(town: Town) -> None:
    """Not even the operator has it in a place."""
    a_device(town.store, "spare")

    with pytest.raises(errors.NotFound):
        town.store.read(lambda tx: access.any_device(tx, town.operator, "spare"))


def test_a_withdrawn_grant_stays_withdrawn(town: Town) -> None:
    """Granting everything again, as each start does, does not bring it back."""
    change(town, "grants", f"device_id = '{town.hidden.id}'", "withdrawn")
    town.store.write(lambda tx: grants.allow(tx, town.annex, [town.device.id, town.hidden.id], after(99)))

    assert devices_of(town, town.annex) == ["device"]
    with pytest.raises(errors.NotFound):
        town.store.read(lambda tx: access.any_device(tx, town.bob, "hidden"))


def test_the_default_place_is_made_once(town: Town) -> None:
    """Asking for it again returns the same."""
    again = town.store.write(lambda tx: network.ensure_default(tx, after(99)))

    assert again == town.home
    assert town.home.path == "/".join(HOME)


def test_jobs_are_seen_by_their_owner_and_by_operators(town: Town) -> None:
    """By nobody else, member of the same project or not; by the owner while they have the project."""
    owner, project_id = town.ann.user_id, town.home.project_id

    def may() -> list[bool]:
        people = (town.ann, town.operator, town.bob)
        return [
            town.store.read(partial(access.may_act_on_job, principal=who, owner=owner, project_id=project_id))
            for who in people
        ]

    assert may() == [True, True, False]
    town.store.write(lambda tx: members.remove(tx, town.home.spot, town.ann.email, after(1)))
    assert may() == [False, True, False]


def test_what_is_of_an_account_is_its_own(sqlite_town: Town) -> None:
    """And the operator's."""
    people = (sqlite_town.ann, sqlite_town.operator, sqlite_town.bob)
    assert [access.owns(who, sqlite_town.ann.user_id) for who in people] == [True, True, False]
