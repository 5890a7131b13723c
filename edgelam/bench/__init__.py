# SPDX-License-Identifier: GPL-2.0-only
"""Benchmarks: ``edgelam bench bridge``, ``edgelam bench transfers`` and ``edgelam bench channel``."""
