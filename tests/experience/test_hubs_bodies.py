# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent to administer a hub, the answer is a document or a sentence with the field and the rule."""

import json
import re
from typing import Any, Final

import campus
import desk as desks
import pytest
from campus import HUB, LAB, ONE, Campus
from desk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st

from chandelier import experience
from chandelier.experience import bodies
from chandelier.experience.people import Administrators

#: Every endpoint that takes a body, with fields that it knows.
ENDPOINTS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("PUT", HUB): ("title", "priority", "description"),
    ("POST", f"{HUB}/users"): ("add", "remove", "remomve"),
    ("POST", f"{HUB}/devices"): ("name", "priority", "capabilities", "limit"),
    ("POST", f"{HUB}/Groups"): ("name", "title", "priority", "description"),
    ("PUT", LAB): ("title", "priority", "description"),
    ("POST", f"{LAB}/users"): ("add", "remove", "remomve"),
    ("POST", f"{LAB}/devices"): ("name", "priority", "capabilities", "limit"),
    ("POST", f"{LAB}/Projects"): ("name", "title", "priority", "description"),
    ("PUT", ONE): ("title", "priority", "description"),
    ("POST", f"{ONE}/users"): ("add", "remove", "remomve"),
    ("POST", f"{ONE}/devices"): ("name", "priority", "capabilities", "limit", "maxPending", "timeLimit"),
    **{("POST", f"{place}/devices/device/bookings"): ("initialDate", "endDate", "mode") for place in (HUB, LAB, ONE)},
}
#: Words of the decoder, which nobody should have to read.
FOREIGN: Final = re.compile(r"Object |Expected|got `|`\$|enum value|`(str|int|bool|array|null)`|msgspec|Struct")
COUNT: Final = "a whole number from 1 to 2147483647 or null"
CAPABILITIES: Final = "`openPulse`, `maxExperiments`, `maxShots`, `pulseQubits`, `pulseChannels`"
FACTS: Final = "`name`, `title`, `priority`, `description`"
#: What is wrong, and what is said of it.
WEIGHT: Final = "a whole number from 1 to 10000"
WRONG: Final[list[tuple[str, Any, str]]] = [
    (f"{LAB}/users", [], "The body must be an object with `add`, `remove`."),
    (f"{LAB}/users", {"ad": []}, "`ad` is not known here; there are `add`, `remove`."),
    (f"{LAB}/users", {"add": {}}, "`add` must be a list, and each entry of it an object with `email`, `role`."),
    (f"{LAB}/users", {"add": ["x"]}, "`add[0]` must be an object with `email`, `role`."),
    (f"{LAB}/users", {"add": [{"email": "x"}]}, "`add[0].role` is missing; it must be admin."),
    (f"{LAB}/users", {"add": [{"email": "x", "role": "member"}]}, "`add[0].role` must be admin."),
    (f"{ONE}/users", {"remove": "x"}, "`remove` must be a list, and each entry of it a text."),
    (f"{ONE}/devices", {"priority": 1}, "`name` is missing; it must be a text."),
    (f"{ONE}/devices", {"name": 1}, "`name` must be a text."),
    (f"{ONE}/devices", {"name": "device", "priority": "1"}, f"`priority` must be {WEIGHT}."),
    (f"{ONE}/devices", {"name": "device", "priority": 10**4000}, f"`priority` must be {WEIGHT}."),
    (f"{LAB}/Projects", {"name": "new", "title": "New", "priority": -(10**4000)}, f"`priority` must be {WEIGHT}."),
    (f"{ONE}/devices", {"name": "device", "limit": 0}, f"`limit` must be {COUNT}."),
    (
        f"{ONE}/devices",
        {"name": "device", "limit": 1.5},
        f"`limit` must be {COUNT}.",
    ),
    (
        f"{ONE}/devices",
        {"name": "device", "capabilities": {"openPulse": "yes"}},
        "`capabilities.openPulse` must be true or false or null.",
    ),
    (
        f"{ONE}/devices",
        {"name": "device", "capabilities": {"max_shots": 1}},
        f"`capabilities.max_shots` is not known here; there are {CAPABILITIES}.",
    ),
    (f"{LAB}/Projects", {"name": "new"}, "`title` is missing; it must be a text."),
    (
        f"{LAB}/Projects",
        {"nickname": "new"},
        f"`nickname` is not known here; there are {FACTS}.",
    ),
]
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["device", "new", "mia@example.org", "eve@example.org", "admin", "a`b - at `$.add[0].x`", "\x00"]),
)
INNER: Final = {"email", "role", "openPulse", "maxShots", "access_token"}
FIELDS: Final = sorted(INNER.union(*ENDPOINTS.values()))
anything = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.fixture
def hub(either: Desk) -> Campus:
    """The hub with somebody in each role, on either database."""
    return campus.build(either)


