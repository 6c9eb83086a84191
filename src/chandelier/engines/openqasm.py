# SPDX-License-Identifier: Apache-2.0
"""OpenQASM texts as circuits: version 2 with the gates of qelib1.inc, and version 3 with those of stdgates.inc.

A text is untrusted: nothing but these two names can be included, and no file is ever opened. What a program
defines itself goes before what the language or a library calls by the same name.

Source: Cross et al., arXiv:1707.03429 (version 2); Cross et al., ACM Trans. Quantum Comput. 3, 12 (version 3);
legacy API reference, section 5.1: one client removes the version line.
"""

import operator
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from qiskit import qasm2
from qiskit.circuit import QuantumCircuit
from qiskit.circuit import library as lib

from chandelier import errors
from chandelier.formats import texts

#: Most gates that the definitions of a text of version 3 may come to, each where it is used.
MAX_COPIED: Final = 50_000
#: Most qubits and bits that a text of version 3 may declare: the importer makes them all, and dies of too many.
MAX_DECLARED: Final = 20_000

#: The version line, by either name of the language.
_VERSION: Final = re.compile(r"\s*(?:OPENQASM|IBMQASM)\s+([0-9]+)(?:\.[0-9]+)?\s*;")
_INCLUDE: Final = re.compile(r'\binclude\s*"qelib1\.inc"\s*;')
_DEFINITION: Final = re.compile(r"\b(?:gate|opaque)\s+([A-Za-z_]\w*)")
#: By these a text without a version line is known to be of version 3.
_THIRD: Final = re.compile(r'\binclude\s*"stdgates\.inc"|^[ \t]*qubit\b', re.MULTILINE)
#: What may be reckoned with in the size of a register.
_OPERATIONS: Final[Mapping[str, Callable[[int, int], int]]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_PLACE: Final = re.compile(r"^(?:<input>:)?(\d+),(\d+): ")


def _idle(_cycles: float) -> lib.IGate:
    """`u0` waits for some cycles; like the same instruction of a Qobj it is one `id`."""
    return lib.IGate()


#: The gates of qelib1.inc, as it was and as it grew: name, parameters, qubits, class.
_LIBRARY: Final = tuple(
    qasm2.CustomInstruction(name, params, qubits, make, builtin=True)
    for name, params, qubits, make in (
        ("u3", 3, 1, lib.U3Gate),
        ("u2", 2, 1, lib.U2Gate),
        ("u1", 1, 1, lib.U1Gate),
        ("u0", 1, 1, _idle),
        ("u", 3, 1, lib.UGate),
        ("p", 1, 1, lib.PhaseGate),
        ("id", 0, 1, lib.IGate),
        ("x", 0, 1, lib.XGate),
        ("y", 0, 1, lib.YGate),
        ("z", 0, 1, lib.ZGate),
        ("h", 0, 1, lib.HGate),
        ("s", 0, 1, lib.SGate),
        ("sdg", 0, 1, lib.SdgGate),
        ("t", 0, 1, lib.TGate),
        ("tdg", 0, 1, lib.TdgGate),
        ("sx", 0, 1, lib.SXGate),
        ("sxdg", 0, 1, lib.SXdgGate),
        ("rx", 1, 1, lib.RXGate),
        ("ry", 1, 1, lib.RYGate),
        ("rz", 1, 1, lib.RZGate),
        ("cx", 0, 2, lib.CXGate),
        ("cy", 0, 2, lib.CYGate),
        ("cz", 0, 2, lib.CZGate),
        ("ch", 0, 2, lib.CHGate),
        ("csx", 0, 2, lib.CSXGate),
        ("swap", 0, 2, lib.SwapGate),
        ("crx", 1, 2, lib.CRXGate),
        ("cry", 1, 2, lib.CRYGate),
        ("crz", 1, 2, lib.CRZGate),
        ("cu1", 1, 2, lib.CU1Gate),
        ("cp", 1, 2, lib.CPhaseGate),
        ("cu3", 3, 2, lib.CU3Gate),
        ("cu", 4, 2, lib.CUGate),
        ("rxx", 1, 2, lib.RXXGate),
        ("rzz", 1, 2, lib.RZZGate),
        ("ccx", 0, 3, lib.CCXGate),
        ("cswap", 0, 3, lib.CSwapGate),
        ("rccx", 0, 3, lib.RCCXGate),
        ("c3x", 0, 4, lib.C3XGate),
        ("rc3x", 0, 4, lib.RC3XGate),
        ("c3sqrtx", 0, 4, lib.C3SXGate),
        ("c4x", 0, 5, lib.C4XGate),
    )
)


def parse(text: str) -> QuantumCircuit:
    """Read a text.

    Raises:
        errors.ProgramRefused: Code 8012; the message names the line.
    """
    words = texts.uncommented(text)
    version = _VERSION.match(words)
    if version is None:
        return _third(words) if _THIRD.search(words) else _second(words)
    if version[1] == "3":
        return _third(words)
    if version[1] != "2":
        raise _refused(f"its version is {version[1][:9]}; versions 2 and 3 are known")
    # The version line is blanked out because one of its two names is not the parser's.
    return _second(texts.blank(version[0]) + words[version.end() :])


def _second(words: str) -> QuantumCircuit:
    """Read a text of version 2 without comments and without its version line."""
    rest, included = _INCLUDE.subn(lambda found: texts.blank(found[0]), words)
    own = set(_DEFINITION.findall(words))
    known = [gate for gate in _LIBRARY if gate.name not in own] if included else []
    try:
        return qasm2.loads(rest, include_path=(), custom_instructions=known)
    except qasm2.QASM2ParseError as error:
        raise _refused(_placed(str(error.message))) from error
    except (ArithmeticError, RecursionError, ValueError) as error:
        raise _refused(f"{type(error).__name__}: {error}") from error


def _third(words: str) -> QuantumCircuit:
    """Read a text of version 3."""
    import openqasm3  # noqa: PLC0415 -- both take a while, and few programs need them
    import qiskit_qasm3_import  # noqa: PLC0415

    try:
        tree = openqasm3.parse(words)
        _check_declared(tree.statements)
        _check_size(tree.statements, {})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            circuit: QuantumCircuit = qiskit_qasm3_import.convert(tree)
    except errors.ProgramRefused:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise _refused(_placed(_told(error))) from error
    return circuit


def _check_declared(statements: Sequence[Any]) -> None:
    if _declared(statements) > MAX_DECLARED:
        raise errors.ProgramRefused(f"It declares more than {MAX_DECLARED} qubits and bits.", 8012)


def _declared(statements: Sequence[Any]) -> int:
    """Count the qubits and bits that statements declare."""
    number = 0
    for statement in statements:
        known = statement if type(statement).__name__ == "QubitDeclaration" else getattr(statement, "type", None)
        size = getattr(known, "size", None)
        number += 0 if size is None else max(0, min(_value(size), MAX_DECLARED + 1))
        blocks = (getattr(statement, name, None) for name in ("body", "block", "if_block", "else_block"))
        number += sum(_declared(block) for block in blocks if isinstance(block, list))
    return number


def _value(expression: Any) -> int:
    """The number that the size of a register says; one that cannot be told is too large."""
    kind = type(expression).__name__
    if kind == "IntegerLiteral":
        return int(expression.value)
    if kind == "BinaryExpression" and expression.op.name in _OPERATIONS:
        left, right = _value(expression.lhs), _value(expression.rhs)
        if max(abs(left), abs(right)) <= MAX_DECLARED:
            return _OPERATIONS[expression.op.name](left, right)
    return MAX_DECLARED + 1


def _check_size(statements: Sequence[Any], sizes: dict[str, int], *, defining: bool = False) -> int:
    """Count the gates that the importer will copy: it copies a definition whole wherever it is used.

    Args:
        statements: Of a program or of a definition.
        sizes: Sizes of the definitions so far; those among the statements are added.
        defining: The statements are a definition's, so each gate of them is copied with it.
    """
    size = 0
    for statement in statements:
        kind, body = type(statement).__name__, getattr(statement, "body", [])
        if kind == "QuantumGate":
            size += sizes.get(statement.name.name, int(defining))
        elif kind == "QuantumGateDefinition":
            sizes[statement.name.name] = 1 + _check_size(body, sizes, defining=True)
            size += sizes[statement.name.name]
        else:
            blocks = (getattr(statement, name, None) for name in ("body", "block", "if_block", "else_block"))
            size += sum(_check_size(block, sizes, defining=defining) for block in blocks if isinstance(block, list))
        if size > MAX_COPIED:
            raise errors.ProgramRefused(f"Its gates, defined by each other, copy more than {MAX_COPIED} gates.", 8013)
    return size


def _told(error: Exception) -> str:
    """What an error of the importer says, or where the parser below it stopped, which says nothing itself."""
    token = getattr(next(iter(getattr(error.__context__, "args", ())), None), "offendingToken", None)
    if token is not None:
        return f"{token.line},{token.column}: {token.text!r} is not expected here"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error) or type(error).__name__


def _placed(message: str) -> str:
    """Word the place of an error, which the parsers put in front; they count columns from 0."""
    return _PLACE.sub(lambda found: f"line {found[1]}, column {int(found[2]) + 1}: ", message)


def _refused(reason: str) -> errors.ProgramRefused:
    return errors.ProgramRefused(f"The text cannot be read: {reason.removesuffix('.')[:500]}.", 8012)
