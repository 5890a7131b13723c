# SPDX-License-Identifier: GPL-2.0-only
"""A gNB that predicts: pilots come, a predictor says how the channel goes on, and precoders are computed from that.

    pilot k   is known `delay` slots later; the gNB of the UE's cell predicts from the newest `history` pilots, which
              takes the time of the work on its device; a pilot that comes meanwhile is not predicted from
    decision  every `decision_slots` slots: the newest prediction, at the middle of the time for which the precoder is
              going to be used, between two predicted times linearly; then the precoder, which takes its time, too.
              Where a prediction begins, the decision comes at its end

A UE of which fewer pilots are known (at first, and after a handover) is held at its last one. The perfect predictor
sees the channel of the moment at which it decides.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from edgelam import cosim
from edgelam.air.beamforming import Downlink
from edgelam.air.beamforming.rules import Rule
from edgelam.air.cells import Air, Sight
from edgelam.air.prediction import Predictor

if TYPE_CHECKING:
    from .settings import LoopSettings

INTO_A_SLOT = 0.8  # decisions are made at this part of a slot, so that the next slot has them
OUT_OF_REACH = 1e-6  # SNR


@dataclass(frozen=True)
class Belief:
    """What a gNB believes of a UE's channel. Shape letters: G groups, N elements."""

    slot: int
    """Of the newest pilot behind it."""
    values: np.ndarray
    """complex128 [time, G, N]: at that pilot, and `step` slots, 2 x `step`, ... later."""
    step: int

    def at(self, slot: float) -> np.ndarray:
        """[G, N] in that slot, which may lie between two."""
        last = len(self.values) - 1
        place = min(max((slot - self.slot) / self.step, 0.0), float(last))
        first = int(place)
        part = place - first
        belief: np.ndarray = (1 - part) * self.values[first] + part * self.values[min(first + 1, last)]
        return belief


@dataclass
class Counts:
    """What has happened since counting began."""

    decisions: int = 0
    left_out: int = 0
    predictions: int = 0
    predictions_left_out: int = 0
    predicting_s: float = 0.0
    """Simulated time from the beginning of predictions to their ends."""
    age_slots: float = 0.0
    """From the newest pilots behind the precoders to the middle of their use, summed over decisions and UEs."""
    ages: int = 0
    error: float = 0.0
    """|belief - pilot|^2 / |pilot|^2, summed over pilots: the error in use, and the noise of the pilot."""
    direction_error: float = 0.0
    """`direction_error` of belief and pilot, summed over pilots."""
    errors: int = 0


def direction_error(belief: np.ndarray, pilot: np.ndarray) -> float:
    """Return what of a pilot lies across the belief, from 0 to 1: both [G, N], mean over groups.

    Phase and power of the belief in each group do not matter. They do not for zero forcing and MRT, either.
    """
    across = np.abs(np.einsum("gn,gn->g", belief.conj(), pilot)) ** 2
    powers = np.sum(np.abs(belief) ** 2, axis=1) * np.sum(np.abs(pilot) ** 2, axis=1)
    return float(np.mean(1 - across / np.maximum(powers, 1e-300)))


