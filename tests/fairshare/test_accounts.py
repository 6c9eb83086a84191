# SPDX-License-Identifier: Apache-2.0
"""The fair-share tree in the database: counts, charges, and agreement with the tree in memory."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from chandelier import acts, devices
from chandelier.devices import Device
from chandelier.fairshare import accounts, rules, standing
from chandelier.fairshare.rules import Rules
from chandelier.fairshare.standing import Work
from chandelier.fairshare.tree import Tree
from chandelier.formats import tasks
from chandelier.jobs import counts, outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.scheduling import claims, ranking
from chandelier.scheduling.claims import Claim
from chandelier.store import Transaction
from chandelier.tenancy import audit, grants, network
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import Place
from factories import NOW, Town, a_device_document, a_job, a_place, after, queued, reload

EXPECTED = 0.5  # what the factories' programs are expected to take, s
FINISHED = tasks.Finished(success=True, seconds=3.0, bytes=10, code=0, message="", experiments=1)
BROKEN = tasks.Refused(8000, "It failed.")


def usage(town: Town, place: Place | None = None) -> list[float]:
    """Return what the pool, hub, group and project have used, as of now, s."""
    used = town.store.read(standing.usages)
    way = [standing.SIMULATORS, *(node.id for node in (place or town.home).spot.way)]
    known = [used.get((standing.SIMULATORS, node)) for node in way]
    return [0.0 if each is None else each.value for each in known]


def begin(town: Town, job: Job, now: datetime) -> Job:
    """Let a job run."""
    town.store.write(lambda tx: records.advance(tx, job.id, (State.RUNNING,), now, started=now))
    return reload(town.store, job)


def complete(town: Town, job: Job, *, seconds: float = 3.0) -> None:
    """End a job with a result."""
    job = begin(town, job, after(10))
    done = msgspec.structs.replace(FINISHED, seconds=seconds)
    town.store.write(partial(outcomes.settle, job=job, finished=done, result="result", now=after(20)))


def cancel(town: Town, job: Job, *, running: bool) -> None:
    """Cancel a job that waits, or one that has run for four seconds."""
    job = begin(town, job, after(10)) if running else job
    town.store.write(partial(outcomes.cancel, job=job, now=after(14)))


def fail(town: Town, job: Job, *, ours: bool) -> None:
    """End a job that has run for four seconds, by a fault of its own or of ours."""
    job = begin(town, job, after(10))
    town.store.write(partial(outcomes.refused, job=job, refusal=BROKEN, now=after(14), ours=ours))


def lose_and_complete(town: Town, job: Job) -> None:
    """Lose a job's worker twice before it ends with a result."""
    for _ in range(2):
        job = begin(town, job, after(10))
        town.store.write(partial(outcomes.requeue, job=job, now=after(12)))
    complete(town, reload(town.store, job))


@pytest.mark.parametrize(
    ("end", "charge"),
    [
        (complete, 3.0),
        (partial(complete, seconds=0.001), rules.LEAST_CHARGE),
        (partial(cancel, running=False), 0.0),
        (partial(cancel, running=True), 4.0),
        (partial(fail, ours=False), 4.0),
        (partial(fail, ours=True), 0.0),
        (lose_and_complete, 3.0),
    ],
    ids=["completed", "completed at once", "cancelled", "cancelled running", "failed", "given up", "lost twice"],
)
def test_a_job_is_charged_once_for_what_it_ran(town: Town, end: Callable[[Town, Job], None], charge: float) -> None:
    """Whatever happens to it on the way; the project, its group, its hub and the pool are charged alike."""
    town.store.write(lambda tx: accounts.set_rules(tx, Rules(half_life=1e12), NOW))
    end(town, queued(town))

    assert usage(town) == pytest.approx([charge] * 4, abs=1e-6)
    assert usage(town, town.annex)[1:] == [0.0] * 3


def test_what_runs_is_charged_what_it_is_expected_to_take(town: Town) -> None:
    """So that a project with many jobs at once cannot begin them all before the first has ended."""
    begin(town, queued(town), after(1))

    assert usage(town) == pytest.approx([EXPECTED] * 4)


def test_usage_fades_by_half_in_a_half_life(town: Town) -> None:
    """Counted from when the job began."""
    complete(town, queued(town))
    used = town.store.read(standing.usages)[standing.SIMULATORS, town.home.project.id]
    half_life = Rules().half_life

    assert used.now(after(10).timestamp() + half_life, half_life) == pytest.approx(1.5, rel=1e-9)


