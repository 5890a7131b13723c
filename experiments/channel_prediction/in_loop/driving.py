# SPDX-License-Identifier: GPL-2.0-only
"""The run with predictors in a cell: goodput with each of them, for each speed, pilot period and delay.

For one seed, places, ways, channels and traffic are the same for all, and goodput is measured over the same time: when
the slowest pilots have filled the history. The perfect predictor needs no pilots, and runs once for each speed.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from typing import Any

import numpy as np

from edgelam import cosim
from edgelam.air.beamforming.rules import RULES
from edgelam.air.cells import Air
from edgelam.air.full_buffers import fill
from edgelam.air.prediction import Predictor
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder

from ..config import Config
from .checking import network_for, pattern_slots
from .controlling import Counts, Predicting
from .preparing import Channels, Prepared, prepare
from .settings import PERFECT, loop_needs

_POINT = {"method": str, "speed_kmh": float, "period": int, "delay": int, "seed": int}
LOOP = {
    **_POINT, "goodput_mbps": float, "block_errors": float, "csi_error": float, "direction_error": float,
    "pilot_noise": float, "age_ms": float, "predicting_ms": float, "predictions": int, "predictions_left_out": int,
    "decisions": int, "left_out": int, "pilots_per_s": float,
}  # fmt: skip
"""One row for each predictor, speed (km/h), pilot period, delay (slots) and seed; period and delay of the perfect one
are 0. Goodput of all UEs; share of first transmissions that are lost; |belief - next pilot|^2 over |pilot|^2 when it
was used, the pilot's noise included; what of that pilot lies across the belief (controlling.direction_error); noise of
a pilot over its power; time from the newest pilot behind a precoder to the middle of its use; simulated time of
predicting; how many predictions and decisions, and how many were left out, since the one before was still being
computed; pilots of a UE."""
USERS = {**_POINT, "ue": int, "goodput_mbps": float}
MODELS = {"method": str, "period": int, "seed": int, "trained": int, "learning_rate": float, "steps": int,
          "samples": int, "loss": float}  # fmt: skip
"""One row for each predictor and pilot period: trained parameters, and how they were trained."""
TESTS = {"method": str, "period": int, "seed": int, "speed_kmh": float, "nmse": float}
"""One row for each predictor, pilot period and speed: mean error over all predicted times, on a network of its own."""


@dataclasses.dataclass(frozen=True)
class Point:
    """What is measured at once: the first columns of the tables."""

    method: str
    speed_kmh: float
    period: int
    delay: int
    seed: int

    @property
    def label(self) -> str:
        """The name of its simulation."""
        pilots = "" if self.method == PERFECT else f", period {self.period}, delay {self.delay}"
        return f"{self.method}, {self.speed_kmh:g} km/h{pilots}, seed {self.seed}"


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Prepare the predictors and let each drive the cell."""
    loop = config.loop
    if config.threads:
        import torch

        torch.set_num_threads(config.threads)
    for seed in range(config.seed, config.seed + config.repeats):
        channels = Channels.of(config, seed, progress)
        if PERFECT in loop.predictors:
            for speed in loop.speeds_kmh:
                _drive(config, Point(PERFECT, speed, 0, 0, seed), None, folder, progress)
        for period in loop.periods:
            ready = prepare(config, seed, period, channels, progress)
            for each in ready.values():
                _tell(each, period, seed, folder)
            for delay in loop.delays:
                for speed in loop.speeds_kmh:
                    for name, each in ready.items():
                        _drive(config, Point(name, speed, period, delay, seed), each.predictor, folder, progress)


def _tell(each: Prepared, period: int, seed: int, folder: RunFolder) -> None:
    first = {"method": each.name, "period": period, "seed": seed}
    sizes = {"trained": each.trained, "learning_rate": each.learning_rate, "steps": each.steps,
             "samples": each.samples, "loss": each.loss}  # fmt: skip
    folder.table("loop_models", MODELS).append(first | sizes)
    for speed, error in each.nmse.items():
        folder.table("loop_tests", TESTS).append(first | {"speed_kmh": speed, "nmse": error})


