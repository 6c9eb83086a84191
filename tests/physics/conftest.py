# SPDX-License-Identifier: Apache-2.0
"""The fixture of the physics tests."""

from pathlib import Path

import pytest
from physics import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A place to run programs."""
    return Bench(tmp_path)
