# SPDX-License-Identifier: Apache-2.0
"""How fair the queue is, in simulated time, beside other queues; and what choosing costs.

    python benchmarks/fairness.py [--write] [--draw]

The scheduler's own tree runs the experiments of `experiments.py`. `--draw` writes the pictures of
`docs/explanation/fair-share.md`. Costs are those of this machine, and stand beside a bare heap of as many projects.
"""

import argparse
import heapq
import json
import math
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import charts
import experiments
from chandelier.fairshare import rules
from chandelier.fairshare.replay import Queue
from chandelier.fairshare.rules import Rules
from chandelier.fairshare.tree import Tree
from charts import Axis
from experiments import HOUR, Network

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results" / "fairness.json"
PICTURES: Final = HERE.parent / "docs" / "pictures"
#: Hubs, groups in each, projects in each.
SIZES: Final = ((2, 3, 4), (10, 10, 10), (20, 50, 10), (1, 1, 10_000))
QUEUED: Final = (1_000, 10_000, 100_000, 1_000_000)
#: The queues of the tables; the second last is there to show what memory alone would do.
QUEUES: Final[Mapping[str, Callable[[Network], Queue]]] = {
    **{name: make for name, make in experiments.QUEUES.items() if name != "fair tree"},
    "usage alone": experiments.memory_only,
    "fair tree": experiments.fair,
}
COLOURS: Final = {
    "first come": "#9ca3af",
    "random user": "#d97706",
    "28-day window": "#a21caf",
    "usage alone": "#65a30d",
    "fair tree": "#0e7490",
    "and reserved": "#1e3a8a",
}


def fairness(make: Callable[[Network], Queue]) -> dict[str, Any]:
    """Return the figures of one queue."""
    worst = {
        jobs: statistics.fmean(experiments.convergence(make, jobs, seed) for seed in range(3))
        for jobs in (100, 1000, 5000, 20_000)
    }
    spare, busy = experiments.spare_time(make, "B")
    inside, _ = experiments.spare_time(make, "A/g1")
    new = experiments.newcomer(make)
    waits = experiments.starvation(make)
    served = [wait for wait in waits if wait < math.inf]
    return {
        "error_after_jobs": worst,
        "spare_time": {"parts": spare, "busy": busy},
        "hub_with_an_idle_group": sum(part for project, part in inside.items() if project.startswith("A")),
        "newcomer": {"longest_gap_h": new.longest_gap / HOUR, "first_day": new.first_day, "hours": new.hours[23::24]},
        "small_share": {
            "jobs": len(waits),
            "served": len(served),
            "longest_wait_h": max(served) / HOUR if served else None,
        },
        "honest_part": {
            "more_jobs": experiments.gaming(make, jobs=10, projects=1),
            "more_projects": experiments.gaming(make, jobs=1, projects=20),
        },
        "lesson": {mean: experiments.lesson(make, mean)._asdict() for mean in (5, 15)},
    }


def cost(size: tuple[int, int, int], queued: int) -> dict[str, Any]:
    """Return what it costs to let jobs wait, and to choose, charge and begin them, beside a bare heap.

    Processor time of each, µs: other work on the machine disturbs it less than the clock's.
    """
    tree = Tree(Rules(), lambda node, _device: 1.0 + len(node) % 7)
    projects = []
    for hub in range(size[0]):
        for group in range(size[1]):
            for number in range(size[2]):
                projects.append(f"h{hub}g{group}p{number}")
                tree.add("d", rules.way("qpus", (f"h{hub}", f"h{hub}g{group}", projects[-1])))
    chance = random.Random(6)
    entering = [chance.choice(projects) for _ in range(queued)]
    begun = time.process_time()
    for project in entering:
        tree.enter("d", project, 0.0)
    entered = time.process_time() - begun
    heap = [(chance.random(), number) for number in range(len(projects))]
    heapq.heapify(heap)
    rounds = [(_dispatches(tree, number * 1_000.0), _replacements(heap, chance)) for number in range(10)]
    dispatch, bare = (1e6 * statistics.median(column) for column in zip(*rounds, strict=True))
    return {
        "projects": len(projects),
        "siblings": max(size),
        "queued": queued,
        "enter_us": 1e6 * entered / queued,
        "dispatch_us": dispatch,
        "bare_heap_us": bare,
        "ratio": dispatch / bare,
    }


def _dispatches(tree: Tree, now: float) -> float:
    """Return the processor time of choosing a job, charging and beginning it, s."""
    begun = time.process_time()
    for number in range(100):
        choice = tree.choose(("d",), now + 10.0 * number)
        assert choice is not None
        tree.start(choice, 10.0, now + 10.0 * number)
    return (time.process_time() - begun) / 100


