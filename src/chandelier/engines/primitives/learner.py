# SPDX-License-Identifier: Apache-2.0
"""The program `noise-learner`: the noise of layers of gates, and of measurements, as their shots show it.

The second version takes circuits and learns their most frequent layers; the third takes the layers themselves, and
learns measurements too. Nothing is taken from the device's calibration: what is told has been measured.

Source: protocol, Runtime API, sections 7 and 8; `qiskit_ibm_runtime/options/noise_learner_options.py`,
`.../noise_learner_v3`, `.../results/noise_learner_v3.py`.
"""

import dataclasses
import functools
import io
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from qiskit import qpy as files
from qiskit.circuit import QuantumCircuit

from chandelier import errors
from chandelier.engines import cost, qpy, shots
from chandelier.engines import target as targets
from chandelier.engines.primitives import boxes, cycles, lindblad, work
from chandelier.formats import noiselearning, options, tasks

#: Most pairs of a layer in one circuit.
MOST_PAIRS: Final = 1000
#: Time to write down and plan an instruction of one circuit, s, and the memory that takes, bytes.
WRITTEN: Final = 20e-6
HELD: Final = 1000
#: A version of QPY that every client reads.
OLDEST: Final = 13

_Z: Final = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Learned:
    """What came of a layer.

    Attributes:
        layer: The layer.
        model: What its noise may be made of; None of a measurement.
        rates: A rate for each group of the model, or for X on each qubit that is measured.
        spread: Their standard deviations.
    """

    layer: cycles.Layer
    model: lindblad.Model | None
    rates: NDArray[np.float64]
    spread: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        number: Random circuits for each setting and depth.
        shots: Shots of each.
        depths: Numbers of pairs, all different.
        rep_delay: Wait between shots, µs; None for that of the device.
    """

    number: int
    shots: int
    depths: tuple[int, ...]
    rep_delay: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A noise-learner job that was opened and checked.

    Attributes:
        plan: What it will take.
        layers: The protocol and the layer, in order.
        effort: How much is measured of each.
        seed: Makes it repeatable.
        target: The device.
        limits: What the job may use.
        told: Makes the result document.
    """

    plan: shots.Plan
    layers: Sequence[tuple[str, cycles.Layer]]
    effort: Effort
    seed: int | None
    target: targets.Target
    limits: tasks.Limits
    told: Callable[[Sequence[Learned]], bytes]

    def run(self) -> work.Done:
        """Measure every layer and write the result document.

        Raises:
            errors.ProgramRefused: A circuit failed, or (8025) the document is larger than it may be.
        """
        found, spans, methods, count = [], list[work.Span](), set[str](), 0
        for index, (protocol, layer) in enumerate(self.layers):
            rng = work.random(self.seed, index)
            taken: list[shots.Taken] = []
            measure = functools.partial(_measured, self, layer, rng, taken)
            found.append(_readout(layer, measure) if protocol == "trex" else _decay(self, layer, measure, rng))
            spans.append((min(one.started for one in taken), max(one.stopped for one in taken)))
            methods.update(work.methods(taken))
            count += self.effort.shots * len(taken)
        body = self.told(found)
        if len(body) > self.limits.result_bytes:
            raise cost.too_large(len(body), self.limits)
        return work.Done(body, count, tuple(spans), {"methods": sorted(methods)})


#: Measures a setting at a depth: the means of operators over blocks of shots, float64, shape (blocks, operators).
_Measure = Callable[[NDArray[np.uint8], int | None, lindblad.Paulis], NDArray[np.float64]]


def open_(body: bytes, target: targets.Target, limits: tasks.Limits) -> work.Work:
    """Open a noise-learner job, of the second or the third version.

    Args:
        body: Params of the job, JSON.
        target: The device.
        limits: What the job may use.

    Raises:
        errors.ProgramRefused: Codes 8030 to 8034: it is not of the documented form. Code 8047: a layer cannot be
            learned. As `qpy.load` and `shots.prepare`.
    """
    params = noiselearning.decode(body)
    if target.simulator:
        raise errors.ProgramRefused(f"{target.name} has no noise. Choose a device.", cycles.UNLEARNABLE)
    if isinstance(params, noiselearning.LayerParams):
        return _layers(params, target, limits)
    return _instructions(params, target, limits)


