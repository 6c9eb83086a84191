# SPDX-License-Identifier: Apache-2.0
"""What the experiments of the lab course share: logging in, asking for shots, fitting, telling, drawing."""

import argparse
import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from qiskit import IBMQ, pulse
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from scipy.optimize import curve_fit

warnings.simplefilter("ignore")

#: The two colours of the pictures: what was measured, and what was fitted or published.
MEASURED, FITTED = "#a21caf", "#0e7490"


class Bench(NamedTuple):
    """What an experiment works with.

    Attributes:
        device: The backend of the old client.
        shots: How many each experiment takes.
        plot: The file to draw to; None draws nothing.
    """

    device: Any
    shots: int
    plot: Path | None

    def gate(self, name: str, *qubits: int) -> pulse.Schedule:
        """Return the pulses of a gate, as the device has calibrated them."""
        return self.device.defaults().instruction_schedule_map.get(name, qubits)

    def run(self, schedules: list[Any], **options: Any) -> Any:
        """Run schedules as one job and return its result."""
        job = self.device.run(schedules, shots=self.shots, **({"meas_level": 2} | options))
        return job.result()

    def ones(self, schedules: list[Any], slot: int = 0, **options: Any) -> np.ndarray:
        """Run schedules and return how often each of them found 1 in a memory slot, without the errors of readout."""
        result = self.run(schedules, **options)
        counts = [result.get_counts(number) for number in range(len(schedules))]
        shares = [sum(seen for bits, seen in each.items() if bits[-1 - slot] == "1") for each in counts]
        known = self.device.properties()
        zero, one = (
            known.qubit_property(slot, name)[0] if known else 0.0 for name in ("prob_meas1_prep0", "prob_meas0_prep1")
        )
        return (np.array(shares) / self.shots - zero) / (1 - zero - one)


def bench(device: str, shots: int, needs: tuple[str, ...] = (), pair: tuple[int, int] | None = None) -> Bench:
    """Read the command line, log in and return the bench; end with a sentence if the device does not fit.

    Args:
        device: Which one is taken if none is named.
        shots: How many are taken if no number is given.
        needs: What must be published of its first qubit, such as `T1`.
        pair: Control and target of a `cx` that it must have.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("url", help="such as http://127.0.0.1:8000/api")
    parser.add_argument("token")
    parser.add_argument("--device", default=device)
    parser.add_argument("--shots", type=int, default=shots)
    parser.add_argument("--plot", type=Path, help="a file such as rabi.svg; needs matplotlib")
    given = parser.parse_args()
    provider = IBMQ.enable_account(given.token, given.url)
    try:
        chosen = provider.get_backend(given.device)
    except QiskitBackendNotFoundError:
        stop(f"There is no device {given.device}. {_fitting(provider)}")
    if not chosen.configuration().open_pulse:
        stop(f"{given.device} takes no pulses. {_fitting(provider)}")
    known = chosen.properties()
    for name in needs:
        if known is None or name not in known.qubit_property(0):
            stop(f"{given.device} does not say the {name} of its qubits. {_fitting(provider)}")
    if pair is not None and not chosen.defaults().instruction_schedule_map.has("cx", pair):
        stop(f"{given.device} has no pulses for cx on qubits {pair[0]} and {pair[1]}. {_fitting(provider)}")
    return Bench(chosen, given.shots, given.plot)


def stop(sentence: str) -> NoReturn:
    """End the program with a sentence."""
    sys.exit(sentence)


def _fitting(provider: Any) -> str:
    names = ", ".join(sorted(one.name() for one in provider.backends(open_pulse=True)))
    return f"Devices with pulses: {names}. The page of the lab course says which one fits."


def samples(seconds: float, bench: Bench) -> int:
    """Return a time as a number of samples, a multiple of 16."""
    return 16 * round(seconds / bench.device.configuration().dt / 16)


def fit(model: Callable[..., Any], x: np.ndarray, y: np.ndarray, guess: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the parameters of a curve through points, and their errors."""
    found, covariance = curve_fit(model, x, y, p0=guess, maxfev=20_000)
    return found, np.sqrt(np.diag(covariance))


def tell(what: str, found: float, known: float | None = None, unit: str = "", error: float | None = None) -> None:
    """Print a number that was found, and beside it what the device says of itself."""
    spread = "" if error is None else f" +- {error:.2g}"
    beside = "" if known is None else f" (device: {known:.5g})"
    print(f"{what}: {found:.5g}{spread} {unit}".rstrip() + beside)  # noqa: T201


@contextlib.contextmanager
def picture(bench: Bench, title: str, x: str, y: str) -> Iterator[Any]:
    """Give axes to draw on, and write the picture; give None where there is nothing to draw with."""
    axes = _axes(bench)
    yield axes
    if axes is not None:
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        options = {"metadata": {"Date": None, "Title": title}} if bench.plot.suffix == ".svg" else {"dpi": 80}
        axes.figure.savefig(bench.plot, bbox_inches="tight", **options)


def _axes(bench: Bench) -> Any:
    if bench.plot is None:
        return None
    try:
        import matplotlib  # noqa: PLC0415 -- the experiments do without it
    except ImportError:
        print("No picture: matplotlib is not installed.")  # noqa: T201
        return None
    matplotlib.use("Agg")
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "lab", "font.size": 10}
    from matplotlib import pyplot  # noqa: PLC0415

    axes = pyplot.subplots(figsize=(6.4, 3.6))[1]
    axes.spines[["top", "right"]].set_visible(False)
    return axes
