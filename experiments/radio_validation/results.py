# SPDX-License-Identifier: GPL-2.0-only
"""The results for comparisons and campaigns: the main number of each case."""

from edgelam.runs.scores import Score

SCORES = (
    Score("peak_rate", "bit/s", "higher", table="peak", column="delivered_bps", across="prbs"),
    Score("delay", "s", "lower", table="delay", column="delay_s", take="mean",
          group=("direction", "pattern", "numerology"), across="position"),
    Score("ue_rate", "bit/s", "higher", table="street", column="down_bps", take="mean", across="mean_sinr_db"),
    Score("transfer_time", "s", "lower", table="tcp", column="time_s", take="max", across="one_way_s"),
)  # fmt: skip
