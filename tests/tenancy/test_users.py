# SPDX-License-Identifier: Apache-2.0
"""Users and tokens: what is kept of them, when they are good, and when they end."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chandelier import errors
from chandelier.store import Store, Transaction
from chandelier.tenancy import users
from chandelier.tenancy.users import ACCESS_LIFETIME, Token, UserId
from factories import NOW, Town, after

PASSWORD = "correct horse battery staple"
HASH = users.hash_password(PASSWORD)
PATIENCE = 30.0


def api_token(store: Store, user_id: UserId, **details: Any) -> tuple[str, Token]:
    """Issue an API token."""
    return store.write(lambda tx: users.issue(tx, user_id, "api", NOW, **details))


def holder(store: Store, text: str, seconds: float = 0) -> str | None:
    """Return the address of whose access token this is, some time later."""
    user = store.read(lambda tx: users.authenticate(tx, text, after(seconds)))
    return None if user is None else user.email


@pytest.fixture(name="with_password")
def _with_password(store: Store) -> Store:
    store.write(lambda tx: users.create(tx, "Zoe@Example.org ", NOW, name="Zoe Zed", password_hash=HASH))
    return store


def test_a_login_is_known_by_its_token(town: Town) -> None:
    """From an API token to an access token to the user."""
    text, _ = api_token(town.store, town.ann.user_id)
    login = users.login_with_token(town.store, text, NOW)

    assert login.user_id == town.ann.user_id
    assert login.lifetime == ACCESS_LIFETIME
    assert holder(town.store, login.text) == "ann@example.org"


def test_the_kinds_of_tokens_are_not_mixed_up(town: Town) -> None:
    """An API token opens nothing by itself, an access token makes no login."""
    text, _ = api_token(town.store, town.ann.user_id)
    login = users.login_with_token(town.store, text, NOW)

    assert holder(town.store, text) is None
    assert town.store.read(lambda tx: users.holder(tx, text, NOW)) == town.ann.user_id
    assert town.store.read(lambda tx: users.holder(tx, login.text, NOW)) is None
    with pytest.raises(errors.Unauthenticated):
        users.login_with_token(town.store, login.text, NOW)


@pytest.mark.parametrize("text", ["", "0" * 128, "ann@example.org", "\x00", "é" * 10, "' OR 1=1 --", "x" * 100_000])
def test_other_texts_are_no_tokens(town: Town, text: str) -> None:
    """None of them is anybody's, and none breaks anything."""
    assert holder(town.store, text) is None
    with pytest.raises(errors.Unauthenticated) as caught:
        users.login_with_token(town.store, text, NOW)
    assert caught.value.code == 2001


def test_no_token_text_is_in_the_database(sqlite_town: Town, sqlite_url: str) -> None:
    """Who steals the file, with its log, cannot log in; nor can he read a password."""
    store = sqlite_town.store
    store.write(lambda tx: users.create(tx, "zoe@example.org", NOW, password_hash=HASH))
    text, _ = api_token(store, sqlite_town.ann.user_id)
    texts = [
        text,
        users.login_with_token(store, text, NOW).text,
        users.login_with_password(store, "zoe@example.org", PASSWORD, NOW).text,
        PASSWORD,
    ]
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    content = b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))

    assert b"ann@example.org" in content
    for secret in texts:
        assert secret.encode() not in content
        assert secret.upper().encode() not in content
        if secret is not PASSWORD:
            assert bytes.fromhex(secret) not in content


def test_texts_are_long_different_and_harmless_in_urls(town: Town) -> None:
    """At least 256 bits of hexadecimal."""
    texts = {api_token(town.store, town.ann.user_id)[0] for _ in range(5)}
    texts |= {users.login_with_token(town.store, text, NOW).text for text in texts}

    assert len(texts) == 10
    assert all(len(bytes.fromhex(text)) >= 32 for text in texts)


def test_a_login_ends_after_its_lifetime(town: Town) -> None:
    """Not a moment later, and then it is forgotten."""
    text, _ = api_token(town.store, town.ann.user_id)
    login = users.login_with_token(town.store, text, NOW)
    end = ACCESS_LIFETIME.total_seconds()

    assert holder(town.store, login.text, end - 0.001) == "ann@example.org"
    assert holder(town.store, login.text, end) is None
    assert town.store.write(lambda tx: users.forget_expired(tx, after(end - 1))) == 0
    assert town.store.write(lambda tx: users.forget_expired(tx, after(end + 1))) == 1
    assert town.store.read(lambda tx: users.holder(tx, text, after(end + 1))) == town.ann.user_id


def test_an_api_token_may_end_too(town: Town) -> None:
    """If it was given a lifetime."""
    text, _ = api_token(town.store, town.ann.user_id, lifetime=timedelta(hours=1))
    users.login_with_token(town.store, text, after(3599))

    with pytest.raises(errors.Unauthenticated):
        users.login_with_token(town.store, text, after(3600))


