# SPDX-License-Identifier: Apache-2.0
"""Noisy experiments are computed exactly: as Aer's density matrix, whatever the order of the blocks."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from physics import LIMITS, Bench, Json, counts, distance, gate, measure, p_value, program, steps, target, ways
from qiskit.quantum_info import DensityMatrix, Operator, SuperOp
from qiskit_aer import AerSimulator

from chandelier import errors
from chandelier.engines import aer, branches, cost, exact, frontier, gates, noise, routes, running, superops, weaving
from chandelier.engines import target as targets
from chandelier.formats import qobj, snapshots, tasks

#: Devices with qubits in a row, all of whose gates work.
PATHS = {
    "ibmq_armonk": [0],
    "ibmq_manila": [0, 1, 2, 3, 4],
    "ibmq_essex": [0, 1, 3, 4],
    "ibm_lagos": [0, 1, 3, 5, 4],
    "ibm_hanoi": [0, 1, 4, 7, 10],
    "ibm_sherbrooke": [0, 1, 2, 3, 4],
    "ibm_kingston": [0, 1, 2, 3, 4],
}

Probabilities = NDArray[np.float64]


def random_steps(device: targets.Target, path: Sequence[int], rng: np.random.Generator, length: int) -> list[Json]:
    """Instructions of a device on some qubits, each of its basis at least once where it exists there."""
    names = sorted(device.basis - {"reset", "delay"})
    steps: list[Json] = []
    for name in [*names, *(str(name) for name in rng.choice(names, length))]:
        shape = gates.SHAPES[name]
        sites = [(index,) for index in path] if shape.qubits == 1 else sorted(device.edges[name])
        usable = [site for site in sites if set(site) <= set(path) and (name, site) not in device.faulty_gates]
        if usable:
            site = usable[rng.integers(len(usable))]
            steps.append(gate(name, site, *(float(angle) for angle in rng.uniform(-3, 3, shape.params))))
    return steps


def computed(way: routes.Route, device: targets.Target) -> Probabilities:
    """Probabilities of the memory, by the exact path."""
    assert way.plan.path == cost.EXACT
    assert way.order is not None
    found = exact.probabilities(way.order, superops.of_device(device))
    slots = exact.wiring(way.order).slots
    memory = np.zeros(1 << way.experiment.slots)
    for index, probability in enumerate(found):
        memory[sum((index >> place & 1) << slot for slot, place in slots)] += probability
    return memory


def misread(probabilities: Probabilities, device: targets.Target, qubits: Sequence[int]) -> Probabilities:
    """Probabilities of what is read of some qubits, the first least significant."""
    for place, index in enumerate(qubits):
        data = device.qubits[index]
        flip = np.array([[1 - data.flip_up, data.flip_down], [data.flip_up, 1 - data.flip_down]])
        shaped = probabilities.reshape(-1, 2, 1 << place)
        probabilities = np.einsum("ij,ajb->aib", flip, shaped).reshape(-1)
    return probabilities


def by_aer(way: routes.Route, device: targets.Target, measured: Sequence[int]) -> Probabilities:
    """Probabilities of some qubits by Aer's density matrix, with every error as a superoperator of its own.

    As a noise model the same errors would lose what has a probability below 1e-10.
    """
    built = aer.build(way, device).circuit
    circuit = built.copy_empty_like()
    for step in built.data:
        if step.operation.name == "measure":
            continue
        circuit.append(step.operation, step.qubits)
        site = step.operation.name, tuple(built.find_bit(qubit).index for qubit in step.qubits)
        error = noise.errors_of(device, [site])[site]
        if error is not None:
            circuit.append(SuperOp(error).to_instruction(), step.qubits)
    circuit.save_probabilities(list(measured))
    result = AerSimulator(method="density_matrix").run(circuit, shots=1).result()
    assert result.success, result.status
    return misread(np.asarray(result.data()["probabilities"]), device, measured)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_probabilities_as_aer(name: str, seed: int) -> None:
    """Random circuits over all gates of a device, with waits, have the probabilities of Aer's density matrix."""
    device, path = target(name), PATHS[name]
    rng = np.random.default_rng([seed, len(name)])
    steps = random_steps(device, path, rng, 40)
    if device.delays:
        steps[20:20] = [gate("delay", [path[0]], 9000), {"name": "barrier"}]
    measured = [int(index) for index in rng.permutation(path)]
    (way,) = ways(program([*steps, gate("measure", measured, memory=list(range(len(path))))]), device)

    assert any(step.name == "delay" for step in way.steps) or len(path) == 1
    assert distance(computed(way, device), by_aer(way, device, measured)) < 1e-9


