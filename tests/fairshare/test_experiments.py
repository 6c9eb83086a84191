# SPDX-License-Identifier: Apache-2.0
"""How fair the queue is: the experiments of the benchmark, with the numbers that the documentation promises."""

import importlib.util
import statistics
from pathlib import Path
from types import ModuleType

import pytest

from chandelier.fairshare import rules
from chandelier.fairshare.rules import Rules


def _load() -> ModuleType:
    path = Path(__file__).parent.parent.parent / "benchmarks" / "experiments.py"
    spec = importlib.util.spec_from_file_location("experiments", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


experiments = _load()
#: The small job of each day in the fourth experiment, s.
SMALL = 10.0


@pytest.mark.parametrize(("jobs", "most"), [(100, 0.40), (1000, 0.04), (5000, 0.015), (20_000, 0.003)])
def test_parts_of_the_device_become_the_shares(jobs: int, most: float) -> None:
    """E1. While all have work; the worst of seven projects, mean of three seeds."""
    errors = [experiments.convergence(experiments.fair, jobs, seed) for seed in range(3)]

    assert statistics.fmean(errors) <= most


def test_the_device_is_never_idle_and_spare_time_goes_by_share() -> None:
    """E2. With one hub idle the other has all, in the proportions of its groups and projects."""
    parts, busy = experiments.spare_time(experiments.fair, "B", jobs=5000)

    assert busy == pytest.approx(1.0, abs=1e-9)
    expected = {"A/g1/p1": 1 / 6, "A/g1/p2": 1 / 6, "A/g2/p1": 1 / 2, "A/g2/p2": 1 / 6}
    assert parts == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("levels", "part"), [(rules.LEVELS, 0.60), (rules.WITHOUT_HUBS, 0.50)])
def test_spare_time_stays_in_the_hub_where_hubs_count(levels: tuple[str, ...], part: float) -> None:
    """E2. With one of its two groups idle, a hub of 60 % keeps them; where groups of all hubs compete, it has 50 %."""
    parts, _ = experiments.spare_time(lambda network: experiments.fair(network, levels=levels), "A/g1", jobs=5000)

    assert sum(got for project, got in parts.items() if project.startswith("A")) == pytest.approx(part, abs=0.01)


def test_a_newcomer_does_not_shut_out_who_was_there() -> None:
    """E3. After 60 days alone: no gap longer than the guard's and a job, and at least 40 % of the first day."""
    found = experiments.newcomer(experiments.fair, after=2 * experiments.DAY)

    assert found.longest_gap <= Rules().max_gap + 300.0
    assert found.first_day >= 0.40


def test_newcomers_who_come_together_do_not_shut_out_who_was_there() -> None:
    """E3. Nine at once: what they are ahead by is one credit, not nine; a fair part would be 10 %."""
    found = experiments.newcomer(experiments.fair, after=2 * experiments.DAY, others=9)

    assert found.longest_gap <= Rules().max_gap + 300.0
    assert found.first_day >= 0.06


def test_memory_without_credit_would_shut_it_out() -> None:
    """E3. Which is why there is a credit: without, the incumbent gets nothing for days."""
    found = experiments.newcomer(experiments.memory_only, after=2 * experiments.DAY)

    assert found.longest_gap == 2 * experiments.DAY
    assert found.first_day == 0.0


def test_a_share_of_one_beside_ten_thousand_is_served() -> None:
    """E4. Each job of the small one begins within the longest gap and the longest job, however much others send."""
    waits = experiments.starvation(experiments.fair, days=7)
    chance = experiments.random.Random(3)
    longest_job = max(experiments.lognormal(chance) for _ in range(int(7 * experiments.DAY / 10)))

    assert len(waits) == 5
    assert max(waits) <= Rules().max_gap + longest_job + SMALL
    assert max(waits) > Rules().max_gap  # by then it is over its share, and the guard is what serves it


@pytest.mark.parametrize(("jobs", "projects"), [(10, 1), (1, 20)])
def test_neither_more_jobs_nor_more_projects_buy_time(jobs: int, projects: int) -> None:
    """E5. An honest group keeps its half."""
    assert experiments.gaming(experiments.fair, jobs=jobs, projects=projects) == pytest.approx(0.5, abs=0.005)


def test_a_class_within_its_share_hardly_waits() -> None:
    """E7. It asks for 25 % in its lab, with a share of 20 %: minutes, where first come, first served takes hours."""
    fair = experiments.lesson(experiments.fair, 5)
    first_come = experiments.lesson(experiments.FirstCome, 5)

    assert fair.median <= 3 * 60
    assert fair.most <= 10 * 60
    assert first_come.median >= 60 * 60
    assert fair.research == first_come.research


def test_a_class_beyond_its_share_needs_a_reservation() -> None:
    """E7. It asks for 75 %: no order by shares helps, a reservation does, and research gets as much done."""
    fair = experiments.lesson(experiments.fair, 15)
    reserved = experiments.lesson(experiments.fair, 15, reserved=True)

    assert fair.most >= 2 * 3600
    assert reserved.most <= 15 * 60
    assert reserved.served == fair.served
    assert reserved.research == pytest.approx(fair.research, rel=0.02)
