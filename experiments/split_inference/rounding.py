# SPDX-License-Identifier: GPL-2.0-only
"""Weights, or what crosses the middle cut, in few bits: exact bytes beside agreement, accuracy and perplexity."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import torch
from rich.console import Console
from torch import Tensor, nn

from edgelam.inference.split.wire import FLOATS, packed, unpacked
from edgelam.models.cuts import Cuttable, State
from edgelam.models.quantisation import Format, quantise_weights
from edgelam.output.progress import Progress
from edgelam.output.terminal import TextTable
from edgelam.runs import Run, RunFolder
from edgelam.runs.claims import Claim, less, more
from edgelam.runs.statistics import half_interval, with_interval

from .config import Config, Rounded
from .workloads import Workload, make

ROUNDING = {
    "model": str, "rounded": str, "format": str, "seed": int, "bytes": float, "answers": int, "agreement": float,
    "accuracy": float, "perplexity": float,
}  # fmt: skip
"""One row a model, format and group of inputs. rounded: weights, or activations (what crosses the middle cut); bytes:
of all weights, or of what crosses for an input; answers: so many are compared; agreement: the share that are those of
fp32; accuracy: the share that are right; perplexity: of the next token. NaN: not known of this model."""
QUALITIES = ("agreement", "accuracy", "perplexity")


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Measure all formats of all models on `num_seeds` groups of inputs that have none in common."""
    wanted = config.rounding
    progress.begin("rounding", len(wanted.models) * len(wanted.formats), "models and formats")
    done = 0
    for name in wanted.models:
        load = make(name, dataclasses.replace(config, quality_samples=wanted.inputs * config.num_seeds))
        subject = _Subject(load, groups=config.num_seeds)
        for form in wanted.formats:
            for rounded, rows in subject.measured(form):
                for group, row in enumerate(rows):
                    folder.table("rounding", ROUNDING).append(
                        {"model": name, "rounded": rounded, "format": form, "seed": config.seed + group} | row
                    )
            done += 1
            progress.step(done)


