# SPDX-License-Identifier: GPL-2.0-only
"""The study of few labels: whether pre-training helps where devices have little to learn from, beside its controls."""
