# SPDX-License-Identifier: Apache-2.0
"""Programs in, results out: everything that needs Qiskit, run in worker children only."""
