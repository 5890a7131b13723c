# SPDX-License-Identifier: GPL-2.0-only
"""`edgelam bench beamforming` has every method, and its rates are in the order that they must be in."""

import math

from edgelam.bench import beamforming


def test_rows(monkeypatch):
    monkeypatch.setattr(beamforming, "DIGITAL", ((4, 4, 10),))
    monkeypatch.setattr(beamforming, "SMALL", ((2, 2, 10),))
    monkeypatch.setattr(beamforming, "HYBRID", ((2, 2),))
    monkeypatch.setattr(beamforming, "PILOTS", (9,))
    rows = beamforming.measure(draws=4)
    assert all(math.isfinite(row[key]) and row[key] >= 0 for row in rows for key in ("rate", "standard_error", "ms"))
    rate = {(row["setting"], row["method"]): row["rate"] for row in rows}
    assert len(rate) == len(rows) == 6 + 7 + 5 + 4
    small = {method: value for (setting, method), value in rate.items() if setting == "K 2, N 2, 10 dB"}
    assert max(small, key=small.__getitem__) in ("optimum", "WMMSE, 10 starts")
    assert rate["2 streams, 2 chains", "digital"] > rate["2 streams, 2 chains", "MO-AltMin"]
    assert rate["surface, perfect CSI", "BCD, 1 start"] > rate["surface, random phases", "WMMSE, 1 start"]
