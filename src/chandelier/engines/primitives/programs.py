# SPDX-License-Identifier: Apache-2.0
"""Which programs of the Runtime API there are, and who opens each."""

from collections.abc import Callable, Mapping
from typing import Final

from chandelier import errors
from chandelier.engines import target as targets
from chandelier.engines.primitives import calibrate, estimator, executor, learner, runners, sampler, work
from chandelier.formats import tasks

#: Opens the parameters of a job.
Opener = Callable[[bytes, targets.Target, tasks.Limits], work.Work]

#: Every program by the id that clients send.
PROGRAMS: Final[Mapping[str, Opener]] = {
    "calibrate": calibrate.open_,
    "circuit-runner": runners.open_,
    "estimator": estimator.open_,
    "executor": executor.open_,
    "noise-learner": learner.open_,
    "qasm3-runner": runners.open_,
    "sampler": sampler.open_,
}
#: Those whose results name their job.
_NAMING: Final = frozenset({"circuit-runner", "qasm3-runner"})


def open_(program: str, body: bytes, target: targets.Target, limits: tasks.Limits, *, job_id: str = "") -> work.Work:
    """Open a job: decode its parameters, check them against the device, predict what it will take.

    Args:
        program: Id of the program, as the client sent it.
        body: The job's `params`, JSON.
        target: The device.
        limits: What the job may use.
        job_id: Names the job in results that do so.

    Raises:
        errors.ProgramRefused: Code 8035 if there is no such program; others as each program says.
    """
    if program in _NAMING:
        return runners.open_(body, target, limits, job_id)
    opener = PROGRAMS.get(program)
    if opener is None:
        known = ", ".join(sorted(PROGRAMS))
        raise errors.ProgramRefused(f"There is no program {program[:60]!r} here; there are {known}.", 8035)
    return opener(body, target, limits)
