# SPDX-License-Identifier: GPL-2.0-only
"""Experiments, one folder each: configuration, run, plot, README. They import edgelam, never the other way round."""
