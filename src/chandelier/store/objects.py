# SPDX-License-Identifier: Apache-2.0
"""Programs, results and what belongs to them as files: written whole or not at all, reached by URLs that expire."""

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from chandelier import errors

#: `converted` is the Qobj that a job's texts were made into, a picture the drawing of one; both are named by the job.
#: `tunings` are the pulses of devices.
Kind = Literal["programs", "converted", "results", "devices", "tunings", "pictures"]
Method = Literal["GET", "PUT"]

_NAME: Final = re.compile(r"[0-9a-f]{8,64}")
_SUFFIXES: Final[Mapping[Kind, str]] = {
    "programs": ".json",
    "converted": ".json",
    "results": ".json",
    "devices": ".json",
    "tunings": ".json",
    "pictures": ".png",
}


class Objects:
    """A directory of immutable objects.

    Args:
        root: The directory; made if it does not exist.
        secret: Signs URLs.
    """

    def __init__(self, root: Path, secret: bytes) -> None:
        self.root = root
        self._secret = secret
        for kind in (*_SUFFIXES, "incoming"):
            (root / kind).mkdir(parents=True, exist_ok=True)

    def path(self, kind: Kind, name: str) -> Path:
        """Return where an object is, or would be; `name` is lowercase hexadecimal."""
        if not _NAME.fullmatch(name):
            raise errors.NotFound(f"No object is called {name!r}.", 3252)
        return self.root / kind / name[-2:] / f"{name}{_SUFFIXES[kind]}"

    def exists(self, kind: Kind, name: str) -> bool:
        """Tell whether the object is there, whole."""
        return self.path(kind, name).is_file()

    def read(self, kind: Kind, name: str) -> bytes:
        """Return the object's bytes.

        Raises:
            errors.NotFound: There is no such object.
        """
        try:
            return self.path(kind, name).read_bytes()
        except FileNotFoundError:
            raise errors.NotFound(f"The {kind.removesuffix('s')} of {name} is not stored.", 3252) from None

    def put(self, kind: Kind, name: str, content: bytes) -> None:
        """Store an object durably: it is whole on disk when this returns."""
        with self.receive() as upload:
            upload.write(content)
            upload.keep(self.path(kind, name))

    def delete(self, kind: Kind, name: str) -> None:
        """Remove an object, if it is there."""
        self.path(kind, name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def receive(self) -> "Iterator[Upload]":
        """Open a temporary file for bytes that arrive; it vanishes unless kept."""
        upload = Upload(self.root / "incoming" / secrets.token_hex(12))
        try:
            yield upload
        finally:
            upload.discard()

    def adopt(self, kind: Kind, name: str, written: Path) -> None:
        """Make a file that somebody wrote and synced (a child process) the object of this name."""
        _move(written, self.path(kind, name))

    def incoming(self, name: str) -> Path:
        """Return a path where somebody else may write what is to be adopted."""
        return self.root / "incoming" / name

    def sweep(self, older_than_seconds: float) -> int:
        """Remove what arrived and was never kept; return how many files."""
        limit = time.time() - older_than_seconds
        removed = 0
        for path in (self.root / "incoming").iterdir():
            with contextlib.suppress(FileNotFoundError):  # kept, or given up, since it was listed
                if path.stat().st_mtime < limit:
                    path.unlink()
                    removed += 1
        return removed

    def sign(self, method: Method, kind: Kind, name: str, expires: int) -> str:
        """Return the query string that allows one method on one object until `expires` (seconds since 1970)."""
        return f"expires={expires}&signature={self._signature(method, kind, name, expires)}"

    def verify(self, method: str, kind: str, name: str, expires: str, signature: str) -> None:
        """Check what `sign` made.

        Raises:
            errors.Forbidden: The signature is not ours, is for something else, or has expired.
        """
        moment = int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 13 else 0
        expected = self._signature(method, kind, name, moment)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise errors.Forbidden("The signature of this URL is not valid. Ask the API for a new URL.", 2004)
        if moment < time.time():
            raise errors.Forbidden("This URL has expired. Ask the API for a new one.", 2004)

    def _signature(self, method: str, kind: str, name: str, expires: int) -> str:
        text = "\n".join((method, kind, name, str(expires)))
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


class Upload:
    """A file that is being written; kept under its name when it is whole, discarded otherwise.

    Raises:
        errors.Unavailable: From every method but `discard`: the disk is full, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        with _translated():
            self._file = path.open("xb")

    def write(self, chunk: bytes) -> None:
        """Add bytes at the end."""
        with _translated():
            self._file.write(chunk)
        self.size += len(chunk)

    def keep(self, target: Path) -> None:
        """Sync to disk and rename to `target`; an object of that name is replaced whole."""
        with _translated():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            _move(self.path, target)

    def discard(self) -> None:
        """Remove the file unless it was kept."""
        with contextlib.suppress(OSError):
            self._file.close()  # which may find the disk full once more
        self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn a disk that cannot be written into `errors.Unavailable`."""
    try:
        yield
    except OSError as failure:
        raise errors.Unavailable(
            f"The server cannot store this: {failure.strerror}. Try again later.", 1008
        ) from failure


def _move(source: Path, target: Path) -> None:
    """Rename durably: the directory's entry is synced too."""
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        _sync(target.parent.parent)
    source.replace(target)
    _sync(target.parent)


def _sync(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