def _layers(params: noiselearning.LayerParams, target: targets.Target, limits: tasks.Limits) -> Job:
    asked = params.options
    circuits = [work.circuit(given, f"circuits[{index}]") for index, given in enumerate(params.circuits)]
    found = boxes.frequent(circuits, asked.twirling_strategy, asked.max_layers_to_learn)
    layers = [("lindblad", layer) for layer in found]
    effort = Effort(asked.num_randomizations, asked.shots_per_randomization, _depths(asked.layer_pair_depths, layers))
    plan = _planned(layers, effort, target, limits)

    def told(learned: Sequence[Learned]) -> bytes:
        return noiselearning.encode_layers([_layer_error(one) for one in learned], target.name, asked)

    return Job(plan, layers, effort, asked.seed_simulator, target, limits, told)


def _instructions(params: noiselearning.InstructionParams, target: targets.Target, limits: tasks.Limits) -> Job:
    asked = params.options
    circuits = qpy.load(params.circuit.qpy, boxes.READERS)
    if len(circuits) != 1:
        raise errors.ProgramRefused(f"`instructions` hold {len(circuits)} circuits instead of one.", 8033)
    layers = boxes.marked(circuits[0], target.n_qubits)
    depths = _depths(asked.layer_pair_depths, layers)
    delay = work.rep_delay(options.Execution(rep_delay=asked.rep_delay), target)
    effort = Effort(asked.num_randomizations, asked.shots_per_randomization, depths, delay)
    plan = _planned(layers, effort, target, limits)

    def told(learned: Sequence[Learned]) -> bytes:
        return noiselearning.encode_instructions([_instruction_error(one, depths) for one in learned])

    return Job(plan, layers, effort, None, target, limits, told)


def _depths(asked: Sequence[int], layers: Sequence[tuple[str, cycles.Layer]]) -> tuple[int, ...]:
    found = tuple(sorted(set(asked)))
    if any(protocol == "lindblad" for protocol, _ in layers) and (len(found) < 2 or found[-1] > MOST_PAIRS):
        raise errors.ProgramRefused(
            f"The `layer_pair_depths` are {list(found)[:10]}; a decay takes two that differ, up to {MOST_PAIRS}.", 8032
        )
    return found


def _planned(
    layers: Sequence[tuple[str, cycles.Layer]], effort: Effort, target: targets.Target, limits: tasks.Limits
) -> shots.Plan:
    """Predict all circuits by one of each depth, which differ in nothing but angles."""
    rng, size = np.random.default_rng(), 0
    total = shots.Plan(0.0, 0, 0.0, 0, effort.shots, 0, 0)
    for protocol, layer in layers:
        settings = len(cycles.model(layer, target).settings) if protocol == "lindblad" else 1
        for depth in effort.depths if protocol == "lindblad" else (None,):
            circuit = cycles.template(layer, depth, target)
            drawn = cycles.draw(layer, [_Z] * len(layer.qubits), depth, 1, target, rng)
            one = shots.plan([_asked(circuit, drawn.values[0], effort, None)], target, limits)
            number = settings * effort.number
            size = one.memory_bytes + effort.number * (HELD * len(circuit.data) + 8 * effort.shots * circuit.num_clbits)
            total = shots.Plan(
                seconds=total.seconds + number * (one.seconds + WRITTEN * len(circuit.data)),
                memory_bytes=max(total.memory_bytes, size),
                device_seconds=total.device_seconds + number * one.device_seconds,
                experiments=total.experiments + number,
                shots=effort.shots,
                qubits=max(total.qubits, one.qubits),
                gates=total.gates + number * one.gates,
            )
    if total.seconds > limits.cpu_seconds:
        raise errors.ProgramRefused(
            f"Learning {len(layers)} layers takes {total.experiments} circuits and about {total.seconds:.3g} s; a job "
            f"may run for {limits.cpu_seconds:.3g} s. Ask for fewer layers, randomizations or depths.",
            8009,
        )
    if total.memory_bytes > limits.memory_bytes:
        raise errors.ProgramRefused(
            f"Learning takes {cost.readable(total.memory_bytes)} of memory; a job may use "
            f"{cost.readable(limits.memory_bytes)}. Ask for fewer randomizations, shots or depths.",
            8008,
        )
    return total


def _asked(circuit: QuantumCircuit, values: NDArray[np.float64], effort: Effort, seed: int | None) -> shots.Asked:
    return shots.Asked(circuit, effort.shots, seed, values=values, rep_delay=effort.rep_delay)


