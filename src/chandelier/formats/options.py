# SPDX-License-Identifier: Apache-2.0
"""Options of the sampler and the estimator: each known key with its type and range, and what the rest is refused with.

A key that is not known, or that asks for something these devices cannot honestly do, is refused by its full name;
nothing is ignored in silence. What an option leaves to the server is decided here, so that whoever runs a program
sees plain values.

Source: protocol, Runtime API, section 7.2; `ibm_quantum_schemas/sampler/version_0_1` and `.../estimator/version_0_1`,
modules `options` and those that they name.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from chandelier import errors
from chandelier.formats import given

Count = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Seed = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Auto = Literal["auto"]
Precision = Annotated[float, msgspec.Meta(ge=1e-9, le=1e9)]
#: A wait between shots, s.
Delay = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Factors = Annotated[
    tuple[Annotated[float, msgspec.Meta(ge=1, le=1000)], ...], msgspec.Meta(min_length=1, max_length=64)
]
Points = Annotated[tuple[Annotated[float, msgspec.Meta(ge=0, le=1000)], ...], msgspec.Meta(min_length=1, max_length=64)]


class Decoupling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Dynamical decoupling.

    Attributes:
        enable: Whether idle qubits are given pulses.
        sequence_type: Which pulses.
        extra_slack_distribution: Where time goes that does not divide evenly.
        scheduling_method: As late or as soon as possible.
        skip_reset_qubits: Leave qubits alone that have done nothing since they were reset.
    """

    enable: bool = False
    sequence_type: Literal["XX", "XpXm", "XY4"] = "XX"
    extra_slack_distribution: Literal["middle", "edges"] = "middle"
    scheduling_method: Literal["alap", "asap"] = "alap"
    skip_reset_qubits: bool = False


class Execution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How circuits are executed.

    Attributes:
        init_qubits: Always True: each shot begins with qubits in the ground state.
        rep_delay: Wait between shots, s; None for that of the device.
        meas_type: What a measurement returns; `classified` for estimators.
    """

    init_qubits: bool = True
    rep_delay: Delay | None = None
    meas_type: Literal["classified", "kerneled", "avg_kerneled"] = "classified"


class Twirling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pauli twirling; see `randomizations`.

    Attributes:
        enable_gates: Twirl two-qubit Clifford gates.
        enable_measure: Twirl measurements.
        num_randomizations: Random circuits for each circuit.
        shots_per_randomization: Shots of each of them.
        strategy: Which qubits of a layer are twirled.
    """

    enable_gates: bool = False
    enable_measure: bool = False
    num_randomizations: Count | Auto = "auto"
    shots_per_randomization: Count | Auto = "auto"
    strategy: Literal["active", "active-accum", "active-circuit", "all"] = "active-accum"


class Simulator(msgspec.Struct, frozen=True):
    """What only a simulator can do.

    Attributes:
        seed_simulator: Makes a result repeatable.
    """

    seed_simulator: int | None = None


class MeasureNoiseLearning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How readout errors are learned."""

    num_randomizations: Count = 32
    shots_per_randomization: Count | Auto = "auto"


class Zne(msgspec.Struct, frozen=True):
    """Zero-noise extrapolation.

    Attributes:
        amplifier: How noise is made stronger.
        noise_factors: By how much, each at least 1.
        extrapolator: The fits to try, in this order.
        extrapolated_noise_factors: Where the fits are evaluated; 0 and the noise factors if the client did not say.
    """

    amplifier: Literal["gate_folding", "gate_folding_front", "gate_folding_back"] = "gate_folding"
    noise_factors: tuple[float, ...] = (1.0, 3.0, 5.0)
    extrapolator: tuple[str, ...] = ("exponential", "linear")
    extrapolated_noise_factors: tuple[float, ...] = (0.0, 1.0, 3.0, 5.0)


class Resilience(msgspec.Struct, frozen=True):
    """Error mitigation, with what the resilience level decides filled in.

    Attributes:
        level: The resilience level, 0, 1 or 2.
        measure_mitigation: Whether readout errors are mitigated.
        measure_noise_learning: How they are learned.
        zne_mitigation: Whether expectation values are extrapolated to no noise.
        zne: How.
    """

    level: int = 1
    measure_mitigation: bool = True
    measure_noise_learning: MeasureNoiseLearning = MeasureNoiseLearning()
    zne_mitigation: bool = False
    zne: Zne = Zne()


class SamplerOptions(msgspec.Struct, frozen=True):
    """Options of a sampler job.

    Attributes:
        default_shots: Shots of a pub that does not say.
        dynamical_decoupling: See there.
        execution: See there.
        twirling: See there.
        simulator: See there.
    """

    default_shots: int = 4096
    dynamical_decoupling: Decoupling = Decoupling()
    execution: Execution = Execution()
    twirling: Twirling = Twirling()
    simulator: Simulator = Simulator()


class EstimatorOptions(msgspec.Struct, frozen=True):
    """Options of an estimator job.

    Attributes:
        default_precision: Precision of a pub that does not say.
        default_shots: Shots of each circuit and basis instead of a precision; None to go by the precision.
        seed_estimator: Makes a result repeatable; `simulator.seed_simulator` if only that was given.
        dynamical_decoupling: See there.
        execution: See there.
        twirling: See there; what the resilience level decides is filled in.
        resilience: See there.
        simulator: See there.
    """

    default_precision: float = 0.015625
    default_shots: int | None = None
    seed_estimator: int | None = None
    dynamical_decoupling: Decoupling = Decoupling()
    execution: Execution = Execution()
    twirling: Twirling = Twirling(enable_measure=True)
    resilience: Resilience = Resilience()
    simulator: Simulator = Simulator()


class _Execution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    init_qubits: bool = True
    rep_delay: Delay | None = None


class WireSimulator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What clients may say of a simulator, of which only the seed means something here; see `simulated`."""

    noise_model: Any = None
    seed_simulator: Seed | None = None
    coupling_map: Any = None
    basis_gates: Any = None


