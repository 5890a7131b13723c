# SPDX-License-Identifier: GPL-2.0-only
"""One backbone for two tasks, prediction and beamforming."""
