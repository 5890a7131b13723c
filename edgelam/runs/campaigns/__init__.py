# SPDX-License-Identifier: GPL-2.0-only
"""Campaigns: a grid of settings times seeds, run in parallel, each run once (docs/campaigns.md)."""
