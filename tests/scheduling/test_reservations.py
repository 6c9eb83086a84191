# SPDX-License-Identifier: Apache-2.0
"""Times for which a device is kept: who goes first, who waits, how much of them a hub may have."""

import functools
import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier import devices, errors
from chandelier.devices import Device
from chandelier.jobs import outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.scheduling import claims, forecast, holds, quotas, ranking, reservations
from chandelier.scheduling.claims import Claim
from chandelier.scheduling.reservations import Known, Mode, Reservation, Terms, Wanted
from chandelier.store import Transaction
from chandelier.tenancy import allowances, audit, grants, network
from chandelier.tenancy.audit import By
from chandelier.tenancy.network import Place, Spot
from factories import NOW, Town, a_device_document, a_job, after

HOUR = 3600.0
DAY = 24 * HOUR
TERMS = Terms(longest=DAY, quota=10 * HOUR, idle=900.0)


def reserved(
    town: Town,
    spot: Spot,
    begins: float,
    ends: float,
    mode: Mode = "dedicated",
    *,
    made: float = 0.0,
    terms: Terms = TERMS,
    device: Device | None = None,
    known: Known = reservations.nobodys,
) -> Reservation:
    """Reserve the device, or another, from and to some seconds after the beginning."""
    by, wanted = By("root", after(made)), Wanted(mode, after(begins), after(ends))
    return town.store.write(lambda tx: reservations.add(tx, by, spot, device or town.device, wanted, terms, known))


def cancelled(town: Town, kept: Reservation, moment: float) -> Reservation:
    """Cancel a reservation some seconds after the beginning."""
    return town.store.write(lambda tx: reservations.cancel(tx, By("root", after(moment)), kept))


def job(town: Town, place: Place, seconds: float = 0.0, **details: Any) -> Job:
    """Return a queued job in a project."""
    who = town.bob if place is town.annex else town.ann
    return town.store.write(
        lambda tx: a_job(tx, town, State.QUEUED, place=place, who=who, now=after(seconds), **details)
    )


def begun(town: Town, seconds: float) -> Claim | None:
    """Begin the next job some seconds after the beginning."""
    return town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "worker", after(seconds)))


def order(town: Town, seconds: float, count: int) -> list[str | None]:
    """Begin some jobs at a moment; return their ids, None where nothing may begin."""
    return [claim.job.id if (claim := begun(town, seconds)) else None for _ in range(count)]


def ended(town: Town, claim: Claim | None, seconds: float) -> None:
    """End a job that runs."""
    assert claim is not None
    town.store.write(lambda tx: records.advance(tx, claim.job.id, (State.COMPLETED,), after(seconds), seconds=1.0))


def given_up(town: Town, seconds: float) -> int:
    """Do the scheduler's chore at a moment."""
    return town.store.write(lambda tx: reservations.give_up_unused(tx, TERMS.idle, after(seconds)))


def sibling(town: Town, name: str) -> Place:
    """Return a new project beside the annex, which has the device."""

    def work(tx: Transaction) -> Place:
        made = network.add_project(tx, town.annex.group, name, NOW)
        place = Place(town.annex.hub, town.annex.group, made)
        grants.allow(tx, place, [town.device.id], NOW)
        return place

    return town.store.write(work)


def test_with_priority_they_go_first_and_then_the_others(town: Town) -> None:
    """Whatever is due to whom; nobody waits while the device is free."""
    reserved(town, town.annex.spot, 10, 1000, "priority")
    other, mine = [job(town, town.home, at) for at in (0, 1)], [job(town, town.annex, at) for at in (2, 3)]

    assert order(town, 11, 5) == [mine[0].id, mine[1].id, other[0].id, other[1].id, None]


@pytest.mark.parametrize("seconds", [9.999, 1000.0])
def test_before_and_after_it_all_is_as_usual(town: Town, seconds: float) -> None:
    """The end is not within it."""
    reserved(town, town.annex.spot, 10, 1000)
    other, mine = job(town, town.home, 0), job(town, town.annex, 0)

    assert set(order(town, seconds, 2)) == {other.id, mine.id}


