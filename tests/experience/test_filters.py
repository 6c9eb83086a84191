# SPDX-License-Identifier: Apache-2.0
"""A LoopBack filter selects, orders, cuts and projects jobs as its senders mean it."""

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chandelier import errors
from chandelier.experience import filters
from chandelier.jobs.lifecycle import State

Document = dict[str, Any]

START = datetime(2021, 5, 1, 12, tzinfo=UTC)


def date(milliseconds: int) -> str:
    """Write a creation date as it is presented."""
    moment = START + timedelta(milliseconds=milliseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def job(number: int, status: str, **fields: Any) -> Document:
    """Make a presented job whose id is its number."""
    return {
        "id": f"job-{number}",
        "status": status,
        "creationDate": date(number),
        "backend": {"id": "d1", "name": "lisbon"},
        "userId": "u1",
        "tags": [],
    } | fields


QUEUE = {"status": "PENDING_IN_QUEUE", "position": 1}
JOBS = [
    job(0, "CREATING", name="bell"),
    job(1, "CREATED", name="bell 2", tags=["red"]),
    job(2, "VALIDATING", tags=["red", "blue"]),
    job(3, "VALIDATED", experimentTag="e1"),
    job(4, "QUEUED", infoQueue=QUEUE, name="my bell"),
    job(5, "RUNNING", backend={"id": "d2", "name": "quito"}),
    job(6, "COMPLETED", tags=["blue"], hubInfo={"hub": {"name": "lab"}, "project": {"name": "main"}}),
    job(7, "CANCELLED", name="Bell"),
    job(8, "ERROR_CREATING_JOB", name=None),
    job(9, "ERROR_RUNNING_JOB", shots=1024),
]


def chosen(where: Any, *, jobs: list[Document] = JOBS) -> list[int]:
    """List the numbers of the jobs that a condition selects."""
    parsed = filters.parse(json.dumps({"where": where})).where
    return [number for number, document in enumerate(jobs) if filters.matches(parsed, document)]


@pytest.mark.parametrize("text", [None, "", "  ", "{}", '{"where": null, "limit": null, "order": null}', '{"x": 1}'])
def test_nothing_asked(text: str | None) -> None:
    """An absent or empty filter asks for everything."""
    assert filters.parse(text) == filters.Filter()
    assert filters.matches(filters.parse(text).where, {})


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"backend.name": "quito"}, [5]),
        ({"status": {"inq": ["CREATING", "CREATED"]}}, [0, 1]),
        ({"status": {"inq": ["VALIDATING", "VALIDATED"]}}, [2, 3]),
        ({"status": "QUEUED"}, [4]),
        ({"status": "RUNNING"}, [5]),
        ({"status": "COMPLETED"}, [6]),
        ({"status": "CANCELLED"}, [7]),
        ({"status": {"regexp": "^ERROR"}}, [8, 9]),
        ({"or": [{"status": "RUNNING"}, {"status": {"regexp": "^ERROR"}}]}, [5, 8, 9]),
        ({"creationDate": {"gte": "2021-05-01T12:00:00.008000+00:00"}}, [8, 9]),
        ({"creationDate": {"lte": "2021-05-01T12:00:00.001999+00:00"}}, [0, 1]),
        ({"creationDate": {"between": ["2021-05-01T14:00:00.002+02:00", "2021-05-01 12:00:00.003"]}}, [2, 3]),
        ({"name": {"regexp": "bell"}}, [0, 1, 4]),
        ({"name": {"regexp": "bell ("}}, []),
        ({"tags": {"inq": ["red", "blue"]}}, [1, 2, 6]),
        ({"and": [{"tags": "red"}, {"tags": "blue"}]}, [2]),
        ({"experimentTag": "e1"}, [3]),
        ({"backend.name": "lisbon", "creationDate": {"lte": date(2)}, "id": {"nin": ["job-2"]}}, [0, 1]),
        ({"creationDate": {"gte": date(7)}, "id": {"nin": ["job-7"]}}, [8, 9]),
    ],
)
def test_conditions_of_the_last_provider(where: Any, expected: list[int]) -> None:
    """Each condition that qiskit-ibmq-provider 0.20 sends selects the jobs it is sent for."""
    assert chosen(where) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"name": {"regexp": "/^BELL/i"}}, [0, 1, 7]),
        ({"name": {"regexp": "^BELL", "options": "i"}}, [0, 1, 7]),
        ({"name": {"like": "bell%"}}, [0, 1]),
        ({"name": {"like": "b.ll"}}, [0, 1, 4]),
        ({"name": {"ilike": "b_ll"}}, [0, 7]),
        ({"name": {"nlike": "%bell%"}}, [2, 3, 5, 6, 7, 8, 9]),
        ({"name": {"nilike": "%bell%"}}, [2, 3, 5, 6, 8, 9]),
        ({"name": None}, [2, 3, 5, 6, 8, 9]),
        ({"name": {"neq": None}}, [0, 1, 4, 7]),
        ({"name": {"exists": True}}, [0, 1, 4, 7]),
        ({"infoQueue": {"exists": True}}, [4]),
        ({"infoQueue.status": "PENDING_IN_QUEUE"}, [4]),
        ({"hubInfo.hub.name": "lab", "hubInfo.project.name": "main"}, [6]),
        ({"tags": {"neq": "red"}}, [0, 3, 4, 5, 6, 7, 8, 9]),
        ({"tags": {"nin": ["red", "blue"]}}, [0, 3, 4, 5, 7, 8, 9]),
        ({"tags": ["red", "blue"]}, [2]),
        ({"shots": {"gt": 1000, "lt": 1025}}, [9]),
        ({"shots": 1024.0}, [9]),
        ({"shots": "1024"}, []),
        ({"shots": {"gte": True}}, []),
        ({"status": {"eq": "RUNNING"}}, [5]),
        ({"status": {"gte": "VALIDATED"}}, [2, 3]),
        ({"creationDate": "2021-05-01T12:00:00Z"}, [0]),
        ({"creationDate": {"inq": ["2021-05-01T12:00:00 00:00", date(1)]}}, [0, 1]),
        ({"creationDate": {"gt": "2021-05-01"}}, list(range(10))),
        ({"creationDate": {"lt": "2021-05-02"}}, list(range(10))),
        ({"creationDate": {"lt": None}}, []),
        ({"creationDate": {"gt": "x"}}, []),
        ({"creationDate": {"gt": "2021-02-30"}}, list(range(10))),
        ({"and": []}, list(range(10))),
        ({"or": []}, []),
        ({}, list(range(10))),
    ],
)
def test_other_conditions(where: Any, expected: list[int]) -> None:
    """What other clients and users' own filters say has the documented meaning."""
    assert chosen(where) == expected


