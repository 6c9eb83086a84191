# SPDX-License-Identifier: Apache-2.0
"""Gates of circuits for which a program gives the pulses."""

import dataclasses
import math
import tracemalloc
from collections.abc import Sequence
from typing import Any

import noisy
import numpy as np
import physics
import pytest
import qutip
import qutip_model
import schedules
from numpy.typing import NDArray
from physics import LIMITS, Bench, Json, counts, distance, gate, measure, p_value, program
from qiskit.circuit.library import CXGate, SXGate, XGate
from qiskit.quantum_info import Choi, Operator, SuperOp, average_gate_fidelity
from schedules import acquire, play, sequence

from chandelier import errors
from chandelier.engines import aer, cost, routes, running, schedule
from chandelier.engines import target as targets
from chandelier.engines.pulses import clusters, evolution, gates, opening, reading, timeline, transfer
from chandelier.engines.pulses.model import Model
from chandelier.formats import pulses, tasks

MANILA = "ibmq_manila"
IDEAL = "simulator_pulse"
#: Samples of a pulse of the device.
GATE = schedules.GATE

Complexes = NDArray[np.complex128]


def calibration(name: str, qubits: Sequence[int], instructions: Sequence[Json], *params: Any) -> Json:
    """The pulses of a gate."""
    return {"name": name, "qubits": list(qubits), "params": list(params), "instructions": list(instructions)}


def own(name: str, *qubits: int) -> Json:
    """The pulses that the device itself has for a gate."""
    return calibration(name, qubits, sequence(MANILA, name, *qubits))


def turn(t0: int, phase: float, channel: str = "d0") -> Json:
    """A turn of a frame."""
    return {"name": "fc", "t0": t0, "ch": channel, "phase": phase}


def wait(t0: int, duration: int, channel: str = "d0") -> Json:
    """Time without pulses."""
    return {"name": "delay", "t0": t0, "ch": channel, "duration": duration}


def retune(t0: int, megahertz: float, channel: str = "d0") -> Json:
    """A change of frequency."""
    return {"name": "shiftf", "t0": t0, "ch": channel, "frequency": megahertz * 1e-3}


def with_pulses(steps: Sequence[Json], *gates: Json, **config: Any) -> Json:
    """A program of one experiment and the pulses of some gates."""
    return program(steps, calibrations={"gates": list(gates)}, **config)


def planned(bench: Bench, wanted: Json, on: targets.Target | None = None, name: str = MANILA) -> running.Circuits:
    """A program, checked and planned."""
    on = on or targets.load(bench.file(name))
    return running.planned(physics.opened(wanted), on, bench.file(name), LIMITS)


def routed(bench: Bench, wanted: Json, on: targets.Target) -> list[routes.Route]:
    """The routes on which a program is run."""
    found = planned(bench, wanted, on).pulsed
    assert found is not None
    return routes.find(found.computed(), on, LIMITS)


def probabilities(bench: Bench, wanted: Json, on: targets.Target) -> NDArray[np.float64]:
    """What the memory of the only experiment shows, by the exact path."""
    (way,) = routed(bench, wanted, on)
    return noisy.computed(way, on)


def sharp(name: str = MANILA) -> targets.Target:
    """A device that misreads nothing."""
    found = physics.target(name)
    return dataclasses.replace(
        found, qubits=tuple(dataclasses.replace(one, flip_up=0.0, flip_down=0.0) for one in found.qubits)
    )


def channel(instructions: Sequence[Json], qubits: Sequence[int], model: Model) -> Complexes:
    """What instructions do, as a gate."""
    entry = pulses.Calibration("gate", tuple(qubits), pulses.sequence(instructions))
    found = reading.read(entry.instructions, {}, where="A gate", slots=0)
    return transfer.superoperator(gates.played(entry, found, model), model)


def refusal(bench: Bench, wanted: Json, on: str = MANILA) -> tasks.Refused:
    """Why a program is refused."""
    reply = bench.reply(wanted, on)
    assert isinstance(reply, tasks.Refused), reply
    return reply


