# SPDX-License-Identifier: GPL-2.0-only
"""Collectives over real packets of wired-star take as long as their closed forms say (docs/collectives.md)."""

import asyncio
import math

import pytest
import torch
from parallel_runs import run_ranks

from edgelam.parallel import closed_forms
from edgelam.parallel.closed_forms import Path, Tcp, Udp

RATE, EDGE_RATE, DELAY, EDGE_DELAY = 20e6, 1e9, 5e-3, 1e-3
BETWEEN = Path((RATE, RATE), 2 * DELAY)
UP, DOWN = Path((RATE, EDGE_RATE), DELAY + EDGE_DELAY), Path((EDGE_RATE, RATE), DELAY + EDGE_DELAY)
PACE = 18e6
BANDWIDTH_DELAY_BYTES = int(RATE * 4 * DELAY / 8)
SOME = [("ring", 3), ("halving-doubling", 4), ("tree", 4), ("star", 4)]


def simulated_s(algorithm, size, size_bytes, *, warm_bytes=0, **of_group):
    """How long the slowest rank takes for an all-reduce; warm_bytes: after another one of so many bytes."""

    async def program(group, sim):
        if warm_bytes:
            await group.all_reduce(torch.ones(warm_bytes // 4), algorithm=algorithm)
            await asyncio.sleep(math.ceil(sim.now_s) + 1 - sim.now_s)
            await group.barrier()
            await asyncio.sleep(math.ceil(sim.now_s) + 1 - sim.now_s)
        tensor, start_s = torch.ones(size_bytes // 4), sim.now_s
        await group.all_reduce(tensor, algorithm=algorithm)
        assert tensor.eq(size).all()
        return sim.now_s - start_s

    return max(run_ranks(program, size, scenario="wired-star", options={"rate": "20Mbps"}, **of_group))


def form_s(algorithm, size, size_bytes, send):
    """The closed form; send(path, there and back): how messages cross a path."""
    steps = range(size.bit_length() - 1)
    if algorithm == "ring":
        return closed_forms.ring(size, send(BETWEEN, True), size_bytes)
    if algorithm == "halving-doubling":
        return closed_forms.halving_doubling([send(BETWEEN, True) for _ in steps], size_bytes)
    if algorithm == "tree":
        ups, downs = ([send(BETWEEN, False) for _ in steps] for _ in range(2))
        return closed_forms.tree(ups, downs, size_bytes, acknowledged_s=getattr(ups[0], "acknowledged_s", 0.0))
    return closed_forms.star(send(UP, False), send(DOWN, False), size_bytes)


@pytest.mark.parametrize("size_bytes", [4096, 300_000])
@pytest.mark.parametrize(
    ("algorithm", "size"),
    [("ring", 3), ("ring", 4), ("halving-doubling", 4), ("halving-doubling", 8), ("tree", 4), ("tree", 8), ("star", 5)],
)
def test_paced_udp(algorithm, size, size_bytes):
    got_s = simulated_s(algorithm, size, size_bytes, protocol="udp", rate_bps=PACE, server="edge0")
    assert got_s == pytest.approx(form_s(algorithm, size, size_bytes, lambda path, _: Udp(path, PACE)), rel=0.01)


@pytest.mark.parametrize(("algorithm", "size"), [("ring", 2), *SOME])
def test_warmed_tcp(algorithm, size):
    size_bytes = 20 * BANDWIDTH_DELAY_BYTES
    got_s = simulated_s(algorithm, size, size_bytes, warm_bytes=2 * size_bytes, server="edge0")
    form = form_s(algorithm, size, size_bytes, lambda path, both: Tcp(path, window=math.inf, busy_backwards=both))
    assert got_s == pytest.approx(form, rel=0.02)


@pytest.mark.parametrize(("algorithm", "size"), [("ring", 4), *SOME])
@pytest.mark.parametrize("size_bytes", [70_000, 400_000])
def test_slow_start(algorithm, size, size_bytes):
    got_s = simulated_s(algorithm, size, size_bytes, server="edge0")
    form = form_s(algorithm, size, size_bytes, lambda path, both: Tcp(path, busy_backwards=both))
    assert got_s == pytest.approx(form, rel=0.1)


def test_star_at_rank_0_shares_its_link():
    size = 4
    shared = Path((RATE / (size - 1), RATE), 2 * DELAY)
    got_s = simulated_s("star", size, 400_000, warm_bytes=1_000_000)
    form = closed_forms.star(Tcp(shared, window=math.inf), Tcp(shared, window=math.inf), 400_000)
    assert got_s == pytest.approx(form, rel=0.02)


def test_a_window_of_ten_segments_crosses_in_round_trips():
    """By hand: 25 segments of 1 ms on a path of 100 ms go as 10 and 15."""
    path = Path(((1400 + 54) * 8 / 1e-3,), 0.1)
    send = Tcp(path, window=10)
    first = send(25 * 1400, 0.0)
    acknowledgement_s = 0.1 + 54 * 8 / path.rates_bps[0]
    # two are acknowledged after 2 ms and a round trip, and let four out; the last of 15 leaves 15 ms after the first
    assert first == pytest.approx(0.002 + 0.1 + acknowledgement_s + 0.015 + 0.1)
    assert send.window == 10 + 8