class _EstimatorTwirling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    enable_gates: bool | None = None
    enable_measure: bool | None = None
    num_randomizations: Count | Auto = "auto"
    shots_per_randomization: Count | Auto = "auto"
    strategy: Literal["active", "active-accum", "active-circuit", "all"] = "active-accum"


class _Zne(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    amplifier: Literal["gate_folding", "gate_folding_front", "gate_folding_back", "pea"] = "gate_folding"
    noise_factors: Factors = (1.0, 3.0, 5.0)
    extrapolator: str | Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=16)] = (
        "exponential",
        "linear",
    )
    extrapolated_noise_factors: Points | Auto = "auto"


class _Pec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    max_overhead: Annotated[float, msgspec.Meta(gt=0)] | None = 100.0
    noise_gain: Annotated[float, msgspec.Meta(ge=0)] | Auto = "auto"


class _LayerNoiseLearning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    max_layers_to_learn: Annotated[int, msgspec.Meta(ge=0)] | None = 4
    shots_per_randomization: Count = 128
    num_randomizations: Count = 32
    layer_pair_depths: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0)], ...], msgspec.Meta(max_length=64)] = ()


class _Resilience(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    measure_mitigation: bool | None = None
    measure_noise_learning: MeasureNoiseLearning = MeasureNoiseLearning()
    zne_mitigation: bool | None = None
    zne: _Zne = _Zne()
    pec_mitigation: bool = False
    pec: _Pec = _Pec()
    layer_noise_learning: _LayerNoiseLearning = _LayerNoiseLearning()
    layer_noise_model: Any = None


class _Sampler(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    default_shots: Count = 4096
    dynamical_decoupling: Decoupling = Decoupling()
    execution: Execution = Execution()
    twirling: Twirling = Twirling()
    simulator: WireSimulator = WireSimulator()
    experimental: dict[str, Any] = {}


class _Estimator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    default_precision: Precision = 0.015625
    default_shots: Count | None = None
    seed_estimator: Seed | None = None
    dynamical_decoupling: Decoupling = Decoupling()
    execution: _Execution = _Execution()
    twirling: _EstimatorTwirling = _EstimatorTwirling()
    resilience: _Resilience = _Resilience()
    simulator: WireSimulator = WireSimulator()
    experimental: dict[str, Any] = {}


#: How many noise factors a fit needs.
#: Source: `ibm_quantum_schemas/estimator/version_0_1/zne_options.py`.
FACTORS_NEEDED: Final[Mapping[str, int]] = {
    "double_exponential": 4,
    "exponential": 2,
    "fallback": 2,
    "linear": 2,
    **{f"polynomial_degree_{degree}": degree + 1 for degree in range(1, 8)},
}


def sampler(values: Any) -> SamplerOptions:
    """Read the options of a sampler job, as `untagged.decode` left them.

    Raises:
        errors.ProgramRefused: Code 8031: an option that is not known or cannot be had here. Code 8032: a value of
            another type or out of range. The message has the full name.
    """
    wire = given.read(values, _Sampler, "options")
    given.refuse(_common(wire))
    return SamplerOptions(
        default_shots=wire.default_shots,
        dynamical_decoupling=wire.dynamical_decoupling,
        execution=wire.execution,
        twirling=wire.twirling,
        simulator=Simulator(wire.simulator.seed_simulator),
    )


def estimator(values: Any, level: int) -> EstimatorOptions:
    """Read the options of an estimator job, as `untagged.decode` left them.

    Args:
        values: The options.
        level: The resilience level, which decides what they leave open: readout mitigation and twirled measurements
            from level 1, extrapolation and twirled gates at level 2.

    Raises:
        errors.ProgramRefused: As `sampler`.
    """
    wire = given.read(values, _Estimator, "options")
    resilience = wire.resilience
    given.refuse(
        {
            **_common(wire),
            "resilience.layer_noise_model": resilience.layer_noise_model is not None,
            "resilience.pec_mitigation": resilience.pec_mitigation,
            "resilience.zne.amplifier": resilience.zne.amplifier == "pea",
        }
    )
    seed = wire.simulator.seed_simulator
    twirling = wire.twirling
    mitigated = _decided(resilience.measure_mitigation, level >= _MITIGATES)
    if mitigated and twirling.enable_measure is False:
        raise errors.ProgramRefused(
            "The option `twirling.enable_measure` is False, and readout mitigation needs twirled measurements. Leave it"
            " out, or set `resilience.measure_mitigation` to False too.",
            8032,
        )
    return EstimatorOptions(
        default_precision=wire.default_precision,
        default_shots=wire.default_shots,
        seed_estimator=wire.seed_estimator if wire.seed_estimator is not None else seed,
        dynamical_decoupling=wire.dynamical_decoupling,
        execution=Execution(wire.execution.init_qubits, wire.execution.rep_delay),
        twirling=Twirling(
            enable_gates=_decided(twirling.enable_gates, level >= _EXTRAPOLATES),
            enable_measure=_decided(twirling.enable_measure, mitigated or level >= _MITIGATES),
            num_randomizations=twirling.num_randomizations,
            shots_per_randomization=twirling.shots_per_randomization,
            strategy=twirling.strategy,
        ),
        resilience=Resilience(
            level=level,
            measure_mitigation=mitigated,
            measure_noise_learning=resilience.measure_noise_learning,
            zne_mitigation=_decided(resilience.zne_mitigation, level >= _EXTRAPOLATES),
            zne=_zne(resilience.zne),
        ),
        simulator=Simulator(seed),
    )


#: The resilience levels from which readout errors are mitigated, and expectation values extrapolated.
_MITIGATES: Final = 1
_EXTRAPOLATES: Final = 2


def _decided(said: bool | None, otherwise: bool) -> bool:
    return otherwise if said is None else said


def _common(wire: _Sampler | _Estimator) -> dict[str, bool]:
    return {
        "execution.init_qubits": not wire.execution.init_qubits,
        **simulated(wire.simulator, wire.experimental),
    }


def simulated(simulator: WireSimulator, experimental: Mapping[str, Any]) -> dict[str, bool]:
    """What was asked for of a simulator that devices do not do, and every experimental option; see `given.refuse`."""
    return {
        "simulator.basis_gates": simulator.basis_gates is not None,
        "simulator.coupling_map": simulator.coupling_map is not None,
        "simulator.noise_model": simulator.noise_model is not None,
        **{f"experimental.{key:.60}": True for key in experimental},
    }


def _zne(wire: _Zne) -> Zne:
    fits = (wire.extrapolator,) if isinstance(wire.extrapolator, str) else wire.extrapolator
    where = "The option `resilience.zne.extrapolator`"
    for fit in fits:
        if fit not in FACTORS_NEEDED:
            known = ", ".join(sorted(FACTORS_NEEDED))
            raise errors.ProgramRefused(f"{where} is {fit!r:.60}; it may be one or more of {known}.", 8032)
        if len(wire.noise_factors) < FACTORS_NEEDED[fit]:
            raise errors.ProgramRefused(
                f"{where}: {fit} needs {FACTORS_NEEDED[fit]} noise factors, and `resilience.zne.noise_factors` has"
                f" {len(wire.noise_factors)}.",
                8032,
            )
    points = wire.extrapolated_noise_factors
    return Zne(
        amplifier="gate_folding" if wire.amplifier == "pea" else wire.amplifier,
        noise_factors=wire.noise_factors,
        extrapolator=fits,
        extrapolated_noise_factors=(0.0, *wire.noise_factors) if isinstance(points, str) else points,
    )


def randomizations(shots: int, twirling: Twirling) -> tuple[int, int]:
    """How many random circuits a twirled circuit becomes, and the shots of each; their product may exceed `shots`.

    Source: `ibm_quantum_schemas`, docstrings of `TwirlingOptionsModel`.

    >>> randomizations(4096, Twirling())
    (32, 128)
    """
    count, each = twirling.num_randomizations, twirling.shots_per_randomization
    if isinstance(count, int):
        return count, each if isinstance(each, int) else math.ceil(shots / count)
    size = each if isinstance(each, int) else max(64, math.ceil(shots / 32))
    return math.ceil(shots / size), size
