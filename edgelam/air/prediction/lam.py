# SPDX-License-Identifier: GPL-2.0-only
"""Channel prediction by a large AI model: LLM4CP's (arXiv 2406.14440) way from CSI to tokens and back.

    past --> frequency branch --+
      |                         +--> tokens --> frozen pre-trained backbone --> linear along time --> linear --> future
      +----> delay branch ------+               (LoRA, LayerNorm, positions trained)

A branch: linear map within patches of time, a convolution from (re, im) to `channels`, residual blocks with channel
attention, a convolution back. The delay branch sees the inverse Fourier transform over tones. Their sum goes through a
convolution along time (kernel 3) to the backbone's width, with sinusoidal positions.

Differences from LLM4CP: the backbone's attention and feed-forward layers get LoRA adapters (the federated case study
exchanges them; LLM4CP trains none); each sample is normalised by its own past, not by its batch, so that a prediction
does not depend on its neighbours; the output is added to the last known snapshot (TDD).

Settings (`LamSettings`) replace the branches by an autoregressive pre-encoder, show it one of the two views only, or
train all weights of the backbone's layers instead of adapters. `continued.py` adds the output to Prony's prediction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from edgelam.air.prediction.predictor import SequencePredictor, to_complex, to_real
from edgelam.air.prediction.settings import LamSettings, WindowSettings
from edgelam.air.prediction.transformer import sinusoids
from edgelam.errors import ConfigurationError
from edgelam.models.first_layers import first_layers
from edgelam.models.lora import inject_lora
from edgelam.random_streams import torch_seeded

if TYPE_CHECKING:
    from edgelam.models import Backbone


class Lam(SequencePredictor):
    """CSI pre-encoder, frozen backbone with adapters, heads."""

    def __init__(
        self, window: WindowSettings, backbone: Backbone, settings: LamSettings, *, seed: int = 0, full: bool = False
    ) -> None:
        """Copy the first layers of `backbone`, put adapters into them, and draw everything else from `seed`.

        full: train all weights of these layers instead of adapters.
        """
        super().__init__()
        self.residual = window.duplex == "tdd" and settings.residual == "hold-last"
        self.views = settings.views
        model = first_layers(backbone, settings.layers)
        # tokens do not come from its vocabulary
        model.set_input_embeddings(nn.Embedding.from_pretrained(torch.zeros(1, 1)))
        if full:
            model.requires_grad_(True)
            model.get_input_embeddings().requires_grad_(False)
        else:
            inject_lora(model, settings.lora, seed=seed)
        if settings.train_norms:
            for name, module in model.named_modules():
                if type(module).__name__.endswith("Norm") or name.endswith(("position_embeddings", "wpe")):
                    module.requires_grad_(True)
        features = 2 * window.tones
        with torch_seeded(seed):
            if settings.pre_encoder == "branches":
                self.frequency = Branch(window.history, settings) if settings.views != "delay" else None
                self.delay = Branch(window.history, settings) if settings.views != "frequency" else None
                self.embed: nn.Module = nn.Conv1d(features, backbone.width, 3, padding=1)
            else:
                self.frequency = self.delay = None
                seen = 2 * features if settings.views == "both" else features
                self.embed = CausalEncoder(seen, settings.causal_width, backbone.width)
            self.along_time = nn.Linear(window.history, window.horizon)
            self.project = nn.Linear(backbone.hidden_width, features)
        self.backbone = model
        self.register_buffer("places", sinusoids(window.history, backbone.width), persistent=False)

    def predict(self, x: Tensor) -> Tensor:
        """[sequence, history, 2 tones] -> [sequence, horizon, 2 tones]."""
        places: Tensor = self.places  # type: ignore[assignment]
        hidden = self.backbone(inputs_embeds=self._tokens(x) + places).last_hidden_state
        future = self.project(self.along_time(hidden.transpose(1, 2)).transpose(1, 2))
        if self.views == "delay":
            future = to_real(torch.fft.fft(to_complex(future), dim=-1, norm="ortho"))
        return x[:, -1:] + future if self.residual else future

    def _tokens(self, x: Tensor) -> Tensor:
        """[sequence, history, 2 tones] -> [sequence, history, width]."""
        delays = to_real(torch.fft.ifft(to_complex(x), dim=-1, norm="ortho"))
        if isinstance(self.embed, CausalEncoder):
            seen = {"both": (x, delays), "frequency": (x,), "delay": (delays,)}[self.views]
            encoded: Tensor = self.embed(torch.cat(seen, dim=-1))
            return encoded
        views = [branch(view) for branch, view in ((self.frequency, x), (self.delay, delays)) if branch is not None]
        mixed = views[0] + views[1] if len(views) > 1 else views[0]
        embedded: Tensor = self.embed(mixed.transpose(1, 2)).transpose(1, 2)
        return embedded

    def train(self, mode: bool = True) -> Lam:
        """Set the mode; in the backbone, only the adapters' dropout follows it: frozen layers run without dropout."""
        super().train(mode)
        for name, module in self.backbone.named_modules():
            module.training = mode and "lora_dropout" in name
        return self


class Branch(nn.Module):
    """One view of the past; its output has the shape of its input, [sequence, history, 2 tones]."""

    def __init__(self, history: int, settings: LamSettings) -> None:
        """history: a multiple of settings.patch."""
        super().__init__()
        if history % settings.patch:
            raise ConfigurationError(f"patch {settings.patch}; legal are divisors of the {history} snapshots seen")
        self.patch = settings.patch
        self.within_patch = nn.Linear(settings.patch, settings.patch)
        self.widen = nn.Conv2d(2, settings.channels, 3, padding=1)
        self.blocks = nn.Sequential(*(AttentiveBlock(settings.channels) for _ in range(settings.blocks)))
        self.narrow = nn.Conv2d(settings.channels, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the patches, the convolutions over (time, tone), and the residual."""
        patches = x.transpose(1, 2).unflatten(-1, (-1, self.patch))
        x = self.within_patch(patches).flatten(-2).transpose(1, 2)
        image = x.unflatten(-1, (2, -1)).movedim(2, 1)  # [sequence, re/im, time, tone]
        image = image + self.narrow(self.blocks(self.widen(image)))
        return image.movedim(1, 2).flatten(2)


class CausalEncoder(nn.Module):
    """Autoregressive pre-encoder: a token is made of the state of a recurrent network that has read the past so far.

    The seed paper asks for one and gives no detail; this is the simplest one.
    """

    def __init__(self, features: int, hidden: int, width: int) -> None:
        """features: of a snapshot; hidden: units of the state; width: of a token."""
        super().__init__()
        self.read = nn.GRU(features, hidden, batch_first=True)
        self.widen = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """[sequence, history, features] -> [sequence, history, width]."""
        states, _ = self.read(x)
        tokens: Tensor = self.widen(states)
        return tokens


class AttentiveBlock(nn.Module):
    """Residual block whose channels are weighted by their means (squeeze and excitation, arXiv 1709.01507)."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        """channels: of the image; reduction: of the attention's hidden layer."""
        super().__init__()
        hidden = max(1, channels // reduction)
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.attention = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, image: Tensor) -> Tensor:
        """[sequence, channel, time, tone] -> the same."""
        change = self.convolutions(image)
        return image + change * self.attention(change.mean((2, 3)))[:, :, None, None]
