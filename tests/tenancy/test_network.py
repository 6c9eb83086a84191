# SPDX-License-Identifier: Apache-2.0
"""The tree of hubs, groups and projects."""

from collections.abc import Callable

import pytest

from chandelier import errors
from chandelier.store import Transaction
from chandelier.tenancy import network
from chandelier.tenancy.network import Spot
from factories import NOW, Town, after


def spot(town: Town, *names: str) -> Spot | None:
    """Return a node by its names."""
    return town.store.read(lambda tx: network.spot(tx, *names))


def test_nodes_are_found_by_their_names(town: Town) -> None:
    """At every level, with the way to them."""
    assert spot(town, "annex") == Spot(town.annex.hub)
    assert spot(town, "annex", "main") == Spot(town.annex.hub, town.annex.group)
    assert spot(town, "annex", "main", "main") == town.annex.spot
    assert [spot(town, *names) for names in (("x",), ("annex", "x"), ("annex", "main", "x"))] == [None] * 3
    assert (town.annex.spot.path, town.annex.spot.level) == ("annex/main/main", "project")


def test_groups_and_projects_are_listed_in_the_order_of_their_making(town: Town) -> None:
    """Deleted ones are left out, but their projects are remembered."""

    def work(tx: Transaction) -> None:
        for number, name in enumerate(("b", "a", "c")):
            group = network.add_group(tx, town.annex.hub, name, after(number + 2))
            network.add_project(tx, group, "p", after(number + 2), priority=number + 1, title="A title")

    town.store.write(work)
    gone = spot(town, "annex", "a")
    assert gone is not None
    under = town.store.read(lambda tx: network.projects_under(tx, Spot(town.annex.hub)))
    town.store.write(lambda tx: network.remove(tx, gone, after(9)))

    names = [node.name for node in town.store.read(lambda tx: network.groups_of(tx, town.annex.hub))]
    assert names == ["main", "b", "c"]
    assert spot(town, "annex", "a", "p") is None
    assert town.store.read(lambda tx: network.projects_under(tx, Spot(town.annex.hub))) == under
    assert len(under) == 4


def test_what_was_deleted_is_found_by_its_names(town: Town) -> None:
    """The newest, unless one of the names exists; also where the way to it has another node of that name now."""

    def past(*names: str) -> Spot | None:
        return town.store.read(lambda tx: network.past_spot(tx, *names))

    def add(group: str, project: str, seconds: float) -> Spot:
        def work(tx: Transaction) -> Spot:
            above = network.spot(tx, "annex", group)
            node = above.node if above else network.add_group(tx, town.annex.hub, group, after(seconds))
            return Spot(town.annex.hub, node, network.add_project(tx, node, project, after(seconds)))

        return town.store.write(work)

    def remove(*names: str) -> None:
        gone = spot(town, *names)
        assert gone is not None
        town.store.write(lambda tx: network.remove(tx, gone, after(9)))

    for seconds in (1, 2):
        last = add("g", "p", seconds)
        remove("annex", "g", "p")
    found = past("annex", "g", "p")
    assert found is not None
    assert (found.node.id, found.gone) == (last.node.id, True)
    there = add("g", "p", 0)
    assert past("annex", "g", "p") == there == spot(town, "annex", "g", "p")
    assert not there.gone

    remove("annex", "g")
    assert spot(town, "annex", "g") is None
    group = past("annex", "g")
    assert group is not None
    assert (group.node.id, group.gone) == (there.way[1].id, True)
    add("g", "q", 5)
    found = past("annex", "g", "p")
    assert found is not None
    assert (found.gone, found.way[1].id) == (True, there.way[1].id)
    assert [past(*names) for names in (("x",), ("annex", "x"), ("annex", "g", "x"), ("ibm-q", "g"))] == [None] * 4


@pytest.mark.parametrize("name", ["", "a" * 17, "A", "a b", "a-b", "\u00e9", "a_b", "a/b", "\u0661"])
def test_names_of_groups_and_projects_keep_the_rule(town: Town, name: str) -> None:
    """The message names the field and the rule."""
    for work in (
        lambda tx: network.add_group(tx, town.annex.hub, name, NOW),
        lambda tx: network.add_project(tx, town.annex.group, name, NOW),
    ):
        with pytest.raises(errors.Invalid) as caught:
            town.store.write(work)
        assert "`name`" in caught.value.message
        assert "1 to 16 lowercase letters and digits" in caught.value.message


