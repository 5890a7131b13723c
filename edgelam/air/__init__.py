# SPDX-License-Identifier: GPL-2.0-only
"""What happens on the air: channel state information out of a scenario (`edgelam.air.csi`)."""
