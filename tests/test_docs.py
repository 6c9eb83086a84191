# SPDX-License-Identifier: Apache-2.0
"""The docs say what the code does: tables are current, names are complete, links lead somewhere, examples parse."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Final
from xml.etree import ElementTree

import msgspec
import pytest
import typer

from chandelier import cli, errors, experience, runtime, settings
from chandelier.formats import simulators, snapshots
from chandelier.jobs import lifecycle

ROOT: Final = Path(__file__).parent.parent
DOCS: Final = ROOT / "docs"
PAGES: Final = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
NAMES: Final = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCE: Final = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
#: What belongs to the machine of whoever wrote the page, or to nobody.
_FORBIDDEN: Final = re.compile(r"/work\b|/tmp/|/home/\w|/root\b|\bTODO\b|\bFIXME\b|\blorem\b", re.IGNORECASE)


def reference() -> ModuleType:
    """Return the script that writes the tables."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(name: str) -> str:
    """Return a reference page."""
    return (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    return [body for kind, body in _FENCE.findall(text) if kind == language]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", sorted((DOCS / "reference").glob("*.md")), ids=lambda path: path.name)
def test_generated_tables_are_current(path: Path) -> None:
    """`python scripts/reference.py` would change nothing."""
    text = path.read_text(encoding="utf-8")

    assert reference().render(text) == text, "Run: python scripts/reference.py"


def test_every_generated_part_is_on_a_page() -> None:
    """No table is made that nobody can read."""
    pages = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    missing = [name for name in reference().PARTS if f"<!-- generated: {name} -->" not in pages]

    assert missing == []


def test_every_setting_is_documented() -> None:
    """Each setting has a row and a description."""
    described = dict(reference().described(settings.Settings))

    assert list(described) == list(settings.Settings.__struct_fields__)
    defaults = {name: getattr(settings.Settings(), name) for name in described}
    tables = {name: type(value) for name, value in defaults.items() if isinstance(value, msgspec.Struct)}
    within = [f"{table}.{name}" for table, kind in tables.items() for name in kind.__struct_fields__]
    rows = [name for name in described if name not in tables] + within
    assert [name for name in rows if f"| `{name}` |" not in page("settings")] == []


def test_every_error_code_is_documented() -> None:
    """Each code has a row."""
    missing = [code for code in errors.CODES if f"| {code} |" not in page("errors")]

    assert missing == []


def test_every_command_is_documented() -> None:
    """Each command has a heading."""
    commands = [path for path, _ in reference().walk(typer.main.get_command(cli.app), "chandelier")]

    assert "chandelier job cancel" in commands
    assert [path for path in commands if f"### {path}\n" not in page("command-line")] == []


def test_every_endpoint_is_documented() -> None:
    """Each route and each stream has a row."""
    text = page("api")
    missing = [route.path for route in experience.ROUTES if f"| {route.method} | `{route.path}` |" not in text]
    missing += [path for path in experience.STREAMS if f"| `{path}` |" not in text]

    assert missing == []


def test_every_endpoint_of_the_runtime_api_is_documented() -> None:
    """Each route of its tables has a row."""
    text = page("runtime-api")
    tables = (*runtime.ROUTES, *runtime.IDENTITY, *runtime.DIRECTORY)

    assert [route.path for route in tables if f"| {route.method} | `{route.path}` |" not in text] == []


def test_every_state_is_documented() -> None:
    """Each state has a meaning and a row of moves."""
    meanings, _, moves = page("job-states").partition("<!-- generated: diagram -->")
    missing = [state for state in lifecycle.State if f"| `{state}` |" not in meanings or f"| `{state}` |" not in moves]

    assert missing == []


def test_every_device_is_documented() -> None:
    """Each device and simulator of a fresh installation has a row."""
    names = [*snapshots.DEFAULTS, *simulators.SIMULATORS]

    assert [name for name in names if f"| `{name}` |" not in page("devices")] == []


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_links_lead_somewhere(path: Path) -> None:
    """Each relative link names a file, and a heading of it where it names one."""
    text = path.read_text(encoding="utf-8")
    broken = []
    for link in _LINK.findall(_FENCE.sub("", text)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.is_file() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_examples_parse(path: Path) -> None:
    """Code blocks in Python, JSON and TOML are what they say they are."""
    text = path.read_text(encoding="utf-8")
    for body in blocks(text, "python"):
        compile(body, str(path), "exec")
    for body in blocks(text, "json"):
        json.loads(body)
    for body in blocks(text, "toml"):
        tomllib.loads(body)


def test_commands_in_examples_exist() -> None:
    """Whatever a page tells its reader to type after `chandelier` is a command."""
    commands = {path for path, _ in reference().walk(typer.main.get_command(cli.app), "chandelier")}
    nouns = "|".join(sorted({path.split()[1] for path in commands if len(path.split()) > 2}))
    typed = re.compile(rf"(?:^|[`/(]| )(chandelier (?:{nouns}) [a-z]+|chandelier [a-z]+)", re.MULTILINE)
    unknown = {
        found
        for path in PAGES
        for body in blocks(path.read_text(encoding="utf-8"), "sh")
        for found in typed.findall(re.sub(r"useradd.*|createdb.*|createuser.*|sudo -u chandelier", "", body))
        if found not in commands
    }

    assert unknown == set()


def test_settings_in_the_example_file_exist() -> None:
    """The example of a settings file can be read as one."""
    for body in blocks(page("settings"), "toml"):
        assert set(tomllib.loads(body)) <= set(settings.Settings.__struct_fields__)


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_pages_speak_of_the_product_only(path: Path) -> None:
    """No page has a path of the machine on which it was written, or a note to its writer."""
    assert _FORBIDDEN.findall(path.read_text(encoding="utf-8")) == []


def test_every_page_can_be_reached() -> None:
    """Each page of the docs is linked from the index of the docs, or from the index of its folder."""
    linked = {
        (index.parent / link.partition("#")[0]).resolve()
        for index in (DOCS / "README.md", DOCS / "decisions" / "README.md")
        for link in _LINK.findall(index.read_text(encoding="utf-8"))
    }
    lost = [path.name for path in DOCS.rglob("*.md") if path.resolve() not in linked and path != DOCS / "README.md"]

    assert lost == []


@pytest.mark.parametrize("path", sorted((DOCS / "pictures").glob("*.svg")), ids=lambda path: path.name)
def test_pictures_are_drawings_with_a_title(path: Path) -> None:
    """Each picture is well-formed and says what it shows to those who cannot see it."""
    tree = ElementTree.parse(path)

    assert tree.getroot().findtext("{http://www.w3.org/2000/svg}title")
