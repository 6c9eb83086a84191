# SPDX-License-Identifier: Apache-2.0
"""Options of the primitives: what clients can set arrives, levels decide what they leave open, the rest is refused."""

import json
import warnings
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibm_quantum_schemas.estimator.version_0_1 import OptionsModel as EstimatorModel
from ibm_quantum_schemas.sampler.version_0_1 import OptionsModel as SamplerModel
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime import RuntimeEncoder
from qiskit_ibm_runtime.executor.calculate_twirling_shots import calculate_twirling_shots
from qiskit_ibm_runtime.executor_estimator.finalize_options import finalize_estimator_options
from qiskit_ibm_runtime.options import EstimatorOptions, SamplerOptions
from qiskit_ibm_runtime.options_models import EstimatorOptions as FinalOptions

from chandelier import errors
from chandelier.formats import options, untagged


def sent(chosen: EstimatorOptions | SamplerOptions) -> dict[str, Any]:
    """The params that the real client makes of options, as the server reads them."""
    inputs = chosen._get_program_inputs(asdict(chosen))
    read: dict[str, Any] = untagged.decode(json.dumps(inputs, cls=RuntimeEncoder).encode())
    return read


def refused(values: object, code: int, level: int = 1) -> str:
    """The message with which an estimator's options are refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        options.estimator(values, level)
    assert caught.value.code == code
    return caught.value.message


def test_defaults() -> None:
    """What the client leaves out has the documented default."""
    read = options.sampler(sent(SamplerOptions())["options"])
    estimator = options.estimator(None, 1)
    documented, wanted = SamplerModel(), EstimatorModel()

    assert read == options.SamplerOptions()
    assert read.default_shots == documented.default_shots
    assert estimator == options.EstimatorOptions()
    assert estimator.default_precision == wanted.default_precision
    for ours, theirs in [
        (read.dynamical_decoupling, documented.dynamical_decoupling),
        (read.execution, documented.execution),
        (read.twirling, documented.twirling),
        (estimator.dynamical_decoupling, wanted.dynamical_decoupling),
        (estimator.resilience.measure_noise_learning, wanted.resilience.measure_noise_learning),
    ]:
        assert {name: getattr(ours, name) for name in ours.__struct_fields__} == theirs.model_dump()
    assert estimator.resilience.zne.noise_factors == wanted.resilience.zne.noise_factors
    assert estimator.resilience.zne.extrapolator == wanted.resilience.zne.extrapolator


def test_sampler_options_of_the_client() -> None:
    """Everything that a sampler of the client can be told and that is done here arrives."""
    chosen = SamplerOptions(default_shots=7)
    chosen.dynamical_decoupling.enable = True
    chosen.dynamical_decoupling.sequence_type = "XY4"
    chosen.dynamical_decoupling.extra_slack_distribution = "edges"
    chosen.dynamical_decoupling.scheduling_method = "asap"
    chosen.dynamical_decoupling.skip_reset_qubits = True
    chosen.execution.meas_type = "kerneled"
    chosen.execution.rep_delay = 0.00025
    chosen.twirling.enable_gates = True
    chosen.twirling.num_randomizations = 5
    chosen.twirling.strategy = "all"
    chosen.simulator.seed_simulator = 42
    chosen.max_execution_time = 100
    read = options.sampler(sent(chosen)["options"])

    assert read.default_shots == 7
    assert read.dynamical_decoupling == options.Decoupling(True, "XY4", "edges", "asap", True)
    assert read.execution == options.Execution(rep_delay=0.00025, meas_type="kerneled")
    assert read.twirling == options.Twirling(enable_gates=True, num_randomizations=5, strategy="all")
    assert read.simulator.seed_simulator == 42


def test_estimator_options_of_the_client() -> None:
    """Everything that an estimator of the client can be told and that is done here arrives."""
    chosen = EstimatorOptions(default_precision=0.1, default_shots=500, seed_estimator=3, resilience_level=0)
    chosen.resilience.measure_mitigation = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        chosen.resilience.measure_noise_learning.shots_per_randomization = 9
    chosen.resilience.zne_mitigation = True
    chosen.resilience.zne.amplifier = "gate_folding_back"
    chosen.resilience.zne.noise_factors = (1, 2, 4)
    chosen.resilience.zne.extrapolator = "polynomial_degree_2"
    chosen.resilience.zne.extrapolated_noise_factors = (0, 0.5)
    chosen.resilience.pec.max_overhead = None
    chosen.resilience.layer_noise_learning.max_layers_to_learn = None
    params = sent(chosen)
    read = options.estimator(params["options"], params["resilience_level"])

    assert (read.default_precision, read.default_shots, read.seed_estimator) == (0.1, 500, 3)
    assert read.resilience == options.Resilience(
        level=0,
        measure_mitigation=True,
        measure_noise_learning=options.MeasureNoiseLearning(32, 9),
        zne_mitigation=True,
        zne=options.Zne("gate_folding_back", (1, 2, 4), ("polynomial_degree_2",), (0, 0.5)),
    )
    assert read.twirling.enable_measure


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("mitigation", [None, True, False])
def test_levels_decide_what_the_client_would(level: int, mitigation: bool | None) -> None:
    """A resilience level turns on what the client's own implementation of the estimator turns on."""
    given_ = {} if mitigation is None else {"resilience": {"measure_mitigation": mitigation}}
    read = options.estimator(given_, level)
    wanted = finalize_estimator_options(FinalOptions(resilience_level=level, **given_))

    assert read.twirling.enable_gates == wanted.twirling.enable_gates
    assert read.twirling.enable_measure == wanted.twirling.enable_measure
    assert read.resilience.measure_mitigation == wanted.resilience.measure_mitigation
    assert read.resilience.zne_mitigation == wanted.resilience.zne_mitigation