def chosen(
    tx: Transaction, free: set[str], now: datetime, allowed: rules.Allowed = rules.everyone
) -> rules.Choice | None:
    """Return who goes next, by the tree in the database."""
    look = standing.look(tx)
    return None if look is None else standing.choose(look, free, now, allowed)


def test_what_waits_is_counted(town: Town) -> None:
    """Of each node, with what it is expected to take."""
    jobs = [queued(town) for _ in range(3)]
    begin(town, jobs[0], after(1))
    way = [standing.SIMULATORS, *(node.id for node in town.home.spot.way)]

    assert [town.store.read(partial(standing.waiting, device_id=town.device.id, node_id=node)) for node in way] == [
        Work(2, 2 * EXPECTED)
    ] * 4


def test_a_recount_mends_what_is_wrong(town: Town) -> None:
    """As of a database from before there were accounts; who waits longest keeps the place."""
    jobs = [queued(town) for _ in range(3)]
    lanes = town.store.read(standing.lanes)
    town.store.write(lambda tx: accounts.recount(tx, {}, after(1)))
    assert town.store.read(lambda tx: chosen(tx, {town.device.id}, after(2))) is None

    def recount(tx: Transaction) -> int:
        return accounts.recount(tx, counts.queued(tx), after(3))

    assert town.store.write(recount) == 4
    assert town.store.write(recount) == 0
    assert [(lane.node_id, lane.queued, lane.key) for lane in town.store.read(standing.lanes)] == [
        (lane.node_id, lane.queued, lane.key) for lane in lanes
    ]
    choice = town.store.read(lambda tx: chosen(tx, {town.device.id}, after(4)))
    assert choice is not None
    assert choice.project == jobs[0].project_id


@pytest.mark.parametrize("end", ["cancelled", "settled", "lost"])
def test_jobs_from_before_there_were_accounts_end_and_start(town: Town, end: str) -> None:
    """As after an upgrade: one runs and was never charged, one waits and was never counted."""
    first, second = queued(town), queued(town)
    first = begin(town, first, after(1))
    town.store.write(lambda tx: [tx.execute(sa.text(f"DELETE FROM fair_{name}")) for name in ("lanes", "accounts")])
    if end == "cancelled":
        town.store.write(partial(outcomes.cancel, job=first, now=after(3)))
    elif end == "settled":
        town.store.write(partial(outcomes.settle, job=first, finished=FINISHED, result="result", now=after(3)))
    else:
        town.store.write(lambda tx: claims.reap(tx, after(3)))
    town.store.write(lambda tx: accounts.recount(tx, counts.queued(tx), after(4)))
    claim = town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "worker", after(5)))

    assert claim is not None
    assert claim.job.id == (first.id if end == "lost" else second.id)


def test_workers_do_not_wait_for_each_other_in_circles(postgres_town: Town) -> None:
    """Several that end jobs and begin others at once, in two projects on two devices."""
    town = postgres_town

    def fill(tx: Transaction) -> None:
        for number in range(10):
            for place, who in ((town.home, town.ann), (town.annex, town.bob)):
                for device in (town.device,) if place is town.home else (town.device, town.hidden):
                    a_job(tx, town, State.QUEUED, place=place, who=who, device=device, now=after(number))

    def deadlocks() -> int:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return int(town.store.read(lambda tx: tx.execute(sa.text(query)).scalar_one()))

    def work(name: str) -> int:
        done, claim = 0, town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, name, after(100)))
        while claim is not None:

            def write(tx: Transaction, held: Claim = claim) -> Claim | None:
                claims.hold(tx, held)
                outcomes.settle(tx, held.job, FINISHED, held.token, after(110))
                claims.release(tx, held)
                return claims.claim_run(tx, ranking.fair, name, after(120))

            claim = town.store.write(write)
            done += 1
        return done

    town.store.write(fill)
    before = deadlocks()
    with ThreadPoolExecutor(4) as threads:
        done = sum(threads.map(work, ("one", "two", "three", "four")))

    assert done == 30
    assert deadlocks() == before


def test_a_pause_is_not_waiting(town: Town) -> None:
    """Who waited while a device started nothing is not late when it goes on."""
    queued(town)
    by = audit.By("root", after(10))
    town.store.write(lambda tx: acts.set_state(tx, by, "device", "paused", ""))
    later = audit.By("root", after(3 * 3600))
    town.store.write(lambda tx: acts.set_state(tx, later, "device", "active", ""))

    assert {lane.since for lane in town.store.read(standing.lanes)} == {after(3 * 3600).timestamp()}


