# SPDX-License-Identifier: Apache-2.0
"""The states of a job and the moves between them, as one table; pure.

Source: protocol 6.1. Two moves go back, both when a worker died: its job waits again.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a job is in its life; the values are the wire's."""

    CREATING = "CREATING"
    CREATED = "CREATED"
    VALIDATING = "VALIDATING"
    VALIDATED = "VALIDATED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    ERROR_CREATING_JOB = "ERROR_CREATING_JOB"
    ERROR_VALIDATING_JOB = "ERROR_VALIDATING_JOB"
    ERROR_RUNNING_JOB = "ERROR_RUNNING_JOB"


#: From each state, where a job may go.
MOVES: Final[dict[State, tuple[State, ...]]] = {
    State.CREATING: (State.CREATED, State.CANCELLED, State.ERROR_CREATING_JOB),
    State.CREATED: (State.VALIDATING, State.CANCELLED),
    State.VALIDATING: (State.VALIDATED, State.CANCELLED, State.ERROR_VALIDATING_JOB),
    State.VALIDATED: (State.QUEUED, State.CANCELLED),
    State.QUEUED: (State.RUNNING, State.CANCELLED),
    State.RUNNING: (State.COMPLETED, State.QUEUED, State.CANCELLED, State.ERROR_RUNNING_JOB),
    State.COMPLETED: (),
    State.CANCELLED: (),
    State.ERROR_CREATING_JOB: (),
    State.ERROR_VALIDATING_JOB: (),
    State.ERROR_RUNNING_JOB: (),
}

FINAL: Final = frozenset(state for state, moves in MOVES.items() if not moves)
ACTIVE: Final = frozenset(MOVES) - FINAL
FAILED: Final = frozenset(state for state in FINAL if state.startswith("ERROR_"))
#: States in which a worker holds, or waits for, a lease on the job.
WORKED_ON: Final = frozenset({State.VALIDATING, State.QUEUED, State.RUNNING})


def may_move(start: State, end: State) -> bool:
    """Tell whether a job may go from one state to another in one move."""
    return end in MOVES[start]


def sources(end: State) -> frozenset[State]:
    """Return the states from which a job may go to `end`."""
    return frozenset(start for start, moves in MOVES.items() if end in moves)