class _Subject:
    """A model, its inputs in groups, and its answers in fp32."""

    def __init__(self, load: Workload, groups: int) -> None:
        self.load, self.groups, self.cuts = load, groups, load.cuts
        self.whole = whole_model(load.cuts)
        self.exact = {name: value.clone() for name, value in self.whole.state_dict().items()}
        self.cut = sorted(load.rounded)[len(load.rounded) // 2]
        self.expected = [_answers(self._logits(given)) for given in load.inputs]

    def measured(self, form: str) -> list[tuple[Rounded, list[dict[str, float]]]]:
        """Return a row for each group of inputs, with rounded weights and with rounded activations."""
        sent = [self.cuts.run(given, 0, self.cut) for given in self.load.inputs]
        shapes = [{key: tuple(value.shape) for key, value in state.items()} for state in sent]
        messages = [packed(state, form) for state in sent]
        there = [unpacked(message, form, shape) for message, shape in zip(messages, shapes, strict=True)]
        activations = [self._logits(state, self.cut) for state in there]
        crossing = sum(map(_bytes, messages)) / len(messages)
        size = round_weights(self.whole, form)
        weights = [self._logits(given) for given in self.load.inputs]
        self.whole.load_state_dict(self.exact)
        return [("weights", self._rows(weights, size)), ("activations", self._rows(activations, crossing))]

    @torch.no_grad()
    def _logits(self, state: State, first: int = 0) -> Tensor:
        """Logits [answers, classes]: of each position of a text if the model writes, else of the whole input."""
        return self.cuts.run(state, first, len(self.cuts.stages))["logits"].flatten(0, -2)

    def _rows(self, logits: list[Tensor], size: float) -> list[dict[str, float]]:
        each = len(logits) // self.groups
        return [self._row(logits, range(i * each, (i + 1) * each), size) for i in range(self.groups)]

    def _row(self, logits: list[Tensor], group: range, size: float) -> dict[str, float]:
        load = self.load
        agrees = torch.cat([_answers(logits[i]) == self.expected[i] for i in group]).double()
        row = {"bytes": size, "answers": len(agrees), "agreement": float(agrees.mean()),
               "accuracy": math.nan, "perplexity": math.nan}  # fmt: skip
        if load.labels:
            row["accuracy"] = sum(int(_answers(logits[i])) == load.labels[i] for i in group) / len(group)
        if len(agrees) > len(group):  # next tokens: what comes is known of all but the last
            nats = torch.cat([
                nn.functional.cross_entropy(logits[i][:-1].double(), load.inputs[i]["ids"][0, 1:], reduction="none")
                for i in group
            ])  # fmt: skip
            row["perplexity"] = float(nats.mean().exp())
        return row


def whole_model(cuts: Cuttable) -> nn.Module:
    """Return all stages of a model as one module, which shares its weights; what several stages share is in it once."""
    parts = [part for stage in range(len(cuts.stages)) for part in cuts.modules(stage)]
    whole = nn.Module()
    whole.modules_ = nn.ModuleList(part for part in parts if isinstance(part, nn.Module))
    whole.weights_ = nn.ParameterList(part for part in parts if isinstance(part, nn.Parameter))
    return whole


def round_weights(whole: nn.Module, form: str) -> int:
    """Round all weights to a format, in place, and return their bytes on a wire."""
    if form == "fp32":
        saved = whole.state_dict()
        buffers = [buffer for name, buffer in whole.named_buffers() if name in saved]
        return sum(value.numel() * value.element_size() for value in (*whole.parameters(), *buffers))
    if form in FLOATS:
        return quantise_weights(whole, Format(), skip=lambda name: True)
    return quantise_weights(whole, Format.parse(form))


def _answers(logits: Tensor) -> Tensor:
    return logits.argmax(-1)


def _bytes(message: dict[str, object]) -> int:
    tensors = [part for value in message.values() for part in (value if isinstance(value, tuple) else (value,))]
    return sum(part.numel() * part.element_size() for part in tensors if isinstance(part, Tensor))


def table(run: Run) -> pd.DataFrame:
    """Return one row for each model, what is rounded, and format: means with intervals over groups of inputs."""
    if "rounding" not in run:
        return pd.DataFrame()
    groups = run["rounding"].groupby(["model", "rounded", "format"], sort=False)
    found = groups[["bytes", *QUALITIES]].mean()
    for name in QUALITIES:
        found[f"{name}_interval"] = groups[name].apply(half_interval)
    return found.astype({"bytes": int}).reset_index()


def judged(run: Run) -> list[Claim]:
    """Claim of each format that it is worse than fp32, by the last of `QUALITIES` that is known of a model."""
    found = []
    for (model, rounded), rows in run["rounding"].groupby(["model", "rounded"], sort=False):
        name = [quality for quality in QUALITIES if rows[quality].notna().all()][-1]
        by_seed = rows.pivot_table(index="seed", columns="format", values=name, sort=False)
        if "fp32" not in by_seed:
            continue
        claim, word = (more, "more") if name == "perplexity" else (less, "less")
        found += [
            claim(f"{model}: {form} {rounded} have {word} {name} than fp32", by_seed[form], by_seed["fp32"])
            for form in by_seed if form not in FLOATS
        ]  # fmt: skip
    return found


def report(run: Run, console: Console) -> None:
    """Print the table."""
    found = TextTable(
        "Weights, and what crosses the middle cut, in few bits", "model", "rounded", "format", "kB", *QUALITIES,
        left=3, caption="95 % intervals over groups of inputs; what crosses: kB an input",
    )  # fmt: skip
    for row in table(run).to_dict("records"):
        found.add_row(
            row["model"], row["rounded"], row["format"], f"{row['bytes'] / 1e3:,.1f}",
            *("" if math.isnan(row[name]) else with_interval(row[name], row[f"{name}_interval"]) for name in QUALITIES),
        )  # fmt: skip
    found.print(console)
