# SPDX-License-Identifier: GPL-2.0-only
"""A large TCP transfer over nr-urban-micro: its time from the air's rate and round trips."""

import asyncio
import dataclasses
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from edgelam import cosim
from edgelam.output.terminal import TextTable
from edgelam.runs import Run, RunFolder, figures

from .checks import Check
from .config import Config
from .runner import Runner

TABLE = "tcp"
SEGMENT = 1448  # bytes of payload: MTU 1500 less IPv4 20 and TCP with time stamps 32
INITIAL_WINDOW = 10  # segments, RFC 6928
SMALL = 1000  # bytes: one segment
ROUND_TRIPS = 10  # of single segments, each sent when the one before is acknowledged, as slow start sends its windows
STILL = {"numUe": 1, "speed": 0, "los": "Always", "minDistance": 30, "maxDistance": 31}
MOST_RESIDUAL = 0.03


@dataclasses.dataclass(frozen=True)
class TransferRow:
    """One transfer from a server to the UE, over a connection of its own."""

    server: str
    wire_round_trip_s: float
    """Round trip of the links behind the gNB."""
    round_trip_s: float
    """Round trip of one segment, sent when the one before was acknowledged; on the idle cell."""
    one_way_s: float
    size_bytes: int
    rate_bps: float
    """Measured rate of payload when the window is fully open."""
    time_s: float
    """Time from the request, which opens the connection, to the last byte at the UE."""
    explained_s: float
    retransmissions: int


def explain(size_bytes: int, rate_bps: float, round_trip_s: float, one_way_s: float) -> float:
    """Seconds until the last byte is there.

    One round trip opens the connection. Then TCP sends a window, begins the next one a round trip later, twice as
    large, and so on (slow start, RFC 5681) until a window takes longer than the round trip: from then on the air is
    never idle. The last bytes are there one way after the window began, plus what the air needs for them.
    """
    begin_s, window, left = round_trip_s, INITIAL_WINDOW * SEGMENT, size_bytes
    while left > window:
        air_s = 8 * window / rate_bps
        if air_s >= round_trip_s:
            break
        left -= window
        begin_s += round_trip_s
        window *= 2
    return begin_s + one_way_s + 8 * left / rate_bps


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """An edge server at the site (its second transfer tells the rate), then clouds at several distances."""
    writer = folder.table(TABLE, {field.name: field.type for field in dataclasses.fields(TransferRow)})
    runner.progress.begin("tcp", 1 + len(config.tcp_delays_ms), "runs")
    cases = [("edge0", 0.0), *(("cloud0", delay_ms) for delay_ms in config.tcp_delays_ms)]
    rate_bps = 0.0
    for done, (server, delay_ms) in enumerate(cases, 1):
        found = _transfer(config, server, delay_ms, with_rate=not rate_bps)
        rate_bps = rate_bps or found["rate_bps"]
        wire_s = 2 * (100e-6 if server == "edge0" else 2e-3 + delay_ms * 1e-3)
        known = {"server": server, "wire_round_trip_s": wire_s, "size_bytes": config.tcp_bytes, "rate_bps": rate_bps}
        known["explained_s"] = explain(config.tcp_bytes, rate_bps, found["round_trip_s"], found["one_way_s"])
        writer.append(found | known)
        runner.progress.step(done)


def _transfer(config: Config, server: str, delay_ms: float, *, with_rate: bool) -> dict[str, Any]:
    """One simulation: the transfer on a new connection, then single segments, then perhaps a second large one.

    The wires are faster than the air.
    """

    async def main(sim: cosim.Simulation) -> dict[str, Any]:
        source, ue = sim.node(server), sim.node("ue0")

        async def send(size: int, pause_s: float) -> cosim.TransferRecord:
            sending = asyncio.ensure_future(source.send(ue, bytes(size)))
            await ue.receive()
            record = await sending
            await asyncio.sleep(pause_s)
            return record

        large = await send(config.tcp_bytes, 0.5)
        small = [await send(SMALL, 0.0) for _ in range(1 + ROUND_TRIPS)][1:]
        found = {
            "time_s": large.last_byte_s - large.queued_s,
            "retransmissions": large.retransmissions,
            "one_way_s": fmean(each.last_byte_s - each.queued_s for each in small),
            "round_trip_s": fmean(each.acknowledged_s - each.queued_s for each in small),
            "rate_bps": 0.0,
        }
        if with_rate:
            again = await send(3 * config.tcp_bytes, 0.0)
            found["rate_bps"] = 8 * again.size_bytes / (again.last_byte_s - again.first_byte_s)
        return found

    options = STILL | {
        "cloudRate": "10Gbps",
        "cloudDelay": f"{delay_ms}ms",
        "backhaulDelay": "2ms",
        "edgeDelay": "100us",
    }
    return cosim.simulate(main, scenario="nr-urban-micro", options=options, seed=config.seed)


def draw(run: Run) -> list[Path]:
    """Time against the round trip, measured and explained, and the part that is rate alone."""
    rows = run[TABLE].sort_values("round_trip_s")
    with figures.figure(run.path / "tcp", height_in=2.3) as (_, (axes,)):
        rate_bps, one_way = rows["rate_bps"].iloc[0], np.polyfit(rows["round_trip_s"], rows["one_way_s"], 1)
        trips = np.linspace(rows["round_trip_s"].min(), rows["round_trip_s"].max(), 200)
        size = int(rows["size_bytes"].iloc[0])
        curve = [explain(size, rate_bps, trip, float(np.polyval(one_way, trip))) for trip in trips]
        axes.plot(1e3 * trips, curve, color=figures.COLOURS[0], label="rate and round trips")
        axes.plot(1e3 * rows["round_trip_s"], rows["time_s"], "o", color=figures.COLOURS[1], ms=4, label="measured")
        axes.axhline(8 * size / rate_bps, color="#7F7F7F", ls="--", lw=0.9, label="bytes / rate alone")
        axes.set(xlabel="round trip of one segment (ms)", ylabel=f"time of {size / 1e6:g} MB (s)", ylim=(0, None))
        axes.legend(loc="upper left")
    return [run.path / "tcp.svg"]


def numbers(run: Run) -> list[TextTable]:
    """Measured beside explained."""
    table = TextTable("TCP transfers to a UE", "from", "round trip", "rate", "measured", "explained", "residual")
    for row in run[TABLE].to_dict("records"):
        name = f"{row['server']}, {1e3 * row['wire_round_trip_s']:.1f} ms of wires"
        cells = [f"{1e3 * row[name]:.1f} ms" for name in ("round_trip_s",)]
        cells += [
            f"{row['rate_bps'] / 1e6:.0f} Mbit/s",
            f"{1e3 * row['time_s']:.1f} ms",
            f"{1e3 * row['explained_s']:.1f} ms",
        ]
        table.add_row(name, *cells, f"{100 * (row['time_s'] / row['explained_s'] - 1):+.1f} %")
    return [table]


def checks(run: Run) -> list[Check]:
    """Rate and round trips explain the time within 3 %; nothing was sent twice."""
    rows = run[TABLE]
    residual = (rows["time_s"] / rows["explained_s"] - 1).abs().max()
    again = int(rows["retransmissions"].sum())
    return [
        Check("tcp", "rate and round trips explain the time", f"{100 * residual:.1f} % off at most",
              bool(residual < MOST_RESIDUAL)),
        Check("tcp", "nothing was sent twice", f"{again} segments", again == 0),
    ]  # fmt: skip
