# SPDX-License-Identifier: Apache-2.0
"""Who has which role where, and invitations."""

from collections.abc import Callable

import pytest

from chandelier import errors
from chandelier.store import Transaction
from chandelier.tenancy import access, members, network, users
from chandelier.tenancy.access import Role
from chandelier.tenancy.members import Member
from chandelier.tenancy.network import Spot
from chandelier.tenancy.users import User
from factories import NOW, Town, after

EVE = "eve@example.org"
Act = Callable[[Transaction], object]


def spots(town: Town) -> dict[str, Spot]:
    """Return the annex's hub, group and project."""
    annex = town.annex
    return {"hub": Spot(annex.hub), "group": Spot(annex.hub, annex.group), "project": annex.spot}


def add(town: Town, spot: Spot, email: str) -> Member:
    """Give somebody a role."""
    return town.store.write(lambda tx: members.add(tx, spot, email, after(1))[0])


def listed(town: Town, spot: Spot) -> list[tuple[str, str, bool]]:
    """Return who has a role: address, role, and whether they are only invited."""
    return [
        (member.email, member.role, member.invited) for member in town.store.read(lambda tx: members.list_(tx, spot))
    ]


@pytest.mark.parametrize(
    ("level", "role"), [("hub", Role.HUB_ADMIN), ("group", Role.GROUP_ADMIN), ("project", Role.MEMBER)]
)
def test_a_role_is_given_and_taken(town: Town, level: str, role: Role) -> None:
    """It holds for everything below, and ends at once."""
    spot = spots(town)[level]
    assert town.store.read(lambda tx: access.role_at(tx, town.ann, town.annex.spot)) is Role.NOBODY

    made = add(town, spot, " Ann@Example.org ")
    assert (made.id, made.invited) == (town.ann.user_id, False)
    assert town.store.read(lambda tx: access.role_at(tx, town.ann, town.annex.spot)) is role
    assert ("ann@example.org", made.role, False) in listed(town, spot)

    town.store.write(lambda tx: members.remove(tx, spot, "ann@example.org", after(2)))
    assert town.store.read(lambda tx: access.role_at(tx, town.ann, town.annex.spot)) is Role.NOBODY
    assert "ann@example.org" not in [email for email, *_ in listed(town, spot)]


def test_only_members_of_a_project_have_it_as_their_place(town: Town) -> None:
    """An administrator of the hub or the group has not."""
    for level in ("hub", "group"):
        add(town, spots(town)[level], "ann@example.org")
    assert [place.path for place in town.store.read(lambda tx: access.places(tx, town.ann))] == ["ibm-q/open/main"]

    add(town, spots(town)["project"], "ann@example.org")
    assert len(town.store.read(lambda tx: access.places(tx, town.ann))) == 2


def test_whoever_has_no_account_is_invited(town: Town) -> None:
    """Once, and gets the role with the account."""
    spot = spots(town)["project"]
    first, second = add(town, spot, "Eve@example.org"), add(town, spot, "eve@example.org")
    assert first == second
    assert ("eve@example.org", "member", True) in listed(town, spot)

    def sign_up(tx: object) -> User:
        user = users.create(tx, "eve@example.org", after(3))  # type: ignore[arg-type]
        members.welcome(tx, user, after(3))  # type: ignore[arg-type]
        return user

    eve = town.store.write(sign_up)
    assert ("eve@example.org", "member", False) in listed(town, spot)
    assert town.store.read(lambda tx: members.is_member(tx, town.annex.project_id, eve.id))


def test_an_invitation_may_be_taken_back(town: Town) -> None:
    """Whoever signs up afterwards gets nothing."""
    spot = spots(town)["hub"]
    add(town, spot, "eve@example.org")
    town.store.write(lambda tx: members.remove(tx, spot, "eve@example.org", after(2)))

    def sign_up(tx: object) -> User:
        user = users.create(tx, "eve@example.org", after(3))  # type: ignore[arg-type]
        members.welcome(tx, user, after(3))  # type: ignore[arg-type]
        return user

    eve = town.store.write(sign_up)
    assert not town.store.read(lambda tx: members.nodes_of(tx, eve.id))


def test_a_role_that_is_not_there_cannot_be_taken(town: Town) -> None:
    """Nor an address be something else."""
    with pytest.raises(errors.NotFound) as caught:
        town.store.write(lambda tx: members.remove(tx, spots(town)["hub"], "ann@example.org", NOW))
    assert caught.value.code == 3500
    for email in ("", "ann", "a b@example.org"):
        with pytest.raises(errors.Invalid):
            add(town, spots(town)["hub"], email)


@pytest.mark.parametrize("email", ["a\x00b@example.org", "=1+1@example.org", "+a@example.org", "a\x7f@example.org"])
def test_an_address_is_harmless(town: Town, email: str) -> None:
    """No control characters, and nothing that a spreadsheet would run."""
    with pytest.raises(errors.Invalid):
        add(town, spots(town)["project"], email)


