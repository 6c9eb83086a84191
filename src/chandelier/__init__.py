# SPDX-License-Identifier: Apache-2.0
"""A quantum computing cloud that you run yourself."""

__version__ = "0.1.0"
