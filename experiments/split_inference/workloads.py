# SPDX-License-Identifier: GPL-2.0-only
"""The models as chains of stages, their inputs, and the answers of the whole models."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgelam.data.task import Examples, load_task
from edgelam.errors import ConfigurationError
from edgelam.inference.split import CalibratedExits, Choice, calibrated
from edgelam.inference.split.wire import packed, unpacked
from edgelam.modalities.trained import TRAINED, load_trained, recipe_of, trained_folder
from edgelam.models import load_backbone
from edgelam.models.cuts import Cuttable, EfficientNetCuts, NestedCuts, State, TextCuts
from edgelam.models.fetch import model_folder
from edgelam.random_streams import derive_seed, from_numbers, torch_seeded

from .config import Config, Model

TOKENS = 32
"""Of a text; shorter ones are not used."""
TRAINING = 600
"""Comments from which MiniLM's head is trained."""


@dataclasses.dataclass(frozen=True)
class Workload:
    """A model with inputs."""

    name: Model
    cuts: Cuttable
    legal: tuple[int, ...]
    """The cuts that are compared: of SmolLM2, every tenth layer."""
    rounded: frozenset[int]
    """Cuts at which real numbers cross, so that the number format matters."""
    inputs: tuple[State, ...]
    labels: tuple[int, ...]
    """What is right; empty if nobody knows, and agreement with the whole model is all that can be said."""
    answers: tuple[int, ...]
    """Of the whole model in fp32."""
    exits: CalibratedExits | None = None
    """If it has trained exits."""
    trial: Workload | None = None
    """The same model with other inputs, on which choices are judged; None: they are judged on the inputs asked."""


def check_models(config: Config) -> None:
    """Raise ConfigurationError, with the command that fetches it, if a model or its data are not there."""
    beside = {"dinov2-small": ("mnist-5000",), "whisper-tiny.en": ("piper-joe",)}
    decoding = ("smollm2-135m",) if config.decoding.methods else ()
    for name in (*config.models, *config.leakage.models, *config.rounding.models, *decoding):
        for wanted in (name, *beside.get(name, ())):
            if wanted in TRAINED:
                trained_folder(wanted)
            elif wanted != "minilm":
                model_folder(wanted)


def make(name: Model, config: Config) -> Workload:
    """Return a workload."""
    makers: dict[Model, Callable[[Config], Workload]] = {
        "minilm": _comments, "efficientnet-lite0": _photos, "smollm2-135m": _next_tokens,
        "minilm-lattice": functools.partial(_lattice, "minilm-lattice"),
        "dinov2-lattice": functools.partial(_lattice, "dinov2-lattice"),
    }  # fmt: skip
    return makers[name](config)


@torch.no_grad()
def agreements(load: Workload, formats: Sequence[str], confidences: Sequence[float] = ()) -> dict[Choice, float]:
    """Return the share of answers that are those of the whole model, for each cut and number format, and for each
    confidence from which the exit at a cut answers."""
    agree: dict[Choice, int] = {}
    last = len(load.cuts.stages)
    for inputs, expected in zip(load.inputs, load.answers, strict=True):
        state, at = dict(inputs), 0
        for cut in load.legal:
            state, at = load.cuts.run(state, at, cut), cut
            shapes = {key: tuple(value.shape) for key, value in state.items()}
            leaves = load.exits is not None and cut in load.cuts.exits
            early, sure = load.exits.answer(state, cut) if load.exits is not None and leaves else (None, None)
            for form in formats:
                right = True
                if cut in load.rounded:
                    there = unpacked(packed(state, form), form, shapes)
                    right = likeliest(load.cuts.run(there, cut, last)) == expected
                for confidence in (None, *(confidences if leaves else ())):
                    choice = Choice(cut, form, confidence)
                    mine = right
                    if confidence is not None and early is not None and sure is not None and float(sure) >= confidence:
                        mine = int(early) == expected
                    agree[choice] = agree.get(choice, 0) + mine
    return {choice: count / len(load.inputs) for choice, count in agree.items()}


@torch.no_grad()
def states_at_exits(load: Workload) -> dict[int, list[State]]:
    """Return what crosses each cut that has an exit, of all inputs."""
    return {cut: [load.cuts.run(given, 0, cut) for given in load.inputs] for cut in load.cuts.exits}


def likeliest(state: State) -> int:
    """Return the class or the next token."""
    logits = state["logits"]
    return int((logits[:, -1] if logits.dim() == 3 else logits).argmax())


def _finished(  # noqa: PLR0917
    name: Model, cuts: Cuttable, inputs: Sequence[State], legal: Sequence[int] | None = None,
    labels: Sequence[int] = (), exits: CalibratedExits | None = None,
) -> Workload:  # fmt: skip
    with torch.no_grad():
        answers = tuple(likeliest(cuts.run(each, 0, len(cuts.stages))) for each in inputs)
        chosen = tuple(legal or range(len(cuts.stages) + 1))
        state, at, rounded = dict(inputs[0]), 0, set()
        for cut in chosen[:-1]:
            state, at = cuts.run(state, at, cut), cut
            if any(value.is_floating_point() for value in state.values()):
                rounded.add(cut)
    return Workload(name, cuts, chosen, frozenset(rounded), tuple(inputs), tuple(labels), answers, exits)


