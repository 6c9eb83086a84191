# SPDX-License-Identifier: Apache-2.0
"""The rules of the house that no other tool knows."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import chandelier
from chandelier import errors, experience, migrations
from chandelier.experience import documents
from chandelier.jobs.lifecycle import State

SOURCE = Path(chandelier.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [str(file.relative_to(SOURCE)) for file in FILES]

#: Where coroutines may be; everything else is synchronous.
RIM = {"app.py", "front.py", "gateway.py", "experience/__init__.py", "experience/stream.py", "experience/watch.py"}
#: The one writer of each table. Source: ARCHITECTURE.md.
OWNERS = {
    "users": "tenancy/users.py",
    "tokens": "tenancy/users.py",
    "hubs": "tenancy/network.py",
    "groups": "tenancy/network.py",
    "projects": "tenancy/network.py",
    "members": "tenancy/members.py",
    "invitations": "tenancy/members.py",
    "grants": "tenancy/grants.py",
    "audit": "tenancy/audit.py",
    "usage": "tenancy/usage.py",
    "usage_days": "tenancy/usage.py",
    "allowances": "tenancy/allowances.py",
    "allowance_days": "tenancy/allowances.py",
    "fair_accounts": "fairshare/tables.py",
    "fair_lanes": "fairshare/tables.py",
    "fair_rules": "fairshare/tables.py",
    "usage_months": "tenancy/usage.py",
    "usage_project_days": "tenancy/usage.py",
    "usage_project_months": "tenancy/usage.py",
    "devices": "devices/tables.py",
    "calibrations": "devices/tables.py",
    "jobs": "jobs/tables.py",
    "job_tags": "jobs/tables.py",
    "job_events": "jobs/tables.py",
    "codes": "jobs/codes.py",
    "estimates": "jobs/estimates.py",
    "sessions": "jobs/sessions.py",
    "leases": "scheduling/claims.py",
    "parcels": "store/parcels.py",
    "turns": "scheduling/claims.py",
    "forecast_errors": "scheduling/accuracy.py",
    "reservations": "scheduling/reservations.py",
    "reservation_quotas": "scheduling/quotas.py",
}
#: Codes that no request and no program has yet, but the table keeps for them.
UNUSED = frozenset[int]()


@functools.cache
def tree(file: Path) -> ast.Module:
    """Return the syntax of a module."""
    return ast.parse(file.read_text(encoding="utf-8"))


def calls(module: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Return the calls of a module, each with the last name of what is called."""
    for part in ast.walk(module):
        if isinstance(part, ast.Call):
            called = part.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            yield name, part


def numbers(file: Path) -> set[int]:
    """Return the codes that a module names."""
    found = {part.value for part in ast.walk(tree(file)) if isinstance(part, ast.Constant)}
    return {value for value in found if isinstance(value, int) and value in errors.CODES}


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_coroutines_are_at_the_rim_only(file: Path) -> None:
    """The core is synchronous: no twins, no coloured functions."""
    waits = [part for part in ast.walk(tree(file)) if isinstance(part, ast.AsyncFunctionDef | ast.Await)]

    assert not waits or str(file.relative_to(SOURCE)) in RIM


def test_each_table_is_declared_once_by_its_owner_and_privately() -> None:
    """So that nobody else can even name it."""
    declared: dict[str, str] = {}
    for file in FILES:
        if "migrations" in file.parts:
            continue
        for statement in tree(file).body:
            value = getattr(statement, "value", None)
            if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)):
                continue
            if value.func.attr == "Table":
                (name,) = (part.value for part in value.args[:1] if isinstance(part, ast.Constant))
                target = statement.target if isinstance(statement, ast.AnnAssign) else None
                assert isinstance(target, ast.Name)
                # In a module of tables they are public, and the module is protected instead: see the import contracts.
                assert target.id.startswith("_") or file.name == "tables.py"
                assert name not in declared
                declared[str(name)] = str(file.relative_to(SOURCE))

    assert declared == OWNERS
    assert set(declared) == set(migrations.metadata.tables)


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_transactions_begin_and_end_in_the_store(file: Path) -> None:
    """Whoever is given a transaction neither commits it nor rolls it back."""
    ends = {name for name, _ in calls(tree(file))} & {"commit", "rollback", "begin_nested"}

    assert not ends or file == SOURCE / "store" / "sqlite.py"


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_nothing_found_in_data_is_ever_run(file: Path) -> None:
    """No pickle, no eval, no import by a name from outside."""
    module = tree(file)
    imported = {alias.name for part in ast.walk(module) if isinstance(part, ast.Import) for alias in part.names}
    imported |= {part.module or "" for part in ast.walk(module) if isinstance(part, ast.ImportFrom)}
    builtins = {part.func.id for _, part in calls(module) if isinstance(part.func, ast.Name)}

    assert not imported & {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml"}
    assert not builtins & {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_every_module_says_what_it_is(file: Path) -> None:
    """After the licence, in one sentence."""
    text = file.read_text(encoding="utf-8")

    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
    assert ast.get_docstring(tree(file))


def test_no_module_is_a_drawer() -> None:
    """A module is one noun."""
    drawers = {"utils", "util", "common", "helpers", "helper", "misc", "core", "services", "models", "managers"}

    assert not {part.removesuffix(".py") for name in NAMES for part in Path(name).parts} & drawers


def test_every_kind_of_error_has_a_status() -> None:
    """In every face; each kind is the name of its class."""
    kinds = set(errors.ChandelierError.__subclasses__())

    assert set(experience.STATUS) == kinds
    assert {kind.kind for kind in kinds} == {kind.__name__ for kind in kinds}
    for kind in kinds:
        status, document = experience.render_error(kind("why", 1001))
        assert 400 <= status < 600
        assert document["error"] == {
            "status": status,
            "statusCode": status,
            "name": kind.kind,
            "code": 1001,
            "message": "why",
        }


def test_every_state_has_a_presentation() -> None:
    """In both presentations."""
    assert set(documents.UNVERSIONED) == set(State)
    assert set(documents.UNVERSIONED.values()) <= set(State)


def test_every_code_that_is_raised_is_in_the_table() -> None:
    """With a meaning and an advice."""
    raised: set[int] = set()
    kinds = {kind.__name__ for kind in errors.ChandelierError.__subclasses__()} | {"ChandelierError", "Refused"}
    for file in FILES:
        for name, call in calls(tree(file)):
            if name in kinds:
                raised |= {
                    part.value
                    for argument in (*call.args, *(keyword.value for keyword in call.keywords))
                    for part in [argument]
                    if isinstance(part, ast.Constant) and type(part.value) is int
                }

    assert raised <= set(errors.CODES)
    assert raised


def test_every_code_of_the_table_is_used() -> None:
    """None is described that nobody will ever see."""
    used = {code for file in FILES if file.name != "errors.py" for code in numbers(file)}

    assert set(errors.CODES) - used == UNUSED


def test_every_code_has_a_sentence() -> None:
    """That begins like one and ends like one."""
    assert list(errors.CODES) == sorted(errors.CODES)
    assert all(re.fullmatch(r"[A-Z].*\.", meaning) for meaning in errors.CODES.values())


def test_every_route_has_a_sentence() -> None:
    """The reference is made of them; no path is there twice."""
    routes = experience.ROUTES
    keys = [(route.method, re.sub(r"\{\w+\}", "{}", route.path).lower()) for route in routes]

    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[A-Z].*\.", route.summary) for route in routes)
