# SPDX-License-Identifier: Apache-2.0
"""What became of one experiment, whoever computed it."""

import dataclasses
from typing import Any, Protocol

from chandelier import errors
from chandelier.engines import cost, programs, readout
from chandelier.formats import results

Json = dict[str, Any]


class Way(Protocol):
    """How an experiment is computed, as far as its outcome tells of it."""

    @property
    def experiment(self) -> programs.Opened:
        """What the user sent."""

    @property
    def plan(self) -> cost.Plan:
        """By which method, and what it costs."""

    @property
    def device_seconds(self) -> float:
        """Time for which the machine itself would be occupied, s."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one experiment.

    Attributes:
        result: Its entry in the result document.
        code: 0, or why it failed, as in `errors.CODES`.
        message: Empty, or why it failed.
    """

    result: results.ExperimentResult
    code: int = 0
    message: str = ""


def success(
    way: Way, data: Json, seed: int, seconds: float, *, qubits: int, noise: str, sampled: bool = True
) -> Outcome:
    """What became of an experiment that ran to its end, whoever computed it.

    Args:
        data: Counts, shots and what was saved.
        seed: Asked for, or drawn where none was.
        seconds: Time that it took, s.
        qubits: Qubits on which anything happened.
        noise: What kind of noise there was, by Aer's word.
        sampled: Whether all shots were drawn from one evolution.
    """
    experiment = way.experiment
    return Outcome(
        results.ExperimentResult(
            shots=experiment.shots,
            success=True,
            status="DONE",
            data=data,
            header=experiment.header,
            circ_id=experiment.index,
            **readout.described(experiment.config),
            time_taken=seconds,
            seed_simulator=seed,
            metadata={"method": way.plan.method, "active_qubits": qubits, "noise": noise, "sampled": sampled},
        )
    )


def failure(way: Way, code: int, message: str) -> Outcome:
    """What became of an experiment that failed."""
    experiment = way.experiment
    entry = results.failed(reason=message, shots=experiment.shots, header=experiment.header, circ_id=experiment.index)
    return Outcome(entry, code, message)


def reason(error: Exception) -> tuple[int, str]:
    """The code and the message of an experiment that failed."""
    if isinstance(error, errors.ProgramRefused):
        return error.code, error.message
    if isinstance(error, MemoryError):
        return 8022, "It used more memory than a job may."
    return 8021, short(f"{type(error).__name__}: {error}")


def short(text: str) -> str:
    """Cut a text to what fits a message."""
    return text if len(text) <= 500 else f"{text[:500]} …"
