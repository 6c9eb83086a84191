# SPDX-License-Identifier: Apache-2.0
"""What a QPY file contains, found by walking through its records before anything is made of them.

A reader of QPY believes what a file says of itself: how many qubits, how many elements, which class. So every count is
held against a bound, and every class against a list, first.

Source: the description of the format in the documentation of `qiskit.qpy`, versions 1 to 18.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from chandelier import errors
from chandelier.formats import qobj

MAGIC: Final = b"QISKIT"
#: No device has more qubits, and no result more bits.
MAX_WIRES: Final = 10_000
#: Most records of all circuits of a file: instructions, registers, definitions, variables, elements of vectors.
MAX_RECORDS: Final = 2_000_000
#: Circuits within circuits: definitions of gates and blocks of statements.
MAX_DEPTH: Final = 90

#: From this version on Qiskit 2.6 gives what is under a condition the indices of other wires.
SCRAMBLED_FROM: Final = 13

#: Classes that an instruction may be of; a gate that the file defines stands for itself.
CLASSES: Final = frozenset(
    (  # noqa: SIM905 -- a table
        "Barrier BoxOp BreakLoopOp ContinueLoopOp ControlledGate Delay ForLoopOp Gate IfElseOp Instruction Measure "
        "Reset Store SwitchCaseOp WhileLoopOp "
        "C3SXGate C3XGate C4XGate CCXGate CCZGate CHGate CPhaseGate CRXGate CRYGate CRZGate CSGate CSXGate CSdgGate "
        "CSwapGate CU1Gate CU3Gate CUGate CXGate CYGate CZGate DCXGate ECRGate GlobalPhaseGate HGate IGate "
        "MCPhaseGate MCU1Gate MCXGate MCXGrayCode MCXRecursive MCXVChain MSGate PhaseGate RC3XGate RCCXGate RGate "
        "RVGate RXGate RXXGate RYGate RYYGate RZGate RZXGate RZZGate SGate SXGate SXdgGate SdgGate SwapGate TGate "
        "TdgGate U1Gate U2Gate U3Gate UGate XGate XXMinusYYGate XXPlusYYGate YGate ZGate iSwapGate "
        "Clifford DiagonalGate HamiltonianGate Initialize Isometry LinearFunction PauliEvolutionGate PauliGate "
        "PermutationGate QFTGate StatePreparation UCGate UCPauliRotGate UCRXGate UCRYGate UCRZGate UnitaryGate"
    ).split()
)

#: The pieces of each format, by its version.
_HEADER: Final = struct.Struct("!6sBBBBQ")
_CIRCUITS: Final = {1: struct.Struct("!HdIIQIQ"), 2: struct.Struct("!HcHIIQIQ"), 12: struct.Struct("!HcHIIQIQI")}
_REGISTER: Final = {1: struct.Struct("!c?IH"), 4: struct.Struct("!c?IH?"), 18: struct.Struct("!c?IH?B")}
_VARIABLE: Final = struct.Struct("!16scH")
_CUSTOM: Final = {1: struct.Struct("!HcII?Q"), 5: struct.Struct("!HcII?QIIQ")}
_STEP: Final = {1: struct.Struct("!HHHII?Hq"), 5: struct.Struct("!HHHIIBHqII")}
_WIRE: Final = struct.Struct("!cI")
_TYPED: Final = struct.Struct("!cQ")
_SPACE: Final = struct.Struct("!IQ")
_VECTOR: Final = struct.Struct("!HQ16sQ")
_TABLED: Final = struct.Struct("!HQ16s")
_MODIFIER: Final = struct.Struct("!cIId")

_CIRCUIT: Final = b"q"
_SCHEDULE: Final = b"s"
_STATEMENTS: Final = frozenset({b"IfElseOp", b"WhileLoopOp"})
_SYMENGINE: Final = b"e"
_EXPRESSION: Final = 2
_ANNOTATED: Final = 0b1000_0000


class Contents(NamedTuple):
    """What a file contains.

    Attributes:
        version: Of the format.
        programs: Number of circuits.
        symengine: Whether expressions of parameters are written as the library symengine does.
        formulas: Whether there are any.
        conditional: For each circuit the places of instructions that have a condition without being a statement, as
            clients before version 2 of Qiskit write them.
    """

    version: int
    programs: int
    symengine: bool
    formulas: bool
    conditional: tuple[tuple[int, ...], ...]


def scan(qpy: bytes, newest: int, *, annotated: bool = False) -> Contents:
    """Walk through a file.

    Args:
        qpy: The file, not compressed.
        newest: The newest version that can be read.
        annotated: Whether there may be annotations, because whoever reads the file knows what they may say.

    Raises:
        errors.ProgramRefused: Code 8036: the version is newer; 8037: there are pulses in it; 8039: it is damaged, too
            large, or has instructions of another kind.
    """
    if len(qpy) <= len(MAGIC) or not qpy.startswith(MAGIC):
        raise _damaged("it does not begin like one")
    version = qpy[len(MAGIC)]
    if version > newest:
        raise errors.ProgramRefused(newer(version, newest), 8036)
    if len(qpy) < _HEADER.size:
        raise _damaged("it ends too early")
    *_, programs = _HEADER.unpack_from(qpy)
    if not version:
        raise _damaged("its version is 0")
    if not 1 <= programs <= qobj.MAX_EXPERIMENTS:
        raise _damaged(f"it has {programs} circuits; 1 to {qobj.MAX_EXPERIMENTS} are possible")
    walk = _Walk(qpy, version, annotated=annotated)
    symengine = version >= 10 and walk.take(1) == _SYMENGINE
    kind = walk.take(1) if version >= 5 else _CIRCUIT
    if kind == _SCHEDULE:
        raise errors.ProgramRefused("The program is a schedule of pulses, which are taken as a Qobj only.", 8037)
    if kind != _CIRCUIT:
        raise _damaged(f"it holds something of the kind {kind!r}")
    offsets = struct.unpack(f"!{programs}Q", walk.take(8 * programs)) if version >= 16 else [None] * programs
    conditional = []
    for offset in offsets:
        walk.at = walk.at if offset is None else min(offset, len(qpy))
        conditional.append(walk.circuit(0))
    return Contents(version, programs, symengine, walk.formulas, tuple(conditional))


def newer(version: int, newest: int) -> str:
    """What a user is told whose client writes a newer format."""
    return (
        f"The circuit is written in version {version} of QPY; this server reads up to {newest}. Use an older Qiskit "
        f"to send it, or write it with qpy.dump(..., version={newest}) and load it again."
    )


class _Walk:
    """Walks through the records of a file, or of a part of it."""

    def __init__(self, data: bytes, version: int, *, annotated: bool) -> None:
        self._annotated = annotated
        self._data, self._version = data, version
        self.at = _HEADER.size
        self._left = MAX_RECORDS
        self._own: set[bytes] = set()
        self._vectors: set[tuple[bytes, int]] = set()
        self.formulas = False

    def take(self, size: int) -> bytes:
        """Read some bytes."""
        end = self.at + size
        if size < 0 or end > len(self._data):
            raise _damaged("it ends too early")
        start, self.at = self.at, end
        return self._data[start:end]

    def _read(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack(self.take(form.size))

    def _by_version(self, forms: dict[int, struct.Struct]) -> tuple[Any, ...]:
        return self._read(forms[max(since for since in forms if since <= self._version)])

    def _spend(self, records: int) -> None:
        self._left -= records
        if self._left < 0:
            raise _large(f"it has more than {MAX_RECORDS} instructions, their wires, registers and parameters")

    def _within(self, data: bytes, depth: int, walk: Callable[["_Walk", int], object]) -> None:
        """Walk through a part that has bytes of its own."""
        if depth > MAX_DEPTH:
            raise _damaged("its parts are nested too deeply")
        around, self._data, self.at = (self._data, self.at), data, 0
        walk(self, depth)
        self._data, self.at = around

    def circuit(self, depth: int) -> tuple[int, ...]:
        """Walk through a circuit; return the places of the instructions that have a condition."""
        version = self._version
        name, _, *sizes = self._by_version(_CIRCUITS)
        phase = sizes.pop(0) if version >= 2 else 0
        qubits, bits, metadata, registers, steps, *rest = sizes
        variables = rest[0] if rest else 0
        if max(qubits, bits) > MAX_WIRES:
            raise _large(f"it has {max(qubits, bits)} qubits or bits; up to {MAX_WIRES} are possible")
        self.take(name + phase + metadata)
        for _ in self._counted(registers):
            self._register()
        for _ in self._counted(variables):
            self._variable()
        if version >= 15:
            self._namespaces()
        if version >= 18:
            self._table()
        around, self._own = self._own, set()
        self._definitions(depth)
        conditional = tuple(place for place in self._counted(steps) if self._instruction(depth, placed=True))
        self._own = around
        if conditional and depth and version >= SCRAMBLED_FROM:
            raise errors.ProgramRefused(
                "A condition (c_if) inside of a gate or a block is not read from this version of QPY. Use if_test.",
                8039,
            )
        if 5 <= version < 18:
            self._pulses()
        if version >= 8:
            self._layout()
        return conditional

    def _pulses(self) -> None:
        (pulses,) = self._read(struct.Struct("!H"))
        if pulses:
            raise errors.ProgramRefused(
                "Its gates bring pulses, which are taken with a Qobj only. Remove its calibrations.", 8037
            )

    def _counted(self, records: int) -> range:
        self._spend(records)
        return range(records)

    def _register(self) -> None:
        _, _, size, name, *more = self._by_version(_REGISTER)
        if size > MAX_WIRES:
            raise _large(f"a register has {size} bits; up to {MAX_WIRES} are possible")
        self._spend(size)
        # Since version 18 a register whose bits are neighbours says where they begin.
        places = 1 if self._version >= 18 and more[1] else size
        self.take(name + (8 if 4 <= self._version < 18 else 4) * places)

    def _variable(self) -> None:
        _, _, name = self._read(_VARIABLE)
        kind = self.take(1)
        self.take((4 if kind == b"u" else 0) + name)

    def _definitions(self, depth: int) -> None:
        (count,) = self._read(struct.Struct("!Q"))
        bases: list[bytes] = []
        for _ in self._counted(count):
            name, _, qubits, bits, defined, size, *more = self._by_version(_CUSTOM)
            controls, _, base = more or (0, 0, 0)
            if max(qubits, bits, controls) > MAX_WIRES:
                raise _damaged(f"a gate has {max(qubits, bits, controls)} wires; up to {MAX_WIRES} are possible")
            label = self.take(name)
            self._own.add(label)
            definition = self.take(size) if defined else b""
            # What evolves under an operator is that operator, no circuit.
            if definition and not (self._version >= 3 and label.startswith(b"###PauliEvolutionGate_")):
                self._within(definition, depth + 1, _Walk.circuit)
            if base:
                bases.append(self.take(base))
        for data in bases:  # which may be any of the gates that are defined
            self._within(data, depth + 1, _Walk.base)

    def base(self, depth: int) -> None:
        """Walk through the gate that a controlled one controls; it has no wires."""
        self._instruction(depth, placed=False)

    def _instruction(self, depth: int, *, placed: bool) -> bool:
        """Walk through an instruction; return whether it has a condition without being a statement."""
        name, label, params, qubits, bits, extras, register, _, *more = self._by_version(_STEP)
        kind = self.take(name)
        self.take(label + register)
        controls = more[0] if more else 0
        if controls > MAX_WIRES:
            raise _damaged(f"a gate has {controls} controls; up to {MAX_WIRES} are possible")
        if self._version >= 5 and extras & 3 == _EXPRESSION:
            self._typed(depth)
        if placed:
            self._spend(qubits + bits)
            self.take(_WIRE.size * (qubits + bits))
        for _ in self._counted(params):
            self._typed(depth)
        if self._version >= 5 and extras & _ANNOTATED:
            self._annotations()
        if kind.decode("utf-8", "replace") not in CLASSES and kind not in self._own:
            shown = kind.decode("utf-8", "replace")[:60]
            raise errors.ProgramRefused(
                f"The circuit has an instruction of the class {shown!r}, which is not read here. "
                "Transpile the circuit for the device, or decompose it.",
                8039,
            )
        return bool(extras & 3) and kind not in _STATEMENTS

    def _namespaces(self) -> None:
        (spaces,) = self._read(struct.Struct("!I"))
        if spaces and not self._annotated:
            raise errors.ProgramRefused("Annotations of circuits mean nothing on these devices. Remove them.", 8039)
        for _ in self._counted(spaces):
            self.take(sum(self._read(_SPACE)))

    def _annotations(self) -> None:
        if self._version < 15 or not self._annotated:
            raise errors.ProgramRefused("Annotations of instructions mean nothing on these devices. Remove them.", 8039)
        (count,) = self._read(struct.Struct("!I"))
        for _ in self._counted(count):
            _, size = self._read(_SPACE)
            self.take(size)

    def _typed(self, depth: int) -> None:
        """Walk through a parameter."""
        kind, size = self._read(_TYPED)
        self._value(kind, self.take(size), depth)

    def _value(self, kind: bytes, data: bytes, depth: int) -> None:
        if kind in _COMPOUND:
            self._within(data, depth + 1, _COMPOUND[kind])

    def sequence(self, depth: int) -> None:
        (count,) = self._read(struct.Struct("!Q"))
        for _ in self._counted(count):
            self._typed(depth)

    def vector(self, _depth: int) -> None:
        """One parameter of a vector: a reader makes all of them."""
        if self._version >= 18:
            self._read(struct.Struct("!HQ"))
            return
        name, size, _, index = self._read(_VECTOR)
        label = self.take(name)
        if index >= size:
            raise _damaged("a parameter is none of its vector")
        if (label, size) not in self._vectors:
            self._vectors.add((label, size))
            self._spend(size)

    def _table(self) -> None:
        """Walk through the vectors of parameters of a circuit."""
        (count,) = self._read(struct.Struct("!H"))
        for _ in self._counted(count):
            name, size, _ = self._read(_TABLED)
            self.take(name)
            self._spend(size)

    def formula(self, depth: int) -> None:
        self.formulas = True
        symbols, size = self._read(struct.Struct("!QQ"))
        replay = self.take(size)
        if self._version >= 13:
            self._within(replay, depth, _Walk.replay)
        for _ in self._counted(symbols if self._version >= 3 else 0):
            symbol, kind, size = self._read(struct.Struct("!ccQ"))
            if symbol in {b"v", b"e"}:
                _COMPOUND[symbol](self, depth + 1)
            else:
                name, _ = self._read(struct.Struct("!H16s"))
                self.take(name)
            value = self.take(size)
            if kind == b"e":
                self._value(kind, value, depth)

    def replay(self, depth: int) -> None:
        """Walk through the operations of an expression, of which a substitution brings expressions along."""
        while self.at < len(self._data):
            _, kind, left, _, _ = self._read(struct.Struct("!Bc16sc16s"))
            self._spend(1)
            if kind == b"u":
                size, _ = struct.unpack("!QQ", left)
                self._within(self.take(size), depth, _Walk.mapping)

    def mapping(self, depth: int) -> None:
        (count,) = self._read(struct.Struct("!Q"))
        for _ in self._counted(count):
            key, kind, size = self._read(struct.Struct("!HcH"))
            self.take(key)
            self._value(kind, self.take(size), depth + 1)

    def modifier(self, _depth: int) -> None:
        _, controls, _, power = self._read(_MODIFIER)
        if controls > MAX_WIRES or not abs(power) <= MAX_WIRES:
            raise _damaged("a modifier of a gate is too large")

    def _layout(self) -> None:
        exists, initial, mapped, final, registers, *_ = self._read(
            struct.Struct("!?iiiIi" if self._version >= 10 else "!?iiiI")
        )
        if not exists:
            return
        if max(initial, mapped, final) > MAX_WIRES:
            raise _damaged("its layout has too many qubits")
        for _ in self._counted(registers):
            self._register()
        for _ in range(initial):
            index, size = self._read(struct.Struct("!ii"))
            self.take(0 if index == size == -1 else size)
        self.take(4 * (max(mapped, 0) + max(final, 0)))


#: Kinds of parameters that have others in them.
_COMPOUND: Final[Mapping[bytes, Callable[[_Walk, int], object]]] = {
    b"q": _Walk.circuit,
    b"t": _Walk.sequence,
    b"v": _Walk.vector,
    b"e": _Walk.formula,
    b"m": _Walk.modifier,
}


def _large(why: str) -> errors.ProgramRefused:
    return errors.ProgramRefused(f"The circuit is too large: {why}. Split it into several.", 8039)


def _damaged(why: str) -> errors.ProgramRefused:
    return errors.ProgramRefused(f"The circuit's QPY cannot be read: {why}.", 8039)