@pytest.fixture(name="usual")
def _usual(desk: Desk) -> Campus:
    return campus.build(desk)


def test_every_endpoint_with_a_body_is_tried() -> None:
    """None of administration is forgotten."""
    known = {"campus": "{hub}", "lab": "{group}", "one": "{project}", "device": "{device}"}
    tried = {(method, "/".join(known.get(part, part) for part in path.split("/"))) for method, path in ENDPOINTS}
    assert tried == {(route.method, route.path) for route in experience.ROUTES if route.right and route.request}


@settings(max_examples=60)
@given(st.sampled_from(sorted(ENDPOINTS)), st.data())
def test_any_json_may_be_sent_to_administer(hub: Campus, endpoint: tuple[str, str], data: Any) -> None:
    """It is done, or refused with a sentence of ours; the server does not fail."""
    nearly = st.fixed_dictionaries({}, optional=dict.fromkeys(ENDPOINTS[endpoint], anything))
    body = data.draw(st.one_of(anything, nearly))
    answer = hub.desk.ask(*endpoint, "root", content=json.dumps(body).encode())

    assert answer.status_code == 200 or 400 <= answer.status_code < 500, (body, answer.text)
    if answer.status_code != 200:
        failure = answer.json()["error"]
        assert set(failure) == desks.ENVELOPE
        if failure["code"] == 1000:
            assert not FOREIGN.search(failure["message"]) or FOREIGN.search(json.dumps(body)), failure["message"]


@pytest.mark.parametrize(("path", "body", "sentence"), WRONG, ids=lambda value: str(value)[:50])
def test_a_wrong_body_is_answered_with_field_and_rule(usual: Campus, path: str, body: Any, sentence: str) -> None:
    """In a sentence that tells what to send instead."""
    failure = desks.error(usual.desk.ask("POST", path, "hue", json=body), 400, 1000)

    assert failure["message"] == sentence.removesuffix(".")


@pytest.mark.parametrize(
    "name", ["x - at `$.foo", "x` - at `$.add[0].nothing`", "`", "", "\x00", "a" * 5000, "x - at `$[...][...].a.b`"]
)
def test_the_name_of_an_unknown_field_confuses_nothing(usual: Campus, name: str) -> None:
    """It is text from outside that stands in the decoder's complaint."""
    failure = desks.error(usual.desk.ask("POST", f"{LAB}/users", "hue", json={name: 1}), 400, 1000)

    assert len(failure["message"]) < 300


def test_what_the_decoder_may_come_to_say_is_still_a_sentence() -> None:
    """A complaint of a form that is not known yet names the field all the same."""
    said = bodies.worded("Number out of range - at `$.add[...].email`", Administrators)

    assert said == "`add[...].email` must be a text."


@pytest.mark.parametrize("path", [f"{HUB}/users", f"{LAB}/Projects", f"{ONE}/devices"])
@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"name": "\xff"}', b'{"a":' * 5000])
def test_what_is_no_json_is_called_so(usual: Campus, path: str, body: bytes) -> None:
    """With the usual envelope."""
    desks.error(usual.desk.ask("POST", path, "root", content=body), 400, 1000)
