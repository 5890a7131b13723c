# SPDX-License-Identifier: GPL-2.0-only
"""What an encoding protects, and what remedies cost: recipe `encoding`.

A text goes through the embedding of MiniLM, and the queries of its first block are encoded by three devices with 96,
128 and 160 of the 384 columns. Who sees some of the columns, knows the weights and knows nothing of the text recovers
what he can: the embedded tokens by least squares, and the tokens by comparison with the whole vocabulary. Then the
small looped transformer is trained with each remedy, over the network and without one, so that its price is seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from edgelam import cosim
from edgelam.data import ns3_comments
from edgelam.learning.secure_sum import FixedPoint, Masker, unmasked_sum
from edgelam.models import Backbone, load_backbone
from edgelam.output.progress import Progress
from edgelam.parallel import looped
from edgelam.parallel.looped_records import Record, StepRecord
from edgelam.parallel.looped_split import equal_split
from edgelam.privacy.least_squares import recover, relative_error
from edgelam.privacy.token_lookup import identify, share_identified
from edgelam.random_streams import derive_seed, torch_generator
from edgelam.runs import RunFolder
from edgelam.runs.recording import SimulationRecorder

from . import tables
from .config import Config
from .data import CHARACTERS, batches_of
from .machines import devices_of
from .methods import Step

SHARES = (96, 128, 160)
"""Columns of the three devices: 3, 4 and 5 heads of 32."""
COLUMNS = (1, 2, 4, 8, 16, 32, 96, 192, 384)
"""Numbers of columns in the figure."""
NOISES = (0.0, 0.05, 0.2, 1.0)
"""Gaussian noise, as a share of the root mean square of what is sent."""
SAMPLES, LENGTH = 16, 12
"""Sequences of the text, and their longest."""
REMEDIES: dict[str, dict[str, Any]] = {
    "no remedy": {}, "noise 0.2": {"noise": 0.2}, "noise 1.0": {"noise": 1.0}, "masks": {"secure_aggregation": True},
}  # fmt: skip
"""What is trained: fields of LoopedConfig."""


@dataclass(frozen=True)
class Attack:
    """What one observer recovers. residual: relative error of least squares; identified: share of the tokens."""

    observer: str
    columns: int
    remedy: str
    noise: float
    residual: float
    identified: float


class Text:
    """Tokens with their positions, and the columns that encode them."""

    def __init__(self, backbone: Backbone, seed: int) -> None:
        """The first tokens of comments of ns-3, one sequence each."""
        model: Any = backbone.model
        self._parts = model.embeddings
        query = model.encoder.layer[0].attention.self.query
        self.weight, self.bias = query.weight.detach(), query.bias.detach()
        tokenizer = backbone.tokenizer
        assert tokenizer is not None
        rows = [tokenizer(text, truncation=True, max_length=LENGTH)["input_ids"] for text in _comments(SAMPLES)]
        self.tokens = torch.tensor([token for row in rows for token in row])
        self.positions = torch.tensor([place for row in rows for place in range(len(row))])
        self.embedded = torch.stack(
            [self._at(int(p))[t] for t, p in zip(self.tokens, self.positions, strict=True)]
        )  # fmt: skip
        self._seed = seed

    @cache  # noqa: B019  (a text lives as long as its run)
    def _at(self, position: int) -> Tensor:
        """All tokens of the vocabulary, embedded at a position: [V, D]."""
        parts = self._parts
        with torch.no_grad():
            table = parts.word_embeddings.weight + parts.position_embeddings.weight[position]
            return parts.LayerNorm(table + parts.token_type_embeddings.weight[0])

    @cache  # noqa: B019
    def _encoded_at(self, position: int) -> Tensor:
        return F.linear(self._at(position), self.weight, self.bias)

    def sent(self, columns: slice, noise: float) -> Tensor:
        """What devices send of these columns, with noise."""
        values = F.linear(self.embedded, self.weight, self.bias).double()
        generator = torch_generator(derive_seed(self._seed, "noise on encodings"))
        random = torch.randn(values.shape, generator=generator, dtype=torch.float64)
        return (values + noise * values.square().mean().sqrt() * random)[:, columns]

    def attack(self, seen: Tensor, columns: slice, observer: str, remedy: str, noise: float) -> Attack:
        """Both attacks on what was seen of these columns."""
        residual = relative_error(recover(seen, self.weight[columns], self.bias[columns]), self.embedded)
        found = identify(seen, self.positions, lambda position: self._encoded_at(position)[:, columns])
        number = seen.shape[1]
        return Attack(observer, number, remedy, noise, residual, share_identified(found, self.tokens))


def _comments(count: int) -> list[str]:
    return list(ns3_comments.load().train.inputs[:count])


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """All attacks (table attacks), then a training with each remedy (table metrics, as of the other methods)."""
    table = folder.table("attacks", {field.name: _TYPES[str(field.type)] for field in dataclasses.fields(Attack)})
    progress.say("attacking encodings of MiniLM")
    for attack in attacks(config.seed):
        table.append(dataclasses.asdict(attack))
    progress.begin("remedies", len(REMEDIES), "simulations")
    for done, (name, given) in enumerate(REMEDIES.items(), 1):
        _train(config, folder, name, given)
        progress.step(done)


_TYPES: dict[str, type] = {"str": str, "int": int, "float": float}


def _train(config: Config, folder: RunFolder, name: str, given: dict[str, Any]) -> None:
    """The looped transformer with a remedy: some steps over the network, and its curve of losses without one."""
    model, num_devices = config.model, config.num_devices[0]
    settings = replace(model.looped(len(CHARACTERS), None), **given)
    batches = batches_of(model.batch, model.length, config.seed)
    row: dict[str, str | int] = {"method": name, "devices": num_devices, "seed": config.seed}
    devices = devices_of(config, settings, num_devices, config.seed)
    split = equal_split(settings, tuple(devices))
    steps: list[Step] = []
    recorder = SimulationRecorder(folder, name, row, facts=tables.FACTS)

    def report(record: Record) -> None:
        if isinstance(record, StepRecord):
            steps.append(Step(record.start_s, record.end_s, record.loss))

    async def main(sim: cosim.Simulation) -> None:
        await looped.train(sim, settings, batches, config.steps, split=split, report=report)

    config.network.simulate(
        main, config.needs_for(num_devices), folder, name, seed=config.seed, recorder=recorder, devices=devices
    )  # fmt: skip

    async def learning(sim: cosim.Simulation) -> looped.Trained:
        return await looped.train(sim, settings, batches, config.curve_steps, split=split)

    curve: tuple[float, ...] = ()
    if config.curve_steps > config.steps:
        nodes = {**{f"ue{k}": "ue" for k in range(num_devices)}, "edge0": "edge"}
        curve = cosim.simulate(learning, nodes=nodes, seed=config.seed, compute="free").losses
    tables.write_steps(folder, row, steps, curve)


def attacks(seed: int) -> Iterator[Attack]:
    """Every observer and remedy, then the columns and noises of the figure."""
    text = Text(load_backbone(), seed)
    edges = [0, *torch.tensor(SHARES).cumsum(0).tolist()]
    own = [slice(begin, end) for begin, end in pairwise(edges)]
    observers = {"one device": own[0], "two devices": slice(0, edges[2]), "merging server": slice(0, edges[3])}
    for observer, columns in observers.items():
        for noise in NOISES:
            remedy = "noise" if noise else "none"
            yield text.attack(text.sent(columns, noise), columns, observer, remedy, noise)
    yield from _under_masks(text, own, seed)
    for count in COLUMNS:
        for noise in NOISES:
            columns = slice(0, count)
            yield text.attack(text.sent(columns, noise), columns, "columns", "noise" if noise else "none", noise)


def _under_masks(text: Text, own: list[slice], seed: int) -> Iterator[Attack]:
    """Each device's columns, zeros elsewhere, under pairwise masks: one message, two, and the server's sum."""
    fixed, names = FixedPoint(44), [f"ue{k}" for k in range(len(own))]
    maskers = {name: Masker(name, derive_seed(seed, "masks")) for name in names}
    for masker in maskers.values():
        masker.meet({name: other.public_key for name, other in maskers.items()})
    values, messages = text.sent(slice(None), 0.0), []
    for name, columns in zip(names, own, strict=True):
        padded = torch.zeros_like(values)
        padded[:, columns] = values[:, columns]
        messages.append(maskers[name].masked(padded, "encoding", names, fixed))
    whole = slice(0, own[-1].stop)
    for observer, seen, columns in (
        ("one device", messages[:1], own[0]), ("two devices", messages[:2], slice(0, own[1].stop)),
        ("merging server", messages, whole),
    ):  # fmt: skip
        yield text.attack(unmasked_sum(seen, fixed)[:, columns], columns, observer, "masks", 0.0)
