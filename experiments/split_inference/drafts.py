# SPDX-License-Identifier: GPL-2.0-only
"""How good drafts are, without a network: tokens of what SmolLM2 writes that a draft would have drafted.

In greedy decoding, every draft begins behind a text that the whole model has written, and goes on in it as long as it
is accepted. So whether the draft agrees at each place of this text decides all rounds, and one pass finds it.

Shape suffixes: N texts, T tokens that were written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from edgelam.data.task import load_task
from edgelam.errors import ConfigurationError
from edgelam.inference.speculative import expected_tokens
from edgelam.modalities import pretrained
from edgelam.modalities.draft import Draft, distilled
from edgelam.modalities.language import NAME
from edgelam.modalities.recipes.smollm2_draft import PROMPT, prompts, written
from edgelam.random_streams import derive_seed

from .config import Decoding, DraftKind

DRAFTS = {
    "draft": str, "seed": int, "drafted": int, "acceptance": float, "tokens_a_round": float, "independent": float,
}  # fmt: skip
"""One row a draft and its length. acceptance: the share of tokens that are accepted, of those and the first rejected
ones; independent: tokens of a round if acceptance were independent of what came before."""
LENGTHS = (1, 2, 4, 8)


def whole() -> Any:
    """Return SmolLM2."""
    from transformers import LlamaForCausalLM

    return pretrained.load(NAME, LlamaForCausalLM)


def draft_of(kind: DraftKind, target: Any) -> Draft:
    """Return a draft. target: of `whole`."""
    return distilled(target.model) if kind == "distilled" else Draft(target.model)


def judged(wanted: Decoding, seed: int) -> Iterator[dict[str, object]]:
    """Yield a row for each draft and length. Raises ConfigurationError for more texts than there are."""
    target = whole()
    chosen = prompts(load_task("ns3-comments").test, wanted.texts, derive_seed(seed, "texts for drafts"))
    if len(chosen) < wanted.texts:
        raise ConfigurationError(f"decoding.texts is {wanted.texts}; legal are 1 to {len(chosen)}")
    ids = written(target, torch.tensor(chosen), wanted.tokens)["ids"]
    for kind in wanted.drafts:
        draft = draft_of(kind, target)
        with torch.no_grad():
            hidden = draft.model(target.model)(input_ids=ids[:, :-1]).last_hidden_state[:, PROMPT - 1 :]
            agrees_NT = target.lm_head(draft.features(hidden)).argmax(-1) == ids[:, PROMPT:]
        for length in LENGTHS:
            yield {"draft": kind, "seed": seed, "drafted": length, **rounds(agrees_NT, length)}


def rounds(agrees_NT: Tensor, length: int) -> dict[str, float]:
    """Return what `length` drafted tokens give where a draft agrees at these places; rounds that do not end within a
    text do not count."""
    kept = tried = count = 0
    for agrees in agrees_NT.tolist():
        at = 0
        while at + length < len(agrees):
            mine = next((i for i in range(length) if not agrees[at + i]), length)
            kept, tried, count = kept + mine, tried + min(mine + 1, length), count + 1
            at += mine + 1
    share = kept / max(tried, 1)
    return {
        "acceptance": share, "tokens_a_round": 1 + kept / max(count, 1), "independent": expected_tokens(share, length)
    }  # fmt: skip
