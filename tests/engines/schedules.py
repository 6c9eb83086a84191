# SPDX-License-Identifier: Apache-2.0
"""What the tests of pulses share: programs of type PULSE, instruction by instruction, and a device without chance."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import physics
from physics import Json

from chandelier.engines.pulses import model

#: Samples of the gates of the device in most of these tests.
GATE = 160


def play(shape: str, t0: int, ch: str = "d0", **parameters: Any) -> Json:
    """A pulse by its shape; `amp` may be a complex number."""
    amp = complex(parameters.pop("amp", 0.1))
    return {
        "name": "parametric_pulse",
        "t0": t0,
        "ch": ch,
        "pulse_shape": shape,
        "parameters": {**parameters, "amp": [amp.real, amp.imag]},
    }


def acquire(t0: int, *qubits: int, duration: int = 22400, **more: Any) -> Json:
    """A measurement of each qubit into the memory slot of the same number."""
    slots = more.pop("slots", list(qubits))
    return {"name": "acquire", "t0": t0, "duration": duration, "qubits": list(qubits), "memory_slot": slots, **more}


def program(*experiments: Sequence[Json], **config: Any) -> Json:
    """A program of some experiments, each a list of instructions."""
    return {
        "qobj_id": "pulses",
        "type": "PULSE",
        "schema_version": "1.3.0",
        "header": {"made": "by a test"},
        "config": {
            "shots": 1000,
            "seed_simulator": 7,
            "meas_level": 2,
            "meas_return": "avg",
            "memory_slots": 5,
            "pulse_library": [],
            **config,
        },
        "experiments": [
            {"header": {"name": f"experiment {index}"}, "instructions": list(steps)}
            for index, steps in enumerate(experiments)
        ],
    }


@functools.cache
def defaults(name: str) -> Json:
    """The pulse defaults of a device."""
    found = physics.document(name).defaults
    assert found is not None
    return found


def sequence(name: str, gate: str, *qubits: int, t0: int = 0) -> list[Json]:
    """The pulses of a gate of a device, from some time on."""
    (found,) = (one for one in defaults(name)["cmd_def"] if one["name"] == gate and one["qubits"] == list(qubits))
    return [{**step, "t0": step["t0"] + t0} for step in found["sequence"]]


@functools.cache
def modelled(name: str) -> model.Model:
    """The model of a device."""
    return model.parse(physics.document(name))


def frozen(name: str) -> model.Model:
    """The model of a device without relaxation."""
    found = modelled(name)
    endless = (math.inf,) * found.n_qubits
    return dataclasses.replace(found, t1=endless, t2=endless)
