# SPDX-License-Identifier: GPL-2.0-only
"""Predictors in a cell: what they say of the channel is what precoders are computed from."""
