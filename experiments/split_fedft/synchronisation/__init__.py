# SPDX-License-Identifier: GPL-2.0-only
"""The study of synchronisation: rounds that wait for all, rounds with a deadline, and updates that wait for nobody."""
