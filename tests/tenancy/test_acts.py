# SPDX-License-Identifier: Apache-2.0
"""Acts that read what they change."""

import pytest

from chandelier import acts, errors
from chandelier.acts import Terms
from chandelier.store import Transaction
from chandelier.tenancy import grants
from chandelier.tenancy.audit import By
from chandelier.tenancy.grants import Grant, Limits
from factories import NOW, Town

ROOT = By("root@example.org", NOW)


@pytest.mark.parametrize("withdrawing", [False, True], ids=["grant", "withdraw"])
def test_nobody_else_changes_a_grant_that_is_read_to_be_changed(
    crowded: Town, impatient: Town, withdrawing: bool
) -> None:
    """Between the look at what was set and the writing of what is to hold, where several write."""
    spot, device = crowded.annex.spot, crowded.hidden

    def other(tx: Transaction) -> None:
        if withdrawing:
            acts.withdraw(tx, ROOT, spot, device)
        else:
            acts.grant(tx, ROOT, spot, device, lambda _: (7, Limits()))

    def terms(known: Grant | None) -> Terms:
        with pytest.raises(errors.Unavailable, match="lock timeout"):
            impatient.store.write(other)
        assert known is not None
        return known.priority, Limits(max_shots=3)

    made = crowded.store.write(lambda tx: acts.grant(tx, ROOT, spot, device, terms))
    impatient.store.write(other)

    found = crowded.store.read(lambda tx: grants.find(tx, spot.node.id, device.id))
    assert made.limits == Limits(max_shots=3)
    assert found == (None if withdrawing else Grant(spot.node.id, device.id, 7, Limits()))