def reference(instructions: Sequence[Json], qubit: int, duration: int) -> Complexes:
    """The same channel of one qubit, by QuTiP with three levels that relax."""
    device = qutip_model.Device(physics.document(MANILA), [qubit])
    columns = []
    for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):
        unit = qutip.basis(3, row) * qutip.basis(3, column).dag()
        after = device.seen_mixed(device.evolution(unit, instructions, duration, relaxing=True), duration)
        after[1, 1] += after[2, 2]
        columns.append(after[:2, :2].flatten(order="F"))
    return np.array(columns).T


@pytest.mark.parametrize(
    ("name", "qubits", "wanted", "coherent"),
    [
        ("x", (0,), XGate(), 1e-5),
        ("sx", (3,), SXGate(), 1e-5),
        ("cx", (0, 1), CXGate(), 1e-3),
        ("cx", (3, 2), CXGate(), 1e-3),
    ],
)
def test_pulses_of_the_device_make_its_gate(name: str, qubits: tuple[int, ...], wanted: Any, coherent: float) -> None:
    """Without relaxation they are the gate; with it they err about as much as qubits do that wait for as long."""
    instructions = sequence(MANILA, name, *qubits)
    model, frozen = schedules.modelled(MANILA), schedules.frozen(MANILA)
    seconds = max(step["t0"] + step.get("parameters", {}).get("duration", 0) for step in instructions) * model.dt
    share = 2 ** len(qubits) / (2 ** len(qubits) + 1)
    lost = share * sum(seconds * (1 / model.t1[index] + 2 / model.t2[index]) / 4 for index in qubits)

    still = 1 - average_gate_fidelity(SuperOp(channel(instructions, qubits, frozen)), Operator(wanted))
    whole = 1 - average_gate_fidelity(SuperOp(channel(instructions, qubits, model)), Operator(wanted))

    assert abs(still) < coherent
    assert whole == pytest.approx(lost, rel=0.3)


@pytest.mark.parametrize(
    "instructions",
    [
        sequence(MANILA, "x", 1),
        [play("gaussian", 0, "d1", duration=160, sigma=20, amp=0.6), turn(160, 0.3, "d1")],
        [
            retune(0, 40.0, "d1"),
            play("gaussian", 16, "d1", duration=112, sigma=28, amp=0.3 - 0.2j),
            retune(128, -40.0, "d1"),
            play("gaussian", 128, "d1", duration=160, sigma=40, amp=0.1),
            wait(288, 400, "d1"),
        ],
    ],
    ids=["x", "leaking", "moved"],
)
def test_channel_of_one_qubit_as_qutip_computes_it(instructions: list[Json]) -> None:
    """The channel is that of a Lindblad equation of three levels, of which the third is seen as 1."""
    laid = timeline.lay(
        reading.read(pulses.sequence(instructions), {}, where="", slots=0),
        schedules.modelled(MANILA),
        schedules.modelled(MANILA).oscillators,
    )
    turned = sum(step["phase"] for step in instructions if step["name"] == "fc")
    slipped = -2 * math.pi * 40e6 * 128 * schedules.modelled(MANILA).dt if len(instructions) == 5 else 0.0
    wanted = reference(instructions, 1, laid.duration)
    frame = np.array([1.0, np.exp(-1j * (turned + slipped))])
    wanted = np.kron(frame.conj(), frame)[:, None] * wanted

    found = channel(instructions, [1], schedules.modelled(MANILA))

    assert np.abs(found - wanted).max() < 1e-6


@pytest.mark.parametrize("qubits", [(0, 1), (1, 0), (2,)])
def test_channel_is_physical(qubits: tuple[int, ...]) -> None:
    """It keeps the trace, and is completely positive."""
    name = "cx" if len(qubits) == 2 else "x"
    found = channel(sequence(MANILA, name, *qubits), qubits, schedules.modelled(MANILA))

    trace = np.eye(2 ** len(qubits)).ravel()
    assert np.abs(trace @ found - trace).max() < 1e-9
    assert np.linalg.eigvalsh(Choi(SuperOp(found)).data).min() > -1e-9


