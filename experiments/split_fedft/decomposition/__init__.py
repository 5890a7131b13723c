# SPDX-License-Identifier: GPL-2.0-only
"""The study of decomposition: each fixed cut beside cuts that are chosen for each device, and smaller messages."""