def test_fits_are_evaluated_at_no_noise_first() -> None:
    """Left to the server, fits are evaluated at no noise and at the factors that were measured."""
    read = options.estimator({"resilience": {"zne": {"noise_factors": [1, 2]}}}, 2)

    assert read.resilience.zne.extrapolated_noise_factors == (0, 1, 2)


def test_one_seed_is_enough() -> None:
    """An estimator without a seed of its own takes the one of the simulator."""
    assert options.estimator({"simulator": {"seed_simulator": 5}}, 1).seed_estimator == 5
    assert options.estimator({"simulator": {"seed_simulator": 5}, "seed_estimator": 0}, 1).seed_estimator == 0


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"shots": 1}, "options.shots"),
        ({"twirling": {"enable": True}}, "options.twirling.enable"),
        ({"resilience": {"zne": {"noise_factor": 1}}}, "options.resilience.zne.noise_factor"),
        ({"resilience": {"zne": {"noise_factor": None}}}, "options.resilience.zne.noise_factor"),
        ({"execution": {"meas_type": "classified"}}, "options.execution.meas_type"),
        ({"optimization_level": 1}, "options.optimization_level"),
        ({"experimental": {"magic": {}}}, "experimental.magic"),
        ({"execution": {"init_qubits": False}}, "execution.init_qubits"),
        ({"resilience": {"pec_mitigation": True}}, "resilience.pec_mitigation"),
        ({"resilience": {"zne": {"amplifier": "pea"}}}, "resilience.zne.amplifier"),
        ({"resilience": {"layer_noise_model": []}}, "resilience.layer_noise_model"),
        ({"simulator": {"coupling_map": [[0, 1]]}}, "simulator.coupling_map"),
        ({"simulator": {"basis_gates": ["x"]}}, "simulator.basis_gates"),
        ({"simulator": {"noise_model": NoiseModel()}}, "simulator.noise_model"),
    ],
)
def test_options_that_are_not_done_are_named(values: dict[str, Any], name: str) -> None:
    """An option that is not known, or not done here, is refused with its full name."""
    assert f"`{name}`" in refused(values, 8031)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], "options"),
        ({"default_shots": 0}, ">= 1"),
        ({"default_shots": True}, "default_shots"),
        ({"default_precision": 0}, "default_precision"),
        ({"default_precision": "high"}, "default_precision"),
        ({"seed_estimator": -1}, ">= 0"),
        ({"twirling": {"strategy": "none"}}, "active, active-accum, active-circuit, all"),
        ({"twirling": {"num_randomizations": "many"}}, "auto"),
        ({"twirling": []}, "options.twirling"),
        ({"dynamical_decoupling": {"sequence_type": "XYZ"}}, "XX, XpXm, XY4"),
        ({"dynamical_decoupling": {"enable": "yes"}}, "options.dynamical_decoupling.enable"),
        ({"execution": {"rep_delay": -1}}, ">= 0"),
        ({"resilience": {"zne": {"noise_factors": [1, 0.5]}}}, ">= 1"),
        ({"resilience": {"zne": {"noise_factors": []}}}, "noise_factors"),
        ({"resilience": {"zne": {"noise_factors": [1] * 1000}}}, "noise_factors"),
        ({"resilience": {"zne": {"extrapolator": []}}}, "extrapolator"),
        ({"resilience": {"zne": {"extrapolator": "cubic"}}}, "polynomial_degree_3"),
        ({"resilience": {"zne": {"extrapolator": ["linear", "double_exponential"]}}}, "needs 4 noise factors"),
        ({"resilience": {"measure_mitigation": True}, "twirling": {"enable_measure": False}}, "twirled measurements"),
    ],
)
def test_values_that_are_wrong_are_named(values: object, reason: str) -> None:
    """A value of another type or out of range is refused; the message says what is allowed."""
    assert reason in refused(values, 8032)


def test_nulls_are_as_if_left_out() -> None:
    """Clients that write null for what they leave to the server get the defaults."""
    values = {"default_shots": None, "twirling": {"strategy": None}, "resilience": {"layer_noise_model": None}}

    assert options.estimator(values, 1) == options.EstimatorOptions()


@given(
    st.integers(1, 10**6),
    st.integers(1, 2000) | st.just("auto"),
    st.integers(1, 2000) | st.just("auto"),
)
def test_shots_are_divided_as_the_client_does(shots: int, count: Any, each: Any) -> None:
    """Randomizations and their shots follow the same rule as the client's own implementation."""
    twirling = options.Twirling(num_randomizations=count, shots_per_randomization=each)

    assert options.randomizations(shots, twirling) == calculate_twirling_shots(shots, count, each)
