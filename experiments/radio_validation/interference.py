# SPDX-License-Identifier: GPL-2.0-only
"""SINR of blocks between many cells, recomputed from the recorded channels, weights and transmissions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgelam.output.terminal import TextTable
from edgelam.runs import Run, RunFolder, figures

from .checks import Check, Frame
from .config import Config
from .runner import Runner

TABLE = "interference"
SCHEMA = {"explicit": int, "slot": int, "ue": int, "cell": int, "mcs": int, "layers": int, "sinr_db": float,
          "recomputed_db": float, "alone_db": float}  # fmt: skip
EXPLICIT = (8, 2)  # how many interferers have a direction; the others are white
WITHIN_DB = 0.1


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """21 cells with full buffers; each block's SINR once as the trace has it and once from what was on the air."""
    writer = folder.table(TABLE, SCHEMA)
    jobs = [{"seed": config.seed, "bandwidth": 20, "explicitInterferers": number} for number in EXPLICIT]
    for number, lines in zip(EXPLICIT, runner.run("interference", jobs), strict=True):
        for row in recompute(lines):
            writer.append({"explicit": number, **row})


def recompute(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each block of the lines that the program printed.

    With H the channel of a cell to the UE and W the weights of what the cell sends, R = (noise + white interferers) I +
    the sum of H W W^H H^H over the strongest interferers, and the SINR of layer l of the own signal A = H W is
    1 / [(I + A^H R^-1 A)^-1]_ll - 1. EESM makes one SINR of those of all layers and samples of a block.
    """
    (setting,) = (line for line in lines if line["kind"] == "setting")
    antennas, elements, noise_w = setting["antennas"], setting["elements"], setting["noise_w"]
    samples = setting["groups"] * setting["samples_per_group"]
    channels, gains = {}, np.zeros((setting["ues"], setting["cells"]))
    for line in lines:
        if line["kind"] == "channel":
            h = np.array(line["h"]).view(complex).reshape(antennas, elements, samples)
            channels[line["ue"], line["cell"]] = h.transpose(2, 0, 1)
            gains[line["ue"], line["cell"]] = line["mean_gain"]
    sent: dict[int, list[dict[str, Any]]] = {}
    for line in lines:
        if line["kind"] == "sent":
            weights = np.array(line["weights"]).view(complex).reshape(-1, elements, line["layers"])
            per_group = np.broadcast_to(weights, (setting["groups"], elements, line["layers"]))
            sent.setdefault(line["slot"], []).append(
                {**line, "weights": np.repeat(per_group, setting["samples_per_group"], axis=0)}
            )
    bit = np.repeat(1 << np.arange(setting["groups"]), setting["samples_per_group"])
    rows = []
    for block in (line for line in lines if line["kind"] == "block"):
        ue, cell = block["ue"], block["cell"]
        used = np.flatnonzero(bit & block["groups"])
        order = [other for other in np.argsort(-gains[ue], kind="stable") if other != cell]
        powers = gains[ue] * setting["cell_power_w"] / noise_w
        heard = [other for other in order if powers[other] >= 10 ** (-setting["relevance_db"] / 10)]
        noise = np.broadcast_to(np.eye(antennas, dtype=complex), (len(used), antennas, antennas)).copy()
        around, signal = noise.copy(), None
        for emission in sent[block["slot"]]:
            other = emission["cell"]
            active = ((bit[used] & emission["groups"]) != 0)[:, None, None]
            weights = emission["weights"][used]
            arrives = np.sqrt(emission["power_w"] / noise_w) * channels[ue, other][used] @ weights
            if other == cell and emission["groups"] == block["groups"]:
                signal = arrives
            elif other == cell or other in heard[: setting["explicit"]]:
                around += active * (arrives @ arrives.conj().transpose(0, 2, 1))
            elif other in heard:
                # Weights of the whole band have the sum 1; those of each group say how the power is shared.
                share = (np.abs(weights) ** 2).sum(axis=(1, 2)) if emission["per_group"] else np.ones(len(used))
                white = emission["power_w"] * gains[ue, other] / noise_w * share
                around += active * white[:, None, None] * np.eye(antennas)
        if signal is None:
            raise AssertionError(f"nothing was sent in slot {block['slot']} for the block of UE {ue}")
        beta = setting["beta"][block["mcs"]]
        rows.append(
            {name: block[name] for name in ("slot", "ue", "cell", "mcs", "layers", "sinr_db")}
            | {"recomputed_db": _effective_db(signal, around, beta), "alone_db": _effective_db(signal, noise, beta)}
        )
    return rows


def _effective_db(signal: np.ndarray, around: np.ndarray, beta: float) -> float:
    """EESM over all samples and layers: `signal` [sample, antenna, layer], `around` [sample, antenna, antenna]."""
    wanted = signal.conj().transpose(0, 2, 1) @ np.linalg.solve(around, signal)
    inverse = np.linalg.inv(np.eye(signal.shape[2]) + wanted)
    sinr = 1 / np.einsum("sll->sl", inverse).real - 1
    least = sinr.min()  # exp of the others does not vanish
    return float(10 * np.log10(least - beta * np.log(np.mean(np.exp(-(sinr - least) / beta)))))


def draw(run: Run) -> list[Path]:
    """Draw the SINR of the trace over the recomputed one, and what it would be without the other cells."""
    rows: Frame = run[TABLE]
    size: dict[str, Any] = {"width_in": figures.PAGE_IN, "height_in": 2.6}
    with figures.figure(run.path / "interference", **size, columns=2) as (figure, panels):
        for axes, number in zip(panels, EXPLICIT, strict=True):
            some = rows[rows["explicit"] == number]
            axes.plot(some["recomputed_db"], some["alone_db"], ".", ms=2, color="#B0B0B0", label="without other cells")
            axes.plot(some["recomputed_db"], some["sinr_db"], ".", ms=3, color=figures.COLOURS[0], label="trace")
            axes.set(xlabel="recomputed SINR (dB)", title=f"{number} interferers with a direction")
        panels[0].set_ylabel("SINR (dB)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=6)
    return [run.path / "interference.svg"]


def numbers(run: Run) -> list[TextTable]:
    """How far the trace is from what is recomputed, and what the other cells cost."""
    rows: Frame = run[TABLE]
    table = TextTable(
        "SINR of downlink blocks between 21 cells, dB",
        "interferers with a direction", "blocks", "UEs", "greatest difference", "median SINR", "lost to other cells",
    )  # fmt: skip
    for number, some in rows.groupby("explicit"):
        table.add_row(str(number), str(len(some)), str(some["ue"].nunique()),
                      f"{(some['sinr_db'] - some['recomputed_db']).abs().max():.4f}", f"{some['sinr_db'].median():.1f}",
                      f"{(some['alone_db'] - some['sinr_db']).median():.1f}")  # fmt: skip
    return [table]


def checks(run: Run) -> list[Check]:
    """Every block has the SINR that follows from what was on the air."""
    rows: Frame = run[TABLE]
    worst = float((rows["sinr_db"] - rows["recomputed_db"]).abs().max())
    return [
        Check("interference", f"SINR of each block is that of NumPy within {WITHIN_DB} dB", f"{worst:.4f} dB at most",
              worst <= WITHIN_DB)
    ]  # fmt: skip
