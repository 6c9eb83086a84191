# SPDX-License-Identifier: Apache-2.0
"""Shapes give the samples that clients compute for them, and parameters that make no pulse are refused."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier import errors
from chandelier.engines.pulses import waveforms

RECORDED: list[dict[str, Any]] = msgspec.json.decode(
    (Path(__file__).parent.parent / "data" / "pulses" / "samples.json").read_bytes()
)
GAUSSIAN: dict[str, Any] = {"duration": 40, "amp": 0.5, "sigma": 10}
SQUARE: dict[str, Any] = {"duration": 40, "amp": 0.4, "sigma": 3.5, "width": 21}
WAVE: dict[str, Any] = {"duration": 40, "amp": 0.7, "phase": 0.3}


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["shape"])
def test_samples_of_a_client(case: dict[str, Any]) -> None:
    """Each shape has the samples that Qiskit computes, to twelve digits, also where its amplitude is turned."""
    wanted = np.array(case["samples"]) @ [1, 1j]

    assert np.abs(waveforms.samples(case["shape"], case["parameters"]) - wanted).max() < 1e-12


def test_every_shape_is_compared() -> None:
    """No shape is without recorded samples."""
    assert {case["shape"] for case in RECORDED} == set(waveforms.SHAPES)


def test_the_forms_of_an_amplitude() -> None:
    """A complex amplitude as a pair is the same as its magnitude and angle."""
    pair = waveforms.samples("drag", GAUSSIAN | {"beta": 1, "amp": [0.3, 0.4]})
    turned = waveforms.samples("drag", GAUSSIAN | {"beta": 1, "amp": 0.5, "angle": float(np.angle(0.3 + 0.4j))})

    assert np.allclose(pair, turned, rtol=0, atol=1e-15)


def test_equal_pulses_are_one() -> None:
    """The same shape and parameters give the same array, which nobody can change."""
    one = waveforms.samples("gaussian", GAUSSIAN)
    two = waveforms.samples("gaussian", {"sigma": 10.0, "amp": [0.5, 0], "duration": 40, "unknown": 1})

    assert one is two
    assert not one.flags.writeable


def test_a_long_pulse_is_not_kept() -> None:
    """A pulse that would fill the memory is sampled each time."""
    long = {"duration": 1_000_000, "amp": 0.1}

    assert waveforms.samples("constant", long) is not waveforms.samples("constant", long)


def test_rounding_does_not_make_a_pulse_too_large() -> None:
    """An amplitude that is more than 1 by rounding alone plays at 1."""
    samples = waveforms.samples("constant", {"duration": 3, "amp": [0.6, 0.8000001]})

    assert np.abs(samples).max() <= 1 + 1e-15
    assert np.abs(samples).min() > 1 - 1e-12


@pytest.mark.parametrize(
    ("shape", "parameters", "words"),
    [
        ("gaussian", {"amp": 0.5, "sigma": 10}, "duration is missing"),
        ("gaussian", GAUSSIAN | {"duration": 0}, "duration is 0"),
        ("gaussian", GAUSSIAN | {"duration": 40.0}, "duration is 40.0"),
        ("gaussian", GAUSSIAN | {"duration": True}, "duration is True"),
        ("gaussian", GAUSSIAN | {"duration": "40"}, "duration is '40'"),
        ("gaussian", GAUSSIAN | {"duration": 10_000_001}, "an integer from 1 to 10000000"),
        ("gaussian", GAUSSIAN | {"duration": 10**5000}, "too many digits"),
        ("gaussian", {"duration": 40, "sigma": 10}, "amp is missing"),
        ("gaussian", GAUSSIAN | {"amp": "(P0)"}, "amp is '(P0)'"),
        ("gaussian", GAUSSIAN | {"amp": [0.1]}, "amp is a list"),
        ("gaussian", GAUSSIAN | {"amp": [0.1, None]}, "imaginary part is missing"),
        ("gaussian", GAUSSIAN | {"amp": {}}, "amp is an object"),
        ("gaussian", GAUSSIAN | {"amp": 1.2}, "a magnitude of 1.19"),
        ("gaussian", GAUSSIAN | {"angle": []}, "angle is a list"),
        ("gaussian", {"duration": 40, "amp": 0.5}, "sigma is missing"),
        ("gaussian", GAUSSIAN | {"sigma": 0}, "sigma is 0"),
        ("gaussian", GAUSSIAN | {"sigma": -1}, "sigma is -1"),
        ("gaussian", GAUSSIAN | {"sigma": float("nan")}, "sigma is not finite"),
        ("gaussian", GAUSSIAN | {"sigma": 10**400}, "sigma is not finite"),
        ("gaussian", GAUSSIAN | {"sigma": 1e300}, "too large or too small"),
        ("gaussian_square", SQUARE | {"width": 41}, "width is 41"),
        ("gaussian_square", SQUARE | {"width": -1}, "width is -1"),
        ("drag", GAUSSIAN, "beta is missing"),
        ("drag", GAUSSIAN | {"beta": 1e6}, "1 is the most"),
        ("drag", GAUSSIAN | {"beta": 1, "sigma": 1e-320}, "too large or too small"),
        ("constant", {"duration": 4, "amp": [0.8, 0.8]}, "a magnitude of 1.13"),
        ("gaussian_square_echo", SQUARE | {"active_amp": 0.7}, "1 is the most"),
        ("sin", WAVE | {"freq": 0.5}, "freq is 0.5"),
        ("cos", {"duration": 40, "amp": 0.7}, "phase is missing"),
    ],
)
def test_parameters_that_make_no_pulse(shape: str, parameters: dict[str, Any], words: str) -> None:
    """What is missing, not a number or out of range is named with its value."""
    with pytest.raises(errors.ProgramRefused) as refused:
        waveforms.samples(shape, parameters)

    assert refused.value.code == 8004
    assert words in refused.value.message
    assert shape in refused.value.message


def test_a_shape_that_nobody_knows() -> None:
    """The message for an unknown shape lists those that there are."""
    with pytest.raises(errors.ProgramRefused, match=r"'cosine'.*gaussian_square, ") as refused:
        waveforms.samples("cosine", GAUSSIAN)

    assert refused.value.code == 8010


@given(
    shape=st.sampled_from(sorted(waveforms.SHAPES)),
    duration=st.integers(1, 50),
    amp=st.floats(-1, 1),
    sigma=st.floats(1e-320, 1e308),
    width=st.floats(0, 50),
    rest=st.fixed_dictionaries({name: st.floats() for name in ("beta", "phase", "angle", "active_amp")}),
)
def test_any_numbers_make_a_pulse_or_are_refused(
    shape: str, duration: int, amp: float, sigma: float, width: float, rest: dict[str, float]
) -> None:
    """Whatever the parameters, samples are finite and at most 1, or there are none."""
    values = {"duration": duration, "amp": amp, "sigma": sigma, "width": width}
    code, samples = 0, np.zeros(duration, complex)
    try:
        samples = waveforms.samples(shape, values | rest)
    except errors.ProgramRefused as error:
        code = error.code

    assert code in {0, 8004}
    assert samples.shape == (duration,)
    assert np.abs(samples).max() <= 1 + 1e-12