def test_a_dedicated_one_keeps_others_out(town: Town) -> None:
    """The device idles when theirs are done; the others are told why they wait."""
    reserved(town, town.annex.spot, 10, 1000)
    other, mine = job(town, town.home, 0), job(town, town.annex, 1)

    assert order(town, 11, 2) == [mine.id, None]
    gate = town.store.read(lambda tx: holds.at(tx, after(11)))
    hold = gate(town.device.id, town.home.project_id)
    assert hold is not None
    assert hold.kind == "reservation"
    assert "2026-03-14 15:26 UTC" in hold.text
    assert gate(town.device.id, town.annex.project_id) is None
    assert gate(town.hidden.id, town.home.project_id) is None
    assert order(town, 1000, 1) == [other.id]


def test_what_runs_goes_on(town: Town) -> None:
    """A reservation that begins stops nobody."""
    job(town, town.home, 0)
    claim = begun(town, 1)
    assert claim is not None
    reserved(town, town.annex.spot, 10, 1000)

    assert town.store.write(lambda tx: claims.renew(tx, [claim], after(11))) == []


def test_other_devices_are_not_kept(town: Town) -> None:
    """Though theirs go before the others' on the servers' slots."""
    reserved(town, town.annex.spot, 10, 1000)
    elsewhere = job(town, town.home, 0, device=town.hidden)
    mine = job(town, town.annex, 1)

    assert order(town, 11, 2) == [mine.id, elsewhere.id]


def test_two_reservations_share_the_slots_fairly(town: Town) -> None:
    """However many jobs wait in the one that began first."""
    reserved(town, town.home.spot, 10, 1000, "priority")
    reserved(town, town.annex.spot, 11, 1000, device=town.hidden)
    crowd = [job(town, town.home, at / 10) for at in range(30)]
    other = job(town, town.annex, 9, device=town.hidden)

    assert order(town, 20, 3) == [crowd[0].id, other.id, crowd[1].id]


def test_a_reservation_leaves_the_others_their_turns(town: Town) -> None:
    """Its jobs go first until more of them run than of those on other devices; alone it may have every slot."""
    reserved(town, town.annex.spot, 10, 1000, "priority")
    mine = [job(town, town.annex, at / 10) for at in range(6)]
    behind = job(town, town.home, 0)
    other = [job(town, town.home, 2 + at, device=town.hidden) for at in range(2)]
    foretold = town.store.read(lambda tx: forecast.make(tx, after(11), slots=4)).course.expected
    first = {name for name, each in foretold.items() if each.start == after(11).timestamp()}
    found = order(town, 11, 10)

    turns = [mine[0], other[0], mine[1], other[1], *mine[2:], behind]
    assert found == [*(each.id for each in turns), None]
    assert first == set(found[:4])


def test_a_reserved_machine_always_goes_first(town: Town) -> None:
    """At its own pace it takes one slot at most, so nobody needs a turn before it."""
    machine = devices.install(town.store, a_device_document("machine", simulator=False), NOW, NOW)
    town.store.write(lambda tx: grants.allow(tx, town.annex, [machine.id], NOW))
    town.store.write(lambda tx: devices.set_pace(tx, "machine", "real"))
    reserved(town, town.annex.spot, 10, 1000, "priority")
    reserved(town, town.annex.spot, 10, 1000, "priority", device=machine)
    mine = [job(town, town.annex, 0), job(town, town.annex, 1, device=machine), job(town, town.annex, 2)]
    other = job(town, town.home, 0, device=town.hidden)

    assert order(town, 11, 5) == [mine[0].id, mine[1].id, other.id, mine[2].id, None]