def test_order_of_qubits_is_that_of_the_gate() -> None:
    """The same pulses on qubits named in the other order are the gate with its qubits exchanged."""
    instructions, model = sequence(MANILA, "cx", 0, 1), schedules.modelled(MANILA)
    swap = SuperOp(Operator.from_label("II").compose(Operator(np.eye(4)[[0, 2, 1, 3]])))

    one, other = (SuperOp(channel(instructions, qubits, model)) for qubits in ((0, 1), (1, 0)))

    assert np.abs(one.data - swap.compose(other).compose(swap).data).max() < 1e-12


def test_qubits_that_nothing_joins_are_as_if_alone() -> None:
    """Pulses on two qubits that do not drive one at the frequency of the other make the product of two channels."""
    model = schedules.modelled(MANILA)
    both = channel([*sequence(MANILA, "x", 0), *sequence(MANILA, "sx", 3)], [0, 3], model)

    alone = SuperOp(channel(sequence(MANILA, "sx", 3), [3], model)).tensor(
        SuperOp(channel(sequence(MANILA, "x", 0), [0], model))
    )
    assert np.abs(both - alone.data).max() < 1e-12


def test_bell_pair_in_pulses_and_in_a_circuit(bench: Bench) -> None:
    """A circuit with calibrated gates shows what its pulses do as one schedule, and nearly what the device does."""
    device, model = sharp(), schedules.modelled(MANILA)
    bell = [gate("rz", [0], math.pi / 2), gate("sx", [0]), gate("rz", [0], math.pi / 2), gate("cx", [0, 1])]
    bell.append(measure(0, 1))
    mirrors = model.mirrors(0)
    lasting = [
        *(turn(0, -math.pi / 2, name) for name in mirrors),
        *sequence(MANILA, "sx", 0),
        *(turn(GATE, -math.pi / 2, name) for name in mirrors),
        *sequence(MANILA, "cx", 0, 1, t0=GATE),
    ]
    laid = timeline.lay(reading.read(pulses.sequence(lasting), {}, where="", slots=0), model, model.oscillators)
    evolver = evolution.Evolver(clusters.form(model, (0, 1)))
    shares = evolver.populations(evolver.moved(evolver.ground(), laid.tones, 0, laid.duration))
    scheduled = np.zeros(4)
    for share, levels in zip(shares, evolver.cluster.digits, strict=True):
        scheduled[sum(min(level, 1) << place for place, level in enumerate(levels))] += share

    found = probabilities(bench, with_pulses(bell, own("sx", 0), own("cx", 0, 1)), device)
    (way,) = physics.ways(program(bell), device)
    published = noisy.computed(way, device)

    assert distance(found, scheduled) < 0.005
    assert distance(found, published) < 0.02
    assert distance(found, np.array([0.5, 0, 0, 0.5])) < 0.02


def test_noise_of_a_gate_is_not_added_to_that_of_its_pulses(bench: Bench) -> None:
    """A gate whose calibration is empty does nothing at all, whatever error and length the device has for it."""
    device = sharp()
    begun = [gate("sx", [0]), gate("rz", [0], 0.7), gate("sx", [0])]
    wanted = with_pulses([*begun, *[gate("x", [0])] * 50, measure(0)], calibration("x", [0], []))

    (way,) = physics.ways(program([*begun, measure(0)]), device)

    assert distance(probabilities(bench, wanted, device), noisy.computed(way, device)) < 1e-12
    empty = channel([], [0, 1], schedules.modelled(MANILA))
    assert np.trace(empty @ empty.conj().T).real == pytest.approx(16, abs=1e-12)  # the purity of its Choi state is 1


def test_time_of_a_gate_is_that_of_its_pulses(bench: Bench) -> None:
    """What waits for it waits as long as its pulses last."""
    steps = [gate("sx", [1]), gate("x", [0]), gate("barrier", [0, 1]), measure(0, 1)]
    steps.insert(1, gate("barrier", [0, 1]))
    longer = with_pulses(steps, calibration("x", [0], [wait(0, 3200)]))
    dt = schedules.modelled(MANILA).dt

    (way,) = planned(bench, longer).ways
    (plain,) = physics.ways(program(steps), targets.load(bench.file(MANILA)))

    (waits,) = [step.params[0] for step in way.steps if step.name == "delay"]
    assert waits == pytest.approx(3200 * dt)
    assert way.device_seconds - plain.device_seconds == pytest.approx(1000 * (3200 - GATE) * dt)


