# SPDX-License-Identifier: Apache-2.0
"""The forecast made of the database agrees with what the scheduler then does."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import factories
from chandelier import devices
from chandelier.fairshare import accounts
from chandelier.fairshare.rules import Usage
from chandelier.fairshare.standing import Lane
from chandelier.formats import tasks
from chandelier.jobs import outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job, JobId
from chandelier.scheduling import accuracy, claims, forecast, ranking
from chandelier.scheduling.claims import Claim
from chandelier.scheduling.forecast import Forecast
from chandelier.scheduling.forecaster import Forecaster
from chandelier.store import Store, Transaction
from chandelier.tenancy import grants, network
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import Place, Spot
from factories import NOW, Town, after

_ACCEPTED = factories.ACCEPTED


@pytest.fixture
def places(town: Town) -> list[Place]:
    """Four projects in three groups of two hubs, with other shares each; the first two are of the usual town."""

    def work(tx: Transaction) -> list[Place]:
        hub = town.annex.hub
        group = network.add_group(tx, hub, "second", NOW)
        made = [
            Place(hub, town.annex.group, network.add_project(tx, town.annex.group, "other", NOW)),
            Place(hub, group, network.add_project(tx, group, "one", NOW)),
        ]
        for place in made:
            grants.allow(tx, place, [town.device.id], NOW)
        grants.grant(tx, made[0].spot, town.device, 500, Limits(), NOW)
        grants.grant(tx, Spot(hub, group), town.device, 3000, Limits(), NOW)
        return [town.home, town.annex, *made]

    return town.store.write(work)


def wait(town: Town, place: Place, seconds: float, at: float) -> JobId:
    """Let a job of some length wait since a moment."""

    def work(tx: Transaction) -> JobId:
        job = factories.a_job(tx, town, State.VALIDATING, who=town.bob, place=place, now=after(at))
        outcomes.validated(tx, job, msgspec.structs.replace(_ACCEPTED, seconds=seconds), job.created)
        return job.id

    return town.store.write(work)


def look(store: Store, at: datetime, slots: int = 1, horizon: int = 1000) -> Forecast:
    """Look ahead."""
    return store.read(lambda tx: forecast.make(tx, at, slots, horizon))


def crowd(town: Town, places: Sequence[Place], each: int) -> list[JobId]:
    """Let jobs of all lengths wait."""
    lengths = [1.0, 7.5, 0.5, 3.0, 20.0, 2.0, 5.0]
    return [
        wait(town, place, lengths[(3 * number + turn) % 7], 0.01 * (number * len(places) + turn))
        for number in range(each)
        for turn, place in enumerate(places)
    ]


def begin(town: Town, at: datetime) -> Claim | None:
    """Begin the job that goes next."""
    return town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "worker", at))


def end(town: Town, claim: Claim, seconds: float, at: datetime) -> None:
    """End a job."""
    done = tasks.Finished(True, 0, "", seconds, 10, 1)

    def work(tx: Transaction) -> None:
        outcomes.settle(tx, claim.job, done, claim.token, at)
        claims.release(tx, claim)

    town.store.write(work)


def work_off(town: Town, at: float, most: int) -> tuple[dict[str, float], float]:
    """Run jobs one after the other, as long as they were expected to; return when each began, and the end."""
    starts: dict[str, float] = {}
    while len(starts) < most and (claim := begin(town, after(at))) is not None:
        job = town.store.read(lambda tx, known=claim: records.get(tx, known.job.id))  # type: ignore[misc]  # at once
        assert job.estimate is not None
        starts[job.id] = at
        at += job.estimate
        end(town, claim, job.estimate, after(at))
    return starts, at


def test_what_is_foretold_is_what_happens(town: Town, places: list[Place]) -> None:
    """With right run times and nobody else coming each job begins when, and in the order in which, it was foretold."""
    jobs = crowd(town, places, 6)
    told = look(town.store, after(1)).course.expected
    starts, now = work_off(town, 1, 7)
    again = look(town.store, after(now)).course.expected
    starts |= work_off(town, now, 100)[0]

    assert set(told) == set(starts) == set(jobs)
    begun = NOW.timestamp()
    assert {name: (each.start or 0) - begun for name, each in told.items()} == pytest.approx(starts)
    assert {name: (each.start or 0) - begun for name, each in again.items()} == pytest.approx(
        {name: starts[name] for name in again}
    )
    assert sorted(told, key=lambda name: told[name].overall or 0) == list(starts)


def test_places_of_ones_own_count_ones_own_project_in_order(town: Town, places: list[Place]) -> None:
    """The first job that was created is the first of its project, whatever others do."""
    crowd(town, places, 3)
    told = look(town.store, after(1)).course.expected

    for place in places:
        mine = [job for job in (records_of(town, told)) if job.project_id == place.project_id]
        assert [told[job.id].position for job in sorted(mine, key=lambda job: job.created)] == [1, 2, 3]


def records_of(town: Town, ids: Iterable[str]) -> list[Job]:
    """Return some jobs."""
    return [town.store.read(lambda tx, known=job: records.get(tx, known)) for job in ids]  # type: ignore[misc]  # at once


def test_a_job_that_runs_is_waited_for(town: Town) -> None:
    """What runs has what is left of its estimate; one that takes longer than expected is about to end."""
    wait(town, town.home, 8.0, 0)
    second = wait(town, town.home, 1.0, 0.1)
    begin(town, after(1))

    def start(at: float) -> float:
        return (look(town.store, after(at)).course.expected[second].start or 0) - NOW.timestamp()

    assert [start(2), start(6), start(20)] == pytest.approx([9, 9, 20])


def test_priorities_tell_who_has_used_how_much(town: Town, places: list[Place]) -> None:
    """1 for who has used nothing, less than 0.5 for who has used more than the share; all above 0, and at most 1."""
    wait(town, town.home, 30.0, 0)
    claim = begin(town, after(1))
    assert claim is not None
    end(town, claim, 30.0, after(31))
    for place in (town.home, *places[1:3]):
        wait(town, place, 1.0, 40)
    seen = look(town.store, after(41))
    hubs = [seen.standings[town.device.id, place.hub.id] for place in (town.home, town.annex)]

    assert [hub.fairness for hub in hubs] == pytest.approx([1 / 3, 1.0])
    assert [hub.fraction for hub in hubs] == [0.5, 0.5]
    assert [hub.due for hub in hubs] == [False, True]
    assert all(0 < standing.fairness <= 1 for standing in seen.standings.values())
    projects = [seen.standings[town.device.id, place.project_id] for place in places[1:3]]
    assert [project.fraction for project in projects] == pytest.approx([2 / 3, 1 / 3])


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 10_000), st.floats(0, 1e12), st.integers(0, 3)),
        min_size=1,
        max_size=12,
    )
)
def test_priorities_are_above_0_and_at_most_1(drawn: list[tuple[str, int, float, int]]) -> None:
    """Whatever was used; 1 is for who has used nothing, and one sibling is due where anybody has work."""
    bare = dict.fromkeys(Lane.__struct_fields__, 0.0) | {"device_id": "d", "pool": "qpus", "level": 3}
    lanes = [
        Lane(**bare | {"node_id": str(number), "parent_id": parent, "weight": weight, "key": used, "queued": queued})  # type: ignore[arg-type]  # by name
        for number, (parent, weight, used, queued) in enumerate(drawn)
    ]
    usages = {("qpus", str(number)): Usage(used, 0.0) for number, (_, _, used, _) in enumerate(drawn)}
    found = forecast._standings(lanes, usages, {}, 0.0, 1.0)

    assert all(0 < each.fairness <= 1 for each in found.values())
    assert all(0 < each.fraction <= 1 for each in found.values())
    for parent in {parent for parent, *_ in drawn}:
        among = [each for each in found.values() if each.parent_id == parent]
        assert sum(each.due for each in among) == any(each.queued for each in among)


def test_what_waits_for_a_device_that_is_paused_has_an_order(town: Town) -> None:
    """It has places, and no times."""
    jobs = [wait(town, town.home, 1.0, number) for number in range(2)]
    town.store.write(lambda tx: devices.set_state(tx, "device", "paused", "Back soon."))
    seen = look(town.store, after(5))

    assert [(seen.course.expected[job].overall, seen.course.expected[job].start) for job in jobs] == [
        (1, None),
        (2, None),
    ]
    assert town.device.id in seen.closed


def test_limits_of_jobs_at_once_are_foreseen(town: Town) -> None:
    """Who may run one job at once waits for it, and it is said so; who may run more does not."""
    limits = Limits(max_running=1)
    town.store.write(lambda tx: grants.grant(tx, town.home.spot, town.device, 1000, limits, NOW))
    mine = [wait(town, town.home, 5.0, 0.1 * number) for number in range(2)]
    other = wait(town, town.annex, 5.0, 0.2)
    begin(town, after(1))
    begin(town, after(1))
    third = wait(town, town.annex, 5.0, 2)
    seen = look(town.store, after(2), slots=4)

    assert other not in seen.course.expected
    assert (seen.course.expected[mine[1]].start or 0) - NOW.timestamp() == pytest.approx(6)
    assert (seen.course.expected[third].start or 0) - NOW.timestamp() == pytest.approx(2)
    assert seen.held[town.device.id, town.home.project_id].kind == "running"


def test_what_is_far_behind_is_foretold_by_its_place(town: Town, places: list[Place]) -> None:
    """Behind what is replayed the start follows from how many of one's own are before."""
    jobs = crowd(town, places, 12)
    near, far = look(town.store, after(1)), look(town.store, after(1), horizon=12)
    assert len(far.course.expected) == 12
    last = records_of(town, jobs[-1:])[0]
    exact = near.of(last.id, last.device_id, last.project_id, 11, last.estimate)
    rough = far.of(last.id, last.device_id, last.project_id, 11, last.estimate)
    assert exact is not None
    assert rough is not None

    assert exact.position == rough.position == 12
    assert rough.overall is None
    waits = [(each.start or 0) - after(1).timestamp() for each in (exact, rough)]
    assert waits[1] == pytest.approx(waits[0], rel=0.25)
    assert far.of(last.id, last.device_id, last.project_id, None, 1.0) is None


