# SPDX-License-Identifier: GPL-2.0-only
"""Sums over the air: their error by the number of devices."""
