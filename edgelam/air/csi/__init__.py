# SPDX-License-Identifier: GPL-2.0-only
"""Channel state information (CSI): recorded from a scenario, read from files, drawn, and the simplest prediction.

from edgelam.air import csi

csi.record(csi.RecordSettings(out=Path("csi.npz"), samples=1000, snr_db=18))
data = csi.load("csi.npz")          # data.csi: complex64 [sample, time, rx, tx, subcarrier], memory-mapped
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.air.csi.files import load
    from edgelam.air.csi.hold_last import closed_form, hold_last, prediction_error
    from edgelam.air.csi.record import record
    from edgelam.air.csi.sampling import Link, Sample, sample_csi
    from edgelam.air.csi.settings import HoldLastSettings, RecordSettings, ShowSettings
    from edgelam.air.csi.show import show
    from edgelam.air.csi.table import CsiSet

_HOME = {
    "load": "files",
    **dict.fromkeys(("closed_form", "hold_last", "prediction_error"), "hold_last"),
    "record": "record",
    **dict.fromkeys(("Link", "Sample", "sample_csi"), "sampling"),
    **dict.fromkeys(("HoldLastSettings", "RecordSettings", "ShowSettings"), "settings"),
    "show": "show",
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
    "load",
    "prediction_error",
    "record",
    "sample_csi",
    "show",
]
