# SPDX-License-Identifier: Apache-2.0
"""Qobj programs: the envelope for the door, the typed instructions for the worker.

The envelope keeps every experiment as undecoded JSON, so that looking at it costs next to nothing; a worker
child decodes one experiment at a time. Fields are taken by allow-list; other keys of clients are ignored.

Source: legacy API reference, sections 12.1 and 12.2.
"""

from typing import Annotated, Any, Final, Protocol, TypeVar

import msgspec

from chandelier import errors

#: No device comes near these; they keep absurd numbers out of arithmetic and storage.
MAX_EXPERIMENTS: Final = 10_000
MAX_SHOTS: Final = 2**53
#: What a program of any device must ask for; each device has a bound of its own.
ENOUGH_SHOTS: Final = "it must ask for at least 1, and at most the `max_shots` of the device"
MAX_INDEX: Final = 1_000_000

DEFAULT_SHOTS: Final = 1024

#: A document that the client left out.
ABSENT: Final = msgspec.Raw(b"null")

#: A JSON value of which nothing is known yet.
Json = Any

Index = Annotated[int, msgspec.Meta(ge=0, le=MAX_INDEX)]

#: One client writes its enumeration as a number.
_TYPES: Final[dict[str | int, str]] = {"QASM": "QASM", "PULSE": "PULSE", 0: "QASM", 1: "PULSE"}


class Config(msgspec.Struct, frozen=True):
    """Settings of a program or of one experiment; None (of a document: `ABSENT`) where the client left one out.

    Documents stay undecoded, for they can be large and the door does not look into them; see `document`.

    Attributes:
        shots: Repetitions of each experiment.
        memory_slots: Number of classical bits in the result.
        n_qubits: Number of qubits declared.
        memory: Whether the result lists each shot.
        seed: Older name of `seed_simulator`.
        seed_simulator: Makes a simulation reproducible.
        meas_level: 0 raw, 1 kerneled, 2 discriminated.
        meas_return: `single` or `avg`, for levels 0 and 1.
        rep_delay: Wait between shots, µs.
        rep_time: Time from the start of one shot to that of the next, µs.
        method: Simulation method asked for.
        max_credits: What the job may cost, in credits; repeated to the client, since nothing costs any.
        noise_model: Noise that a simulator should add, as Aer writes it.
        calibrations: Pulses that replace gates.
        qubit_lo_freq: Frequency of each drive channel, GHz; this and what follows is read by `formats.pulses`.
        meas_lo_freq: Frequency of each measurement channel, GHz.
        pulse_library: Pulses given by their samples.
        memory_slot_size: Samples kept of a measurement at level 0.
    """

    shots: int | None = None
    memory_slots: Index | None = None
    n_qubits: Index | None = None
    memory: bool | None = None
    seed: int | None = None
    seed_simulator: int | None = None
    meas_level: int | None = None
    meas_return: str | None = None
    rep_delay: float | None = None
    rep_time: float | None = None
    method: str | None = None
    max_credits: int | None = None
    noise_model: msgspec.Raw = ABSENT
    calibrations: msgspec.Raw = ABSENT
    qubit_lo_freq: msgspec.Raw = ABSENT
    meas_lo_freq: msgspec.Raw = ABSENT
    pulse_library: msgspec.Raw = ABSENT
    memory_slot_size: msgspec.Raw = ABSENT


class Condition(msgspec.Struct, frozen=True):
    """The oldest form of a condition: run if the memory under `mask` equals `val`."""

    mask: int | str
    val: int | str
    type: str = "equals"


class Instruction(msgspec.Struct, frozen=True):
    """One instruction of a QASM experiment; which fields matter depends on `name`.

    Attributes:
        name: Gate name, or `measure`, `reset`, `barrier`, `delay`, `bfunc`, `copy`, `snapshot`, `save_*`, ...
        qubits: Indices of the qubits, first qubit least significant.
        params: Numbers, complex numbers as `[re, im]`, matrices as nested lists, labels; JSON as sent.
        memory: Memory slots, pairwise with `qubits`.
        register: Register slots, pairwise with `qubits`; the destination of a `bfunc`.
        conditional: Register slot that must be 1, or the oldest form of a condition.
        mask: `bfunc`: bits of the register that count.
        relation: `bfunc`: `==`, `!=`, `<`, `<=`, `>`, `>=`.
        val: `bfunc`: what the masked register is compared with.
        label: Name of a unitary, a snapshot or a saved quantity.
        snapshot_type: Kind of a snapshot, or how a `save_*` collects shots.
        kind: Older name of `snapshot_type` (`type` on the wire).
        unit: Unit of a delay; `dt` if left out.
        register_orig: `copy`: source register slot.
        register_copy: `copy`: destination register slots.
    """

    name: str
    qubits: tuple[Index, ...] | None = None
    params: Json = None
    memory: tuple[Index, ...] | Index | None = None
    register: tuple[Index, ...] | Index | None = None
    conditional: Index | Condition | None = None
    mask: int | str | None = None
    relation: str | None = None
    val: int | str | None = None
    label: str | None = None
    snapshot_type: str | None = None
    kind: str | None = msgspec.field(name="type", default=None)
    unit: str | None = None
    register_orig: Index | None = None
    register_copy: tuple[Index, ...] | Index | None = None


