# SPDX-License-Identifier: Apache-2.0
"""What a client gave, made into a struct strictly: a key that is not known is refused by its full name.

Nothing is ignored in silence, for a misspelt option that does nothing costs an evening.
"""

import re
import types
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec
import numpy as np

from chandelier import errors

Known = TypeVar("Known")

_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


#: Options that clients know and that are not done here, by their full name, and why.
REFUSED: Final[Mapping[str, str]] = {
    "bit_flip_checks.post_circuit": "slow pulses are not offered",
    "bit_flip_checks.pre_circuit": "slow pulses are not offered",
    "execution.init_qubits": "every shot begins with all qubits reset; leave it True",
    "init_circuit": "put its instructions at the beginning of each circuit",
    "init_num_resets": "put resets at the beginning of each circuit",
    "init_qubits": "every shot begins with all qubits reset; leave it True",
    "post_selection": "slow pulses are not offered",
    "resilience.layer_noise_model": "learned noise is not used; probabilistic error cancellation and amplification are"
    " not offered",
    "resilience.pec_mitigation": "probabilistic error cancellation is not offered; use `zne_mitigation`",
    "resilience.zne.amplifier": "probabilistic error amplification (`pea`) is not offered; use one of `gate_folding`,"
    " `gate_folding_front` and `gate_folding_back`",
    "simulator.basis_gates": "a device has its own gates",
    "simulator.coupling_map": "a device has its own couplings",
    "simulator.noise_model": "a device has its own noise",
    "skip_transpilation": "circuits are run as they are; transpile them before",
    "use_measure_esp": "measurements with excited-state promotion are not offered",
}


def read(values: Any, kind: type[Known], where: str) -> Known:
    """Make a struct of what a client gave; a null counts as left out, unless the field may be None.

    Args:
        values: As `untagged.decode` left them; None for nothing at all.
        kind: The struct, which forbids unknown fields.
        where: Place of the values in the document, for messages; may be empty.

    Raises:
        errors.ProgramRefused: Code 8031: a key that is not known. Code 8032: a value of another type or out of range.
    """
    try:
        return msgspec.convert(_plain({} if values is None else values, kind), kind)
    except msgspec.ValidationError as error:
        raise refusal(error, kind, where) from error


def decode(body: bytes | bytearray | memoryview | msgspec.Raw, kind: Any, where: str = "") -> Any:
    """Make a struct of a JSON document without tagged values.

    Raises:
        errors.ProgramRefused: Code 8030: it is not JSON. Codes 8031 and 8032: as `read`.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise refusal(error, kind, where) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        reason = "its values are nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise errors.ProgramRefused(f"The params of the job are not JSON: {reason}.", 8030) from error


def one(value: Any, kind: Any, where: str) -> Any:
    """Hold a single value against its type.

    Raises:
        errors.ProgramRefused: Code 8032: it is of another type or out of range.
    """
    try:
        return msgspec.convert(value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value, kind)
    except msgspec.ValidationError as error:
        raise refusal(error, kind, where) from error


def refusal(error: msgspec.ValidationError, kind: Any, where: str) -> errors.ProgramRefused:
    """Say what does not fit a struct, with the full name of the place."""
    message, _, place = str(error).rpartition(" - at `$")
    if not message:
        message, place = str(error), ""
    path = f"{where}{place.removesuffix('`')}".removeprefix(".")
    unknown = _UNKNOWN.fullmatch(message)
    if unknown:
        name = f"{path}.{unknown[1]}".removeprefix(".")
        return errors.ProgramRefused(f"`{name:.200}` is not known here.", 8031)
    choices = _choices(kind, place.removesuffix("`")) if "enum" in message else []
    allowed = f" (allowed: {', '.join(choices)})" if choices else ""
    return errors.ProgramRefused(f"`{path:.200}`: {message:.300}{allowed}.", 8032)


def _choices(kind: Any, place: str) -> list[str]:
    """The words that are allowed at a place of a struct."""
    for name in place.split(".")[1:]:
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)} if _is_struct(kind) else {}
        kind = fields.get(name)
    literals = [kind, *get_args(kind)]
    return [str(word) for literal in literals if get_origin(literal) is Literal for word in get_args(literal)]


def _is_struct(kind: Any) -> bool:
    return hasattr(kind, "__struct_fields__")


def _plain(values: Any, kind: Any) -> Any:
    """The values without arrays, and without the nulls of fields that cannot be None."""
    if isinstance(values, np.ndarray):
        return values.tolist()
    if not isinstance(values, Mapping) or not _is_struct(kind):
        return values
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return {
        key: _plain(value, fields.get(key))
        for key, value in values.items()
        if value is not None or key not in fields or types.NoneType in get_args(fields[key])
    }


def refuse(asked: Mapping[str, bool]) -> None:
    """Refuse options by name.

    Args:
        asked: Full names, and whether something was asked for that is not done here.

    Raises:
        errors.ProgramRefused: Code 8031: one is asked for.
    """
    for name in sorted(asked):
        if asked[name]:
            reason = REFUSED.get(name, "it is not known")
            raise errors.ProgramRefused(f"The option `{name}` cannot be used here: {reason}.", 8031)
