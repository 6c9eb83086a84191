# SPDX-License-Identifier: Apache-2.0
"""The samples of pulses that are named by a shape and its parameters.

A shape is a function of time that is read in the middle of every sample, at t = 0.5, 1.5, ... The six shapes that
clients write by name are here, and those that they send as samples, for whoever writes a program by hand.

Source: legacy API reference, section 12.3; the docstrings of `qiskit.pulse.library.symbolic_pulses` (Terra 0.25), whose
names on the wire are in `qiskit.qobj.converters.pulse_instruction.ParametricPulseShapes`.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from chandelier import errors
from chandelier.formats import pulses

#: Longest pulse, samples.
MAX_DURATION: Final = 10_000_000

#: Pulses up to this length are kept, so many of them: 128 MiB at the most.
_KEPT_DURATION: Final = 32_768
_KEPT: Final = 256

_Real = NDArray[np.float64]
_Complex = NDArray[np.complex128]


@dataclasses.dataclass(frozen=True)
class _Given:
    """Values of the parameters of one pulse, in units of dt and radians; a shape reads those that it names."""

    duration: int
    amp: complex
    sigma: float = 1.0
    width: float = 0.0
    beta: float = 0.0
    freq: float = 0.0
    phase: float = 0.0
    active_amp: complex = 0.0

    @property
    def middle(self) -> float:
        return self.duration / 2


def samples(shape: str, parameters: Mapping[str, Any]) -> NDArray[np.complex128]:
    """Sample a pulse.

    Args:
        shape: One of `SHAPES`.
        parameters: As on the wire: `duration`, and the others by name. `amp` is a number or `[re, im]`, turned by
            `angle` if there is one.

    Returns:
        complex128, shape (duration,), read-only, each at most 1 in magnitude. Equal arguments give the same array,
        unless it is very long.

    Raises:
        errors.ProgramRefused: Code 8010: there is no such shape. Code 8004: a parameter is missing, is not a number,
            or makes no pulse.
    """
    if shape not in SHAPES:
        raise errors.ProgramRefused(f"There is no pulse shape {shape[:80]!r}, only {', '.join(SHAPES)}.", 8010)
    given = _given(shape, parameters)
    return _kept(shape, given) if given.duration <= _KEPT_DURATION else _sampled(shape, given)


def _sampled(shape: str, given: _Given) -> NDArray[np.complex128]:
    times = np.arange(0.5, given.duration, dtype=np.float64)
    try:
        with np.errstate(all="ignore"):
            result = SHAPES[shape].envelope(times, given) * np.complex128(given.amp)
            if given.active_amp:
                result += given.active_amp * _gaussian_square(times, given)
            largest = float(np.abs(result).max())
    except ArithmeticError:
        largest = math.nan
    if not math.isfinite(largest):
        _refuse(shape, "its parameters are too large or too small to compute with")
    if largest > 1 + pulses.TOLERANCE:
        _refuse(shape, f"it reaches a magnitude of {largest:g}; 1 is the most")
    if largest > 1:
        result /= np.maximum(1.0, np.abs(result))
    result.flags.writeable = False
    return result


_kept = functools.lru_cache(maxsize=_KEPT)(_sampled)


def _given(shape: str, parameters: Mapping[str, Any]) -> _Given:
    duration = parameters.get("duration")
    if isinstance(duration, bool) or not isinstance(duration, int) or not 1 <= duration <= MAX_DURATION:
        _refuse(shape, f"its duration is {pulses.shown(duration)}; it must be an integer from 1 to {MAX_DURATION}")
    rules = SHAPES[shape]
    values: dict[str, Any] = {"amp": _amplitude(shape, parameters, ("amp", "angle"), None)}
    for name in rules.needs:
        values[name] = _number(shape, parameters, name)
    if rules.wave:
        values["freq"] = _number(shape, parameters, "freq", 1 / duration)
    if rules.active:
        values["active_amp"] = _amplitude(shape, parameters, ("active_amp", "active_angle"), 0.0)
    given = _Given(duration=duration, **values)
    if not given.sigma > 0:
        _refuse(shape, f"its sigma is {given.sigma:g}; it must be more than 0")
    if not 0 <= given.width <= duration:
        _refuse(shape, f"its width is {given.width:g}; it must be from 0 to its duration, {duration}")
    if rules.wave and not 0 < given.freq < 0.5:
        _refuse(shape, f"its freq is {given.freq:g} per sample; it must be more than 0 and less than 0.5")
    return given


def _amplitude(shape: str, parameters: Mapping[str, Any], names: tuple[str, str], default: float | None) -> complex:
    name, angle = names
    value = parameters.get(name, default)
    pair = value if isinstance(value, list | tuple) else (value, 0.0)
    if len(pair) != 2:
        _refuse(shape, f"its {name} is {pulses.shown(value)}; it must be a number or [re, im]")
    parts = {name: pair[0], "imaginary part": pair[1]}
    result = complex(_number(shape, parts, name), _number(shape, parts, "imaginary part"))
    turn = _number(shape, parameters, angle, 0.0)
    return result * complex(math.cos(turn), math.sin(turn)) if turn else result


def _number(shape: str, parameters: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = parameters.get(name)
    if value is None:
        value = default
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(shape, f"its {name} is {pulses.shown(value)}; it must be a number")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        _refuse(shape, f"its {name} is not finite")
    return result


def _lifted(times: _Real, centre: float, zero: float, sigma: float) -> _Real:
    """A Gaussian, moved down and stretched so that it is 1 at its centre and 0 at the time `zero`."""
    ground = math.expm1(-0.5 * ((zero - centre) / sigma) ** 2)
    return 1.0 - np.expm1(-0.5 * ((times - centre) / sigma) ** 2) / ground


def _squared(times: _Real, first: float, last: float, given: _Given, *, width: float) -> _Complex:
    """1 for a width in the middle of an interval, with edges of Gaussians and of their derivatives times beta."""
    begin, end = (first + last - width) / 2, (first + last + width) / 2
    result = np.ones(len(times), dtype=np.complex128)
    for edge, centre, zero in ((times >= end, end, last + 1.0), (times <= begin, begin, first - 1.0)):
        result[edge] = _dragged(times[edge], centre, zero, given)
    return result


def _dragged(times: _Real, centre: float, zero: float, given: _Given) -> _Complex:
    gauss = _lifted(times, centre, zero, given.sigma)
    return gauss * (1.0 - 1j * given.beta * (times - centre) / given.sigma**2)


def _constant(times: _Real, _given: _Given) -> _Real:
    return np.ones(len(times))


def _gaussian(times: _Real, given: _Given) -> _Real:
    return _lifted(times, given.middle, given.duration + 1.0, given.sigma)


def _drag(times: _Real, given: _Given) -> _Complex:
    return _dragged(times, given.middle, given.duration + 1.0, given)


def _gaussian_square(times: _Real, given: _Given) -> _Complex:
    return _squared(times, 0.0, given.duration, given, width=given.width)


def _gaussian_square_echo(times: _Real, given: _Given) -> _Complex:
    """A square in the first half and its negative in the second, with edges as long as those of the whole."""
    middle, early = given.middle, times <= given.middle
    width = given.width - middle
    first = _squared(times[early], 0.0, middle, given, width=width)
    second = _squared(times[~early], middle, given.duration, given, width=width)
    return np.concatenate([first, -second])


def _gaussian_deriv(times: _Real, given: _Given) -> _Real:
    away = (times - given.middle) / given.sigma
    return -away / given.sigma * np.exp(-0.5 * away**2)


def _sech(times: _Real, given: _Given) -> _Real:
    """Moved down and stretched like a Gaussian."""
    ground = 1.0 / math.cosh(min((given.middle + 1.0) / given.sigma, 700.0))
    return (1.0 / np.cosh((times - given.middle) / given.sigma) - ground) / (1.0 - ground)


def _sech_deriv(times: _Real, given: _Given) -> _Real:
    away = (times - given.middle) / given.sigma
    return -np.tanh(away) / np.cosh(away) / given.sigma


def _turns(times: _Real, given: _Given) -> _Real:
    return times * given.freq + given.phase / (2 * math.pi)


def _sin(times: _Real, given: _Given) -> _Real:
    return np.sin(2 * math.pi * given.freq * times + given.phase)


def _cos(times: _Real, given: _Given) -> _Real:
    return np.cos(2 * math.pi * given.freq * times + given.phase)


def _sawtooth(times: _Real, given: _Given) -> _Real:
    turns = _turns(times, given)
    return 2 * (turns - np.floor(turns + 0.5))


def _triangle(times: _Real, given: _Given) -> _Real:
    turns = _turns(times, given) - 0.25
    away: _Real = np.abs(turns - np.floor(turns + 0.5))
    return 1.0 - 4 * away


def _square(times: _Real, given: _Given) -> _Real:
    turns = _turns(times, given)
    whole, halves = np.floor(turns), np.floor(2 * turns)
    result: _Real = 1.0 + 4 * whole - 2 * halves
    return result


@dataclasses.dataclass(frozen=True)
class Shape:
    """A function of time and what it needs.

    Attributes:
        envelope: Of the times in units of dt, float64 of shape (duration,), and the parameters; `amp` multiplies it.
        needs: Real parameters without which it is nothing, beside `duration` and `amp`.
        wave: Whether it repeats itself `freq` times per sample; once in its duration unless that is given.
        active: Whether a square with Gaussian edges is added, with `active_amp`; 0 unless that is given.
    """

    envelope: Callable[[_Real, _Given], _Real | _Complex]
    needs: tuple[str, ...] = ()
    wave: bool = False
    active: bool = False


#: By name on the wire; clients send the pulses of the shapes after the sixth as samples.
SHAPES: Final[Mapping[str, Shape]] = {
    "gaussian": Shape(_gaussian, ("sigma",)),
    "gaussian_square": Shape(_gaussian_square, ("sigma", "width")),
    "gaussian_square_drag": Shape(_gaussian_square, ("sigma", "width", "beta")),
    "gaussian_square_echo": Shape(_gaussian_square_echo, ("sigma", "width"), active=True),
    "drag": Shape(_drag, ("sigma", "beta")),
    "constant": Shape(_constant),
    "cos": Shape(_cos, ("phase",), wave=True),
    "gaussian_deriv": Shape(_gaussian_deriv, ("sigma",)),
    "sawtooth": Shape(_sawtooth, ("phase",), wave=True),
    "sech": Shape(_sech, ("sigma",)),
    "sech_deriv": Shape(_sech_deriv, ("sigma",)),
    "sin": Shape(_sin, ("phase",), wave=True),
    "square": Shape(_square, ("phase",), wave=True),
    "triangle": Shape(_triangle, ("phase",), wave=True),
}


def _refuse(shape: str, why: str) -> NoReturn:
    raise errors.ProgramRefused(f"The pulse of shape {shape} cannot be played: {why}.", 8004)