def test_counts_that_are_wrong_do_no_harm(town: Town) -> None:
    """Where more jobs are counted than there are, those that are there are foretold."""
    job = wait(town, town.home, 1.0, 0)
    town.store.write(lambda tx: accounts.enter(tx, town.device.id, town.home.project_id, 1.0, after(1)))

    assert list(look(town.store, after(2)).course.expected) == [job]


def test_how_good_forecasts_were_is_learned(town: Town) -> None:
    """What begins later than it was foretold counts as an error; a few of them say nothing yet."""
    town.store.write(lambda tx: accuracy.note(tx, {town.device.id: [1.0, 2.0, 3.0]}))
    assert look(town.store, NOW).qualities == {}
    town.store.write(lambda tx: accuracy.note(tx, {town.device.id: [4.0, 5.0]}))

    quality = look(town.store, NOW).qualities[town.device.id]
    assert (quality.p50, quality.p90) == pytest.approx((3.0, 4.6))


def test_only_the_last_errors_count(town: Town) -> None:
    """What was long ago is forgotten."""
    town.store.write(lambda tx: accuracy.note(tx, {town.device.id: [100.0] * 50}))
    town.store.write(lambda tx: accuracy.note(tx, {town.device.id: [1.0] * accuracy.KEPT}))

    assert look(town.store, NOW).qualities[town.device.id].p90 == 1.0


def test_the_forecaster_compares_what_it_foretold(town: Town) -> None:
    """Jobs that begin at another time than foretold make the quality known."""
    heard: list[bool] = []
    forecaster = Forecaster(town.store, 1, lambda: heard.append(True))
    for number in range(6):
        wait(town, town.home, 5.0, number)
    foretold = forecaster.fresh()
    for _ in range(6):
        claim = begin(town, after(100))
        assert claim is not None
        end(town, claim, 5.0, after(101))
    later = forecaster.fresh()
    seen = town.store.read(accuracy.qualities)[town.device.id]

    starts = [each.start or 0 for each in foretold.course.expected.values()]
    errors = [start - after(100).timestamp() for start in starts]
    assert later.course.expected == {}
    assert seen.p50 == pytest.approx(accuracy.quality([round(abs(error), 3) for error in errors]).p50)
    assert len(heard) == 2


def test_a_forecast_is_made_anew_only_when_something_happened(town: Town) -> None:
    """Whoever asks twice gets the same; after a move a new one."""
    forecaster = Forecaster(town.store, 1, lambda: None)
    first = forecaster.fresh()
    assert forecaster.fresh() is first
    job = wait(town, town.home, 1.0, 0)

    assert job in forecaster.fresh().course.expected