@pytest.mark.parametrize(
    "where",
    [
        {"neq": "2021-05-01T12:00:00Z"},
        {"neq": None},
        {"and": [{"status": "RUNNING"}, {"neq": "2021-05-01T12:00:00Z"}]},
        {"unheard": "of"},
        {"status": {"near": "RUNNING"}},
        {"status": {"neq": "RUNNING", "near": 1}},
        {"status": {}},
        {"status": {"options": "i"}},
        {"nor": [{"status": "RUNNING"}]},
        {"backend": {"name": "quito"}},
    ],
)
def test_odd_conditions_do_not_match(where: Any) -> None:
    """Unknown fields, unknown operators and bare operator objects are no errors and never hold."""
    assert chosen(where) == []


def test_lists_of_objects() -> None:
    """A path goes on into each object of a list."""
    jobs: list[Document] = [
        {"qasms": [{"status": "DONE"}, {"status": "FAILED"}]},
        {"qasms": [{"status": "DONE"}, {}]},
        {"qasms": []},
    ]

    assert chosen({"qasms.status": "FAILED"}, jobs=jobs) == [0]
    assert chosen({"qasms.status": {"neq": "FAILED"}}, jobs=jobs) == [1, 2]
    assert chosen({"qasms.status": {"exists": False}}, jobs=jobs) == [2]


