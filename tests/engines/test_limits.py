# SPDX-License-Identifier: Apache-2.0
"""Limits hold for one task and are gone after it."""

import contextlib
import multiprocessing
import resource
import signal
import sys

import pytest

from chandelier.engines import limits
from chandelier.formats import tasks


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit address space this way")
def test_memory_beyond_the_limit_fails() -> None:
    """An allocation beyond the limit raises, one below does not."""
    with limits.applied(tasks.Limits(512 << 20, 100.0)):
        kept = bytearray(64 << 20)
        with pytest.raises(MemoryError):
            bytearray(1 << 30)

    assert len(kept) == 64 << 20
    assert len(bytearray(1 << 30)) == 1 << 30


def test_limits_are_restored() -> None:
    """Whatever held before a task holds after it, even if the task fails."""
    before = resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_CPU)
    with contextlib.suppress(ZeroDivisionError), limits.applied(tasks.Limits(1 << 30, 100.0)):
        assert resource.getrlimit(resource.RLIMIT_CPU)[0] > 0
        raise ZeroDivisionError

    assert (resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_CPU)) == before


def _spin() -> None:
    with limits.applied(tasks.Limits(1 << 30, 0.5)):
        while True:
            pass


def test_processor_time_beyond_the_limit_ends_the_child() -> None:
    """A child that computes for longer than its budget is ended by the system, which says so."""
    process = multiprocessing.get_context("fork").Process(target=_spin)
    process.start()
    process.join(30)

    assert process.exitcode == -signal.SIGXCPU
