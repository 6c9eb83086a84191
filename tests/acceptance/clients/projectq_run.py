# SPDX-License-Identifier: Apache-2.0
"""Compile and run circuits with ProjectQ; arguments: the port to find its hosts at, and an API token."""

import contextlib
import io
import json
import sys
from collections.abc import Callable
from typing import Any

import redirect

PORT, TOKEN = int(sys.argv[1]), sys.argv[2]
redirect.to(PORT)

from projectq import MainEngine  # noqa: E402
from projectq.backends import IBMBackend  # noqa: E402
from projectq.backends._ibm import _ibm_http_client as client  # noqa: E402
from projectq.ops import CNOT, All, H, Measure, X  # noqa: E402
from projectq.setups import ibm  # noqa: E402

SIMULATOR = "ibmq_qasm_simulator"
SHOTS = 2000
#: Seconds between two looks at a job.
INTERVAL = 0.2


def bell(device: str, **options: Any) -> dict[str, Any]:
    """Compile a circuit of a Bell pair and a flipped qubit for a device, run it, and return what came out."""
    backend = IBMBackend(
        use_hardware=device != SIMULATOR, num_runs=SHOTS, token=TOKEN, device=device, interval=INTERVAL, **options
    )
    engine = MainEngine(backend, engine_list=ibm.get_engine_list(TOKEN, device))
    qubits = engine.allocate_qureg(3)
    H | qubits[0]
    CNOT | (qubits[0], qubits[1])
    X | qubits[2]
    All(Measure) | qubits
    engine.flush()
    return {
        "probabilities": backend.get_probabilities(qubits),
        "pair": backend.get_probabilities(qubits[:2]),
        "outcome": "".join(str(int(qubit)) for qubit in qubits),
        "gates": sorted({line.partition("(")[0].split()[0] for line in backend.get_qasm().split("\n") if line}),
    }


def flipped(qubits: int = 1, *gates: dict[str, Any]) -> dict[str, Any]:
    """Return what the compiler would send: a flip of qubit 0, further gates, measurements."""
    return {
        "json": [
            {"qubits": [0], "name": "u3", "params": [3.141592653589793, 0, 3.141592653589793]},
            *gates,
            *({"qubits": [qubit], "name": "measure", "memory": [qubit]} for qubit in range(qubits)),
        ],
        "nq": qubits,
        "shots": SHOTS,
        "maxCredits": 10,
        "backend": {"name": SIMULATOR},
    }


def attempt(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """Return the exception that a call raises, and what the call printed."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            call(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the observation
        return f"{type(error).__name__}: {error} {said.getvalue()}"
    return said.getvalue()


# Something else runs on the cloud now, and goes on until this client has given up and asks again.
late = attempt(client.send, flipped(), SIMULATOR, TOKEN, num_retries=3, interval=INTERVAL)
job = late.rpartition("job is ")[2].strip(" .")
seen = {
    "late": late,
    "retrieved": client.retrieve(SIMULATOR, TOKEN, job, interval=INTERVAL),
    "again": bell(SIMULATOR, retrieve_execution=job),
    "devices": client.show_devices(TOKEN),
    "simulator": bell(SIMULATOR),
    "on_devices": {device: bell(device) for device in ("ibmq_essex", "ibmq_16_melbourne")},
    "refused": attempt(
        client.send, flipped(5, {"qubits": [0, 4], "name": "cx"}), "ibmq_essex", TOKEN, interval=INTERVAL
    ),
    "too_small": attempt(client.send, flipped(6), "ibmq_essex", TOKEN),
    "offline": attempt(client.send, flipped(), "ibmq_nowhere", TOKEN),
    "not_handled": attempt(bell, "ibm_lagos"),
    "wrong_token": attempt(client.send, flipped(), SIMULATOR, "0" * 128),
}
print(json.dumps(seen))  # noqa: T201
