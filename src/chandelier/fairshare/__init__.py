# SPDX-License-Identifier: Apache-2.0
"""Who is due: what hubs, groups and projects have used, and which of them goes next."""
