# SPDX-License-Identifier: Apache-2.0
"""What a user has without a server: the primitives of Aer, Qiskit and the Runtime client over Aer; for `primitives.py`.

It reads requests as lines of JSON, and answers each with a line.
"""

import functools
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qiskit.primitives import BackendEstimatorV2
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import EstimatorV2 as AerEstimator
from qiskit_aer.primitives import SamplerV2 as AerSampler
from qiskit_ibm_runtime import EstimatorV2, RuntimeDecoder, SamplerV2
from qiskit_ibm_runtime.fake_provider import FakeHanoiV2

Json = dict[str, Any]


@functools.cache
def simulator(noisy: bool) -> AerSimulator:
    """Aer, with the noise of a device or without."""
    return AerSimulator.from_backend(FakeHanoiV2()) if noisy else AerSimulator()


@functools.cache
def primitive(who: str, noisy: bool) -> Any:
    """A primitive, made once as a user would."""
    made: dict[str, Callable[[], Any]] = {
        "Runtime client, local": lambda: SamplerV2(mode=simulator(noisy)),
        "Aer SamplerV2": lambda: AerSampler.from_backend(simulator(noisy)),
        "Runtime client, local estimator": lambda: EstimatorV2(mode=simulator(noisy)),
        "Aer EstimatorV2": lambda: AerEstimator.from_backend(simulator(noisy)),
        "BackendEstimatorV2": lambda: BackendEstimatorV2(backend=simulator(noisy)),
    }
    return made[who]()


@functools.lru_cache(maxsize=1)
def pubs(body: str) -> list[Any]:
    """The pubs of a job, read once."""
    return [tuple(pub) for pub in json.loads(Path(body).read_text(), cls=RuntimeDecoder)["pubs"]]


def done(request: Json) -> Json:
    """Do a job from its circuits to its results."""
    doing, given = primitive(request["who"], request["noisy"]), pubs(request["body"])
    wall, cpu = time.perf_counter(), time.process_time()
    result = doing.run(given).result()
    took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    return {**took, "results": len(result)}


def main() -> None:
    """Answer requests until there are no more."""
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        print(json.dumps(done(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
