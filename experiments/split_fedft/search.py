# SPDX-License-Identifier: GPL-2.0-only
"""The search for learning rates: the same budget for every method and for the random-weight control, on training
samples held out from each device.

Each tries the configured learning rates (adapters, heads and embeddings together) times each of
`search_factors`, for `search_rounds` steps, without a network, and keeps the factor with the least held-out loss; a try
that diverges has none (NaN in the table). The test set is not looked at.
"""

import dataclasses
import math

import numpy as np

from edgelam import cosim
from edgelam.federated import METHODS, EvaluationRecord, Outcome, Record, Setup, SplitFedFTSettings
from edgelam.federated.allocation import AllocationSettings
from edgelam.federated.samples import Samples, Shard
from edgelam.learning.search import best_factor
from edgelam.output.progress import Progress
from edgelam.random_streams import Stream, numbered
from edgelam.runs import RunFolder

from .config import Config, needs


def learning_rates(
    config: Config, setup: Setup, method: str, label: str, *, folder: RunFolder, progress: Progress
) -> Setup:
    """`setup` with the best learning rates found for `method`; unchanged if there is nothing to search.

    label: the row of the results that the search is for.
    """
    if len(config.search_factors) < 1:
        return setup
    table = folder.table(
        "search",
        {
            "method": str, "factor": float, "learning_rate": float, "head_learning_rate": float,
            "heldout_loss_nats": float, "heldout_accuracy": float,
        },
    )  # fmt: skip
    progress.begin(f"{label}: learning rate", len(config.search_factors), "tries")
    accuracies: list[float] = []

    def attempt(factor: float) -> float:
        accuracies.append(math.nan)
        found = _try(config, setup, scaled(setup.settings, factor), method)
        accuracies[-1] = found.accuracy
        return found.loss

    def tried(factor: float, loss: float) -> None:
        settings = scaled(setup.settings, factor)
        table.append(
            {
                "method": label, "factor": factor, "learning_rate": settings.learning_rate,
                "head_learning_rate": settings.head_learning_rate,
                "heldout_loss_nats": loss, "heldout_accuracy": accuracies[-1],
            }
        )  # fmt: skip
        progress.step(len(accuracies), learning_rate=settings.learning_rate, heldout_loss=loss)

    best = scaled(setup.settings, best_factor(label, config.search_factors, attempt, tried))
    progress.say(f"{label}: learning rate {best.learning_rate:.4g} has the least held-out loss")
    return dataclasses.replace(setup, settings=best)


def scaled(settings: SplitFedFTSettings, factor: float) -> SplitFedFTSettings:
    """The settings with all three learning rates times `factor`."""
    return dataclasses.replace(
        settings,
        learning_rate=settings.learning_rate * factor,
        head_learning_rate=settings.head_learning_rate * factor,
        embedding_learning_rate=settings.embedding_learning_rate * factor,
    )


def held_out(config: Config, setup: Setup) -> Setup:
    """`setup` with a share of each device's training samples taken away, and the test set replaced by them."""
    train_parts, test_indices = [], []
    for device, part in enumerate(setup.parts):
        rng = numbered(Stream.HELD_OUT, setup.seed, device)
        order = rng.permutation(part)
        count = min(max(1, round(config.search_holdout * len(part))), len(part) - 1)
        test_indices.append(order[:count])
        train_parts.append(np.sort(order[count:]))
    settings, train = setup.settings, setup.task.train
    shards = tuple(
        Shard(
            Samples(train.subset(part), setup.backbone, settings.max_tokens),
            batch_size=settings.batch_size,
            accumulation=settings.accumulation,
            seed=(Stream.HELD_OUT, setup.seed, device, 1),
        )
        for device, part in enumerate(train_parts)
    )
    test = train.subset(np.sort(np.concatenate(test_indices)))
    return dataclasses.replace(
        setup,
        parts=tuple(train_parts),
        shards=shards,
        test=Samples(test, setup.backbone, settings.max_tokens),
        test_examples=test,
    )


def _try(config: Config, setup: Setup, settings: SplitFedFTSettings, method: str) -> EvaluationRecord:
    short = dataclasses.replace(
        settings, rounds=config.search_rounds, evaluations=1, round_deadline_s=None, stragglers="wait",
        allocation=AllocationSettings(),
    )  # fmt: skip
    part = dataclasses.replace(held_out(config, setup), settings=short)
    final: list[EvaluationRecord] = []

    def report(record: Record) -> None:
        if isinstance(record, EvaluationRecord) and record.head == "average" and record.test_set == "global":
            final.append(record)

    async def main(sim: cosim.Simulation) -> Outcome:
        return await METHODS[method](sim, part, report)

    config.network.ideal().simulate(main, needs(config), seed=config.seed, compute="free")
    return final[-1]
