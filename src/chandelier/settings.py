# SPDX-License-Identifier: Apache-2.0
"""The whole configuration as one frozen value, read once from a TOML file and from `CHANDELIER_*` variables."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from chandelier import errors

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long things are kept; in `chandelier.toml` the table `[retention]`.

    Attributes:
        deleted_days: Days after its deletion for which a job's program and result are still kept.
    """

    deleted_days: float = 7.0


class FairShare(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The numbers of the fair-share queue; in `chandelier.toml` the table `[fairshare]`.

    Attributes:
        half_life_days: After this time what was used counts half.
        credit_hours: How much device time who comes new, or again, may catch up on others, for each unit of share
            among its siblings.
        max_gap_hours: A project with work that got nothing for this long goes next.
        guard_fraction: Most of a device's time that may go to such projects, 0 to 1.
        guard_burst_hours: Most device time that may be saved up for them.
    """

    half_life_days: float = 9.7
    credit_hours: float = 6.0
    max_gap_hours: float = 2.0
    guard_fraction: float = 0.05
    guard_burst_hours: float = 1.0


class Reservations(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be reserved; in `chandelier.toml` the table `[reservations]`.

    Attributes:
        longest_hours: The longest time that one reservation may keep a device.
        quota_hours: Device time that a hub may reserve in any 28 days, where the operator set nothing else for it.
        idle_minutes: A dedicated reservation is given up when no job of theirs was there for this long.
    """

    longest_hours: float = 24.0
    quota_hours: float = 40.0
    idle_minutes: float = 15.0


class Sessions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long sessions of the Runtime API last; in `chandelier.toml` the table `[sessions]`.

    Attributes:
        usual_hours: From the beginning of the first job, where the client does not say for how long.
        longest_hours: The longest time that a client may ask for.
        idle_seconds: How long a session keeps its device for its next job.
    """

    usual_hours: float = 2.0
    longest_hours: float = 8.0
    idle_seconds: float = 60.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set; each default is safe and works on a laptop.

    A field is set in `chandelier.toml` in the data folder under its name, or by the variable `CHANDELIER_` and its
    name in capitals, which wins.

    Attributes:
        data: Folder of database, objects, secret and operator's token.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        public_url: URL under which clients reach the server, without a path. Empty: taken from each request.
        database_url: Where the database is; empty: SQLite in the data folder. PostgreSQL:
            `postgresql+psycopg://user:password@host/name`.
        workers: Child processes that run jobs; 0 takes one for each processor core.
        max_job_bytes: Largest program that is accepted, in bytes.
        max_pending_jobs: Jobs that one user may have waiting or running on one device; -1 for any number.
        job_memory_bytes: Memory that one job may use.
        job_seconds: Processor time, and wall-clock time, that one job may use, s.
        validation_seconds: The same for opening and checking a program, s.
        url_seconds: How long a signed upload or download URL is valid, s.
        login_failures_per_minute: Wrong passwords allowed for one account, and ten times as many from one address;
            also wrong tokens from one address.
        logins_per_minute: Logins of any outcome allowed for one address.
        stop_seconds: How long running jobs may go on when the server is told to stop, s.
        default_list_limit: Jobs in a list when the client names no number.
        max_list_limit: Most jobs in one list.
        max_filter_jobs: Most jobs that one filtered list may read before it is refused.
        devices: Snapshot for each device to serve, by served name; empty: the default set. As a variable: a JSON
            object.
        drift: `on` or `off`: devices that are added drift and are calibrated each day, or stay as their snapshots.
        log_level: `debug`, `info`, `warning` or `error`.
        retention: How long things are kept. As a variable: `CHANDELIER_RETENTION_` and the name of the field.
        fairshare: The numbers of the fair-share queue. As a variable: `CHANDELIER_FAIRSHARE_` and the name of the
            field.
        reservations: What may be reserved. As a variable: `CHANDELIER_RESERVATIONS_` and the name of the field.
        sessions: How long sessions last. As a variable: `CHANDELIER_SESSIONS_` and the name of the field.
    """

    data: Path = Path("data")
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    database_url: str = ""
    workers: int = 0
    max_job_bytes: int = 64 * 1024 * 1024
    max_pending_jobs: int = 1000
    job_memory_bytes: int = 4 * 1024**3
    job_seconds: float = 600.0
    validation_seconds: float = 60.0
    url_seconds: int = 86400
    login_failures_per_minute: int = 10
    logins_per_minute: int = 600
    stop_seconds: float = 5.0
    default_list_limit: int = 10
    max_list_limit: int = 100
    max_filter_jobs: int = 20000
    devices: dict[str, str] = {}
    drift: str = "on"
    log_level: str = "info"
    retention: Retention = Retention()
    fairshare: FairShare = FairShare()
    reservations: Reservations = Reservations()
    sessions: Sessions = Sessions()

    @property
    def objects_root(self) -> Path:
        """Folder of programs, results and device documents."""
        return self.data / "objects"

    @property
    def secret_file(self) -> Path:
        """File of the secret that signs URLs; mode 0600."""
        return self.data / "secret"

    @property
    def token_file(self) -> Path:
        """File of the operator's API token; mode 0600."""
        return self.data / "operator-token"

    @property
    def address_file(self) -> Path:
        """File that says where the server listens, as long as it does."""
        return self.data / "address"

    @property
    def url_of_database(self) -> str:
        """The database's URL, the default filled in."""
        return self.database_url or f"sqlite:///{self.data.resolve() / 'chandelier.sqlite'}"

    @property
    def runners(self) -> int:
        """How many jobs run at once."""
        return self.workers or os.cpu_count() or 1


def load(overrides: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read file and environment; `overrides` (from the command line) win over both.

    Raises:
        errors.Invalid: A field is unknown or has a wrong type; the message names it and its source.
    """
    variables = os.environ if environment is None else environment  # noqa: TID251  # the one place that reads it
    named = _named(variables, Settings, "CHANDELIER_")
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    folder = Path(given.get("data") or named.get("data") or Settings.__struct_defaults__[0])
    file = folder / "chandelier.toml"
    values: dict[str, Any] = {}
    if file.is_file():
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
            raise errors.Invalid(f"{file} is not TOML: {failure}", 1001) from failure
    from_file = _converted(values, str(file), strict=True)
    from_text = _converted(_unfolded(named), "a CHANDELIER_ variable", strict=False)
    return _checked(msgspec.structs.replace(_laid_over(from_file, from_text, named), **{"data": folder} | given))


def _laid_over(below: _Struct, above: _Struct, named: Mapping[str, Any]) -> _Struct:
    """Return the values of `below`, and those of `above` for the fields that are named; of tables field by field."""
    chosen = {
        name: _laid_over(getattr(below, name), getattr(above, name), fields)
        if isinstance(getattr(below, name), msgspec.Struct)
        else getattr(above, name)
        for name, fields in named.items()
    }
    return msgspec.structs.replace(below, **chosen)


def _named(variables: Mapping[str, str], shape: type[Any], prefix: str) -> dict[str, Any]:
    """Return the fields that variables set, as text; those of a table are within it."""
    named: dict[str, Any] = {}
    for field in msgspec.structs.fields(shape):
        name = f"{prefix}{field.name.upper()}"
        if isinstance(field.default, msgspec.Struct):
            table = _named(variables, field.type, f"{name}_")
            named |= {field.name: table} if table else {}
        elif name in variables:
            named[field.name] = variables[name]
    return named


#: The least that a number may be.
_LEAST: Final[Mapping[str, float]] = {
    "port": 0,
    "workers": 0,
    "max_job_bytes": 1,
    "max_pending_jobs": -1,
    "job_memory_bytes": 1,
    "job_seconds": 0.001,
    "validation_seconds": 0.001,
    "url_seconds": 1,
    "login_failures_per_minute": 1,
    "logins_per_minute": 1,
    "stop_seconds": 0,
    "default_list_limit": 1,
    "max_list_limit": 1,
    "max_filter_jobs": 1,
}
#: Longer than any machine lives, and short enough to reckon with.
_MOST_DAYS: Final = 36500
#: What the numbers of tables may be.
_WITHIN: Final[Mapping[tuple[str, str], tuple[float, float]]] = {
    ("retention", "deleted_days"): (0, _MOST_DAYS),
    ("fairshare", "half_life_days"): (0.001, _MOST_DAYS),
    ("fairshare", "credit_hours"): (0, 24 * _MOST_DAYS),
    ("fairshare", "max_gap_hours"): (0, 24 * _MOST_DAYS),
    ("fairshare", "guard_fraction"): (0, 1),
    ("fairshare", "guard_burst_hours"): (0, 24 * _MOST_DAYS),
    ("reservations", "longest_hours"): (0, 24 * 366),
    ("reservations", "quota_hours"): (0, 24 * _MOST_DAYS),
    ("reservations", "idle_minutes"): (0, 1440 * _MOST_DAYS),
    ("sessions", "usual_hours"): (0.001, 24 * 366),
    ("sessions", "longest_hours"): (0.001, 24 * 366),
    ("sessions", "idle_seconds"): (0, 86400),
}
_SWITCH: Final = ("on", "off")
_LOG_LEVELS: Final = ("debug", "info", "warning", "error")


def _checked(settings: Settings) -> Settings:
    """Return settings whose values make sense together.

    Raises:
        errors.Invalid: One does not; the message names it.
    """
    for name, least in _LEAST.items():
        if getattr(settings, name) < least:
            raise errors.Invalid(f"The setting {name} is {getattr(settings, name)}; it must be {least} or more.", 1001)
    for (table, name), (least, most) in _WITHIN.items():
        value = getattr(getattr(settings, table), name)
        if not least <= value <= most:
            raise errors.Invalid(f"The setting {table}.{name} is {value}; it must be {least} to {most}.", 1001)
    if settings.port > 65535:
        raise errors.Invalid(f"The setting port is {settings.port}; it must be 65535 or less.", 1001)
    if settings.log_level.lower() not in _LOG_LEVELS:
        raise errors.Invalid(
            f"The setting log_level is {settings.log_level!r}; it must be one of {', '.join(_LOG_LEVELS)}.", 1001
        )
    if settings.drift not in _SWITCH:
        raise errors.Invalid(f"The setting drift is {settings.drift!r}; it must be on or off.", 1001)
    url = urlsplit(settings.public_url)
    if settings.public_url and (url.scheme not in {"http", "https"} or not url.netloc or url.path.strip("/")):
        raise errors.Invalid(
            f"The setting public_url is {settings.public_url!r}; it must be like https://cloud.example.org, "
            "without a path.",
            1001,
        )
    return settings


def _converted(values: Mapping[str, Any], source: str, *, strict: bool) -> Settings:
    """Return settings from some values; those that come as text are not `strict` about numbers."""
    try:
        return msgspec.convert(values, Settings, strict=strict, dec_hook=_decode)
    except msgspec.ValidationError as failure:
        raise errors.Invalid(f"A setting in {source} is wrong: {failure}.", 1001) from failure


def _unfolded(named: Mapping[str, str]) -> dict[str, Any]:
    """Read the one variable that holds a table; it is written as JSON."""
    if not named.get("devices"):
        return {name: text for name, text in named.items() if name != "devices"}
    try:
        return {**named, "devices": msgspec.json.decode(named["devices"])}
    except msgspec.DecodeError as failure:
        raise errors.Invalid(f"CHANDELIER_DEVICES is not a JSON object: {failure}.", 1001) from failure


def _decode(kind: type[Any], value: Any) -> Any:
    """Read the one type that is neither number nor text."""
    assert kind is Path
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a path")
    return Path(value)
