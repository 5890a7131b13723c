# SPDX-License-Identifier: GPL-2.0-only
"""Layouts of CSI in files of other programs: how axes lie, which variables there are."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Layout:
    """Axes of an array; those of `left_out` may be missing, MATLAB drops them at the end if they have length 1."""

    axes: tuple[str, ...]
    variable: str
    """What an exported array is called."""
    left_out: tuple[str, ...] = ()
    joined: str = "time"
    """Along which axis the arrays of several files are put together."""


LAYOUTS = {
    # v n L k a b c: row of one speed, sample, snapshot, subcarrier; the array's column, row, polarisation
    "llm4cp": Layout(("sample1", "sample2", "time", "subcarrier", "tx3", "tx2", "tx1"), "H_U_his"),
    # of qd_channel.fr: rx, tx, carrier, snapshot; a last dimension has several channels
    "quadriga": Layout(("rx", "tx", "subcarrier", "time", "sample"), "H", ("sample",), "sample"),
    # of versions 2 to 4: user, rx, tx, subcarrier; with Doppler, version 4 has times behind them
    "deepmimo": Layout(("sample", "rx", "tx", "subcarrier", "time"), "channel", ("time",)),
}