class Predicting:
    """The gNBs of all cells with one predictor."""

    def __init__(
        self,
        sim: cosim.Simulation,
        air: Air,
        loop: LoopSettings,
        precode: Rule,
        predictor: tuple[str, Predictor | None],
        *,
        history: int,
        period: int,
    ) -> None:
        """predictor: name and predictor for pilots every `period` slots; None: the perfect one."""
        self._sim, self._air, self._loop, self._precode = sim, air, loop, precode
        self._name, self._predictor = predictor
        self._history, self._period = history, period
        self._first_slot: int | None = None
        self._pilots: list[deque[tuple[int, np.ndarray]]] = []
        self._cell = np.zeros(0, dtype=int)
        self._beliefs: list[Belief | None] = []
        self._used: deque[tuple[int, list[Belief | None]]] = deque(maxlen=400)  # first slot of use, what was believed
        self._predicting = self._deciding = False
        self.counts = Counts()

    async def run(self) -> None:
        """Go on until cancelled."""
        slot_s = self._air.slot_s
        await asyncio.sleep(INTO_A_SLOT * slot_s)
        async with asyncio.TaskGroup() as group:
            while True:
                new = await self._look()
                if new and self._predictor is not None and not self._predicting:
                    self._predicting = True
                    group.create_task(self._predict(self._predictor, new))
                else:
                    self.counts.predictions_left_out += bool(new) and self._predictor is not None
                    group.create_task(self._decide())
                await asyncio.sleep(self._loop.decision_slots * slot_s)

    async def _look(self) -> list[int]:
        """Take in what pilots have become known; return of which UEs."""
        slots = (await self._sim.observable("ue_channel_slot").read()).value.astype(int)
        if self._first_slot is None:  # pilots are measured at the first look
            self._first_slot = int(slots.max()) - int(self._sim.now_s / self._air.slot_s)
            self._pilots = [deque(maxlen=self._history) for _ in slots]
            self._beliefs = [None] * len(slots)
            self._cell = np.full(len(slots), -1)
        new = [ue for ue, slot in enumerate(slots) if not self._pilots[ue] or self._pilots[ue][-1][0] != slot]
        if not new:
            return new
        sight = await Sight.now(self._sim, self._air)
        rows = sight.rows()
        for ue in new:
            pilots, slot = self._pilots[ue], int(slots[ue])
            if sight.cell[ue] != self._cell[ue] or (pilots and slot != pilots[-1][0] + self._period):
                if sight.cell[ue] != self._cell[ue]:
                    self._beliefs[ue] = None
                pilots.clear()  # another cell, or a pilot out of the row
            self._judge(ue, slot, rows[ue])
            pilots.append((slot, rows[ue]))
            if self._beliefs[ue] is None or self._predictor is None:
                self._beliefs[ue] = Belief(slot, rows[ue][None], 1)
        self._cell = sight.cell
        return new

    def _judge(self, ue: int, slot: int, row: np.ndarray) -> None:
        """Compare a pilot with what was believed of its slot when that was used."""
        if self._predictor is None:
            return
        for first, beliefs in reversed(self._used):
            if first <= slot:
                belief = beliefs[ue]
                if belief is not None and slot < first + self._loop.decision_slots:
                    said = belief.at(slot)
                    self.counts.error += float(np.sum(np.abs(said - row) ** 2) / max(np.sum(np.abs(row) ** 2), 1e-300))
                    self.counts.direction_error += direction_error(said, row)
                    self.counts.errors += 1
                return

    async def _predict(self, predictor: Predictor, new: list[int]) -> None:
        begin_s = self._sim.now_s
        async with asyncio.TaskGroup() as group:
            for cell in sorted({int(self._cell[ue]) for ue in new if self._cell[ue] >= 0}):
                ues = [ue for ue in new if self._cell[ue] == cell]
                group.create_task(self._predict_in(cell, predictor, ues))
        self.counts.predictions += 1
        self.counts.predicting_s += self._sim.now_s - begin_s
        self._predicting = False
        await self._decide()

    async def _predict_in(self, cell: int, predictor: Predictor, ues: list[int]) -> None:
        """Predict the UEs of a cell on its gNB, all together."""
        known = {ue: list(self._pilots[ue]) for ue in ues}
        ready = [ue for ue in ues if len(known[ue]) == self._history]
        for ue in set(ues) - set(ready):
            slot, row = known[ue][-1]
            self._beliefs[ue] = Belief(slot, row[None], 1)
        if not ready:
            return
        past = np.stack([[row for _, row in known[ue]] for ue in ready])  # [UE, time, G, N]
        scale = np.sqrt(np.mean(np.abs(past) ** 2, axis=(1, 2, 3), keepdims=True))
        scale[scale == 0] = 1
        tensor = torch.from_numpy((past / scale).transpose(0, 3, 1, 2).astype(np.complex64))
        async with self._air.gnbs[cell].compute("prediction", key=(self._name, tensor.shape)):
            with torch.no_grad():
                future = predictor(tensor)  # [UE, N, time, G]
        values = future.numpy().astype(np.complex128).transpose(0, 2, 3, 1) * scale
        for ue, row, said in zip(ready, past[:, -1:], values, strict=True):
            if self._cell[ue] == cell:  # it may have gone meanwhile
                slot = known[ue][-1][0]
                self._beliefs[ue] = Belief(slot, np.concatenate((row, said)), self._loop.decision_slots)

    async def _decide(self) -> None:
        """Compute the precoders of all cells from what is believed, and set them."""
        if self._deciding:
            self.counts.left_out += 1
            return
        self._deciding = True
        try:
            assert self._first_slot is not None
            first = self._first_slot + int(self._sim.now_s / self._air.slot_s) + 1
            middle = first + (self._loop.decision_slots - 1) / 2
            beliefs, cells = list(self._beliefs), self._cell.copy()
            there = [ue for ue, belief in enumerate(beliefs) if belief is not None and cells[ue] >= 0]
            if not there:
                return
            shape = next(belief.values.shape[1:] for belief in beliefs if belief is not None)
            rows = np.zeros((len(beliefs), *shape), dtype=np.complex128)
            for ue in there:
                belief = beliefs[ue]
                assert belief is not None
                rows[ue] = belief.at(middle)
                self.counts.age_slots += middle - belief.slot
                self.counts.ages += 1
            weights = np.zeros_like(rows)
            async with asyncio.TaskGroup() as group:
                for cell in sorted(set(cells[there].tolist())):
                    ues = np.array([ue for ue in there if cells[ue] == cell])
                    group.create_task(self._precode_in(cell, ues, rows, weights))
            weights[cells != self._cell] = 0  # who has gone to another cell meanwhile
            await self._sim.control("precoder").set(weights[..., None].astype(np.complex64))
            self._used.append((first, beliefs))
            self.counts.decisions += 1
        finally:
            self._deciding = False

    async def _precode_in(self, cell: int, ues: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> None:
        ues = ues[(np.abs(rows[ues]) ** 2).sum(2).min(1) > OUT_OF_REACH]
        if not len(ues):
            return
        problem = Downlink(torch.from_numpy(rows[ues].swapaxes(0, 1).copy()))
        async with self._air.gnbs[cell].compute("precoder", key=(self._name, problem.channel.shape)):
            with torch.no_grad():
                precoder = self._precode(problem)
        weights[ues] = precoder.numpy().transpose(2, 0, 1)
