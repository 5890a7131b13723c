# SPDX-License-Identifier: GPL-2.0-only
"""The proof that the learning is the learning: split training equals un-split training on the averaged gradients.

In float64 without dropout, over 20 steps, with unequal batches and gradient accumulation, to 1e-10.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reference import STEPS, History, assert_same, average_modules, float64_setup, history, unsplit

from edgelam import cosim
from edgelam.federated import Outcome, Setup, SplitFedFTSettings, split_fedft
from edgelam.federated.split_parts import Device, Server
from edgelam.models import LoraSettings


def split(setup: Setup) -> History:
    """Devices and server by hand, no network."""
    settings = setup.settings
    devices = {
        f"ue{k}": Device(setup.embedding(), setup.head(), shard, settings) for k, shard in enumerate(setup.shards)
    }
    server = Server(setup.encoder(), settings)
    losses = []
    for step in range(STEPS):
        loss_sum, samples = 0.0, 0
        for part in range(settings.accumulation):
            batches = {name: device.shard.batch(step, part) for name, device in devices.items()}
            representations = server.represent({name: devices[name].embed(batches[name]) for name in devices})
            jacobians = {}
            for name, device in devices.items():
                loss, jacobians[name] = device.loss_and_jacobian(representations[name], batches[name])
                loss_sum += loss * len(batches[name])
                samples += len(batches[name])
            for name, gradient in server.backward(jacobians).items():
                devices[name].accept_embedding_gradient(gradient, batches[name])
        for device in devices.values():
            device.update()
        if settings.head_averaging == "server":
            sizes = [len(device.shard.batch(0, 0)) for device in devices.values()]
            average_modules([device.head for device in devices.values()], sizes)
        server.update()
        losses.append(loss_sum / samples)
    return History(
        losses,
        dict(server.encoder.lora),
        [dict(device.head.state_dict()) for device in devices.values()],
        [dict(device.embedding.state_dict()) for device in devices.values()],
    )


@pytest.mark.parametrize("cut", ["pooled", "tokens"])
@pytest.mark.parametrize("train_embedding", [False, True])
@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_gpt2"])
def test_split_equals_unsplit(
    *, model: str, accumulation: int, train_embedding: bool, cut: str, token_file: Path, request: pytest.FixtureRequest
) -> None:
    settings = SplitFedFTSettings(
        task=str(token_file), num_devices=3, partition="iid", backbone=str(request.getfixturevalue(model)),
        cut=cut, train_embedding=train_embedding, accumulation=accumulation, lora=LoraSettings(rank=2),
        optimiser="adamw", learning_rate=3e-3,
    )  # fmt: skip
    # AdamW divides by sqrt(v) + 1e-8: where a gradient is zero but for rounding (directions that the layer norm takes
    # out), 1e-17 of it become 1e-9 of the learning rate. SGD (below) agrees to the last digits.
    setup = float64_setup(settings)
    one = split(setup)
    assert_same(one, unsplit(setup))
    fresh = setup.encoder().lora
    assert all(not torch.equal(one.lora[name], fresh[name]) for name in fresh), "every adapter has moved"
    assert np.mean(one.losses[-5:]) < np.mean(one.losses[:5]), "the loss has fallen"


@pytest.mark.parametrize("cut", ["pooled", "tokens"])
def test_text_of_uneven_length(cut: str, tiny_text_bert: Path) -> None:
    settings = SplitFedFTSettings(
        backbone=str(tiny_text_bert), num_devices=3, cut=cut, accumulation=2, max_tokens=12, optimiser="sgd",
        learning_rate=0.1,
    )  # fmt: skip
    setup = float64_setup(settings)
    assert not bool(setup.shards[0].batch(0, 0).mask.all()), "the proof needs padding"
    assert_same(split(setup), unsplit(setup))


NETWORKS: dict[str, dict[str, Any]] = {
    "no scenario": {"scenario": None, "nodes": {"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"}},
    "ideal": {"scenario": "wired-star", "options": {"numUe": 3}, "network": "ideal"},
    "tcp": {"scenario": "wired-star", "options": {"numUe": 3}},
}


@pytest.mark.parametrize("network", list(NETWORKS))
@pytest.mark.parametrize("train_embedding", [False, True])
def test_over_the_network(network: str, train_embedding: bool, tiny_text_bert: Path) -> None:
    """The same through the coroutines, the coupling and real sockets: every payload in float64."""
    settings = SplitFedFTSettings(
        backbone=str(tiny_text_bert), num_devices=3, cut="tokens", accumulation=2, max_tokens=12, rounds=STEPS,
        train_embedding=train_embedding, encoding="fp64", weight_encoding="fp64", test_samples=20, evaluations=1,
    )  # fmt: skip
    setup = float64_setup(settings)
    federation = split_fedft.build(setup, ["ue0", "ue1", "ue2"])
    records: list[Any] = []
    transfers: list[cosim.TransferRecord] = []

    async def main(sim: cosim.Simulation) -> Outcome:
        return await split_fedft.run(sim, setup, records.append, federation)

    outcome = cosim.simulate(main, seed=1, on_transfer=transfers.append, **NETWORKS[network])
    result = history(records, federation.server.encoder, federation.devices.values())
    assert_same(result, unsplit(setup))
    assert outcome.num_samples == STEPS * 2 * (5 + 3 + 2)
    each = 4 if train_embedding else 3
    assert len(transfers) == 3 * (STEPS * (1 + 2 * each + 2) + 1), "invitation, two parts, head up and down; the end"
    if network == "tcp":
        assert outcome.time_s > 0.0
        assert all(record.last_byte_s > record.queued_s for record in transfers)