def _decay(job: Job, layer: cycles.Layer, measure: _Measure, rng: np.random.Generator) -> Learned:
    """Learn the noise of a layer by how operators decay with its repetitions."""
    model = cycles.model(layer, job.target)
    data = [[measure(setting, depth, model.terms) for depth in job.effort.depths] for setting in model.settings]
    found = lindblad.learned(model, job.effort.depths, data, rng)
    return Learned(layer, model, found.rates, found.spread)


def _readout(layer: cycles.Layer, measure: _Measure) -> Learned:
    """Learn how often the bit of each qubit is wrong, on average of both states: f = exp(−2 λ) of each Z."""
    size = len(layer.qubits)
    data = measure(np.full(size, _Z, dtype=np.uint8), None, _Z * np.eye(size, dtype=np.uint8))
    mean = data.mean(axis=0)
    spread = data.std(axis=0, ddof=min(len(data) - 1, 1)) / math.sqrt(len(data))
    # Bits that are wrong in half of the shots tell nothing: the rate is that of the least that could have been seen.
    seen = np.clip(mean, np.maximum(spread, 1e-6), 1.0)
    return Learned(layer, None, np.maximum(-np.log(seen) / 2, 0.0), spread / seen / 2)


def _measured(
    job: Job,
    layer: cycles.Layer,
    rng: np.random.Generator,
    taken: list[shots.Taken],
    setting: NDArray[np.uint8],
    depth: int | None,
    operators: lindblad.Paulis,
) -> NDArray[np.float64]:
    """Run the random circuits of a setting and depth; see `_Measure`."""
    circuit = cycles.template(layer, depth, job.target)
    drawn = cycles.draw(layer, setting, depth, job.effort.number, job.target, rng)
    asked = [_asked(circuit, values, job.effort, work.draw(rng, job.seed)) for values in drawn.values]
    found = shots.take(asked, job.target, job.limits)
    taken += [dataclasses.replace(one, bits={}) for one in found]
    blocks = []
    for one, flips in zip(found, drawn.flips, strict=True):
        (bits,) = one.bits.values()
        blocks += [part.mean(axis=0) for part in _parts(_signs(bits ^ flips, operators), job.effort)]
    return np.array(blocks)


def _parts(signs: NDArray[np.int8], effort: Effort) -> Iterator[NDArray[np.int8]]:
    """The shots of a circuit as one block; of few circuits in several, for they alone tell how much they vary."""
    pieces = 1 if effort.number >= lindblad.ENOUGH else min(math.ceil(lindblad.BLOCKS / effort.number), effort.shots)
    yield from np.array_split(signs, pieces)


def _signs(bits: NDArray[np.bool_], operators: lindblad.Paulis) -> NDArray[np.int8]:
    """1 or −1 for each shot and operator: whether the bits of its qubits are odd in number."""
    odd = (bits.astype(np.uint8) @ (operators != 0).T.astype(np.uint8)) & 1
    signs: NDArray[np.int8] = 1 - 2 * odd.astype(np.int8)
    return signs


def _layer_error(one: Learned) -> noiselearning.LayerError:
    if one.model is None:
        raise ValueError("the second learner learns no measurements")
    file = io.BytesIO()
    files.dump(cycles.circuit(one.layer), file, version=OLDEST)
    words = tuple("".join(lindblad.LETTERS[letter] for letter in reversed(term)) for term in one.model.terms)
    return noiselearning.LayerError(file.getvalue(), one.layer.qubits, words, one.rates[one.model.groups])


def _instruction_error(one: Learned, depths: Sequence[int]) -> noiselearning.InstructionError:
    """What the third learner tells; all shots are kept, for none is checked."""
    metadata: dict[str, Any]
    if one.model is None:
        generators: list[list[tuple[str, tuple[int, ...]]]] = [
            [("X", (place,))] for place in range(len(one.layer.qubits))
        ]
        metadata = {"learning_protocol": "trex", "post_selection": {"fraction_kept": 1.0, "success_rates": {}}}
    else:
        generators = [[] for _ in one.rates]
        for group, term in zip(one.model.groups, one.model.terms, strict=True):
            places = tuple(np.flatnonzero(term).tolist())
            generators[group].append(("".join(lindblad.LETTERS[term[place]] for place in places), places))
        kept = {"fraction_kept": dict.fromkeys(depths, 1.0), "success_rates": {depth: {} for depth in depths}}
        metadata = {"learning_protocol": "lindblad", "post_selection": kept}
    return noiselearning.InstructionError(
        tuple(map(tuple, generators)), len(one.layer.qubits), one.rates, one.spread, metadata
    )