def test_what_is_deleted_is_administered_by_the_hub_alone(town: Town) -> None:
    """A group's administrator has nothing more to do with it; the hub's still sees its history."""
    for level, who in (("group", "ann"), ("hub", "bob")):
        add(town, spots(town)[level], f"{who}@example.org")
    gone = spots(town)["group"]
    town.store.write(lambda tx: members.remove(tx, spots(town)["project"], "bob@example.org", after(4)))
    town.store.write(lambda tx: network.remove(tx, gone, after(5)))
    place = town.store.read(lambda tx: network.get(tx, town.annex.project_id))

    assert town.store.read(lambda tx: access.role_at(tx, town.ann, place.spot)) is Role.NOBODY
    assert town.store.read(lambda tx: access.role_at(tx, town.bob, place.spot)) is Role.HUB_ADMIN


def test_administrators_are_known(town: Town) -> None:
    """Of groups and hubs, while they are."""
    spot = spots(town)["group"]
    add(town, spot, "ann@example.org")
    assert town.store.read(members.administrators) == {town.ann.user_id}
    town.store.write(lambda tx: members.remove(tx, spot, "ann@example.org", after(2)))
    assert town.store.read(members.administrators) == frozenset()


@pytest.mark.parametrize("what", ["hub", "group"])
def test_administrators_of_what_is_deleted_are_none(town: Town, what: str) -> None:
    """Nor is who is invited to be one."""
    for level, email in (("hub", "ann@example.org"), ("group", "bob@example.org"), ("project", "cid@example.org")):
        add(town, spots(town)[level], email)
    add(town, spots(town)["hub"], EVE)
    add(town, spots(town)["group"], "fay@example.org")

    def known() -> tuple[set[str], dict[str, str]]:
        administrators = set(town.store.read(members.administrators))
        invited = town.store.read(members.invited_administrators)
        return administrators, {email: spot.path for email, spot in invited.items()}

    assert known() == (
        {town.ann.user_id, town.bob.user_id},
        {EVE: "annex", "fay@example.org": "annex/main"},
    )
    town.store.write(lambda tx: network.remove(tx, spots(town)[what], after(5)))
    assert known() == (({town.ann.user_id}, {EVE: "annex"}) if what == "group" else (set(), {}))


@pytest.mark.parametrize("level", ["hub", "group", "project"])
def test_an_invitation_ends_with_what_it_is_to(town: Town, level: str) -> None:
    """Whoever signs up later gets nothing of it; what else they are invited to is theirs."""
    add(town, spots(town)[level], EVE)
    add(town, town.home.spot, EVE)
    town.store.write(lambda tx: network.remove(tx, spots(town)[level], after(2)))

    eve = town.store.write(sign_up)
    assert town.store.read(lambda tx: members.nodes_of(tx, eve.id)) == {town.home.project_id}


def test_whoever_is_there_already_stays_as_they_are(town: Town) -> None:
    """They joined when they did."""
    spot = spots(town)["project"]

    def again(seconds: float) -> tuple[Member, bool]:
        return town.store.write(lambda tx: members.add(tx, spot, town.ann.email, after(seconds)))

    first, new = again(1)
    assert (first.joined, new) == (after(1), True)
    assert again(2) == (first, False)


def test_a_role_that_is_given_again_is_a_new_one(town: Town) -> None:
    """The list has who is back once, since then, and no more as removed."""
    spot = spots(town)["project"]
    add(town, spot, town.ann.email)
    town.store.write(lambda tx: members.remove(tx, spot, town.ann.email, after(2)))
    town.store.write(lambda tx: members.add(tx, spot, town.ann.email, after(3)))

    people = town.store.read(lambda tx: members.list_of(tx, [spot], ended=True))[spot.node.id]
    assert [(one.joined, one.ended) for one in people if one.id == town.ann.user_id] == [(after(3), False)]


def sign_up(tx: Transaction) -> User:
    """Make Eve's account as the house does."""
    user = users.create(tx, EVE, after(3))
    members.welcome(tx, user, after(3))
    return user


def invite(tx: Transaction) -> None:
    """Ask Eve into the annex."""
    place = network.find(tx, "annex", "main", "main")
    assert place is not None
    members.add(tx, place.spot, EVE, after(2))


def withdraw(tx: Transaction) -> None:
    """Take back that she was asked."""
    place = network.find(tx, "annex", "main", "main")
    assert place is not None
    members.remove(tx, place.spot, EVE, after(2))


@pytest.mark.parametrize(
    ("first", "second", "invited"),
    [(invite, sign_up, False), (sign_up, invite, False), (withdraw, sign_up, True), (sign_up, withdraw, True)],
)
def test_an_account_and_its_invitation_do_not_miss_each_other(
    crowded: Town, impatient: Town, first: Act, second: Act, invited: bool
) -> None:
    """Of two transactions that would not see what the other has not yet committed, one waits."""
    if invited:
        crowded.store.write(invite)

    def work(tx: Transaction) -> None:
        first(tx)
        with pytest.raises(errors.Unavailable, match="lock timeout"):
            impatient.store.write(second)

    crowded.store.write(work)
    impatient.store.write(second)
    here = [(email, waiting) for email, _, waiting in listed(crowded, crowded.annex.spot) if email == EVE]
    assert here == ([] if invited else [(EVE, False)])


def test_invitations_of_others_do_not_wait(crowded: Town, impatient: Town) -> None:
    """What is kept for one is an address."""

    def work(tx: Transaction) -> None:
        invite(tx)
        impatient.store.write(lambda other: members.add(other, crowded.annex.spot, "carl@example.org", after(2)))

    crowded.store.write(work)
    assert {EVE, "carl@example.org"} <= {email for email, *_ in listed(crowded, crowded.annex.spot)}
