# SPDX-License-Identifier: GPL-2.0-only
"""Sums over the air by number of devices: their error, and learning with them beside learning with messages."""