def test_some_qubits_in_any_slots() -> None:
    """Qubits that are not measured are traced out, and what is measured shows in the slots that were named."""
    device = target("ibm_lagos")
    steps = random_steps(device, PATHS["ibm_lagos"], np.random.default_rng(5), 40)
    (way,) = ways(program([*steps, gate("measure", [5, 0, 3], memory=[6, 1, 3])], memory_slots=8), device)
    expected = np.zeros(256)
    for index, probability in enumerate(by_aer(way, device, [5, 0, 3])):
        expected[(index & 1) << 6 | (index >> 1 & 1) << 1 | (index >> 2) << 3] = probability

    assert distance(computed(way, device), expected) < 1e-9


def test_nothing_is_measured(bench: Bench) -> None:
    """Without a measurement the memory reads 0."""
    result = bench.run(program([gate("x", [0]), gate("cx", [0, 1])], memory=True, shots=3), "ibmq_manila")

    assert result["results"][0]["data"] == {"counts": {"0x0": 3}, "memory": ["0x0"] * 3}


def same_errors(device: targets.Target, sites: Sequence[targets.Site]) -> None:
    """The errors of gates, and where there are none, are those that Aer derives."""
    kept = superops.of_device(device)
    for (name, qubits), error in noise.errors_of(device, sites).items():
        found = kept.error(name, qubits)
        assert (found is None) == (error is None), (name, qubits)
        if found is not None:
            assert np.abs(superops.transfer(SuperOp(error).data) - found).max() < 1e-12, (name, qubits)


@pytest.mark.parametrize("name", snapshots.DEFAULTS)
def test_errors_of_gates_are_aers(name: str) -> None:
    """What two numbers say of a gate's error is what Aer derives at length, for the gates of every device.

    Of the large devices every tenth: Aer takes seconds for all.
    """
    device = target(name)
    sites = sorted(device.gates)
    same_errors(device, sites if len(sites) < 100 else sites[::10])


def test_errors_at_the_bounds() -> None:
    """Errors that are not published, not physical, or less than relaxation alone are what Aer makes of them."""
    qubit = targets.QubitData(50e-6, 70e-6, None, 0.0, 0.0, 0.0)
    still = targets.QubitData(math.inf, math.inf, None, 0.0, 0.0, 0.0)
    gates = {
        (f"{name}{length}", qubits): targets.GateData(error, length)
        for name, error in [("none", None), ("zero", 0.0), ("small", 1e-9), ("half", 0.5), ("most", 0.99)]
        for length in (0.0, 1e-7, 1e-5, 1e-4)
        for qubits in [(0,), (1,), (0, 1)]
    }
    device = dataclasses.replace(target("ibmq_manila"), qubits=(qubit, still), gates=gates)

    same_errors(device, [*gates, ("unknown", (0,))])


Branches = dict[tuple[int, int], DensityMatrix]


def enumerated(steps: Sequence[qobj.Instruction], device: targets.Target) -> dict[int, float]:
    """Probabilities of the memory, by following every outcome: (memory, register) -> state with its weight."""
    width = 1 + max(index for step in steps for index in step.qubits or ())
    branches: Branches = {(0, 0): DensityMatrix.from_int(0, 2**width)}
    for step in steps:
        after: Branches = {}
        for (memory, register), state in branches.items():
            for key, new in followed(step, memory, register, state, device):
                after[key] = DensityMatrix(after[key].data + new.data) if key in after else new
        branches = after
    found: dict[int, float] = {}
    for (memory, _), state in branches.items():
        found[memory] = found.get(memory, 0.0) + float(state.trace().real)
    return found


