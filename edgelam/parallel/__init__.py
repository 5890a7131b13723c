# SPDX-License-Identifier: GPL-2.0-only
"""Parallel training over the simulated network: groups of ranks and their collectives."""
