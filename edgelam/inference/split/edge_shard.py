# SPDX-License-Identifier: GPL-2.0-only
"""EdgeShard (M. Zhang et al., arXiv 2405.14371): the stages of a model over several nodes, by dynamic programming.

Stages are divided into consecutive parts, one for each node that takes part. A state is (stages done, node that has
done the last one, nodes used), so each node holds one part and its memory is respected exactly; there are 2^nodes of
the last factor. The input is at the first node, and the answer returns to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from edgelam.cosim.work import Work
from edgelam.errors import ConfigurationError
from edgelam.inference.calibration import Line
from edgelam.inference.split.chain import ANSWER_BYTES, Chain
from edgelam.inference.split.planner import Side

MOST_NODES = 10


def edge_shard(
    chain: Chain, sides: Mapping[str, Side], line: Callable[[str, str], Line], form: str
) -> tuple[list[tuple[str, int, int]], float]:
    """Return the parts (node, first stage, last stage + 1) of least latency, and the predicted seconds.

    sides: node -> its machine; the first is the device that asks. line: of two nodes. Raises ConfigurationError if no
    division fits the memories, or for more than 10 nodes.
    """
    names, total = list(sides), len(chain.stages)
    if not 1 <= len(names) <= MOST_NODES:
        raise ConfigurationError(f"{len(names)} nodes; legal are 1 to {MOST_NODES}")
    home = names[0]
    sizes = chain.crossing[form]
    # (stages done, node, used) -> seconds, parts
    states: dict[tuple[int, str, frozenset[str]], tuple[float, tuple[tuple[str, int, int], ...]]] = {
        (0, home, frozenset()): (0.0, ())
    }
    found: tuple[float, tuple[tuple[str, int, int], ...]] = (math.inf, ())
    for done in range(total):
        for (at, node, used), (seconds, parts) in sorted(_at(states, done), key=lambda item: (item[1][0], item[0][1])):
            for target in names:
                if target in used:
                    continue
                begun_s, unpacking = seconds, Work()
                if target != node:
                    begun_s += sides[node].seconds(chain.packing[form][at]) + line(node, target).seconds(sizes[at])
                    unpacking = chain.unpacking[form][at]
                for last in range(at + 1, total + 1):
                    if not sides[target].holds(chain, at, last):
                        break
                    ended_s = (
                        begun_s + sides[target].waiting_s + sides[target].seconds(unpacking + chain.work(at, last))
                    )
                    grown = (*parts, (target, at, last))
                    if last == total:
                        back_s = 0.0 if target == home else line(target, home).seconds(ANSWER_BYTES)
                        found = min(found, (ended_s + back_s, grown))
                        continue
                    key = (last, target, used | {target})
                    if key not in states or ended_s < states[key][0]:
                        states[key] = (ended_s, grown)
    if not math.isfinite(found[0]):
        raise ConfigurationError(f"no division of {chain.name} fits the memories of {', '.join(names)}")
    return list(found[1]), found[0]


def _at(
    states: Mapping[tuple[int, str, frozenset[str]], tuple[float, tuple[tuple[str, int, int], ...]]], done: int
) -> Sequence[tuple[tuple[int, str, frozenset[str]], tuple[float, tuple[tuple[str, int, int], ...]]]]:
    return [(key, value) for key, value in states.items() if key[0] == done]
