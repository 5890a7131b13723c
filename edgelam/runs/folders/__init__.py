# SPDX-License-Identifier: GPL-2.0-only
"""Run folders on the disk: files are written completely or not at all, with digests of all, and read."""