def test_a_turn_that_is_left_over_is_seen_by_what_follows(bench: Bench) -> None:
    """A frame that has turned by phi is an rz of minus phi, for gates of the device as for calibrated ones."""
    device = sharp()
    steps = [gate("sx", [0]), gate("turned", [0], 0.9), gate("sx", [0]), measure(0)]
    turned = [gate("sx", [0]), gate("rz", [0], -0.9), gate("sx", [0]), measure(0)]
    (way,) = physics.ways(program(turned), device)

    found = probabilities(bench, with_pulses(steps, calibration("turned", [0], [turn(0, 0.9)], 0.9)), device)

    assert distance(found, noisy.computed(way, device)) < 1e-12


def test_a_schedule_cut_into_gates_does_the_same() -> None:
    """Frames and frequencies go on: three gates in a row are the gate of their schedules in a row, leakage aside."""
    model = schedules.modelled(MANILA)
    first = [*sequence(MANILA, "sx", 0), turn(GATE, 0.4)]
    second = [retune(0, 7.0), play("gaussian", 32, duration=96, sigma=24, amp=0.1), retune(128, -7.0), wait(128, 32)]
    third = sequence(MANILA, "sx", 0)

    def later(steps: Sequence[Json], time: int) -> list[Json]:
        return [{**step, "t0": step["t0"] + time} for step in steps]

    parts = [channel(part, [0], model) for part in (first, second, third)]
    whole = channel([*first, *later(second, GATE), *later(third, 2 * GATE)], [0], model)

    assert np.abs(parts[2] @ parts[1] @ parts[0] - whole).max() < 1e-5


@pytest.mark.parametrize(
    "steps",
    [
        [gate("x", [0]), gate("sx", [1]), gate("cx", [0, 1]), gate("mine", [1], 0.25), measure(0, 1)],
        [
            gate("sx", [0]),
            gate("measure", [0], memory=[0], register=[0]),
            gate("x", [0], conditional=0),
            gate("mine", [1], 0.25, conditional=0),
            gate("measure", [0], memory=[1]),
            gate("measure", [1], memory=[2]),
        ],
    ],
    ids=["plain", "conditional"],
)
def test_aer_agrees(bench: Bench, steps: list[Json]) -> None:
    """Aer, which stands in for the exact path, draws from the probabilities that that one computes."""
    device = dataclasses.replace(targets.load(bench.file(MANILA)), conditional=True)
    mine = calibration(
        "mine", [1], [play("gaussian", 0, "d1", duration=320, sigma=80, amp=0.2), turn(0, 1.0, "d1")], 0.25
    )
    wanted = with_pulses(steps, own("x", 0), own("cx", 0, 1), mine, shots=20_000, memory_slots=3)

    (way,) = routed(bench, wanted, device)
    plan = cost.Plan("density_matrix", 1.0, 1 << 20)
    (outcome,) = aer.run([dataclasses.replace(way, plan=plan, order=None)], device, LIMITS)

    assert not outcome.code, outcome.message
    tally = {int(key, 16): number for key, number in outcome.result.data["counts"].items()}
    assert p_value(tally, noisy.computed(way, device)) > 1e-4


def test_a_program_of_a_real_client_runs(bench: Bench) -> None:
    """Counts are those of two Lindblad equations and the errors of readout."""
    wanted = physics.sample("cals")
    wanted["config"] |= {"shots": 20_000, "seed_simulator": 11}
    device = physics.target(MANILA)
    expected = np.ones(1)
    for given, index in zip(wanted["config"]["calibrations"]["gates"], (0, 1), strict=True):
        one = reference(given["instructions"], index, GATE)[3, 0].real
        expected = np.kron([1 - one, one], expected)

    result = bench.run(wanted, MANILA)

    assert p_value(counts(result), noisy.misread(expected, device, [0, 1])) > 1e-4


