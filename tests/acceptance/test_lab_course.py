# SPDX-License-Identifier: Apache-2.0
"""The experiments of the lab course run as they stand in the docs, and find what the device says of itself."""

import re
import subprocess
from collections.abc import Callable
from typing import Final, NamedTuple

import pytest
from clouds import Cloud
from oldclient import RUN_LIMIT, OldClient

pytestmark = pytest.mark.acceptance

_TOLD: Final = re.compile(
    r"^(?P<what>[\w ]+): (?P<found>[-\d.e+]+)(?:.*\(device: (?P<known>[-\d.e+]+)\))?", re.MULTILINE
)


class Told(NamedTuple):
    """A number that an experiment has found, beside that of the device if it has one."""

    found: float
    known: float | None


#: Runs an experiment and returns what it told, and all that it printed; see the fixture `course`.
Course = Callable[..., tuple[dict[str, Told], str]]


#: Runs an experiment and returns the ended process; see the fixture `script`.
Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def script(cloud: Cloud, old_client: OldClient, pytestconfig: pytest.Config) -> Script:
    """Return a function that runs an experiment to its end, good or bad."""

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = pytestconfig.rootpath / "docs" / "lab" / f"{name}.py"
        return subprocess.run(
            [str(old_client.python), "-B", str(path), cloud.url, cloud.token, *arguments],
            capture_output=True,
            text=True,
            env=dict(old_client.environment),
            timeout=RUN_LIMIT,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def course(script: Script) -> Course:
    """Return a function that runs an experiment which succeeds."""

    def run(name: str, *arguments: str) -> tuple[dict[str, Told], str]:
        done = script(name, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        told = {
            each["what"]: Told(float(each["found"]), float(each["known"]) if each["known"] else None)
            for each in _TOLD.finditer(done.stdout)
        }
        return told, done.stdout

    return run


def close(told: Told, part: float) -> None:
    """Fail if what was found is further than some part of it from what the device says."""
    assert told.found == pytest.approx(told.known, rel=part)


@pytest.mark.parametrize("device", ["ibmq_manila", "ibmq_armonk"])
def test_rabi_finds_the_amplitude_of_x(course: Course, device: str) -> None:
    """On a device of five qubits and on one of one."""
    told, _ = course("rabi", "--device", device, "--shots", "500")

    close(told["pi amplitude"], 0.03)


def test_t1_is_that_of_the_properties(course: Course) -> None:
    """Within what so few shots allow; where there is no matplotlib, the experiment says that there is no picture."""
    told, printed = course("t1", "--shots", "1000", "--plot", "t1.svg")

    close(told["T1"], 0.1)
    assert "matplotlib is not installed" in printed


def test_ramsey_finds_the_frequency(course: Course) -> None:
    """The beat is the detuning, within 1 kHz, and what is left is how far the qubit has wandered: not far so soon."""
    told, _ = course("ramsey", "--shots", "1000")

    assert told["beat"].found == pytest.approx(told["beat"].known, abs=1)
    assert told["beat"].found + told["wander of the qubit"].found == pytest.approx(80, abs=0.1)
    close(told["T2 of the fringes"], 0.15)


def test_an_echo_keeps_the_phase_for_t2(course: Course) -> None:
    """Relaxation here has no memory, so an echo lasts as long as the published T2, and no longer."""
    told, _ = course("echo", "--shots", "1000")

    close(told["T2"], 0.2)


def test_drag_finds_the_derivative_of_x(course: Course) -> None:
    """The more pairs, the better."""
    told, _ = course("drag", "--shots", "500")

    for pairs, off in ((4, 0.3), (8, 0.2), (12, 0.1)):
        found = told[f"beta from {pairs} pairs"]
        assert found.found == pytest.approx(found.known, abs=off)


def test_clouds_of_three_states_are_told_apart(course: Course) -> None:
    """The second step up takes a pulse weaker by the square root of 2; the errors of readout are the published ones."""
    told, _ = course("clouds", "--shots", "2000")

    close(told["pi amplitude from 1 to 2"], 0.03)
    assert told["2 told from 0 and 1"].found > 0.85
    for name in ("1 read after 0", "0 read after 1"):
        assert told[name].found == pytest.approx(told[name].known, abs=0.04)


def test_cross_resonance_is_what_cx_is_made_of(course: Course) -> None:
    """The rate of ZX turns the target by a quarter of a circle in the time that the pulses of cx take."""
    told, _ = course("cross_resonance", "--shots", "500")

    close(told["ZX"], 0.05)
    assert all(abs(told[name].found) < told["ZX"].found / 4 for name in ("ZY", "ZZ", "IY", "IZ"))


def test_a_model_of_ones_own_agrees(course: Course) -> None:
    """Whoever simulates the served Hamiltonian finds the shares that the ideal simulator has, within its own steps."""
    told, _ = course("own_model")

    assert told["share of 01"].known is not None
    assert told["greatest difference"].found < 1e-3


@pytest.mark.parametrize(
    ("name", "device", "sentence"),
    [
        ("rabi", "ibmq_essex", "ibmq_essex takes no pulses."),
        ("rabi", "ibmq_nowhere", "There is no device ibmq_nowhere."),
        ("t1", "simulator_pulse", "simulator_pulse does not say the T1 of its qubits."),
        ("cross_resonance", "ibmq_armonk", "ibmq_armonk has no pulses for cx on qubits 0 and 1."),
        ("own_model", "ibmq_manila", "ibmq_manila shows no states, which only a simulator does: take simulator_pulse."),
    ],
)
def test_an_experiment_says_why_a_device_does_not_fit(script: Script, name: str, device: str, sentence: str) -> None:
    """In a sentence, before anything is run, with the devices that have pulses where that helps."""
    done = script(name, "--device", device)

    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert "Traceback" not in done.stderr
