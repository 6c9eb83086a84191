# SPDX-License-Identifier: Apache-2.0
"""The rules of the house that no tool knows."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import chandelier
from chandelier import errors, experience, migrations
from chandelier.experience import documents
from chandelier.jobs import lifecycle

ROOT = Path(chandelier.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if "versions" not in path.parts)
#: Where a coroutine may be written: the rim.
ASYNC = {"app.py", "gateway.py", "experience/stream.py", "experience/__init__.py", "front.py"}


def name(path: Path) -> str:
    """Return a module's path as people say it."""
    return path.relative_to(ROOT).as_posix()


def nodes(path: Path) -> Iterator[ast.AST]:
    """Return everything in a module's syntax tree."""
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_coroutines_are_at_the_rim(path: Path) -> None:
    """The core is synchronous."""
    found = [node for node in nodes(path) if isinstance(node, ast.AsyncFunctionDef)]

    assert not found or name(path) in ASYNC


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_database_module_ends_transactions(path: Path) -> None:
    """Nobody else commits or rolls back."""
    calls = [
        node.func.attr for node in nodes(path) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]

    assert name(path) == "store/database.py" or not {"commit", "rollback"} & set(calls)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_is_evaluated_or_unpickled(path: Path) -> None:
    """No eval, exec, pickle or marshal anywhere."""
    names = {node.id for node in nodes(path) if isinstance(node, ast.Name)}
    imports = {alias.name for node in nodes(path) if isinstance(node, ast.Import) for alias in node.names}

    assert not names & {"eval", "exec", "__import__"}
    assert not imports & {"pickle", "marshal", "dill", "shelve"}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_modules_are_nouns(path: Path) -> None:
    """No drawer for everything, and each module says in its docstring what it is."""
    assert path.stem not in {"utils", "common", "helpers", "misc", "core", "base", "manager"}
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_each_table_is_declared_once_and_privately() -> None:
    """A table is named only by the module that writes it."""
    owners: dict[str, str] = {}
    for path in MODULES:
        for node in nodes(path):
            if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call):
                call = node.value
                if isinstance(call.func, ast.Attribute) and call.func.attr == "Table":
                    assert isinstance(node.target, ast.Name)
                    assert isinstance(call.args[0], ast.Constant)
                    assert node.target.id.startswith("_"), f"{node.target.id} in {name(path)} is not private"
                    assert call.args[0].value not in owners
                    owners[str(call.args[0].value)] = name(path)

    assert set(owners) == set(migrations.metadata.tables)


def test_every_kind_of_error_has_a_status() -> None:
    """The face can word whatever the core raises."""
    assert set(experience.STATUS) == set(errors.ChandelierError.__subclasses__())


def test_every_state_has_a_presentation() -> None:
    """Both presentations know every state, and show only states."""
    assert set(documents.UNVERSIONED) == set(lifecycle.State)
    assert set(documents.UNVERSIONED.values()) <= set(lifecycle.State)


def test_codes_in_the_source_are_listed_and_listed_ones_are_used() -> None:
    """Every four-digit code that is raised stands in the table, and no row of the table is a relic."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in MODULES if path.name != "errors.py")
    used = {int(code) for code in re.findall(r"(?<![\w.])([1238]\d{3})(?![\w.])", source)}

    assert set(errors.CODES) <= used
    raised = re.findall(r"errors\.\w+\((?:[^()]|\([^()]*\))*?,\s*([1238]\d{3})\b", source)
    assert {int(code) for code in raised} <= set(errors.CODES)


@pytest.mark.parametrize("module", ["chandelier.app", "chandelier.cli", "chandelier.checkup"])
def test_the_server_process_loads_no_qiskit(module: str) -> None:
    """Importing the whole server leaves Qiskit, and the client whose data it reads, on disk."""
    code = f"import sys, {module}; print([name for name in sys.modules if name.split('.')[0].startswith('qiskit')])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"
