# SPDX-License-Identifier: Apache-2.0
"""What went wrong in the shell's own words: the core names fields as documents have them, the shell has options."""

import re
from typing import Final

#: What the core says, and what the shell says instead, in the order in which they are tried.
_SAYINGS: Final = (
    (r"`priority` is", "The share is"),
    (r"`(title|description)` (has|contains)", r"The \1 \2"),
    (r"`name` of a (hub|group|project) is", r"The name of the \1 is"),
    (r"`(max|open|pulse)_(\w+)` is", r"--\1-\2 is"),
    (r"Expected `(\w+)(?: \| null)?`, got `(\w+)` - at `\$\.([\w.]+)`", r"\3 must be \1, not \2"),
    (r"Expected `(\w+)(?: \| null)?`, got `(\w+)` - at `\$\.(\w+)\[\.\.\.\]`", r"every value of \3 must be \1, not \2"),
    (r"Object contains unknown field `(\w+)` - at `\$\.(\w+)`", r"\2 has no setting \1"),
    (r"Object contains unknown field `(\w+)`", r"there is no setting \1"),
)
#: What types are called by people.
_TYPES: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "object": "a table",
    "array": "a list",
}


def said(message: str) -> str:
    """Return a message as the shell says it.

    >>> said("`priority` is 0; it must be a whole number from 1 to 10000.")
    'The share is 0; it must be a whole number from 1 to 10000.'
    >>> said("A setting in chandelier.toml is wrong: Expected `int`, got `str` - at `$.port`.")
    'A setting in chandelier.toml is wrong: port must be a whole number, not a text.'
    """
    for saying, ours in _SAYINGS:
        message, found = re.subn(saying, ours, message)
        if found and "must be" in ours:
            message = re.sub(
                r"(must be|, not) (\w+)\b", lambda part: f"{part[1]} {_TYPES.get(part[2], part[2])}", message
            )
    return message