def test_whom_a_limit_of_theirs_lets_go_on_waits_no_longer_than_others(town: Town) -> None:
    """Where who has reserved may not start more, the device is as any other."""
    town.store.write(lambda tx: grants.grant(tx, town.annex.spot, town.device, 1, grants.Limits(max_running=1), NOW))
    reserved(town, town.annex.spot, 10, 1000, "priority")
    mine, _ = job(town, town.annex, 0), job(town, town.annex, 1)
    here, there = job(town, town.home, 2), job(town, town.home, 3, device=town.hidden)

    assert order(town, 11, 4) == [mine.id, here.id, there.id, None]


def test_a_group_shares_its_time_fairly(town: Town) -> None:
    """Of two projects in it the one goes next that has had less."""
    reserved(town, Spot(town.annex.hub, town.annex.group), 10, 1000, "priority")
    second = sibling(town, "second")
    mine = [job(town, town.annex, at) for at in range(3)]
    theirs = [job(town, second, 3 + at) for at in range(3)]
    other = job(town, town.home, 0)
    found = order(town, 20, 7)

    assert found[6] == other.id
    assert [len({one.id for one in mine} & set(found[pair : pair + 2])) for pair in (0, 2, 4)] == [1, 1, 1]
    assert set(found[:6]) == {each.id for each in mine + theirs}


def test_a_hub_has_all_that_is_in_it(town: Town) -> None:
    """Down to the project."""
    reserved(town, Spot(town.annex.hub), 10, 1000)
    job(town, town.home, 0)
    mine = job(town, town.annex, 1)

    assert order(town, 11, 2) == [mine.id, None]


def test_a_limit_of_theirs_lets_the_others_go_on(town: Town) -> None:
    """Priority never leaves the device idle."""
    town.store.write(lambda tx: grants.grant(tx, town.annex.spot, town.device, 1, grants.Limits(max_running=1), NOW))
    reserved(town, town.annex.spot, 10, 1000, "priority")
    first, _ = job(town, town.annex, 0), job(town, town.annex, 1)
    other = job(town, town.home, 2)

    assert order(town, 11, 3) == [first.id, other.id, None]


@pytest.mark.parametrize(("mode", "expected"), [("dedicated", "dedicated"), ("priority", None)])
def test_a_job_remembers_that_it_ran_alone(town: Town, mode: Mode, expected: str | None) -> None:
    """Only in a dedicated one; a job that is run again outside it does not."""
    reserved(town, town.annex.spot, 10, 1000, mode)
    job(town, town.annex)
    claim = begun(town, 11)
    assert claim is not None

    def mode_now() -> str | None:
        return town.store.read(lambda tx: records.get(tx, claim.job.id)).run_mode

    assert mode_now() == expected
    town.store.write(lambda tx: outcomes.requeue(tx, records.get(tx, claim.job.id), after(12)))
    town.store.write(lambda tx: claims.release(tx, claim))
    assert order(town, 1000, 1) == [claim.job.id]
    assert mode_now() is None


def test_nobody_there_and_it_is_given_up(town: Town) -> None:
    """After the idle time, and not before; written down with the reason, and what lay ahead is given back."""
    kept = reserved(town, town.annex.spot, 0, 9 * HOUR)
    other = job(town, town.home)

    assert given_up(town, 899.9) == 0
    assert given_up(town, 900) == 1
    assert given_up(town, 901) == 0
    gone = town.store.read(lambda tx: reservations.get(tx, kept.id))
    assert (gone.why, gone.over) == ("idle", after(900))
    assert order(town, 901, 1) == [other.id]
    last = town.store.read(lambda tx: audit.list_(tx, limit=1))[0]
    assert (last.who, last.act, last.path, last.after) == (
        "scheduler",
        "reservation.release",
        "annex/main/main",
        {"why": "idle"},
    )
    left = town.store.read(lambda tx: reservations.left(tx, town.annex.spot, (after(901), after(902)), TERMS))
    assert left == pytest.approx(10 * HOUR - 900)


