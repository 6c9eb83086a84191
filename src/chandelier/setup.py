# SPDX-License-Identifier: Apache-2.0
"""A cloud's data folder: made, opened, and given its first users."""

import os
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from chandelier import acts, devices, errors, migrations, store
from chandelier.devices import Device
from chandelier.formats import rosters, simulators, snapshots
from chandelier.jobs.sessions import Terms as SessionTerms
from chandelier.scheduling.reservations import Terms
from chandelier.settings import Settings
from chandelier.store import Store, Transaction
from chandelier.tenancy import audit, grants, members, network, users
from chandelier.tenancy.network import Place, ProjectId, Spot
from chandelier.tenancy.users import User

_SECRET_BYTES: Final = 32

#: Wrong lines of a roster that are told; the others are counted.
_FAULTS_TOLD: Final = 5

_DEVICE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Made(msgspec.Struct, frozen=True):
    """What `initialise` found or made.

    Attributes:
        token: The operator's API token, from its file.
    """

    operator: User
    token: str
    place: Place


class Newcomer(msgspec.Struct, frozen=True):
    """Somebody of a roster who can be imported.

    Attributes:
        line: Where in the roster they are.
        password_hash: Of a new account; None allows tokens only.
    """

    line: int
    email: str
    name: str
    password_hash: str | None


class Enrolled(msgspec.Struct, frozen=True):
    """Somebody who was imported.

    Attributes:
        token: The text of a new API token, which is never seen again; None if they got none.
        created: The account is new.
        joined: They were no member before.
    """

    user: User
    token: str | None
    created: bool
    joined: bool


def terms(settings: Settings) -> Terms:
    """Return what reservations may be, in the units that are worked with."""
    chosen = settings.reservations
    return Terms(3600 * chosen.longest_hours, 3600 * chosen.quota_hours, 60 * chosen.idle_minutes)


def session_terms(settings: Settings) -> SessionTerms:
    """Return how long sessions last, in the units that are worked with."""
    chosen = settings.sessions
    return SessionTerms(3600 * chosen.usual_hours, 3600 * chosen.longest_hours, chosen.idle_seconds)


def open_store(settings: Settings) -> Store:
    """Open database and objects of a data folder that `initialise` has made.

    Raises:
        errors.Unavailable: The folder has not been initialised.
    """
    try:
        secret = bytes.fromhex(settings.secret_file.read_text(encoding="ascii"))
    except (FileNotFoundError, NotADirectoryError):
        raise errors.Unavailable(
            f"{settings.data.absolute()} is not a data folder yet. "
            f"Run: chandelier init --data {settings.data.absolute()}",
            1008,
        ) from None
    except (OSError, ValueError) as failure:
        raise errors.Unavailable(
            f"{settings.secret_file} cannot be read: {failure}. Restore it from a backup.", 1008
        ) from failure
    if len(secret) < _SECRET_BYTES:
        raise errors.Unavailable(f"{settings.secret_file} is cut short. Restore it from a backup.", 1008)
    return store.open_store(settings.url_of_database, settings.objects_root.resolve(), secret)


def initialise(settings: Settings, email: str, now: datetime) -> Made:
    """Make what a cloud needs in its data folder; leave alone what is there.

    Args:
        email: Address of the operator's account, if there is none yet.

    Raises:
        errors.Unavailable: The folder cannot be written, or a device's snapshot is missing.
    """
    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not settings.secret_file.exists():
            write_private(settings.secret_file, secrets.token_hex(_SECRET_BYTES))
        opened = open_store(settings)
    except FileExistsError as failure:
        raise errors.Unavailable(
            f"The data folder {settings.data} cannot be written: it is a file. Choose another with --data.", 1008
        ) from failure
    except OSError as failure:
        raise errors.Unavailable(
            f"The data folder {settings.data} cannot be written ({failure.strerror}). "
            "Choose another with --data, or change its permissions.",
            1008,
        ) from failure
    try:
        migrations.upgrade(opened)
        _install_devices(opened, settings, now)
        return _make_operator(opened, settings, email, now)
    except OSError as failure:
        raise errors.Unavailable(f"{settings.data} cannot be written ({failure.strerror}).", 1008) from failure
    finally:
        opened.close()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; there is never half of it."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def add_user(
    opened: Store,
    email: str,
    now: datetime,
    *,
    name: str = "",
    password: str | None = None,
    home: Callable[[Transaction], Spot | None] | None = None,
    who: str = "setup",
) -> tuple[User, str]:
    """Add an account, a member of a project and of what its address was invited to; return it and its API token.

    Args:
        home: Returns the project; that is the default one unless given, and may be none.
        who: Adds it, as the audit log names them.

    Raises:
        errors.Invalid: The address is not one, or the password is too short.
        errors.Conflict: The address has an account.
    """
    password_hash = None if password is None else users.hash_password(password)

    def work(tx: Transaction) -> tuple[User, str]:
        by = audit.By(who, now)
        project = network.ensure_default(tx, now).spot if home is None else home(tx)
        user = users.create(tx, email, now, name=name, password_hash=password_hash)
        text, token = users.issue(tx, user.id, "api", now, name="first")
        audit.write(tx, who, "user.add", None, now, after={"email": user.email, "name": user.name, "token": token.id})
        acts.welcome(tx, by, user)
        if project is not None:
            acts.join(tx, by, project, user)
        return user, text

    return opened.write(work)


