# SPDX-License-Identifier: Apache-2.0
"""`chandelier demo`: a cloud from nothing to a first result, through its real HTTP API, and then left serving."""

import json
import shlex
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from chandelier import app, errors, setup
from chandelier.settings import Settings

_SHOTS: Final = 4096
_SIMULATOR: Final = "ibmq_qasm_simulator"
_DEVICE: Final = "ibmq_manila"
_PATIENCE_SECONDS: Final = 120.0
_BAR: Final = 26


def run(settings: Settings, *, as_json: bool) -> None:
    """Set up what is missing, serve, and meanwhile run a Bell circuit on a simulator and on a noisy device.

    Raises:
        errors.Unavailable: As `app.serve` and `setup.initialise`.
    """
    console = Console(highlight=False)
    made = setup.initialise(settings, "operator@localhost", datetime.now(UTC))

    def show(url: str) -> None:
        threading.Thread(target=_demonstrate, args=(console, settings, url, made.token, as_json), daemon=True).start()

    app.serve(settings, show)


def _demonstrate(console: Console, settings: Settings, url: str, token: str, as_json: bool) -> None:
    """Run the jobs and print what came out; a failure is printed and the server goes on serving."""
    try:
        access = _request(f"{url}/api/users/loginWithToken", {"apiToken": token})["id"]
        counts = {name: _run_bell(console, url, access, name, as_json) for name in (_SIMULATOR, _DEVICE)}
    except (errors.ChandelierError, OSError, ValueError, KeyError) as failure:
        console.print(f"The demonstration failed: {failure}", markup=False)
        console.print(f"The cloud is serving all the same. ready {url}", markup=False)
        return
    if as_json:
        document = {"ready": url, "counts": counts, "token": token}
        console.print(json.dumps(document), markup=False, soft_wrap=True)
        return
    _print_histograms(console, counts)
    console.print(_snippets(url, token, _variables(settings, url)), markup=False, soft_wrap=True)
    console.print(f"Reference of the API: {url}/docs", markup=False)
    console.print(f"ready {url}   (Ctrl-C stops it)", style="bold")


def _run_bell(console: Console, url: str, access: str, name: str, quiet: bool) -> dict[str, int]:
    if not quiet:
        console.print(f"Running a Bell circuit on {name} …", markup=False)
    program = _bell(device=name == _DEVICE)
    job = _request(f"{url}/api/Jobs", {"backend": {"name": name}, "qObject": program}, access)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        job = _request(f"{url}/api/Jobs/{job['id']}/v/1", None, access)
        if job["status"] == "COMPLETED":
            address = _request(f"{url}/api/Jobs/{job['id']}/resultDownloadUrl", None, access)["url"]
            counts = _request(address, None)["results"][0]["data"]["counts"]
            return {f"{int(key, 16):02b}": count for key, count in sorted(counts.items())}
        if "error" in job:
            raise errors.Unavailable(f"the job on {name} ended as {job['status']}: {job['error']['message']}", 8021)
        time.sleep(0.05)
    raise errors.Unavailable(f"the job on {name} did not end within {_PATIENCE_SECONDS:g} s", 8023)


def _bell(*, device: bool) -> dict[str, Any]:
    """Return a Bell circuit as a Qobj, in the device's basis (rz, sx, cx) or with a Hadamard gate."""
    quarter = 1.5707963267948966
    hadamard = [
        {"name": "rz", "qubits": [0], "params": [quarter]},
        {"name": "sx", "qubits": [0]},
        {"name": "rz", "qubits": [0], "params": [quarter]},
    ]
    instructions = [
        *(hadamard if device else [{"name": "h", "qubits": [0]}]),
        {"name": "cx", "qubits": [0, 1]},
        {"name": "measure", "qubits": [0], "memory": [0]},
        {"name": "measure", "qubits": [1], "memory": [1]},
    ]
    header = {"name": "bell", "n_qubits": 2, "memory_slots": 2, "qreg_sizes": [["q", 2]], "creg_sizes": [["c", 2]]}
    return {
        "qobj_id": "bell",
        "type": "QASM",
        "schema_version": "1.3.0",
        "header": {},
        "config": {"shots": _SHOTS, "memory_slots": 2, "n_qubits": 2},
        "experiments": [{"header": header, "config": {}, "instructions": instructions}],
    }


