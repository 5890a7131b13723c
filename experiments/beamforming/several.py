# SPDX-License-Identifier: GPL-2.0-only
"""One model for several problems: the same trained weights for the downlink, few RF chains, streams and several cells.

Three models of each kind of policy, all of which begin as the policy of the downlink: `first` is not trained any more;
`one` takes its steps on all problems in turn; `own` is one model for each problem, with as many steps on it as `one`
has there. What keeps to the constraints of a problem has no weights, so `one` is a single set of weights.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from edgelam.air import beamforming as bf
from edgelam.air.beamforming.learned.ascent import ascend
from edgelam.air.beamforming.learned.ascent import trained as weights_of
from edgelam.air.beamforming.learned.cells import CoordinatedPolicy
from edgelam.air.beamforming.learned.hybrid import HybridPolicy
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.learned.streams import StreamPolicy
from edgelam.random_streams import derive_seed, from_numbers

from .coordinated import selfish
from .tables import Rates
from .trainer import Work, trained

Draw = Callable[[int, int], Any]
"""Number of samples and seed -> problems, which have `rates` and `weighted_sum_rate`."""
Method = Callable[[Any], Tensor]
POWER = 10.0
"""Of a station over the noise."""
LEARNING_RATE = 2e-3


@dataclasses.dataclass(frozen=True)
class Problem:
    """What a policy is trained and judged on."""

    draw: Draw
    """For training: its size is drawn, too."""
    around: Callable[[Policy], nn.Module]
    """What makes precoders of this problem with a policy; it has no weights of its own."""
    tests: Mapping[str, Draw]
    """By name; the second has a size that is not trained on."""
    rules: Mapping[str, Method]
    """Classical methods by name: the first is what the gap is counted from, the last what rates are shares of."""


def _downlink(samples: int, seed: int, *, users: int, antennas: int) -> bf.Downlink:
    return bf.Downlink(bf.iid(samples, users, antennas, seed=seed), POWER)


def _streams(samples: int, seed: int, *, users: int) -> bf.StreamDownlink:
    return bf.StreamDownlink(bf.stream_iid(samples, users, 2, 8, seed=seed), 2, POWER)


def _cells(samples: int, seed: int, *, cells: int) -> bf.CoordinatedDownlink:
    return bf.coordinated_iid(samples, cells, 2, 4, seed=seed, power=POWER)


def _drawn(low: int, high: int, make: Callable[[int], Draw]) -> Draw:
    """Return what draws a size from low to high by the seed, and then the problems of that size."""

    def draw(samples: int, seed: int) -> Any:
        size = int(from_numbers(derive_seed(seed, "size")).integers(low, high + 1))
        return make(size)(samples, seed)

    return draw


def _behind(method: Callable[[Tensor, int], bf.Hybrid], problem: bf.Downlink) -> Tensor:
    return method(bf.wmmse(problem), problem.num_users).product


def problems() -> dict[str, Problem]:
    """Return all problems by name."""

    def digital(users: int) -> Draw:
        return partial(_downlink, users=users, antennas=users)

    def hybrid(users: int) -> Draw:
        return partial(_downlink, users=users, antennas=12)

    def streams(users: int) -> Draw:
        return partial(_streams, users=users)

    def cells(count: int) -> Draw:
        return partial(_cells, cells=count)

    return {
        "digital": Problem(
            _drawn(4, 6, digital), lambda policy: policy, {"digital, 4x4": digital(4), "digital, 8x8": digital(8)},
            {"rzf": bf.rzf, "wmmse": bf.wmmse},
        ),
        "hybrid": Problem(
            _drawn(3, 5, hybrid), HybridPolicy, {"hybrid, 4x12": hybrid(4), "hybrid, 6x12": hybrid(6)},
            {"pe-altmin": partial(_behind, bf.pe_altmin), "mo-altmin": partial(_behind, bf.mo_altmin),
             "digital": bf.wmmse},
        ),
        "streams": Problem(
            _drawn(2, 3, streams), StreamPolicy, {"streams, 3 users": streams(3), "streams, 4 users": streams(4)},
            {"eigenbeams": bf.eigenbeams, "stream-wmmse": bf.stream_wmmse},
        ),
        "cells": Problem(
            _drawn(2, 3, cells), CoordinatedPolicy, {"3 cells": cells(3), "4 cells": cells(4)},
            {"selfish-wmmse": partial(selfish, method=bf.wmmse), "coordinated-wmmse": bf.coordinated_wmmse},
        ),
    }  # fmt: skip


def run(work: Work, policies: Mapping[str, Policy]) -> None:
    """Train and judge; policies: of the downlink, in which all models begin."""
    settings, every = work.config.several, problems()
    models: dict[str, dict[str, Method]] = {name: {} for name in every}
    for kind, policy in policies.items():
        one = copy.deepcopy(policy)
        _train(work, f"one-{kind}", one, every)
        for name, problem in every.items():
            own = copy.deepcopy(policy)
            _train(work, f"own-{kind}-{name}", own, {name: problem})
            for label, model in (("first", policy), ("one", one), ("own", own)):
                models[name][f"{label}-{kind}"] = problem.around(model)
    rates = Rates(work.folder, work.seed, settings.samples)
    for name, problem in every.items():
        for test, draw in problem.tests.items():
            work.begin(test, 1, "tests")
            judged = draw(settings.samples, work.seed_of(f"test {test}"))
            with torch.no_grad():
                for method, decide in {**problem.rules, **models[name]}.items():
                    rates.add(test, method, partial(decide, judged), judged.rates)
            work.progress.step(1)


def _train(work: Work, label: str, policy: Policy, some: Mapping[str, Problem]) -> None:
    """Train on some problems in turn, with `policy_steps` steps on each."""
    settings, names = work.config.several, list(some)
    around = {name: problem.around(policy) for name, problem in some.items()}

    def rate(step: int) -> Tensor:
        turn, number = divmod(step - 1, len(names))
        name = names[number]
        problem = some[name].draw(settings.policy_batch_size, work.seed_of(f"{name}, step {turn}"))
        return problem.weighted_sum_rate(around[name](problem)).mean()

    optimiser = torch.optim.Adam(weights_of(policy), lr=LEARNING_RATE)
    steps = settings.policy_steps * len(names)
    train = partial(ascend, policy, optimiser, rate, steps=steps, seed=work.seed_of("training on several problems"))
    trained(label, policy, steps, train, work)
