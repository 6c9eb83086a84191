# SPDX-License-Identifier: Apache-2.0
"""What `chandelier doctor` looks at, and what to do about what is wrong."""

import os
import shutil
import stat
from collections.abc import Callable

import msgspec

from chandelier import devices, errors, migrations, pools, setup
from chandelier.jobs import counts
from chandelier.settings import Settings
from chandelier.store import Store


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at."""

    subject: str
    good: bool
    message: str


def examine(settings: Settings) -> list[Finding]:
    """Look at everything that a server needs; what cannot be opened hides what lies in it."""
    findings = [_find("data folder", lambda: _folder(settings))]
    findings.append(_find("secret", lambda: _private(settings)))
    if settings.secret_file.is_file():
        try:
            store = setup.open_store(settings)
        except errors.ChandelierError as failure:
            return [*findings, Finding("database", False, failure.message)]
        try:
            findings.append(_find("database", lambda: _database(store)))
            if findings[-1].good:
                findings.append(_find("devices", lambda: _devices(store)))
        finally:
            store.close()
    findings.append(_find("workers", _workers))
    return findings


def _find(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, look())
    except errors.ChandelierError as failure:
        return Finding(subject, False, failure.message)
    except OSError as failure:
        return Finding(subject, False, f"{failure.strerror}: {failure.filename}. Check its permissions.")


def _folder(settings: Settings) -> str:
    if settings.data.is_file():
        raise errors.Unavailable(f"{settings.data} is a file. Choose another folder with --data.", 1008)
    if not settings.data.is_dir():
        raise errors.Unavailable(f"{settings.data} does not exist. Run: chandelier init --data {settings.data}", 1008)
    if not os.access(settings.data, os.W_OK | os.X_OK):
        raise errors.Unavailable(f"{settings.data} cannot be written. Change its owner or permissions.", 1008)
    free = shutil.disk_usage(settings.data).free
    if free < 512 * 1024 * 1024:
        raise errors.Unavailable(f"Only {free // 2**20} MiB are free for {settings.data}. Make room.", 1008)
    return f"{settings.data.resolve()}, {free / 2**30:.1f} GiB free"


def _private(settings: Settings) -> str:
    for path in (settings.secret_file, settings.token_file):
        if not path.is_file():
            raise errors.Unavailable(f"{path} is missing. Run: chandelier init --data {settings.data}", 1008)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise errors.Unavailable(f"{path} can be read by others (mode {mode:o}). Run: chmod 600 {path}", 1008)
    return "secret and operator's token are there, readable by their owner alone"


def _database(store: Store) -> str:
    applied, newest = migrations.applied(store), migrations.newest()
    if applied is None:
        raise errors.Unavailable("The database is empty. Run chandelier init again.", 1008)
    if applied < newest:
        raise errors.Unavailable(
            f"The schema of the database is that of an older release ({applied}; of this one it is {newest}). "
            "The next start of the server brings it up to date.",
            1008,
        )
    if applied > newest:
        raise errors.Unavailable(
            f"The schema of the database is that of a newer release ({applied}; of this one it is {newest}). "
            "Install that release.",
            1008,
        )
    states = store.read(counts.by_state)
    return f"{store.database.url.get_backend_name()}, {sum(states.values())} jobs have not ended"


def _devices(store: Store) -> str:
    known = store.read(devices.list_)
    if not known:
        raise errors.Unavailable("There are no devices. Run chandelier init again.", 1008)
    missing = [device.name for device in known if not store.objects.exists("devices", device.calibration)]
    if missing:
        raise errors.Unavailable(f"The documents of {', '.join(missing)} are missing. Run chandelier init again.", 1008)
    others = [f"{device.name} ({device.state})" for device in known if device.state != "active"]
    return f"{len(known)} known" + (f", all active but {', '.join(others)}" if others else ", all active")


def _workers() -> str:
    pool = pools.open_pool(pools.ENGINE, 1)
    try:
        if not pool.slot(0).ready(timeout=60.0):
            problem = pool.health()[0].problem or "it is not ready after a minute"
            raise errors.Unavailable(f"A worker child does not start: {problem}", 1011)
    finally:
        pool.close()
    return "a worker child starts and is ready"