def test_work_keeps_it(town: Town) -> None:
    """Jobs that wait, run or have just ended, however short they are."""
    reserved(town, town.annex.spot, 0, 9 * HOUR)
    job(town, town.annex, 800)

    assert given_up(town, 1000) == 0
    claim = begun(town, 1000)
    assert given_up(town, 5000) == 0
    ended(town, claim, 5000)
    assert given_up(town, 5899) == 0
    assert given_up(town, 5900) == 1


@pytest.mark.parametrize(("state", "expected"), [(State.QUEUED, 1), (State.VALIDATING, 0), (State.RUNNING, 0)])
def test_what_device_time_that_is_used_up_holds_does_not_keep_it(town: Town, state: State, expected: int) -> None:
    """The device would idle for whom nothing can start; a job that is checked or runs is use."""
    reserved(town, town.annex.spot, 0, 9 * HOUR)
    town.store.write(lambda tx: allowances.set_(tx, By("root", NOW), town.annex.spot, None, 0))
    town.store.write(lambda tx: a_job(tx, town, state, place=town.annex, who=town.bob))

    assert given_up(town, 1000) == expected


def test_who_waits_for_their_own_jobs_keeps_it(town: Town) -> None:
    """A limit of jobs at once is no reason to give up: one of them runs."""
    town.store.write(lambda tx: grants.grant(tx, town.annex.spot, town.device, 1, grants.Limits(max_running=1), NOW))
    reserved(town, town.annex.spot, 0, 9 * HOUR)
    jobs = [job(town, town.annex, at) for at in (0, 1)]

    assert order(town, 2, 2) == [jobs[0].id, None]
    assert given_up(town, 1000) == 0


def test_work_elsewhere_does_not_keep_it(town: Town) -> None:
    """Nor that of others."""
    reserved(town, town.annex.spot, 10, 9 * HOUR)
    job(town, town.home, 0)
    begun(town, 1)
    job(town, town.annex, 2, device=town.hidden)

    assert given_up(town, 2000) == 1


def test_a_server_that_was_down_does_not_count(town: Town) -> None:
    """Nobody could have sent a job meanwhile."""
    reserved(town, town.annex.spot, 0, 9 * HOUR)

    def chore(seconds: float) -> int:
        return town.store.write(lambda tx: reservations.give_up_unused(tx, TERMS.idle, after(seconds), up=after(2000)))

    assert [chore(seconds) for seconds in (2001, 2899, 2900)] == [0, 0, 1]


def test_one_of_priority_harms_nobody_and_stays(town: Town) -> None:
    """However idle."""
    reserved(town, town.annex.spot, 0, 9 * HOUR, "priority")

    assert given_up(town, 8 * HOUR) == 0


@pytest.mark.parametrize("what", ["project", "device"])
def test_who_is_gone_keeps_nothing(town: Town, what: str) -> None:
    """A deleted project, or one whose device was taken away; also before it begins."""
    kept = reserved(town, town.annex.spot, HOUR, 2 * HOUR, "priority")

    def work(tx: Transaction) -> None:
        if what == "project":
            network.remove(tx, town.annex.spot, after(1))
        else:
            grants.withdraw(tx, Spot(town.annex.hub), town.device, after(1))

    town.store.write(work)

    assert given_up(town, 2) == 1
    assert town.store.read(lambda tx: reservations.get(tx, kept.id)).why == "gone"


@pytest.mark.parametrize(
    ("begins", "ends", "made", "word"),
    [
        (HOUR, HOUR, 0, "before it begins"),
        (2 * HOUR, HOUR, 0, "before it begins"),
        (-61, HOUR, 0, "past"),
        (0, DAY + 1, 0, "24 hours"),
        (367 * DAY, 367 * DAY + 1, 0, "366 days"),
    ],
)
def test_times_that_nobody_can_have(town: Town, begins: float, ends: float, made: float, word: str) -> None:
    """The message says what is wrong."""
    with pytest.raises(errors.Invalid, match=word):
        reserved(town, town.annex.spot, begins, ends, made=made)


