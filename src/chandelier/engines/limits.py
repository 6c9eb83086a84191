# SPDX-License-Identifier: Apache-2.0
"""Limits that the operating system enforces on one task of a child process.

Memory beyond the limit makes an allocation fail inside the child, which survives it. Processor time beyond the
limit makes the system end the child with SIGXCPU; whoever waits for the child sees that. The system counts processor
time in whole seconds since the child began, so that a task is ended when it has used up its time and at most one
second more; it never gets less. Wall-clock time is the matter of whoever waits.
"""

import contextlib
import math
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chandelier import errors
from chandelier.engines import cost
from chandelier.formats import tasks

_STATUS: Final = Path("/proc/self/statm")


#: The code of a task that used too much memory.
OUT_OF_MEMORY: Final = 8022
#: Memory set aside for getting out of a task that has used up all of it, bytes.
_RESERVE: Final = 1 << 20


@contextlib.contextmanager
def applied(limits: tasks.Limits) -> Iterator[None]:
    """Limit this process to what it uses now plus what the task may use; lift the limits afterwards.

    Raises:
        errors.ProgramRefused: Code 8022: the task ran out of memory.
    """
    memory = resource.getrlimit(resource.RLIMIT_AS)
    cpu = resource.getrlimit(resource.RLIMIT_CPU)
    reserve = bytearray(_RESERVE)
    if sys.platform == "linux":  # elsewhere the system does not tell how much address space is in use
        resource.setrlimit(resource.RLIMIT_AS, (_lower(memory[1], _mapped() + limits.memory_bytes), memory[1]))
    seconds = math.ceil(_used() + limits.cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (_lower(cpu[1], seconds), cpu[1]))
    try:
        yield
    except MemoryError:
        del reserve
        resource.setrlimit(resource.RLIMIT_AS, memory)
        raise errors.ProgramRefused(memory_exceeded(limits), OUT_OF_MEMORY) from None
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, cpu)
        resource.setrlimit(resource.RLIMIT_AS, memory)


class Stopped(BaseException):
    """A task was to be quicker."""


@contextlib.contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """Stop what takes more processor time than it should, as soon as Python gets a word in.

    Only in the main thread, which alone hears signals; elsewhere nothing is stopped.

    Raises:
        Stopped: It took more.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


def memory_exceeded(limits: tasks.Limits) -> str:
    """Say that a task was stopped by its limit of memory."""
    return f"It used more memory than the {cost.readable(limits.memory_bytes)} that a job may, and was stopped."


def _mapped() -> int:
    """Address space in use, bytes."""
    return int(_STATUS.read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def _used() -> float:
    """Processor time used so far, s."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _lower(hard: int, soft: int) -> int:
    return soft if hard == resource.RLIM_INFINITY else min(hard, soft)
