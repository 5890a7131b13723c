# SPDX-License-Identifier: GPL-2.0-only
"""CSI from a running scenario, block by block, when each is finished; nothing is copied.

A link NAME is published by a scenario (ns3-scenarios/helper/csi-publisher.h) as `csi/NAME`, complex64
[time, rx, tx, subcarrier], and perhaps `csi-state/NAME`, `csi-info/NAME`, `csi-tones/NAME` and `rays/NAME`.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from edgelam import cosim
from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam.cosim import Simulation

AXES = ("time", "rx", "tx", "subcarrier")
AHEAD_BYTES = 256 << 20  # the most blocks that the scenario may have finished and that are still in use


@dataclass(frozen=True)
class Link:
    """The facts about a link that are known before its first block."""

    name: str
    shape: tuple[int, int, int, int]
    """(time, rx, tx, subcarrier)."""
    block_s: float
    """Simulated seconds from one block to the next."""
    state_dtype: np.dtype[Any] | None = None
    """The dtype of its `csi-state`; None if it has none."""
    info: dict[str, Any] = field(default_factory=dict)
    """Its `csi-info` as Python values: carrier_hz, snapshot_period_s, noise_dbm, rx, tx (arrays)."""
    tones_hz: np.ndarray[Any, Any] | None = None
    """float64 [subcarrier], offsets from the carrier."""


@dataclass(frozen=True)
class Sample:
    """One block of one link."""

    link: Link
    csi: np.ndarray[Any, Any]
    """complex64 [time, rx, tx, subcarrier], in shared memory."""
    state: np.ndarray[Any, Any] | None
    """Structured scalar: both ends at the block's first snapshot, and its SNR; see csi-publisher.h."""
    rays: np.ndarray[Any, Any] | None
    """Structured [ray]: paths at the block's first snapshot."""


def sample_csi(
    scenario: str | os.PathLike[str],
    samples: int,
    on_sample: Callable[[Sample], object],
    *,
    on_links: Callable[[Sequence[Link]], object] = lambda links: None,
    options: Mapping[str, Any] | None = None,
    links: Sequence[str] = ("*",),
    seed: int = 1,
) -> None:
    """Run a scenario and call `on_sample` for each block of CSI, `samples` times: block by block, link by link.

    Args:
        scenario: name or path, as for `cosim.simulate`.
        samples: how many, at least 1.
        on_sample: is called with each block. Simulated time stands still in the meantime. The arrays do not change as
            long as they exist, and take room in the scenario's arena.
        on_links: called once before, with all links.
        options: the scenario's own.
        links: names or patterns; the order is the scenario's.
        seed: of the scenario.

    Raises ConfigurationError if the scenario publishes no such CSI, and what `cosim.simulate` raises.
    """

    async def main(sim: Simulation) -> None:
        chosen = await find_links(sim, links, samples)
        on_links(chosen)
        async with contextlib.AsyncExitStack() as stack:

            async def subscribe(name: str) -> Any:
                known = name in sim.observables
                return await stack.enter_async_context(sim.observable(name).subscribe()) if known else None

            streams = [
                [await subscribe(f"{kind}/{link.name}") for kind in ("csi", "csi-state", "rays")] for link in chosen
            ]
            left = samples
            while left:
                for link, stream in zip(chosen[:left], streams[:left], strict=True):
                    csi, state, rays = [None if s is None else (await anext(s)).value for s in stream]
                    assert csi is not None
                    on_sample(Sample(link, csi, None if state is None else state[()], rays))
                left -= min(left, len(chosen))

    cosim.simulate(main, scenario=scenario, options=options, seed=seed)


async def find_links(sim: Simulation, patterns: Sequence[str] = ("*",), most: int | None = None) -> list[Link]:
    """Return the links of a running scenario whose names match one of `patterns`, at most `most` links.

    Raises ConfigurationError.
    """
    names = [name.removeprefix("csi/") for name in sim.observables if name.startswith("csi/")]
    if not names:
        raise ConfigurationError(
            f"scenario {sim.scenario!r} publishes no CSI (observables csi/NAME); it has: "
            f"{', '.join(sim.observables) or 'none'}"
        )
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigurationError(f"no link {pattern!r} in scenario {sim.scenario!r}; there are: {_some(names)}")
    chosen = [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
    return [await _describe(sim, name) for name in chosen[:most]]


async def _describe(sim: Simulation, name: str) -> Link:
    csi = sim.observable(f"csi/{name}")
    if csi.dtype != np.complex64 or len(csi.shape) != len(AXES) or min(csi.shape) < 1:
        raise ConfigurationError(
            f"observable csi/{name} is {csi.dtype} {list(csi.axes)} of shape {csi.shape}; CSI is complex64 {list(AXES)}"
        )
    if csi.period_s is None:
        raise ConfigurationError(
            f"observable csi/{name} has no period of its own; publish it with a CsiPublisher or a BlockFeed"
        )
    state, info, tones = (f"{kind}/{name}" for kind in ("csi-state", "csi-info", "csi-tones"))
    return Link(
        name,
        csi.shape,  # type: ignore[arg-type]
        csi.period_s,
        state_dtype=sim.observable(state).dtype if state in sim.observables else None,
        info=_plain((await sim.observable(info).read()).value[()]) if info in sim.observables else {},
        tones_hz=(await sim.observable(tones).read()).value.copy() if tones in sim.observables else None,
    )


def _plain(value: Any) -> Any:
    """A structured scalar as a dictionary of numbers; NaN as None, which JSON has."""
    if value.dtype.names:
        return {name: _plain(value[name]) for name in value.dtype.names}
    number = value.item()
    return None if isinstance(number, float) and math.isnan(number) else number


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
