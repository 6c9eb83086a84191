# SPDX-License-Identifier: Apache-2.0
"""Devices that take pulses: which can, the model that those are calibrated on, and what their documents say of it."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chandelier.formats import defaults, tunings
from chandelier.formats.device import DeviceDocument, Document

#: Samples are taken every so many ns, and a single pulse has so many: other numbers of a snapshot are a slip.
DT_NS: Final = (0.2, 0.5)
PULSE_SAMPLES: Final = (32, 640)
#: Gates that pulses are made for; a device of one qubit has no `cx`.
GATES: Final = frozenset({"rz", "sx", "x", "cx"})
#: What devices with pulses list besides the instructions of circuits. Source: published configuration of ibmq_armonk.
INSTRUCTIONS: Final = ("acquire", "play", "setf", "shiftf")
#: Measured points, bits, and the signal itself.
MEAS_LEVELS: Final = (0, 1, 2)
#: Keys of a configuration without which no client takes a device for one with pulses. Source: protocol 9.2.
KEYS: Final = (
    "dt dtm n_uchannels u_channel_lo meas_levels meas_map qubit_lo_range meas_lo_range rep_times meas_kernels "
    "discriminators"
)
#: What published descriptions say of `wq`, which `with_model` makes untrue: it sets them to what the defaults have.
UNTRUE: Final = (
    " The qubit resonance frequencies in the Hamiltonian are the cavity dressed frequencies and not exactly what is "
    "returned by the backend defaults, which also includes the dressing due to the qubit-qubit interactions."
)
#: Ends the description of a Hamiltonian that `with_model` has made.
CHANGED: Final = (
    "Two things differ from what was published. The strengths `omegad` are multiplied by 0.865 (for pulses of 160 "
    "samples; by little less or more for others): as published, they belong to Gaussian pulses that begin at zero but "
    "do not reach their amplitude, and with pulses as they are played every `x` would turn by 208 degrees. And `wq` "
    "are the frequencies that `defaults` and `properties` give: those at which each qubit answers while its "
    "neighbours rest, with the shifts by its couplings `jq` in them.\n"
)
#: Begins what the description of a device says of pairs without pulses.
_WITHOUT: Final = " No pulses were found for"


def obstacle(configuration: Mapping[str, Any], properties: Mapping[str, Any] | None) -> str | None:
    """Say why there can be no pulses for a device; None if there can.

    Returns:
        The second half of a sentence that begins with `It takes no pulses:`.
    """
    variables = (configuration.get("hamiltonian") or {}).get("vars")
    if not variables:
        return "no Hamiltonian was published"
    count = int(configuration["n_qubits"])
    if (GATES if count > 1 else GATES - {"cx"}).difference(configuration["basis_gates"]):
        return f"its gates are {', '.join(sorted(configuration['basis_gates']))}, and those must be cx, rz, sx and x"
    absent = [key for key in KEYS.split() if configuration.get(key) is None]
    if absent:
        return f"its configuration has no {absent[0]}"
    if not DT_NS[0] <= configuration["dt"] <= DT_NS[1]:
        return f"its samples are {configuration['dt']} ns long"
    numbers = [(f"{name}{index}", index) for name in ("wq", "delta", "omegad") for index in range(count)]
    unknown = [name for name, _ in numbers if not variables.get(name)]
    if unknown:
        return f"its Hamiltonian has no {unknown[0]}"
    return _obstacle_of_lengths(configuration, properties)


def _obstacle_of_lengths(configuration: Mapping[str, Any], properties: Mapping[str, Any] | None) -> str | None:
    known = lengths(configuration, properties)
    for index in range(int(configuration["n_qubits"])):
        for gate in ("x", "sx"):
            samples = known.get((gate, (index,)), 0)
            if not PULSE_SAMPLES[0] <= samples <= PULSE_SAMPLES[1]:
                return f"the {gate} of its qubit {index} is {samples} samples long"
    return None


def lengths(
    configuration: Mapping[str, Any], properties: Mapping[str, Any] | None
) -> dict[tuple[str, tuple[int, ...]], int]:
    """Return how long each calibrated gate lasts, dt."""
    return {
        (gate["gate"], tuple(gate["qubits"])): round(entry["value"] / configuration["dt"])
        for gate in (properties or {}).get("gates", ())
        for entry in gate["parameters"]
        if entry["name"] == "gate_length"
    }


def kappa(samples: int) -> float:
    """Return by how much a published drive strength is too strong, as a factor that mends it (0.865).

    The published strengths turn by π with the area of a Gaussian of σ = samples/4 that is lowered to be zero one sample
    before it begins, as Qiskit's pulses of 2019 were. Pulses as they are played since, and by these devices, are
    raised again to their amplitude, so that their area is greater. This is the ratio of the two sums, rounded, so that
    every machine has the same.
    """
    sigma = samples / 4
    heights = [math.exp(-0.5 * ((index + 0.5 - samples / 2) / sigma) ** 2) for index in range(samples)]
    published, played = (math.exp(-0.5 * ((samples / 2 + before) / sigma) ** 2) for before in (0.5, 1.0))
    ratio = sum(height - published for height in heights) / sum(height - played for height in heights)
    return round(ratio * (1 - played), 9)


def with_model(document: DeviceDocument) -> DeviceDocument:
    """Give a device without an obstacle the Hamiltonian that its pulses are calibrated on; twice is as good as once."""
    configuration, properties = document.configuration, document.properties
    hamiltonian = configuration["hamiltonian"]
    variables = dict(hamiltonian["vars"])
    for index, frequency in enumerate(defaults.frequencies(configuration, properties)):
        if properties is not None:
            variables[f"wq{index}"] = 2 * math.pi * frequency
    text = hamiltonian.get("description", "").replace(UNTRUE, "")
    if not text.endswith(CHANGED):
        known = lengths(configuration, properties)
        for index in range(int(configuration["n_qubits"])):
            variables[f"omegad{index}"] *= kappa(known["x", (index,)])
        text += CHANGED
    changed = {**hamiltonian, "vars": variables, "description": text}
    return msgspec.structs.replace(document, configuration={**configuration, "hamiltonian": changed})


def model(document: DeviceDocument) -> str:
    """Name the model of a device by all that its pulses depend on: 64 hexadecimal digits.

    That is the Hamiltonian, the sample time, the frequencies of the control channels, and the lengths of the pulses of
    single qubits. Those of the pairs are part of what is found.
    """
    configuration = with_model(document).configuration
    known = lengths(configuration, document.properties)
    parts = {
        "dt": configuration["dt"],
        "h_str": configuration["hamiltonian"]["h_str"],
        "lengths": sorted((gate, *qubits, samples) for (gate, qubits), samples in known.items() if gate in ("sx", "x")),
        "u_channel_lo": configuration.get("u_channel_lo"),
        "vars": configuration["hamiltonian"]["vars"],
    }
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def with_pulses(document: DeviceDocument, tuning: tunings.Tuning) -> DeviceDocument:
    """Make a device take pulses: its configuration says so, its defaults give them, its gates last as long as they do.

    Pulses that it has already are replaced. The pairs that the tuning has no pulses for are named in the description.
    """
    made = with_model(document)
    configuration = {
        **made.configuration,
        "open_pulse": True,
        "meas_levels": list(MEAS_LEVELS),
        "description": _described(made.configuration.get("description", ""), tuning),
    }
    if "supported_instructions" in configuration:
        listed = [*configuration["supported_instructions"], *INSTRUCTIONS]
        configuration["supported_instructions"] = list(dict.fromkeys(listed))
    properties = None if made.properties is None else _lasting(made.properties, tuning, configuration["dt"])
    return msgspec.structs.replace(
        made,
        configuration=configuration,
        properties=properties,
        defaults=defaults.document(tuning, configuration, properties),
    )


def _described(text: str, tuning: tunings.Tuning) -> str:
    own = text.partition(_WITHOUT)[0]
    if not tuning.missing:
        return own
    pairs = ", ".join(f"{first}-{second}" for first, second in sorted(pair.qubits for pair in tuning.missing))
    return f"{own}{_WITHOUT} the pair{'s' * (len(tuning.missing) > 1)} {pairs}."


def _lasting(properties: Document, tuning: tunings.Tuning, dt: float) -> Document:
    """Properties in which each `cx` with pulses is as long as they are."""
    samples = {(pair.control, pair.target): defaults.lasts(tuning.qubits, pair) for pair in tuning.pairs}
    samples |= {
        (pair.target, pair.control): defaults.lasts(tuning.qubits, pair, backward=True) for pair in tuning.pairs
    }

    def timed(gate: Document) -> Document:
        wanted = samples.get(tuple(gate["qubits"])) if gate["gate"] == "cx" else None
        if wanted is None:
            return gate
        records = [
            {**entry, "value": wanted * dt} if entry["name"] == "gate_length" else entry for entry in gate["parameters"]
        ]
        return {**gate, "parameters": records}

    return {**properties, "gates": [timed(gate) for gate in properties["gates"]]}
