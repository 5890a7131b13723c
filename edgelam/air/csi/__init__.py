# SPDX-License-Identifier: GPL-2.0-only
"""Channel state information (CSI): recording it from a scenario, reading files, drawing, and the simplest prediction.

from edgelam.air import csi

csi.record(csi.RecordSettings(out=Path("csi.npz"), samples=1000, snr_db=18))
data = csi.load("csi.npz")          # data.csi: complex64 [sample, time, rx, tx, subcarrier], memory-mapped
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.air.csi.figures import show
    from edgelam.air.csi.files import load
    from edgelam.air.csi.holding import closed_form, hold_last, hold_last_at, prediction_error
    from edgelam.air.csi.recorder import record
    from edgelam.air.csi.sampling import Link, Sample, sample_csi
    from edgelam.air.csi.settings import HoldLastSettings, RecordSettings, ShowSettings
    from edgelam.air.csi.table import CsiSet

_HOME = {
    "load": "files",
    **dict.fromkeys(("closed_form", "hold_last", "hold_last_at", "prediction_error"), "holding"),
    "record": "recorder",
    **dict.fromkeys(("Link", "Sample", "sample_csi"), "sampling"),
    **dict.fromkeys(("HoldLastSettings", "RecordSettings", "ShowSettings"), "settings"),
    "show": "figures",
    "CsiSet": "table",
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = [
    "CsiSet",
    "HoldLastSettings",
    "Link",
    "RecordSettings",
    "Sample",
    "ShowSettings",
    "closed_form",
    "hold_last",
    "hold_last_at",
    "load",
    "prediction_error",
    "record",
    "sample_csi",
    "show",
]
