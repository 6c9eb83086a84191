# SPDX-License-Identifier: Apache-2.0
"""The programs of the Runtime API: each makes circuits of what a user asks, and answers of what they measured."""
