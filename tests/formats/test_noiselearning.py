# SPDX-License-Identifier: Apache-2.0
"""Params of noise learners are read as the real client writes them, and its own decoders read the results."""

import io
import json
from typing import Any

import numpy as np
import pytest
from ibm_quantum_schemas.noise_learner_v2.version_0_1 import ResultsModel
from qiskit import QuantumCircuit, qpy
from qiskit_ibm_runtime import RuntimeEncoder
from qiskit_ibm_runtime.decoders.noise_learner import NoiseLearnerResultDecoder
from qiskit_ibm_runtime.decoders.noise_learner_v3.decoder import NoiseLearnerV3ResultDecoder
from qiskit_ibm_runtime.noise_learner_v3.params_converters import NOISE_LEARNER_V3_PARAMS_CONVERTERS
from qiskit_ibm_runtime.options_models import NoiseLearnerV3Options
from qiskit_ibm_runtime.results.noise_learner import NoiseLearnerResult

from chandelier import errors
from chandelier.formats import noiselearning, tagged


def layer() -> QuantumCircuit:
    """A layer of two qubits."""
    made = QuantumCircuit(2)
    made.cx(0, 1)
    return made


def saved(circuit: QuantumCircuit) -> bytes:
    """A circuit as a QPY file that every client reads."""
    buffer = io.BytesIO()
    qpy.dump(circuit, buffer, version=13)
    return buffer.getvalue()


def layers(**options: object) -> noiselearning.LayerParams:
    """The params of the second learner, as the client writes them."""
    params = {"circuits": [layer(), "OPENQASM 3.0;"], "options": {"support_qiskit": True, **options}}
    read = noiselearning.decode(json.dumps(params, cls=RuntimeEncoder).encode())
    assert isinstance(read, noiselearning.LayerParams)
    return read


def instructions(**options: object) -> dict[str, Any]:
    """The params of the third learner, as the client writes them."""
    boxed = QuantumCircuit(2)
    with boxed.box():
        boxed.cx(0, 1)
    made = NOISE_LEARNER_V3_PARAMS_CONVERTERS["v0.3"].encoder(boxed.data, NoiseLearnerV3Options(**options))
    params: dict[str, Any] = made.model_dump(mode="json")
    return params


def decoded(params: object) -> noiselearning.LayerParams | noiselearning.InstructionParams:
    """What is read of params."""
    return noiselearning.decode(json.dumps(params).encode())


def test_layers_of_the_client() -> None:
    """Circuits and options of the second learner arrive; the rest has the documented defaults."""
    read = layers(max_layers_to_learn=None, num_randomizations=4, simulator={"seed_simulator": 3})
    first, second = read.circuits

    assert isinstance(first, tagged.Circuit)
    assert qpy.load(io.BytesIO(first.qpy)) == [layer()]
    assert second == tagged.Text("OPENQASM 3.0;")
    assert read.options == noiselearning.LayerOptions(max_layers_to_learn=None, num_randomizations=4, seed_simulator=3)
    assert layers().options == noiselearning.LayerOptions()


def test_instructions_of_the_client() -> None:
    """The circuit of the third learner, which is not compressed, and its options arrive."""
    read = decoded(instructions(num_randomizations=3, layer_pair_depths=[0, 2], execution={"rep_delay": 0.001}))

    assert isinstance(read, noiselearning.InstructionParams)
    (circuit,) = qpy.load(io.BytesIO(read.circuit.qpy))
    assert [instruction.operation.name for instruction in circuit] == ["box"]
    assert read.version == read.circuit.qpy[6]
    assert read.options == noiselearning.InstructionOptions(128, 3, (0, 2), 0.001)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"max_layers_to_learn": -1}, 8032),
        ({"layer_pair_depths": []}, 8032),
        ({"layer_pair_depths": [-1]}, 8032),
        ({"twirling_strategy": "some"}, 8032),
        ({"experimental": {"a": 1}}, 8031),
        ({"more": 1}, 8031),
        ({"simulator": {"coupling_map": [[0, 1]]}}, 8031),
    ],
)
def test_options_that_are_wrong(options: dict[str, Any], code: int) -> None:
    """Options of the second learner that are not known or out of range are refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        layers(**options)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"post_selection": {"enable": True}}, "post_selection"),
        ({"bit_flip_checks": {"pre_circuit": {"enable": True}}}, "bit_flip_checks.pre_circuit"),
        ({"bit_flip_checks": {"post_circuit": {"enable": True}}}, "bit_flip_checks.post_circuit"),
        ({"init_qubits": False}, "init_qubits"),
        ({"more": False}, "options.more"),
    ],
)
def test_what_learners_do_not_do_is_named(options: dict[str, Any], name: str) -> None:
    """What needs pulses is refused by name, and so is what is not known."""
    params = instructions()
    params["options"] |= options
    with pytest.raises(errors.ProgramRefused, match=name) as caught:
        decoded(params)
    assert caught.value.code == 8031


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"circuits": []},
        {"circuits": [1]},
        {"schema_version": "v0.2", "instructions": {}},
        {"schema_version": "v0.3"},
        {"schema_version": "v0.3", "instructions": {"circuit_b64": "?", "qpy_version": 13}},
        [],
        None,
    ],
)
def test_params_that_are_wrong(params: object) -> None:
    """Other versions, no circuits and what is no circuit are refused."""
    with pytest.raises(errors.ProgramRefused):
        decoded(params)


def test_learned_layers_for_the_client() -> None:
    """The client finds each layer with its circuit, its qubits and the error, or None where it is unknown."""
    known = noiselearning.LayerError(saved(layer()), (4, 7), ("XI", "IZ"), np.array([0.1, 0.2]))
    unknown = noiselearning.LayerError(saved(layer()), (1, 2), None, None)
    body = noiselearning.encode_layers([known, unknown], "manila", noiselearning.LayerOptions(seed_simulator=4))
    model = ResultsModel.model_validate_json(body)
    text = body.decode()
    result = NoiseLearnerResultDecoder.decode(text)
    error = result[0].error

    assert NoiseLearnerResultDecoder.is_applicable(text)
    assert isinstance(result, NoiseLearnerResult)
    assert result[0].circuit == layer()
    assert result[0].qubits == [4, 7]
    assert error is not None
    assert error.generators.to_labels() == ["XI", "IZ"]
    np.testing.assert_array_equal(error.rates, [0.1, 0.2])
    assert result[1].error is None
    assert model.metadata.backend == "manila"
    assert model.metadata.input_options.num_randomizations == 32


def test_learned_instructions_for_the_client() -> None:
    """The client makes a Pauli-Lindblad map of each instruction, with its metadata."""
    metadata = {"learning_protocol": "lindblad", "post_selection": {"fraction_kept": {0: 1.0}, "success_rates": {}}}
    learned = noiselearning.InstructionError(
        generators=((("XZ", (0, 1)),), (("X", (0,)), ("Z", (1,)))),
        num_qubits=2,
        rates=np.array([0.1, 0.2]),
        rates_std=np.array([0.01, 0.02]),
        metadata=metadata,
    )
    text = noiselearning.encode_instructions([learned]).decode()
    result = NoiseLearnerV3ResultDecoder.decode(text)
    map_ = result[0].to_pauli_lindblad_map()

    assert NoiseLearnerV3ResultDecoder.is_applicable(text)
    assert not NoiseLearnerResultDecoder.is_applicable(text)
    assert map_.num_qubits == 2
    assert sorted(rate for *_, rate in map_.to_sparse_list()) == [0.1, 0.2, 0.2]
    assert result[0].metadata["learning_protocol"] == "lindblad"