def test_another_half_life_counts_from_now_on(town: Town) -> None:
    """What was used until now has faded at the old pace, and the order is worked out anew."""
    complete(town, queued(town))
    queued(town)
    later = after(10) + timedelta(seconds=Rules().half_life)
    town.store.write(lambda tx: accounts.set_rules(tx, Rules(half_life=100.0), later))
    used = town.store.read(standing.usages)[standing.SIMULATORS, town.home.project.id]
    lane = town.store.read(standing.lanes)[-1]

    assert used.value == pytest.approx(1.5, rel=1e-9)
    assert lane.key == pytest.approx(rules.key(used, lane.weight, 100.0))


def test_a_share_of_a_device_is_its_weight_there(town: Town) -> None:
    """Its own share is, until one is set for the device; acts take a change over at once."""
    queued(town)
    by, spot = audit.By("root", after(1)), town.home.spot

    def weight() -> float:
        return {lane.node_id: lane.weight for lane in town.store.read(standing.lanes)}[town.home.project.id]

    found = [weight()]
    for change in (
        lambda tx: acts.change(tx, by, spot, priority=3000),
        lambda tx: acts.grant(tx, by, spot, town.device, lambda _: (7, Limits())),
        lambda tx: acts.change(tx, by, spot, priority=4000),
        lambda tx: acts.grant(tx, by, spot, town.device, lambda _: (None, Limits(max_shots=1))),
    ):
        town.store.write(change)
        found.append(weight())

    assert found == [1000.0, 3000.0, 7.0, 7.0, 7.0]


class Both:
    """The same events told to the database and to a tree in memory."""

    def __init__(self, tx: Transaction, places: list[Place], known: list[Device]) -> None:
        self.tx = tx
        self.places = places
        self.devices = known
        self.now = NOW
        self.began: list[tuple[Device, Place, float, datetime]] = []
        self.names = {str(device.id): device for device in known}
        self.projects = {place.project.id: place for place in places}
        accounts.set_rules(tx, Rules(half_life=5000.0, credit=300.0, max_gap=400.0), NOW)
        self.tree = Tree(Rules(half_life=5000.0, credit=300.0, max_gap=400.0), self.weigh)

    def weigh(self, label: str, device: str | None) -> float:
        """Return a weight as the database has it."""
        node = label.partition(":")[2]
        own = network.weights(self.tx, [node])
        shares = grants.weights(self.tx, [node])
        return float(own.get(node, 1) if device is None else shares.get((node, device), own.get(node, 1)))

    def pool(self, device: Device) -> str:
        """Return a device's pool."""
        return standing.SIMULATORS if device.simulator else standing.QPUS

    def enter(self, device: Device, place: Place, seconds: float) -> None:
        """Let a job wait."""
        accounts.enter(self.tx, device.id, place.project_id, seconds, self.now)
        pool = self.pool(device)
        way = tuple(standing.label(pool, node) for node in (pool, *(node.id for node in place.spot.way)))
        self.tree.add(device.id, way)
        self.tree.enter(device.id, way[-1], self.now.timestamp())

    def choose(self, free: set[str], barred: set[tuple[str, str]]) -> rules.Choice | None:
        """Ask both who goes next, and compare."""

        def allowed(device: str, project: str) -> bool:
            return (device, project.rpartition(":")[2]) not in barred

        ours = chosen(self.tx, free, self.now, allowed)
        theirs = self.tree.choose(free, self.now.timestamp(), allowed)
        if ours is None or theirs is None:
            assert ours is theirs
            return None
        named = msgspec.structs.replace(theirs, project=theirs.project.partition(":")[2])
        assert ours == named
        return theirs

    def start(self, choice: rules.Choice, seconds: float) -> None:
        """Begin a job of who was chosen."""
        device, place = self.names[choice.device], self.projects[choice.project.partition(":")[2]]
        accounts.start(
            self.tx, device.id, place.project_id, seconds, self.now, turn="guarded" if choice.guarded else "due"
        )
        self.tree.start(choice, rules.cost(seconds), self.now.timestamp())
        self.began.append((device, place, seconds, self.now))

    def correct(self, index: int, difference: float) -> None:
        """Charge a job that has begun more, or less."""
        device, place, _, began = self.began.pop(index % len(self.began))
        accounts.correct(self.tx, device.id, place.project_id, difference, began)
        self.tree.charge(standing.label(self.pool(device), place.project.id), difference, began.timestamp())

    def same_usage(self) -> None:
        """Compare what everybody has used."""
        for (pool, node), used in standing.usages(self.tx).items():
            assert used.value == self.tree.usage(standing.label(pool, node)).value, node


class _Enough(Exception):
    """Undoes what a test wrote."""