def test_pulses_on_the_ideal_device_have_no_errors(bench: Bench) -> None:
    """There they are the gate, up to what the pulses themselves do wrong."""
    result = bench.run(
        with_pulses([gate("mine", [0]), measure(0)], calibration("mine", [0], sequence(IDEAL, "x", 0))), IDEAL
    )

    assert counts(result)[1] >= 999


def test_own_pulses_of_an_experiment_come_first(bench: Bench) -> None:
    """Clients put what all experiments share into the program; both count, and those of the experiment win."""
    nothing, flips = calibration("x", [0], []), calibration("mine", [1], sequence(IDEAL, "x", 1))
    steps = [gate("x", [0]), gate("mine", [1]), measure(0, 1)]
    wanted = program(steps, steps, calibrations={"gates": [flips, calibration("x", [0], sequence(IDEAL, "x", 0))]})
    wanted["experiments"][1]["config"] = {"calibrations": {"gates": [nothing]}}

    result = bench.run(wanted, IDEAL)

    assert counts(result, 0)[3] >= 998
    assert counts(result, 1)[2] >= 998


def test_pulses_of_a_library_play_their_samples(bench: Bench) -> None:
    """A gate may name pulses that the program gives by their samples."""
    library = [{"name": "mine", "samples": [[0.0, 0.0]] * 16}]
    wanted = with_pulses(
        [gate("x", [0]), measure(0)],
        calibration("x", [0], [{"name": "mine", "t0": 0, "ch": "d0"}]),
        pulse_library=library,
    )

    assert counts(bench.run(wanted, IDEAL)) == {0: 1000}


def test_parameters_are_compared_as_numbers(bench: Bench) -> None:
    """Each value of a parameter has pulses of its own, and the last digits do not count."""
    flip, nothing = calibration("r", [0], sequence(IDEAL, "x", 0), 1), calibration("r", [0], [], 0.1 + 0.2)
    on = [gate("r", [0], 1.0), measure(0)]
    off = [gate("r", [0], 0.3), measure(0)]
    wanted = program(on, off, calibrations={"gates": [flip, nothing]})

    result = bench.run(wanted, IDEAL)

    assert counts(result, 0)[1] >= 999
    assert counts(result, 1) == {0: 1000}
    other = refusal(bench, with_pulses([gate("r", [0], 0.4), measure(0)], flip, nothing))
    assert other.code == 8001


def test_gates_that_are_never_used_only_have_to_be_readable(bench: Bench) -> None:
    """They change nothing, even if no circuit could contain them; what makes no sense is refused all the same."""
    steps = [gate("sx", [0]), measure(0)]
    plain = bench.run(program(steps), MANILA)
    three = calibration("big", [0, 1, 2], sequence(MANILA, "x", 3))

    assert counts(bench.run(with_pulses(steps, three, own("x", 1)), MANILA)) == counts(plain)
    assert refusal(bench, with_pulses(steps, calibration("x", [1], [turn(0, 1.0, "d9")]))).code == 8005


READ_OUT = [{**play("constant", 0, "m0", duration=22400, amp=0.2)}, acquire(0, 0)]