class _ModuleOfComment(nn.Module):
    """Hidden states [1, L, H] -> logits [1, classes]: the mean over tokens, scaled, through a linear layer."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, classes)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(nn.functional.normalize(hidden.mean(1), dim=-1))


def comment_cuts(seed: int, count: int = TRAINING) -> tuple[TextCuts, list[tuple[Tensor, int]]]:
    """Return MiniLM with a head that tells a comment's module, and the `count` texts from which that was trained."""
    backbone = load_backbone("minilm")
    task = load_task("ns3-comments")
    train = texts(task.train, backbone.tokenizer, count, seed)
    with torch_seeded(seed % 2**63):
        head = _ModuleOfComment(backbone.width, task.num_classes)
    cuts = TextCuts(backbone, head)
    with torch.no_grad():
        hidden = [cuts.run({"ids": ids}, 0, len(cuts.stages) - 1)["hidden"] for ids, _ in train]
        features = torch.cat([nn.functional.normalize(each.mean(1), dim=-1) for each in hidden])
    fit_linear(head.linear, features, torch.tensor([label for _, label in train]))
    return cuts, train


def fit_linear(linear: nn.Linear, features: Tensor, labels: Tensor) -> None:
    """Train a linear classifier of features [samples, width], with a small ridge, until it changes no more."""
    optimiser = torch.optim.LBFGS(linear.parameters(), max_iter=100)

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = nn.functional.cross_entropy(linear(features), labels) + 1e-4 * linear.weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    linear.requires_grad_(False)


def _comments(config: Config) -> Workload:
    seed = derive_seed(config.seed, "comments of split_inference")
    cuts, _ = comment_cuts(seed)
    test = texts(load_task("ns3-comments").test, cuts.backbone.tokenizer, config.quality_samples, seed + 1)
    return _finished("minilm", cuts, [{"ids": ids} for ids, _ in test], labels=[label for _, label in test])


def _next_tokens(config: Config) -> Workload:
    backbone = load_backbone("smollm2-135m")
    prompts = texts(
        load_task("ns3-comments").test, backbone.tokenizer, config.quality_samples, derive_seed(config.seed, "prompts")
    )
    cuts = TextCuts(backbone)
    last = len(cuts.stages)
    legal = [0, *range(1, last, 10), last]
    return _finished("smollm2-135m", cuts, [{"ids": ids} for ids, _ in prompts], legal)


def _photos(config: Config) -> Workload:
    from sklearn.datasets import load_sample_images

    from edgelam.models.efficientnet_lite import load

    photos = load_sample_images().images
    draw = from_numbers(derive_seed(config.seed, "photos of split_inference"))
    inputs: list[State] = []
    for _ in range(config.quality_samples):
        photo = torch.from_numpy(photos[draw.integers(len(photos))].copy())
        top, left = (int(draw.integers(length - 223)) for length in photo.shape[:2])
        inputs.append({"image": photo[top : top + 224, left : left + 224].permute(2, 0, 1)[None].contiguous()})
    return _finished("efficientnet-lite0", EfficientNetCuts(load(model_folder("efficientnet-lite0"))), inputs)


def _lattice(name: Model, config: Config) -> Workload:
    """A nested model at its whole width; exits are calibrated, and choices judged, on other inputs than those asked."""
    home = recipe_of(name).module
    inputs, mask, labels = home.held_out(2 * config.quality_samples, derive_seed(config.seed, f"inputs of {name}"))
    given: list[State] = []
    for i in range(len(inputs)):
        if mask is None:
            given.append({"pixels": inputs[i : i + 1]})
        else:  # no padding crosses
            given.append({"ids": inputs[i : i + 1, : int(mask[i].sum())]})
    nested: Any = load_trained(name)
    cuts = NestedCuts(nested)
    half, right = config.quality_samples, labels.tolist()
    exits = calibrated(cuts, given[half:], right[half:])
    trial = _finished(name, cuts, given[half:], labels=right[half:], exits=exits)
    asked = _finished(name, cuts, given[:half], labels=right[:half], exits=exits)
    return dataclasses.replace(asked, trial=trial)


def texts(examples: Examples, tokenizer: Any, count: int, seed: int) -> list[tuple[Tensor, int]]:
    """Return the first tokens of drawn texts that have enough of them, int64 [1, tokens], and their labels."""
    found: list[tuple[Tensor, int]] = []
    for i in from_numbers(seed).permutation(len(examples)):
        ids = tokenizer(examples.inputs[i])["input_ids"]
        if len(ids) >= TOKENS:
            found.append((torch.tensor([ids[:TOKENS]]), int(examples.labels[i])))
        if len(found) == count:
            return found
    raise ConfigurationError(f"{count} texts of at least {TOKENS} tokens are wanted, and there are {len(found)}")
