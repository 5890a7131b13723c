# SPDX-License-Identifier: GPL-2.0-only
"""Attacks of the study that need more than what a run's server has got: a membership attack on the trained model, an
audit of the mechanism by canaries, and tokens behind activations of deeper cuts.

What all of them know is public: the backbone, the vocabulary, and data of the same kind (half of the test set).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from edgelam.federated import Setup
from edgelam.federated.evaluation import pooled_test
from edgelam.federated.private import Releases
from edgelam.federated.samples import Samples
from edgelam.learning.privacy import accounting
from edgelam.learning.privacy.settings import PrivacySettings
from edgelam.models import Head, TokenEmbedding, Unsplit
from edgelam.models.blocks import Blocks
from edgelam.models.padding import pack
from edgelam.privacy import membership
from edgelam.privacy.canary_audit import epsilon_lower_bound
from edgelam.privacy.least_squares import recover
from edgelam.privacy.token_lookup import nearest, share_identified
from edgelam.random_streams import derive_seed, from_numbers

MEMBERS = {"method": str, "samples": int, "auc": float, "advantage": float}
AUDITS = {"method": str, "what": str, "noise_multiplier": float, "canaries": int, "epsilon_lower": float,
          "epsilon_rdp": float, "epsilon_pld": float}  # fmt: skip
DEPTHS = {"blocks": int, "seed": int, "known": int, "tokens": int, "recovered": float}
CONFIDENCE, SHADOWS = 0.95, 4
ATTACKED, SPARE = 256, 2.5
"""Tokens that are attacked behind a cut, and known tokens for each unknown number of a column of the map."""


def membership_of(setup: Setup, model: Unsplit, device: int, count: int) -> dict[str, Any] | None:
    """Tell samples that a device has trained on from others by shadow heads; None with too little data.

    model: as the server has it at the end.
    """
    settings, shard = setup.settings, setup.shards[device]
    steps = range(settings.rounds * settings.accumulation)
    used = np.unique(np.concatenate([shard.indices(step // settings.accumulation, step % settings.accumulation)
                                     for step in steps]))[:count]  # fmt: skip
    half = len(setup.test) // 2
    if min(len(used), half) < membership.LEAST:
        return None
    order = from_numbers(derive_seed(setup.seed, "data of the attacker")).permutation(2 * half)
    parts = (
        setup.task.train.subset(setup.parts[device][used]), setup.test_examples.subset(order[:half][:count]),
        setup.test_examples.subset(order[half:]),
    )  # fmt: skip
    seen = []
    for examples in parts:
        samples = Samples(examples, setup.backbone, settings.max_tokens)
        pooled = pooled_test(dataclasses.replace(setup, test=samples), model.embedding, model.encoder)
        seen.append((pooled.double().numpy(), examples.labels))

    @torch.no_grad()
    def target(inputs: NDArray[np.floating]) -> NDArray[np.floating]:
        assert isinstance(model.head, Head)
        logits = model.head.classify(torch.from_numpy(inputs).to(model.head.dtype))
        found: NDArray[np.floating] = logits.softmax(1).numpy()
        return found

    def train(inputs: NDArray[np.floating], labels: NDArray[np.int64], seed: int) -> membership.Predict:
        fitted = LogisticRegression(max_iter=500, random_state=seed).fit(inputs, labels)

        def predict(given: NDArray[np.floating]) -> NDArray[np.floating]:
            every = np.full((len(given), setup.task.num_classes), 1e-12)
            every[:, fitted.classes_] = fitted.predict_proba(given)
            return every

        return predict

    seed = derive_seed(setup.seed, "shadow heads")
    found = membership.attack(target, seen[0], seen[1], seen[2], train, shadows=SHADOWS, seed=seed)
    return {"samples": len(used), "auc": found.auc, "advantage": found.advantage}


def audits_of(setup: Setup, canaries: int) -> list[dict[str, Any]]:
    """Bound epsilon of one release from below, as it is, with a tenth of the noise, and without the clip, for canaries
    ten times as long as it: the last two must be found out."""
    settings = setup.settings.privacy
    assert settings.clip is not None
    noise, width = settings.noise_multiplier or 0.0, setup.backbone.hidden_width
    if noise == 0.0:
        return []
    rows = []
    for what, own, length in (
        ("as it is", settings, 1.0),
        ("a tenth of the noise", dataclasses.replace(settings, noise_multiplier=noise / 10), 1.0),
        ("without the clip", dataclasses.replace(settings, clip=10 * settings.clip, noise_multiplier=noise / 10), 10.0),
    ):
        found = _lower_bound(own, width, canaries, length=length * settings.clip, seed=setup.seed, what=what)
        rows.append({
            "what": what, "noise_multiplier": noise, "canaries": 2 * canaries, "epsilon_lower": found,
            "epsilon_rdp": accounting.epsilon(noise, 1, settings.delta, "rdp"),
            "epsilon_pld": accounting.epsilon(noise, 1, settings.delta, "pld"),
        })  # fmt: skip
    return rows


def _lower_bound(
    settings: PrivacySettings, width: int, count: int, *, length: float, seed: int, what: str
) -> float:  # fmt: skip
    scores = []
    for sign in (1.0, -1.0):
        releases = Releases(settings, count, derive_seed(seed, f"canaries {what} {sign:+.0f}"))
        rows = torch.zeros(count, width)
        rows[:, 0] = sign * length
        scores.append(releases.jacobian(rows, torch.arange(count))[:, 0].numpy())
    return epsilon_lower_bound(scores[0], scores[1], settings.delta, confidence=CONFIDENCE)


@torch.no_grad()
def depths_of(setup: Setup) -> list[dict[str, Any]]:
    """Name tokens behind activations of each cut: a linear map back to embeddings, learnt from the attacker's own
    texts, and the nearest row of the table. No rows for inputs that are no tokens."""
    embedding, encoder = setup.embedding(), setup.encoder().eval()
    if not isinstance(embedding, TokenEmbedding):
        return []
    blocks = Blocks(encoder, setup.backbone.width)
    table = embedding(torch.arange(len(setup.backbone.token_table))[None])[0]
    wanted = int(SPARE * (setup.backbone.hidden_width + 1))
    rows = []
    for cut in range(blocks.count):
        known = _behind(setup.test, embedding, blocks, cut, wanted)
        attacked = _behind(setup.shards[0].samples, embedding, blocks, cut, ATTACKED)
        guess = attacked[0].double()
        if cut > 0:
            guess = _with_one(guess) @ recover(table[known[1]].T, _with_one(known[0])).T
        rows.append({
            "blocks": cut, "seed": setup.seed, "known": len(known[1]), "tokens": len(attacked[1]),
            "recovered": share_identified(nearest(guess, table), attacked[1]),
        })  # fmt: skip
    return rows


def _with_one(rows: torch.Tensor) -> torch.Tensor:
    return torch.cat([rows.double(), torch.ones(len(rows), 1, dtype=torch.float64)], dim=1)


def _behind(samples: Samples, embedding: torch.nn.Module, blocks: Blocks, cut: int,
            wanted: int) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Return what enters block `cut` for the first tokens of samples [T, H], and the tokens [T]."""
    seen, true, count = [], [], 0
    for number in range(len(samples)):
        batch = samples.batch(np.array([number]))
        seen.append(pack(blocks.lower(embedding(batch.inputs), batch.mask, cut), batch.mask))
        true.append(pack(batch.inputs, batch.mask))
        count += len(true[-1])
        if count >= wanted:
            break
    return torch.cat(seen)[:wanted], torch.cat(true)[:wanted]
