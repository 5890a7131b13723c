# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam bench beamforming``: mean rates of the classical methods and how long a decision takes, on one thread.

Channels and numbers of antennas are those of docs/beamforming.md, where the results stand beside published ones. A
decision is the precoder of one channel, computed in a batch; its time is that of this process on the processor.
"""

from __future__ import annotations

import json as json_module
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from edgelam.air import beamforming as bf
from edgelam.air.beamforming.channels.surface_cell import DOWNLINK_MW, NOISE_MW, PILOT_MW

DIGITAL = ((4, 4, 0), (4, 4, 10), (4, 4, 20), (8, 8, 10), (16, 16, 10), (4, 8, 10))  # users, antennas, SNR in dB
SMALL = ((2, 2, 10), (2, 2, 20), (3, 3, 10), (3, 3, 20), (3, 2, 10))  # the optimum is known
HYBRID = ((2, 2), (4, 4), (4, 5), (4, 8))  # streams, RF chains
PILOTS = (9, 15, 30)


def measure(draws: int = 100) -> list[dict[str, Any]]:
    """One row for each method and setting: setting, method, mean rate in bit/s/Hz, its standard error, ms per decision.

    decisions_per_s: the same in decisions per second of processor time.
    draws: channels of each setting; a fifth of them for hybrid precoding, half for surfaces.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        bf.wmmse(bf.Downlink(bf.iid(2, 2, 2, seed=1)))  # the first call of an operator takes longer
        return _digital(draws) + _hybrid(max(draws // 5, 2)) + _surface(max(draws // 2, 2))
    finally:
        torch.set_num_threads(threads)


def run(json: bool = False) -> int:
    """Measure and print: a table, or one JSON array. Returns the exit status."""
    rows = measure()
    if json:
        print(json_module.dumps(rows))
        return 0
    print(f"{'setting':<28} {'method':<20} {'bit/s/Hz':>9} {'error':>6} {'ms':>8} {'per s':>8}")
    for row in rows:
        numbers = f"{row['rate']:>9.3f} {row['standard_error']:>6.3f} {row['ms']:>8.3f} {row['decisions_per_s']:>8.0f}"
        print(f"{row['setting']:<28} {row['method']:<20} {numbers}")
    return 0


def _row(setting: str, method: str, decide: Callable[[], Any], rate_of: Callable[[Any], Tensor]) -> dict[str, Any]:
    begin = time.process_time()
    decision = decide()
    seconds = time.process_time() - begin
    rate = rate_of(decision).double()
    error = rate.std().item() / math.sqrt(len(rate))
    return {
        "setting": setting,
        "method": method,
        "rate": rate.mean().item(),
        "standard_error": error,
        "ms": 1e3 * seconds / len(rate),
        "decisions_per_s": len(rate) / max(seconds, 1e-9),
    }


def _digital(draws: int) -> list[dict[str, Any]]:
    rows = []
    for users, antennas, snr_db in DIGITAL + SMALL:
        dtype = torch.complex128 if (users, antennas, snr_db) in SMALL else torch.complex64
        problem = bf.Downlink(bf.iid(draws, users, antennas, seed=1, dtype=dtype), power=10 ** (snr_db / 10))
        methods: dict[str, Callable[[], Tensor]] = {
            "MRT": partial(bf.mrt, problem),
            "RZF": partial(bf.rzf, problem),
            "WMMSE, 1 start": partial(bf.wmmse, problem, starts=1),
            "WMMSE, 10 starts": partial(bf.wmmse, problem, starts=10),
        }
        if users <= antennas:
            methods["ZF"] = partial(bf.zero_forcing, problem)
            methods["ZF, water-filling"] = partial(bf.zero_forcing, problem, filled=True)
        if users <= 3:
            methods["optimum"] = partial(bf.optimum, problem)
        setting = f"K {users}, N {antennas}, {snr_db} dB"
        rows += [_row(setting, name, method, problem.weighted_sum_rate) for name, method in methods.items()]
    return rows


def _hybrid(draws: int) -> list[dict[str, Any]]:
    rows, (channel, tx_responses, rx_responses) = [], bf.clustered(draws, seed=1)

    def rate(ends: tuple[Tensor, Tensor]) -> Tensor:
        return bf.spectral_efficiency(channel, *ends, 1.0)

    for streams, chains in HYBRID:
        f, w = bf.digital_optimum(channel, streams)
        methods: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
            "digital": partial(bf.digital_optimum, channel, streams),
            "PE-AltMin": partial(_both, partial(bf.pe_altmin, f, chains), partial(bf.pe_altmin, w, chains)),
            "MO-AltMin": partial(_both, partial(bf.mo_altmin, f, chains), partial(bf.mo_altmin, w, chains)),
            "OMP": partial(_both, partial(bf.omp, f, chains, tx_responses), partial(bf.omp, w, chains, rx_responses)),
        }
        if f.shape[1] % chains == 0 and w.shape[1] % chains == 0:
            parts = (partial(bf.partly_connected, f, chains), partial(bf.partly_connected, w, chains))
            methods["partly connected"] = partial(_both, *parts)
        rows += [_row(f"{streams} streams, {chains} chains", name, method, rate) for name, method in methods.items()]
    return rows


def _both(precoder: Callable[[], bf.Hybrid], combiner: Callable[[], bf.Hybrid]) -> tuple[Tensor, Tensor]:
    return precoder().product, combiner().product


def _surface(draws: int) -> list[dict[str, Any]]:
    cell = bf.surface_cell(draws, seed=1)
    elements = cell.num_elements
    past = bf.surface_cell(300, seed=4, dtype=torch.complex128)
    before = bf.prior(past.direct, past.cascaded)
    random = cell.at(bf.random_phases(draws, elements, seed=2))

    def rate(decision: tuple[Tensor, Tensor]) -> Tensor:
        phases, precoder = decision
        return cell.at(phases).weighted_sum_rate(precoder)

    def from_pilots(pilots: int) -> tuple[Tensor, Tensor]:
        phases = bf.random_phases(pilots // cell.direct.shape[1], elements, seed=3, dtype=torch.complex128)
        known, variance = bf.receive_pilots(cell, phases, power=PILOT_MW, noise_power=NOISE_MW, seed=5)
        direct, cascaded = bf.lmmse(known, phases, variance, before)
        dtype = cell.direct.dtype
        return bf.bcd(bf.SurfaceDownlink(direct.to(dtype), cascaded.to(dtype), DOWNLINK_MW, NOISE_MW))

    one, ten = (partial(bf.wmmse, random, starts=starts) for starts in (1, 10))
    return [
        _row("surface, random phases", "WMMSE, 1 start", one, random.weighted_sum_rate),
        _row("surface, random phases", "WMMSE, 10 starts", ten, random.weighted_sum_rate),
        _row("surface, perfect CSI", "BCD, 1 start", partial(bf.bcd, cell), rate),
        *(_row(f"surface, {n} pilots", "LMMSE + BCD", partial(from_pilots, n), rate) for n in PILOTS),
    ]
