# SPDX-License-Identifier: GPL-2.0-only
"""Figures of a run, from its folder alone, with their numbers as CSV beside them."""

import itertools
from pathlib import Path

import numpy as np

from edgelam.files.storage import write_atomically
from edgelam.output import figures
from edgelam.runs import claims, load

from . import results


def plot(path: Path) -> list[Path]:
    """Draw all figures that the tables of this run folder allow; returns the SVG files (a PNG lies beside each)."""
    run = load(path)
    means = results.by_method(run)
    drawn: list[Path] = []
    if means.empty:
        return drawn
    write_atomically(path / "methods.csv", means.to_csv(float_format="%.6g").encode())
    write_atomically(path / "claims.csv", claims.csv(results.claims(run)))
    parts = results.parts(run)
    write_atomically(path / "parts.csv", parts.to_csv(float_format="%.6g").encode())
    if len(parts):
        with figures.figure(path / "parts", height_in=1.0 + 0.25 * len(parts)) as (figure, (axes,)):
            left = np.zeros(len(parts))
            shown = [part for part in results.PARTS if parts[part].max() > 0]
            for part, colour in zip(shown, figures.COLOURS, strict=False):
                seconds = 1000 * parts[part].to_numpy()
                axes.barh(np.arange(len(parts)), seconds, left=left, label=part, color=colour, height=0.7)
                left += seconds
            axes.set_yticks(np.arange(len(parts)), parts.index)
            axes.invert_yaxis()
            axes.set_xlabel("mean time of a request (ms)")
            figure.legend(loc="outside upper left", ncols=4, columnspacing=1.0, fontsize=6)
        drawn.append(path / "parts.svg")
        done = run["requests"][run["requests"]["status"] == "complete"]
        with figures.figure(path / "latency", height_in=2.6) as (figure, (axes,)):
            for (method, rows), colour, dash in zip(
                done.groupby("method", sort=False), figures.COLOURS, figures.DASHES * 2, strict=False
            ):
                times = np.sort(1000 * rows["e2e_s"].to_numpy())
                axes.step(
                    times, np.arange(1, len(times) + 1) / len(times), where="post", label=method, color=colour,
                    linestyle=dash,
                )  # fmt: skip
            axes.set_xlabel("end-to-end latency (ms)")
            axes.set_ylabel("share of requests")
            figure.legend(loc="outside upper left", ncols=3, columnspacing=1.0, fontsize=6)
        drawn.append(path / "latency.svg")
    hosts = results.hosts(run)
    if len(hosts):
        shares = 100 * hosts["busy_share"].unstack("node", sort=False)
        with figures.figure(path / "nodes", height_in=0.9 + 0.3 * len(shares)) as (figure, (axes,)):
            width = 0.8 / len(shares.columns)
            for i, (node, colour) in enumerate(zip(shares.columns, itertools.cycle(figures.COLOURS), strict=False)):
                axes.barh(np.arange(len(shares)) + i * width, shares[node], width, label=node, color=colour)
            axes.set_yticks(np.arange(len(shares)) + 0.4 - width / 2, shares.index)
            axes.invert_yaxis()
            axes.set_xlabel("time in which a node computes (%)")
            figure.legend(loc="outside upper left", ncols=5, columnspacing=1.0, fontsize=6)
        drawn.append(path / "nodes.svg")
    with figures.figure(path / "memory", height_in=0.8 + 0.22 * len(means)) as (_, (axes,)):
        axes.barh(np.arange(len(means)), means["memory_bytes"] / 1e6, color=figures.COLOURS[0], height=0.7)
        axes.set_yticks(np.arange(len(means)), means.index)
        axes.invert_yaxis()
        axes.set_xlabel("memory of all weights (MB)")
    drawn.append(path / "memory.svg")
    return drawn
