# SPDX-License-Identifier: Apache-2.0
"""How many jobs a user, a project, a group and a hub may have on a device, whoever asks at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from chandelier import errors
from chandelier.jobs import intake, outcomes, pending
from chandelier.jobs.intake import Limits
from chandelier.jobs.lifecycle import State
from chandelier.jobs.pending import Room
from chandelier.jobs.records import Draft, Job
from chandelier.store import Transaction
from chandelier.tenancy import grants, members, network
from chandelier.tenancy.access import Principal
from chandelier.tenancy.network import Place, Spot
from factories import ACCEPTED, NOW, Town, a_job, a_program, after

PATIENCE = 30.0


def limit(town: Town, spot: Spot, most: int) -> None:
    """Limit the jobs of a node on the device."""
    town.store.write(lambda tx: grants.grant(tx, spot, town.device, 1, grants.Limits(max_pending=most), NOW))


def submit(town: Town, who: Principal | None = None, place: Place | None = None, most: int = -1) -> Job:
    """Submit a program to the device, where a user may have so many jobs."""
    where = town.store, who or town.ann, place or town.home, town.device, a_program()
    return intake.submit(*where, draft=Draft(), limits=Limits(10**6, most), now=NOW)


def room(town: Town, who: Principal, most: int) -> Room:
    """Return what is left to somebody at home."""
    return town.store.read(lambda tx: pending.room(tx, who.user_id, town.home, town.device, most))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_jobs_of_a_node_are_limited_together(town: Town, level: int) -> None:
    """Whoever's they are and in whatever state; one that ends makes room, other hubs have their own."""
    limit(town, Spot(*town.home.spot.way[:level]), 3)
    first = submit(town)
    waits = submit(town, town.bob)
    town.store.write(lambda tx: outcomes.validated(tx, waits, ACCEPTED, NOW))
    town.store.write(lambda tx: a_job(tx, town, State.RUNNING))
    with pytest.raises(errors.LimitReached) as caught:
        submit(town)

    names = [node.name for node in town.home.spot.way]
    assert caught.value.code == 3458
    assert all(word in caught.value.message for word in (names[level - 1], "device", "3"))
    submit(town, town.bob, town.annex)
    town.store.write(lambda tx: outcomes.cancel(tx, first, after(1)))
    submit(town)


def test_a_group_counts_all_its_projects(town: Town) -> None:
    """However its jobs are divided among them."""
    other = town.store.write(lambda tx: network.add_project(tx, town.home.group, "other", NOW))
    second = Place(town.home.hub, town.home.group, other)
    town.store.write(lambda tx: members.join(tx, second.project_id, town.ann.user_id, NOW))
    limit(town, Spot(town.home.hub, town.home.group), 2)
    submit(town)
    submit(town, place=second)
    with pytest.raises(errors.LimitReached):
        submit(town, place=second)


def test_the_least_that_holds_is_told(town: Town) -> None:
    """As what the caller may have in all, so that others' jobs are not counted out to them."""
    assert room(town, town.ann, -1) == Room(-1, 0)
    submit(town)
    assert room(town, town.ann, 7) == Room(7, 1)
    limit(town, town.home.spot, 4)
    submit(town, town.bob)
    assert room(town, town.ann, 7) == Room(3, 1)
    assert room(town, town.ann, 2) == Room(2, 1)
    assert room(town, town.ann, -1) == Room(3, 1)
    limit(town, Spot(town.home.hub), 1)
    assert room(town, town.ann, 7) == Room(1, 1)


@pytest.mark.parametrize("whose", ["user", "project"])
def test_several_at_once_do_not_get_past_a_limit(town: Town, whose: str) -> None:
    """Each sees what the others took; none is refused that would fit."""
    if whose == "project":
        limit(town, town.home.spot, 5)
    start = threading.Barrier(4)

    def work(number: int) -> int:
        start.wait(PATIENCE)
        return sum(_accepted(lambda: submit(town, most=5 if whose == "user" else -1)) for _ in range(3 + number))

    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(work, range(4)))

    assert sum(taken) == 5


def _accepted(attempt: Callable[[], Job]) -> bool:
    try:
        attempt()
    except errors.LimitReached:
        return False
    return True


def test_a_limit_is_at_least_one(town: Town) -> None:
    """To allow none, the device is taken away."""
    with pytest.raises(errors.Invalid, match="max_pending"):
        limit(town, town.home.spot, 0)


def test_a_withdrawn_grant_limits_nothing(town: Town) -> None:
    """Nobody can submit there any more, and another way to the device is not concerned."""
    limit(town, town.home.spot, 1)
    submit(town)

    def work(tx: Transaction) -> None:
        grants.withdraw(tx, town.home.spot, town.device, NOW)

    town.store.write(work)

    assert room(town, town.ann, 5) == Room(5, 1)