def _drive(config: Config, point: Point, predictor: Predictor | None, folder: RunFolder, progress: Progress) -> None:
    loop = config.loop
    network = network_for(
        config.network, loop, point.method, speed_kmh=point.speed_kmh, period=point.period or min(loop.periods),
        delay=point.delay or min(loop.delays),
    )  # fmt: skip

    async def main(sim: cosim.Simulation) -> tuple[dict[str, Any], list[float]]:
        return await _measure(sim, config, point, predictor, network.scenario_options(loop_needs(loop)))

    whole, users = network.simulate(main, loop_needs(loop), folder, point.label, seed=point.seed)
    labels = dataclasses.asdict(point)
    folder.table("loop", LOOP).append(labels | whole)
    for ue, goodput in enumerate(users):
        folder.table("loop_users", USERS).append(labels | {"ue": ue, "goodput_mbps": goodput})
    progress.say(f"{point.label}: {whole['goodput_mbps']:.1f} Mb/s")


async def _measure(
    sim: cosim.Simulation, config: Config, point: Point, predictor: Predictor | None, options: dict[str, str]
) -> tuple[dict[str, Any], list[float]]:
    """Return a row of table `loop`, and the goodput of each UE in Mb/s."""
    loop, history = config.loop, config.window.history
    ues, (server,) = loop_needs(loop).nodes(sim)
    air = await Air.of(sim, options)
    counts = sim.observable("ue_block_counts")
    gnbs = Predicting(
        sim, air, loop, RULES[loop.precoder], (point.method, predictor), history=history, period=point.period
    )
    filled_slots = max(loop.periods) * (history + 1) + max(loop.delays) + 2 * pattern_slots(config)
    warm_s = max(filled_slots * air.slot_s, loop.filling_ms / 1e3)
    async with asyncio.TaskGroup() as group:
        predicting = group.create_task(gnbs.run())
        await asyncio.sleep(warm_s - loop.filling_ms / 1e3)
        filling = group.create_task(fill(sim, server, ues, prbs=air.prbs, slot_s=air.slot_s))
        await asyncio.sleep(loop.filling_ms / 1e3)
        before, gnbs.counts = (await counts.read()).value[0].copy(), Counts()
        await asyncio.sleep(loop.measured_ms / 1e3)
        after, done = (await counts.read()).value[0].copy(), gnbs.counts
        noise = await _pilot_noise(sim)
        filling.cancel()
        predicting.cancel()
    spent = {name: (after[name] - before[name]).astype(float) for name in ("decoded_bits", "blocks", "first_errors")}
    mbps = spent["decoded_bits"] / loop.measured_ms / 1e3
    whole = {
        "goodput_mbps": float(mbps.sum()),
        "block_errors": float(spent["first_errors"].sum() / max(spent["blocks"].sum(), 1)),
        "csi_error": done.error / done.errors if done.errors else math.nan,
        "direction_error": done.direction_error / done.errors if done.errors else math.nan, "pilot_noise": noise,
        "age_ms": 1e3 * air.slot_s * done.age_slots / done.ages if done.ages else math.nan,
        "predicting_ms": 1e3 * done.predicting_s / done.predictions if done.predictions else math.nan,
        "predictions": done.predictions, "predictions_left_out": done.predictions_left_out,
        "decisions": done.decisions, "left_out": done.left_out,
        "pilots_per_s": 1 / (point.period * air.slot_s) if point.period else math.nan,
    }  # fmt: skip
    return whole, mbps[: len(ues)].tolist()


async def _pilot_noise(sim: cosim.Simulation) -> float:
    """Mean over UEs of a pilot's noise over its power, both averaged over a group of resource blocks."""
    if "ue_pilot_noise" not in sim.observables:
        return math.nan
    noise = (await sim.observable("ue_pilot_noise").read()).value
    pilots = (await sim.observable("ue_channel").read()).value
    cell = np.atleast_1d((await sim.observable("cell").read()).value)[0]
    power = np.mean(np.abs(pilots) ** 2, axis=(1, 2, 3))
    heard = power > 0
    return float(np.mean(noise[heard] / int(cell["prbs_per_group"]) / power[heard])) if heard.any() else math.nan