def test_a_measurement_may_have_its_pulses(bench: Bench) -> None:
    """If they only read out, they change nothing; what else they would do is refused."""
    steps = [gate("sx", [0]), measure(0, 1)]

    plain = counts(bench.run(program(steps), MANILA))
    same = counts(bench.run(with_pulses(steps, calibration("measure", [0], READ_OUT)), MANILA))
    before = refusal(bench, with_pulses(steps, calibration("measure", [0], [*sequence(MANILA, "x", 0), *READ_OUT])))
    nothing = refusal(bench, with_pulses(steps, calibration("measure", [1], READ_OUT)))

    assert same == plain
    assert (before.code, "more than to read out" in before.message) == (8010, True)
    assert (nothing.code, "acquire nothing" in nothing.message) == (8010, True)


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (calibration("g", [0], sequence(MANILA, "x", 1)), 8010, "drive qubit 1, on d1; a gate drives its own"),
        (calibration("g", [0], sequence(MANILA, "cx", 0, 1)), 8010, "qubit 1"),
        (
            calibration("g", [0], [play("constant", 0, "u0", duration=16, amp=0.1)]),
            8010,
            "at the frequency of qubit 1, which they join; name it among its qubits",
        ),
        (calibration("g", [0], [acquire(0, 0)]), 8010, "kind acquire, which no gate has"),
        (
            calibration("g", [0], [{"name": "snapshot", "t0": 0, "label": "s", "type": "statevector"}]),
            8010,
            "for simulators",
        ),
        (calibration("g", [0], [retune(0, 5.0)]), 8010, "leave d0 at another frequency"),
        (
            calibration("g", [0], [retune(0, 2e3), play("constant", 0, duration=16), retune(16, -2e3)]),
            8004,
            "up to 1 GHz is possible",
        ),
        (calibration("g", [0], [play("constant", 0, "d7", duration=16)]), 8005, "no channel d7; it has d0 to d4"),
        (calibration("g", [0], [play("constant", 0, duration=16, amp=1.5)]), 8004, "qubit 0, instruction 0"),
        (calibration("g", [0], [turn(0, 0.1) | {"phase": "-(P0)"}]), 8004, "its phase is '-(P0)'"),
        (calibration("g", [0], [{"name": "unheard", "t0": 0, "ch": "d0"}]), 8010, "no pulse of this name"),
        (calibration("g", [], []), 8005, "need qubits, each once"),
        (calibration("g", [5], []), 8005, "has qubits 0 to 4"),
        (calibration("delay", [0], []), 8010, "a delay is no gate"),
        ({"name": "g", "instructions": []}, 8000, "qubits"),
        (calibration("g", [0], [], "pi"), 8000, "calibrations"),
    ],
)
def test_pulses_that_cannot_be_those_of_a_gate(bench: Bench, given: Json, code: int, words: str) -> None:
    """They are refused, and a sentence says why."""
    refused = refusal(bench, with_pulses([gate("g", [0]), measure(0)], given))

    assert (refused.code, refused.message) == (code, refused.message)
    assert words in refused.message
    assert refused.message.endswith(".")


@pytest.mark.parametrize("document", [5, "many", [1], {"gates": 3}, {"gates": [{"name": 1}]}])
def test_calibrations_that_cannot_be_read(bench: Bench, document: Any) -> None:
    """The sentence says that they are the calibrations, and what was expected."""
    refused = refusal(bench, program([gate("x", [0]), measure(0)], calibrations=document))

    assert (refused.code, "(calibrations)" in refused.message, "xpected" in refused.message) == (8000, True, True)


def test_a_gate_of_three_qubits_is_refused(bench: Bench) -> None:
    """More than two qubits are not simulated together within a circuit."""
    refused = refusal(bench, with_pulses([gate("big", [0, 1, 2]), measure(0)], calibration("big", [0, 1, 2], [])))

    assert (refused.code, "act on 3 qubits" in refused.message) == (8010, True)


@pytest.mark.parametrize("name", ["ibmq_essex", "ibmq_qasm_simulator"])
def test_a_device_without_pulses_refuses(bench: Bench, name: str) -> None:
    """It names itself and what to do."""
    refused = refusal(bench, with_pulses([gate("x", [0]), measure(0)], calibration("x", [0], [])), name)

    assert refused.code == 8010
    assert refused.message == f"Experiment 0 brings pulses for gates, which {name} does not take; remove them."


def test_a_calibrated_gate_needs_no_coupling(bench: Bench) -> None:
    """Whether qubits are coupled is a matter of the pulses; faulty or missing qubits are refused as ever."""
    far = calibration("cx", [0, 4], [*sequence(MANILA, "x", 0), *sequence(MANILA, "x", 4)])

    assert counts(bench.run(with_pulses([gate("cx", [0, 4]), measure(0)], far), MANILA))[1] > 900
    faulty = dataclasses.replace(targets.load(bench.file(MANILA)), faulty_qubits=frozenset({4}))
    with pytest.raises(errors.ProgramRefused) as caught:
        planned(bench, with_pulses([gate("cx", [0, 4]), measure(0)], far), faulty)
    assert caught.value.code == 8003


