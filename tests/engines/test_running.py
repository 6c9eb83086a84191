# SPDX-License-Identifier: Apache-2.0
"""Each experiment runs on the path of its plan; what fails there for a reason of its own is done by Aer."""

import pytest
from physics import LIMITS, gate, measure, program, target, ways

from chandelier import errors
from chandelier.engines import cost, exact, outcome, routes, running
from chandelier.engines import target as targets


def test_aer_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """An experiment whose path fails for a reason of its own is done by Aer, and the others as planned."""
    device = target("ibmq_manila")
    found = ways(program([gate("x", [0]), measure(0)], [gate("x", [1]), measure(1)]), device)
    exactly = exact.runner

    def failing(on: targets.Target) -> running.Runner:
        run = exactly(on)

        def one(way: routes.Route) -> outcome.Outcome:
            if way.experiment.index == 0:
                raise ZeroDivisionError
            return run(way)

        return one

    monkeypatch.setattr(running, "RUNNERS", {**running.RUNNERS, cost.EXACT: failing})
    first, second = running.run(found, device, LIMITS)

    assert first.code == second.code == 0
    assert sum(first.result.data["counts"].values()) == 1000
    assert max(first.result.data["counts"], key=first.result.data["counts"].__getitem__) == "0x1"
    assert second.result.metadata["noise"] == "superop"


@pytest.mark.parametrize(
    ("error", "code"), [(errors.ProgramRefused("It cannot be done.", 8010), 8010), (MemoryError(), 8022)]
)
def test_what_is_refused_stays_a_failure(monkeypatch: pytest.MonkeyPatch, error: Exception, code: int) -> None:
    """A refusal, and memory that does not suffice, are not tried again."""

    def refusing(_on: targets.Target) -> running.Runner:
        def one(_way: routes.Route) -> outcome.Outcome:
            raise error

        return one

    monkeypatch.setattr(running, "RUNNERS", {cost.EXACT: refusing})
    device = target("ibmq_manila")
    (found,) = running.run(ways(program([gate("x", [0]), measure(0)]), device), device, LIMITS)

    assert found.code == code
    assert not found.result.success