def _request(url: str, body: Any, access: str | None = None) -> Any:
    headers = {"Content-Type": "application/json"} | ({"X-Access-Token": access} if access else {})
    data = None if body is None else json.dumps(body).encode()
    try:
        # The URL is this server's own.
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as response:  # noqa: S310
            return json.load(response)
    except urllib.error.HTTPError as failure:
        message = json.load(failure)["error"]["message"]
        raise errors.Unavailable(message, 1008) from failure


def _print_histograms(console: Console, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Print both columns beside each other, within 80 characters."""
    outcomes = sorted({outcome for column in counts.values() for outcome in column})
    heads = (f"{_SIMULATOR}, ideal", f"{_DEVICE}, noisy")
    console.print("\n     " + "  ".join(f"{head:{_BAR + 8}}" for head in heads), markup=False)
    for outcome in outcomes:
        line = Text(f"{outcome}   ")
        for column, colour in zip(counts.values(), ("cyan", "magenta"), strict=True):
            share = column.get(outcome, 0) / _SHOTS
            bar = "█" * max(round(share * _BAR), 1 if share else 0)
            line.append(f"{bar:{_BAR}}", style=colour)
            line.append(f" {100 * share:5.1f} %  ")
        console.print(line)


def _variables(settings: Settings, url: str) -> str:
    """Return what a shell reads so that today's client finds the cloud."""
    beside = Path(sys.executable).with_name("chandelier")
    command = "chandelier" if shutil.which("chandelier") or not beside.exists() else str(beside)
    return f'eval "$({shlex.join([command, "env", "--url", url, "--data", str(settings.data.resolve())])})"'


def _snippets(url: str, token: str, variables: str) -> str:
    """Return four ways to use the cloud, ready to paste.

    Args:
        url: Where it is.
        token: Of the operator.
        variables: A line for a shell.
    """
    bell = json.dumps(_bell(device=True)["experiments"][0]["instructions"])
    return f"""
Operator's API token
{token}

── Today's Qiskit ── pip install qiskit-ibm-runtime==0.51.0, then, in a shell, before python:

{variables}

from qiskit import QuantumCircuit
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_ibm_runtime import QiskitRuntimeService, SamplerV2
service = QiskitRuntimeService()
backend = service.backend("{_DEVICE}")
bell = QuantumCircuit(2)
bell.h(0)
bell.cx(0, 1)
bell.measure_all()
circuit = generate_preset_pass_manager(backend=backend).run(bell)
print(SamplerV2(mode=backend).run([circuit]).result()[0].data.meas.get_counts())

── Old Qiskit ── Python 3.11, pip install 'qiskit-ibmq-provider==0.20.2' 'qiskit-terra==0.25.3' 'requests<2.34'

from qiskit import IBMQ, QuantumCircuit, execute
provider = IBMQ.enable_account("{token}", "{url}/api")
bell = QuantumCircuit(2)
bell.h(0)
bell.cx(0, 1)
bell.measure_all()
print(execute(bell, provider.get_backend("{_DEVICE}")).result().get_counts())

── Plain Python ── pip install requests

import requests, time
api, token = "{url}/api", "{token}"
me = {{"X-Access-Token": requests.post(f"{{api}}/users/loginWithToken", json={{"apiToken": token}}).json()["id"]}}
bell = {bell}
qobj = {{"qobj_id": "bell", "type": "QASM", "schema_version": "1.3.0", "header": {{}},
        "config": {{"shots": 1024, "memory_slots": 2}}, "experiments": [{{"instructions": bell}}]}}
job = requests.post(f"{{api}}/Jobs", headers=me, json={{"backend": {{"name": "{_DEVICE}"}}, "qObject": qobj}}).json()
while "qObjectResult" not in job and "error" not in job:
    time.sleep(0.1)
    job = requests.get(f"{{api}}/Jobs/{{job['id']}}", headers=me).json()
print(job["error"] if "error" in job else job["qObjectResult"]["results"][0]["data"]["counts"])

── Shell ──

curl -s {url}/api/Backends/{_DEVICE}/queue/status
curl -s -d apiToken={token} {url}/api/users/loginWithToken
"""
