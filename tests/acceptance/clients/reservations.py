# SPDX-License-Identifier: Apache-2.0
"""Log in and look at the reservations of a device."""

from typing import Any

from account import enable, report
from qiskit.providers.ibmq import least_busy


def told(reservation: Any) -> dict[str, Any]:
    """Return what the client makes of a reservation."""
    names = ("backend_name", "duration", "mode", "reservation_id", "hub", "group", "project")
    known = {name: getattr(reservation, name) for name in names}
    moments = ("start_datetime", "end_datetime", "creation_datetime")
    times = {name: getattr(reservation, name) for name in moments}
    return known | {name: moment and moment.isoformat() for name, moment in times.items()}


provider = enable()
backend = provider.get_backend("ibmq_manila")
report(
    provider,
    mine=[told(each) for each in provider.backend.my_reservations()],
    device=[told(each) for each in backend.reservations()],
    other=[told(each) for each in provider.get_backend("ibmq_essex").reservations()],
    least_busy=least_busy([backend, provider.get_backend("ibmq_essex")]).name(),
)
