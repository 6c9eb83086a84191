# SPDX-License-Identifier: Apache-2.0
"""Schedules of pulses on a model of the device: opened, predicted, computed, read out, and calibrated."""
