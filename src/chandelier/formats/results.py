# SPDX-License-Identifier: Apache-2.0
"""Result documents: what came out of a program, in the shape that every client reads.

Source: legacy API reference, section 12.4.
"""

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class ExperimentResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of one experiment.

    Attributes:
        shots: Repetitions asked for.
        success: Whether `data` holds what was asked for.
        status: `DONE`, or `ERROR: ` and the reason.
        data: `counts`, `memory` and whatever else was asked for; empty after a failure.
        header: The experiment's header, copied verbatim.
        circ_id: Place of the experiment in the program.
        meas_level: Measurement level of `data`.
        meas_return: `single` or `avg`; None at level 2.
        seed_simulator: Seed that repeats this outcome.
        time_taken: Time of this experiment, s.
        metadata: How it was computed.
    """

    shots: int
    success: bool
    status: str
    data: dict[str, Any]
    header: msgspec.Raw
    circ_id: int
    meas_level: int
    time_taken: float
    meas_return: str | None = None
    seed_simulator: int | None = None
    metadata: dict[str, Any] = {}


class Result(msgspec.Struct, frozen=True):
    """The outcome of a program.

    Attributes:
        backend_name: Name of the device.
        backend_version: Its version, `X.Y.Z`.
        qobj_id: From the program.
        job_id: The job that ran the program.
        success: Whether every experiment succeeded.
        results: One entry for each experiment, in the order of the program.
        status: `COMPLETED`, or `ERROR: ` and the reason.
        date: When it ended; see `date`.
        header: The program's header, copied verbatim.
        time_taken: Time of the run, s.
        metadata: How it was computed.
    """

    backend_name: str
    backend_version: str
    qobj_id: str
    job_id: str
    success: bool
    results: list[ExperimentResult]
    status: str
    date: str
    header: msgspec.Raw
    time_taken: float
    metadata: dict[str, Any] = {}


#: Encodes a result document as JSON.
encode = msgspec.json.Encoder().encode


def failed(*, reason: str, shots: int, header: msgspec.Raw, circ_id: int, meas_level: int = 2) -> ExperimentResult:
    """The entry of an experiment that has no outcome."""
    return ExperimentResult(
        shots=shots,
        success=False,
        status=f"ERROR: {reason}",
        data={},
        header=header,
        circ_id=circ_id,
        meas_level=meas_level,
        time_taken=0.0,
    )


def outcome(bits: int) -> str:
    """Write the memory after a shot; bit i is memory slot i, no leading zeros.

    >>> outcome(3)
    '0x3'
    """
    return hex(bits)


def counts(tally: Mapping[int, int]) -> dict[str, int]:
    """Write how often each outcome occurred, without those that did not occur, in ascending order.

    >>> counts({3: 5, 0: 2, 1: 0})
    {'0x0': 2, '0x3': 5}
    """
    return {outcome(bits): tally[bits] for bits in sorted(tally) if tally[bits]}


def memory(shots: Iterable[int]) -> list[str]:
    """Write the outcome of each shot."""
    return [outcome(bits) for bits in shots]


def date(moment: datetime.datetime) -> str:
    """Write a time with milliseconds and offset, since one client reads 21 characters and wants a fraction.

    >>> date(datetime.datetime(2021, 5, 4, 11, 28, 5, 647000, tzinfo=datetime.UTC))
    '2021-05-04T11:28:05.647+00:00'
    """
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds")