def test_clocks_may_differ_a_little(town: Town) -> None:
    """What would have begun just now is taken as it is, unless it has ended too."""
    assert reserved(town, town.annex.spot, 0, HOUR, made=59).begins == NOW
    with pytest.raises(errors.Invalid):
        reserved(town, town.annex.spot, HOUR, HOUR + 50, made=HOUR + 50)


def test_a_device_must_be_theirs(town: Town) -> None:
    """Of the node itself, as an operator could be wrong about."""
    by, wanted = By("root", NOW), Wanted("priority", after(1), after(2))

    with pytest.raises(errors.NotFound):
        town.store.write(lambda tx: reservations.add(tx, by, town.home.spot, town.hidden, wanted, TERMS))


def test_two_do_not_overlap(town: Town) -> None:
    """One may begin when the other ends; whose it is is told to who may know it alone."""
    kept = reserved(town, town.annex.spot, HOUR, 2 * HOUR)
    reserved(town, town.home.spot, 2 * HOUR, 3 * HOUR)
    reserved(town, town.home.spot, 0, HOUR)

    with pytest.raises(errors.Conflict) as outside:
        reserved(town, Spot(town.annex.hub), 1.5 * HOUR, 1.6 * HOUR)
    times = "from 2026-03-14 16:09 UTC to 2026-03-14 17:09 UTC"
    assert outside.value.message == f"device is reserved {times}. Choose another time."
    with pytest.raises(errors.Conflict) as inside:
        reserved(town, Spot(town.annex.hub), 1.5 * HOUR, 1.6 * HOUR, known=lambda whose: whose == town.annex.spot)
    named = f"for annex/main/main (reservation {kept.id})"
    assert inside.value.message == f"device is reserved {times} {named}. Choose another time."


def test_of_two_at_once_one_gets_it(town: Town) -> None:
    """On either database."""

    def ask(place: Place) -> str:
        try:
            reserved(town, place.spot, HOUR, 2 * HOUR)
        except errors.Conflict:
            return "refused"
        return "reserved"

    with ThreadPoolExecutor(6) as crowd:
        seen = list(crowd.map(ask, [town.home, town.annex] * 3))

    assert sorted(seen) == ["refused"] * 5 + ["reserved"]


def test_a_quota_holds_for_all_of_a_hub(town: Town) -> None:
    """Whichever node reserves; the message says what is left, and other hubs are not touched."""
    reserved(town, town.annex.spot, HOUR, 7 * HOUR)
    with pytest.raises(errors.LimitReached, match=r"4\.00 left") as refusal:
        reserved(town, Spot(town.annex.hub), 8 * HOUR, 12.5 * HOUR)
    reserved(town, Spot(town.annex.hub), 8 * HOUR, 12 * HOUR)
    with pytest.raises(errors.LimitReached):
        reserved(town, Spot(town.annex.hub), 27 * DAY, 27 * DAY + 60)
    reserved(town, town.home.spot, 27 * DAY, 27 * DAY + HOUR)

    assert refusal.value.data == {"leftSeconds": 4 * HOUR}


def test_after_28_days_there_is_as_much_again(town: Town) -> None:
    """To the second."""
    reserved(town, town.annex.spot, HOUR, 11 * HOUR)
    with pytest.raises(errors.LimitReached):
        reserved(town, town.annex.spot, 28 * DAY + HOUR - 1, 28 * DAY + 2 * HOUR)

    assert reserved(town, town.annex.spot, 28 * DAY + HOUR, 28 * DAY + 11 * HOUR)


def test_an_operator_sets_the_quota(town: Town) -> None:
    """For more or less than the usual, and it is written down."""
    by, hub = By("root", NOW), Spot(town.annex.hub)
    town.store.write(lambda tx: quotas.set_(tx, by, hub, HOUR))
    with pytest.raises(errors.LimitReached):
        reserved(town, town.annex.spot, HOUR, 3 * HOUR)
    town.store.write(lambda tx: quotas.set_(tx, by, hub, 20 * HOUR))
    reserved(town, town.annex.spot, HOUR, 21 * HOUR)

    seen = [(act.act, act.before, act.after) for act in town.store.read(audit.list_)[1:]]
    assert seen == [
        ("reservation.quota", {"seconds": HOUR}, {"seconds": 20 * HOUR}),
        ("reservation.quota", None, {"seconds": HOUR}),
    ]
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(errors.Invalid):
            town.store.write(functools.partial(quotas.set_, by=by, hub=hub, seconds=wrong))


