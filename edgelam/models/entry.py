# SPDX-License-Identifier: GPL-2.0-only
"""Runs a backbone on embeddings instead of token ids, and checks that this does not change its results.

Architectures differ in what they do beside attention: some number positions from 2, some read the token ids again, some
let padding change the tokens beside it. A configuration says nothing about this, so every backbone is tried when it is
loaded. Random sequences go through the whole model, each alone, and through the cut model, alone and in one padded
batch with random values in the padding; the results are compared. This takes nine forward passes of at most 9 tokens
and one backward pass: 0.05 to 0.2 s for MiniLM.

Shape suffixes: B batch, L padded length, D width of the embeddings, H width of the hidden states.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.models.padding import mask_of, positions
from edgelam.random_streams import torch_generator, torch_seeded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from edgelam.models.backbone import Backbone

TRIAL_SEED = 0  # number of tokens of a trial
LENGTHS = (4, 9)
TOLERANCE = 1e-5
"""Largest difference from the whole model's hidden states that counts as rounding, as a share of their RMS."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """How to run a model on embeddings, and what it then returns."""

    explicit_positions: bool
    """Whether position numbers are given, so that padding may be on either side; otherwise the model counts them, and
    padding must be on the right."""
    first_position: int
    takes_cache: bool
    hidden_width: int = 0
    """Width of the hidden states, H."""
    causal: bool = False
    """Whether a token's hidden state does not depend on the tokens after it, as a trial has shown."""

    def hidden(self, model: nn.Module, x_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        """Turn embeddings [B, L, D] and mask [B, L] bool into hidden states of the last layer [B, L, H]."""
        return _run(model, **self.arguments(x_BLD, mask_BL))

    def arguments(self, x_BLD: Tensor, mask_BL: Tensor) -> dict[str, object]:
        """Return the arguments with which the model's `forward` is called."""
        arguments: dict[str, object] = {"inputs_embeds": x_BLD, "attention_mask": mask_BL.long()}
        if self.explicit_positions:
            arguments["position_ids"] = positions(mask_BL) + self.first_position
        if self.takes_cache:
            arguments["use_cache"] = False
        return arguments


class AbsentTable(nn.Embedding):
    """Replaces the token table if the table is on the devices: it returns zeros for every id.

    (Longformer looks up padding of its own, which its attention then ignores.)
    """

    def __init__(self, table: Tensor) -> None:
        """table: [vocabulary, D], the one that is left out."""
        super().__init__(1, table.shape[1], _weight=table.new_zeros(1, table.shape[1]))  # draws nothing

    def forward(self, input: Tensor) -> Tensor:
        """Ids [...] -> zeros [..., D]."""
        return super().forward(torch.zeros_like(input))


def find_entry(backbone: Backbone) -> Entry:
    """Find how to run this backbone on embeddings. Raises ConfigurationError if every way changes the results."""
    what = f"backbone {backbone.name!r} ({backbone.model.config.model_type}) cannot be cut after its token embedding"
    accepted = inspect.signature(backbone.model.forward).parameters
    takes_cache = "use_cache" in accepted
    entries = [Entry(False, 0, takes_cache)]
    if "position_ids" in accepted:
        entries.insert(0, Entry(True, first_position(backbone.model), takes_cache))
    faults = []
    for entry in entries:
        try:
            with torch_seeded(None):  # BigBird draws weights, which it then replaces
                trial = _Trial(backbone.model, takes_cache=takes_cache)
                fault = trial.fault(entry)
                if fault and fault.error < 1e-2 and trial.dtype == torch.float32:  # it may be rounding: look closer
                    fault = _Trial(copy.deepcopy(backbone.model).double(), takes_cache=takes_cache).fault(entry)
                attends = trial.attends()
                causal = trial.causal()
        except ConfigurationError as error:
            raise ConfigurationError(f"{what}: {error}") from None
        except Exception as error:  # a forward pass may raise anything if it cannot do what it is asked
            reason = (str(error).strip().splitlines() or [""])[0][:160]
            raise ConfigurationError(f"{what}: {type(error).__name__}: {reason}") from None
        if fault is None and not attends:
            # transformers' MRA returns zeros if its CUDA kernels are missing
            raise ConfigurationError(f"{what}: no token's hidden state depends on another's, so it has no attention")
        if fault is None:
            return dataclasses.replace(entry, hidden_width=trial.hidden_width, causal=causal)
        faults.append(fault)
    least = min(faults, key=lambda fault: fault.error)
    raise ConfigurationError(f"{what}: {least.text}")


def first_position(model: nn.Module) -> int:
    """Return the position number of a sequence's first token: padding_idx + 1 in RoBERTa and similar models, 2 in
    Nystromformer and similar ones, 0 in most others."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding) and module.padding_idx is not None:
            return module.padding_idx + 1
    for name, buffer in model.named_buffers():
        if name.endswith("position_ids") and buffer.numel():
            return int(buffer.flatten()[0])
    return 0


@dataclasses.dataclass(frozen=True)
class _Fault:
    error: float
    """The tolerance as a share of the hidden states' RMS."""
    text: str


class _Trial:
    """Two random sequences through the whole model, with which the cut model is compared. Copies share the weights."""

    def __init__(self, model: PreTrainedModel, *, takes_cache: bool) -> None:
        self.whole, self.cut, self.takes_cache = _sharing(model), _sharing(model), takes_cache
        self.embed = self.whole.get_input_embeddings()
        if not isinstance(self.embed, nn.Embedding):
            raise ConfigurationError(f"its token embedding is not a table but {type(self.embed).__name__}")
        self.dtype = self.embed.weight.dtype
        self.cut.set_input_embeddings(AbsentTable(self.embed.weight))
        self.rows = _token_ids(model, len(self.embed.weight))
        self.hidden = [self._of_whole(row) for row in self.rows]  # [L, H] each

    @property
    def hidden_width(self) -> int:
        return int(self.hidden[0].shape[-1])

    @torch.no_grad()
    def _of_whole(self, ids: Tensor) -> Tensor:
        cache = {"use_cache": False} if self.takes_cache else {}
        return _run(self.whole, input_ids=ids[None], attention_mask=torch.ones_like(ids)[None], **cache)[0]

    def causal(self) -> bool:
        """Return whether the first tokens' hidden states are the same if other tokens follow."""
        first, rest = self.rows[1].split([LENGTHS[0], LENGTHS[1] - LENGTHS[0]])
        changed = self._of_whole(torch.cat([first, rest.flip(0)]))
        return self._error(changed[: len(first)], self.hidden[1][: len(first)]) <= TOLERANCE

    def attends(self) -> bool:
        """Return whether the last token's hidden state changes after other tokens."""
        changed = self._of_whole(torch.cat([self.rows[1][:-1].flip(0), self.rows[1][-1:]]))
        return not torch.equal(changed[-1], self.hidden[1][-1])

    @torch.enable_grad()  # the first caller may be in evaluation mode
    def fault(self, entry: Entry) -> _Fault | None:
        """Return the first thing in which the cut model differs from the whole one."""
        if not all(torch.isfinite(hidden).all() for hidden in self.hidden):
            return _Fault(float("inf"), "its own hidden states are NaN or infinite, so its weights are damaged")
        with torch.no_grad():
            embeddings = [self.embed(row).detach() for row in self.rows]
            everything = torch.ones(1, LENGTHS[1], dtype=torch.bool)
            for x_LD, own in zip(embeddings, self.hidden, strict=True):
                alone = entry.hidden(self.cut, x_LD[None], everything[:, : len(x_LD)])[0]
                if fault := self._compare(alone, own, "without padding: positions, or token ids, count otherwise"):
                    return fault
        mask_BL = mask_of(torch.tensor(LENGTHS))
        for behind in (torch.zeros_like(embeddings[1]), embeddings[1].flip(0)):
            x_BLD = torch.stack([behind, embeddings[1]])
            x_BLD[0, : LENGTHS[0]] = embeddings[0]
            # not a leaf, like everything that is unpacked: some models write into their input
            hidden_BLH = entry.hidden(self.cut, x_BLD.requires_grad_(True).clone(), mask_BL)
            hidden_BLH[mask_BL].sum().backward()  # a model that cannot be differentiated cannot be trained
            for b, own in enumerate(self.hidden):
                found = hidden_BLH[b, : LENGTHS[b]].detach()
                if fault := self._compare(found, own, "beside another one, so padding or neighbours leak into it"):
                    return fault
        return None

    def _compare(self, found: Tensor, own: Tensor, where: str) -> _Fault | None:
        if found.shape != own.shape:
            return _Fault(float("inf"), f"{tuple(found.shape)} hidden states where there should be {tuple(own.shape)}")
        error = self._error(found, own)
        if error <= TOLERANCE:
            return None
        largest = float((found - own).abs().max())
        return _Fault(
            error,
            f"hidden states of {len(own)} tokens differ by {largest:.3g} from the whole model's "
            f"(whose RMS is {float(own.square().mean().sqrt()):.3g}) {where}",
        )

    @staticmethod
    def _error(found: Tensor, own: Tensor) -> float:
        error = float((found - own).abs().max() / own.square().mean().sqrt())
        return float("inf") if math.isnan(error) else error


def _run(model: nn.Module, **arguments: object) -> Tensor:
    output = model(**arguments)
    hidden = getattr(output, "last_hidden_state", None)
    if not isinstance(hidden, Tensor):
        raise ConfigurationError(f"its output {type(output).__name__} has no last_hidden_state")
    return hidden


def _sharing(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy that shares the model's weights: if running it changes attributes, they change only in the copy."""
    shared = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in shared})


def _token_ids(model: PreTrainedModel, vocabulary: int) -> list[Tensor]:
    """Return sequences of ordinary tokens: tokens with a meaning in the configuration (padding, images) are special."""
    special = {value for key, value in _settings(model.config.to_dict()) if key.endswith(("_id", "_index", "_ids"))}
    ordinary = [token for token in range(min(vocabulary, 4096)) if token not in special] or list(range(vocabulary))
    generator = torch_generator(TRIAL_SEED)
    table = torch.tensor(ordinary)
    return [table[torch.randint(len(table), (length,), generator=generator)] for length in LENGTHS]


def _settings(config: dict[str, Any]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for key, value in config.items():
        if isinstance(value, dict):
            found += _settings(value)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, int):
                found.append((str(key), each))
    return found
