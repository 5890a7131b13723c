# SPDX-License-Identifier: GPL-2.0-only
"""Learners of choices among nodes: one algorithm in each file, for every environment of `edgelam.gym`.

Start with docs/gym.md, and with `training.train`.
"""