def test_what_is_cancelled_is_given_back_as_far_as_it_lies_ahead(town: Town) -> None:
    """All of it before it begins, the rest of it later; it can be cancelled once, and not when it is over."""
    first = reserved(town, town.annex.spot, HOUR, 11 * HOUR)
    assert cancelled(town, first, 1).span == (after(HOUR), after(HOUR))
    second = reserved(town, town.annex.spot, HOUR, 11 * HOUR)
    assert cancelled(town, second, 3 * HOUR).why == "cancelled"

    left = town.store.read(lambda tx: reservations.left(tx, town.annex.spot, (after(4 * HOUR), after(5 * HOUR)), TERMS))
    assert left == 8 * HOUR
    with pytest.raises(errors.Conflict):
        cancelled(town, second, 4 * HOUR)
    third = reserved(town, town.annex.spot, 4 * HOUR, 5 * HOUR)
    with pytest.raises(errors.Conflict):
        cancelled(town, third, 5 * HOUR)


def test_cancelling_lets_the_others_in(town: Town) -> None:
    """At once."""
    kept = reserved(town, town.annex.spot, 10, 1000)
    other = job(town, town.home)
    assert order(town, 11, 1) == [None]
    cancelled(town, kept, 12)

    assert order(town, 13, 1) == [other.id]


SPANS = st.lists(st.tuples(st.integers(0, 2400), st.integers(1, 300)), max_size=8)


@given(spans=SPANS, around=st.tuples(st.integers(0, 2400), st.integers(1, 300)))
def test_the_peak_is_that_of_every_window(spans: list[tuple[int, int]], around: tuple[int, int]) -> None:
    """As counted hour by hour, in every window of 28 days that touches the time."""
    hours = [(begins, begins + length) for begins, length in spans]
    window = 28 * 24
    most = 0
    for end in range(around[0], sum(around) + window + 1):
        inside = sum(max(0, min(last, end) - max(first, end - window)) for first, last in hours)
        most = max(most, inside)

    moments = [(after(HOUR * first), after(HOUR * last)) for first, last in hours]
    near = (after(HOUR * around[0]), after(HOUR * sum(around)))
    assert quotas.peak(moments, near) == HOUR * most


@given(data=st.lists(st.tuples(st.integers(0, 40 * 24), st.integers(1, 24)), min_size=1, max_size=12))
def test_no_window_ever_has_more_than_the_quota(sqlite_town: Town, data: list[tuple[int, int]]) -> None:
    """Whatever is asked for in whatever order, no two overlap, and no 28 days hold more than is allowed."""
    kept: list[tuple[float, float]] = []
    terms = Terms(quota=48 * HOUR)

    def work(tx: Transaction) -> None:
        for begins, length in data:
            wanted = Wanted("priority", after(HOUR * begins), after(HOUR * (begins + length)))
            try:
                reservations.add(tx, By("root", NOW), town.annex.spot, town.device, wanted, terms)
            except (errors.Conflict, errors.LimitReached):
                continue
            kept.append((begins, begins + length))
        for each in reservations.list_(tx):
            reservations.cancel(tx, By("root", NOW), each)

    town = sqlite_town
    town.store.write(work)

    assert kept[:1] == [(data[0][0], sum(data[0]))]
    ordered = sorted(kept)
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(ordered))
    for _, end in kept:
        assert sum(max(0, min(last, end) - max(first, end - 28 * 24)) for first, last in kept) <= 48


def test_a_window_has_28_days() -> None:
    """As the published limits of the former service."""
    assert timedelta(days=28) == quotas.WINDOW
