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
SCHEMA = {"uplink": bool, "explicit": int, "slot": int, "ue": int, "cell": int, "mcs": int, "layers": int,
          "sinr_db": float, "recomputed_db": float, "alone_db": float}  # fmt: skip
EXPLICIT = (8, 2)  # how many interferers have a direction; the others are white
WITHIN_DB = 0.1


def measure(config: Config, folder: RunFolder, runner: Runner) -> None:
    """21 cells with full buffers; each block's SINR once as the trace has it and once from what was on the air."""
    writer = folder.table(TABLE, SCHEMA)
    jobs = [
        {"seed": config.seed, "bandwidth": 20, "explicitInterferers": number, "uplink": uplink}
        for uplink in (False, True)
        for number in EXPLICIT
    ]
    for job, lines in zip(jobs, runner.run("interference", jobs), strict=True):
        for row in recompute(lines):
            writer.append({"uplink": job["uplink"], "explicit": job["explicitInterferers"], **row})


def recompute(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each block of the lines that the program printed.

    With H the channel to the receiver and W the weights of what is sent, R = (noise + white interferers) I + the sum of
    H W W^H H^H over the strongest interferers, and the SINR of layer l of the own signal A = H W is
    1 / [(I + A^H R^-1 A)^-1]_ll - 1. EESM makes one SINR of those of all layers and samples of a block. A UE receives
    with its antennas; a gNB with orthonormal beams B of its elements, so that H is B^T of the transposed channel there.
    """
    (setting,) = (line for line in lines if line["kind"] == "setting")
    samples = setting["groups"] * setting["samples_per_group"]
    channels, gains = {}, np.zeros((setting["all_ues"], setting["cells"]))
    for line in lines:
        if line["kind"] == "channel":
            h = (
                np.array(line["h"], dtype=float)
                .view(complex)
                .reshape(setting["antennas"], setting["elements"], samples)
            )
            channels[line["ue"], line["cell"]] = h.transpose(2, 0, 1)
            gains[line["ue"], line["cell"]] = line["mean_gain"]
    sent: dict[int, list[dict[str, Any]]] = {}
    for line in lines:
        if line["kind"] == "sent":
            weights = np.array(line["weights"], dtype=float).view(complex)
            shape = (setting["groups"] if line["per_group"] else 1, -1, line["layers"])
            per_group = np.broadcast_to(weights.reshape(shape), (setting["groups"], *weights.reshape(shape).shape[1:]))
            sent.setdefault(line["slot"], []).append(
                {**line, "weights": np.repeat(per_group, setting["samples_per_group"], axis=0)}
            )
    down = not any(line["kind"] == "block" and line["beams"] for line in lines)
    bit = np.repeat(1 << np.arange(setting["groups"]), setting["samples_per_group"])
    rows = []
    for block in (line for line in lines if line["kind"] == "block"):
        used = np.flatnonzero(bit & block["groups"])
        beams = np.array(block["beams"], dtype=float).view(complex).reshape(setting["elements"], -1)
        in_slot = sent[block["slot"]]
        heard = _heard_down(setting, gains, block) if down else _heard_up(setting, gains, block, in_slot)
        receivers = setting["antennas"] if down else beams.shape[1]
        noise = np.broadcast_to(np.eye(receivers, dtype=complex), (len(used), receivers, receivers)).copy()
        around, signal = noise.copy(), None
        for emission in in_slot:
            sender = emission["sender"]
            link = (block["ue"], sender) if down else (sender, block["cell"])
            active = ((bit[used] & emission["groups"]) != 0)[:, None, None]
            weights = emission["weights"][used]
            h = channels[link][used] if down else beams.T @ channels[link][used].transpose(0, 2, 1)
            arrives = np.sqrt(emission["power_w"] / setting["noise_w"]) * h @ weights
            own = emission["cell"] == block["cell"]
            if own and emission["groups"] == block["groups"] and (down or sender == block["ue"]):
                signal = arrives
            elif own or sender in heard[: setting["explicit"]]:
                around += active * (arrives @ arrives.conj().transpose(0, 2, 1))
            elif sender in heard:
                # Weights of the whole band have the sum 1; those of each group say how the power is shared.
                share = (np.abs(weights) ** 2).sum(axis=(1, 2)) if emission["per_group"] else np.ones(len(used))
                white = emission["power_w"] * gains[link] / setting["noise_w"] * share
                around += active * white[:, None, None] * np.eye(receivers)
        if signal is None:
            raise AssertionError(f"nothing was sent in slot {block['slot']} for the block of UE {block['ue']}")
        beta = setting["beta"][block["mcs"]]
        rows.append(
            {name: block[name] for name in ("slot", "ue", "cell", "mcs", "layers", "sinr_db")}
            | {"recomputed_db": _effective_db(signal, around, beta), "alone_db": _effective_db(signal, noise, beta)}
        )
    return rows


def _heard_down(setting: dict[str, Any], gains: np.ndarray, block: dict[str, Any]) -> list[int]:
    """The cells that the UE of a block hears, the strongest first."""
    powers = gains[block["ue"]] * setting["cell_power_w"] / setting["noise_w"]
    order = [int(cell) for cell in np.argsort(-powers, kind="stable") if cell != block["cell"]]
    return [cell for cell in order if powers[cell] >= 10 ** (-setting["relevance_db"] / 10)]


def _heard_up(
    setting: dict[str, Any], gains: np.ndarray, block: dict[str, Any], sent: list[dict[str, Any]]
) -> list[int]:
    """The UEs of other cells that the gNB hears in the groups of a block, the strongest first."""
    powers = {
        line["sender"]: line["power_w"] * gains[line["sender"], block["cell"]] / setting["noise_w"]
        for line in sent
        if line["cell"] != block["cell"] and line["groups"] & block["groups"]
    }
    least = 10 ** (-setting["relevance_db"] / 10)
    return sorted((ue for ue, power in powers.items() if power >= least), key=lambda ue: -powers[ue])


def _effective_db(signal: np.ndarray, around: np.ndarray, beta: float) -> float:
    """EESM over all samples and layers: `signal` [sample, antenna, layer], `around` [sample, antenna, antenna]."""
    wanted = signal.conj().transpose(0, 2, 1) @ np.linalg.solve(around, signal)
    inverse = np.linalg.inv(np.eye(signal.shape[2]) + wanted)
    sinr = 1 / np.einsum("sll->sl", inverse).real - 1
    least = sinr.min()  # exp of the others does not vanish
    return float(10 * np.log10(least - beta * np.log(np.mean(np.exp(-(sinr - least) / beta)))))


def _rows(run: Run) -> Frame:
    rows: Frame = run[TABLE]
    return rows if "uplink" in rows else rows.assign(uplink=False)  # a run from before there was an uplink


def draw(run: Run) -> list[Path]:
    """Draw the SINR of the trace over the recomputed one, and what it would be without the other cells."""
    rows = _rows(run)
    size: dict[str, Any] = {"width_in": figures.PAGE_IN, "height_in": 2.6}
    with figures.figure(run.path / "interference", **size, columns=4) as (figure, panels):
        for axes, (uplink, number) in zip(panels, [(up, n) for up in (False, True) for n in EXPLICIT], strict=True):
            some = rows[(rows["explicit"] == number) & (rows["uplink"] == uplink)]
            axes.plot(some["recomputed_db"], some["alone_db"], ".", ms=2, color="#B0B0B0", label="without other cells")
            axes.plot(some["recomputed_db"], some["sinr_db"], ".", ms=3, color=figures.COLOURS[0], label="trace")
            axes.set(xlabel="recomputed SINR (dB)", title=f"{'up' if uplink else 'down'}, {number} explicit")
        panels[0].set_ylabel("SINR (dB)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=6)
    return [run.path / "interference.svg"]


def numbers(run: Run) -> list[TextTable]:
    """How far the trace is from what is recomputed, and what the other cells cost."""
    rows = _rows(run)
    table = TextTable(
        "SINR of blocks between 21 cells, dB",
        "direction", "interferers with a direction", "blocks", "UEs", "greatest difference", "median SINR",
        "lost to other cells",
    )  # fmt: skip
    for (uplink, number), some in rows.groupby(["uplink", "explicit"]):
        table.add_row("up" if uplink else "down", str(number), str(len(some)), str(some["ue"].nunique()),
                      f"{(some['sinr_db'] - some['recomputed_db']).abs().max():.4f}", f"{some['sinr_db'].median():.1f}",
                      f"{(some['alone_db'] - some['sinr_db']).median():.1f}")  # fmt: skip
    return [table]


def checks(run: Run) -> list[Check]:
    """Every block has the SINR that follows from what was on the air."""
    rows = _rows(run)
    results = []
    for uplink, some in rows.groupby("uplink"):
        worst = float((some["sinr_db"] - some["recomputed_db"]).abs().max())
        results.append(
            Check("interference",
                  f"SINR of each block {'up' if uplink else 'down'} is that of NumPy within {WITHIN_DB} dB",
                  f"{worst:.4f} dB at most", worst <= WITHIN_DB)
        )  # fmt: skip
    return results
