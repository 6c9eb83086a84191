# SPDX-License-Identifier: Apache-2.0
"""Objects: written whole or not at all, found by harmless names only, reached by signed URLs."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier import errors
from chandelier.store.objects import Kind, Method, Objects

SECRET = b"a secret for tests, 32 bytes long"
NAME = "0123456789abcdef01234567"
FUTURE = 4_000_000_000

methods = st.sampled_from(["GET", "PUT"])
kinds = st.sampled_from(["programs", "results", "devices"])
names = st.text("0123456789abcdef", min_size=8, max_size=64)


@pytest.fixture(name="objects")
def _objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "objects", SECRET)


def files(objects: Objects) -> list[Path]:
    """Return every file that there is."""
    return sorted(path for path in objects.root.rglob("*") if path.is_file())


def query(signed: str) -> tuple[str, str]:
    """Return `expires` and `signature` of a signed query string."""
    values = parse_qs(signed)
    return values["expires"][0], values["signature"][0]


def test_what_is_put_can_be_read(objects: Objects) -> None:
    """Byte for byte, under its kind and name only."""
    objects.put("programs", NAME, b"\x00program\xff")

    assert objects.read("programs", NAME) == b"\x00program\xff"
    assert objects.exists("programs", NAME)
    assert not objects.exists("results", NAME)
    assert files(objects) == [objects.path("programs", NAME)]


def test_what_is_not_there_is_not_found(objects: Objects) -> None:
    """Reading tells it with a code; deleting does not mind."""
    with pytest.raises(errors.NotFound) as caught:
        objects.read("results", NAME)
    objects.delete("results", NAME)

    assert caught.value.code == 3252


def test_what_is_deleted_is_gone(objects: Objects) -> None:
    """And may be put again."""
    objects.put("results", NAME, b"1")
    objects.delete("results", NAME)
    assert not objects.exists("results", NAME)

    objects.put("results", NAME, b"2")
    assert objects.read("results", NAME) == b"2"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../../../../etc/passwd",
        "..%2f..%2fsecret",
        "/etc/passwd",
        "0123456",
        "0" * 65,
        "0123456789ABCDEF",
        "0123456789abcde/",
        "0123456789abcdef.json",
        "0123456789abcdef\n",
        "0123456789abcdef\x00",
        "01234567é",
        "٠١٢٣٤٥٦٧٨٩",
    ],
)
def test_other_names_than_hexadecimal_ones_are_not_found(objects: Objects, name: str) -> None:
    """Nothing that a client sends leads out of the folder."""
    for attempt in (objects.path, objects.exists, objects.read, objects.delete):
        with pytest.raises(errors.NotFound):
            attempt("programs", name)
    with pytest.raises(errors.NotFound):
        objects.put("programs", name, b"")

    assert files(objects) == []


@given(name=st.text())
def test_every_path_is_inside_the_folder_of_its_kind(tmp_path: Path, name: str) -> None:
    """For whatever text, or there is none."""
    objects = Objects(tmp_path / "objects", SECRET)
    try:
        path = objects.path("results", name)
    except errors.NotFound:
        return

    assert path.parent.parent == tmp_path / "objects" / "results"


def test_an_upload_that_is_not_kept_leaves_nothing(objects: Objects) -> None:
    """Neither when it is given up nor when it fails."""
    with objects.receive() as upload:
        upload.write(b"half of")

    def break_off() -> None:
        with objects.receive() as upload:
            upload.write(b"half of")
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        break_off()

    assert files(objects) == []


def test_an_upload_is_not_visible_before_it_is_kept(objects: Objects) -> None:
    """And a repeated one replaces the first in one go."""
    objects.put("programs", NAME, b"first")
    with objects.receive() as upload:
        upload.write(b"sec")
        assert objects.read("programs", NAME) == b"first"
        upload.write(b"ond")
        assert upload.size == 6
        upload.keep(objects.path("programs", NAME))

    assert objects.read("programs", NAME) == b"second"
    assert files(objects) == [objects.path("programs", NAME)]


def test_a_killed_writer_leaves_no_half_object(objects: Objects) -> None:
    """A process that dies in the middle of an upload leaves what was there, and a scrap that is swept up later."""
    objects.put("programs", NAME, b"whole")
    script = (
        "import sys, time; from pathlib import Path; from chandelier.store.objects import Objects\n"
        "with Objects(Path(sys.argv[1]), b'').receive() as upload:\n"
        "    upload.write(b'x' * 100_000); upload._file.flush(); print('half', flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(objects.root)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
    assert objects.read("programs", NAME) == b"whole"
    assert len(files(objects)) == 2

    assert objects.sweep(older_than_seconds=3600) == 0
    assert objects.sweep(older_than_seconds=-1) == 1
    assert files(objects) == [objects.path("programs", NAME)]


def test_readers_never_see_a_part(objects: Objects) -> None:
    """While one writer replaces an object again and again."""
    contents = [bytes([number]) * 50_000 for number in range(20)]
    objects.put("programs", NAME, contents[0])
    done = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not done.is_set():
            seen.add(objects.read("programs", NAME))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for content in contents:
        objects.put("programs", NAME, content)
    done.set()
    for reader in readers:
        reader.join(30)

    assert seen <= set(contents)


def test_a_file_that_somebody_else_wrote_is_adopted(objects: Objects) -> None:
    """As children of the pool write results."""
    written = objects.incoming("feed")
    written.write_bytes(b"{}")
    objects.adopt("results", NAME, written)

    assert objects.read("results", NAME) == b"{}"
    assert not written.exists()
    with pytest.raises(FileNotFoundError):
        objects.adopt("results", NAME, written)
    assert objects.read("results", NAME) == b"{}"


def test_sweeping_tolerates_files_that_vanish(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload may be kept between listing and removing."""
    objects.incoming("feed").write_bytes(b"")
    real = Path.iterdir

    def listed(folder: Path) -> list[Path]:
        return [*real(folder), folder / "vanished"]

    monkeypatch.setattr(Path, "iterdir", listed)

    assert objects.sweep(older_than_seconds=-1) == 1