class Experiment(msgspec.Struct, frozen=True):
    """One experiment, decoded.

    Attributes:
        instructions: In the order of the program.
        header: JSON object that the result repeats unchanged.
        config: Settings of this experiment alone.
        n_qubits: Number of qubits that the header declares.
        memory_slots: Number of memory slots that the header declares.
        global_phase: Phase of the whole circuit, radians.
    """

    instructions: tuple[Instruction, ...]
    header: msgspec.Raw
    config: Config
    n_qubits: int | None = None
    memory_slots: int | None = None
    global_phase: float = 0.0


class Envelope(msgspec.Struct, frozen=True):
    """A program whose experiments are not decoded yet.

    Attributes:
        qobj_id: Name that the client gave the program.
        type: `QASM` or `PULSE`.
        schema_version: As sent; nothing depends on it.
        header: JSON object that the result repeats unchanged.
        config: Settings that hold for every experiment.
        experiments: One JSON object each.
    """

    qobj_id: str
    type: str
    schema_version: str
    header: msgspec.Raw
    config: Config
    experiments: list[msgspec.Raw]


class _WireEnvelope(msgspec.Struct, frozen=True):
    qobj_id: str
    type: str | int
    schema_version: str | None = None
    header: msgspec.Raw = msgspec.Raw(b"{}")
    config: Config | None = None
    experiments: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MAX_EXPERIMENTS)] | None = None
    # One client misspells it.
    experiements: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MAX_EXPERIMENTS)] | None = None


#: A list of experiments that is refused at its first element too many: of a list, msgspec would first make all
#: elements, which take many times the memory of their JSON.
_Experiments: Final = msgspec.defstruct(
    "_Experiments",
    [(f"e{index}", msgspec.Raw, ABSENT) for index in range(MAX_EXPERIMENTS)],
    array_like=True,
    forbid_unknown_fields=True,
    gc=False,
)
_LongEnvelope: Final = msgspec.defstruct(
    "_LongEnvelope",
    [("experiments", _Experiments | None, None), ("experiements", _Experiments | None, None)],
)
#: A program that is longer could have more experiments than are taken.
_SHORT: Final = 2 * MAX_EXPERIMENTS


class Declared(msgspec.Struct, frozen=True):
    """What a header declares; it belongs to the user, so that anything may stand there (see `count`)."""

    n_qubits: Any = None
    memory_slots: Any = None
    global_phase: Any = None


class _Headed(Protocol):
    """An experiment of any type."""

    @property
    def header(self) -> msgspec.Raw:
        """JSON object that the result repeats unchanged."""


_Wire = TypeVar("_Wire", bound=_Headed)


class _WireExperiment(msgspec.Struct, frozen=True):
    instructions: tuple[Instruction, ...]
    header: msgspec.Raw = msgspec.Raw(b"{}")
    config: Config | None = None


_envelope_decoder = msgspec.json.Decoder(_WireEnvelope)
_long_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_LongEnvelope)
_experiment_decoder = msgspec.json.Decoder(_WireExperiment)
_header_decoder = msgspec.json.Decoder(Declared)
_document_decoder: msgspec.json.Decoder[dict[str, Any] | None] = msgspec.json.Decoder(dict[str, Any] | None)


def decode_envelope(body: bytes | bytearray | memoryview) -> Envelope:
    """Read the outer part of a Qobj.

    Raises:
        errors.Invalid: Code 8000; the message names the field that is missing or wrong.
    """
    try:
        if len(body) > _SHORT:
            _long_decoder.decode(body)
        wire = _envelope_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"The program is not a Qobj: {readable(error)}.", 8000) from error
    kind = None if isinstance(wire.type, bool) else _TYPES.get(wire.type)
    if kind is None:
        raise errors.Invalid(f"The Qobj's `type` is {wire.type!r}; it must be 'QASM' or 'PULSE'.", 8000)
    shots = wire.config.shots if wire.config is not None else None
    if shots is not None and not 1 <= shots <= MAX_SHOTS:
        raise errors.Invalid(f"The Qobj asks for {shots} shots; {ENOUGH_SHOTS}.", 8006)
    experiments = _experiments(wire)
    return Envelope(
        qobj_id=wire.qobj_id,
        type=kind,
        schema_version=wire.schema_version or "",
        header=_object(wire.header, "header"),
        config=wire.config or Config(),
        experiments=experiments,
    )


