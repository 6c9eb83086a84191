# SPDX-License-Identifier: Apache-2.0
"""What is foretold of a queue agrees with what becomes of it."""

import itertools
import math
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier.fairshare import replay
from chandelier.fairshare.replay import Job, Run
from chandelier.fairshare.rules import Rules
from chandelier.fairshare.tree import Tree
from chandelier.scheduling import foresight
from chandelier.scheduling.fluid import Fluid, Stream
from chandelier.scheduling.foresight import Cap, Expected, Kept, Line, Lines, Scene

DEVICE, POOL = "device", "qpus"
#: Seven projects with their ways, and the weight of each node.
WAYS: Mapping[str, tuple[str, ...]] = {
    project: (POOL, project[0], project[:2], project) for project in ("A1a", "A1b", "A2a", "A2b", "B1a", "B1b", "B2a")
}
WEIGHTS = {"A": 3.0, "B": 2.0, "A1": 1.0, "A2": 2.0, "B1": 3.0, "B2": 1.0, "A2a": 3.0, "B1b": 2.0}


def weigh(node: str, _device: str | None = None) -> float:
    """Return the weight of a node."""
    return WEIGHTS.get(node, 1.0)


def a_tree(jobs: Sequence[Job]) -> Tree:
    """Return a tree in which jobs wait since the beginning."""
    tree = Tree(Rules(), weigh)
    for device in sorted({job.device for job in jobs}):
        for way in WAYS.values():
            tree.add(device, way)
    for job in jobs:
        tree.enter(job.device, job.project, 0.0)
    return tree


def a_backlog(seed: int, each: int) -> list[Job]:
    """Return jobs of lognormal lengths, 10 s on average, as many of each project."""
    chance = random.Random(seed)
    sigma = math.sqrt(math.log(1 + 1.5**2))

    def seconds() -> float:
        return chance.lognormvariate(math.log(10) - sigma**2 / 2, sigma)

    lengths = [(project, number, seconds()) for project in WAYS for number in range(each)]
    return [Job(0.0, DEVICE, project, cost, cost, f"{project}-{number}") for project, number, cost in lengths]


def a_scene(tree: Tree, jobs: Sequence[Job], **more: object) -> Scene:
    """Return what is to be looked at: a tree, and the jobs that it counts, the oldest first."""
    waiting: dict[tuple[str, str], list[Job]] = defaultdict(list)
    for job in jobs:
        waiting[job.device, job.project].append(job)
    lines = {
        key: Line(
            WAYS[key[1]],
            tuple(weigh(node) for node in WAYS[key[1]][1:]),
            len(mine),
            sum(job.estimate for job in mine),
        )
        for key, mine in waiting.items()
    }
    left = {key: iter(mine) for key, mine in waiting.items()}
    read = Lines(lambda key, most: list(itertools.islice(left[key], most)))
    known: dict[str, object] = {"moment": 0.0, "serial": frozenset({DEVICE})}
    return Scene(tree=tree, lines=lines, oldest=read.oldest, **known | more)  # type: ignore[arg-type]  # by name


def foretold(jobs: Sequence[Job], begun: int, horizon: int) -> tuple[float, dict[str, Expected], dict[str, Run]]:
    """Return a moment at which some jobs have begun, what is then foretold, and what becomes of the others."""
    truth = list(replay.replay(a_tree(jobs), (), waiting=jobs, serial=[DEVICE]))
    tree = a_tree(jobs)
    course = replay.replay(tree, (), waiting=jobs, serial=[DEVICE])
    runs = list(itertools.islice(course, begun))
    moment = runs[-1].start if runs else 0.0
    gone = {run.job.name for run in runs}
    left = [job for job in jobs if job.name not in gone]
    seen = foresight.look(a_scene(tree, left, moment=moment, running=runs[-1:]), horizon)
    ahead: Counter[str] = Counter()
    told: dict[str, Expected] = {}
    for job in left:
        found = seen.of(job.name, (DEVICE, job.project), ahead[job.project], job.estimate)
        assert found is not None
        told[job.name] = found
        ahead[job.project] += 1
    return moment, told, {run.job.name: run for run in truth if run.job.name not in gone}


