# SPDX-License-Identifier: Apache-2.0
"""The state vector of PennyLane's lightning, called without PennyLane, where it is installed.

On the same core it is three to five times faster than Aer, with the same precision. It is not a documented
interface, so whether it is there and answers as expected is found out when this module is loaded, and a test says
what is relied on. Without it wide circuits go to Aer.
"""

import importlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chandelier.engines import unitaries
from chandelier.engines.acting import Act

_LIBRARY: Final = "pennylane_lightning.lightning_qubit_ops"
_WANTED: Final = ("PauliX", "CNOT", "ControlledPhaseShift", "applyMatrix", "applyControlledMatrix", "updateData")


def _found() -> Any:
    try:
        library = importlib.import_module(_LIBRARY)
    except ImportError:
        return None
    state = getattr(library, "StateVectorC128", None)
    return library if all(hasattr(state, name) for name in _WANTED) else None


_library: Final = _found()
AVAILABLE: Final = _library is not None


def probabilities(
    acts: Sequence[Act], size: int, seen: Sequence[int], start: NDArray[np.complex128] | None
) -> NDArray[np.float64]:
    """Find the probabilities of the outcomes of some places.

    Args:
        acts: What happens to the state, in order.
        size: Number of places.
        seen: Places that are measured, in ascending order.
        start: The state at the beginning; None for |0…0⟩.

    Returns:
        float64, shape (2**seen,); bit i of an index is the outcome of the i-th of them.
    """
    state = _library.StateVectorC128(size)
    if start is not None:
        state.updateData(start)
    for act in acts:
        _apply(state, act, size - 1)
    wires = [size - 1 - place for place in reversed(seen)]  # its first wire is the most significant
    found: NDArray[np.float64] = _library.MeasurementsC128(state).probs(wires)
    return found


def _apply(state: Any, act: Act, top: int) -> None:
    controls, targets, matrix = act
    wires = [top - place for place in reversed(targets)]
    under, values = [top - place for place, _ in controls], [bool(value) for _, value in controls]
    if matrix is unitaries.X and not controls:
        state.PauliX(wires, False, [])
    elif matrix is unitaries.X and values == [True]:
        state.CNOT([*under, *wires], False, [])
    elif matrix is unitaries.X:
        state.PauliX(under, values, wires, False, [])
    elif values == [True] and isinstance(matrix, tuple) and matrix[:3] == (1, 0, 0):
        state.ControlledPhaseShift([*under, *wires], False, [float(np.angle(matrix[3]))])
    else:
        dense = np.array(matrix, dtype=np.complex128).reshape(1 << len(targets), -1)
        if controls:
            state.applyControlledMatrix(dense, under, values, wires, False)
        else:
            state.applyMatrix(dense, wires, False)
