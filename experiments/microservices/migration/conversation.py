# SPDX-License-Identifier: GPL-2.0-only
"""What users say, and the language model that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgelam.inference import Service
from edgelam.random_streams import derive_seed, from_numbers, torch_seeded

from .settings import MigrationSettings

if TYPE_CHECKING:
    from torch import Tensor

SAID = (
    "What should I watch for on a motorway at night?", "How far is the horizon?",
    "Why does the road look wet in summer?", "Tell me about the town ahead.",
    "What is a good song for a long drive?", "How do I stay awake?", "When do wolves howl?",
    "What does a blue road sign mean?", "How fast is sound?", "Why is the sky red now?",
    "Name three birds that live near rivers.", "What is the next exit for?",
)  # fmt: skip
BYTES_OF_32 = 20
"""SmolLM2 is published in blocks of 32 weights of 4 bits with a scale and an offset (Q4_1): that is what crosses the
network; a server writes them to memory as float32, from which the tensors are bit-equal."""


class Conversations:
    """The service of the sessions, and the inputs of each turn."""

    def __init__(self, settings: MigrationSettings) -> None:
        """Load the model. Raises ConfigurationError, which names the command that fetches it, if it is not there."""
        from edgelam.modalities.session import SessionTurn

        self.settings = settings
        if settings.model == "smollm2-135m":
            from edgelam.modalities.language import LanguageModel, tokenizer

            network: Any = LanguageModel().network
            count = sum(parameter.numel() for parameter in network.parameters())
            module = SessionTurn(settings.model, network, file_bytes=-(-count // 32) * BYTES_OF_32)
            read = tokenizer()
            self._said = [read(f"{text}\n")["input_ids"] for text in SAID]
        else:
            module = SessionTurn(settings.model, _random_small())
            rng = from_numbers(derive_seed(1, "what users say to random-small"))
            self._said = [rng.integers(_VOCABULARY, size=12).tolist() for _ in SAID]
        self._empty = module.empty_state()
        self.service = Service("language", module, encoding="exact", max_batch=8)

    def empty(self) -> dict[str, Tensor]:
        """Return the state of a session that begins."""
        return dict(self._empty)

    def inputs(self, user: int, turn: int) -> dict[str, Tensor]:
        """Return what a user brings to a turn, both from 0: sessions of users begin at different places of `SAID`."""
        import torch

        session, place = divmod(turn, self.settings.session_turns)
        ids = self._said[(5 * user + 7 * session + place) % len(self._said)]
        return {"ids": torch.tensor(ids), "most_tokens": torch.tensor([self.settings.answer_tokens])}


_VOCABULARY = 2000


def _random_small() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=_VOCABULARY, hidden_size=192, intermediate_size=512, num_hidden_layers=6, num_attention_heads=6,
        num_key_value_heads=3, max_position_embeddings=2048, tie_word_embeddings=True, initializer_range=0.1,
    )  # fmt: skip
    with torch_seeded(derive_seed(1, "weights of random-small") % 2**63):
        model = LlamaForCausalLM(config).float().eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model
