# SPDX-License-Identifier: Apache-2.0
"""Who there is, what belongs to whom, and who may see and do what."""
