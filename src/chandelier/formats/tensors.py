# SPDX-License-Identifier: Apache-2.0
"""Tensors of the executor and the noise learner: base64 of little-endian numbers in C order, with shape and type.

Truth values are packed into bits, the first in the least significant bit of the first byte.

Source: `ibm_quantum_schemas/common/tensor.py`, classes `TensorModel` and `CompressedTensorModel`.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from chandelier import errors
from chandelier.formats import packed

#: NumPy's name of each type of element, in the byte order of the wire.
DTYPES: Final[Mapping[str, str]] = {
    "bool": "?",
    "c128": "<c16",
    "c64": "<c8",
    "f16": "<f2",
    "f32": "<f4",
    "f64": "<f8",
    "i16": "<i2",
    "i32": "<i4",
    "i64": "<i8",
    "i8": "|i1",
    "u16": "<u2",
    "u32": "<u4",
    "u64": "<u8",
    "u8": "|u1",
}
_NAMES: Final = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor on the wire.

    Attributes:
        data: Base64.
        shape: Its shape.
        dtype: f16 f32 f64 bool i8 i16 i32 i64 u8 u16 u32 u64 c64 c128: the bits of an element.
    """

    data: str
    shape: tuple[int, ...]
    dtype: str


def read(tensor: Tensor, where: str, allowance: packed.Allowance, *, compressed: bool = True) -> npt.NDArray[Any]:
    """Read a tensor.

    Args:
        tensor: As it was sent.
        where: Its place in the document, for messages.
        allowance: What the document may still unpack.
        compressed: Whether its bytes are a zlib stream; the noise learner's are not.

    Raises:
        errors.ProgramRefused: Code 8030: not base64, not zlib, or of another size than its shape says. Code 8034: too
            large.
    """
    if tensor.dtype not in DTYPES:
        raise errors.ProgramRefused(f"{where}: a tensor cannot be of type {tensor.dtype!r:.20}.", 8030)
    if len(tensor.shape) > packed.MOST_AXES or any(axis < 0 for axis in tensor.shape):
        raise errors.ProgramRefused(f"{where}: {tensor.shape!r:.100} is not the shape of a tensor.", 8030)
    data = packed.unpack(tensor.data, where, allowance, compressed=compressed)
    count = math.prod(tensor.shape)
    dtype = np.dtype(DTYPES[tensor.dtype])
    size = -(-count // 8) if tensor.dtype == "bool" else count * dtype.itemsize
    if size != len(data):
        raise errors.ProgramRefused(
            f"{where}: a tensor of shape {tensor.shape!r:.100} and type {tensor.dtype} has {size} bytes, not"
            f" {len(data)}.",
            8030,
        )
    if tensor.dtype == "bool":
        allowance.spend(count, where)
        return (
            np.unpackbits(np.frombuffer(data, np.uint8), count=count, bitorder="little")
            .view(np.bool_)
            .reshape(tensor.shape)
        )
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(tensor.shape)


def write(values: npt.NDArray[Any], *, compressed: bool = True) -> Tensor:
    """Write an array of any shape, order and byte order, of one of the types that tensors have.

    Raises:
        ValueError: It is of another type.
    """
    name = _NAMES.get(values.dtype.newbyteorder("<"))
    if name is None:
        raise ValueError(f"a tensor cannot be of type {values.dtype}")
    if name == "bool":
        data = np.packbits(values.reshape(-1), bitorder="little").tobytes()
    else:
        data = values.astype(DTYPES[name], copy=False).tobytes()
    return Tensor(packed.pack(data, compressed=compressed), values.shape, name)