def test_revoking_a_token_ends_its_logins_at_once(town: Town) -> None:
    """And no others: neither those of another token nor another user's."""
    first, record = api_token(town.store, town.ann.user_id, name="laptop")
    second, _ = api_token(town.store, town.ann.user_id)
    logins = [users.login_with_token(town.store, text, NOW) for text in (first, first, second)]
    town.store.write(lambda tx: users.revoke(tx, record.id, after(1)))

    assert [holder(town.store, login.text, 2) for login in logins] == [None, None, "ann@example.org"]
    with pytest.raises(errors.Unauthenticated):
        users.login_with_token(town.store, first, after(2))
    users.login_with_token(town.store, second, after(2))


def test_a_token_is_revoked_once(town: Town) -> None:
    """The second time there is no valid one."""
    _, record = api_token(town.store, town.ann.user_id, name="laptop")
    town.store.write(lambda tx: users.revoke(tx, record.id, after(1)))

    for token_id in (record.id, "no such id"):
        with pytest.raises(errors.NotFound) as caught:
            town.store.write(partial(users.revoke, token_id=token_id, now=after(2)))
        assert caught.value.code == 3500
    listed = town.store.read(lambda tx: users.list_tokens(tx, town.ann.user_id))
    assert [(token.name, token.revoked) for token in listed] == [("laptop", after(1))]


class _Paused:
    """A store whose writes stop before they are committed, until they are told to go on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reached, self.go_on = threading.Event(), threading.Event()

    def write(self, work: Callable[[Transaction], Any]) -> Any:
        """Write, with a pause before the commit."""

        def paused(tx: Transaction) -> Any:
            value = work(tx)
            self.reached.set()
            self.go_on.wait(PATIENCE)
            return value

        return self._store.write(paused)


def test_no_login_slips_past_a_revocation(town: Town) -> None:
    """A login that is being committed while its token is revoked is over when both are done."""
    text, record = api_token(town.store, town.ann.user_id)
    paused: Any = _Paused(town.store)
    with ThreadPoolExecutor(2) as threads:
        login = threads.submit(users.login_with_token, paused, text, NOW)
        assert paused.reached.wait(PATIENCE)
        revoking = threads.submit(town.store.write, lambda tx: users.revoke(tx, record.id, after(1)))
        threading.Event().wait(0.2)  # long enough for the revocation to go as far as it can
        paused.go_on.set()
        revoking.result(PATIENCE)

    assert holder(town.store, login.result().text, 2) is None


def test_a_password_logs_in(with_password: Store) -> None:
    """With the address in whatever case, and with blanks around it."""
    login = users.login_with_password(with_password, " ZOE@example.org", PASSWORD, NOW)

    assert holder(with_password, login.text) == "zoe@example.org"


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("zoe@example.org", PASSWORD + " "),
        ("zoe@example.org", ""),
        pytest.param("zoe@example.org", HASH, id="its-hash"),
        ("ann@example.org", PASSWORD),
        ("ann@example.org", "nobody's password"),
        ("nobody@example.org", PASSWORD),
        ("nobody@example.org", "nobody's password"),
        ("", ""),
    ],
)
def test_wrong_logins_are_told_alike(with_password: Store, email: str, password: str) -> None:
    """An unknown address, an account without a password and a wrong password give one and the same answer."""
    with_password.write(lambda tx: users.create(tx, "ann@example.org", NOW))

    with pytest.raises(errors.Unauthenticated) as caught:
        users.login_with_password(with_password, email, password, NOW)
    assert caught.value.code == 2002
    assert caught.value.message == "E-mail address or password is wrong."


def test_passwords_are_hashed_with_salt() -> None:
    """Two hashes of one password differ; a short password is refused."""
    other = users.hash_password(PASSWORD)

    assert other.startswith("$argon2id$")
    assert other != HASH
    with pytest.raises(errors.Invalid):
        users.hash_password("1234567")


def test_an_address_has_one_account(store: Store) -> None:
    """In whatever case it is written."""
    made = store.write(lambda tx: users.create(tx, " Zoe@Example.ORG", NOW))
    with pytest.raises(errors.Conflict) as caught:
        store.write(lambda tx: users.create(tx, "zoe@example.org", NOW))

    assert caught.value.code == 3501
    assert made.email == "zoe@example.org"
    assert store.read(lambda tx: users.find_by_email(tx, "ZOE@example.org ")) == made
    assert store.read(lambda tx: users.get(tx, made.id)) == made


def test_an_address_has_one_account_even_if_two_ask_at_once(store: Store) -> None:
    """The other is told of the conflict, not of a failing database."""

    def create(_: int) -> bool:
        try:
            store.write(lambda tx: users.create(tx, "zoe@example.org", NOW))
        except errors.Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(create, range(16))) == 1


@pytest.mark.parametrize("email", ["", "zoe", "@example.org", "zoe@", "a b@example.org", "a@b@c", "x" * 65 + "@a.org"])
def test_what_is_no_address_is_refused(store: Store, email: str) -> None:
    """Before anything is written."""
    with pytest.raises(errors.Invalid):
        store.write(lambda tx: users.create(tx, email, NOW))


def test_unknown_users_are_not_found(store: Store) -> None:
    """By address quietly, by id with an error."""
    assert store.read(lambda tx: users.find_by_email(tx, "nobody@example.org")) is None
    assert store.read(users.find_operator) is None
    with pytest.raises(errors.NotFound):
        store.read(lambda tx: users.get(tx, "0" * 24))
