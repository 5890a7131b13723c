# SPDX-License-Identifier: GPL-2.0-only
"""A draft of SmolLM2, distilled on what the whole model itself writes after the beginnings of comments of ns-3.

The loss is the Kullback-Leibler divergence from the whole model's distribution of the next token, over the tokens that
the whole model thinks likely somewhere in the texts; behind prompts, where the draft will work, and inside of them.

Shape suffixes: N texts, T tokens of a text, D width of the hidden states, V tokens of the vocabulary that are likely.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgelam.data.task import Examples, load_task
from edgelam.learning.optimisers import make
from edgelam.modalities import pretrained
from edgelam.modalities.bench import Bench
from edgelam.modalities.draft import Draft
from edgelam.modalities.language import NAME, tokenizer
from edgelam.modalities.resumed import resumed
from edgelam.random_streams import derive_seed, from_numbers, torch_generator

PROMPT, WRITTEN = 16, 40
"""Tokens of the beginning of a comment, and tokens that are written after it."""
TEXTS, TOGETHER = 704, 64
LIKELY = 16
"""Of so many most likely tokens at each place, the vocabulary of the loss is made."""
STEPS, CHECKPOINT, BATCH = 100, 10, 8
RATE, RISE = 2e-3, 10
"""The learning rate rises for so many steps, and then falls to half."""


def empty() -> Draft:
    """Return a draft of the right shape."""
    return Draft(_target().model)


def prompts(examples: Examples, count: int, seed: int) -> list[list[int]]:
    """Return the first 16 tokens of drawn texts that have more."""
    tokens = tokenizer()
    found: list[list[int]] = []
    for i in from_numbers(seed).permutation(len(examples)):
        ids = tokens(examples.inputs[i])["input_ids"]
        if len(ids) > PROMPT and len(found) < count:
            found.append(ids[:PROMPT])
    return found


def fit(bench: Bench) -> tuple[Draft, dict[str, float]]:
    """Write texts, then train on them."""
    target = _target()
    chosen = prompts(load_task("ns3-comments").train, TEXTS, derive_seed(bench.seed, "prompts of a draft"))
    parts = []
    for at in range(0, len(chosen), TOGETHER):
        some = torch.tensor(chosen[at : at + TOGETHER])
        parts.append(bench.keep(f"texts-{at}", lambda some=some: written(target, some, WRITTEN)))  # type: ignore[misc]
        bench.say(f"{at + len(some)} of {len(chosen)} texts")
    ids_NT = torch.cat([part["ids"] for part in parts])
    hidden_NTD = torch.cat([part["hidden"] for part in parts])
    likely_V = torch.cat([part["likely"] for part in parts]).unique()
    draft = Draft(target.model, seed=derive_seed(bench.seed, "first weights of a draft") % 2**63)
    return train(draft, target, ids_NT, hidden_NTD, likely_V, bench), {
        "texts": len(ids_NT), "tokens": ids_NT.numel(), "vocabulary": len(likely_V), "steps": STEPS,
    }  # fmt: skip


@torch.no_grad()
def written(target: Any, ids_NT: Tensor, more: int) -> dict[str, Tensor]:
    """Return prompts with `more` tokens written after them greedily: ``ids`` int64 [N, T], the target's final
    ``hidden`` states float16 [N, T, D], and which tokens are ``likely`` somewhere, int64.

    target: a LlamaForCausalLM.
    """
    hidden, likely, cache, new = [], [], None, ids_NT
    while True:
        output = target.model(input_ids=new, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        hidden.append(output.last_hidden_state)
        logits = target.lm_head(output.last_hidden_state)
        likely.append(logits.topk(LIKELY).indices.unique())
        if len(hidden) > more:
            break
        new = logits[:, -1:].argmax(-1)
        ids_NT = torch.cat([ids_NT, new], dim=1)
    return {"ids": ids_NT, "hidden": torch.cat(hidden, dim=1).half(), "likely": torch.cat(likely).unique()}


def train(  # noqa: PLR0917
    draft: Draft, target: Any, ids_NT: Tensor, hidden_NTD: Tensor, likely_V: Tensor, bench: Bench
) -> Draft:
    """Train in place; goes on from what `bench` has kept, to the same weights."""
    model = draft.adapted(target.model)
    table_VD = target.lm_head.weight[likely_V]
    optimiser = make("adamw", draft.parameters(), RATE)
    for step in resumed(bench, draft, optimiser, steps=STEPS, every=CHECKPOINT):
        generator = torch_generator(derive_seed(bench.seed, f"step {step} of a draft"))
        batch = torch.randint(len(ids_NT), (BATCH,), generator=generator)
        optimiser.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / RISE) * (1 - step / (2 * STEPS))
        found = model(input_ids=ids_NT[batch], use_cache=False)
        answers = F.linear(draft.features(found.last_hidden_state.flatten(0, 1)), table_VD).log_softmax(-1)
        wanted = F.linear(hidden_NTD[batch].float().flatten(0, 1), table_VD).log_softmax(-1)
        loss = F.kl_div(answers, wanted, reduction="batchmean", log_target=True)
        loss.backward()
        nn.utils.clip_grad_norm_(draft.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if (step + 1) % CHECKPOINT == 0:
            same = float((answers.argmax(-1) == wanted.argmax(-1)).double().mean())
            bench.say(f"step {step + 1} of {STEPS}: {float(loss.detach()):.3f} nats, {same:.0%} of tokens agree")
    return draft.eval()


def _target() -> Any:
    from transformers import LlamaForCausalLM

    return pretrained.load(NAME, LlamaForCausalLM)