def followed(
    step: qobj.Instruction, memory: int, register: int, state: DensityMatrix, device: targets.Target
) -> list[tuple[tuple[int, int], DensityMatrix]]:
    """What an instruction makes of one branch."""
    qubits = list(step.qubits or ())
    if isinstance(step.conditional, int) and not register >> step.conditional & 1:
        return [((memory, register), state)]
    condition = step.conditional
    if isinstance(condition, qobj.Condition) and memory & qobj.number(condition.mask) != qobj.number(condition.val):
        return [((memory, register), state)]
    if step.name == "bfunc":
        assert step.relation == "=="
        (slot,) = qobj.slots(step.register)
        truth = register & qobj.number(step.mask or 0) == qobj.number(step.val or 0)
        return [((memory, register & ~(1 << slot) | truth << slot), state)]
    if step.name == "copy":
        (slot,) = qobj.slots(step.register_copy)
        return [((memory, register & ~(1 << slot) | (register >> (step.register_orig or 0) & 1) << slot), state)]
    if step.name == "measure":
        return read(step, memory, register, state, device)
    if step.name == "delay":
        error = noise.relaxation(device, qubits[0], step.params[0])
        return [((memory, register), state.evolve(SuperOp(error), qubits) if error else state)]
    if step.name == "reset":
        state = state.evolve(SuperOp(np.array([[1, 0, 0, 1], *[[0] * 4] * 3])), qubits)
    else:
        state = state.evolve(Operator(gates.operation(step.name, len(qubits), step.params or [], frozenset())), qubits)
    site = step.name, tuple(qubits)
    error = noise.errors_of(device, [site])[site]
    return [((memory, register), state.evolve(SuperOp(error), qubits) if error else state)]


def read(
    step: qobj.Instruction, memory: int, register: int, state: DensityMatrix, device: targets.Target
) -> list[tuple[tuple[int, int], DensityMatrix]]:
    """What a measurement of one qubit makes of a branch: true outcomes, each read rightly or wrongly."""
    (index,) = step.qubits or ()
    data = device.qubits[index]
    found = []
    for true, seen in itertools.product((0, 1), repeat=2):
        flip = data.flip_down if true else data.flip_up
        projector = Operator(np.diag([1 - true, true]) * math.sqrt(flip if true != seen else 1 - flip))
        new_memory, new_register = memory, register
        for slot in qobj.slots(step.memory):
            new_memory = new_memory & ~(1 << slot) | seen << slot
        for slot in qobj.slots(step.register):
            new_register = new_register & ~(1 << slot) | seen << slot
        found.append(((new_memory, new_register), state.evolve(projector, [index])))
    return found


def into(qubit: int, slot: int) -> Json:
    """A measurement into the memory and the register slot of the same number."""
    return gate("measure", [qubit], memory=[slot], register=[slot])


START = [gate("sx", [0]), gate("rz", [0], 0.7), gate("sx", [0]), gate("cx", [0, 1]), gate("sx", [2])]

DYNAMIC: dict[str, list[Json]] = {
    "measured and used again": [*START, into(0, 0), gate("sx", [0]), gate("cx", [0, 1]), into(0, 1), into(1, 2)],
    "measured twice into one slot": [*START, into(0, 0), gate("x", [0]), into(0, 0), into(1, 1)],
    "a reset": [*START, gate("reset", [0]), gate("sx", [0]), gate("cx", [0, 1]), into(0, 0), into(1, 1)],
    "a reset of what was measured": [*START, into(0, 0), gate("reset", [0, 2]), gate("sx", [0]), into(0, 1)],
    "a bit decides": [*START, into(0, 0), gate("x", [2], conditional=0), gate("sx", [0]), into(2, 2), into(0, 1)],
    "a bit decides on two qubits": [*START, into(0, 0), gate("cx", [1, 2], conditional=0), into(1, 1), into(2, 2)],
    "a bit decides on the qubit": [*START, into(0, 0), gate("x", [0], conditional=0), into(0, 1), into(1, 2)],
    "a bit decides on a reset": [*START, into(0, 0), gate("reset", [1], conditional=0), into(1, 1)],
    "two bits decide": [
        *[*START, into(0, 0), into(1, 1)],
        {"name": "bfunc", "mask": "0x3", "relation": "==", "val": "0x2", "register": 5},
        *[gate("x", [2], conditional=5), gate("sx", [1], conditional=5), into(2, 2), into(1, 1)],
    ],
    "the memory decides": [
        *[*START, into(0, 0), into(1, 3)],
        gate("x", [2], conditional={"mask": "0x9", "val": "0x8", "type": "equals"}),
        gate("measure", [2], memory=[1]),
    ],
    "a register alone": [
        *[*START, gate("measure", [0], register=[0])],
        {"name": "copy", "register_orig": 0, "register_copy": [3]},
        *[gate("x", [2], conditional=3), gate("measure", [2, 1], memory=[0, 1])],
    ],
}


