# SPDX-License-Identifier: Apache-2.0
"""Params of the programs that run circuits for `backend.run`, and of the one that calibrates.

Source: protocol, Runtime API, section 7; qiskit-ibm-provider 0.11, `utils/options.py` and `ibm_backend.py`;
`ibm_quantum_schemas/calibrator/version_0_1/models.py`.
"""

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from chandelier import errors
from chandelier.formats import given, options, tagged, untagged

#: The one version of the calibrator's documents that is read and written.
SCHEMA: Final = "v0.1"
#: A job has no more circuits.
MOST_CIRCUITS: Final = 10_000


class CircuitsParams(msgspec.Struct, frozen=True):
    """Params of `circuit-runner` and `qasm3-runner`.

    Attributes:
        circuits: QPY or OpenQASM texts.
        shots: Repetitions of each.
        meas_level: 2 discriminated, 1 kerneled.
        meas_return: For level 1: `single` or `avg`.
        memory: Whether the result lists each shot.
        rep_delay: Wait between shots, s; None for that of the device.
        seed_simulator: Makes a result repeatable.
        noise_model: Noise that a simulator should add, as Aer writes it.
        header: JSON object that the result repeats.
    """

    circuits: tuple[tagged.Circuit | tagged.Text, ...]
    shots: int = 4000
    meas_level: Literal[1, 2] = 2
    meas_return: Literal["single", "avg"] = "avg"
    memory: bool = False
    rep_delay: float | None = None
    seed_simulator: int | None = None
    noise_model: Mapping[str, Any] | None = None
    header: Mapping[str, Any] = {}


class _Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    circuits: Annotated[list[Any], msgspec.Meta(min_length=1, max_length=MOST_CIRCUITS)]
    shots: options.Count = 4000
    meas_level: Literal[1, 2] = 2
    meas_return: Literal["single", "avg"] = "avg"
    memory: bool = False
    rep_delay: options.Delay | None = None
    init_qubits: bool = True
    header: dict[str, Any] = {}
    seed_simulator: options.Seed | None = None
    noise_model: Any = None
    skip_transpilation: bool = True
    use_measure_esp: bool = False
    init_circuit: Any = None
    init_num_resets: Annotated[int, msgspec.Meta(ge=0)] = 0


def decode(body: bytes | bytearray | memoryview) -> CircuitsParams:
    """Read the params of a runner.

    Raises:
        errors.ProgramRefused: Codes 8030 to 8034; the message names what is wrong.
    """
    wire = given.read(untagged.decode(body), _Params, "")
    given.refuse(
        {
            "init_circuit": wire.init_circuit is not None,
            "init_num_resets": wire.init_num_resets > 0,
            "init_qubits": not wire.init_qubits,
            "skip_transpilation": not wire.skip_transpilation,
            "use_measure_esp": wire.use_measure_esp,
        }
    )
    noise = wire.noise_model
    if isinstance(noise, tagged.NoiseModel):
        noise = noise.values
    return CircuitsParams(
        circuits=tuple(untagged.circuit(value, f"circuits[{index}]") for index, value in enumerate(wire.circuits)),
        shots=wire.shots,
        meas_level=wire.meas_level,
        meas_return=wire.meas_return,
        memory=wire.memory,
        rep_delay=wire.rep_delay,
        seed_simulator=wire.seed_simulator,
        noise_model=given.one(noise, dict[str, Any], "noise_model") if noise is not None else None,
        header=wire.header,
    )


class _CalibrationOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    experimental: dict[str, Any] = {}


class _Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema_version: str
    options: _CalibrationOptions = _CalibrationOptions()


def check_calibration(body: bytes | bytearray | memoryview) -> None:
    """Read the params of `calibrate`, which have nothing to say.

    Raises:
        errors.ProgramRefused: Codes 8030 to 8032: they are not of the documented form, of another version, or have an
            experimental option.
    """
    wire = given.decode(body, _Calibration)
    if wire.schema_version != SCHEMA:
        raise errors.ProgramRefused(f"The `schema_version` is {wire.schema_version!r:.60}; it must be {SCHEMA}.", 8030)
    given.refuse({f"experimental.{key:.60}": True for key in wire.options.experimental})


def encode_calibration(start: datetime.datetime, stop: datetime.datetime) -> bytes:
    """Write the result of `calibrate`."""
    return msgspec.json.encode({"schema_version": SCHEMA, "start": start, "stop": stop})
