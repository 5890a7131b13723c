# SPDX-License-Identifier: GPL-2.0-only
"""The backbone: SmolLM2-135M-Instruct (L. Ben Allal et al., arXiv 2502.02737), and the prompts that all tasks give it.

A prompt is a sequence of token ids in which `SOFT` stands for a soft token: a vector that an input projector has made
from an image or from speech. All tasks give the backbone prompts of this one form, so they can share its instances.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.files.digests import digest_of
from edgelam.modalities import pretrained
from edgelam.modalities.module import Module, bytes_to_text, result_of, taken, text_to_bytes
from edgelam.modalities.session import Session, cache_bytes
from edgelam.models.fetch import model_folder
from edgelam.models.offline import offline_and_quiet

NAME = "smollm2-135m"
WIDTH = 576
SOFT = -1
"""Stands in a prompt's ids for a soft token."""
MOST_PROMPT = 1024
"""Most tokens of a prompt."""
MOST_ANSWER = 256
"""Most tokens that may be asked for."""
_PART = re.compile(r"\{(\w+)\}")


class LanguageModel(Module):
    """Continues a prompt greedily, up to the end of a line.

    ``ids`` int64 [tokens], ``soft`` float32 [soft tokens or 0, 576], ``most_tokens`` int64 [1] (0: write nothing) ->
    ``answer``, UTF-8 bytes, at least one (a space), and ``state`` float32 [576], the last hidden state of the prompt.
    `generate` yields each ``token``, int64 [1]. `cache_bytes` says what the keys and values of a session take.
    """

    takes = ("ids", "soft", "most_tokens")
    gives = ("answer", "state")

    def __init__(self, *, random_seed: int | None = None) -> None:
        """Load SmolLM2. random_seed: with random weights instead, as a control."""
        from transformers import LlamaForCausalLM

        self.name = NAME
        self.network = pretrained.load(NAME, LlamaForCausalLM, random_seed=random_seed)
        self._tokenizer = tokenizer()
        pieces = self._tokenizer.convert_ids_to_tokens(range(len(self._tokenizer)))
        self._lines = {i for i, piece in enumerate(pieces) if "\u010a" in piece}  # how byte-level BPE writes a newline
        self._special = set(self._tokenizer.all_special_ids)

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the class."""
        return result_of(self.generate(inputs))

    @torch.no_grad()
    def generate(self, inputs: dict[str, Tensor]) -> Generator[dict[str, Tensor], None, dict[str, Tensor]]:
        """Yield each token; return the outputs."""
        most = int(taken(self, inputs, "most_tokens", torch.int64, 1)[0])
        if not 0 <= most <= MOST_ANSWER:
            raise ConfigurationError(f"module {self.name!r}: 'most_tokens' is {most}; legal is 0 to {MOST_ANSWER}")
        session = Session(self.network)
        session.read(self.embed(inputs))
        state = session.hidden
        written: list[int] = []
        for _ in range(most):
            token = session.next()
            if token in self._special or (written and token in self._lines):
                break
            if token not in self._lines:  # an answer does not begin with an empty line
                written.append(token)
                yield {"token": torch.tensor([token])}
            if len(written) < most:
                session.write(token)
        text = self._tokenizer.decode(written, skip_special_tokens=True).strip()
        return {"answer": text_to_bytes(text or " "), "state": state}

    def embed(self, inputs: dict[str, Tensor]) -> Tensor:
        """Turn a prompt into embeddings [tokens, 576]: of the table where ids are, soft tokens where `SOFT` is."""
        ids = taken(self, inputs, "ids", torch.int64, None)
        soft = inputs.get("soft", torch.zeros(0, WIDTH))
        places = ids == SOFT
        if soft.dtype != torch.float32 or soft.dim() != 2 or soft.shape[1] != WIDTH or len(soft) != int(places.sum()):
            raise ConfigurationError(
                f"module {self.name!r}: 'soft' is {soft.dtype} {list(soft.shape)}; legal is torch.float32 "
                f"[{int(places.sum())}, {WIDTH}], one for each {SOFT} in 'ids'"
            )
        table = self.network.get_input_embeddings().weight  # type: ignore[operator]
        if len(ids) > MOST_PROMPT or int(ids.min()) < SOFT or int(ids.max()) >= len(table):
            raise ConfigurationError(
                f"module {self.name!r}: {len(ids)} ids from {int(ids.min())} to {int(ids.max())}; legal are at most "
                f"{MOST_PROMPT}, from {SOFT} to {len(table) - 1}"
            )
        embeddings: Tensor = table[ids.clamp(min=0)].clone()
        embeddings[places] = soft
        return embeddings

    @property
    def words(self) -> dict[str, int]:
        """The number of each token of ordinary text, with a space where byte-level BPE writes one (" seven")."""
        return {piece.replace("\u0120", " "): number for piece, number in self._tokenizer.get_vocab().items()}

    def cache_bytes(self, tokens: int) -> int:
        """Bytes of a session's keys and values after `tokens` tokens, in float32."""
        return cache_bytes(self.network, tokens)


