# SPDX-License-Identifier: Apache-2.0
"""Small objects in the database."""

import functools

import pytest

from chandelier import errors
from chandelier.store import Store, parcels
from factories import Town

NAME = "0123456789abcdef"
OTHER = "fedcba9876543210"


def both(store: Store) -> list[bytes | None]:
    """Return two objects of one kind."""
    return store.read(lambda tx: [parcels.get(tx, "programs", name) for name in (NAME, OTHER)])


def test_an_object_is_kept_with_what_names_it(town: Town) -> None:
    """It is there when its transaction is committed, byte for byte, and not if that fails."""
    town.store.write(lambda tx: parcels.put(tx, "programs", NAME, b"\x00\xff{}"))

    def fail(tx: object) -> None:
        parcels.put(tx, "programs", OTHER, b"2")  # type: ignore[arg-type]
        raise errors.Conflict("on purpose", 3251)

    with pytest.raises(errors.Conflict):
        town.store.write(fail)

    assert both(town.store) == [b"\x00\xff{}", None]
    assert town.store.read(lambda tx: parcels.get(tx, "results", NAME)) is None


def test_objects_are_removed_by_kind_and_name(town: Town) -> None:
    """And no others."""
    for name in (NAME, OTHER):
        town.store.write(functools.partial(parcels.put, kind="programs", name=name, content=b"1"))
    town.store.write(lambda tx: parcels.remove(tx, ("results",), [NAME]))
    town.store.write(lambda tx: parcels.remove(tx, ("programs", "results"), [OTHER]))

    assert both(town.store) == [b"1", None]


def test_an_object_is_found_wherever_it_is_kept(town: Town) -> None:
    """In the database, as a file, or nowhere."""
    store = town.store
    store.write(lambda tx: parcels.put(tx, "programs", NAME, b"small"))
    store.objects.put("programs", OTHER, b"large")

    def find(name: str) -> object:
        return store.read(lambda tx: store.find_object(tx, "programs", name))

    assert find(NAME) == b"small"
    assert find(OTHER) == store.objects.path("programs", OTHER)
    assert find(2 * NAME) is None
    assert store.read(lambda tx: [store.read_object(tx, "programs", name) for name in (NAME, OTHER)]) == [
        b"small",
        b"large",
    ]
    with pytest.raises(errors.NotFound):
        store.read(lambda tx: store.read_object(tx, "programs", 2 * NAME))