def prepare_members(opened: Store, roster: Sequence[rosters.Entry], step: Callable[[], None]) -> list[Newcomer]:
    """Check a roster and hash its passwords, for those that have no account yet.

    Args:
        step: Called once for each entry, when it is done.

    Raises:
        errors.Invalid: With the numbers of all lines that are wrong: no address, an address twice, a password that is
            too short, or the address of an operator or administrator, or of who is invited to be one, whose token is
            not to be handed out.
    """
    known = opened.read(lambda tx: users.find_all_by_email(tx, [entry.email for entry in roster]))
    administrators, invited = opened.read(lambda tx: (members.administrators(tx), members.invited_administrators(tx)))
    _refuse(_faults(roster, known, administrators, invited))

    def prepared(entry: rosters.Entry) -> Newcomer:
        email = users.address(entry.email)
        password = None if email in known else entry.password
        newcomer = Newcomer(entry.line, email, entry.name, None if password is None else users.hash_password(password))
        step()
        return newcomer

    with ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="hashing") as threads:
        return list(threads.map(prepared, roster))


def import_members(
    tx: Transaction,
    by: audit.By,
    project: Spot,
    people: Iterable[Newcomer],
    *,
    new_tokens: bool = False,
    step: Callable[[], None] = lambda: None,
) -> list[Enrolled]:
    """Make all of some people members of a project, those without an account after making it with an API token.

    Args:
        new_tokens: Give those who had an account another token too.
        step: Called once for each of the people, when they are done; what it raises ends the import.

    Raises:
        errors.Conflict: Somebody's account is made at the same moment.
        errors.Invalid: Somebody became an operator or administrator, or is invited to be one, since they were prepared.
    """
    listed = list(people)
    known = users.find_all_by_email(tx, [each.email for each in listed])
    administrators = members.administrators(tx)
    there = {member.id for member in members.list_(tx, project) if not member.invited}
    enrolled: list[Enrolled] = []
    faults: list[str] = []
    for each in listed:
        account = known.get(each.email)
        if account is None:
            user, spots = _add_account(tx, by, each)
            faults += [_invited(each.line, each.email, spot) for spot in spots if spot.level != "project"][:1]
        else:
            user = account
            faults += [_administers(each.line, each.email)] if _has_rank(account, administrators) else []
        joins = user.id not in there
        members.join(tx, ProjectId(project.node.id), user.id, by.now)
        text = None
        if account is None or new_tokens:
            text, _ = users.issue(tx, user.id, "api", by.now, name=project.path)
        enrolled.append(Enrolled(user, text, account is None, joins))
        step()
    _refuse(faults)
    _write_import(tx, by, project, enrolled)
    return enrolled


def _write_import(tx: Transaction, by: audit.By, project: Spot, enrolled: Iterable[Enrolled]) -> None:
    facts = {
        "accounts": [each.user.email for each in enrolled if each.created],
        "joined": [each.user.email for each in enrolled if each.joined],
        "tokens": [each.user.email for each in enrolled if each.token is not None],
    }
    if any(facts.values()):
        audit.write(tx, by.who, "member.import", project, by.now, after=facts)


def _add_account(tx: Transaction, by: audit.By, person: Newcomer) -> tuple[User, list[Spot]]:
    """Add an account and return it, and the nodes in which it has the roles that its address was invited to."""
    user = users.create(tx, person.email, by.now, name=person.name, password_hash=person.password_hash)
    return user, acts.welcome(tx, by, user)


def _refuse(faults: Sequence[str]) -> None:
    """Refuse an import if something is wrong with its roster.

    Raises:
        errors.Invalid: Something is.
    """
    if faults:
        more = f" And {len(faults) - _FAULTS_TOLD} more." if len(faults) > _FAULTS_TOLD else ""
        raise errors.Invalid(f"Nothing is imported. {' '.join(faults[:_FAULTS_TOLD])}{more}", 1001)