def _replacements(heap: list[tuple[float, int]], chance: random.Random) -> float:
    """Return the processor time of replacing the first of a heap, s."""
    begun = time.process_time()
    for _ in range(1_000):
        key, name = heap[0]
        heapq.heapreplace(heap, (key + chance.random(), name))
    return (time.process_time() - begun) / 1_000


def show(figures: Mapping[str, Any]) -> None:
    """Print the tables."""
    head = ("", "100 jobs", "1000", "5000", "20 000", "idle group", "gap, h", "1st day", "small, h", "flood", "split")
    print("".join(f"{name:>14}" for name in head))
    for name, found in figures["queues"].items():
        small = found["small_share"]
        cells = [f"{value:.2%}" for value in found["error_after_jobs"].values()]
        cells += [f"{found['hub_with_an_idle_group']:.1%}", f"{found['newcomer']['longest_gap_h']:.1f}"]
        cells += [f"{found['newcomer']['first_day']:.1%}"]
        cells += [f"{small['longest_wait_h']:.2f}" if small["served"] == small["jobs"] else "never"]
        cells += [f"{part:.1%}" for part in found["honest_part"].values()]
        print("".join(f"{cell:>14}" for cell in (name, *cells)))
    print(f"\nGroups of all hubs beside one another: {figures['without_hubs']:.1%} for the hub with an idle group")
    print("\nA class beside research: median and 95 % of the students' waits, min; research jobs")
    lessons = {name: found["lesson"] for name, found in figures["queues"].items()} | {
        "and reserved": figures["reserved"]
    }
    for name, found in lessons.items():
        cells = [f"{one['median'] / 60:.1f}, {one['most'] / 60:.1f}; {one['research']}" for one in found.values()]
        print("".join(f"{cell:>22}" for cell in (name, *cells)))
    print("\nCosts, µs")
    for row in figures["costs"]:
        print("".join(f"{name} {value:<12.4g}" for name, value in row.items()))


def draw(figures: Mapping[str, Any]) -> None:
    """Write the pictures of the docs."""
    queues = figures["queues"]
    shown = ["28-day window", "usage alone", "fair tree"]
    days = range(len(queues["fair tree"]["newcomer"]["hours"]) + 1)
    steps = {name: [0.0, *queues[name]["newcomer"]["hours"]] for name in shown}
    (PICTURES / "fair-newcomer.svg").write_text(
        charts.lines(
            "Somebody comes back after 60 days: device time of who was there",
            Axis("hours", 240.0, (0, 60, 120, 180, 240)),
            {float(day): f"day {day}" for day in days[::5]},
            {name: [(float(day), used) for day, used in zip(days, steps[name], strict=True)] for name in shown},
            COLOURS,
        ),
        encoding="utf-8",
    )
    compared = ["first come", "random user", "28-day window", "fair tree"]
    honest = {name: queues[name]["honest_part"].values() for name in compared}
    (PICTURES / "fair-gaming.svg").write_text(
        charts.bars(
            "What an honest group gets of its half",
            Axis("% of the device", 60.0, (0, 20, 40, 60)),
            ["the other sends 10 times the jobs", "the other has 20 projects"],
            {name: [(100 * part, f"{100 * part:.0f}") for part in parts] for name, parts in honest.items()},
            COLOURS,
            (50.0, ""),
        ),
        encoding="utf-8",
    )
    lessons = {name: queues[name]["lesson"] for name in compared} | {"and reserved": figures["reserved"]}
    waits = {name: [one["most"] / 60 for one in found.values()] for name, found in lessons.items()}
    (PICTURES / "fair-lesson.svg").write_text(
        charts.bars(
            "A class beside research: 95 of 100 jobs of students wait at most",
            Axis("minutes", 180.0, (0, 60, 120, 180)),
            ["the class asks for 25 %", "the class asks for 75 %"],
            {name: [(wait, f"{wait:.0f}") for wait in found] for name, found in waits.items()},
            COLOURS,
        ),
        encoding="utf-8",
    )


def measure(queued: Sequence[int]) -> dict[str, Any]:
    """Run everything and return the figures."""

    def without_hubs(network: Network) -> Queue:
        return experiments.fair(network, levels=rules.WITHOUT_HUBS)

    inside, _ = experiments.spare_time(without_hubs, "A/g1")
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()},
        "queues": {name: fairness(make) for name, make in QUEUES.items()},
        "without_hubs": sum(part for project, part in inside.items() if project.startswith("A")),
        "reserved": {mean: experiments.lesson(experiments.fair, mean, reserved=True)._asdict() for mean in (5, 15)},
        "costs": [cost(size, number) for size in SIZES for number in queued],
    }


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the figures in results/")
    parser.add_argument("--draw", action="store_true", help="draw the pictures of the docs")
    options = parser.parse_args()
    figures = measure(QUEUED)
    show(figures)
    if options.draw:
        draw(figures)
    if options.write:
        RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
