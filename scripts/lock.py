# SPDX-License-Identifier: Apache-2.0
"""Write the versions installed in this environment, and needed by the project, to the lock files.

`python scripts/lock.py` after installing or upgrading something by hand; then look at the difference.
"""

import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def closure(requirements: list[str]) -> set[str]:
    """Return the canonical names of everything that some requirements need in this environment."""
    waiting = [(Requirement(text), "") for text in requirements]
    known: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in known:
                known.add((name, wanted))
                waiting += [(Requirement(text), wanted) for text in metadata.requires(name) or []]
    return {name for name, _ in known}


def write(path: Path, names: set[str], purpose: str) -> None:
    """Write pins, one a line, sorted."""
    pins = sorted(f"{name}=={metadata.version(name)}" for name in names)
    path.write_text(f"# {purpose} Made by scripts/lock.py.\n" + "\n".join(pins) + "\n", encoding="utf-8")


def main() -> None:
    """Write both lock files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    run = closure(project["project"]["dependencies"])
    dev = closure(project["dependency-groups"]["dev"]) - run
    write(ROOT / "requirements.lock", run, "What serving needs.")
    write(ROOT / "requirements-dev.lock", dev, "What tests, checks and benchmarks need besides.")


if __name__ == "__main__":
    main()
