# SPDX-License-Identifier: Apache-2.0
"""Jobs by OpenQASM text: the small document that keeps the texts, and the little that the door reads of them.

What a text means is found out by a worker's child alone; here it is a string, of which at most the declared
registers are looked for.

Source: legacy API reference, sections 5.1 (family C) and 6.6.
"""

import re
from typing import Annotated, Final

import msgspec

from chandelier import errors
from chandelier.formats import qobj

#: Longest text of one program, characters.
MAX_LENGTH: Final = 1 << 22

Named = Annotated[str, msgspec.Meta(max_length=500)]

#: Words of the two versions of the language that declare qubits and bits, followed by a size.
_QUBITS: Final = re.compile(r"\b(?:qreg\s+[A-Za-z_]\w*\s*\[|qubit\s*\[)\s*([0-9][0-9_]*)\s*\]")
_BITS: Final = re.compile(r"\b(?:creg\s+[A-Za-z_]\w*\s*\[|bit\s*\[)\s*([0-9][0-9_]*)\s*\]")
#: Strings and comments; a comment without an end reaches to the end of the text, lest it be looked for many times.
_SKIPPED: Final = re.compile(r'"[^"\n]*"|//[^\n]*|/\*(?:.*?\*/|.*)', re.DOTALL)


class Text(msgspec.Struct, frozen=True, omit_defaults=True):
    """One program.

    Attributes:
        qasm: The OpenQASM text, with or without its version line.
        shots: Repetitions, where the program says so itself.
        seed: Makes a simulation reproducible; one client sends digits.
        name: Name of the program, repeated with its result.
        metadata: Any JSON, repeated with the result.
    """

    qasm: str
    shots: int | None = None
    seed: int | str | None = None
    name: Named | None = None
    metadata: msgspec.Raw = qobj.ABSENT


class Texts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The programs of one job, as they are kept.

    Attributes:
        qasms: One or more.
        shots: Repetitions of each.
        seed: For the programs that have none of their own.
        max_credits: As the submitter said.
    """

    qasms: list[Text]
    shots: int
    seed: int | None = None
    max_credits: int | None = None


_decoder: Final = msgspec.json.Decoder(Texts)
_list_decoder: Final = msgspec.json.Decoder(list[Text])
#: Encodes the document as JSON.
encode: Final = msgspec.json.Encoder().encode


def gather(qasms: bytes, shots: int | None, seed: int | str | None, max_credits: int | None = None) -> Texts:
    """Read the programs of a submission, and what stands beside them.

    Args:
        qasms: The JSON list of programs.
        shots: Repetitions where the programs do not say; None for the usual number.
        seed: For the programs that have none of their own.
        max_credits: Kept with them.

    Raises:
        errors.Invalid: Code 1000, 1001 or 8006.
        errors.TooLarge: A text is too long.
    """
    try:
        programs = _list_decoder.decode(qasms)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"The OpenQASM programs are not as documented: {_readable(error)}.", 1000) from error
    if not 1 <= len(programs) <= qobj.MAX_EXPERIMENTS:
        message = f"There are {len(programs)} programs in `qasms`; send 1 to {qobj.MAX_EXPERIMENTS}."
        raise errors.Invalid(message, 1001)
    asked = {program.shots for program in programs if program.shots is not None}
    if len(asked) > 1:
        few = " and ".join(map(str, sorted(asked)[:2]))
        message = f"The programs ask for different numbers of shots ({few}). Send them in different jobs."
        raise errors.Invalid(message, 8006)
    common = next(iter(asked), qobj.DEFAULT_SHOTS if shots is None else shots)
    if not 1 <= common <= qobj.MAX_SHOTS:
        raise errors.Invalid(f"The job asks for {common} shots; {qobj.ENOUGH_SHOTS}.", 8006)
    for index, program in enumerate(programs):
        number(program.seed)
        if len(program.qasm) > MAX_LENGTH:
            raise errors.TooLarge(
                f"Program {index} has {len(program.qasm)} characters; at most {MAX_LENGTH} are accepted.", 1006
            )
        if "\x00" in program.qasm or "\x00" in (program.name or ""):
            raise errors.Invalid("A program of `qasms` contains a NUL character.", 1001)
    return Texts(qasms=programs, shots=common, seed=number(seed), max_credits=max_credits)


def decode(body: bytes) -> Texts:
    """Read the document that is kept.

    Raises:
        errors.ProgramRefused: Code 8000: it is not what was written.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise errors.ProgramRefused(f"The job's texts cannot be read: {_readable(error)}.", 8000) from error


def number(seed: int | str | None) -> int | None:
    """Read a seed, which one client sends as text.

    Raises:
        errors.Invalid: Code 1001: it is not a number of up to 18 digits.
    """
    if seed is None:
        return None
    digits = str(seed)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise errors.Invalid(f"The seed {digits[:40]!r} is not a number of up to 18 digits.", 1001)
    return int(digits)


def uncommented(text: str) -> str:
    """Blank out comments; every line stays where it is.

    >>> uncommented('h q; // "x"')
    'h q;       '
    """
    return _SKIPPED.sub(_without_comment, text)


def blank(text: str) -> str:
    """Make every character a space, but the ends of lines."""
    return re.sub(r"[^\n]", " ", text)


def declared(text: str) -> tuple[int, int]:
    """Count the qubits and the bits that a text declares by registers of a plain size.

    >>> declared("qreg q[5]; qreg r[2]; creg c[5]; // qreg s[9];")
    (7, 5)
    """
    words = uncommented(text)
    return _total(_QUBITS, words), _total(_BITS, words)


def too_wide(device: str, qubits: int) -> str:
    """Say that a text declares more qubits than its device has, in the words by which one client knows it."""
    return f"On {device}, registers exceed the number of qubits, it can't be greater than {qubits}."


def exceeds(text: str, qubits: int) -> bool:
    """Whether a text declares more qubits; comments are looked at only if it seems so."""
    return _total(_QUBITS, text) > qubits and declared(text)[0] > qubits


def _without_comment(found: re.Match[str]) -> str:
    """Blank out a comment; a string stays, and so does a comment without an end, for the parser to refuse."""
    whole = found[0]
    return blank(whole) if whole.startswith("//") or (whole.startswith("/*") and whole.endswith("*/")) else whole


def _total(declaration: re.Pattern[str], words: str) -> int:
    """Add up sizes; one of more digits than any machine has qubits counts as absurdly large, not as an int."""
    sizes = (size.replace("_", "").lstrip("0") or "0" for size in declaration.findall(words))
    return sum(int(size) if len(size) < 10 else 10**10 for size in sizes)


def _readable(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "its values are nested too deeply"
    return str(error).replace(" - at `$", " at `").removesuffix(".")
