# SPDX-License-Identifier: Apache-2.0
"""Calibrate the pulses of devices, and write the tunings that the package brings along.

`python scripts/tune.py [SNAPSHOT …]` after changing the model, the shapes of pulses or the rules of calibration;
without names, the devices of a fresh installation that can have pulses. Says how far it is, and how each device went.
"""

import sys
import time
from collections import Counter
from collections.abc import Sequence

from chandelier.engines.pulses import calibrate
from chandelier.formats import openpulse, snapshots, tunings


def main(names: Sequence[str]) -> None:
    """Calibrate some snapshots, one after the other."""
    tunings.SHIPPED.mkdir(exist_ok=True)
    for name in names or wanted():
        started = time.process_time()
        tuning = tuned(name)
        (tunings.SHIPPED / f"{name}.json").write_bytes(tunings.encode(tuning) + b"\n")
        sys.stdout.write(f"{name}: {told(name, tuning)}, {time.process_time() - started:.1f} s\n")


def wanted() -> list[str]:
    """Return the snapshots of a fresh installation that can have pulses."""
    return [name for name in snapshots.DEFAULTS.values() if openpulse.obstacle(*snapshots.read(name)) is None]


def tuned(name: str) -> tunings.Tuning:
    """Calibrate a snapshot from nothing, site by site."""
    document = snapshots.untuned(name)
    tuning = tunings.Tuning(model=openpulse.model(document))
    sites = calibrate.sites(document)
    for number, site in enumerate(sites, 1):
        tuning = calibrate.tune(document, [site], tuning)
        sys.stderr.write(f"{name}: {number} of {len(sites)}\n")
    return tuning


def told(name: str, tuning: tunings.Tuning) -> str:
    """Return how the calibration of a snapshot went: errors of single pulses, lengths and errors of pairs."""
    published = openpulse.lengths(*snapshots.read(name))
    kinds: Counter[str] = Counter()
    for pair in tuning.pairs:
        ways = [(pair.control, pair.target), (pair.target, pair.control)]
        control = tuning.qubits[pair.control].x.duration
        samples = 2 * pair.duration + control + max(control, tuning.qubits[pair.target].sx.duration)
        shortest = min(published["cx", way] for way in ways if ("cx", way) in published)
        longer = min((1.0, 1.5, 2.0), key=lambda factor: abs(samples - factor * shortest))
        reversed_ = published.get(("cx", ways[0]), samples) > published.get(("cx", ways[1]), samples)
        kinds[f"{longer:g}x{' reversed' if reversed_ else ''}"] += 1
    singles = [error for qubit in tuning.qubits.values() for error in qubit.errors]
    pairs = [pair.error for pair in tuning.pairs]
    parts = [f"{len(tuning.qubits)} qubits to {max(singles):.1e}"]
    if pairs:
        parts.append(f"{len(pairs)} pairs ({', '.join(f'{count} at {kind}' for kind, count in sorted(kinds.items()))})")
        parts.append(f"errors {min(pairs):.1e} to {max(pairs):.1e}")
    parts += [f"{'-'.join(map(str, one.qubits))}: {one.reason}" for one in tuning.missing]
    return ", ".join(parts)


if __name__ == "__main__":
    main(sys.argv[1:])
