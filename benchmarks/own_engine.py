# SPDX-License-Identifier: Apache-2.0
"""The engine in a process of its own, as a worker's child has it: one side of `engine.py`.

It reads requests as lines of JSON, and answers each with a line.
"""

import json
import sys
import time
from typing import Any

from chandelier.engines import child  # isort: skip  # first: it prepares the environment for the libraries
from chandelier.engines import programs, routes, running, validation
from chandelier.engines import target as targets
from chandelier.formats import qobj, simulators, snapshots, tasks

Json = dict[str, Any]

LIMITS = tasks.Limits(memory_bytes=4 << 30, cpu_seconds=3600.0)


class Desk:
    """A program taken for the next measurements, and the devices so far, whose noise is prepared."""

    def __init__(self, devices: dict[str, targets.Target], name: str, program: Json) -> None:
        """Take a program, and compute it for the first time since the device was calibrated."""
        fresh = parsed(name)
        self._device = devices.setdefault(name, fresh)
        self._body = json.dumps(program).encode()
        self._program = programs.open_(self._body)
        validation.check(self._program, self._device)
        cpu = time.process_time()
        running.run(routes.find(self._program, fresh, LIMITS), fresh, LIMITS)
        self._first = time.process_time() - cpu

    def described(self) -> Json:
        """Its instructions with the waits of the device, how it is computed, and predicted and first time, s."""
        ways = routes.find(self._program, self._device, LIMITS)
        return {
            "circuits": [[plain(step) for step in way.steps] for way in ways],
            "path": f"{ways[0].plan.path}, {ways[0].plan.method}",
            "predicted": sum(way.plan.seconds for way in ways),
            "first": self._first,
        }

    def counts(self) -> list[dict[str, int]]:
        """Compute the program once."""
        return [outcome.result.data["counts"] for outcome in self._run()]

    def clocked(self, what: str, times: int) -> tuple[float, float]:
        """Do a part some times; processor time, and time by the clock, for each, s."""
        job = {"engine": self._run, "decoding": self._decode, "checking": self._check}[what]
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(times):
            job()
        return (time.process_time() - cpu) / times, (time.perf_counter() - wall) / times

    def _run(self) -> list[Any]:
        return running.run(routes.find(self._program, self._device, LIMITS), self._device, LIMITS)

    def _decode(self) -> list[Any]:
        return list(programs.open_(self._body).experiments)

    def _check(self) -> list[Any]:
        validation.check(self._program, self._device)
        return []


def parsed(name: str) -> targets.Target:
    """A device whose noise is not prepared yet."""
    if name in simulators.SIMULATORS:
        return targets.parse(simulators.document(name))
    return targets.parse(snapshots.load(snapshots.DEFAULTS[name], name))


def plain(step: qobj.Instruction) -> Json:
    """An instruction as JSON."""
    slots = list(qobj.slots(step.memory))
    return {"name": step.name, "qubits": list(step.qubits or ()), "params": list(step.params or ()), "memory": slots}


def main() -> None:
    """Answer requests until there are no more."""
    child.warm_up()
    devices: dict[str, targets.Target] = {}
    desk: Desk | None = None
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        if what == "take":
            desk = Desk(devices, *arguments)
            what, arguments = "described", []
        print(json.dumps(getattr(desk, what)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
