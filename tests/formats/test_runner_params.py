# SPDX-License-Identifier: Apache-2.0
"""Params of the runners and of `calibrate` are read as clients write them, and what is not done is named."""

import datetime
import json
from typing import Any

import pytest
from qiskit import QuantumCircuit
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime import RuntimeEncoder
from qiskit_ibm_runtime.calibrator.params_converters import CALIBRATOR_PARAMS_CONVERTERS
from qiskit_ibm_runtime.decoders.calibrator.decoder import CalibratorResultDecoder
from qiskit_ibm_runtime.options_models.calibrator import CalibratorOptions

from chandelier import errors
from chandelier.formats import runners, tagged


def read(**params: Any) -> runners.CircuitsParams:
    """The params of a runner, as a client writes them, with one circuit."""
    document = {"circuits": [QuantumCircuit(1, 1)], **params}
    return runners.decode(json.dumps(document, cls=RuntimeEncoder).encode())


def test_what_the_older_provider_sends() -> None:
    """Every setting that its `backend.run` always sends is known."""
    sent = {"shots": 100, "meas_level": 2, "init_qubits": True, "memory": True, "meas_return": "avg"}
    params = read(skip_transpilation=True, rep_delay=0.0001, header={"a": 1}, seed_simulator=7, **sent)
    (circuit,) = params.circuits

    assert isinstance(circuit, tagged.Circuit)
    assert (params.shots, params.memory, params.meas_level, params.meas_return) == (100, True, 2, "avg")
    assert (params.rep_delay, params.header, params.seed_simulator) == (0.0001, {"a": 1}, 7)


def test_texts_and_defaults() -> None:
    """A circuit may be a text; what is left out has the documented default."""
    assert read(circuits=["OPENQASM 3.0;"]) == runners.CircuitsParams((tagged.Text("OPENQASM 3.0;"),))
    assert read(shots=None, header=None).shots == 4000


@pytest.mark.parametrize("noise", [NoiseModel(), {"errors": []}])
def test_noise_models(noise: object) -> None:
    """A noise model arrives as a document, however the client wrote it."""
    model = read(noise_model=noise).noise_model

    assert model is not None
    assert model["errors"] == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"init_qubits": False}, 8031),
        ({"use_measure_esp": True}, 8031),
        ({"skip_transpilation": False}, 8031),
        ({"init_circuit": QuantumCircuit(1)}, 8031),
        ({"init_num_resets": 2}, 8031),
        ({"parametric_pulses": []}, 8031),
        ({"shots": 0}, 8032),
        ({"meas_level": 0}, 8032),
        ({"meas_return": "all"}, 8032),
        ({"noise_model": "loud"}, 8032),
        ({"circuits": []}, 8032),
        ({"circuits": [{}]}, 8030),
    ],
)
def test_what_is_not_done_is_named(params: dict[str, Any], code: int) -> None:
    """Settings that are not known, not done here or out of range are refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        read(**params)
    assert caught.value.code == code


def test_calibrations_of_the_client() -> None:
    """What the client sends to calibrate is accepted, and it reads when that was."""
    sent = CALIBRATOR_PARAMS_CONVERTERS["v0.1"].encoder(CalibratorOptions()).model_dump_json().encode()
    start, stop = (datetime.datetime(2026, 1, day, tzinfo=datetime.UTC) for day in (1, 2))
    runners.check_calibration(sent)
    result: Any = CalibratorResultDecoder.decode(runners.encode_calibration(start, stop).decode())

    assert (result.start, result.stop) == (start, stop)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, 8032),
        ({"schema_version": "v0.2"}, 8030),
        ({"schema_version": "v0.1", "options": {"experimental": {"a": 1}}}, 8031),
        ({"schema_version": "v0.1", "options": {"more": 1}}, 8031),
    ],
)
def test_calibrations_that_are_wrong(params: object, code: int) -> None:
    """Another version and options that are not known are refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        runners.check_calibration(json.dumps(params).encode())
    assert caught.value.code == code