@pytest.mark.parametrize("priority", [0, -1, 10_001])
def test_a_priority_is_within_bounds(town: Town, priority: int) -> None:
    """When a node is added, and when it is changed."""
    for work in (
        lambda tx: network.add_group(tx, town.annex.hub, "g", NOW, priority=priority),
        lambda tx: network.change(tx, town.annex.spot, priority=priority),
    ):
        with pytest.raises(errors.Invalid) as caught:
            town.store.write(work)
        assert "1 to 10000" in caught.value.message


@pytest.mark.parametrize("priority", [10**4000, -(10**4000)])
def test_a_very_long_priority_is_told_by_its_beginning(town: Town, priority: int) -> None:
    """What came from outside does not fill the answer."""
    with pytest.raises(errors.Invalid, match="1 to 10000") as caught:
        town.store.write(lambda tx: network.change(tx, town.annex.spot, priority=priority))

    assert len(caught.value.message) < 100


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"title": "a" * 201}, "`title` has 201 characters; at most 200"),
        ({"description": "a" * 2001}, "`description` has 2001 characters; at most 2000"),
        ({"title": "\x00"}, "`title` contains a NUL"),
    ],
    ids=["title", "description", "nul"],
)
def test_texts_are_within_bounds(town: Town, facts: dict[str, str], told: str) -> None:
    """When a node is added, and when it is changed; nothing is cut silently."""
    works: list[Callable[[Transaction], object]] = [
        lambda tx: network.add_hub(tx, "h", NOW, **facts),
        lambda tx: network.add_group(tx, town.annex.hub, "g", NOW, **facts),
        lambda tx: network.change(tx, town.annex.spot, **facts),
    ]
    for work in works:
        with pytest.raises(errors.Invalid, match=told):
            town.store.write(work)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_what_is_gone_is_neither_deleted_nor_changed(town: Town, depth: int) -> None:
    """By whoever found it when it was still there: two who delete at the same time are not both told that they did."""
    found = spot(town, *("annex", "main", "main")[:depth])
    assert found is not None
    town.store.write(lambda tx: network.remove(tx, found, after(5)))

    works: list[Callable[[Transaction], object]] = [
        lambda tx: network.remove(tx, found, after(6)),
        lambda tx: network.change(tx, found, title="New"),
    ]
    for work in works:
        with pytest.raises(errors.NotFound) as caught:
            town.store.write(work)
        assert caught.value.code == 3001


def test_the_tree_is_walked_in_order(town: Town) -> None:
    """Up one level, down one level, and down to its leaves."""
    hub, group, project = (spot(town, *("annex", "main", "main")[:depth]) for depth in (1, 2, 3))
    assert hub is not None
    assert group is not None
    assert project is not None

    assert [each.above for each in (hub, group, project)] == [None, hub, group]
    inside = town.store.read(lambda tx: [network.inside(tx, each) for each in (hub, group, project)])
    assert inside == [[group], [project], []]
    assert hub in town.store.read(lambda tx: network.inside(tx, None))
    assert town.store.read(lambda tx: network.below(tx, hub)) == [group, project]


def test_siblings_have_different_names(town: Town) -> None:
    """The name of a deleted one is free again, and the new one is another."""
    with pytest.raises(errors.Conflict) as caught:
        town.store.write(lambda tx: network.add_project(tx, town.annex.group, "main", NOW))
    assert caught.value.code == 3002

    town.store.write(lambda tx: network.remove(tx, town.annex.spot, after(5)))
    again = town.store.write(lambda tx: network.add_project(tx, town.annex.group, "main", after(6)))
    assert again.id != town.annex.project.id
    assert town.store.read(lambda tx: network.get(tx, town.annex.project_id)).project.deleted == after(5)


@pytest.mark.parametrize("names", [("ibm-q",), ("ibm-q", "open"), ("ibm-q", "open", "main")])
def test_the_default_place_stays(town: Town, names: tuple[str, ...]) -> None:
    """New accounts begin there."""
    found = spot(town, *names)
    assert found is not None
    with pytest.raises(errors.Conflict) as caught:
        town.store.write(lambda tx: network.remove(tx, found, NOW))

    assert caught.value.code == 3003


def test_a_node_is_changed(town: Town) -> None:
    """Title, description and priority; and everybody who remembers names is told."""
    rung: list[str] = []
    town.store.bell.listen("network", lambda: rung.append("network"))
    changed = town.store.write(lambda tx: network.change(tx, town.annex.spot, title="New", priority=7))

    assert (changed.title, changed.priority) == ("New", 7)
    found = spot(town, "annex", "main", "main")
    assert found is not None
    assert found.project == changed
    assert rung
