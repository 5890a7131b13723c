# SPDX-License-Identifier: GPL-2.0-only
"""What crosses a cut is attacked: the input behind it is searched for, and answers are compared with the whole model's.

The attacker has the device's stages and inputs of its own from the same source, protected in the same way, and learns
the way back (edgelam.privacy.inversion). Behind each position of what crosses is a token, a patch of an image, or 20 ms
of a spectrum.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from edgelam.data.fetched import mnist
from edgelam.data.task import load_task
from edgelam.inference.split.wire import packed, unpacked
from edgelam.modalities import pretrained
from edgelam.modalities.speech import NO_TIMESTAMPS, START, SpeechDecoder, SpeechEncoder, whisper
from edgelam.modalities.spoken import QUESTIONS, SENTENCES, TRAINED_SPEEDS, spoken_words
from edgelam.modalities.voicing import SpeechSynthesis
from edgelam.models import load_backbone
from edgelam.models.cuts import Cuttable, ImageCuts, SpeechCuts, State, TextCuts
from edgelam.models.images import prepared
from edgelam.output.progress import Progress
from edgelam.privacy import inversion, token_lookup
from edgelam.random_streams import derive_seed, torch_generator, torch_seeded
from edgelam.runs import RunFolder

from .config import NOISE, Config, Subject
from .workloads import comment_cuts, fit_linear, texts

LEAKAGE = {
    "model": str, "seed": int, "cut": int, "stage": str, "protection": str, "agreement": float, "linear": float,
    "network": float, "guess": float,
}  # fmt: skip
"""One row a cut and protection. agreement: the share of test answers that are the whole model's; linear, network: what
a linear map and a network find: of text, the share of tokens; else the share of the variance; guess: what one finds who
sees nothing."""


def run(config: Config, folder: RunFolder, progress: Progress) -> None:
    """Attack all cuts of all models, for each seed."""
    wanted = config.leakage
    progress.begin("leakage", len(wanted.models) * config.num_seeds, "models and seeds")
    done = 0
    for seed in range(config.seed, config.seed + config.num_seeds):
        for name in wanted.models:
            subject = _SUBJECTS[name](config, derive_seed(seed, f"leakage of {name}"))
            for row in subject.attacked():
                folder.table("leakage", LEAKAGE).append({"model": name, "seed": seed} | row)
            done += 1
            progress.step(done)


class _Subject(abc.ABC):
    """A model with inputs of the attacker (train) and of the device (test)."""

    last_cut: int
    """The deepest cut that is attacked."""

    def __init__(self, config: Config, seed: int, cuts: Cuttable, train: list[State], test: list[State]) -> None:
        self.wanted, self.seed, self.cuts, self.train, self.test = config.leakage, seed, cuts, train, test
        self.last_cut = len(cuts.stages) - 1

    @abc.abstractmethod
    def behind(self, given: State) -> Tensor:
        """Return what is behind each position of an input: [positions, G] float32."""

    @abc.abstractmethod
    def seen(self, given: State, crossing: State) -> Tensor:
        """Return what crosses of each position: [positions, F]."""

    @abc.abstractmethod
    def answers(self, final: State) -> Tensor:
        """Return the answers, int64 [answers]."""

    def found(self, inverse: inversion.Inverse, seen: Tensor, behind: Tensor, mean: Tensor) -> float:
        """Return how much of the test inputs is found."""
        return inversion.share_explained(inverse(seen), behind, mean)

    def guess(self) -> float:
        """Return how much one finds who sees nothing."""
        return 0.0

    @torch.no_grad()
    def attacked(self) -> Iterator[dict[str, object]]:
        """Yield a row for each cut and protection."""
        stages, cuts = self.cuts.stages, self.cuts
        chosen = sorted(
            {1 + round(i * (self.last_cut - 1) / max(self.wanted.cuts - 1, 1)) for i in range(self.wanted.cuts)}
        )
        behind = [torch.cat([self.behind(given) for given in part]) for part in (self.train, self.test)]
        mean, guess = behind[0].mean(0), self.guess()
        states, at = [dict(given) for given in (*self.train, *self.test)], 0
        expected = [self.answers(cuts.run(given, 0, len(stages))) for given in self.test]
        for cut in chosen:
            states, at = [cuts.run(state, at, cut) for state in states], cut
            for protection in self.wanted.protections:
                draw = torch_generator(derive_seed(self.seed, f"noise at cut {cut}, {protection}"))
                crossing = [protected(state, protection, draw) for state in states]
                mine, theirs = crossing[: len(self.train)], crossing[len(self.train) :]
                seen = [torch.cat([self.seen(*pair) for pair in zip(given, part, strict=True)])
                        for given, part in ((self.train, mine), (self.test, theirs))]  # fmt: skip
                agree = torch.cat([
                    self.answers(cuts.run(state, cut, len(stages))) == right
                    for state, right in zip(theirs, expected, strict=True)
                ])  # fmt: skip
                fit_seed = derive_seed(self.seed, f"inverse at cut {cut}, {protection}")
                with torch.enable_grad():
                    linear = inversion.learn_linear(seen[0], behind[0], seed=fit_seed)
                    network = inversion.learn_network(
                        linear, seen[0], behind[0], hidden=self.wanted.hidden, steps=self.wanted.steps, seed=fit_seed
                    )
                yield {
                    "cut": cut, "stage": stages[cut - 1], "protection": protection,
                    "agreement": float(agree.double().mean()),
                    "linear": self.found(linear, seen[1], behind[1], mean),
                    "network": self.found(network, seen[1], behind[1], mean), "guess": guess,
                }  # fmt: skip


def protected(state: State, protection: str, draw: torch.Generator) -> State:
    """Return what the other side gets: rounded to a number format, or with noise of a share of the root mean square."""
    if protection.startswith(NOISE):
        share = float(protection.removeprefix(NOISE))
        return {
            key: value + share * value.square().mean().sqrt() * torch.randn(value.shape, generator=draw)
            if value.is_floating_point() else value for key, value in state.items()
        }  # fmt: skip
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    return unpacked(packed(state, protection), protection, shapes)


class _Text(_Subject):
    """Behind a position is a row of the token table, and the nearest row to what is found is the token."""

    cuts: TextCuts

    def behind(self, given: State) -> Tensor:
        return self._table()[given["ids"][0]]

    def seen(self, given: State, crossing: State) -> Tensor:
        return crossing["hidden"][0]

    def answers(self, final: State) -> Tensor:
        logits = final["logits"]
        return (logits[:, -1] if logits.dim() == 3 else logits).argmax(-1)

    def found(self, inverse: inversion.Inverse, seen: Tensor, behind: Tensor, mean: Tensor) -> float:
        true = torch.cat([given["ids"][0] for given in self.test])
        return token_lookup.share_identified(token_lookup.nearest(inverse(seen), self._table()), true)

    def guess(self) -> float:
        most = torch.cat([given["ids"][0] for given in self.train]).mode().values
        return float((torch.cat([given["ids"][0] for given in self.test]) == most).double().mean())

    def _table(self) -> Tensor:
        return self.cuts.backbone.token_table.detach()


class _Comments(_Text):
    def __init__(self, config: Config, seed: int) -> None:
        cuts, train = comment_cuts(seed, config.leakage.texts)
        test = texts(load_task("ns3-comments").test, cuts.backbone.tokenizer, config.leakage.tests, seed + 1)
        super().__init__(config, seed, cuts, *([{"ids": ids} for ids, _ in part] for part in (train, test)))


class _NextTokens(_Text):
    def __init__(self, config: Config, seed: int) -> None:
        backbone, task = load_backbone("smollm2-135m"), load_task("ns3-comments")
        train = texts(task.train, backbone.tokenizer, config.leakage.texts, seed)
        test = texts(task.test, backbone.tokenizer, config.leakage.tests, seed + 1)
        super().__init__(
            config, seed, TextCuts(backbone), *([{"ids": ids} for ids, _ in part] for part in (train, test))
        )


class _Digits(_Subject):
    """Behind a position is a patch of 14 x 14 pixels; the class token stands for none."""

    cuts: ImageCuts

    def __init__(self, config: Config, seed: int) -> None:
        from transformers import Dinov2Model

        model = pretrained.load("dinov2-small", Dinov2Model)
        with torch_seeded(seed % 2**63):
            head = nn.Linear(model.config.hidden_size, 10)
        cuts = ImageCuts(model, prepared, lambda tokens: head(tokens[:, 0]))
        (train, labels), (test, _) = (
            mnist("train", config.leakage.images, seed=seed),
            mnist("test", config.leakage.tests, seed=seed),
        )
        given = [[{"image": torch.from_numpy(image[None].copy())} for image in images] for images in (train, test)]
        super().__init__(config, seed, cuts, *given)
        with torch.no_grad():
            features = torch.cat([cuts.run(each, 0, len(cuts.stages) - 1)["tokens"][:, 0] for each in given[0]])
        fit_linear(head, features, torch.from_numpy(labels))

    def behind(self, given: State) -> Tensor:
        grey_HW = self.cuts.prepare(given["image"])[0, 0]
        return nn.functional.unfold(grey_HW[None, None], 14, stride=14)[0].T

    def seen(self, given: State, crossing: State) -> Tensor:
        return crossing["tokens"][0, 1:]

    def answers(self, final: State) -> Tensor:
        return final["logits"].argmax(-1)


class _Speech(_Subject):
    """Behind a position are two frames of the spectrum, 20 ms, as long as something is said.

    Answers are the tokens that Whisper writes next if it has written what it writes for the whole speech.
    """

    def __init__(self, config: Config, seed: int) -> None:
        voice, encoder, decoder = SpeechSynthesis(), SpeechEncoder(), SpeechDecoder()
        spoken = [*map(voice.say, SENTENCES), *spoken_words(voice, TRAINED_SPEEDS[:1], seed)[0]]
        asked = [voice.say(question) for question, _ in QUESTIONS]
        given = [[_heard(torch.from_numpy(each), encoder, decoder) for each in part] for part in (spoken, asked)]
        cuts = SpeechCuts(whisper(), lambda mel: mel)
        super().__init__(config, seed, cuts, *given)
        self.last_cut = cuts.stages.index("embedding")

    def behind(self, given: State) -> Tensor:
        frames_FM = given["speech"][0].T
        return frames_FM[: 2 * self._positions(given)].reshape(-1, 2 * frames_FM.shape[1])

    def seen(self, given: State, crossing: State) -> Tensor:
        return crossing["states"][0, : self._positions(given)]

    def answers(self, final: State) -> Tensor:
        return final["logits"][0, 1:].argmax(-1)

    def _positions(self, given: State) -> int:
        """Return how many states there are until only silence follows."""
        mel_MF = given["speech"][0]
        said = (mel_MF != mel_MF[:, -1:]).any(0).nonzero()
        return int(said[-1]) // 2 + 1


def _heard(speech: Tensor, encoder: SpeechEncoder, decoder: SpeechDecoder) -> State:
    """Return Whisper's input, with the tokens that it writes."""
    mel_BMF = encoder.spectrum(speech)
    written = [int(given["token"]) for given in decoder.generate(encoder.forward({"speech": speech}))]
    return {"speech": mel_BMF, "ids": torch.tensor([[START, NO_TIMESTAMPS, *written]])}


_SUBJECTS: dict[Subject, Callable[[Config, int], _Subject]] = {
    "minilm": _Comments, "smollm2-135m": _NextTokens, "dinov2-small": _Digits, "whisper-tiny.en": _Speech,
}  # fmt: skip
