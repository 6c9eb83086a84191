# SPDX-License-Identifier: Apache-2.0
"""The program `calibrate`, which no job can run here.

It promises that the device is calibrated anew between its start and its stop. The calibrations of these devices are
recorded ones, and which of them holds is the operator's business; to answer with two times would be a lie.

Source: `ibm_quantum_schemas/calibrator/version_0_1/models.py`.
"""

from chandelier import errors
from chandelier.engines import target as targets
from chandelier.engines.primitives import work
from chandelier.formats import tasks


def open_(body: bytes, target: targets.Target, limits: tasks.Limits) -> work.Work:
    """Refuse a calibration.

    Raises:
        errors.ProgramRefused: Code 8048, always.
    """
    del body, limits
    raise errors.ProgramRefused(
        f"The program `calibrate` cannot be run: {target.name} has recorded calibrations, which its operator sets. See "
        "its properties for the one that holds.",
        8048,
    )
