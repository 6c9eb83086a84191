# SPDX-License-Identifier: Apache-2.0
"""Names in the order of ranks that mostly grow."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chandelier.fairshare.ordering import Order, Rank

NAMES = ("a", "b", "c", "d")
RANKS = st.tuples(st.integers(0, 3), st.integers(0, 1))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("rank"), st.sampled_from(NAMES), st.one_of(st.none(), RANKS)),
            st.tuples(st.just("look"), RANKS, st.integers(0, 4)),
        ),
        max_size=40,
    )
)
def test_names_come_in_the_order_of_their_true_ranks(steps: list[tuple[Any, ...]]) -> None:
    """Whatever grows silently, is lowered by `put`, goes out or comes in again, and however far somebody looks."""
    order, true = Order(), dict[str, Rank | None]()
    for kind, first, second in steps:
        if kind == "rank":
            before, true[first] = true.get(first), second
            if second is not None and (before is None or second < before):
                order.put(first, second)
        else:
            looking = order.first(lambda name: true[name], most=first)
            found = [name for _, name in zip(range(second), looking, strict=False)]
            looking.close()
            known = sorted((rank, name) for name, rank in true.items() if rank is not None and rank <= first)

            assert found == [name for _, name in known][:second]