OLD_VIEW = {
    "queued": (job(1, "RUNNING", infoQueue=QUEUE), job(1, "QUEUED", infoQueue=QUEUE)),
    "running": (job(2, "RUNNING"), job(2, "RUNNING")),
    "created": (job(3, "VALIDATING"), job(3, "CREATED")),
}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"status": "RUNNING", "infoQueue": {"exists": False}}, ["running"]),
        ({"status": "RUNNING", "infoQueue.status": "PENDING_IN_QUEUE"}, ["queued"]),
        ({"status": "QUEUED"}, ["queued"]),
        ({"status": {"inq": ["CREATING", "CREATED"]}}, ["created"]),
        ({"status": {"inq": ["VALIDATING", "VALIDATED"]}}, ["created"]),
        ({"status": {"neq": "RUNNING"}}, ["created"]),
        ({"status": {"nin": ["QUEUED"]}}, ["queued", "running", "created"]),
    ],
)
def test_either_presentation(where: Any, expected: list[str]) -> None:
    """In unversioned listings a status may be of either presentation; a negated one is about the listing's own."""
    parsed = filters.parse(json.dumps({"where": where})).where

    assert [name for name, views in OLD_VIEW.items() if filters.matches(parsed, *views)] == expected


def test_paging_by_date_ends() -> None:
    """Pages by the last job's date and id show every job once and then nothing."""
    seen: list[str] = []
    where: Document = {"backend.name": {"neq": "nowhere"}}
    for _ in range(20):
        wanted = filters.parse(json.dumps({"where": where, "order": "creationDate DESC", "limit": 3}))
        page = filters.sorted_documents(wanted, [each for each in JOBS if filters.matches(wanted.where, each)])
        if not page[: wanted.limit]:
            break
        seen += [document["id"] for document in page[: wanted.limit]]
        where |= {"creationDate": {"lte": JOBS[int(seen[-1][4:])]["creationDate"]}, "id": {"nin": [seen[-1]]}}

    assert seen == [f"job-{number}" for number in range(9, -1, -1)]


@pytest.mark.parametrize(
    ("text", "limit", "skip"),
    [
        ('{"limit": 0}', None, 0),
        ('{"limit": 997, "skip": 20}', 997, 20),
        ('{"limit": "10", "skip": "5"}', 10, 5),
        ('{"limit": 10.0, "offset": 3}', 10, 3),
        ('{"limit": 9007199254740991}', 9007199254740991, 0),
    ],
)
def test_counts(text: str, limit: int | None, skip: int) -> None:
    """A limit of 0 is none, and numbers may be written as text."""
    wanted = filters.parse(text)

    assert (wanted.limit, wanted.skip) == (limit, skip)


def deep(levels: int) -> str:
    """Nest conditions."""
    return '{"where": ' + '{"and": [' * levels + "{}" + "]}" * levels + "}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("nonsense", "not JSON"),
        ("\ud800", "not JSON"),
        ("[]", "filter must be an object"),
        ("null", "filter must be an object"),
        ('{"limit": -1}', r"filter\.limit must be a whole number .* not -1"),
        ('{"limit": true}', r"filter\.limit"),
        ('{"limit": "ten"}', r"filter\.limit"),
        ('{"limit": 1.5}', r"filter\.limit"),
        ('{"limit": 1e300}', r"filter\.limit"),
        ('{"limit": 123456789012345678901234567890}', r"filter\.limit"),
        ('{"skip": -1}', r"filter\.skip"),
        ('{"order": {"creationDate": "DESC"}}', r"filter\.order must be a text"),
        ('{"order": ["a", 1]}', r"filter\.order must be a text"),
        (json.dumps({"order": ["a"] * 11}), r"filter\.order has 11 keys"),
        ('{"fields": 1}', r"filter\.fields"),
        ('{"fields": [1]}', r"filter\.fields"),
        ('{"fields": {"id": "yes"}}', r"filter\.fields\.id must be true or false"),
        ('{"where": []}', r"filter\.where must be an object"),
        ('{"where": {"or": {}}}', r"filter\.where\.or must be a list"),
        ('{"where": {"and": [{"or": ["x"]}]}}', r"filter\.where\.and\[0\]\.or\[0\] must be an object"),
        ('{"where": {"id": {"inq": "x"}}}', r"filter\.where\.id\.inq must be a list"),
        ('{"where": {"id": {"between": [1]}}}', r"filter\.where\.id\.between must have 2 values, not 1"),
        ('{"where": {"id": {"gte": []}}}', r"filter\.where\.id\.gte must be a number or text"),
        ('{"where": {"id": {"regexp": 1}}}', r"filter\.where\.id\.regexp must be a text"),
        ('{"where": {"id": {"like": 1}}}', r"filter\.where\.id\.like must be a text"),
        ('{"where": {"id": {"exists": "x"}}}', r"filter\.where\.id\.exists must be true or false"),
        (deep(25), "deeper than 40"),
        (deep(20_000), "characters"),
        ('{"where": ' + "[" * 50_000, "deeper than 40|not JSON"),
        (json.dumps({"where": {"or": [{"id": str(number)} for number in range(501)]}}), "more than 500"),
        (json.dumps({"where": {"and": [{}] * 501}}), "more than 500"),
    ],
)
def test_refused(text: str, message: str) -> None:
    """A filter of a wrong form is refused with a message that says where and what."""
    with pytest.raises(errors.Invalid, match=message) as caught:
        filters.parse(text)
    assert caught.value.code == 1002


