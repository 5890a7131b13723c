# SPDX-License-Identifier: GPL-2.0-only
"""The ways in which methods decide in the closed loop: each for itself, for all cells, with each rule for phases."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from edgelam.air import beamforming as bf
from edgelam.air.beamforming.learned.cells import CoordinatedPolicy
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.learned.surfaces import SurfacePolicy
from edgelam.air.beamforming.rules import Rule

from .config import Config, phases_name
from .loop import Way
from .settings import Phases

TOGETHER = 30  # iterations of WMMSE for all cells
ROUNDS = 40  # of block coordinate descent, at most


def ways(
    config: Config, methods: Mapping[str, Rule], over_surfaces: Mapping[str, SurfacePolicy],
    together: Mapping[str, CoordinatedPolicy],
) -> dict[str, Way]:  # fmt: skip
    """Return all ways by name. over_surfaces, together: policies for surfaces and all cells, by the downlink's name."""
    found = [Way(name, method) for name, method in methods.items()]
    if config.loop.phases:
        found = [
            way for name, method in methods.items() for rule in config.loop.phases
            for way in _with_phases(name, method, rule, over_surfaces)
        ]  # fmt: skip
    if config.loop.coordinated:
        iterated = partial(bf.coordinated_wmmse, iterations=TOGETHER)
        found.append(Way("coordinated-wmmse", bf.wmmse, together=iterated))
        found += [Way(f"coordinated-{name}", methods[name], together=policy) for name, policy in together.items()]
    return {way.name: way for way in found}


def _with_phases(name: str, method: Rule, rule: Phases, over_surfaces: Mapping[str, SurfacePolicy]) -> list[Way]:
    label = phases_name(name, rule)
    if rule == "bcd":
        return [Way(label, method, phases=_descended)]
    if rule == "policy":
        return [Way(label, method, phases=partial(_of_policy, over_surfaces[name]))] if name in over_surfaces else []
    return [Way(label, method, first_phases=rule == "random")]


def _descended(problem: bf.SurfaceDownlink) -> Tensor:
    return bf.bcd(problem, rounds=ROUNDS)[0]


def _of_policy(policy: SurfacePolicy, problem: bf.SurfaceDownlink) -> Tensor:
    phases: Tensor = policy(problem)[0]
    return phases


def coordinating(methods: Mapping[str, Rule]) -> dict[str, CoordinatedPolicy]:
    """Return policies that can serve all cells as they are: those that look at a graph."""
    return {
        name: CoordinatedPolicy(method) for name, method in methods.items()
        if isinstance(method, Policy) and type(method).change is not Policy.change
    }  # fmt: skip
