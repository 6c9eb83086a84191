# SPDX-License-Identifier: Apache-2.0
"""Circuits drawn as pictures, for clients that show the user what was sent."""

import io
import logging
from typing import Final

from qiskit.circuit import QuantumCircuit

_log = logging.getLogger(__name__)

#: Larger circuits cannot be read any more, and take long to draw.
MAX_QUBITS: Final = 24
MAX_BITS: Final = 100
MAX_STEPS: Final = 200
#: Dots per inch.
RESOLUTION: Final = 80


def png(circuit: QuantumCircuit) -> bytes | None:
    """Draw a circuit; None if it is too large to be read, or cannot be drawn."""
    if circuit.num_qubits > MAX_QUBITS or circuit.num_clbits > MAX_BITS or circuit.size() > MAX_STEPS:
        return None
    # A drawing is a courtesy: whatever goes wrong with it must not take the job along.
    try:
        # It takes a second to load and nobody else needs it.
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib import pyplot as plt  # noqa: PLC0415

        mpl.use("Agg")
        sheet = circuit.draw("mpl", fold=30)
        try:
            written = io.BytesIO()
            sheet.savefig(written, format="png", dpi=RESOLUTION, bbox_inches="tight")
            return written.getvalue()
        finally:
            plt.close(sheet)
    except Exception:  # noqa: BLE001
        _log.warning("a circuit of %d qubits could not be drawn", circuit.num_qubits, exc_info=True)
        return None