def test_much_work_is_refused() -> None:
    """Hundreds of conditions on thousands of jobs end with a refusal that names indexed fields."""
    wanted = filters.parse(json.dumps({"where": {"or": [{"shots": number} for number in range(400)]}}))

    with pytest.raises(errors.Invalid, match="creationDate") as caught:
        any(filters.matches(wanted.where, document) for document in [JOBS[0]] * 20_000)
    assert caught.value.code == 1003


@pytest.mark.parametrize(
    "where", [{"status": {"regexp": "^ERROR"}}, {"backend.name": "x", "creationDate": {"lte": "2021-05-01"}}]
)
def test_ordinary_work_is_done(where: Any) -> None:
    """The filters of clients are judged on twenty thousand jobs in both presentations."""
    wanted = filters.parse(json.dumps({"where": where}))

    assert not any(filters.matches(wanted.where, *OLD_VIEW["queued"]) for _ in range(20_000))


def test_long_lists_of_ids() -> None:
    """A thousand ids are one condition."""
    assert chosen({"id": {"inq": [f"job-{number}" for number in range(5, 1005)]}}) == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("creationDate ASC", "abcd"),
        ("creationDate", "abcd"),
        ("creationDate desc", "dcba"),
        ("name ASC", "dacb"),
        ("name DESC", "cadb"),
        (["tags DESC", "creationDate DESC"], "bdca"),
        (["shots ASC", "name DESC"], "cdab"),
        ("backend.name", "abcd"),
        ("unheard DESC", "abcd"),
        ([], "abcd"),
    ],
)
def test_order(order: Any, expected: str) -> None:
    """Documents are ordered by several keys, equal ones as they were, those without the key last."""
    documents: list[Document] = [
        {"id": "a", "creationDate": date(0), "name": "m"},
        {"id": "b", "creationDate": date(1), "tags": ["y"], "shots": None},
        {"id": "c", "creationDate": date(2), "name": "z", "tags": ["x"], "shots": 1},
        {"id": "d", "creationDate": date(3), "name": "a", "tags": ["x"], "shots": 2},
    ]
    wanted = filters.parse(json.dumps({"order": order}))

    assert "".join(document["id"] for document in filters.sorted_documents(wanted, documents)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (None, {"id", "name", "backend", "calibration"}),
        ([], {"id", "name", "backend", "calibration"}),
        ({}, {"id", "name", "backend", "calibration"}),
        ({"id": True, "liveDataEnabled": True, "name": True}, {"id", "name"}),
        (["name", "backend.name"], {"id", "name", "backend"}),
        ("name", {"id", "name"}),
        ({"calibration": False}, {"id", "name", "backend"}),
        ({"name": 1, "calibration": 0}, {"id", "name"}),
        ({"id": False, "name": True}, {"name"}),
    ],
)
def test_fields(fields: Any, expected: set[str]) -> None:
    """Fields are named as a list, or included and excluded by an object; the id stays."""
    document = {"id": "x", "name": "n", "backend": {"name": "b"}, "calibration": {}}
    wanted = filters.parse(json.dumps({"fields": fields}))

    assert filters.project(wanted, document).keys() == expected


