# SPDX-License-Identifier: Apache-2.0
"""Retrieve a job that another client submitted, and look at its circuits and counts."""

import sys

from account import enable, report

if __name__ == "__main__":
    provider = enable()
    job = provider.backend.retrieve_job(sys.argv[3])
    result = job.result()
    report(
        provider,
        status=job.status().name,
        counts=[result.get_counts(index) for index in range(len(result.results))],
        circuits=[
            [circuit.name, circuit.num_qubits, circuit.num_clbits, len(circuit.data)] for circuit in job.circuits()
        ],
    )
