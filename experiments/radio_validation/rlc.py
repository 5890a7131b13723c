# SPDX-License-Identifier: GPL-2.0-only
"""RLC over an air that loses every tenth block: acknowledged mode loses nothing and takes its time for it."""

from pathlib import Path
from typing import Any

import numpy as np

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, RunFolder, figures

from .checks import Check, Frame
from .config import Config
from .runner import Runner

TABLE = "rlc"
MODES = {"am": "acknowledged mode", "um": "unacknowledged mode"}
TARGET = 0.1
SCHEMA = {
    "mode": str, "sent": int, "dropped": int, "delivered": int, "blocks": int, "lost_blocks": int,
    "retransmitted_pdus": int, "failed": bool,
}  # fmt: skip


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """No HARQ retransmissions: what link adaptation's target leaves over is lost for RLC to mend."""
    jobs: list[dict[str, Any]] = [
        {"mode": mode, "packets": config.rlc_packets, "blerTarget": TARGET, "bandwidth": 20, "gnbPower": 30,
         "seed": config.seed}
        for mode in MODES
    ]  # fmt: skip
    writer = folder.table(TABLE, SCHEMA)
    delays = folder.table("rlc_delay", {"mode": str, "packet": int, "delay_s": float})
    for mode, (line,) in zip(MODES, runner.run("rlc", jobs), strict=True):
        writer.append({"mode": mode} | {name: line[name] for name in SCHEMA if name != "mode"})
        for number, delay_ms in enumerate(line["delays_ms"]):
            delays.append({"mode": mode, "packet": number, "delay_s": 1e-3 * delay_ms})


def draw(run: Run) -> list[Path]:
    """How many packets of those sent take longer than a delay; lost ones take for ever."""
    rows: Frame = run[TABLE].set_index("mode")
    with figures.figure(run.path / "rlc", height_in=2.4) as (figure, (axes,)):
        for index, (mode, label) in enumerate(MODES.items()):
            sent = int(rows.loc[mode, "sent"])
            delays = run["rlc_delay"]
            ordered = np.sort(1e3 * delays[delays["mode"] == mode]["delay_s"].to_numpy())
            above = 1 - np.arange(1, len(ordered) + 1) / sent
            style = figures.line_style(index) | {"marker": ""}
            ends = np.append(ordered, 300.0), np.append(np.maximum(above, 1e-9), max(above[-1], 1e-9))
            axes.step(*ends, where="post", label=label, **style)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set(
            xlim=(1, 300), ylim=(1 / sent, 1), xlabel="delay (ms)", ylabel="share of packets sent\nthat take longer"
        )
        axes.set_xticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
        figure.legend(loc="outside upper center", ncols=2)
    return [run.path / "rlc.svg"]


def numbers(run: Run) -> list[TextTable]:
    """Numbers of sent, lost and delivered packets."""
    table = TextTable(
        "RLC without HARQ", "mode", "sent", "delivered", "packets lost", "blocks lost", "delay, mean", "99 %"
    )
    for row in run[TABLE].to_dict("records"):
        delays = 1e3 * run["rlc_delay"].loc[run["rlc_delay"]["mode"] == row["mode"], "delay_s"]
        lost, blocks = 1 - row["delivered"] / row["sent"], row["lost_blocks"] / row["blocks"]
        cells = [
            f"{100 * lost:.2f} %",
            f"{100 * blocks:.2f} %",
            f"{delays.mean():.1f} ms",
            f"{delays.quantile(0.99):.1f} ms",
        ]
        table.add_row(MODES[row["mode"]], str(row["sent"]), str(row["delivered"]), *cells)
    return [table]


def checks(run: Run) -> list[Check]:
    """AM delivers everything over an air that loses a tenth; UM loses what the air loses."""
    rows = run[TABLE].set_index("mode")
    am, um = rows.loc["am"], rows.loc["um"]
    air, lost = um["lost_blocks"] / um["blocks"], 1 - um["delivered"] / um["sent"]
    return [
        Check("rlc", "AM delivers what is sent", f"{am['delivered']} of {am['sent']}",
              bool(am["delivered"] == am["sent"] and not am["failed"] and not am["dropped"])),
        Check("rlc", "the air loses a tenth of blocks", f"{100 * am['lost_blocks'] / am['blocks']:.1f} %",
              bool(abs(am["lost_blocks"] / am["blocks"] - TARGET) < 0.03)),
        Check("rlc", "UM loses what the air loses", f"{100 * lost:.1f} % of packets, {100 * air:.1f} % of blocks",
              bool(abs(lost - air) < 0.02)),
    ]  # fmt: skip
