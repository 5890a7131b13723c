# SPDX-License-Identifier: GPL-2.0-only
"""``edgelam bench collectives``: how long an all-reduce takes, by size, algorithm and scenario.

The ranks are the first devices (role ue) of each scenario, alone in it; the star goes through its first edge server.
Each algorithm, in a run of its own, reduces a tensor of each size in turn, the smallest first, over connections that
stay and whose windows grow. A time is simulated: from when the last rank begins to when the last one has its result.
What `auto` measures before it chooses is not in its times.
"""

from __future__ import annotations

import asyncio
import json as json_module
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from edgelam.errors import ConfigurationError

if TYPE_CHECKING:
    from edgelam.cosim import Simulation
    from edgelam.parallel.group import CollectiveRecord, Group

SIZES = (4_096, 65_536, 1_000_000)
ALGORITHMS = (
    "direct", "ring", "tree", "halving-doubling", "star", "pipelined-star", "hierarchical", "multicast", "auto",
)  # fmt: skip
SCENARIOS = ("wired-star", "nr-urban-micro")
RANKS = 4


class Case(TypedDict):
    """One all-reduce."""

    scenario: str
    algorithm: str
    chosen: str  # by which it was carried out: another one than asked for where `auto` was
    size_bytes: int
    simulated_s: float
    wall_s: float  # of all ranks in one process, ns-3 included


def measure(
    sizes: Sequence[int] = SIZES,
    algorithms: Sequence[str] = ALGORITHMS,
    scenarios: Sequence[str] = SCENARIOS,
    ranks: int = RANKS,
) -> list[Case]:
    """All cases, by scenario, algorithm and size. Raises ConfigurationError for a value that is not legal."""
    from edgelam import cosim
    from edgelam.parallel.collectives import algorithm_of

    if min(sizes, default=0) < 4 or ranks < 2:
        raise ConfigurationError(f"sizes {sizes} of {ranks} ranks; legal are sizes from 4 bytes on and 2 ranks or more")
    for algorithm in algorithms:
        algorithm_of("all_reduce", algorithm)
    cases: list[Case] = []
    for scenario in scenarios:
        for algorithm in algorithms:

            async def main(sim: Simulation, algorithm: str = algorithm) -> list[tuple[str, int, float, float]]:
                return await _all_reduces(sim, algorithm, sorted(sizes), ranks)

            times = cosim.simulate(main, scenario, options={"numUe": ranks})
            cases.extend(
                [
                    Case(
                        scenario=scenario,
                        algorithm=algorithm,
                        chosen=chosen,
                        size_bytes=size,
                        simulated_s=took,
                        wall_s=wall,
                    )
                    for chosen, size, took, wall in times
                ]
            )
    return cases


async def _all_reduces(
    sim: Simulation, algorithm: str, sizes: Sequence[int], ranks: int
) -> list[tuple[str, int, float, float]]:
    """For each size the algorithm that carried it out, the simulated and the wall time."""
    from edgelam.parallel.collectives.star import serve
    from edgelam.parallel.group import Group

    nodes = sim.nodes_with_role("ue")[:ranks]
    servers = [node for node in sim.nodes.values() if node.role == "edge"]
    server = servers[0] if servers else None
    serving = None if server is None else asyncio.create_task(serve(sim, server))
    records: list[CollectiveRecord] = []
    groups = [
        Group(nodes, rank, name=algorithm, algorithm=algorithm, server=server, on_collective=records.append)
        for rank in range(ranks)
    ]
    await asyncio.gather(*(_one(sim, group, sizes[0]) for group in groups))  # connections
    results = []
    for size in sizes:
        if algorithm == "auto":
            await asyncio.gather(*(_one(sim, group, size) for group in groups))  # it measures
        begin = time.perf_counter()
        times = await asyncio.gather(*(_one(sim, group, size) for group in groups))
        wall_s = time.perf_counter() - begin
        took_s = max(end for _, end in times) - max(start for start, _ in times)
        results.append((records[-1].algorithm, size, took_s, wall_s))
    await asyncio.gather(*(group.drain() for group in groups))
    if serving is not None:
        serving.cancel()
    return results


async def _one(sim: Simulation, group: Group, size_bytes: int) -> tuple[float, float]:
    """When a rank begins with an all-reduce and has its result."""
    import torch

    tensor = torch.ones(size_bytes // 4)
    await group.barrier(algorithm="direct")
    start_s = sim.now_s
    await group.all_reduce(tensor)
    assert tensor.eq(group.size).all()
    return start_s, sim.now_s


def draw(cases: list[Case], path: Path) -> None:
    """Time over size, a panel for each scenario, as ``path.svg`` and ``path.png``."""
    from edgelam.output.figures import PAGE_IN, figure, line_style

    scenarios = list(dict.fromkeys(case["scenario"] for case in cases))
    algorithms = list(dict.fromkeys(case["algorithm"] for case in cases))
    with figure(path, width_in=PAGE_IN, columns=len(scenarios)) as (drawing, panels):
        for axes, scenario in zip(panels, scenarios, strict=True):
            for place, algorithm in enumerate(algorithms):
                mine = [case for case in cases if (case["scenario"], case["algorithm"]) == (scenario, algorithm)]
                axes.loglog(
                    [case["size_bytes"] for case in mine],
                    [case["simulated_s"] for case in mine],
                    label=algorithm,
                    **line_style(place),
                )
            axes.set_title(scenario)
            axes.set_xlabel("bytes of a rank's tensor")
        panels[0].set_ylabel("simulated s of an all-reduce")
        drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)


def run(
    json: bool = False,
    figure: Path | None = None,
    *,
    sizes: Sequence[int] = SIZES,
    algorithms: Sequence[str] = ALGORITHMS,
    scenarios: Sequence[str] = SCENARIOS,
    ranks: int = RANKS,
) -> int:
    """Measure and print: a table, or one JSON object ``{"cases": [...]}``. Returns the exit status.

    Args:
        figure: where to draw it: a path without suffix.
        sizes, algorithms, scenarios, ranks: of `measure`.
    """
    cases = measure(sizes, algorithms, scenarios, ranks)
    if figure is not None:
        draw(cases, figure)
    if json:
        print(json_module.dumps({"cases": cases}))
        return 0
    ordered = sorted(sizes)
    for scenario in scenarios:
        print(f"{scenario}, {ranks} ranks: simulated s of an all-reduce")
        print(f"{'':18}" + "".join(f"{size:>16,} B" for size in ordered))
        for algorithm in algorithms:
            mine = [case for case in cases if (case["scenario"], case["algorithm"]) == (scenario, algorithm)]
            times = {case["size_bytes"]: case["simulated_s"] for case in mine}
            print(f"{algorithm:18}" + "".join(f"{times[size]:18.4f}" for size in ordered))
            if algorithm == "auto":
                chosen = {case["size_bytes"]: case["chosen"] for case in mine}
                print(f"{'which is':18}" + "".join(f"{chosen[size]:>18}" for size in ordered))
    return 0
