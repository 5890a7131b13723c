# SPDX-License-Identifier: GPL-2.0-only
"""What the server has learnt of each device's link from the rounds before: measured efficiency, never a formula's rate.

In a round with the share b of the band, a device's messages took `seconds`, of which each message's latency is taken
off (that of the short reports). The efficiency of a direction is

    bits / (seconds * b * bits of a symbol by the channel's report before that round)

so headers, grants, slots of the other direction, retransmissions and windows of TCP are in it as they were. It is the
geometric mean of what was measured, exponentially weighted (the first round only until there is another one). Only
finished rounds count. Short reports are not quite what the messages of a round are, so the ratio of what rounds took to
what was predicted for them corrects the next prediction, device by device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgelam.federated.allocation.problem import Floats, RoundProblem, per_symbol
from edgelam.federated.allocation.reports import Report
from edgelam.federated.allocation.settings import AllocationSettings

WEIGHT = 0.5
"""Of a new measurement in a mean."""
CORRECTION_WEIGHT = 0.3
"""Of a new ratio of measured to predicted seconds."""
LEAST_PART = 0.2
"""Of its seconds at least counts as transmission, whatever latency is taken off."""
QUARTER = 0.25  # of the band, to which the reported uplink SINR belongs
CQI_BITS = (
    0.0, 0.1523, 0.3770, 0.8770, 1.4766, 1.9141, 2.4063, 2.7305, 3.3223, 3.9023, 4.5234, 5.1152, 5.5547, 6.2266, 6.9141,
    7.4063,
)  # fmt: skip
"""Bits of a symbol by CQI: TS 38.214 table 5.2.2.1-3."""


@dataclass
class Learnt:
    """Of one device; None: not yet."""

    last_round: int = -1
    rounds: int = 0
    """That have been learnt from."""
    up_efficiency: float | None = None
    down_efficiency: float | None = None
    up_latency_s: float | None = None
    down_latency_s: float | None = None
    compute_s: float = 0.0
    compute_j: float = 0.0
    up_w: float = 0.0
    messages: tuple[float, float] = (0.0, 0.0)
    joules: tuple[float, float] = (0.0, 0.0)
    """Of sending and of computing, at the last report."""
    correction: float = 1.0
    """Of predicted seconds."""
    asked: dict[int, tuple[Report, float, float]] = field(default_factory=dict)
    """Rounds that have not been learnt from: the report before it, the share of the band, and predicted seconds (0: no
    prediction)."""


class Estimates:
    """What is known of all devices, by name."""

    def __init__(self) -> None:
        """Begin without knowledge."""
        self.of: dict[str, Learnt] = {}

    def decided(self, name: str, round_number: int, report: Report, *, share: float, predicted_s: float) -> None:
        """Note the decision that a device takes part in a round with this share of the band."""
        self._get(name).asked[round_number] = report, share, predicted_s

    def learn(self, name: str, report: Report) -> float:
        """Learn from a report; return the joules that the device has spent since its last one."""
        known = self._get(name)
        radio_j, compute_j = (max(now - before, 0.0) for now, before in zip(_joules(report), known.joules, strict=True))
        known.joules = _joules(report)
        known.down_latency_s = _mean(known.down_latency_s, report.down_latency_s)
        known.up_latency_s = _mean(known.up_latency_s, report.up_latency_s)
        asked = known.asked.pop(int(report.last_round), None)
        if asked is not None and report.last_round > known.last_round:
            known.last_round = int(report.last_round)
            before, share, predicted_s = asked
            if predicted_s > 0:
                took_s = report.up_s + report.down_s + report.compute_s
                known.correction *= (took_s / predicted_s) ** CORRECTION_WEIGHT
            self._measured(known, report, before, share)
            known.compute_s, known.compute_j = report.compute_s, compute_j
            known.up_w = _mean(known.up_w or None, radio_j / max(report.up_s, 1e-9)) or 0.0
        known.asked = {number: each for number, each in known.asked.items() if number > known.last_round}
        return radio_j + compute_j

    def problem(
        self, round_number: int, reports: Mapping[str, Report], *, cells: Sequence[int], units: int,
        settings: AllocationSettings, weights: Mapping[str, float], prices: Mapping[str, float],
        samples: Mapping[str, int],
    ) -> RoundProblem:  # fmt: skip
        """Return the problem of a round for the devices that have reported. cells: of each of them."""
        names = list(reports)
        known = [self._get(name) for name in names]
        measured = np.array([each.up_efficiency is not None for each in known])
        up, down = (_filled([getattr(each, f"{way}_efficiency") for each in known], 1e7) for way in ("up", "down"))
        up_latency = _filled([each.up_latency_s for each in known], 0.0)
        down_latency = _filled([each.down_latency_s for each in known], 0.0)
        messages = np.array([each.messages for each in known], dtype=float).reshape(-1, 2)
        told = list(reports.values())
        up_layers, up_snr, down_bits = _channel(told)
        correction = np.array([each.correction for each in known])
        up_fixed = messages[:, 0] * up_latency
        compute_s = np.array([each.compute_s for each in known])
        return RoundProblem(
            round_number, tuple(names), np.array(cells, dtype=np.int64), units, settings.deadline_s,
            np.array([weights[name] for name in names]), np.array([prices[name] for name in names]),
            np.array([samples[name] for name in names], dtype=np.int64), measured,
            fixed_s=correction * (up_fixed + messages[:, 1] * down_latency + compute_s),
            up_fixed_s=correction * up_fixed,
            up_s=correction * 8.0 * np.array([each.coming_up_bytes for each in told]) / up,
            down_s=correction * 8.0 * np.array([each.coming_down_bytes for each in told]) / down,
            up_layers=up_layers, up_snr=up_snr, down_bits=down_bits,
            compute_j=np.array([each.compute_j for each in known]),
            up_w=_filled([each.up_w or None for each in known], 0.0),
        )  # fmt: skip

    def _get(self, name: str) -> Learnt:
        return self.of.setdefault(name, Learnt())

    def _measured(self, known: Learnt, report: Report, before: Report, share: float) -> None:
        layers, snr, down_bits = (array[0] for array in _channel([before]))
        up_rate = share * layers * float(per_symbol(np.array(snr / share)))
        known.messages = report.up_messages, report.down_messages
        for way, seconds, size, count, latency_s, rate in (
            ("up", report.up_s, report.up_bytes, report.up_messages, known.up_latency_s, up_rate),
            ("down", report.down_s, report.down_bytes, report.down_messages, known.down_latency_s, share * down_bits),
        ):
            left_s = max(seconds - count * (latency_s or 0.0), LEAST_PART * seconds)
            if left_s > 0 and size > 0 and rate > 0:
                name = f"{way}_efficiency"
                old, new = getattr(known, name), 8.0 * size / (left_s * rate)
                # the first round opens the windows of TCP: it counts only until there is another one
                first = old is None or known.rounds < 2
                setattr(known, name, new if first else float(old ** (1 - WEIGHT) * new**WEIGHT))
        known.rounds += 1


def _channel(reports: Sequence[Report]) -> tuple[Floats, Floats, Floats]:
    """Return uplink layers, uplink SNR on the whole band, and downlink bits of a symbol; [K] each.

    A device that has not reported a channel yet counts as one with CQI 7 and one layer.
    """
    known = np.array([each.cqi >= 0 for each in reports], dtype=bool)
    cqi = np.array([max(int(each.cqi), 0) for each in reports], dtype=np.int64)
    bits = np.array(CQI_BITS)[cqi] * np.array([each.rank for each in reports])
    snr = QUARTER * 10 ** (np.array([each.uplink_sinr_db for each in reports]) / 10)
    return (
        np.where(known, np.maximum([each.uplink_rank for each in reports], 1.0), 1.0),
        np.where(known, snr, 10.0),
        np.where(known, bits, CQI_BITS[7]),
    )


def _joules(report: Report) -> tuple[float, float]:
    return report.radio_j, report.compute_j


def _mean(old: float | None, new: float) -> float | None:
    """Return the mean with a new value; a value of 0 was not measured."""
    if new <= 0:
        return old
    return new if old is None else old + WEIGHT * (new - old)


def _filled(values: Sequence[float | None], otherwise: float) -> Floats:
    """Return values, with the mean of the known ones where there is none, or `otherwise` if none is known."""
    known = [value for value in values if value is not None]
    mean = float(np.mean(known)) if known else otherwise
    return np.array([mean if value is None else value for value in values])
