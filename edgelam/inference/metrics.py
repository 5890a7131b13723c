# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a simulation, with the names that people who serve models use.

requests, completed     how many came, and how many got an answer
on_time_ratio           answers within the deadline, of all requests
goodput_rps             answers within the deadline per second, from the first arrival to the last end
e2e_p50_s, _p95, _p99   end-to-end latency
ttft_p50_s, _p95        time to first token, at the user
tpot_p50_s              time per output token, at the user, of streamed answers
memory_bytes            weights that all instances hold
instances               how many there are
wan_bytes               payload of requests that went to or from the cloud
raw_wan_bytes           of these, what users sent there themselves: raw data that left the site
cost                    20 for each instance that is deployed and 4 for each second that it is kept (arXiv 2601.19563)

Percentiles are of completed requests, by linear interpolation, and NaN without any.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgelam.inference.serving import Outcome

DEPLOY_COST, KEEP_COST = 20.0, 4.0


def summary(outcome: Outcome, *, cloud: Collection[str] = ()) -> dict[str, float]:
    """Return the numbers of `outcome`; cloud: names of the nodes behind the wide-area network."""
    rows = outcome.requests
    done = [row for row in rows if row.status == "complete"]
    on_time = sum(row.on_time for row in rows)
    took_s = max((row.end_s for row in rows), default=0.0) - min((row.arrive_s for row in rows), default=0.0)
    there = [instance for instance in outcome.instances if not math.isnan(instance.ready_s)]
    ends = [outcome.end_s - outcome.begin_s if math.isnan(each.end_s) else each.end_s for each in there]
    kept_s = sum(end - max(each.ready_s, 0.0) for end, each in zip(ends, there, strict=True))
    wan = [move for move in outcome.moves if move.source in cloud or move.receiver in cloud]
    return {
        "requests": len(rows),
        "completed": len(done),
        "on_time_ratio": on_time / len(rows) if rows else math.nan,
        "goodput_rps": on_time / took_s if took_s > 0 else math.nan,
        **{f"e2e_p{q}_s": percentile([row.e2e_s for row in done], q) for q in (50, 95, 99)},
        **{f"ttft_p{q}_s": percentile([row.ttft_s for row in done], q) for q in (50, 95)},
        "tpot_p50_s": percentile([row.tpot_s for row in done if not math.isnan(row.tpot_s)], 50),
        "memory_bytes": sum(each.weight_bytes for each in there),
        "instances": len(there),
        "wan_bytes": sum(move.bytes for move in wan),
        "raw_wan_bytes": sum(move.bytes for move in wan if move.part == "uplink"),
        "cost": DEPLOY_COST * len(there) + KEEP_COST * kept_s,
    }


def percentile(values: Sequence[float] | np.ndarray, q: float) -> float:
    """Return a percentile by linear interpolation; NaN of nothing."""
    return float(np.percentile(values, q)) if len(values) else math.nan
