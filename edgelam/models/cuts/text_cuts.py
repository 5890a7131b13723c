# SPDX-License-Identifier: GPL-2.0-only
"""A text backbone (encoder-only or decoder-only), cut between any two of its layers.

Every cut is tried when the object is made: the layers one by one must give the hidden states of the whole model, else
the backbone is refused.

Shape suffixes: B batch, L tokens of this call, T tokens seen so far, H width of the hidden states, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from edgelam.errors import ConfigurationError
from edgelam.models.backbone import Backbone
from edgelam.models.cuts.cuttable import Cuttable, State, wanted
from edgelam.models.cuts.window import Window, find_stack
from edgelam.models.entry import TOLERANCE, TRIAL_SEED
from edgelam.models.padding import positions
from edgelam.random_streams import torch_generator

_TRIAL_TOKENS = 7


class TextMemory:
    """Keys and values of the tokens that some stages have seen, and which of them are padding."""

    def __init__(self, cache: Any) -> None:
        """cache: of transformers; None for stages without layers."""
        self.cache = cache
        self.mask: Tensor | None = None

    @property
    def tokens(self) -> int:
        """How many tokens were seen, T."""
        return 0 if self.mask is None else self.mask.shape[1]


class TextCuts(Cuttable):
    """Stages: ``embedding``, ``layer 0`` and so on, ``head``.

    The input is ``ids`` int64 [B, L], and ``mask`` bool [B, L] if some of them are padding. Between layers, ``hidden``
    float32 [B, L, H] crosses, and the mask if there is one. ``logits`` are [B, L, C].
    """

    def __init__(self, backbone: Backbone, head: nn.Module | None = None) -> None:
        """head: maps hidden states [..., H] to logits [..., C]; by default, similarity with the backbone's token table
        (a language model with tied weights). Raises ConfigurationError if the backbone cannot be cut at every layer."""
        self.backbone = backbone
        self.head = _Tied(backbone) if head is None else head
        self._layers = int(backbone.model.config.num_hidden_layers)
        try:
            self._stack = find_stack(backbone.model, self._layers)
        except ConfigurationError as error:
            raise ConfigurationError(f"backbone {backbone.name!r} cannot be cut between layers: {error}") from None
        self.stages = ("embedding", *(f"layer {i}" for i in range(self._layers)), "head")
        self._windows: dict[tuple[int, int], Window] = {}
        self._longest = backbone.max_length
        self._widths: dict[int, int] = {}  # cut -> of the hidden states that cross there
        self._try()

    def memory(self, first: int, last: int) -> TextMemory:
        """See `Cuttable`. Only a causal backbone with a cache has one."""
        self._check(first, last)
        if not (self.backbone.causal and self.backbone.entry.takes_cache):
            raise ConfigurationError(f"backbone {self.backbone.name!r} is not causal: it does not continue sequences")
        window = self._window(first, last)
        if window is None:
            return TextMemory(None)
        from transformers import DynamicCache

        return TextMemory(DynamicCache(config=window.model.config))

    def advance(self, state: State, first: int, last: int, memory: TextMemory | None = None) -> State:
        """See `Cuttable`."""
        name = "ids" if first == 0 else "hidden"
        (value,) = wanted(state, name, at=self.stages[first])
        mask_BL = state.get("mask")
        if first == 0:
            self._check_ids(value, mask_BL)
            value = self.backbone.model.get_input_embeddings()(value)
        elif value.dim() != 3 or value.shape[2] != (width := self._widths[first]):
            raise ConfigurationError(
                f"hidden states before {self.stages[first]} are {list(value.shape)}; legal is [batch, length, {width}]"
            )
        whole_BT = self._mask(value, mask_BL, memory)
        if (window := self._window(first, last)) is not None:
            value = self._through(window, value, whole_BT, memory)
        if last == len(self.stages):
            return {"logits": self.head(value)}
        return {"hidden": value} | ({} if mask_BL is None else {"mask": mask_BL})

    def modules(self, stage: int) -> Iterable[nn.Module | nn.Parameter]:
        """See `Cuttable`. What is around the layers (positions, final norm) belongs to the first and the last one."""
        model: Any = self.backbone.model
        table = model.get_input_embeddings()
        if stage == 0:
            return [table]
        if stage == len(self.stages) - 1:
            return [self.head]
        found = [model.get_submodule(self._stack)[stage - 1]]
        names = [name for name, _ in model.named_parameters()]
        inside = [i for i, name in enumerate(names) if name.startswith(self._stack + ".")]
        for i, (name, weight) in enumerate(model.named_parameters()):
            around = not name.startswith(self._stack + ".") and weight is not table.weight
            if around and stage == (1 if i < inside[0] else self._layers):
                found.append(weight)
        return found

    def _window(self, first: int, last: int) -> Window | None:
        """Return the layers among these stages; None if there are none."""
        begin, end = max(first - 1, 0), min(last - 1, self._layers)
        if begin >= end:
            return None
        if (begin, end) not in self._windows:
            self._windows[begin, end] = Window(self.backbone.model, self._stack, begin, end)
        return self._windows[begin, end]

    def _mask(self, value: Tensor, mask_BL: Tensor | None, memory: TextMemory | None) -> Tensor:
        """Return the mask of all tokens, those in the memory included [B, T], and remember it."""
        new_BL = torch.ones(value.shape[:2], dtype=torch.bool) if mask_BL is None else mask_BL
        before = None if memory is None else memory.mask
        if before is not None and len(before) != len(new_BL):
            raise ConfigurationError(f"{len(new_BL)} sequences with a memory of {len(before)}; it must be as many")
        whole_BT = new_BL if before is None else torch.cat([before, new_BL], dim=1)
        if self._longest is not None and whole_BT.shape[1] > self._longest:
            raise ConfigurationError(
                f"{whole_BT.shape[1]} tokens; backbone {self.backbone.name!r} takes at most {self._longest}"
            )
        if memory is not None:
            memory.mask = whole_BT
        return whole_BT

    def _through(self, window: Window, value: Tensor, whole_BT: Tensor, memory: TextMemory | None) -> Tensor:
        entry = self.backbone.entry
        arguments: dict[str, Any] = {"attention_mask": whole_BT.long(), "inputs_embeds": value}
        if window.enters:  # the model makes its masks for tokens of this shape; the layers get `value`
            arguments["inputs_embeds"] = value.new_zeros(*value.shape[:2], self.backbone.width)
        if entry.explicit_positions:
            arguments["position_ids"] = (positions(whole_BT) + entry.first_position)[:, -value.shape[1] :]
        if entry.takes_cache:
            arguments["use_cache"] = memory is not None
        if memory is not None:
            arguments["past_key_values"] = memory.cache
        return window(value if window.enters else None, **arguments)

    def _check_ids(self, ids_BL: Tensor, mask_BL: Tensor | None) -> None:
        vocabulary = len(self.backbone.token_table)
        if ids_BL.dim() != 2 or ids_BL.dtype != torch.int64 or not ids_BL.numel():
            raise ConfigurationError(
                f"ids are {ids_BL.dtype} {list(ids_BL.shape)}; legal is torch.int64 [batch, length]"
            )
        if int(ids_BL.min()) < 0 or int(ids_BL.max()) >= vocabulary:
            raise ConfigurationError(
                f"ids from {int(ids_BL.min())} to {int(ids_BL.max())}; legal are 0 to {vocabulary - 1}"
            )
        if mask_BL is not None and (mask_BL.shape != ids_BL.shape or mask_BL.dtype != torch.bool):
            raise ConfigurationError(
                f"the mask is {mask_BL.dtype} {list(mask_BL.shape)}; legal is torch.bool {list(ids_BL.shape)}"
            )

    @torch.no_grad()
    def _try(self) -> None:
        """Compare the layers one by one with the whole model."""
        generator = torch_generator(TRIAL_SEED)
        ids_BL = torch.randint(len(self.backbone.token_table), (1, _TRIAL_TOKENS), generator=generator)
        own = self.backbone.entry.hidden(
            self.backbone.model, self.backbone.model.get_input_embeddings()(ids_BL), torch.ones_like(ids_BL).bool()
        )
        state: State = {"ids": ids_BL}
        what = f"backbone {self.backbone.name!r} ({self.backbone.model.config.model_type}) cannot be cut between layers"
        try:
            for stage in range(self._layers + 1):
                state = self.run(state, stage, stage + 1)
                self._widths[stage + 1] = state["hidden"].shape[-1]
        except ConfigurationError:
            raise
        except Exception as error:  # a forward pass may raise anything if it cannot do what it is asked
            reason = (str(error).strip().splitlines() or [""])[0][:160]
            raise ConfigurationError(f"{what}: {type(error).__name__}: {reason}") from None
        finally:
            self._windows.clear()
        distance = float((state["hidden"] - own).abs().max() / own.square().mean().sqrt())
        if not distance <= TOLERANCE:
            raise ConfigurationError(f"{what}: hidden states differ by {distance:.3g} of the whole model's RMS")


class _Tied(nn.Module):
    """Hidden states [..., H] -> logits [..., vocabulary], by the backbone's own token table."""

    weight: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        if backbone.width != backbone.hidden_width:
            raise ConfigurationError(
                f"backbone {backbone.name!r}: its table is {backbone.width} wide and its hidden states are "
                f"{backbone.hidden_width}; give a head"
            )
        self.weight = backbone.token_table

    def forward(self, hidden: Tensor) -> Tensor:
        return nn.functional.linear(hidden, self.weight)
