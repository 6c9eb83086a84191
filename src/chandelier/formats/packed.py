# SPDX-License-Identifier: Apache-2.0
"""Bytes and arrays as they travel inside JSON: base64, zlib and NumPy's file format, unpacked under limits.

Everything here is untrusted when it comes in. A few kilobytes of zlib can stand for gigabytes, so what a document
unpacks is counted against one allowance for the whole document; the header of an array is matched against one
pattern and never evaluated.
"""

import binascii
import math
import re
import zlib
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from chandelier import errors

#: Bytes that one document may become once everything in it is unpacked.
MOST_UNPACKED: Final = 1 << 28
#: NumPy allows no more axes.
MOST_AXES: Final = 32

#: A shape.
Axes = Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=2**31)], ...], msgspec.Meta(max_length=MOST_AXES)]

#: The element types that are read, by the name that NumPy gives them without the order of their bytes.
_DTYPES: Final = frozenset({
    "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16",
})  # fmt: skip

_MAGIC: Final = b"\x93NUMPY"
#: The length of the header: its bytes on the wire, by the version of the format.
_LENGTHS: Final = {1: 2, 2: 4}
_HEADER: Final = re.compile(
    rb"\{\s*'descr':\s*'(?P<order>[<>|=]?)(?P<kind>[a-z]\d{1,2})',\s*'fortran_order':\s*(?P<fortran>True|False),"
    rb"\s*'shape':\s*\((?P<shape>[0-9, ]{0,400})\),?\s*\}\s*"
)

#: What is compressed to find out whether compression is worth its time, bytes.
_SAMPLE: Final = 1 << 16
#: Data that a sample says shrink to no less than this part of their size are stored as they are.
_WORTHWHILE: Final = 0.9


class Allowance:
    """What a document may still unpack.

    Attributes:
        left: Bytes.
    """

    def __init__(self, left: int = MOST_UNPACKED) -> None:
        self.left = left

    def spend(self, amount: int, where: str) -> None:
        """Take bytes from what is left.

        Raises:
            errors.ProgramRefused: Code 8034: there are not so many left.
        """
        if amount > self.left:
            raise errors.ProgramRefused(
                f"{where} takes the program over the {MOST_UNPACKED >> 20} MiB that it may have once its circuits and"
                " arrays are unpacked. Split the job.",
                8034,
            )
        self.left -= amount


def unpack(text: object, where: str, allowance: Allowance, *, compressed: bool = True) -> bytes:
    """Read base64, as a rule of a zlib stream.

    Args:
        text: What stands where base64 should.
        where: Its place in the document, for messages.
        allowance: What the document may still unpack.
        compressed: Whether the bytes are a zlib stream.

    Raises:
        errors.ProgramRefused: Code 8030: it is not base64 or not zlib. Code 8034: it is too large.
    """
    if not isinstance(text, str):
        raise errors.ProgramRefused(f"{where} is not a string of base64.", 8030)
    try:
        packed = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise errors.ProgramRefused(f"{where} is not base64.", 8030) from error
    if not compressed:
        allowance.spend(len(packed), where)
        return packed
    return _inflated(packed, where, allowance)


def _inflated(packed: bytes, where: str, allowance: Allowance) -> bytes:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, allowance.left + 1)
    except zlib.error as error:
        raise errors.ProgramRefused(f"{where} is not compressed with zlib.", 8030) from error
    allowance.spend(len(data), where)
    if not stream.eof or stream.unused_data:
        raise errors.ProgramRefused(f"{where} is a zlib stream that does not end where it should.", 8030)
    return data


def pack(data: bytes | memoryview, *, compressed: bool = True) -> str:
    """Write bytes as base64, as a rule of a zlib stream.

    Outcomes of a noisy device hardly shrink and zlib is slow at finding that out, so a sample decides the effort.
    """
    if compressed:
        data = zlib.compress(data, _effort(data))
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _effort(data: bytes | memoryview) -> int:
    if len(data) <= _SAMPLE:
        return -1
    middle = (len(data) - _SAMPLE) // 2
    sample = data[middle : middle + _SAMPLE]
    return 1 if len(zlib.compress(sample, 1)) < _WORTHWHILE * len(sample) else 0


def array(data: bytes, where: str) -> npt.NDArray[Any]:
    """Read an array in NumPy's file format, versions 1 and 2, of numbers or truth values only.

    Returns:
        The array in the byte order of this machine, in C or Fortran order as it was written, not writeable.

    Raises:
        errors.ProgramRefused: Code 8030.
    """
    version = data[6] if data[:6] == _MAGIC and len(data) >= 8 else 0
    width = _LENGTHS.get(version, 0)
    start = 8 + width
    header_end = start + int.from_bytes(data[8:start], "little")
    match = _HEADER.fullmatch(data[start:header_end]) if width else None
    if match is None or match["kind"].decode() not in _DTYPES:
        raise errors.ProgramRefused(f"{where} is not an array of numbers in NumPy's file format.", 8030)
    dtype = np.dtype((match["order"].replace(b"|", b"") + match["kind"]).decode())
    shape = _axes(match["shape"], where)
    body = memoryview(data)[header_end:]
    if math.prod(shape) * dtype.itemsize != len(body):
        raise errors.ProgramRefused(f"{where}: an array of shape {shape} has not {len(body)} bytes.", 8030)
    flat: npt.NDArray[Any] = np.frombuffer(body, dtype).astype(dtype.newbyteorder("="), copy=False)
    return flat.reshape(shape, order="F" if match["fortran"] == b"True" else "C")


def _axes(text: bytes, where: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(b",")]
    if parts[-1] == b"":
        parts.pop()
    good = len(parts) <= MOST_AXES and all(part.isdigit() and len(part) <= 18 for part in parts)
    if not good:
        raise errors.ProgramRefused(f"{where} is an array whose shape cannot be read.", 8030)
    return tuple(int(part) for part in parts)


def file(values: npt.NDArray[Any]) -> bytes:
    """Write an array in NumPy's file format, version 1, little-endian, in C order."""
    dtype = values.dtype.newbyteorder("<")
    data = np.ascontiguousarray(values, dtype).tobytes()
    header = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': {values.shape!r}, }}".encode("ascii")
    filled = header + b" " * (-(len(_MAGIC) + 4 + len(header) + 1) % 64) + b"\n"
    return _MAGIC + b"\x01\x00" + len(filled).to_bytes(2, "little") + filled + data
