# SPDX-License-Identifier: GPL-2.0-only
"""What happens on the air: channel state information, channel prediction, beamforming, and what gNBs of a cell see."""