@pytest.mark.parametrize("begun", [0, 500, 2000])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_estimates_are_within_five_per_cent(begun: int, seed: int) -> None:
    """Half of the starts are foretold within 5 % of the wait, far behind the jobs that are replayed one by one."""
    moment, told, truth = foretold(a_backlog(seed, 600), begun, horizon=300)
    errors = [
        abs(told[name].start - run.start) / (run.start - moment)  # type: ignore[operator]  # all have one
        for name, run in truth.items()
        if run.start > moment
    ]
    behind = [error for name, error in zip(truth, errors, strict=False) if told[name].overall is None]

    assert len(behind) > 1000
    assert statistics.median(errors) <= 0.05
    assert statistics.median(behind) <= 0.05


def test_what_is_replayed_is_what_happens() -> None:
    """As long as nobody comes and run times are right, an estimate is exact, so it never moves, later or earlier."""
    jobs = a_backlog(3, 60)
    for begun in (0, 1, 40, 200, 400):
        _, told, truth = foretold(jobs, begun, horizon=1000)

        assert {name: expected.start for name, expected in told.items()} == pytest.approx(
            {name: run.start for name, run in truth.items()}
        )
        order = sorted(told, key=lambda name: told[name].overall or 0)
        assert order == list(truth)


def test_estimates_far_behind_hardly_move() -> None:
    """When nobody comes, an estimate by the fluid moves later by a few per cent of the wait that was foretold."""
    jobs = a_backlog(4, 400)
    known: dict[str, float] = {}
    before = 0.0
    for begun in (0, 300, 600, 1200, 1800):
        moment, told, _ = foretold(jobs, begun, horizon=300)
        starts = {name: expected.start for name, expected in told.items() if expected.start is not None}
        later = [max(0.0, starts[name] - known[name]) / (known[name] - before) for name in starts if name in known]

        assert not later or statistics.median(later) <= 0.02
        assert not later or statistics.quantiles(later, n=20)[-1] <= 0.15
        known, before = {name: start for name, start in starts.items() if told[name].overall is None}, moment


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(WAYS)), st.sampled_from(["one", "two"]), st.floats(0.1, 50)), max_size=40
    ),
    st.integers(0, 30),
    st.sets(st.tuples(st.sampled_from(["one", "two"]), st.sampled_from(sorted(WAYS))), max_size=3),
    st.sets(st.sampled_from(["one", "two"]), max_size=1),
)
def test_places_are_a_permutation(
    drawn: list[tuple[str, str, float]], horizon: int, held: set[tuple[str, str]], closed: set[str]
) -> None:
    """Places on a device are 1, 2, 3 …, each once; a place of one's own counts one's own project alone, in order."""
    jobs = [Job(0.0, device, project, cost, cost, str(number)) for number, (project, device, cost) in enumerate(drawn)]
    scene = a_scene(
        a_tree(jobs), jobs, serial=frozenset({"one"}), slots=2, held=frozenset(held), closed=frozenset(closed)
    )
    seen = foresight.look(scene, horizon)
    for device in ("one", "two"):
        mine = [job for job in jobs if job.device == device and job.name in seen.expected]
        places = sorted(seen.expected[job.name].overall or 0 for job in mine)
        assert places == list(range(1, len(mine) + 1))
        for project in WAYS:
            own = [seen.expected[job.name].position for job in mine if job.project == project]
            assert own == list(range(1, len(own) + 1))
    assert len(seen.expected) >= min(len(jobs), horizon) * (not held and not closed)
    for job in jobs:
        found = seen.expected.get(job.name)
        if found is not None and ((job.device, job.project) in held or job.device in closed):
            assert found.start is None


def test_what_is_held_waits_behind_the_rest() -> None:
    """It has a place, but no time: nobody knows when it may start."""
    jobs = [Job(0.0, DEVICE, project, 5.0, 5.0, f"{project}{number}") for number in range(2) for project in WAYS]
    seen = foresight.look(a_scene(a_tree(jobs), jobs, held=frozenset({(DEVICE, "A2a")})))

    assert [seen.expected[name].overall for name in ("A2a0", "A2a1")] == [13, 14]
    assert seen.expected["A2a0"].start is None
    assert max(seen.expected[job.name].start or 0 for job in jobs) == 55


