# SPDX-License-Identifier: Apache-2.0
"""The table of states: which moves there are, and what follows from them."""

import itertools

import pytest

from chandelier.jobs import lifecycle
from chandelier.jobs.lifecycle import ACTIVE, FAILED, FINAL, MOVES, WORKED_ON, State
from factories import PATHS


def test_every_state_has_its_moves() -> None:
    """None is missing in the table, none is named in it that does not exist."""
    assert set(MOVES) == set(State)
    assert all(isinstance(end, State) for moves in MOVES.values() for end in moves)


def test_states_on_the_wire_are_their_names() -> None:
    """Clients compare texts."""
    assert {str(state) for state in State} == {state.name for state in State}


@pytest.mark.parametrize("state", sorted(FINAL))
def test_final_states_never_move(state: State) -> None:
    """Wherever to."""
    assert not any(lifecycle.may_move(state, end) for end in State)


def test_a_state_is_either_final_or_active() -> None:
    """And the failed ones are final."""
    assert set(State) == FINAL | ACTIVE
    assert not FINAL & ACTIVE
    assert FAILED < FINAL
    assert WORKED_ON < ACTIVE
    assert {State.COMPLETED, State.CANCELLED} == FINAL - FAILED


@pytest.mark.parametrize("state", sorted(State))
def test_every_state_is_reached_from_the_first(state: State) -> None:
    """By a path that the table allows."""
    path = (State.CREATING, *PATHS[state])

    assert path[-1] is state
    assert all(lifecycle.may_move(start, end) for start, end in itertools.pairwise(path))


@pytest.mark.parametrize("state", sorted(ACTIVE))
def test_from_every_active_state_there_is_a_way_to_an_end(state: State) -> None:
    """Every job can be cancelled at any time, so that none waits for ever."""
    assert lifecycle.may_move(state, State.CANCELLED)


def test_sources_are_the_moves_seen_from_their_end() -> None:
    """For every pair of states."""
    for start in State:
        for end in State:
            assert (start in lifecycle.sources(end)) == lifecycle.may_move(start, end)


def test_only_a_lost_worker_sends_a_job_back() -> None:
    """Without the move from running to queued, no job enters a state twice."""
    forward = {start: set(moves) for start, moves in MOVES.items()}
    forward[State.RUNNING].remove(State.QUEUED)
    reached = {state: set(moves) for state, moves in forward.items()}
    for _ in State:
        for ends in reached.values():
            ends |= {further for end in tuple(ends) for further in reached[end]}

    assert all(state not in ends for state, ends in reached.items())
