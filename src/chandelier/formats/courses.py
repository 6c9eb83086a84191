# SPDX-License-Identifier: Apache-2.0
"""Random courses in time that nobody stores: each value follows from a seed and a moment alone.

A course is an Ornstein-Uhlenbeck process on a grid of hours: white Gaussian noise, drawn from a hash of the seed and
the hour, of which the last values count with weights that decay. So any moment can be asked for, past or future, in
any order, and two processes that ask get the same. Without numpy, because the server asks too.

Source: G. E. Uhlenbeck and L. S. Ornstein, Phys. Rev. 36, 823 (1930), equation 18 for the correlation exp(-t / tau).
"""

import functools
import hashlib
import math
import struct
from datetime import datetime
from statistics import NormalDist
from typing import Final

import msgspec

#: From one point of the grid to the next, h.
STEP: Final = 6.0
#: Older noise, that counts less than this beside the newest, is left out; the rest is weighted so that the variance is
#: exact.
_NEGLIGIBLE: Final = 1e-3
#: So many numbers of 64 bits come out of one hash.
_BLOCK: Final = 8

_gaussian: Final = NormalDist().inv_cdf


class Event(msgspec.Struct, frozen=True):
    """Something that happens now and then and lasts a while; of each kind at most one begins in a window.

    Attributes:
        window: Length of a window, h; nothing lasts longer.
        every: Mean time from one to the next, h.
        shortest: Least that one lasts, h.
        longest: Most that one lasts, h.
    """

    window: float
    every: float
    shortest: float
    longest: float


def hours(moment: datetime) -> float:
    """Return a moment in hours since 1970."""
    return moment.timestamp() / 3600


def uniform(seed: str) -> float:
    """Return a number between 0 and 1, without both, that belongs to a seed."""
    return _between(_numbers(seed, 0)[0])


def value(seed: str, tau: float, at: float) -> float:
    """Return a stationary Gaussian course of mean 0, variance 1 and correlation time `tau` at some time.

    Continuous: between points of the grid the line that joins them, stretched so that the variance is 1 there too.

    Args:
        tau: Correlation time, h.
        at: Time, h since 1970.
    """
    point = math.floor(at / STEP)
    part = at / STEP - point
    decay, weights = _weights(tau)
    noise = _noise(seed, point - len(weights) + 1, len(weights) + 1)
    before = sum(map(float.__mul__, weights, noise))
    following = sum(map(float.__mul__, weights, noise[1:]))
    spread = math.sqrt((1 - part) ** 2 + part**2 + 2 * part * (1 - part) * decay)
    return ((1 - part) * before + part * following) / spread


def anchored(seed: str, tau: float, begun: float, at: float) -> float:
    """Return a course that is exactly 0 at `begun`, and as `value` long before and long after.

    It is the course of `value`, given that it was 0 then: what remains of its value at `begun` is taken away.

    Args:
        tau: Correlation time, h.
        begun: Where it is 0, h since 1970.
        at: Time, h since 1970.
    """
    if at == begun:
        return 0.0
    return value(seed, tau, at) - math.exp(-abs(at - begun) / tau) * _start(seed, tau, begun)


def happens(seed: str, kind: Event, begun: float, at: float) -> bool:
    """Tell whether an event is under way; none is that was under way at `begun`.

    Args:
        begun: h since 1970.
        at: h since 1970.
    """
    newest = math.floor(at / kind.window)
    spans = (_span(seed, kind, window) for window in (newest - 1, newest))
    return any(span and span[0] <= at < span[1] and not span[0] <= begun < span[1] for span in spans)


def _span(seed: str, kind: Event, window: int) -> tuple[float, float] | None:
    """Return from when to when an event lasts that begins in a window, if one does."""
    whether, where, length = (_between(number) for number in _numbers(f"{seed}|{kind.window:g}", window)[:3])
    if whether >= 1 - math.exp(-kind.window / kind.every):
        return None
    begins = (window + where) * kind.window
    return begins, begins + kind.shortest + (kind.longest - kind.shortest) * length


@functools.lru_cache(maxsize=8192)
def _start(seed: str, tau: float, begun: float) -> float:
    return value(seed, tau, begun)


@functools.cache
def _weights(tau: float) -> tuple[float, tuple[float, ...]]:
    """Return the decay over one step, and how much noise counts, oldest first; their squares have the sum 1."""
    decay = math.exp(-STEP / tau)
    powers = [decay**age for age in range(math.ceil(math.log(_NEGLIGIBLE) / math.log(decay)) + 1)]
    scale = 1 / math.sqrt(sum(power**2 for power in powers))
    return decay, tuple(scale * power for power in reversed(powers))


def _noise(seed: str, first: int, count: int) -> list[float]:
    """Return white Gaussian noise at `count` points of the grid from `first` on."""
    begin, skipped = divmod(first, _BLOCK)
    end = (first + count - 1) // _BLOCK
    drawn = [number for block in range(begin, end + 1) for number in _numbers(seed, block)]
    return [_gaussian(_between(number)) for number in drawn[skipped : skipped + count]]


def _numbers(seed: str, block: int) -> tuple[int, ...]:
    return struct.unpack(f">{_BLOCK}Q", hashlib.sha512(f"{seed}|{block}".encode()).digest())


def _between(number: int) -> float:
    """Make of 64 bits a number between 0 and 1: of 52 of them, so that it is never rounded to 1."""
    return ((number >> 12) + 0.5) / 2**52
