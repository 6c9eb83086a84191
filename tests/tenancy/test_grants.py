# SPDX-License-Identifier: Apache-2.0
"""Devices granted down the tree, with shares and limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier import errors
from chandelier.devices import Device
from chandelier.tenancy import grants
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import Spot
from factories import NOW, Town, a_device, after

some = st.none() | st.integers(1, 9)
limits_ = st.builds(
    Limits,
    max_shots=some,
    max_experiments=some,
    open_pulse=st.none() | st.booleans(),
    pulse_qubits=some,
    pulse_channels=some,
    max_running=some,
)


def grant(town: Town, spot: Spot, device: Device, priority: int = 5, **limits: int) -> None:
    """Give a node a device."""
    town.store.write(lambda tx: grants.grant(tx, spot, device, priority, Limits(**limits), after(1)))  # type: ignore[arg-type]


def seen(town: Town) -> dict[str, tuple[int, Limits]]:
    """Return share and limits of the annex's devices."""
    found = town.store.read(lambda tx: grants.of_place(tx, town.annex))
    return {device_id: (each.priority, each.limits) for device_id, each in found.items()}


def test_a_device_comes_down_the_tree(town: Town) -> None:
    """From hub to group to project; a level cannot be left out."""
    spare = a_device(town.store, "spare")
    hub, group, project = Spot(town.annex.hub), Spot(town.annex.hub, town.annex.group), town.annex.spot
    for early in (group, project):
        with pytest.raises(errors.NotFound) as caught:
            grant(town, early, spare)
        assert caught.value.code == 3100
    for spot in (hub, group):
        grant(town, spot, spare)
        assert spare.id not in seen(town)
    grant(town, project, spare, 42)

    assert seen(town)[spare.id] == (42, Limits())


def test_the_least_of_all_levels_holds(town: Town) -> None:
    """Whatever was set where; what was set nowhere is not limited."""
    hub, group, project = Spot(town.annex.hub), Spot(town.annex.hub, town.annex.group), town.annex.spot
    grant(town, hub, town.hidden, max_shots=100, open_pulse=True)
    grant(town, group, town.hidden, max_shots=200, max_experiments=7, open_pulse=False)
    grant(town, project, town.hidden, 9, max_experiments=8)

    assert seen(town)[town.hidden.id] == (9, Limits(max_shots=100, max_experiments=7, open_pulse=False))
    own = town.store.read(lambda tx: grants.find(tx, group.node.id, town.hidden.id))
    assert own is not None
    assert own.limits == Limits(max_shots=200, max_experiments=7, open_pulse=False)


@given(many=st.lists(limits_, min_size=1, max_size=4))
def test_nothing_is_allowed_that_some_level_forbids(many: list[Limits]) -> None:
    """The least is one of those given, and none of them is less."""
    least = grants.narrowed(many)
    for name in Limits.__struct_fields__:
        given_ = [value for each in many if (value := getattr(each, name)) is not None]
        assert getattr(least, name) == (min(given_) if given_ else None)


@pytest.mark.parametrize("level", ["hub", "group", "project"])
def test_a_device_taken_from_one_level_is_gone_below(town: Town, level: str) -> None:
    """And comes back as it was when it is granted again."""
    spot = {"hub": Spot(town.annex.hub), "group": Spot(town.annex.hub, town.annex.group), "project": town.annex.spot}[
        level
    ]
    town.store.write(lambda tx: grants.withdraw(tx, spot, town.hidden, NOW))
    assert town.hidden.id not in seen(town)
    assert town.store.read(lambda tx: grants.on_way(tx, town.annex, town.hidden.id)) is None
    with pytest.raises(errors.NotFound):
        town.store.write(lambda tx: grants.withdraw(tx, spot, town.hidden, NOW))

    grant(town, spot, town.hidden)
    assert town.hidden.id in seen(town)


@pytest.mark.parametrize("name", ["max_shots", "max_experiments", "pulse_qubits", "pulse_channels", "max_running"])
@pytest.mark.parametrize("value", [0, -1, 2**31])
def test_limits_are_whole_numbers_from_one(town: Town, name: str, value: int) -> None:
    """The message names the field."""
    with pytest.raises(errors.Invalid) as caught:
        grant(town, town.annex.spot, town.hidden, **{name: value})

    assert name in caught.value.message