def bounds(where: Any) -> filters.Bounds:
    """Read a condition's bounds."""
    return filters.bounds(filters.parse(json.dumps({"where": where})).where)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, filters.Bounds()),
        ({"status": "QUEUED"}, filters.Bounds(statuses=frozenset({"QUEUED"}))),
        ({"status": "DONE"}, filters.Bounds(statuses=frozenset())),
        (
            {"status": {"regexp": "^ERROR"}},
            filters.Bounds(
                statuses=frozenset({"ERROR_CREATING_JOB", "ERROR_VALIDATING_JOB", "ERROR_RUNNING_JOB"})
            ),
        ),
        (
            {"or": [{"status": "RUNNING"}, {"status": {"inq": ["CREATED"]}}], "backend.name": "quito"},
            filters.Bounds(statuses=frozenset({"RUNNING", "CREATED"}), devices=frozenset({"quito"})),
        ),
        ({"or": [{"status": "RUNNING"}, {"name": "x"}]}, filters.Bounds()),
        ({"or": [{"status": "RUNNING"}, {"neq": "x"}]}, filters.Bounds(statuses=frozenset({"RUNNING"}))),
        ({"neq": "x"}, filters.Bounds(ids=frozenset())),
        (
            {"creationDate": {"lte": "1970-01-01T00:00:01Z"}, "id": {"nin": ["a"]}},
            filters.Bounds(created_to=1000, excluded_ids=frozenset({"a"})),
        ),
        (
            {"or": [{"id": {"neq": "a"}}, {"id": {"nin": ["a", "b"]}}]},
            filters.Bounds(excluded_ids=frozenset({"a"})),
        ),
        ({"creationDate": {"gte": "1970-01-01T00:00:01.5Z"}}, filters.Bounds(created_from=1500)),
        ({"creationDate": {"gt": "1970-01-01T00:00:01.000999Z"}}, filters.Bounds(created_from=1001)),
        (
            {"creationDate": {"between": ["1970-01-01", "1970-01-02"]}},
            filters.Bounds(created_from=0, created_to=86_400_000),
        ),
        ({"and": [{"tags": "a"}, {"tags": {"inq": ["b", "c"]}}]}, filters.Bounds(tags=frozenset({"a"}))),
        ({"userId": "u", "name": "n", "id": {"inq": ["a", "b"]}, "and": [{"id": {"inq": ["b", "c"]}}]},
         filters.Bounds(users=frozenset({"u"}), names=frozenset({"n"}), ids=frozenset({"b"}))),
        ({"name": None}, filters.Bounds()),
        ({"name": "2021-05-01"}, filters.Bounds()),
    ],
)  # fmt: skip
def test_bounds(where: Any, expected: filters.Bounds) -> None:
    """The indexes get what a condition says about their fields."""
    assert bounds(where) == expected


# A second evaluator, written on the raw JSON, to compare with.

NAMES = ["", "bell", "Bell 2", "a_b", "2021-05-01", "2021-05-01T00:00:00Z", "100%"]
TAGS = ["red", "blue", "2021-05-01"]
DATES = [date(0), date(1), date(2), date(3), date(2).replace("Z", "+00:00"), date(1).replace("Z", "999"),
         "2021-05-01", "2021-05-01T14:00:00.003+02:00", "2021-05-01T12:00:00"]  # fmt: skip
STATUSES = [str(state) for state in State]
FIELDS: Mapping[str, list[Any]] = {
    "status": [*STATUSES[3:6], "ERROR_RUNNING_JOB", "DONE"],
    "creationDate": [*DATES, "yesterday"],
    "id": ["job-0", "job-1", "job-2", "2021-05-01"],
    "name": NAMES,
    "tags": [*TAGS, ["red", "blue"]],
    "backend.name": ["lisbon", "quito"],
    "userId": ["u1", "u2"],
    "shots": [0, 1, 1.0, 1024],
    "infoQueue.status": ["PENDING_IN_QUEUE"],
    "unheard": [1],
}
ORDERED = {"gt": (1,), "gte": (1, 0), "lt": (-1,), "lte": (-1, 0)}


