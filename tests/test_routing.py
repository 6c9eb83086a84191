# SPDX-License-Identifier: Apache-2.0
"""Finding a route by its path."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier.routing import Tree

PATHS = (
    "/Jobs",
    "/Jobs/status",
    "/Jobs/status/v/1",
    "/Jobs/{job}",
    "/Jobs/{job}/status",
    "/Job/{job}s/url",
    "/Network/bookings/v2",
    "/Network/{hub}",
    "/Network/{hub}/devices/{device}/status",
    "/Network/devices/{device}/bookings",
)


@pytest.fixture(name="tree")
def _tree() -> Tree[str]:
    """A tree in which each path has itself as its value."""
    tree: Tree[str] = Tree()
    for path in PATHS:
        tree.add("GET", path, path)
    tree.add("POST", "/Jobs", "submit")
    return tree


@pytest.mark.parametrize(
    ("path", "value", "parameters"),
    [
        ("/Jobs", "/Jobs", {}),
        ("/jobs/", "/Jobs", {}),
        ("/JOBS/STATUS/V/1", "/Jobs/status/v/1", {}),
        ("/Jobs/status", "/Jobs/status", {}),
        ("/Jobs/Abc", "/Jobs/{job}", {"job": "Abc"}),
        ("/Jobs/status/status", "/Jobs/{job}/status", {"job": "status"}),
        ("/Job/abcs/url", "/Job/{job}s/url", {"job": "abc"}),
        ("/Job/abcS/url", "/Job/{job}s/url", {"job": "abc"}),
        ("/Network/bookings", "/Network/{hub}", {"hub": "bookings"}),
        ("/Network/devices/d/bookings", "/Network/devices/{device}/bookings", {"device": "d"}),
        (
            "/Network/devices/devices/d/status",
            "/Network/{hub}/devices/{device}/status",
            {"hub": "devices", "device": "d"},
        ),
        (
            "/Network/\u00e9 %2F/devices/d/status",
            "/Network/{hub}/devices/{device}/status",
            {"hub": "\u00e9 %2F", "device": "d"},
        ),
    ],
)
def test_the_most_literal_path_is_found(tree: Tree[str], path: str, value: str, parameters: dict[str, str]) -> None:
    """With its parameters as they were written; others are tried where it leads nowhere."""
    assert tree.find("GET", path) == (value, parameters)


@pytest.mark.parametrize(
    "path",
    ["", "/", "//", "/Jobs//status", "/Jobs/a/b", "/Job/s/url", "/Job/abc/url", "/Network//devices/d/status", "x"],
)
def test_other_paths_do_not_exist(tree: Tree[str], path: str) -> None:
    """Nor do parameters without a letter."""
    assert tree.find("GET", path) is None


def test_a_path_may_exist_without_the_method(tree: Tree[str]) -> None:
    """Which is another answer than that it does not exist."""
    assert tree.find("POST", "/Jobs") == ("submit", {})
    assert tree.find("DELETE", "/Jobs") == (None, {})
    assert tree.find("DELETE", "/Jobs/a") == (None, {"job": "a"})


def test_the_first_value_of_a_path_stays(tree: Tree[str]) -> None:
    """However often another is added."""
    tree.add("GET", "/jobs", "second")

    assert tree.find("GET", "/Jobs") == ("/Jobs", {})


@given(segments=st.lists(st.sampled_from(["Jobs", "status", "v", "1", "Job", "as", "url", "Network", "devices", "x"])))
def test_what_is_found_matches(segments: list[str]) -> None:
    """And whatever matches any of the paths is found: the tree is a quick list of patterns."""
    tree: Tree[str] = Tree()
    for path in PATHS:
        tree.add("GET", path, path)
    asked = "/" + "/".join(segments)
    patterns = {path: re.sub(r"\\{\w+\\}", r"[^/]+", re.escape(path)) for path in PATHS}
    matching = {path for path, pattern in patterns.items() if re.fullmatch(pattern, asked, re.IGNORECASE)}
    found = tree.find("GET", asked)

    assert (found is None) == (not matching)
    if found is not None:
        assert found[0] in matching