class Wide(msgspec.Struct, frozen=True):
    """A town of three hubs with several projects, two simulators and a device that is none."""

    town: Town
    places: list[Place]
    devices: list[Device]


@pytest.fixture
def wide(town: Town) -> Wide:
    """Three hubs, six projects, three devices."""

    def work(tx: Transaction) -> list[Place]:
        group = network.add_group(tx, town.annex.hub, "second", after(2), priority=3000)
        more = [network.add_project(tx, group, f"p{index}", after(3), priority=10**index) for index in range(3)]
        return [
            town.home,
            town.annex,
            a_place(tx, "third", "g", "p"),
            *(Place(town.annex.hub, group, project) for project in more),
        ]

    qpu = devices.install(town.store, a_device_document("qpu", dated="2020-01-01", simulator=False), NOW, NOW)
    return Wide(town, town.store.write(work), [town.device, town.hidden, qpu])


@given(
    used=st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)), max_size=3),
    expected=st.floats(0, 1e3),
    actual=st.floats(0, 1e3),
)
@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_passing_through_is_entering_starting_and_ending(
    wide: Wide, used: list[tuple[float, float]], expected: float, actual: float
) -> None:
    """While nothing waits, one step leaves the accounts as the three do; the key of who has no work is not kept up."""
    device, place = wide.devices[0], wide.places[0]
    where = (device.id, place.project_id)
    history = list(enumerate(used))

    def before(tx: Transaction) -> None:
        for number, (guess, cost) in history:
            accounts.enter(tx, *where, guess, after(100 * number))
            accounts.start(tx, *where, guess, after(100 * number))
            accounts.correct(tx, *where, rules.cost(cost) - rules.cost(guess), after(100 * number))

    def three(tx: Transaction) -> Any:
        before(tx)
        accounts.enter(tx, *where, expected, after(1000))
        accounts.start(tx, *where, expected, after(1000))
        accounts.correct(tx, *where, rules.cost(actual) - rules.cost(expected), after(1000))
        return standing.lanes(tx), standing.usages(tx)

    def one(tx: Transaction) -> Any:
        before(tx)
        accounts.pass_through(tx, *where, expected, actual, after(1000))
        return standing.lanes(tx), standing.usages(tx)

    (lanes, usages), (lanes_of_one, usages_of_one) = wide.town.store.rehearse(three), wide.town.store.rehearse(one)
    assert usages.keys() == usages_of_one.keys()
    for key, known in usages.items():
        assert usages_of_one[key].at == known.at
        assert usages_of_one[key].value == pytest.approx(known.value, rel=1e-9, abs=1e-9)
    for known, found in zip(lanes, lanes_of_one, strict=True):
        for name, value in (msgspec.structs.asdict(known) | {"key": found.key}).items():
            same = pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
            assert getattr(found, name) == same, name


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.integers(0, 2), st.integers(0, 5), st.sampled_from([0.0, 1.0, 30.0, 1000.0])),
        st.tuples(st.just("start"), st.integers(0, 7), st.sampled_from([0.0, 0.5, 100.0]), st.integers(0, 63)),
        st.tuples(st.just("correct"), st.integers(0, 9), st.sampled_from([-0.5, -0.1, 3.0, 200.0]), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 1.0, 500.0, 20000.0]), st.just(0), st.just(0)),
    ),
    min_size=20,
    max_size=60,
)


# Without shrinking: what differs is told by the last steps, and each try costs a transaction.
@settings(max_examples=25, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(steps=STEPS)
def test_both_forms_of_the_tree_agree(wide: Wide, steps: list[tuple[Any, ...]]) -> None:
    """Told the same events, the database and the tree in memory choose the same, and charge the same."""
    places, known = wide.places, wide.devices

    def work(tx: Transaction) -> None:
        both = Both(tx, places, known)
        for what, one, two, three in steps:
            if what == "enter":
                both.enter(known[one], places[two], three)
            elif what == "start":
                free = {str(device.id) for index, device in enumerate(known) if one & (1 << index)}
                barred = {
                    (str(known[bit % 3].id), places[bit].project.id) for bit in range(6) if int(three) & (1 << bit)
                }
                choice = both.choose(free, barred)
                if choice is not None:
                    both.start(choice, two)
            elif what == "correct" and both.began:
                both.correct(one, two)
            elif what == "wait":
                both.now += timedelta(seconds=one)
        both.same_usage()
        loaded = standing.load(tx)
        free = {device.id for device in known}
        assert loaded.choose(free, both.now.timestamp()) == both.tree.choose(free, both.now.timestamp())
        raise _Enough

    with pytest.raises(_Enough):
        wide.town.store.write(work)
