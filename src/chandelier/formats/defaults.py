# SPDX-License-Identifier: Apache-2.0
"""Pulse defaults: how a device makes its gates, written for clients as pulses that they can schedule and change.

A gate about z takes no time: it turns the frame of the qubit, which is that of its drive channel and of every control
channel that drives another qubit at this one's frequency. The phase φ of an `fc` multiplies later samples by exp(iφ),
so that rz(θ) is an `fc` of -θ.

Source: protocol 11; for the commands and their labels, the last published defaults of `ibmq_manila`, and Qiskit
Backend Specifications, arXiv:1809.03452, section 5.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from chandelier.formats import tunings

Document = dict[str, Any]
Sequenced = list[Document]

#: Samples of a measurement where no length is published: about 1 µs.
READOUT_SAMPLES: Final = 4800
#: Durations are multiples of this, in dt, where the device says nothing else.
GRANULARITY: Final = 16
#: Edges and height of the pulse that reads a qubit out; nothing depends on them here.
_EDGE_SIGMA: Final = 64
_READOUT_AMP: Final = 0.25
_QUARTER: Final = math.pi / 2


def document(
    tuning: tunings.Tuning, configuration: Mapping[str, Any], properties: Mapping[str, Any] | None = None
) -> Document:
    """Write the defaults of a device, in wire units.

    Args:
        tuning: The pulses of its gates.
        configuration: With `u_channel_lo`, `meas_lo_range`, `meas_map`, `meas_kernels` and `discriminators`.
        properties: Frequencies of the qubits and lengths of their measurements; None for an ideal device, whose
            frequencies are those of its Hamiltonian.
    """
    return {
        "qubit_freq_est": frequencies(configuration, properties),
        "meas_freq_est": [(low + high) / 2 for low, high in configuration["meas_lo_range"]],
        "buffer": 0,
        "pulse_library": [],
        "cmd_def": [
            {"name": name, "qubits": list(qubits), "sequence": sequence}
            for (name, qubits), sequence in sorted(_commands(tuning, configuration, properties).items())
        ],
        "meas_kernel": {"name": configuration["meas_kernels"][0], "params": {}},
        "discriminator": {"name": configuration["discriminators"][0], "params": {}},
    }


def frequencies(configuration: Mapping[str, Any], properties: Mapping[str, Any] | None) -> list[float]:
    """Return the frequency of each qubit as it was measured, GHz; as the Hamiltonian has it where it was not."""
    known = configuration["hamiltonian"]["vars"]
    measured = _of_qubits(properties, "frequency")
    return [measured.get(index, known[f"wq{index}"] / (2 * math.pi)) for index in range(int(configuration["n_qubits"]))]


def frames(configuration: Mapping[str, Any]) -> dict[int, list[str]]:
    """Return the channels that turn with each qubit: its own, and those of its frequency. Source: protocol 9.2."""
    found = {index: [f"d{index}"] for index in range(int(configuration["n_qubits"]))}
    for number, mixed in enumerate(configuration.get("u_channel_lo") or ()):
        for part in mixed:
            found[part["q"]].append(f"u{number}")
    return found


def lasts(qubits: Mapping[int, tunings.Qubit], pair: tunings.Pair, *, backward: bool = False) -> int:
    """Return how long a CX lasts, dt; `backward` is the one that the tuning has not."""
    control, target = qubits[pair.control], qubits[pair.target]
    ends = max(control.sx.duration, target.sx.duration)
    begins = ends if backward else max(control.x.duration, target.sx.duration)
    return begins + 2 * pair.duration + control.x.duration + (ends if backward else 0)


def _commands(
    tuning: tunings.Tuning, configuration: Mapping[str, Any], properties: Mapping[str, Any] | None
) -> dict[tuple[str, tuple[int, ...]], Sequenced]:
    turned = frames(configuration)
    commands: dict[tuple[str, tuple[int, ...]], Sequenced] = {}
    for index, qubit in tuning.qubits.items():
        for name, sequence in _single(index, qubit, turned[index]).items():
            commands[name, (index,)] = sequence
    for pair in tuning.pairs:
        commands["cx", (pair.control, pair.target)] = _cx(tuning.qubits, pair, turned)
        commands["cx", (pair.target, pair.control)] = _backward_cx(tuning.qubits, pair, turned)
    for group in configuration["meas_map"]:
        samples = max(readout_samples(configuration, properties, index) for index in group)
        commands |= {("measure", (index,)): _measure([index], group, samples) for index in group}
        commands["measure", tuple(group)] = _measure(group, group, samples)
    return commands


def _single(index: int, qubit: tunings.Qubit, turned: Sequence[str]) -> dict[str, Sequenced]:
    """The gates of one qubit; P0, P1 and P2 stand for their parameters.

    Source: arXiv:1707.03429, equation 2 (u3); D. C. McKay et al., Phys. Rev. A 96, 022330, equation 8 (u2 and u3 as
    pulses between turns of the frame).
    """
    half = qubit.sx.duration
    return {
        "id": [{"name": "delay", "t0": 0, "ch": f"d{index}", "duration": qubit.x.duration}],
        "rz": _turned(turned, 0, "-(P0)"),
        "u1": _turned(turned, 0, "-(P0)"),
        "u2": [
            *_turned(turned, 0, "-(P1)"),
            _drag(index, 0, qubit.sx, "Y90p", 1j),
            *_turned(turned, half, "-(P0)"),
        ],
        "u3": [
            *_turned(turned, 0, "-(P2)"),
            _drag(index, 0, qubit.sx, "X90p"),
            *_turned(turned, half, "-(P0)"),
            _drag(index, half, qubit.sx, "X90m", -1),
            *_turned(turned, 2 * half, "-(P1)"),
        ],
        "sx": [_drag(index, 0, qubit.sx, "X90p")],
        "x": [_drag(index, 0, qubit.x, "Xp")],
    }


def _cx(qubits: Mapping[int, tunings.Qubit], pair: tunings.Pair, turned: Mapping[int, Sequence[str]]) -> Sequenced:
    control, target = qubits[pair.control], qubits[pair.target]
    begins, ends = max(control.x.duration, target.sx.duration), lasts(qubits, pair)
    return [
        _drag(pair.control, 0, control.x, "Xp"),
        _drag(pair.target, 0, target.sx, "X90p"),
        *_echo(control, pair, begins),
        *_turned(turned[pair.control], ends, -pair.turns[0]),
        *_turned(turned[pair.target], ends, -pair.turns[1]),
    ]


def _backward_cx(
    qubits: Mapping[int, tunings.Qubit], pair: tunings.Pair, turned: Mapping[int, Sequence[str]]
) -> Sequenced:
    """The CX whose control is the target of the tuned one: an H on both qubits before it and after it.

    With H = rz(π/2)·sx·rz(π/2) up to a phase, those before it are part of its first pulses: X·H = H·Z is
    rz(π/2)·sx·rz(3π/2) on the control, sx·H = H·rz(π/2) is rz(π/2)·sx·rz(π) on the target. So it lasts one sx longer.
    """
    control, target = qubits[pair.control], qubits[pair.target]
    begins = max(control.sx.duration, target.sx.duration)
    ends = lasts(qubits, pair, backward=True)
    echoed = ends - begins
    return [
        *_turned(turned[pair.control], 0, -3 * _QUARTER),
        *_turned(turned[pair.target], 0, -2 * _QUARTER),
        _drag(pair.control, 0, control.sx, "X90p"),
        _drag(pair.target, 0, target.sx, "X90p"),
        *_turned(turned[pair.control], begins, -_QUARTER),
        *_turned(turned[pair.target], begins, -_QUARTER),
        *_echo(control, pair, begins),
        *_turned(turned[pair.control], echoed, -pair.turns[0] - _QUARTER),
        *_turned(turned[pair.target], echoed, -pair.turns[1] - _QUARTER),
        _drag(pair.control, echoed, control.sx, "X90p"),
        _drag(pair.target, echoed, target.sx, "X90p"),
        *_turned(turned[pair.control], ends, -_QUARTER),
        *_turned(turned[pair.target], ends, -_QUARTER),
    ]


def _echo(control: tunings.Qubit, pair: tunings.Pair, begins: int) -> Sequenced:
    """A cross resonance of both signs, with the control turned over between them."""
    turns = begins + pair.duration
    return [
        *_cross(pair, begins, "CR90p", 1),
        _drag(pair.control, turns, control.x, "Xp"),
        *_cross(pair, turns + control.x.duration, "CR90m", -1),
    ]


def _cross(pair: tunings.Pair, t0: int, label: str, sign: int) -> Sequenced:
    tones = {f"u{pair.channel}": (pair.amp, ""), f"d{pair.target}": (pair.cancel, f"_u{pair.channel}")}
    return [
        _pulse(
            t0,
            channel,
            f"{label}_{channel}{on}",
            "gaussian_square",
            {**_amp(amp, sign), "duration": pair.duration, "sigma": pair.sigma, "width": pair.width},
        )
        for channel, (amp, on) in tones.items()
    ]


def _measure(qubits: Iterable[int], group: Sequence[int], samples: int) -> Sequenced:
    """Read some qubits out; all that share their electronics are acquired at once, each into the slot of its number."""
    parameters = {
        **_amp((_READOUT_AMP, 0.0)),
        "duration": samples,
        "sigma": _EDGE_SIGMA,
        "width": samples - 4 * _EDGE_SIGMA,
    }
    pulses = [_pulse(0, f"m{index}", f"M_m{index}", "gaussian_square", parameters) for index in qubits]
    acquired = {"name": "acquire", "t0": 0, "duration": samples, "qubits": list(group), "memory_slot": list(group)}
    return [*pulses, acquired]


def readout_samples(configuration: Mapping[str, Any], properties: Mapping[str, Any] | None, index: int) -> int:
    """Return how long a qubit is read out, dt: as published, and a multiple of what durations must be multiples of."""
    length = _of_qubits(properties, "readout_length").get(index)
    if length is None:
        return READOUT_SAMPLES
    grain = granularity(configuration)
    return max(round(float(length / configuration["dt"]) / grain), 5 * _EDGE_SIGMA // grain) * grain


def granularity(configuration: Mapping[str, Any]) -> int:
    """Return what durations of pulses are multiples of, dt."""
    return int((configuration.get("timing_constraints") or {}).get("granularity", GRANULARITY))


def _of_qubits(properties: Mapping[str, Any] | None, name: str) -> dict[int, float]:
    """A record of each qubit that has it."""
    listed = enumerate((properties or {}).get("qubits", ()))
    return {index: entry["value"] for index, qubit in listed for entry in qubit if entry["name"] == name}


def _turned(channels: Iterable[str], t0: int, phase: float | str) -> Sequenced:
    """A turn of the frame of a qubit; one by nothing is left out."""
    value = math.remainder(phase, 2 * math.pi) if isinstance(phase, float) else phase
    return [{"name": "fc", "t0": t0, "ch": channel, "phase": value} for channel in channels] if value else []


def _drag(index: int, t0: int, pulse: tunings.Drag, label: str, by: complex = 1) -> Document:
    shape = {"duration": pulse.duration, "sigma": pulse.sigma, "beta": pulse.beta}
    return _pulse(t0, f"d{index}", f"{label}_d{index}", "drag", _amp(pulse.amp, by) | shape)


def _pulse(t0: int, channel: str, label: str, shape: str, parameters: Document) -> Document:
    return {
        "name": "parametric_pulse",
        "t0": t0,
        "ch": channel,
        "label": label,
        "pulse_shape": shape,
        "parameters": parameters,
    }


def _amp(amp: tuple[float, float], by: complex = 1) -> Document:
    turned = complex(*amp) * by
    return {"amp": [turned.real, turned.imag]}
