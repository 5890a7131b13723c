# SPDX-License-Identifier: GPL-2.0-only
"""A transformer cut into three parts: embedding module (device) -> encoder with LoRA (server) -> task head (device).

    ids or patches --embedding--> tokens --[up]--> encoder + LoRA --[down]--> representation --head--> logits

The cut is at `inputs_embeds`, which every transformers encoder and decoder-only model has, so positions (and whatever
else the model adds to its token embeddings) stay on the server. The setting `cut` decides where the representation is
pooled: "tokens" sends every token's representation down and pools on the device; "pooled" pools on the server, which
divides the size of this message and of its Jacobian by the sequence length. Both compute the same function.

Shape suffixes: B batch, L padded length, D width of the embeddings, H width of the hidden states,
F features of a continuous token, C classes.
"""

import copy
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.models.backbone import Backbone
from edgelam.models.entry import AbsentTable
from edgelam.models.lora import LoraSettings
from edgelam.models.padding import last_pool, mean_pool
from edgelam.models.tuning import Tuning, trained_weights
from edgelam.random_streams import torch_generator

Cut = Literal["tokens", "pooled"]
Pooling = Literal["auto", "mean", "last"]

MEAN_BATCHES = 10  # the head's running mean is over about this many batches


class Encoder(nn.Module):
    """The server's part: the backbone without token embedding, frozen, with LoRA adapters as trainable weights.

    `lora` has the trainable weights by name, also with another `tuning` (edgelam/models/tuning.py).
    """

    def __init__(
        self, backbone: Backbone, lora: LoraSettings, *, cut: Cut = "pooled", pooling: Pooling = "auto", seed: int = 0,
        tuning: Tuning = "lora",
    ) -> None:  # fmt: skip
        """Copy the backbone, remove its token embeddings, and put in adapters drawn from `seed`."""
        super().__init__()
        model = copy.deepcopy(backbone.model)
        model.set_input_embeddings(AbsentTable(backbone.token_table))  # the table stays on the devices
        self.lora = trained_weights(model, tuning, lora, seed=seed)
        self.model = model.eval()
        self.cut = cut
        self.pool = Pool(backbone, pooling)
        self.entry = backbone.entry

    def hidden(self, x_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        """Embeddings [B, L, D] and mask [B, L] bool -> hidden states of the last layer [B, L, H].

        Padding may be on either side if the model takes position numbers (`Entry`), otherwise only on the right.
        """
        return self.entry.hidden(self.model, x_BLD, mask_BL)

    def forward(self, x_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        """Return the representation: [B, L, H] with cut "tokens", [B, H] with cut "pooled"."""
        hidden_BLH = self.hidden(x_BLD, mask_BL)
        return hidden_BLH if self.cut == "tokens" else self.pool(hidden_BLH, mask_BL)

    def twin(self) -> "Encoder":
        """A copy with its own adapters that shares the frozen weights, for many virtual devices with one backbone."""
        shared = [p for p in (*self.parameters(), *self.buffers()) if not p.requires_grad]
        return copy.deepcopy(self, {id(tensor): tensor for tensor in shared})

    def base(self) -> dict[str, Tensor]:
        """Return the frozen weights by name, which a device must download (without adapters and token embeddings)."""
        stand_in = self.model.get_input_embeddings().weight
        named = sorted(self.model.named_parameters())
        return {name: p for name, p in named if name not in self.lora and p is not stand_in}

    def load_base(self, weights: dict[str, Tensor]) -> None:
        """Overwrite the frozen weights."""
        own = self.base()
        with torch.no_grad():
            for name, weight in weights.items():
                own[name].copy_(weight)

    def load_lora(self, weights: dict[str, Tensor]) -> None:
        """Overwrite the adapters."""
        with torch.no_grad():
            for name, weight in weights.items():
                self.lora[name].copy_(weight)

    def train(self, mode: bool = True) -> "Encoder":
        """Set the mode for the adapters' dropout only: the frozen backbone always runs without its own dropout."""
        super().train(mode)
        self.model.eval()
        for name, module in self.model.named_modules():
            if "lora_dropout" in name:
                module.train(mode)
        return self


class Pool(nn.Module):
    """Pool hidden states [B, L, H] with mask [B, L] to one vector per sample [B, H]: the mean, or the last token."""

    def __init__(self, backbone: Backbone, pooling: Pooling) -> None:
        """pooling: "mean", "last", or "auto": last for a causal backbone, else mean."""
        super().__init__()
        self.kind = ("last" if backbone.causal else "mean") if pooling == "auto" else pooling

    def forward(self, hidden_BLH: Tensor, mask_BL: Tensor) -> Tensor:
        """[B, L, H], [B, L] bool -> [B, H]."""
        return last_pool(hidden_BLH, mask_BL) if self.kind == "last" else mean_pool(hidden_BLH, mask_BL)


class TokenEmbedding(nn.Module):
    """The device's part for text: the backbone's own token embeddings, looked up (ids [B, L] int64 -> [B, L, D])."""

    def __init__(self, backbone: Backbone) -> None:
        """Copy the backbone's table."""
        super().__init__()
        self.table = copy.deepcopy(backbone.model.get_input_embeddings())

    def forward(self, ids_BL: Tensor) -> Tensor:
        """[B, L] int64 -> [B, L, D]."""
        return self.table(ids_BL)


class PatchEmbedding(nn.Module):
    """The device's part for continuous tokens: a linear map to the backbone's width ([B, L, F] -> [B, L, D]).

    Its weights are drawn from `seed` and scaled so that an embedding has the average size of the backbone's own.
    """

    def __init__(self, backbone: Backbone, num_features: int, *, seed: int = 0) -> None:
        """num_features: F."""
        super().__init__()
        table = backbone.token_table.detach()
        with torch.no_grad():  # as the backbone embeds them: some backbones multiply the values of the table
            own = backbone.model.get_input_embeddings()(torch.arange(len(table)))
        generator = torch_generator(seed)
        self.linear = nn.Linear(num_features, backbone.width, dtype=table.dtype)
        scale = float(own.float().std()) / num_features**0.5
        with torch.no_grad():
            self.linear.weight.copy_(torch.randn(self.linear.weight.shape, generator=generator) * scale)
            self.linear.bias.copy_(torch.randn(self.linear.bias.shape, generator=generator) * scale)

    def forward(self, x_BLF: Tensor) -> Tensor:
        """[B, L, F] real -> [B, L, D]."""
        return self.linear(x_BLF.to(self.linear.weight.dtype))


class Head(nn.Module):
    """The device's task module: pool if the server has not, centre, layer norm without weights, then a linear layer.

    Centring subtracts the mean representation, which all samples share and which says nothing about them. If it is
    large (with random weights, or with a few huge features, as in decoder-only models), the layer norm alone would
    leave little else, and no learning rate would work well. The mean is a running mean over the training batches, and
    no gradient passes through it; it is averaged with the weights. The linear layer starts at zero, so every class is
    equally likely at first, whatever the backbone.
    """

    batches: Tensor
    centre: Tensor

    def __init__(self, backbone: Backbone, num_classes: int, *, cut: Cut = "pooled", pooling: Pooling = "auto") -> None:
        """num_classes: C; cut and pooling: as for its encoder."""
        super().__init__()
        dtype = backbone.token_table.dtype
        self.cut = cut
        self.pool = Pool(backbone, pooling)
        self.register_buffer("batches", torch.zeros((), dtype=dtype))  # seen; real, since heads are averaged
        self.register_buffer("centre", torch.zeros(backbone.hidden_width, dtype=dtype))
        self.norm = nn.LayerNorm(backbone.hidden_width, elementwise_affine=False)
        self.linear = nn.Linear(backbone.hidden_width, num_classes, dtype=dtype)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    tied_bytes = 0
    """Of weights that another part on the same machine holds already."""

    @property
    def width(self) -> int:
        """Values of a token, or sample, that it gets, H."""
        return self.linear.in_features

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return self.linear.weight.dtype

    def loss(self, logits: Tensor, labels_B: Tensor, inputs_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Return the mean cross-entropy (nats) of logits [B, C]."""
        return F.cross_entropy(logits, labels_B)

    def forward(self, representation: Tensor, mask_BL: Tensor) -> Tensor:
        """Representation ([B, L, H] or [B, H]) and mask [B, L] bool -> logits [B, C]. Moves the mean in training."""
        pooled_BH = self.pool(representation, mask_BL) if self.cut == "tokens" else representation
        if self.training:
            self._follow(pooled_BH.detach())
        return self.classify(pooled_BH)

    def classify(self, pooled_BH: Tensor) -> Tensor:
        """Turn pooled representations [B, H] into logits [B, C], whatever the cut."""
        return self.linear(self.norm(pooled_BH - self.centre))

    @torch.no_grad()
    def _follow(self, pooled_BH: Tensor) -> None:
        """Follow the mean of the first batches, then an exponential mean, because the adapters move the representation.

        Buffers are replaced, not overwritten: an earlier forward pass may still need their values.
        """
        self.batches = (self.batches + 1).clamp(max=MEAN_BATCHES)
        self.centre = self.centre + (pooled_BH.mean(dim=0) - self.centre) / self.batches


class LanguageHead(nn.Module):
    """The device's task module for the next token: the backbone's own token table, tied, and a bias that is trained.

    The table is that of the token embedding, which the device holds, and is frozen like it; only the bias is trained
    and, if heads are averaged, sent. Gets the hidden states of all tokens, after the backbone's last norm.
    """

    table: Tensor

    def __init__(self, backbone: Backbone) -> None:
        """Raises ConfigurationError for a backbone that sees what comes next, or whose output table is another one."""
        super().__init__()
        if not backbone.causal:
            raise ConfigurationError(
                f"objective next-token with backbone {backbone.name!r}, whose tokens see those after them; legal are "
                "decoder-only backbones, such as smollm2-135m"
            )
        if not getattr(backbone.model.config, "tie_word_embeddings", False) or backbone.hidden_width != backbone.width:
            raise ConfigurationError(
                f"objective next-token with backbone {backbone.name!r}, whose output table is not that of its tokens, "
                "and which AutoModel does not load; legal are backbones with tied tables, such as smollm2-135m"
            )
        self.register_buffer("table", backbone.token_table.detach(), persistent=False)
        self.bias = nn.Parameter(backbone.token_table.new_zeros(len(backbone.token_table)))

    @property
    def tied_bytes(self) -> int:
        """Of the table, which the embedding module holds already."""
        return self.table.numel() * self.table.element_size()

    @property
    def width(self) -> int:
        """Values of a token that it gets, H."""
        return int(self.table.shape[1])

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return self.bias.dtype

    def forward(self, hidden_BLH: Tensor, mask_BL: Tensor) -> Tensor:
        """[B, L, H] -> logits [B, L, V], of the token after each."""
        return F.linear(hidden_BLH, self.table, self.bias)

    def loss(self, logits: Tensor, labels_B: Tensor, inputs_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Return the mean cross-entropy (nats) over all tokens that have one before them; 0 if there is none."""
        seen = mask_BL[:, 1:] & mask_BL[:, :-1]
        if not bool(seen.any()):
            return (logits * 0.0).sum()
        return F.cross_entropy(logits[:, :-1][seen], inputs_BL[:, 1:][seen])


class Unsplit(nn.Module):
    """The same three parts in one model: the split model must equal it, and un-split methods train it."""

    def __init__(self, embedding: nn.Module, encoder: Encoder, head: Head | LanguageHead) -> None:
        """Put parts together; they are shared, not copied."""
        super().__init__()
        self.embedding = embedding
        self.encoder = encoder
        self.head = head

    def forward(self, inputs: Tensor, mask_BL: Tensor) -> Tensor:
        """Token ids [B, L] or continuous tokens [B, L, F], and mask [B, L] bool -> logits, as the head gives them."""
        return self.head(self.encoder(self.embedding(inputs), mask_BL), mask_BL)


def no_tokenizer(backbone: Backbone) -> str:
    """Return the error text for a text task with a backbone that has no tokeniser."""
    return f"backbone {backbone.name!r} has no tokeniser ({backbone.no_tokenizer}); a text task needs one"


def embedding_module(backbone: Backbone, num_features: int | None, *, trainable: bool, seed: int = 0) -> nn.Module:
    """Return the embedding module for text (num_features None) or for continuous tokens with `num_features` each."""
    module: nn.Module
    if num_features is None:
        if backbone.tokenizer is None:
            raise ConfigurationError(no_tokenizer(backbone))
        if len(backbone.tokenizer) > len(backbone.token_table):
            raise ConfigurationError(
                f"the tokeniser of backbone {backbone.name!r} has {len(backbone.tokenizer)} tokens but the model "
                f"embeds only {len(backbone.token_table)}: they do not belong together"
            )
        module = TokenEmbedding(backbone)
    else:
        module = PatchEmbedding(backbone, num_features, seed=seed)
    for parameter in module.parameters():
        parameter.requires_grad_(trainable)
    return module
