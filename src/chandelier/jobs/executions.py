# SPDX-License-Identifier: Apache-2.0
"""The programs of a job by OpenQASM text, one by one, each with what came of it.

Source: protocol 6.6.
"""

import contextlib
import itertools

import msgspec

from chandelier import errors
from chandelier.formats import texts
from chandelier.jobs.records import Job
from chandelier.store import Store, Transaction


class Outcome(msgspec.Struct, frozen=True):
    """What came of one program.

    Attributes:
        success: Whether there are counts.
        counts: How often each outcome occurred; bit i of an outcome is memory slot i.
        slots: Number of memory slots.
        registers: Name and size of each classical register, the first of them lowest in an outcome.
        measured: For each memory slot the qubit that was measured into it last; None where none was.
        seed: Seed that repeats it.
        seconds: Time it took, s.
    """

    success: bool
    counts: dict[int, int]
    slots: int
    registers: list[tuple[str, int]]
    measured: list[int | None]
    seed: int | None
    seconds: float


class Execution(msgspec.Struct, frozen=True):
    """One program.

    Attributes:
        index: Its place in the job.
        text: What was submitted.
        name: As the submitter called it.
        metadata: Any JSON of the submitter's.
        outcome: None while there is no result, or if the job left none.
    """

    index: int
    text: str
    name: str | None
    metadata: msgspec.Raw | None
    outcome: Outcome | None


class _Data(msgspec.Struct, frozen=True):
    counts: dict[str, int] = {}


class _Header(msgspec.Struct, frozen=True):
    memory_slots: int = 0
    creg_sizes: list[tuple[str, int]] = []
    measured_qubits: list[int | None] = []


class _Entry(msgspec.Struct, frozen=True):
    success: bool
    data: _Data
    header: _Header
    seed_simulator: int | None = None
    time_taken: float = 0.0


class _Result(msgspec.Struct, frozen=True):
    results: list[_Entry]
    date: str = ""


class Executions(msgspec.Struct, frozen=True):
    """The programs of a job.

    Attributes:
        date: When the result was written, as it says; empty while there is none.
    """

    programs: list[Execution]
    date: str


_texts = msgspec.json.Decoder(texts.Texts)
_result = msgspec.json.Decoder(_Result)


def of(store: Store, tx: Transaction, job: Job) -> Executions:
    """Return the programs of a job; none if its files are gone, because it is being deleted."""
    with contextlib.suppress(errors.NotFound):
        kept = _texts.decode(store.read_object(tx, "programs", job.id))
        result = _Result([]) if job.result is None else _result.decode(store.read_object(tx, "results", job.result))
        outcomes = [_outcome(entry) for entry in result.results]
        pairs = enumerate(itertools.zip_longest(kept.qasms, outcomes))
        return Executions([_execution(index, text, outcome) for index, (text, outcome) in pairs], result.date)
    return Executions([], "")


def _execution(index: int, text: texts.Text, outcome: Outcome | None) -> Execution:
    metadata = None if bytes(text.metadata) == b"null" else text.metadata
    return Execution(index, text.qasm, text.name, metadata, outcome)


def _outcome(entry: _Entry) -> Outcome:
    return Outcome(
        success=entry.success,
        counts={int(key, 16): number for key, number in entry.data.counts.items()},
        slots=entry.header.memory_slots,
        registers=entry.header.creg_sizes,
        measured=entry.header.measured_qubits,
        seed=entry.seed_simulator,
        seconds=entry.time_taken,
    )
