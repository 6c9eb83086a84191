# SPDX-License-Identifier: Apache-2.0
"""The accounts that today's client has saved in the user's home: read, and added to.

Source: qiskit-ibm-runtime 0.51.0, accounts/management.py and accounts/storage.py.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from chandelier import errors

#: The account that is saved here; accounts of other names are left as they are.
NAME: Final = "chandelier"
_DEFAULT: Final = "is_default_account"


def path() -> Path:
    """Return where the client keeps its accounts."""
    return (Path.home() / ".qiskit" / "qiskit-ibm.json").resolve()


def read() -> dict[str, dict[str, Any]]:
    """Return all saved accounts, by name.

    Raises:
        errors.Invalid: The file is none of accounts; then it is not to be written either.
    """
    file = path()
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as failure:
        raise errors.Invalid(f"{file} cannot be read: {failure}. Mend it or move it away.", 1001) from failure
    if not isinstance(known, dict) or not all(isinstance(account, dict) for account in known.values()):
        raise errors.Invalid(f"{file} is no file of saved accounts. Mend it or move it away.", 1001)
    return known


def token(known: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the token of the account that was saved here before, if there is one."""
    text = known.get(NAME, {}).get("token")
    return text if isinstance(text, str) else None


def save(known: Mapping[str, Mapping[str, Any]], account: Mapping[str, str]) -> list[str]:
    """Write the account to the file, readable by its owner alone, and make it the default.

    Args:
        known: What `read` returned.

    Returns:
        The names of accounts that were the default before.

    Raises:
        errors.Unavailable: The file cannot be written.
    """
    from chandelier import setup

    others = {name: dict(saved) for name, saved in known.items() if name != NAME}
    before = [name for name, saved in others.items() if saved.pop(_DEFAULT, False)]
    mine: dict[str, Any] = {**account, "private_endpoint": False, "verify": True, _DEFAULT: True}
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        setup.write_private(file, json.dumps(others | {NAME: mine}, indent=4, sort_keys=True))
    except OSError as failure:
        raise errors.Unavailable(f"{file} cannot be written ({failure.strerror}).", 1008) from failure
    return before
