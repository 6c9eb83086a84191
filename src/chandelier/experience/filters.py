# SPDX-License-Identifier: Apache-2.0
"""The LoopBack filter of a listing: which jobs, in which order, how many, and which of their fields; pure.

A filter is judged on the documents that the caller would be shown, not on records:

- Types must agree; a number is not equal to its text. Two texts that are both ISO dates are compared as
  instants in whole milliseconds, which is what is emitted; other texts by their characters.
- A path with dots walks into objects, and through lists into each of their objects. A list satisfies a
  condition if one of its elements, or the list as a whole, does; a negated condition if none does.
- Null and missing are the same. Only `null`, `exists: false` and the negated operators hold for them.
- `like` accepts both meanings in use, SQL's and the regular expression of LoopBack's memory connector.

Source: legacy-api.md sections 8 and 6.4; LoopBack 3, "Querying data".
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, Final, TypeGuard

import msgspec

from chandelier import errors
from chandelier.experience import conditions
from chandelier.experience.conditions import All, Among, AnyOf, Condition, Fits, Json, Leaf, Operand, Range, Test
from chandelier.experience.patterns import Budget
from chandelier.jobs.lifecycle import State

MAX_TEXT: Final = 64 * 1024
MAX_DEPTH: Final = 40
MAX_CONDITIONS: Final = 500
MAX_ORDERS: Final = 10
#: The largest whole number that every JSON client can write.
MAX_COUNT: Final = 2**53 - 1

#: What judging a condition takes, in steps of a regular expression.
_LEAF_STEPS: Final = 3
_RANKS: Final = {"bool": 0, "number": 1, "instant": 2, "text": 3}


class Filter(msgspec.Struct, frozen=True):
    """What a listing is asked for; for one request, since judging its condition uses up a budget.

    Attributes:
        where: The condition on the presented documents.
        order: Paths to order by, the first one first, each with whether it descends.
        limit: The number of documents wanted; None leaves it to the server.
        skip: The number of documents left out at the beginning.
        include: The fields wanted; None means all.
        exclude: The fields not wanted.
    """

    where: Condition = All()
    order: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    skip: int = 0
    include: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()


class Bounds(msgspec.Struct, frozen=True):
    """Limits that every job of a filter keeps, though not every job within them is the filter's; for indexes.

    None means no limit; an empty set, that no job matches.

    Attributes:
        created_from: The first `creationDate`, in ms since the epoch.
        created_to: The last one, included.
        devices: Values of `backend.name`.
        statuses: Values of `status` in one of the presentations that the filter is judged on.
        ids: Values of `id`.
        excluded_ids: Values that `id` has not.
        users: Values of `userId`.
        names: Values of `name`.
        tags: The job has at least one of them.
    """

    created_from: int | None = None
    created_to: int | None = None
    devices: frozenset[str] | None = None
    statuses: frozenset[str] | None = None
    ids: frozenset[str] | None = None
    excluded_ids: frozenset[str] = frozenset()
    users: frozenset[str] | None = None
    names: frozenset[str] | None = None
    tags: frozenset[str] | None = None


_PATHS: Final = {"backend.name": "devices", "id": "ids", "userId": "users", "name": "names", "tags": "tags"}
_SINGLE: Final = ("devices", "ids", "users", "names")
# A job has several tags, and as many statuses as presentations: two of these sets cannot be intersected.
_MULTIPLE: Final = ("statuses", "tags")


def parse(text: str | None) -> Filter:
    """Read the query parameter `filter`; absent or empty asks for everything, `limit: 0` sets no limit.

    Raises:
        errors.Invalid: It is no JSON object, a part of it or an operand has a form that its name does not
            allow, or it is too long, deep or wide (code 1002).
    """
    if text is None or not text.strip():
        return Filter()
    if len(text) > MAX_TEXT:
        conditions.refuse("filter", f"has {len(text)} characters; at most {MAX_TEXT} are accepted")
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise errors.Invalid(f"filter is not JSON: {error}.", 1002) from error
    except RecursionError as error:
        raise errors.Invalid(f"filter is nested deeper than {MAX_DEPTH} levels.", 1002) from error
    conditions.require(raw, dict, place="filter")
    if _weigh(raw, 0) > MAX_CONDITIONS:
        conditions.refuse("filter", f"has more than {MAX_CONDITIONS} conditions")
    where = raw.get("where")
    include, exclude = _read_fields(raw.get("fields"))
    return Filter(
        where=All() if where is None else conditions.read(where, "filter.where", Budget()),
        order=_read_order(raw.get("order")),
        limit=_read_count(raw.get("limit"), "filter.limit") or None,
        skip=_read_count(raw.get("skip", raw.get("offset")), "filter.skip"),
        include=include,
        exclude=exclude,
    )


def _weigh(value: Json, depth: int) -> int:
    """Count the entries of all objects, an empty object as one."""
    if depth > MAX_DEPTH:
        conditions.refuse("filter", f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return max(1, len(value)) + sum(_weigh(part, depth + 1) for part in value.values())
    return sum(_weigh(part, depth + 1) for part in value) if isinstance(value, list) else 0


def _read_count(raw: Json, place: str) -> int:
    if raw is None:
        return 0
    numeric = isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) < 20
    count = int(raw) if numeric or (isinstance(raw, float) and raw.is_integer()) else raw
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_COUNT:
        conditions.refuse(place, f"must be a whole number from 0 to {MAX_COUNT}, not {conditions.shown(raw)}")
    return count


def _read_order(raw: Json) -> tuple[tuple[str, bool], ...]:
    keys = [] if raw is None else raw if isinstance(raw, list) else [raw]
    if len(keys) > MAX_ORDERS:
        conditions.refuse("filter.order", f"has {len(keys)} keys; at most {MAX_ORDERS} are accepted")
    order = []
    for key in keys:
        conditions.require(key, str, place="filter.order")
        words = key.split()
        direction = words[-1].upper() if len(words) > 1 else ""
        path = " ".join(words[:-1] if direction in {"ASC", "DESC"} else words)
        if path:
            order.append((path, direction == "DESC"))
    return tuple(order)


def _read_fields(raw: Json) -> tuple[frozenset[str] | None, frozenset[str]]:
    if raw is None:
        return None, frozenset()
    if isinstance(raw, str | list):
        names = [raw] if isinstance(raw, str) else raw
        for name in names:
            conditions.require(name, str, place="filter.fields")
        return frozenset(names) or None, frozenset()
    conditions.require(raw, dict, place="filter.fields")
    for name, wanted in raw.items():
        conditions.require(wanted, int, bool, place=f"filter.fields.{name}")
    include = frozenset(name for name, wanted in raw.items() if wanted)
    return include or None, frozenset(raw) - include


def matches(where: Condition, document: Mapping[str, Any], *others: Mapping[str, Any]) -> bool:
    """Tell whether a job satisfies a condition.

    A condition on a field holds if it holds in any of the presentations; a negated one (`neq`, `nin`,
    `nlike`, `nilike`, `exists: false`) must hold in the first. For an unversioned listing give the
    unversioned document and then the versioned one: clients ask it for `QUEUED` as well as for `RUNNING`
    with an `infoQueue`. For a versioned listing give that document only, so that `RUNNING` means running.

    Args:
        where: The condition.
        document: The job as the caller would be shown it.
        others: Other presentations of the same job.

    Raises:
        errors.Invalid: Judging this filter's jobs has taken too long (code 1003).
    """
    if isinstance(where, All):
        return all(matches(part, document, *others) for part in where.parts)
    if isinstance(where, AnyOf):
        return any(matches(part, document, *others) for part in where.parts)
    negated = not isinstance(where.test, Range) and where.test.negated
    for each in (document,) if negated else (document, *others):
        values = _values(each, where.path)
        where.budget.charge(_LEAF_STEPS + len(values))
        if _holds(where.test, values):
            return True
    return False


def _holds(test: Test, values: Sequence[Json]) -> bool:
    if isinstance(test, Range):
        return any(_inside(test, value) for value in values)
    if isinstance(test, Among):
        found = any(conditions.key(value) in test.keys for value in values)
    elif isinstance(test, Fits):
        texts = [value for value in values if isinstance(value, str)]
        found = any(pattern.search(text) for pattern in test.patterns for text in texts)
    else:
        found = any(value is not None for value in values)
    return found != test.negated


def _values(document: Mapping[str, Any], path: str) -> Sequence[Json]:
    """List what a condition on a path is about: the value, a list's elements and the list; None if missing."""
    value = document.get(path)
    if value is not None and not isinstance(value, list | Mapping):
        return (value,)  # Almost every condition is on such a field; the general way takes several times as long.
    found: list[Json] = [document]
    for name in path.split("."):
        objects = [part for value in found for part in (value if isinstance(value, list) else [value])]
        found = [part[name] for part in objects if isinstance(part, Mapping) and name in part]
        if not found:
            return [None]
    return [part for value in found for part in ([*value, value] if isinstance(value, list) else [value])]