@given(method=methods, kind=kinds, name=names)
def test_what_was_signed_is_verified(tmp_path: Path, method: Method, kind: Kind, name: str) -> None:
    """Whatever it is for."""
    objects = Objects(tmp_path / "objects", SECRET)

    objects.verify(method, kind, name, *query(objects.sign(method, kind, name, FUTURE)))


@given(signed=st.tuples(methods, kinds, names), asked=st.tuples(methods, kinds, names))
def test_a_signature_is_good_for_one_thing_only(
    tmp_path: Path, signed: tuple[Method, Kind, str], asked: tuple[Method, Kind, str]
) -> None:
    """Not for another method, kind or name."""
    objects = Objects(tmp_path / "objects", SECRET)
    proof = query(objects.sign(*signed, FUTURE))
    if signed == asked:
        return

    with pytest.raises(errors.Forbidden) as caught:
        objects.verify(*asked, *proof)
    assert caught.value.code == 2004


def test_a_signature_ends(objects: Objects) -> None:
    """And the moment of its end cannot be moved."""
    past = int(time.time()) - 1
    expires, signature = query(objects.sign("GET", "results", NAME, past))

    with pytest.raises(errors.Forbidden, match="expired"):
        objects.verify("GET", "results", NAME, expires, signature)
    with pytest.raises(errors.Forbidden, match="not valid"):
        objects.verify("GET", "results", NAME, str(FUTURE), signature)


def test_another_secret_signs_nothing(objects: Objects, tmp_path: Path) -> None:
    """A signature of another installation is forged."""
    other = Objects(tmp_path / "other", b"another secret of another cloud ...")

    with pytest.raises(errors.Forbidden):
        objects.verify("GET", "results", NAME, *query(other.sign("GET", "results", NAME, FUTURE)))


@given(
    method=st.text(),
    kind=st.text(),
    name=st.text(),
    expires=st.text() | st.from_regex(r"[0-9]+", fullmatch=True),
    signature=st.text(st.characters()),
)
def test_strange_signatures_are_forbidden(
    tmp_path: Path, method: str, kind: str, name: str, expires: str, signature: str
) -> None:
    """Whatever text is sent, the answer is the same refusal."""
    objects = Objects(tmp_path / "objects", SECRET)

    with pytest.raises(errors.Forbidden):
        objects.verify(method, kind, name, expires, signature)


@pytest.mark.parametrize("expires", ["", "-1", "1e99", "4000000000.0", " 4000000000", "４０００", "9" * 400])
def test_strange_ends_are_forbidden(objects: Objects, expires: str) -> None:
    """Even where Python would read a number."""
    _, signature = query(objects.sign("GET", "results", NAME, FUTURE))

    with pytest.raises(errors.Forbidden):
        objects.verify("GET", "results", NAME, expires, signature)


@pytest.mark.parametrize("part", ["expires", "signature"])
def test_a_changed_character_is_noticed(objects: Objects, part: Literal["expires", "signature"]) -> None:
    """One is enough, anywhere."""
    good = dict(zip(("expires", "signature"), query(objects.sign("PUT", "programs", NAME, FUTURE)), strict=True))
    for place in range(len(good[part])):
        changed = "1" if good[part][place] != "1" else "2"
        bad = good | {part: good[part][:place] + changed + good[part][place + 1 :]}
        with pytest.raises(errors.Forbidden):
            objects.verify("PUT", "programs", NAME, bad["expires"], bad["signature"])


def test_a_full_disk_is_told_and_leaves_nothing(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller hears that the server cannot store, and there is no half of an object."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(errors.Unavailable, match="No space left"):
        objects.put("programs", NAME, b"{}")

    assert files(objects) == []
