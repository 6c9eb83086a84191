# SPDX-License-Identifier: Apache-2.0
"""Params and results of the noise learner: the circuits of its second version, the instructions of its third.

Source: protocol, Runtime API, sections 7 and 8; `ibm_quantum_schemas/noise_learner_v2/version_0_1` and
`.../noise_learner_v3/version_0_3`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from chandelier import errors
from chandelier.formats import given, options, packed, tagged, tensors, untagged

#: The one version of the third learner's documents that is read and written.
SCHEMA: Final = "v0.3"
#: A job has no more circuits.
MOST_CIRCUITS: Final = 10_000


Depths = Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=10_000)], ...], msgspec.Meta(min_length=1, max_length=64)]
Strategy = Literal["active", "active-accum", "active-circuit", "all"]


class LayerOptions(msgspec.Struct, frozen=True):
    """Options of the second learner.

    Attributes:
        max_layers_to_learn: How many layers, the most frequent first; None for all.
        shots_per_randomization: Shots of each random circuit.
        num_randomizations: Random circuits for each basis and depth.
        layer_pair_depths: Depths, in pairs of the layer.
        twirling_strategy: Which qubits of a layer are twirled.
        seed_simulator: Makes a result repeatable.
    """

    max_layers_to_learn: int | None = 4
    shots_per_randomization: int = 128
    num_randomizations: int = 32
    layer_pair_depths: tuple[int, ...] = (0, 1, 2, 4, 16, 32)
    twirling_strategy: Strategy = "active-accum"
    seed_simulator: int | None = None


class LayerParams(msgspec.Struct, frozen=True):
    """Params of the second learner: circuits, of which it learns the layers."""

    circuits: tuple[tagged.Circuit | tagged.Text, ...]
    options: LayerOptions


class InstructionOptions(msgspec.Struct, frozen=True):
    """Options of the third learner; post selection and bit-flip checks, which need pulses, are refused.

    Attributes:
        shots_per_randomization: Shots of each random circuit.
        num_randomizations: Random circuits for each basis and depth.
        layer_pair_depths: Depths, in pairs of the layer.
        rep_delay: Wait between shots, s; None for that of the device.
    """

    shots_per_randomization: int = 128
    num_randomizations: int = 32
    layer_pair_depths: tuple[int, ...] = (0, 1, 2, 4, 16, 32)
    rep_delay: float | None = None


class InstructionParams(msgspec.Struct, frozen=True):
    """Params of the third learner.

    Attributes:
        circuit: A circuit whose instructions (boxes) are to be learned.
        version: The QPY version that the client says it wrote.
        options: The options.
    """

    circuit: tagged.Circuit
    version: int
    options: InstructionOptions


class LayerError(msgspec.Struct, frozen=True):
    """What the second learner learned of a layer.

    Attributes:
        circuit: The layer, a QPY file in a version that the client reads (13).
        qubits: The device's qubits for those of the circuit.
        generators: Pauli words as wide as `qubits`; None if the error is unknown.
        rates: Their rates; None if the error is unknown.
    """

    circuit: bytes
    qubits: tuple[int, ...]
    generators: tuple[str, ...] | None
    rates: npt.NDArray[np.float64] | None


class InstructionError(msgspec.Struct, frozen=True):
    """What the third learner learned of an instruction.

    Attributes:
        generators: For each rate the Pauli words with their qubits that share it.
        num_qubits: Number of qubits of the instruction.
        rates: float64, one for each entry of `generators`.
        rates_std: Their standard deviations.
        metadata: `learning_protocol` (`trex` or `lindblad`) and `post_selection`.
    """

    generators: tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]
    num_qubits: int
    rates: npt.NDArray[np.float64]
    rates_std: npt.NDArray[np.float64]
    metadata: Mapping[str, Any]


class _LayerOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    max_layers_to_learn: Annotated[int, msgspec.Meta(ge=0)] | None = 4
    shots_per_randomization: options.Count = 128
    num_randomizations: options.Count = 32
    layer_pair_depths: Depths = (0, 1, 2, 4, 16, 32)
    twirling_strategy: Strategy = "active-accum"
    support_qiskit: bool = True
    experimental: dict[str, Any] = {}
    simulator: options.WireSimulator = options.WireSimulator()


class _LayerParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    circuits: Annotated[list[Any], msgspec.Meta(min_length=1, max_length=MOST_CIRCUITS)]
    options: Any = None
    version: Literal[2] = 2


class _Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enable: bool = False
    x_pulse_type: Literal["xslow", "rx"] = "xslow"
    strategy: Literal["node", "edge"] = "node"


class _Checks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pre_circuit: _Check = _Check()
    post_circuit: _Check = _Check()


class _InstructionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    shots_per_randomization: options.Count = 128
    num_randomizations: options.Count = 32
    layer_pair_depths: Depths = (0, 1, 2, 4, 16, 32)
    bit_flip_checks: _Checks = _Checks()
    post_selection: _Check = _Check()
    init_qubits: bool = True
    rep_delay: options.Delay | None = None


class _Instructions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    circuit_b64: str
    qpy_version: int


class _InstructionParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema_version: str
    instructions: _Instructions
    options: _InstructionOptions = _InstructionOptions()
    version: Literal[3] = 3


class _Version(msgspec.Struct, frozen=True):
    schema_version: str | None = None


def decode(body: bytes | bytearray | memoryview) -> LayerParams | InstructionParams:
    """Read the params of a noise-learner job; those of the third learner have a schema version.

    Raises:
        errors.ProgramRefused: Codes 8030 to 8034; the message names what is wrong.
    """
    version = given.decode(body, _Version).schema_version
    if version is None:
        return _layers(body)
    if version != SCHEMA:
        raise errors.ProgramRefused(f"The `schema_version` is {version!r:.60}; it must be {SCHEMA}.", 8030)
    return _instructions(given.decode(body, _InstructionParams))


def _layers(body: bytes | bytearray | memoryview) -> LayerParams:
    params = given.read(untagged.decode(body), _LayerParams, "")
    wire = given.read(params.options, _LayerOptions, "options")
    given.refuse(options.simulated(wire.simulator, wire.experimental))
    return LayerParams(
        circuits=tuple(untagged.circuit(value, f"circuits[{index}]") for index, value in enumerate(params.circuits)),
        options=LayerOptions(
            max_layers_to_learn=wire.max_layers_to_learn,
            shots_per_randomization=wire.shots_per_randomization,
            num_randomizations=wire.num_randomizations,
            layer_pair_depths=wire.layer_pair_depths,
            twirling_strategy=wire.twirling_strategy,
            seed_simulator=wire.simulator.seed_simulator,
        ),
    )


def _instructions(wire: _InstructionParams) -> InstructionParams:
    asked = wire.options
    given.refuse(
        {
            "bit_flip_checks.post_circuit": asked.bit_flip_checks.post_circuit.enable,
            "bit_flip_checks.pre_circuit": asked.bit_flip_checks.pre_circuit.enable,
            "init_qubits": not asked.init_qubits,
            "post_selection": asked.post_selection.enable,
        }
    )
    text, where = wire.instructions.circuit_b64, "instructions.circuit_b64"
    return InstructionParams(
        circuit=tagged.Circuit(packed.unpack(text, where, packed.Allowance(), compressed=False)),
        version=wire.instructions.qpy_version,
        options=InstructionOptions(
            asked.shots_per_randomization, asked.num_randomizations, asked.layer_pair_depths, asked.rep_delay
        ),
    )


def encode_layers(layers: Sequence[LayerError], backend: str, asked: LayerOptions) -> bytes:
    """Write the result of the second learner.

    Args:
        layers: What was learned.
        backend: Name of the device.
        asked: The options; the seed is not repeated.
    """
    options_ = msgspec.structs.asdict(asked)
    del options_["seed_simulator"]
    metadata = {"backend": backend, "input_options": options_}
    return tagged.encode({"data": [_layer(layer) for layer in layers], "metadata": metadata})


def _layer(layer: LayerError) -> tagged.Learned:
    error = None
    if layer.generators is not None and layer.rates is not None:
        generators = tagged.Settings("PauliList", {"data": list(layer.generators)})
        error = tagged.Learned("PauliLindbladError", {"generators": generators, "rates": layer.rates})
    return tagged.Learned(
        "LayerError", {"circuit": tagged.Circuit(layer.circuit), "qubits": list(layer.qubits), "error": error}
    )


def encode_instructions(learned: Sequence[InstructionError]) -> bytes:
    """Write the result of the third learner."""
    data = [
        {
            "generators_sparse": entry.generators,
            "num_qubits": entry.num_qubits,
            "rates": tensors.write(entry.rates, compressed=False),
            "rates_std": tensors.write(entry.rates_std, compressed=False),
            "metadata": entry.metadata,
        }
        for entry in learned
    ]
    return msgspec.json.encode({"schema_version": SCHEMA, "data": data})
