# SPDX-License-Identifier: GPL-2.0-only
"""Time series of sensors to tokens, and a small transformer that reads them.

Each series is normalised by itself, channel by channel (T. Kim et al., ICLR 2022), and cut into patches that overlap;
each patch, all channels together, becomes a token by a linear map (Y. Nie et al., arXiv 2211.14730). Normalisation
removes the level and the size of a movement, which say much about an activity, so one more token in front tells them.

Shape suffixes: B batch, T time steps, C channels, N patches, P time steps of a patch, D width of a token.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgelam.data.series import normalise, patches
from edgelam.modalities.module import Module, taken, text_to_bytes

CHANNELS, PATCH, STRIDE, WIDTH = 6, 10, 5, 64
"""Of the tokeniser that is trained here: accelerometer and gyroscope; a patch is 1 s at 10 samples per second."""


class PatchTokenizer(nn.Module):
    """Series [B, T, C] float32 -> tokens [B, 1 + N, D] float32, N = ceil(max(T - P, 0) / stride) + 1.

    The last value is repeated if the patches do not fit into T. Tokens have sinusoidal positions, so T may be any.
    """

    def __init__(
        self, channels: int = CHANNELS, *, patch: int = PATCH, stride: int = STRIDE, width: int = WIDTH
    ) -> None:
        """channels: C; patch: P; width: D, even."""
        super().__init__()
        self.channels, self.patch, self.stride = channels, patch, stride
        self.embed = nn.Linear(patch * channels, width)
        self.embed_level = nn.Linear(2 * channels, width)

    def forward(self, series_BTC: Tensor) -> Tensor:
        """See the class."""
        normal_BTC, level_BE = normalise(series_BTC)
        patches_BNF = patches(normal_BTC, self.patch, self.stride)
        tokens_BND = torch.cat([self.embed_level(level_BE)[:, None], self.embed(patches_BNF)], dim=1)
        return tokens_BND + sinusoids(tokens_BND.shape[1], tokens_BND.shape[2])


def sinusoids(length: int, width: int) -> Tensor:
    """Return position embeddings [length, width] (A. Vaswani et al., arXiv 1706.03762, section 3.5)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-torch.log(torch.tensor(10_000.0)) / width))
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


class SensorEncoder(nn.Module):
    """Tokens [B, L, D] -> features [B, D]: a transformer of two layers, and the mean over its tokens."""

    def __init__(self, width: int = WIDTH) -> None:
        """width: D, a multiple of 4."""
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens_BLD: Tensor) -> Tensor:
        """See the class."""
        return self.norm(self.layers(tokens_BLD)).mean(dim=1)


class SensorModel(nn.Module):
    """Tokeniser, encoder and classifier, which are trained together: series [B, T, C] -> logits [B, classes]."""

    def __init__(self, classes: int) -> None:
        """classes: number of activities."""
        super().__init__()
        self.tokenizer, self.encoder, self.classifier = PatchTokenizer(), SensorEncoder(), nn.Linear(WIDTH, classes)

    def features(self, series_BTC: Tensor) -> Tensor:
        """Series [B, T, C] -> features [B, D]."""
        features: Tensor = self.encoder(self.tokenizer(series_BTC))
        return features

    def forward(self, series_BTC: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.classifier(self.features(series_BTC))
        return logits


class SensorTokenizerModule(Module):
    """``series`` float32 [time steps, 6] -> ``sensor_patches`` float32 [1 + patches, 64]."""

    takes = ("series",)
    gives = ("sensor_patches",)

    def __init__(self, network: PatchTokenizer) -> None:
        """network: the tokeniser."""
        self.name, self.network = "sensor-tokenizer", network.eval()

    @torch.no_grad()
    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the class."""
        series = taken(self, inputs, "series", torch.float32, None, self.network.channels)  # type: ignore[arg-type]
        return {"sensor_patches": self.network(series[None])[0]}


class SensorEncoderModule(Module):
    """``sensor_patches`` float32 [tokens, 64] -> ``sensor_features`` float32 [64]."""

    takes = ("sensor_patches",)
    gives = ("sensor_features",)

    def __init__(self, network: SensorEncoder) -> None:
        """network: the encoder."""
        self.name, self.network = "sensor-encoder", network.eval()

    @torch.no_grad()
    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the class."""
        tokens = taken(self, inputs, "sensor_patches", torch.float32, None, WIDTH)
        return {"sensor_features": self.network(tokens[None])[0]}


class ActivityModule(Module):
    """``sensor_features`` float32 [64] -> ``activity``, the most probable one's name as UTF-8 bytes."""

    takes = ("sensor_features",)
    gives = ("activity",)

    def __init__(self, network: nn.Linear, names: tuple[str, ...]) -> None:
        """names: of the activities, in the order of the logits."""
        self.name, self.network, self.names = "activity-classifier", network.eval(), names

    @property
    def settings(self) -> str:
        """The names."""
        return f"{type(self).__qualname__} {self.names}"

    @torch.no_grad()
    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the class."""
        features = taken(self, inputs, "sensor_features", torch.float32, WIDTH)
        logits = F.linear(features, self.network.weight, self.network.bias)  # type: ignore[arg-type]
        return {"activity": text_to_bytes(self.names[int(logits.argmax())])}
