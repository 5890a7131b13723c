# SPDX-License-Identifier: GPL-2.0-only
"""Run folders on the disk: written whole or not at all, with digests of every file, and read back."""
