# SPDX-License-Identifier: GPL-2.0-only
"""The study itself: for each seed, one simulation under each rule, with the same data, network and movements."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from edgelam import cosim
from edgelam.federated import (
    METHODS,
    AllocationRecord,
    DecisionRecord,
    EvaluationRecord,
    Outcome,
    Record,
    RoundRecord,
    Setup,
    prepare,
)
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder
from edgelam.runs.folders.tables import schema_of
from edgelam.runs.recording import SimulationRecorder
from edgelam.runs.scores import MANIFEST

from . import repeated, results
from .settings import OURS, Studied

if TYPE_CHECKING:
    from ..config import Config

TABLES: dict[type, str] = {
    EvaluationRecord: "metrics",
    RoundRecord: "rounds",
    DecisionRecord: "decisions",
    AllocationRecord: "allocations",
}
RENAMED = {"loss": "loss_nats"}


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Run every rule with every seed; tables go to `folder` as the run goes on."""
    folder.record(**{MANIFEST: [score.plain() for score in results.SCORES]})
    study, name = config.allocations, config.methods[0]
    cases = [(seed, rule) for seed in range(config.seed, config.seed + study.num_seeds) for rule in study.rules]
    setups: dict[int, Setup] = {}
    progress.begin("rules", len(cases), "simulations")
    for done, (seed, rule) in enumerate(cases, 1):
        own = study.under(dataclasses.replace(config, seed=seed), rule)
        if seed not in setups:
            setups = {seed: prepare(own.learning, seed)}
        setup = setups[seed]
        settings = dataclasses.replace(setup.settings, allocation=own.learning.allocation)
        records = _simulate(
            own, dataclasses.replace(setup, settings=settings), folder, name=name, rule=rule, seeds=study.num_seeds > 1
        )
        if rule == OURS:
            repeated.run(config, folder, seed, records)
        progress.step(done)


def _simulate(
    config: Config, setup: Setup, folder: RunFolder, *, name: str, rule: Studied, seeds: bool
) -> list[AllocationRecord]:
    """Run one simulation; return what was known of the devices before its rounds."""
    from ..config import needs

    labels: dict[str, Any] = {"method": rule, "seed": config.seed}
    label = f"{rule}, seed {config.seed}" if seeds else rule

    known: list[AllocationRecord] = []

    def report(record: Record) -> None:
        if isinstance(record, AllocationRecord):
            known.append(record)
        kind: type = type(record)
        if kind not in TABLES:
            return
        if isinstance(record, EvaluationRecord) and (record.head, record.test_set) != ("average", "global"):
            return
        own = {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name != "method"}
        table = folder.table(TABLES[kind], _schema(kind))
        table.append(labels | {RENAMED.get(key, key): value for key, value in own.items()})

    async def main(sim: cosim.Simulation) -> Outcome:
        return await METHODS[name](sim, setup, report)

    recorder = SimulationRecorder(folder, label, labels)
    config.network.simulate(main, needs(config), folder, label, seed=config.seed, recorder=recorder)
    return known


@functools.cache
def _schema(kind: type) -> pa.Schema:
    schema = schema_of(kind, seed=int)
    return pa.schema([field.with_name(RENAMED.get(field.name, field.name)) for field in schema])