def _experiments(wire: _WireEnvelope) -> list[msgspec.Raw]:
    experiments = wire.experiments if wire.experiments is not None else wire.experiements
    if experiments is None:
        raise errors.Invalid("The Qobj has no `experiments`.", 8000)
    if not experiments:
        raise errors.Invalid(f"The Qobj has 0 experiments; it must have 1 to {MAX_EXPERIMENTS}.", 8000)
    for index, experiment in enumerate(experiments):
        if _first(experiment) != b"{":
            raise errors.Invalid(f"`experiments[{index}]` of the Qobj is not an object.", 8000)
    return experiments


def decoded(decoder: msgspec.json.Decoder[_Wire], raw: msgspec.Raw, index: int) -> tuple[_Wire, msgspec.Raw, Declared]:
    """Read one experiment of any type.

    Args:
        decoder: Of its type.
        raw: The experiment's JSON.
        index: Its place in the program, for messages.

    Returns:
        The experiment, its header, and what that declares.

    Raises:
        errors.ProgramRefused: Code 8000; the message names the experiment and the field.
    """
    try:
        wire = decoder.decode(raw)
        header = _object(wire.header, "header")
        return wire, header, _header_decoder.decode(header)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise errors.ProgramRefused(f"Experiment {index}: {readable(error)}.", 8000) from error
    except errors.Invalid as error:
        raise errors.ProgramRefused(f"Experiment {index}: {error.message}", 8000) from error


def decode_experiment(raw: msgspec.Raw, index: int) -> Experiment:
    """Read one QASM experiment.

    Args:
        raw: The experiment's JSON.
        index: Its place in the program, for messages.

    Raises:
        errors.ProgramRefused: Code 8000; the message names the experiment and the field.
    """
    wire, header, declared = decoded(_experiment_decoder, raw, index)
    return Experiment(
        instructions=wire.instructions,
        header=header,
        config=wire.config or Config(),
        n_qubits=count(declared.n_qubits),
        memory_slots=count(declared.memory_slots),
        global_phase=_phase(declared.global_phase),
    )


def merged(common: Config, own: Config) -> Config:
    """The settings of one experiment: its own where given, else those of the program."""
    settings = msgspec.structs.asdict(own)
    changes = {name: value for name, value in settings.items() if value is not None and value != ABSENT}
    return msgspec.structs.replace(common, **changes) if changes else common


def document(raw: msgspec.Raw) -> dict[str, Any]:
    """Decode a document of the settings; empty if it was left out.

    Raises:
        errors.ProgramRefused: Code 8000: it is not an object.
    """
    try:
        return _document_decoder.decode(raw) or {}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise errors.ProgramRefused(f"A document of the settings is wrong: {readable(error)}.", 8000) from error


def shots(envelope: Envelope) -> int:
    """Shots of each experiment that does not say otherwise."""
    return envelope.config.shots or DEFAULT_SHOTS


def number(value: int | str) -> int:
    """Read a bit mask or a value, which clients write as an integer or as a hexadecimal string.

    Raises:
        ValueError: Neither of them, or negative.
    """
    result = int(value, 16) if isinstance(value, str) else value
    if result < 0:
        raise ValueError(f"{value!r} is negative")
    return result


def slots(value: tuple[int, ...] | int | None) -> tuple[int, ...]:
    """A list of slots, however the client wrote it."""
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else value


def _object(raw: msgspec.Raw, name: str) -> msgspec.Raw:
    """Take JSON for an object, empty if it is left out or null.

    Raises:
        errors.Invalid: Code 8000: it is something else.
    """
    start = _first(raw)
    if start in {b"", b"n"}:
        return msgspec.Raw(b"{}")
    if start != b"{":
        raise errors.Invalid(f"`{name}` is not an object.", 8000)
    return raw


def _first(raw: msgspec.Raw) -> bytes:
    return bytes(memoryview(raw)[:1])


def count(value: object) -> int | None:
    """A number that a header declares; headers belong to the user, so nonsense there is not an error."""
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INDEX
    return value if good and isinstance(value, int) else None


def _phase(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return 0.0


def readable(error: Exception) -> str:
    """What a decoder found wrong, without a full stop."""
    if isinstance(error, RecursionError):
        return "its values are nested too deeply"
    if f"at most length {MAX_EXPERIMENTS}" in str(error):
        return f"it has more than {MAX_EXPERIMENTS} experiments"
    return str(error).replace(" - at `$", " at `").removesuffix(".")