class Prompt(Module):
    """Makes a prompt from a template, the backbone's tokeniser, and values by name.

    In a template, ``{name}`` stands for a text (UTF-8 bytes) or, if its name ends in ``_tokens``, for soft tokens
    [soft tokens, 576]; ``{name0}``, ``{name1}`` stand for one of them each. The outputs are the inputs of the backbone.
    """

    gives = ("ids", "soft", "most_tokens")

    def __init__(self, name: str, template: str, *, most_tokens: int) -> None:
        """most_tokens: of the answer."""
        self.name = name
        self.template, self.most_tokens = template, most_tokens
        found = [re.sub(r"\d+$", "", part) for part in _PART.findall(template)]
        self.takes = tuple(dict.fromkeys(found))
        self.network = nn.Module()  # no weights
        self._tokenizer = tokenizer()
        path = model_folder(NAME) / "tokenizer.json"
        self._digest, self._bytes = digest_of(path), path.stat().st_size

    @property
    def settings(self) -> str:
        """The template and the tokeniser."""
        return f"{type(self).__qualname__} {self._digest} {self.most_tokens} {self.template}"

    @property
    def weight_bytes(self) -> int:
        """Bytes of the tokeniser, which is all that it holds."""
        return self._bytes

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the class."""
        soft: list[Tensor] = []
        text = "".join(self._filled(part, inputs, soft) for part in re.split(r"(\{\w+\})", self.template))
        ids: list[int] = []
        for i, piece in enumerate(text.split("\0")):
            ids += [SOFT] * (i > 0) + self._tokenizer(piece)["input_ids"]
        if len(ids) > MOST_PROMPT:
            raise ConfigurationError(f"module {self.name!r}: a prompt of {len(ids)} tokens; legal are {MOST_PROMPT}")
        return {
            "ids": torch.tensor(ids),
            "soft": torch.stack(soft) if soft else torch.zeros(0, WIDTH),
            "most_tokens": torch.tensor([self.most_tokens]),
        }

    def _filled(self, part: str, inputs: dict[str, Tensor], soft: list[Tensor]) -> str:
        match = _PART.fullmatch(part)
        if match is None:
            return part
        name, number = re.fullmatch(r"(.*?)(\d*)", match[1]).groups()  # type: ignore[union-attr]
        if name.endswith("_tokens"):
            rows = taken(self, inputs, name, torch.float32, None, WIDTH)
            if number and int(number) >= len(rows):
                raise ConfigurationError(
                    f"module {self.name!r}: {name!r} has {len(rows)} soft tokens; the template needs number {number}"
                )
            chosen = [rows[int(number)]] if number else list(rows)
            soft += chosen
            return "\0" * len(chosen)
        return bytes_to_text(taken(self, inputs, name, torch.uint8, None)).replace("\0", " ").strip()


def tokenizer() -> Any:
    """Return the backbone's tokeniser."""
    from transformers import AutoTokenizer

    with offline_and_quiet():
        return AutoTokenizer.from_pretrained(model_folder(NAME), local_files_only=True)
