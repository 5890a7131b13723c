# SPDX-License-Identifier: GPL-2.0-only
"""Which size of a model to download: the best measured quality that storage, computing, time and rate allow.

Called again whenever a block has come: what is there already costs nothing more, and the rate is known better. On the
way to the chosen size, smaller sizes become usable; which of them are passed is chosen so that the mean quality over
the bytes that come is the largest (a longest path over the lattice).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping

import numpy as np

from edgelam.downloading.lattice import Lattice, Point
from edgelam.downloading.work import work_of
from edgelam.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a device allows. Raises ConfigurationError for what is not legal."""

    storage_bytes: float = math.inf
    """For the blocks of the model."""
    memory_bytes: float = math.inf
    """For the weights of the model that computes, float32."""
    seconds: float = math.inf
    """That one inference may take on the device."""
    flops_per_s: float = math.inf
    """Of the device."""
    bytes_per_s: float = math.inf
    """Memory traffic of the device."""

    def __post_init__(self) -> None:
        """Check."""
        for field in dataclasses.fields(self):
            if not getattr(self, field.name) > 0:
                raise ConfigurationError(f"{field.name} is {getattr(self, field.name)!r}; it must be above 0")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to download."""

    target: Point
    path: tuple[Point, ...]
    """Sizes that become usable on the way, in order; the last one is the target."""
    in_time: bool
    """Whether the target is predicted to come in time; if not, it is the size that comes first."""


class Selector:
    """Chooses among the sizes of one model."""

    def __init__(self, lattice: Lattice, quality: Mapping[Point, float], limits: Limits | None = None) -> None:
        """quality: of every point. Raises ConfigurationError if the device allows no size at all."""
        self.lattice, self.limits = lattice, limits or Limits()
        self.points = lattice.points
        if absent := [point for point in self.points if point not in quality]:
            raise ConfigurationError(f"the quality of {absent[0]} of model {lattice.name!r} is not known")
        for point in self.points:
            if not math.isfinite(quality[point]):
                raise ConfigurationError(
                    f"the quality of {point} of model {lattice.name!r} is {quality[point]!r}; legal are finite numbers"
                )
        self.quality = np.array([quality[point] for point in self.points])
        library = lattice.library
        self._needs, self._bytes = library.needs, library.block_bytes
        self._number = {block: j for j, block in enumerate(library.blocks)}
        works = [work_of(lattice, point) for point in self.points]
        seconds = np.array([
            max(work.flops / self.limits.flops_per_s, work.bytes / self.limits.bytes_per_s) for work in works
        ])  # fmt: skip
        memory = np.array([work.weight_bytes for work in works])
        self.allowed = (
            (library.model_bytes <= self.limits.storage_bytes) & (memory <= self.limits.memory_bytes)
            & (seconds <= self.limits.seconds)
        )  # fmt: skip
        if not self.allowed.any():
            small = int(np.argmin(library.model_bytes))
            raise ConfigurationError(
                f"no size of model {lattice.name!r} fits {self.limits}; the smallest has "
                f"{library.model_bytes[small]:,} bytes, {memory[small]:,} in memory, and takes {seconds[small]:.3g} s"
            )
        self._within = np.array([[a.within(b) for b in self.points] for a in self.points])

    def missing_bytes(self, held: Collection[str] = ()) -> np.ndarray:
        """Return the bytes of each point that are not among held blocks, int64 [points]."""
        sizes = self._bytes.copy()
        for block in held:
            if block in self._number:
                sizes[self._number[block]] = 0
        found: np.ndarray = self._needs.astype(np.int64) @ sizes
        return found

    def plan(
        self, held: Collection[str], bits_per_s: float, seconds_left: float, *, only: Point | None = None
    ) -> Plan:  # fmt: skip
        """Return what to download now.

        held: blocks that are there; bits_per_s: predicted; seconds_left: until the deadline; only: a target that is
        fixed, whatever time and rate allow (still passing smaller sizes on the way).
        """
        missing = self.missing_bytes(held)
        there = sum(int(self._bytes[self._number[block]]) for block in held if block in self._number)
        fits = self.allowed & (there + missing <= self.limits.storage_bytes)
        in_time = fits & (8 * missing <= max(bits_per_s, 0.0) * max(seconds_left, 0.0))
        if only is not None:
            target = self.points.index(self.lattice.check(only))
            if not self.allowed[target]:
                raise ConfigurationError(f"{only} of model {self.lattice.name!r} is more than {self.limits} allows")
        elif in_time.any():
            target = _first(in_time, (-self.quality, missing))
        else:
            target = _first(fits if fits.any() else self.allowed, (missing, -self.quality))
        path = self._path(target, missing)
        blocks = {block: size for point in path for block, size in self.lattice.blocks(point, held).items()}
        if there + sum(blocks.values()) > self.limits.storage_bytes:  # no room for exits on the way
            path = path[-1:]
        return Plan(self.points[target], path, bool(in_time[target]))

    def quality_of(self, point: Point) -> float:
        """Return the measured quality of a point."""
        return float(self.quality[self.points.index(point)])

    def usable(self, held: Collection[str]) -> Point | None:
        """Return the point of the best quality among those whose blocks are all there; None if there is none."""
        there = self.allowed & (self.missing_bytes(held) == 0)
        return self.points[_first(there, (-self.quality, self.lattice.library.model_bytes))] if there.any() else None

    def _path(self, target: int, missing: np.ndarray) -> tuple[Point, ...]:
        """Return the sizes that are passed: the largest sum of quality times the bytes until the next size is there."""
        begin, there = -1, self.allowed & (missing == 0)
        now = float(self.quality[there].max()) if there.any() else 0.0
        order = [
            int(i) for i in np.lexsort((-self.quality, missing))
            if i == target or (self._within[i, target] and 0 < missing[i] < missing[target] and self.quality[i] > now)
        ]  # fmt: skip
        best: dict[int, float] = {}
        before: dict[int, int] = {}
        for i in order:
            options = [(now * float(missing[i]), begin)]
            options += [
                (best[j] + self.quality[j] * float(missing[i] - missing[j]), j) for j in best
                if self._within[j, i] and missing[j] < missing[i] and self.quality[j] <= self.quality[i]
            ]  # fmt: skip
            best[i], before[i] = max(options, key=lambda option: option[0])
        path = [target]
        while before[path[-1]] != begin:
            path.append(before[path[-1]])
        return tuple(self.points[i] for i in reversed(path))


def _first(mask: np.ndarray, keys: tuple[np.ndarray, ...]) -> int:
    """Return the place in `mask` with the smallest keys, the first key first."""
    places = np.flatnonzero(mask)
    order = np.lexsort([key[places] for key in reversed(keys)])
    return int(places[order[0]])
