# SPDX-License-Identifier: GPL-2.0-only
"""Channels drawn at random, of the settings that the methods were published with."""
