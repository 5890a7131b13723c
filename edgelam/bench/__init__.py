# SPDX-License-Identifier: GPL-2.0-only
"""Benchmarks: ``edgelam bench bridge``, ``transfers``, ``channel``, ``radio``, ``collectives``, ``beamforming``
and ``beams``."""