def test_a_closed_device_has_an_order_and_no_times() -> None:
    """Who would go first when it opens again is known."""
    jobs = [Job(0.0, DEVICE, "A1a", 5.0, 5.0, f"{number}") for number in range(3)]
    seen = foresight.look(a_scene(a_tree(jobs), jobs, closed=frozenset({DEVICE})))

    assert [seen.expected[job.name] for job in jobs] == [
        Expected((DEVICE, "A1a"), place, place, None, None) for place in (1, 2, 3)
    ]


def test_limits_of_jobs_at_once_are_foreseen() -> None:
    """Of a project that may run one job at once the second begins when the first ends, though slots are free."""
    jobs = [Job(0.0, DEVICE, "A1a", 5.0, 5.0, f"{number}") for number in range(3)]
    cap = Cap(DEVICE, frozenset({"A1a"}), 1)
    ran = Run(Job(0.0, DEVICE, "A1a", 3.0, 3.0, "first"), 0.0, 3.0)
    scene = a_scene(a_tree(jobs), jobs, serial=frozenset(), slots=8, caps=[cap], running=[ran])

    assert [each.start for each in foresight.look(scene).expected.values()] == [3.0, 8.0, 13.0]


def test_reservations_are_foreseen() -> None:
    """In the time kept for it a project goes first, and in a dedicated one nobody else does."""
    jobs = [Job(0.0, DEVICE, project, 5.0, 5.0, f"{project}{number}") for number in range(2) for project in WAYS]
    kept = Kept(DEVICE, frozenset({"B2a"}), 4.0, 40.0, alone=True)
    seen = foresight.look(a_scene(a_tree(jobs), jobs, kept=[kept]))

    starts = {name: expected.start for name, expected in seen.expected.items()}
    assert [starts["B2a0"], starts["B2a1"]] == [5.0, 10.0]
    others = sorted(start for name, start in starts.items() if start is not None and not name.startswith("B2a"))
    assert others == [0.0, *(40.0 + 5 * number for number in range(11))]


def test_real_devices_need_no_slot() -> None:
    """A device that keeps a machine's pace is occupied without keeping a slot, so others go on."""
    jobs = [
        Job(0.0, device, "A1a", 5.0, 5.0, f"{device}{number}") for number in range(2) for device in ("real", "fast")
    ]
    scene = a_scene(a_tree(jobs), jobs, serial=frozenset({"real"}), slots=1)

    starts = {name: expected.start for name, expected in foresight.look(scene).expected.items()}
    assert starts == {"real0": 0.0, "fast0": 0.0, "real1": 5.0, "fast1": 5.0}


def test_a_fluid_flows_by_shares() -> None:
    """Of two with shares 3 and 1, the small one's first 5 s are done after 20 s in all, and all its 10 s after 34."""
    fluid = Fluid({"root": {"big": Stream(3.0, 24.0), "small": Stream(1.0, 10.0)}})

    assert fluid.before(["root", "small"], 5.0) == pytest.approx(20.0)
    assert fluid.before(["root", "small"], 10.0) == pytest.approx(34.0)
    assert fluid.before(["root", "big"], 24.0) == pytest.approx(32.0)


def test_who_has_used_more_waits_for_the_others() -> None:
    """One that is 6 s ahead for each unit of share gets nothing until the other has had as much."""
    fluid = Fluid({"root": {"ahead": Stream(1.0, 10.0, lead=6.0), "behind": Stream(1.0, 10.0)}})

    assert fluid.before(["root", "ahead"], 0.0) == pytest.approx(6.0)
    assert fluid.before(["root", "ahead"], 2.0) == pytest.approx(10.0)


@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.builds(Stream, st.floats(0.1, 10), st.floats(0.1, 100), st.floats(0, 50)),
        min_size=1,
    )
)
def test_all_work_is_done_in_the_end(streams: dict[str, Stream]) -> None:
    """Whoever ends last ends when everything is done, and more of one's own is never done earlier."""
    fluid = Fluid({"root": streams})
    ends = [fluid.before(["root", name], stream.work) for name, stream in streams.items()]

    assert max(ends) == pytest.approx(sum(stream.work for stream in streams.values()))
    for name, stream in streams.items():
        parts = [fluid.before(["root", name], stream.work * tenth / 10) for tenth in range(11)]
        assert all(after >= before - 1e-6 for before, after in itertools.pairwise(parts))
