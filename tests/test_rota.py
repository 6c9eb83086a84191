# SPDX-License-Identifier: Apache-2.0
"""The rota: news wakes one thread that rests, and none is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor

from chandelier.rota import Rota

LONG = 30.0


def test_news_wakes_the_first_that_rests() -> None:
    """And nobody else."""
    rota = Rota()
    rota.rest(1)
    rota.rest(0)
    rota.news()

    assert rota.wait(0, LONG)
    assert not rota.wait(1, 0.0)


def test_each_news_wakes_another() -> None:
    """Also before the first has noticed."""
    rota = Rota()
    rota.rest(0)
    rota.rest(1)
    rota.news()
    rota.news()

    assert rota.wait(1, LONG)
    assert rota.wait(0, LONG)


def test_who_finds_work_passes_on_what_was_meant_for_it() -> None:
    """News that came while it looked wakes the next one, and surely so."""
    rota = Rota()
    rota.rest(0)
    rota.rest(1)
    rota.news()
    rota.busy(0, more=False)

    assert rota.wait(1, LONG)
    assert not rota.wait(0, 0.0)


def test_who_leaves_work_wakes_another() -> None:
    """Who looks, without being sure."""
    rota = Rota()
    rota.rest(0)
    rota.rest(1)
    rota.busy(0, more=True)
    begun = threading.Event()

    def sleep() -> bool:
        begun.set()
        return rota.wait(1, LONG)

    with ThreadPoolExecutor() as threads:
        slept = threads.submit(sleep)
        assert begun.wait(LONG)
        assert not slept.result(LONG / 2)


def test_news_that_is_not_sure_is_passed_on_too() -> None:
    """It may be the only one there is."""
    rota = Rota()
    rota.rest(0)
    rota.rest(1)
    rota.news(sure=False)
    rota.busy(0, more=False)
    rota.rest(0)
    rota.news()

    assert rota.wait(0, 0.0)
    assert not rota.wait(1, 0.0)


def test_who_leaves_nothing_wakes_nobody() -> None:
    """Nor was there news for anybody."""
    rota = Rota()
    rota.rest(0)
    rota.rest(1)
    rota.busy(0, more=False)
    rota.news()

    assert not rota.wait(0, 0.0)
    assert rota.wait(1, 0.0)


def test_the_end_wakes_everybody() -> None:
    """Whoever goes to sleep after it wakes at once."""
    rota = Rota()
    rota.close()

    assert not rota.wait(0, LONG)
