# SPDX-License-Identifier: Apache-2.0
"""Transactions that are only tried."""

from threading import Event

import pytest

from chandelier import errors
from chandelier.store import Store, Transaction
from chandelier.tenancy import network
from factories import NOW


def test_a_rehearsal_leaves_nothing_but_its_result(store: Store) -> None:
    """What it wrote is seen inside it and nowhere else, and the bell stays silent."""
    rung = Event()
    store.bell.listen("hub", rung.set)

    def work(tx: Transaction) -> list[str]:
        network.add_hub(tx, "campus", NOW)
        tx.ring("hub")
        return [hub.name for hub in network.hubs(tx)]

    before = store.read(network.hubs)
    seen = store.rehearse(work)

    assert "campus" in seen
    assert store.read(network.hubs) == before
    assert not rung.is_set()
    assert store.write(work) == seen


def test_a_rehearsal_that_fails_says_so(store: Store) -> None:
    """With the failure of what was tried."""

    def work(_tx: Transaction) -> None:
        raise errors.Invalid("Wrong.", 1001)

    with pytest.raises(errors.Invalid, match="Wrong"):
        store.rehearse(work)