def test_time_for_pulses_is_predicted(bench: Bench) -> None:
    """A plan has the time for each kind of gate once, and what would take too long is refused."""
    steps = [gate("cx", [0, 1]), gate("cx", [0, 1]), measure(0, 1)]
    without, once = planned(bench, program(steps)), planned(bench, with_pulses(steps, own("cx", 0, 1)))
    twice = planned(bench, program(steps, steps, calibrations={"gates": [own("cx", 0, 1)]}))

    added = [way.plan.seconds - without.ways[0].plan.seconds for way in (once.ways[0], *twice.ways)]
    assert added[0] == pytest.approx(added[1], rel=0.05)
    assert added[0] > 0.02
    assert abs(added[2]) < 0.01
    long = calibration("x", [0], [play("gaussian", 0, duration=5_000_000, sigma=9e5)])
    refused = bench.reply(with_pulses([gate("x", [0]), measure(0)], long), MANILA, tasks.Limits(2 << 30, 5.0))
    assert isinstance(refused, tasks.Refused)
    assert (refused.code, "Use fewer or shorter pulses" in refused.message) == (8009, True)


def test_equal_pulses_are_computed_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a gate occurs, and also in the next job."""
    made = list[tuple[int, ...]]()
    compute = transfer.superoperator

    def counting(played: transfer.Played, model: Model) -> Complexes:
        made.append(played.qubits)
        return compute(played, model)

    monkeypatch.setattr(transfer, "superoperator", counting)
    steps = [gate("x", [2]), gate("twin", [2]), gate("x", [2]), measure(2)]
    gates = [calibration(name, [2], sequence(MANILA, "x", 2)) for name in ("x", "twin")]
    for _ in range(2):
        bench.run(program(steps, steps, calibrations={"gates": gates}), MANILA)

    assert made == [(2,)]


def counting(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[None]:
    """Count the calls of a function."""
    calls, called = list[None](), getattr(owner, name)

    def count(*given: Any, **named: Any) -> Any:
        calls.append(None)
        return called(*given, **named)

    monkeypatch.setattr(owner, name, count)
    return calls


def test_many_values_of_a_parameter_are_looked_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work grows with their number, not with its square."""
    number = 1000
    compared = counting(monkeypatch, math, "isclose")
    wanted = with_pulses(
        [*(gate("r", [0], place) for place in range(number)), measure(0)],
        *(calibration("r", [0], [wait(0, place)], place) for place in range(number)),
    )

    found = planned(bench, wanted).pulsed

    assert found is not None
    assert [found.played[0][place].duration for place in range(number)] == list(range(number))
    assert len(compared) < 5 * number


def test_pulses_of_a_gate_are_looked_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it occurs: they are laid out and named once, and predicted once."""
    laid = counting(monkeypatch, timeline, "lay")
    named = counting(monkeypatch, timeline, "content")
    predicted = counting(monkeypatch, transfer, "predicted")
    play_ten = [play("constant", 20 * place, "d1", duration=10, amp=0.01) for place in range(10)]
    steps = [gate("mine", [1])] * 100
    wanted = program(*[[*steps, measure(1)]] * 3, calibrations={"gates": [calibration("mine", [1], play_ten)]})

    summary = planned(bench, wanted).summary()

    assert (summary.pulsed, summary.channels) == (1, 1)
    assert (len(laid), len(named), len(predicted)) == (1, 1, 1)


def test_a_calibrated_measurement_is_looked_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often its qubit is measured."""
    looks = counting(monkeypatch, opening, "drives")
    only = calibration("measure", [0], READ_OUT)

    planned(bench, with_pulses([measure(0)], only))
    once = len(looks)
    planned(bench, with_pulses([measure(0)] * 100, only))

    assert len(looks) == 2 * once


