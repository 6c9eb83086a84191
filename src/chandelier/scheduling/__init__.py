# SPDX-License-Identifier: Apache-2.0
"""Who goes next, and who holds what."""
