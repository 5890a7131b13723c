# SPDX-License-Identifier: GPL-2.0-only
"""Beamforming by a large AI model on a graph: message passing, tokens, a frozen transformer with adapters, outputs.

    users' graph --GNN--> [B, K, width] --linear--> tokens --frozen backbone, LoRA--> --linear--> + --linear--> l, p
      |  ^                    +-----------------------------------------------------------------+            |
      |  +--------------- what the precoder of l and p does, for each look but the last ---------------------+

A token is a user. All tokens have the same position and see each other, whatever mask the backbone was trained with:
so the order of the users does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from edgelam.air.beamforming.learned.gnn import PreEncoder, output
from edgelam.air.beamforming.learned.policy import Policy
from edgelam.air.beamforming.learned.settings import PolicySettings
from edgelam.errors import ConfigurationError
from edgelam.models.first_layers import first_layers
from edgelam.models.lora import inject_lora
from edgelam.random_streams import torch_seeded

if TYPE_CHECKING:
    from edgelam.models import Backbone


class GraphLam(Policy):
    """GNN, a frozen backbone with adapters, and a linear layer for each user."""

    def __init__(
        self, backbone: Backbone | None, settings: PolicySettings, *, full: bool = False, seed: int = 0
    ) -> None:
        """backbone: its first layers are copied; None: nothing stands in its place. seed: of all that is trained.

        full: all weights of these layers are trained, instead of adapters.

        Raises ConfigurationError for a backbone that cannot be given positions, since the order of users would count.
        """
        super().__init__()
        self.looks = settings.looks
        with torch_seeded(seed):
            self.encoder = PreEncoder(settings.width, settings.depth)
            self.last = output(settings.width)
        self.backbone: nn.Module | None = None
        if backbone is not None:
            if not backbone.entry.explicit_positions:
                raise ConfigurationError(
                    f"backbone {backbone.name!r} counts positions itself; a graph of users needs one whose tokens can "
                    "all have the same position (argument position_ids)"
                )
            self._position, self._takes_cache = backbone.entry.first_position, backbone.entry.takes_cache
            model = first_layers(backbone, settings.layers)
            model.set_input_embeddings(nn.Embedding.from_pretrained(torch.zeros(1, 1)))  # tokens are no words
            if full:
                for module in model.modules():
                    for parameter in module.parameters(recurse=False):
                        parameter.requires_grad_(not isinstance(module, nn.Embedding))
            else:
                inject_lora(model, settings.lora, seed=seed)
            self.backbone = model.eval()
            with torch_seeded(seed):
                self.to_tokens = nn.Linear(settings.width, backbone.width)
                self.from_tokens = nn.Linear(backbone.hidden_width, settings.width)

    def change(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """Return by how much the logits of l and p change, [B, K, 2]."""
        x = self.encoder(nodes, edges)
        if self.backbone is not None:
            x = x + self.from_tokens(self._hidden(self.to_tokens(x)))
        changed: Tensor = self.last(x)
        return changed

    def _hidden(self, tokens: Tensor) -> Tensor:
        assert self.backbone is not None
        samples, users, _ = tokens.shape
        arguments: dict[str, object] = {
            "inputs_embeds": tokens,
            "position_ids": torch.full((samples, users), self._position, device=tokens.device),
            "attention_mask": tokens.new_zeros(samples, 1, users, users),  # added to the scores: nothing is hidden
        }
        if self._takes_cache:
            arguments["use_cache"] = False
        hidden: Tensor = self.backbone(**arguments).last_hidden_state
        return hidden

    def train(self, mode: bool = True) -> GraphLam:
        """Set the mode; in the backbone, only the adapters' dropout follows it."""
        super().train(mode)
        if self.backbone is not None:
            for name, module in self.backbone.named_modules():
                module.training = mode and "lora_dropout" in name
        return self