def _faults(
    roster: Iterable[rosters.Entry],
    known: Mapping[str, User],
    administrators: Collection[str],
    invited: Mapping[str, Spot],
) -> list[str]:
    """Return a sentence for each line of a roster that is wrong."""
    faults: list[str] = []
    lines: dict[str, int] = {}
    for entry in roster:
        try:
            rosters.check(entry.email)
            email = users.address(entry.email)
            if entry.password is not None:
                users.check_password(entry.password)
        except errors.Invalid as failure:
            faults.append(f"Line {entry.line}: {failure.message}")
            continue
        first = lines.setdefault(email, entry.line)
        if first != entry.line:
            faults.append(f"Line {entry.line}: {email} is in line {first} already.")
        elif email in known and _has_rank(known[email], administrators):
            faults.append(_administers(entry.line, email))
        elif email not in known and email in invited:
            faults.append(_invited(entry.line, email, invited[email]))
    return faults


def _has_rank(user: User, administrators: Collection[str]) -> bool:
    return user.operator or user.id in administrators


def _administers(line: int, email: str) -> str:
    return (
        f"Line {line}: {email} administers something; such a token is not to be handed out. "
        "Leave the line out, and use: chandelier member add."
    )


def _invited(line: int, email: str, spot: Spot) -> str:
    return (
        f"Line {line}: {email} is invited to administer {spot.path}; such a token is not to be handed out. Leave the "
        "line out, and use: chandelier user add; or take the invitation back: "
        f"chandelier member remove {spot.path} {email}."
    )


def add_devices(
    opened: Store, settings: Settings, wanted: Mapping[str, str], now: datetime, *, who: str = "setup"
) -> list[Device]:
    """Serve snapshots under names in the default project; a device that is there gets the new calibration.

    Args:
        wanted: Snapshot for each device, by served name.
        who: Adds them, as the audit log names them.

    Raises:
        errors.Invalid: A name cannot be one, is a simulator's, or stands for another snapshot in the settings.
        errors.Unavailable: There is no such snapshot.
    """
    settled = _served(settings)
    for name, snapshot in wanted.items():
        if settled.get(name, snapshot) != snapshot:
            raise errors.Invalid(
                f"{name} is made from the snapshot {settled[name]}, not {snapshot}. "
                "Choose another name, or change the table `devices` in chandelier.toml.",
                1001,
            )
    drift = settings.drift == "on"
    added = [_install_device(opened, name, snapshot, now, drift=drift) for name, snapshot in wanted.items()]

    def work(tx: Transaction) -> None:
        place = network.ensure_default(tx, now)
        grants.allow(tx, place, [device.id for device in added], now)
        for name, snapshot in wanted.items():
            facts = {"device": name, "snapshot": snapshot, "project": place.path}
            audit.write(tx, who, "device.add", None, now, after=facts)

    opened.write(work)
    return added


def _served(settings: Settings) -> Mapping[str, str]:
    """Return the snapshot of each device that every start of the cloud makes sure of."""
    return settings.devices or snapshots.DEFAULTS


def _install_devices(opened: Store, settings: Settings, now: datetime) -> None:
    for document in simulators.documents():
        devices.install(opened, document, now, now)
    for name, snapshot in _served(settings).items():
        _install_device(opened, name, snapshot, now, drift=settings.drift == "on")


def _install_device(opened: Store, name: str, snapshot: str, now: datetime, *, drift: bool) -> Device:
    if not _DEVICE_NAME.fullmatch(name):
        raise errors.Invalid(
            f"{name!r} cannot be the name of a device: use letters, digits, `_`, `-` and `.`, at most 64.", 1001
        )
    if name in simulators.SIMULATORS:
        raise errors.Invalid(f"{name} is a simulator. Choose another name for the device.", 1001)
    document = snapshots.load(snapshot, name)
    taken = datetime.fromisoformat((document.properties or {})["last_update_date"])
    return devices.install(opened, document, taken.astimezone(UTC), now, drift=drift)


def _make_operator(opened: Store, settings: Settings, email: str, now: datetime) -> Made:
    def work(tx: Transaction) -> tuple[User, Place]:
        place = network.ensure_default(tx, now)
        grants.allow(tx, place, [device.id for device in devices.list_(tx)], now)
        operator = users.find_operator(tx) or users.create(tx, email, now, name="Operator", operator=True)
        members.join(tx, place.project_id, operator.id, now)
        return operator, place

    operator, place = opened.write(work)
    return Made(operator, _operator_token(opened, settings, operator, now), place)


def _operator_token(opened: Store, settings: Settings, operator: User, now: datetime) -> str:
    """Return the token in the operator's file; a new one if the file is missing or this database does not know it."""
    if settings.token_file.exists():
        text = settings.token_file.read_text(encoding="ascii").strip()
        if opened.read(lambda tx: users.holder(tx, text, now)) == operator.id:
            return text

    def work(tx: Transaction) -> str:
        text, _ = acts.issue_token(tx, audit.By("setup", now), operator, "operator's file")
        # The file is written before the commit, so there is never a valid token that nobody knows.
        write_private(settings.token_file, text)
        return text

    return opened.write(work)