def test_memory_of_held_pulses_is_added_up(bench: Bench) -> None:
    """Equal pulses count once, and those of all gates together; also of gates that are never used."""
    library = [{"name": "mine", "samples": [[0.1, 0.0], [0.2, 0.0]] * 50_000}]
    equal = [calibration("r", [0], [{"name": "mine", "t0": 0, "ch": "d0"}], place) for place in range(50)]
    distinct = [
        calibration("r", [0], [play("gaussian", 0, duration=100_000, sigma=10_000, amp=0.01 * place)], place)
        for place in range(50)
    ]
    limits = tasks.Limits(opening.SAMPLE_HELD * 40 * 100_000, 60.0)

    finished = bench.reply(with_pulses([measure(0)], *equal, pulse_library=library), MANILA, limits)
    assert isinstance(finished, tasks.Finished)
    refused = bench.reply(with_pulses([measure(0)], *distinct), MANILA, limits)
    assert isinstance(refused, tasks.Refused)
    assert (refused.code, "The pulses of the program's gates take" in refused.message) == (8008, True)


def test_parameters_beyond_all_numbers_fit_nothing(bench: Bench) -> None:
    """JSON has whole numbers of any length; the gate is one that the device does not know."""
    wanted = with_pulses([gate("r", [0], 10**400), measure(0)], calibration("r", [0], [], 1.0))

    assert refusal(bench, wanted).code in errors.CODES


def test_memory_of_computing_pulses_is_predicted(bench: Bench) -> None:
    """A plan has it, about right, and what would take too much is refused."""
    long = [play("gaussian", 0, duration=100_000, sigma=20_000, amp=0.1)]
    wanted, model = with_pulses([gate("x", [0]), measure(0)], calibration("x", [0], long)), schedules.modelled(MANILA)
    entry = pulses.Calibration("x", (0,), pulses.sequence(long))
    laid = gates.played(entry, reading.read(entry.instructions, {}, where="", slots=0), model)
    tracemalloc.start()
    transfer.superoperator(laid, model)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    (way,) = planned(bench, wanted).ways
    refused = bench.reply(wanted, MANILA, tasks.Limits(cost.BASE_MEMORY + (32 << 20), 60.0))

    assert peak < way.plan.memory_bytes - cost.BASE_MEMORY < 3 * peak
    assert isinstance(refused, tasks.Refused)
    assert (refused.code, "Use fewer or shorter pulses" in refused.message) == (8008, True)


def test_gates_share_what_is_known_of_their_qubits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many gates on the same pair put it together once."""
    formed = counting(monkeypatch, clusters, "form")
    model = dataclasses.replace(schedules.modelled(MANILA))
    for amp in (0.1, 0.2, 0.3):
        channel([play("constant", 0, "u0", duration=16, amp=amp)], [0, 1], model)

    assert len(formed) == 1


def test_summary_counts_calibrated_gates(bench: Bench) -> None:
    """They are gates like any other."""
    steps = [gate("x", [0]), gate("mine", [1]), measure(0, 1)]
    found = planned(bench, with_pulses(steps, calibration("mine", [1], []))).summary()

    assert (found.gates, found.qubits) == (2, 2)
    assert (found.pulsed, found.channels) == (1, 0)


def test_summary_counts_what_pulses_use(bench: Bench) -> None:
    """A project may be allowed some qubits and channels only; a circuit without pulses uses none."""
    steps = [gate("x", [0]), gate("x", [1]), measure(0, 1)]
    found = planned(bench, with_pulses(steps, own("x", 1))).summary()
    plain = planned(bench, with_pulses(steps)).summary()

    assert (found.pulsed, found.channels) == (1, 1)
    assert (plain.pulsed, plain.channels) == (0, 0)


def test_users_cannot_send_what_stands_for_a_calibrated_gate(bench: Bench) -> None:
    """A device takes no channels, with or without pulses beside them."""
    identity = [[[float(row == column), 0.0] for column in range(4)] for row in range(4)]
    steps = [gate("superop", [0], identity), gate("x", [1]), measure(0)]

    refused = refusal(bench, with_pulses(steps, own("x", 1)))

    assert (refused.code, "superop is for simulators" in refused.message) == (8010, True)
    assert not isinstance(physics.steps(gate("x", [0], seconds=1.0))[0], schedule.Lasting)
