# SPDX-License-Identifier: Apache-2.0
"""The programs of the Runtime API in a process of their own, as a worker's child has them: one side of `primitives.py`.

It reads requests as lines of JSON, and answers each with a line.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from chandelier.engines import child  # isort: skip  # first: it prepares the environment for the libraries
from chandelier.engines import target as targets
from chandelier.engines.primitives import programs
from chandelier.formats import simulators, snapshots, tasks

Json = dict[str, Any]

LIMITS = tasks.Limits(memory_bytes=4 << 30, cpu_seconds=3600.0)
_DEVICES: dict[str, targets.Target] = {}


def device(name: str) -> targets.Target:
    """A device, read once."""
    if name not in _DEVICES:
        known = name in simulators.SIMULATORS
        _DEVICES[name] = targets.parse(
            simulators.document(name) if known else snapshots.load(snapshots.DEFAULTS[name], name)
        )
    return _DEVICES[name]


def done(request: Json) -> Json:
    """Do a job from the document that a client sends to the document that it gets."""
    body, on = Path(request["body"]).read_bytes(), device(request["device"])
    wall, cpu = time.perf_counter(), time.process_time()
    work = programs.open_(request["program"], body, on, LIMITS)
    opened = time.process_time() - cpu
    result = work.run().body
    return {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "opened": opened,
        "predicted": work.plan.seconds,
        "circuits": work.plan.experiments,
        "bytes": len(result),
    }


def main() -> None:
    """Answer requests until there are no more."""
    child.warm_up()
    for line in sys.stdin:
        print(json.dumps(done(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
