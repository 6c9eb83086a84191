# SPDX-License-Identifier: Apache-2.0
"""Limits that the operating system enforces on one task of a child process.

Memory beyond the limit makes an allocation fail inside the child, which survives it. Processor time beyond the
limit makes the system end the child with SIGXCPU; whoever waits for the child sees that.
"""

import contextlib
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chandelier.formats import tasks

_STATUS: Final = Path("/proc/self/statm")


@contextlib.contextmanager
def applied(limits: tasks.Limits) -> Iterator[None]:
    """Limit this process to what it uses now plus what the task may use; lift the limits afterwards."""
    memory = resource.getrlimit(resource.RLIMIT_AS)
    cpu = resource.getrlimit(resource.RLIMIT_CPU)
    if sys.platform == "linux":  # elsewhere the system does not tell how much address space is in use
        resource.setrlimit(resource.RLIMIT_AS, (_lower(memory[1], _mapped() + limits.memory_bytes), memory[1]))
    budget = int(_used()) + 1 + int(limits.cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (_lower(cpu[1], budget), cpu[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, cpu)
        resource.setrlimit(resource.RLIMIT_AS, memory)


def _mapped() -> int:
    """Address space in use, bytes."""
    return int(_STATUS.read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def _used() -> float:
    """Processor time used so far, s."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _lower(hard: int, soft: int) -> int:
    return soft if hard == resource.RLIM_INFINITY else min(hard, soft)
