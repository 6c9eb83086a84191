# SPDX-License-Identifier: Apache-2.0
"""A town in which two processes write at the same time."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import factories
from chandelier.store import open_store
from factories import Town

SECRET = b"a secret for tests, 32 bytes long"


@pytest.fixture
def crowded(postgres_url: str, tmp_path: Path) -> Iterator[Town]:
    """The usual people and places on PostgreSQL, where several write at the same time."""
    store = open_store(postgres_url, tmp_path / "objects", SECRET)
    yield factories.a_town(store)
    store.close()


@pytest.fixture
def impatient(crowded: Town) -> Iterator[Town]:
    """The same for another process, which gives up where it would have to wait."""
    url = crowded.store.database.url.update_query_dict({"options": "-c lock_timeout=300ms"})
    store = open_store(url.render_as_string(hide_password=False), crowded.store.objects.root, SECRET)
    yield msgspec.structs.replace(crowded, store=store)
    store.close()