def _inside(test: Range, value: Json) -> bool:
    low = 1 if test.low is None else _compare(value, test.low)
    high = -1 if test.high is None else _compare(value, test.high)
    if low is None or high is None:
        return False
    return low > 0 > high if test.strict else low >= 0 >= high


def _compare(value: Json, operand: Operand) -> int | None:
    """Return the sign of value minus operand, or None if they have no order."""
    when = None if operand.instant is None else conditions.instant(value)
    left, right = (value, operand.value) if when is None else (when, operand.instant)
    if isinstance(left, str) and isinstance(right, str):
        return int(left > right) - int(left < right)
    if _is_number(left) and _is_number(right):
        return int(left > right) - int(left < right)
    return None


def _is_number(value: Json) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def sorted_documents(wanted: Filter, documents: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Order documents as a filter asks; equal ones keep their order, those without the field come last."""
    ordered = list(documents)
    for path, descending in reversed(wanted.order):
        ranked = [(_rank(_values(document, path)[0]), document) for document in ordered]
        there = sorted((pair for pair in ranked if pair[0]), key=lambda pair: pair[0], reverse=descending)
        ordered = [document for _, document in [*there, *(pair for pair in ranked if not pair[0])]]
    return ordered


def _rank(value: Json) -> tuple[Json, ...]:
    """Return what to sort by, values of one kind together; empty if the value has no order."""
    kind, plain = conditions.key(value)
    return () if value is None or kind not in _RANKS else (_RANKS[kind], plain)


def project(wanted: Filter, document: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the top-level fields that a filter asks for; `id` stays unless it is excluded by name.

    A name with dots asks for the whole field that it begins with.
    """
    kept = None if wanted.include is None else {name.split(".")[0] for name in wanted.include} | {"id"}
    return {
        name: value for name, value in document.items() if name not in wanted.exclude and (kept is None or name in kept)
    }


def bounds(where: Condition) -> Bounds:
    """Return limits that every job which satisfies a condition keeps.

    They rely on what presented documents are like: `id`, `userId`, `name` and `backend.name` are texts or
    missing and `creationDate` is a date, each the same in all presentations, and `status` is a `State`.

    Raises:
        errors.Invalid: The regular expressions have taken too long (code 1003).
    """
    if isinstance(where, All):
        return reduce(_both, map(bounds, where.parts), Bounds())
    if isinstance(where, AnyOf):
        branches = [part for part in map(bounds, where.parts) if part.ids != frozenset()]
        return reduce(_either, branches) if branches else Bounds(ids=frozenset())
    return _leaf_bounds(where)


def _leaf_bounds(leaf: Leaf) -> Bounds:
    if leaf.path == "creationDate":
        return _created_bounds(leaf.test)
    if leaf.path == "status":
        statuses = frozenset(str(state) for state in State if _holds(leaf.test, [str(state)]))
        return Bounds(statuses=statuses if len(statuses) < len(State) else None)
    if leaf.path not in _PATHS or not isinstance(leaf.test, Among):
        return Bounds()
    texts = frozenset(value for value in leaf.test.values if isinstance(value, str))
    if leaf.test.negated:
        return Bounds(excluded_ids=texts) if leaf.path == "id" else Bounds()
    if len(leaf.test.keys) != len(texts) or any(conditions.instant(text) is not None for text in texts):
        return Bounds()  # A null or a date is equal to more than itself.
    return msgspec.structs.replace(Bounds(), **{_PATHS[leaf.path]: texts})


def _created_bounds(test: Test) -> Bounds:
    if isinstance(test, Range):
        low = test.low.instant if test.low else None
        high = test.high.instant if test.high else None
        edge = int(test.strict)
        return Bounds(None if low is None else low + edge, None if high is None else high - edge)
    if not isinstance(test, Among) or test.negated:
        return Bounds()
    instants = [when for kind, when in test.keys if kind == "instant"]
    return Bounds(min(instants), max(instants)) if instants else Bounds(ids=frozenset())


def _both(one: Bounds, two: Bounds) -> Bounds:
    """Limits of jobs that keep both."""
    sets: dict[str, frozenset[str] | None] = {}
    for name in (*_SINGLE, *_MULTIPLE):
        known = [each for each in (getattr(one, name), getattr(two, name)) if each is not None]
        if known:
            sets[name] = min(known, key=len) if name in _MULTIPLE else frozenset.intersection(*known)
    return Bounds(
        created_from=max(_known(one.created_from, two.created_from), default=None),
        created_to=min(_known(one.created_to, two.created_to), default=None),
        excluded_ids=one.excluded_ids | two.excluded_ids,
        **sets,
    )


def _either(one: Bounds, two: Bounds) -> Bounds:
    """Limits of jobs that keep one of them."""
    sets: dict[str, frozenset[str] | None] = {}
    for name in (*_SINGLE, *_MULTIPLE):
        left, right = getattr(one, name), getattr(two, name)
        sets[name] = None if left is None or right is None else left | right
    starts = _known(one.created_from, two.created_from)
    ends = _known(one.created_to, two.created_to)
    return Bounds(
        created_from=min(starts) if len(starts) == 2 else None,
        created_to=max(ends) if len(ends) == 2 else None,
        excluded_ids=one.excluded_ids & two.excluded_ids,
        **sets,
    )


def _known(*values: int | None) -> list[int]:
    return [value for value in values if value is not None]