def dynamic(name: str) -> targets.Target:
    """A device that can do everything in the middle of a circuit."""
    return dataclasses.replace(target(name), conditional=True, midcircuit=True, basis=target(name).basis | {"reset"})


@pytest.mark.parametrize("case", DYNAMIC)
def test_measuring_in_the_middle(case: str) -> None:
    """Measurements in the middle, resets and conditions have the probabilities that following each outcome gives."""
    device = dynamic("ibmq_manila")
    (way,) = ways(program(DYNAMIC[case], memory_slots=4), device)
    single = [part for step in way.steps for part in ([step] if step.name not in {"reset", "measure"} else split(step))]
    expected = enumerated(single, device)
    found = computed(way, device)

    assert distance(found, np.array([expected.get(word, 0.0) for word in range(16)])) < 1e-9


def split(step: qobj.Instruction) -> list[qobj.Instruction]:
    """A measurement or a reset of each qubit."""
    memory, register = qobj.slots(step.memory), qobj.slots(step.register)
    return [
        qobj.Instruction(
            name=step.name,
            qubits=(index,),
            memory=memory[place : place + 1] or None,
            register=register[place : place + 1] or None,
            conditional=step.conditional,
        )
        for place, index in enumerate(step.qubits or ())
    ]


@pytest.mark.parametrize("case", DYNAMIC)
def test_outcomes_drawn_on_the_way(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing each outcome as soon as it is known gives counts that follow the exact probabilities."""
    device = dynamic("ibmq_manila")
    (way,) = ways(program(DYNAMIC[case], memory_slots=4, shots=20_000), device)
    expected = computed(way, device)
    monkeypatch.setattr(frontier, "ENOUGH", 0)
    monkeypatch.setattr(frontier, "CROWDED", 0)
    (branching,) = ways(program(DYNAMIC[case], memory_slots=4, shots=20_000), device)
    (outcome,) = running.run([branching], device, LIMITS)

    assert branching.order is not None
    assert branching.order.branching == 0
    assert p_value({int(key, 16): one for key, one in outcome.result.data["counts"].items()}, expected) > 1e-6


@pytest.mark.parametrize("name", ["ibmq_manila", "ibm_sherbrooke", "ibm_kingston"])
def test_counts_follow_the_probabilities(bench: Bench, name: str) -> None:
    """What is drawn has the exact probabilities, and every shot of the memory is counted."""
    device, path = target(name), PATHS[name]
    steps = random_steps(device, path, np.random.default_rng(8), 40)
    wanted = program([*steps, gate("measure", path, memory=list(range(5)))], shots=20_000, memory=True)
    (way,) = ways(wanted, device)
    result = bench.run(wanted, name)
    data = result["results"][0]["data"]

    assert p_value(counts(result), computed(way, device)) > 1e-6
    assert {key: data["memory"].count(key) for key in data["counts"]} == data["counts"]


def chain(path: Sequence[int], **config: Any) -> Json:
    """A long chain on a device with `cx`."""
    pairs = itertools.pairwise(path)
    return program([gate("sx", [path[0]]), *(gate("cx", pair) for pair in pairs), measure(*path)], **config)


LONG = (0, 1, 4, 7, 10, 12, 15, 18, 21, 23, 24, 25, 22, 19, 16, 14, 11, 8, 9)


def test_a_long_chain_is_cheap() -> None:
    """The state of a chain is that of two qubits, so nineteen of them with noise take milliseconds."""
    (way,) = ways(chain(LONG, shots=4000), target("ibm_hanoi"), tasks.Limits(256 << 20, 0.1))

    assert way.plan.path == cost.EXACT
    assert way.order is not None
    assert way.order.branching is not None


def test_a_long_chain_is_right() -> None:
    """Drawn on the way, the outcomes of neighbours in a long chain follow the exact probabilities of them alone."""
    device = target("ibm_hanoi")
    (way,) = ways(chain(LONG, shots=20_000), device)
    (outcome,) = running.run([way], device, LIMITS)
    for first in (0, 8, 16):
        few = LONG[first : first + 3]
        steps = [*chain(LONG)["experiments"][0]["instructions"][:-1], {"name": "barrier"}]
        (short,) = ways(program([*steps, gate("measure", few, memory=[0, 1, 2])]), device)
        seen: dict[int, int] = {}
        for key, number in outcome.result.data["counts"].items():
            word = sum((int(key, 16) >> index & 1) << place for place, index in enumerate(few))
            seen[word] = seen.get(word, 0) + number

        assert p_value(seen, computed(short, device)) > 1e-6


def test_a_wide_device_at_once(bench: Bench) -> None:
    """All qubits of a big device, each with its own noise, have more outcomes than anything could hold."""
    device = target("ibm_sherbrooke")
    good = [index for index in range(127) if index not in device.faulty_qubits and ("x", (index,)) in device.gates]
    steps = [gate("x", [index]) for index in good]
    result = bench.run(program([*steps, measure(*good)], shots=500), "ibm_sherbrooke")
    found = counts(result)
    index = good[-1]
    ones = sum(number for word, number in found.items() if word >> index & 1)
    up = 1 - (device.gates["x", (index,)].error or 0)
    up = up * (1 - device.qubits[index].flip_down) + (1 - up) * device.qubits[index].flip_up

    assert sum(found.values()) == 500
    assert p_value({0: 500 - ones, 1: ones}, np.array([1 - up, up])) > 1e-6


def test_what_no_outcome_depends_on_is_left_out() -> None:
    """Gates after the last that matters to any measured qubit are not computed."""
    steps = [gate("sx", [0]), gate("cx", [0, 1]), gate("cx", [2, 3]), gate("cx", [1, 2]), measure(0)]
    (way,) = ways(program(steps), target("ibmq_manila"))
    assert way.order is not None

    assert len(way.order.woven.blocks) == 3
    assert [move.block for move in way.order.moves] == [0]


def test_the_same_seed_gives_the_same_shots(bench: Bench) -> None:
    """A seed repeats the shots of an experiment, whatever else is in the program; another seed gives others."""
    one = [gate("sx", [0]), gate("cx", [0, 1]), measure(0, 1)]
    other = [gate("x", [2]), measure(2)]
    config = {"shots": 100, "memory": True}
    alone = bench.run(program(one, **config, seed_simulator=3), "ibmq_manila")["results"][0]
    among = bench.run(program(one, other, **config, seed_simulator=3), "ibmq_manila")["results"][0]
    twice = bench.run(program(one, one, **config, seed_simulator=3), "ibmq_manila")["results"]
    changed = bench.run(program(one, **config, seed_simulator=4), "ibmq_manila")["results"][0]

    assert alone["data"] == among["data"] == twice[0]["data"]
    assert twice[0]["data"] != twice[1]["data"]
    assert changed["data"] != alone["data"]
    assert alone["metadata"]["method"] == "density_matrix"


def test_a_seed_is_recorded(bench: Bench) -> None:
    """Without a seed one is drawn, and recorded so that the outcome can be repeated."""
    steps = [gate("sx", [0]), measure(0)]
    config = {"shots": 60, "memory": True}
    drawn = bench.run(program(steps, **config, seed_simulator=None), "ibmq_manila")["results"][0]
    again = bench.run(program(steps, **config, seed_simulator=drawn["seed_simulator"]), "ibmq_manila")["results"][0]

    assert again["data"] == drawn["data"]


@pytest.mark.parametrize(
    "steps",
    [
        [gate("sx", [0]), into(0, 0), gate("measure", [1], memory=[1], conditional=0)],
        [gate("x", [0]), *[into(0, slot) for slot in range(8)],
         gate("x", [1], conditional={"mask": "0xff", "val": "0x1"}), into(1, 9)],
    ],
)  # fmt: skip
def test_what_goes_to_aer(steps: list[Json]) -> None:
    """What blocks cannot do is left to Aer."""
    (way,) = ways(program(steps), dynamic("ibmq_manila"))

    assert way.plan.path == cost.AER


def test_a_tangle_goes_to_aer() -> None:
    """Where all qubits are in the state at once, following single shots is faster."""
    device = target("ibm_hanoi")
    pairs = [pair for pair in sorted(device.edges["cx"]) if max(pair) < 19 and ("cx", pair) not in device.faulty_gates]
    tangle = [gate("cx", pair) for pair in pairs] * 4
    (way,) = ways(program([*tangle, measure(*range(19))], shots=1), device, tasks.Limits(8 << 30, 600.0))

    assert way.plan.path == cost.AER


def test_channels_on_a_simulator() -> None:
    """A circuit with channels on a simulator is computed by blocks too."""
    half = math.sqrt(0.5)
    flip = [[[half, 0], [0, half]], [[0, half], [half, 0]]]
    steps = [gate("h", [0]), gate("cx", [0, 1]), {"name": "kraus", "qubits": [1], "params": flip}, measure(0, 1)]
    simulator = target("ibmq_qasm_simulator")
    (way,) = ways(program(steps), simulator)

    assert computed(way, simulator) == pytest.approx([0.25] * 4)


def repeated(count: int) -> weaving.Woven:
    """A qubit that is measured and reset again and again."""
    found = weaving.weave(
        steps(*(one for slot in range(count) for one in (gate("sx", [0]), gate("measure", [0], memory=[slot]),
                                                        gate("reset", [0])))), waits=True
    )  # fmt: skip
    assert found is not None
    return found


def looked_at(count: int) -> weaving.Woven:
    """A qubit that is measured again and again."""
    found = weaving.weave(
        steps(*(one for slot in range(count) for one in (gate("h", [0]), gate("measure", [0], memory=[slot])))),
        waits=False,
    )
    assert found is not None
    return found


@pytest.mark.parametrize("circuit", [repeated, looked_at])
def test_an_order_is_found_in_few_steps(circuit: Callable[[int], weaving.Woven]) -> None:
    """The blocks that are looked at for an order grow as the circuit does."""
    woven = circuit(2000)
    search = frontier._Search(woven, sorted(woven.memory.values()))
    found = search.sequence()

    assert found is not None
    assert len(found) == len(woven.blocks)
    assert search.steps <= 3 * len(woven.blocks)


def test_an_order_that_takes_too_long_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A circuit whose order is not found in time is left to others."""
    monkeypatch.setattr(frontier, "MAX_STEPS", 100)

    assert frontier.order(looked_at(20), 1000) is not None
    assert frontier.order(looked_at(200), 1000) is None


def test_matrices_are_forgotten() -> None:
    """What is kept of gates stays within its bound, with parameters or without."""
    kept = superops.Kept(lambda _name, _qubits: None)
    for first, second in itertools.permutations(range(26), 2):
        superops.gate(kept, steps(gate("ccx", [first, second, 30]))[0])

    assert kept.size <= frontier.KEPT_BYTES
    assert sum(matrix.nbytes for matrix in kept.made.values()) <= kept.size
    assert len(kept.made) < 26 * 25


def test_a_simulators_gates_are_alike() -> None:
    """Without noise a gate is made once for all qubits."""
    kept = superops.of_device(dataclasses.replace(target("ibmq_qasm_simulator"), name="another"))
    for pair in itertools.permutations(range(5), 2):
        superops.gate(kept, steps(gate("cx", pair))[0])

    assert len(kept.made) == 1


def test_making_matrices_has_its_price() -> None:
    """Gates that differ are priced one by one, gates that come again only once."""
    angles = [gate("mcu3", [0, 1, 2], 0.1, 0.2, 0.01 * number) for number in range(100)]
    same = [gate("mcu3", [0, 1, 2], 0.1, 0.2, 0.3)] * 100
    many, once = (weaving.weave(steps(*one, measure(0, 1, 2)), waits=False) for one in (angles, same))
    assert many is not None
    assert once is not None
    dear, cheap = frontier.order(many, 1000), frontier.order(once, 1000)
    assert dear is not None
    assert cheap is not None

    assert dear.seconds - cheap.seconds == pytest.approx(99 * frontier.MAKE_CONTROLLED)


def test_branches_keep_their_place() -> None:
    """Of many values only those of new branches are copied; each shot still shows all of its outcomes."""
    copied: list[int] = []

    class Counting(branches.Record):
        def split(self, parents: NDArray[np.int64], count: int) -> None:
            copied.append(len(parents))
            super().split(parents, count)

    record = Counting(2, 8)
    record.write(5, np.array([1]))
    record.split(np.array([0]), 1)
    record.write(7, np.array([0, 1]))
    record.split(np.array([1]), 2)
    record.forget([5])
    record.write(9, np.array([1, 0, 0]))

    assert copied == [1, 1]
    assert record.of(7, 3).tolist() == [0, 1, 1]
    assert record.of(9, 3).tolist() == [1, 0, 0]


def test_splits_are_no_more_than_shots(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many values are measured, a column is written for each shot once."""
    copied: list[int] = []
    split = branches.Record.split

    def counted(record: branches.Record, parents: NDArray[np.int64], count: int) -> None:
        copied.append(len(parents))
        split(record, parents, count)

    monkeypatch.setattr(branches.Record, "split", counted)
    order = frontier.order(repeated(60), 50)
    assert order is not None
    found = branches.drawn(order, superops.of_device(target("ibmq_manila")), np.random.default_rng(1), 50)

    assert sum(copied) == len(found.numbers) - 1 < 50


def test_aer_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """An experiment whose path fails for a reason of its own is done by Aer, and the others as planned."""
    device = target("ibmq_manila")
    found = ways(program([gate("x", [0]), measure(0)], [gate("x", [1]), measure(1)]), device)
    exactly = exact.runner

    def failing(on: targets.Target) -> running.Runner:
        run = exactly(on)

        def one(way: routes.Route) -> aer.Outcome:
            if way.experiment.index == 0:
                raise ZeroDivisionError
            return run(way)

        return one

    monkeypatch.setattr(running, "RUNNERS", {**running.RUNNERS, cost.EXACT: failing})
    first, second = running.run(found, device, LIMITS)

    assert first.code == second.code == 0
    assert sum(first.result.data["counts"].values()) == 1000
    assert max(first.result.data["counts"], key=first.result.data["counts"].__getitem__) == "0x1"
    assert second.result.metadata["noise"] == "superop"


@pytest.mark.parametrize(
    ("error", "code"), [(errors.ProgramRefused("It cannot be done.", 8010), 8010), (MemoryError(), 8022)]
)
def test_what_is_refused_stays_a_failure(monkeypatch: pytest.MonkeyPatch, error: Exception, code: int) -> None:
    """A refusal, and memory that does not suffice, are not tried again."""

    def refusing(_on: targets.Target) -> running.Runner:
        def one(_way: routes.Route) -> aer.Outcome:
            raise error

        return one

    monkeypatch.setattr(running, "RUNNERS", {cost.EXACT: refusing})
    device = target("ibmq_manila")
    (outcome,) = running.run(ways(program([gate("x", [0]), measure(0)]), device), device, LIMITS)

    assert outcome.code == code
    assert not outcome.result.success


def test_a_simulator_has_no_noise_in_its_metadata(bench: Bench) -> None:
    """What has channels and no noise of a device says so."""
    identity = [[[1, 0], [0, 0]], [[0, 0], [1, 0]]]
    result = bench.run(program([gate("kraus", [0], identity), measure(0)]), "ibmq_qasm_simulator")

    assert result["results"][0]["metadata"]["noise"] == "ideal"