def moment(value: Any) -> datetime | None:
    """Read a date by the library, to the millisecond."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d", value):
        return None
    read = datetime.fromisoformat(value)
    read = read if read.tzinfo else read.replace(tzinfo=UTC)
    return read.replace(microsecond=read.microsecond // 1000 * 1000)


def naive_compare(left: Any, right: Any) -> int | None:
    """Compare two values."""
    one, two = moment(left), moment(right)
    if one is not None and two is not None:
        return (one > two) - (one < two)
    kinds = {"str" if isinstance(each, str) else "int" for each in (left, right) if isinstance(each, str | int | float)}
    if left is None or right is None or isinstance(left, list) or isinstance(right, list) or len(kinds) > 1:
        return 0 if left == right else None
    return int(left > right) - int(left < right)


def naive_operator(operator: str, operand: Any, value: Any) -> bool:
    """Judge one value of one document by one operator."""
    if operator == "exists":
        return (value is not None) is operand
    if operator in ORDERED:
        return value is not None and naive_compare(value, operand) in ORDERED[operator]
    if operator == "between":
        return naive_operator("gte", operand[0], value) and naive_operator("lte", operand[1], value)
    if operator == "regexp":
        return isinstance(value, str) and re.search(operand, value) is not None
    if operator == "like":
        parts = {"%": ".*", "_": "."}
        sql = "".join(parts.get(char, re.escape(char)) for char in operand)
        return isinstance(value, str) and bool(re.fullmatch(sql, value) or re.search(operand, value))
    return any(naive_compare(value, each) == 0 for each in (operand if operator == "inq" else [operand]))


def naive_leaf(path: str, operator: str, operand: Any, documents: tuple[Document, ...]) -> bool:
    """Judge one condition."""
    opposite = {"neq": "eq", "nin": "inq", "nlike": "like"}.get(operator)
    if opposite:
        return not naive_leaf(path, opposite, operand, documents[:1])
    if operator == "exists" and operand is False:
        return not naive_leaf(path, operator, True, documents[:1])
    for document in documents:
        value: Any = document
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if any(
            naive_operator(operator, operand, each) for each in [*(value if isinstance(value, list) else []), value]
        ):
            return True
    return False


def naive(where: Document, documents: tuple[Document, ...]) -> bool:
    """Judge a raw condition."""
    results = []
    for name, value in where.items():
        if name in {"and", "or"}:
            parts = [naive(part, documents) for part in value]
            results.append(False not in parts if name == "and" else True in parts)
        elif isinstance(value, dict):
            results += [naive_leaf(name, operator, operand, documents) for operator, operand in value.items()]
        else:
            results.append(name != "neq" and naive_leaf(name, "eq", value, documents))
    return False not in results


PATTERNS = st.sampled_from(["^ERROR", "bell", "^B", "2$", "R", "a.b", "ING", "a_b", "%d"])


def operators(path: str) -> st.SearchStrategy[Any]:
    """Make what may stand beside a field."""
    value = st.sampled_from([*FIELDS[path], None])
    scalar = value.filter(lambda each: not isinstance(each, list))
    makers: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("eq", "neq"), value),
        **dict.fromkeys(ORDERED, scalar),
        **dict.fromkeys(("inq", "nin"), st.lists(value, max_size=3)),
        "between": st.tuples(scalar, scalar).map(list),
        "exists": st.booleans(),
        **dict.fromkeys(("regexp", "like", "nlike"), PATTERNS),
    }
    several = st.fixed_dictionaries({}, optional=makers).filter(lambda each: 0 < len(each) <= 2)
    single = st.sampled_from(sorted(makers)).flatmap(lambda name: makers[name].map(lambda operand: {name: operand}))
    return st.one_of(value, single, single, several)


LEAVES = st.sampled_from(sorted(FIELDS)).flatmap(lambda path: operators(path).map(lambda value: {path: value}))
WHERES = st.recursive(
    st.one_of(LEAVES, st.just({"neq": date(0)})),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: {"and": parts}),
        st.lists(inner, max_size=3).map(lambda parts: {"or": parts}),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: {k: v for part in parts for k, v in part.items()}),
    ),
    max_leaves=6,
)


def presented(number: int, status: str, other: str, optional: Document) -> tuple[Document, ...]:
    """Make the presentations of a job, which differ in status and queue only."""
    document = job(number, status, **{key: value for key, value in optional.items() if key != "infoQueue"})
    if "infoQueue" in optional:
        document["infoQueue"] = optional["infoQueue"]
    return document, {key: value for key, value in document.items() if key != "infoQueue"} | {"status": other}


VIEWS = st.builds(
    presented,
    st.integers(0, 3),
    st.sampled_from([*STATUSES[3:7], "ERROR_RUNNING_JOB"]),
    st.sampled_from(STATUSES[3:7]),
    st.fixed_dictionaries(
        {"tags": st.lists(st.sampled_from(TAGS), max_size=3)},
        optional={
            "name": st.sampled_from([*NAMES, None]),
            "shots": st.sampled_from([0, 1, 1024]),
            "userId": st.sampled_from(["u1", "u2"]),
            "backend": st.sampled_from([{"name": "lisbon"}, {"name": "quito"}]),
            "infoQueue": st.just(QUEUE),
        },
    ),
)


@given(WHERES, VIEWS, st.booleans())
def test_agrees_with_a_second_evaluator(where: Document, views: tuple[Document, ...], both: bool) -> None:
    """Any condition of known fields is judged as by an evaluator written independently."""
    shown = views if both else views[:1]
    parsed = filters.parse(json.dumps({"where": where})).where

    assert filters.matches(parsed, *shown) is naive(where, shown)


def keeps(limits: filters.Bounds, views: tuple[Document, ...]) -> bool:
    """Tell whether a job is within bounds."""
    document = views[0]
    created = round(datetime.fromisoformat(document["creationDate"]).timestamp() * 1000)
    allowed: list[tuple[frozenset[str] | None, list[str | None]]] = [
        (limits.devices, [document["backend"]["name"]]),
        (limits.statuses, [view["status"] for view in views]),
        (limits.ids, [document["id"]]),
        (limits.users, [document["userId"]]),
        (limits.names, [document.get("name")]),
        (limits.tags, document["tags"]),
    ]
    return (
        (limits.created_from is None or limits.created_from <= created)
        and (limits.created_to is None or created <= limits.created_to)
        and document["id"] not in limits.excluded_ids
        and all(wanted is None or not wanted.isdisjoint(found) for wanted, found in allowed)
    )


@given(WHERES, VIEWS)
@example({"status": "RUNNING", "and": [{"status": "QUEUED"}]}, OLD_VIEW["queued"])
@example({"tags": "red", "and": [{"tags": "blue"}]}, (JOBS[2], JOBS[2]))
@example({"name": "2021-05-01"}, (job(0, "RUNNING", name="2021-05-01T00:00:00Z"),) * 2)
def test_bounds_lose_no_job(where: Document, views: tuple[Document, ...]) -> None:
    """Every job that a condition selects is within its bounds."""
    parsed = filters.parse(json.dumps({"where": where})).where

    for shown in (views, views[:1]):
        assert keeps(filters.bounds(parsed), shown) or not filters.matches(parsed, *shown)


TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["and", "or", "status", "id", "limit", "where", "regexp", "inq", "between", "gte", "like", "options"]
    ),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=15,
)


def harmless(call: Callable[[], object]) -> None:
    """Call; a refusal is all that may happen."""
    with contextlib.suppress(errors.Invalid):
        call()


def use(text: str, document: Document) -> None:
    """Do with a filter all that can be done."""
    wanted = filters.parse(text)
    filters.matches(wanted.where, document)
    filters.sorted_documents(wanted, [document, JOBS[0]])
    filters.project(wanted, document)
    filters.bounds(wanted.where)


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("where", "order", "limit", "skip", "fields"), JSON)),
    st.dictionaries(TEXTS, JSON, max_size=4),
)
def test_any_json_is_handled(raw: Document, document: Document) -> None:
    """No JSON does anything but work or be refused."""
    harmless(lambda: use(json.dumps(raw), document))


@given(st.text())
def test_any_text_is_handled(text: str) -> None:
    """No text does anything but work or be refused."""
    harmless(lambda: use(text, {}))


@given(st.lists(VIEWS, max_size=6), st.sampled_from(["name", "shots DESC", "tags", "status DESC", "creationDate"]))
def test_order_keeps_every_document(pairs: list[tuple[Document, ...]], order: str) -> None:
    """Ordering loses none, is stable, and a second time changes nothing."""
    documents = [views[0] | {"place": place} for place, views in enumerate(pairs)]
    wanted = filters.parse(json.dumps({"order": order}))
    ordered = filters.sorted_documents(wanted, documents)

    assert sorted(document["place"] for document in ordered) == list(range(len(documents)))
    assert filters.sorted_documents(wanted, ordered) == ordered
    field = order.removesuffix(" DESC")
    for one, two in pairwise(ordered):
        assert one["place"] < two["place"] or one.get(field) != two.get(field)
