# SPDX-License-Identifier: GPL-2.0-only
"""What happens on the air: channel state information from a scenario (`edgelam.air.csi`)."""
