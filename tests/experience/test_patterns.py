# SPDX-License-Identifier: Apache-2.0
"""Regular expressions find what JavaScript's find, in bounded work."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier import errors
from chandelier.experience import patterns


def found(pattern: str, text: str, flags: str = "") -> bool | None:
    """Search; None if the pattern does not compile."""
    compiled = patterns.compile_pattern(pattern, flags, patterns.Budget())
    return None if compiled is None else compiled.search(text)


ATOMS = st.sampled_from(
    ["a", "b", "-", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", r"\W", r"\s", r"\.", r"[\w-]", "^", "$", r"\b", r"\B"]
)
COUNTS = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,1}", "{2,}", "{0}", "*?", "+?"])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Put expressions together."""
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({'|'.join(pair)})"),
        st.tuples(inner, COUNTS).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    )


@given(
    st.recursive(ATOMS, larger, max_leaves=6), st.text("abc.-_ 1A", min_size=1, max_size=8), st.sampled_from(["", "i"])
)
def test_agrees_with_backtracking(pattern: str, text: str, flags: str) -> None:
    """On texts of one line, expressions that Python writes alike find the same."""
    expected = re.search(pattern, text, re.ASCII | (re.IGNORECASE if flags else re.NOFLAG)) is not None

    assert found(pattern, text, flags) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "flags", "expected"),
    [
        ("^ERROR", "ERROR_RUNNING_JOB", "", True),
        ("^ERROR", "NO_ERROR", "", False),
        ("b$", "b\n", "", False),
        ("^b$", "a\nb\nc", "m", True),
        ("^b$", "a\nb\nc", "", False),
        ("a.b", "a\nb", "", False),
        ("a.b", "a\nb", "s", True),
        ("BELL", "my bell", "i", True),
        ("BELL", "my bell", "", False),
        ("[^B]", "b", "i", False),
        (r"\d", "٣", "", False),
        (r"\s", "\u3000", "", True),
        (r"\S", "\u3000", "", False),
        (r"[\S]", "\t", "", False),
        ("[^]", "\n", "", True),
        ("[]", "a", "", False),
        (r"[\b]", "\b", "", True),
        ("a{,2}", "a{,2}", "", True),
        ("x{", "x{", "", True),
        ("}]", "}]", "", True),
        (r"\x41B\u{43}", "ABC", "", True),
        (r"[\x41-C]", "B", "", True),
        (r"\/", "a/b", "", True),
        (r"(?<word>a)b", "ab", "", True),
        ("", "", "", True),
        (r"\B", "", "", True),
        ("a|", "b", "", True),
        ("ß", "ß", "i", True),
    ],
)
def test_javascript_is_followed(pattern: str, text: str, flags: str, *, expected: bool) -> None:
    """Where JavaScript and Python differ, JavaScript counts."""
    assert found(pattern, text, flags) is expected


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a)", "[a", "*a", "a**", "+", "{2}", "a{3,2}", "[z-a]", "\\", "^*", r"(a)\1", r"\k<a>", r"\p{L}",
     "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?", "(" * 31 + ")" * 31, "a" * 257, "((a{99}){99}){99}",
     "(((){999}){999}){999999}"],
)  # fmt: skip
def test_refused(pattern: str) -> None:
    """What is no expression, is too large or needs a memory of the text does not compile."""
    assert found(pattern, "a") is None


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_handled(pattern: str, text: str) -> None:
    """No pattern makes anything fail."""
    assert found(pattern, text) in {None, True, False}


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "(a*)*b", "(.*a){12}!$", "(a?){50}a{50}$", ".*.*.*.*=.*x"])
def test_no_pattern_explodes(pattern: str) -> None:
    """Expressions that stall a matcher with backtracking stay far within the budget."""
    budget = patterns.Budget()
    compiled = patterns.compile_pattern(pattern, "", budget)

    assert compiled is not None
    assert not compiled.search("a" * 2000 + "#")
    assert budget.left > patterns.STEPS // 2


def test_the_budget_ends_the_work() -> None:
    """A pattern whose positions never repeat is stopped, with a message that names indexed fields."""
    compiled = patterns.compile_pattern("(a|b)*a(a|b){60}c", "", patterns.Budget())
    assert compiled is not None
    texts = [f"{number:020b}".replace("0", "a").replace("1", "b") * 5 for number in range(1000)]

    with pytest.raises(errors.Invalid, match="creationDate") as caught:
        any(map(compiled.search, texts))
    assert caught.value.code == 1003


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("bell%", "bell state", True),
        ("bell%", "my bell", False),
        ("%bell%", "my bell\nstate", True),
        ("b_ll", "ball", True),
        ("b_ll", "bll", False),
        ("b.ll", "ball", False),
        (r"100\%", "100%", True),
        (r"100\%", "100x", False),
        (r"a\_b", "axb", False),
        ("(", "(", True),
    ],
)
def test_like(pattern: str, text: str, *, expected: bool) -> None:
    """An SQL pattern is about the whole text; everything but its wildcards is plain."""
    compiled = patterns.compile_like(pattern, "", patterns.Budget())

    assert compiled is not None
    assert compiled.search(text) is expected
