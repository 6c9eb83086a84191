# SPDX-License-Identifier: Apache-2.0
"""The way of a circuit with free angles: it is found once, and gone with other angles each time.

Where instructions stand, how long their qubits wait, and in which order they are computed does not depend on angles.
So what is planned with one set of values holds for all others: they only take the places of the first.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from chandelier.engines import clifford, frontier, programs, routes, weaving
from chandelier.engines import target as targets
from chandelier.formats import qobj

#: Which place of a list is that of which instruction.
Places = tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Pattern:
    """A way, and where in it the instructions stand whose angles may be others.

    Attributes:
        way: With the angles with which it was found.
        steps: Places in `way.steps`.
        blocks: For blocks of the exact path that have some, the places among their parts.
        tails: The same for what follows the last block of a wire.
    """

    way: routes.Route
    steps: Places
    blocks: tuple[tuple[int, Places], ...]
    tails: tuple[tuple[int, Places], ...]

    @property
    def shared(self) -> float:
        """What of the predicted time is spent once, however often the circuit is drawn from with the same angles, s."""
        order = self.way.order
        return 0.0 if order is None or order.branching is not None else order.seconds

    def filled(self, made: Mapping[int, qobj.Instruction], experiment: programs.Opened) -> routes.Route:
        """The way with other angles.

        Args:
            made: The instructions that have some, by their places in the circuit.
            experiment: Index and settings; its instructions are not looked at.
        """
        way = self.way
        if not made:
            return dataclasses.replace(way, experiment=experiment)
        steps = list(way.steps)
        for place, index in self.steps:
            steps[place] = made[index]
        order = None if way.order is None else way.order._replace(woven=self._woven(way.order, made))
        return dataclasses.replace(way, experiment=experiment, steps=tuple(steps), order=order, circuit=None)

    def _woven(self, order: frontier.Order, made: Mapping[int, qobj.Instruction]) -> weaving.Woven:
        woven = order.woven
        blocks, tails = list(woven.blocks), list(woven.tails)
        for number, places in self.blocks:
            parts = list(blocks[number].parts)
            for place, index in places:
                parts[place] = (parts[place][0], made[index])
            blocks[number] = blocks[number]._replace(parts=parts)
        for wire, places in self.tails:
            tail = list(tails[wire])
            for place, index in places:
                tail[place] = made[index]
            tails[wire] = tail
        return woven._replace(blocks=blocks, tails=tails)


def of(way: routes.Route, holes: Mapping[int, int]) -> Pattern:
    """Find the instructions of a way that have free angles.

    Args:
        way: As it was found.
        holes: For each of these instructions, by its identity, its place in the circuit. They are those in `way`:
            planning puts instructions elsewhere, but only delays are made anew.
    """
    woven = None if way.order is None else way.order.woven
    blocks = () if woven is None else _within([[step for _, step in block.parts] for block in woven.blocks], holes)
    tails = () if woven is None else _within(woven.tails, holes)
    return Pattern(way, tuple(_found(way.steps, holes)), blocks, tails)


def _within(lists: Sequence[Sequence[qobj.Instruction]], holes: Mapping[int, int]) -> tuple[tuple[int, Places], ...]:
    every = ((number, tuple(_found(steps, holes))) for number, steps in enumerate(lists))
    return tuple((number, places) for number, places in every if places)


def _found(steps: Sequence[qobj.Instruction], holes: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    return ((place, holes[id(step)]) for place, step in enumerate(steps) if id(step) in holes)


def kind(made: Mapping[int, qobj.Instruction], target: targets.Target) -> bool:
    """What is equal for angles with which a circuit goes the same way.

    Without noise a circuit may go another way with angles that make all of its gates Clifford gates.
    """
    return target.simulator and clifford.claims(list(made.values()))
