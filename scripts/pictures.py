# SPDX-License-Identifier: Apache-2.0
"""Draw the pictures of the docs from jobs that a running cloud has really run.

`python scripts/pictures.py http://127.0.0.1:8000 API_TOKEN` writes `docs/pictures/*.svg`; the seeds are fixed, so the
same release draws the same pictures.
"""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

PICTURES: Final = Path(__file__).parent.parent / "docs" / "pictures"
SHOTS: Final = 8192
SEED: Final = 2019
DEVICE: Final = "ibmq_manila"
SIMULATOR: Final = "ibmq_qasm_simulator"
#: Waiting times of the second picture, in microseconds.
WAITS: Final = (0, 25, 50, 75, 100, 150, 200, 250, 300, 400)
INK: Final = "#1f2937"
IDEAL: Final = "#0e7490"
NOISY: Final = "#a21caf"

Instruction = dict[str, Any]

#: A Hadamard gate on qubit 0 in the basis of the device, up to a phase.
HADAMARD: Final[list[Instruction]] = [
    {"name": "rz", "qubits": [0], "params": [math.pi / 2]},
    {"name": "sx", "qubits": [0]},
    {"name": "rz", "qubits": [0], "params": [math.pi / 2]},
]


class Cloud:
    """A running server, logged in to."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(base_url=f"{url.rstrip('/')}/api", timeout=60)
        login = self._http.post("/users/loginWithToken", json={"apiToken": token}).raise_for_status().json()
        self._http.headers["X-Access-Token"] = login["id"]

    def get(self, path: str) -> Any:
        """Return the JSON of a path."""
        return self._http.get(path).raise_for_status().json()

    def run(self, device: str, circuits: Sequence[Sequence[Instruction]], qubits: int) -> list[dict[str, int]]:
        """Run circuits and return how often each outcome occurred, written with the last qubit first."""
        program = {
            "qobj_id": "picture",
            "type": "QASM",
            "schema_version": "1.3.0",
            "header": {},
            "config": {"shots": SHOTS, "memory_slots": qubits, "seed_simulator": SEED},
            "experiments": [{"instructions": list(instructions)} for instructions in circuits],
        }
        answer = self._http.post("/Jobs", json={"backend": {"name": device}, "qObject": program})
        job = answer.raise_for_status().json()["id"]
        while (state := self.get(f"/Jobs/{job}/status/v/1")["status"]) != "COMPLETED":
            if state.startswith(("ERROR", "CANCELLED")):
                sys.exit(f"The job on {device} ended as {state}.")
            time.sleep(0.1)
        result = self._http.get(self.get(f"/Jobs/{job}/resultDownloadUrl")["url"]).json()
        return [
            {f"{int(key, 16):0{qubits}b}": count for key, count in entry["data"]["counts"].items()}
            for entry in result["results"]
        ]


def bell(cloud: Cloud) -> str:
    """Draw the outcomes of a Bell circuit on the simulator and on the device."""
    tail: list[Instruction] = [
        {"name": "cx", "qubits": [0, 1]},
        {"name": "measure", "qubits": [0, 1], "memory": [0, 1]},
    ]
    columns = {
        f"{SIMULATOR} (no noise)": cloud.run(SIMULATOR, [[{"name": "h", "qubits": [0]}, *tail]], 2)[0],
        f"{DEVICE} (noise of its calibration)": cloud.run(DEVICE, [[*HADAMARD, *tail]], 2)[0],
    }
    return _histogram(columns)


def decay(cloud: Cloud) -> str:
    """Draw how an excited qubit decays while it waits, beside the exponential of its published T1."""
    dt = cloud.get("/devices/v/1")
    dt_us = next(entry["dt"] for entry in dt if entry["backend_name"] == DEVICE) / 1000
    records = {entry["name"]: entry["value"] for entry in cloud.get(f"/devices/{DEVICE}/properties")["qubits"][0]}
    circuits = [
        [
            {"name": "x", "qubits": [0]},
            {"name": "delay", "qubits": [0], "params": [round(wait / dt_us)]},
            {"name": "measure", "qubits": [0], "memory": [0]},
        ]
        for wait in WAITS
    ]
    found = cloud.run(DEVICE, circuits, 1)
    measured = [(wait, counts.get("1", 0) / SHOTS) for wait, counts in zip(WAITS, found, strict=True)]
    t1 = float(records["T1"])
    up, down = float(records["prob_meas1_prep0"]), float(records["prob_meas0_prep1"])

    def expected(wait: float) -> float:
        excited = math.exp(-wait / t1)
        return excited * (1 - down) + (1 - excited) * up

    return _curve(measured, [(wait, expected(wait)) for wait in range(0, WAITS[-1] + 1, 5)], t1)


def _histogram(columns: Mapping[str, Mapping[str, int]]) -> str:
    outcomes = sorted({outcome for counts in columns.values() for outcome in counts})
    parts = []
    for column, ((title, counts), colour) in enumerate(zip(columns.items(), (IDEAL, NOISY), strict=True)):
        left = 60 + column * 330
        parts.append(_text(left, 32, title, colour, anchor="start"))
        for row, outcome in enumerate(outcomes):
            share, top = counts.get(outcome, 0) / SHOTS, 52 + row * 34
            parts.append(_text(left - 12, top + 17, outcome, INK, anchor="end"))
            parts.append(
                f'<rect x="{left}" y="{top}" width="{max(share * 400, 0.5):.1f}" height="24" fill="{colour}"/>'
            )
            parts.append(_text(left + share * 400 + 8, top + 17, f"{100 * share:.1f} %", INK, anchor="start"))
    return _svg(690, 206, f"Outcomes of a Bell circuit, {SHOTS} shots", parts)


def _curve(points: Sequence[tuple[float, float]], line: Sequence[tuple[float, float]], t1: float) -> str:
    def place(wait: float, share: float) -> tuple[float, float]:
        return 70 + wait * 1.4, 240 - share * 200

    axis = [f'<path d="M70 40V240H640" fill="none" stroke="{INK}"/>']
    axis += [_text(*_shifted(place(wait, 0), 0, 20), f"{wait}", INK) for wait in range(0, 401, 100)]
    axis += [_text(*_shifted(place(0, share), -10, 5), f"{share:g}", INK, anchor="end") for share in (0, 0.5, 1)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in (place(*point) for point in line))
    dots = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{NOISY}"/>' for x, y in (place(*point) for point in points)
    ]
    legend = [
        _text(330, 70, f"line: published T1 = {t1:.1f} µs and readout error", IDEAL, anchor="start"),
        _text(330, 92, f"points: measured on {DEVICE}, qubit 0", NOISY, anchor="start"),
        _text(355, 286, "waiting time after an x gate, µs", INK),
        _text(70, 24, "share of outcome 1", INK, anchor="start"),
    ]
    curve = f'<path d="M{path}" fill="none" stroke="{IDEAL}" stroke-width="2"/>'
    return _svg(690, 300, "Decay of a waiting qubit", [*axis, curve, *dots, *legend])


def _shifted(point: tuple[float, float], right: float, down: float) -> tuple[float, float]:
    return point[0] + right, point[1] + down


def _text(x: float, y: float, text: str, colour: str, *, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{text}</text>'


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif" font-size="14">\n<title>{title}</title>\n'
        f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>\n'
    )
    return head + "\n".join(parts) + "\n</svg>\n"


def main() -> None:
    """Draw all pictures."""
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/pictures.py URL API_TOKEN")
    cloud = Cloud(*sys.argv[1:])
    for name, draw in {"bell": bell, "decay": decay}.items():
        (PICTURES / f"{name}.svg").write_text(draw(cloud), encoding="utf-8")


if __name__ == "__main__":
    main()
