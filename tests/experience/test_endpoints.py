# SPDX-License-Identifier: Apache-2.0
"""The contract: every endpoint of the documents and of the clients is served, and the docs say by what."""

import ast
import importlib.util
import re
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final

import conformance
import desk as desks
import pytest
from desk import PROJECT, Desk

import factories
from chandelier import experience
from chandelier.jobs.lifecycle import State

ROOT: Final = Path(__file__).parent.parent.parent
CONTRACT: Final = tomllib.loads((Path(__file__).parent / "endpoints.toml").read_text(encoding="utf-8"))
ROWS: Final = [
    (who, method, path, test)
    for who, section in CONTRACT.items()
    if who != "absent"
    for method, path, test in section["calls"]
]
ABSENT: Final = [(method, path) for method, path, _ in CONTRACT["absent"]["calls"]]


@cache
def reference() -> ModuleType:
    """Return the script that writes the table."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def written() -> frozenset[str]:
    """Return the names of all tests, each behind that of its module."""
    return frozenset(
        f"{file.stem}::{part.name}"
        for file in (ROOT / "tests").rglob("test_*.py")
        for part in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(part, ast.FunctionDef) and part.name.startswith("test_")
    )


def mounted(method: str, path: str) -> tuple[str, str] | None:
    """Return the mounted path that answers a row, with its method."""
    found = conformance.find(method, "/api" + re.sub(r"{\w+}", "0" * 24, path))
    return found and (method, found[0])


@pytest.mark.parametrize("who", [who for who in CONTRACT if who != "absent"])
def test_every_endpoint_is_served(who: str) -> None:
    """As the documents and the clients spell it."""
    rows = [(method, path) for asker, method, path, _ in ROWS if asker == who]

    assert [row for row in rows if reference().function(*row) is None] == []
    assert [row for row in rows if row[0] != "WS" and mounted(*row) is None] == []


def test_every_endpoint_names_a_test_that_exists() -> None:
    """Of this repository, by module and name."""
    assert sorted({f"{method} {path}: {test}" for _, method, path, test in ROWS if test not in written()}) == []


def test_nothing_is_mounted_that_nobody_asks_for() -> None:
    """Each path that the router knows is a row, in one of its spellings; each WebSocket too."""
    asked = {mounted(method, path) for _, method, path, _ in ROWS if method != "WS"}
    known = {(route.method, path) for path, route in conformance.MOUNTED}

    assert sorted(known - asked) == []
    followed = {re.sub(r"{\w+}", "{job}", path) for _, method, path, _ in ROWS if method == "WS"}
    assert followed == set(experience.STREAMS)


@pytest.mark.parametrize(("method", "path"), ABSENT)
def test_what_is_said_to_be_absent_is_not_found(desk: Desk, method: str, path: str) -> None:
    """With the error of a path that is not there, which clients take for a service that is not available."""
    if method == "WS":
        assert reference().function(method, path) is None
    else:
        desks.error(desk.ask(method, path), 404, 1004)


def test_a_misprint_leads_to_the_program(desk: Desk) -> None:
    """The description of January 2020 has the `s` of `jobs` behind the id."""
    job = desk.brought(State.VALIDATING)
    misprinted, right = (
        desk.get(path)["url"] for path in (f"/job/{job}s/jobDownloadUrl", f"/Jobs/{job}/jobDownloadUrl")
    )

    assert desk.http.get(misprinted).content == desk.http.get(right).content == factories.a_program()


def test_a_job_goes_its_whole_way_below_its_project(desk: Desk) -> None:
    """Every endpoint of a job is there under the prefix too, and answers as it does without."""
    opened = desk.post(f"{PROJECT}/Jobs", {"backend": {"name": "device"}, "allowObjectStorage": True})
    job = f"{PROJECT}/Jobs/{opened['id']}"
    desk.http.put(desk.get(f"{job}/jobUploadUrl")["url"], content=factories.a_program())
    assert desk.post(f"{job}/jobDataUploaded")["job"]["status"] == "VALIDATING"
    assert desk.get(f"{job}/status/v/1")["status"] == "VALIDATING"
    desk.validate()
    assert desk.get(f"{job}/status")["status"] == "RUNNING"
    desk.settle(desk.run(), desks.RESULT)

    assert desk.get(f"{job}/v/1")["status"] == desk.get(job)["status"] == "COMPLETED"
    assert desk.put(job, {"name": "done"}) == {"name": "done"}
    assert desk.get(f"{job}/properties") == {}
    assert desk.http.get(desk.get(f"{job}/jobDownloadUrl")["url"]).content == factories.a_program()
    assert desk.http.get(desk.get(f"{job}/resultDownloadUrl")["url"]).json()["job_id"] == opened["id"]
    assert desk.post(f"{job}/resultDownloaded") == {"terminated": True}
    assert desk.post(f"{job}/cancel") == {"cancelled": False}
    for tail in ("", "/v/1", "/status", "/status/v/1"):
        assert [entry["name"] for entry in desk.get(f"{PROJECT}/Jobs{tail}")] == ["done"]
    desks.succeed(desk.ask("DELETE", job))
    assert desk.get(f"{PROJECT}/Jobs/status/v/1") == []
