# SPDX-License-Identifier: Apache-2.0
"""IBM documents and our own messages, read from bytes and written to bytes; knows no Qiskit and no cloud."""
