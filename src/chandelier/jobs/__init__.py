# SPDX-License-Identifier: Apache-2.0
"""A job's whole life: its states, its rows, how it comes in and how it ends."""
