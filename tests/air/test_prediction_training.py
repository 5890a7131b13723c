# SPDX-License-Identifier: GPL-2.0-only
"""Training predictors: in one place, put aside and resumed, federated over a network."""

import dataclasses

import numpy as np
import pytest
import torch

from edgelam import cosim
from edgelam.air import prediction
from edgelam.air.prediction import federated
from edgelam.air.prediction.error import batch_nmse
from edgelam.errors import ConfigurationError, Diverged
from edgelam.learning.aggregation import RULES
from edgelam.models import load_backbone
from edgelam.models.lora import LoraSettings

WINDOW = prediction.WindowSettings(history=8, horizon=2, tones=4)
LAM = prediction.LamSettings(channels=4, blocks=1, layers=1, lora=LoraSettings(rank=2))
TRAINING = prediction.TrainingSettings(batch_size=4, learning_rate=3e-3)


def windows(samples, seed=0):
    """One plane wave a sample and antenna: what comes is what was, turned on."""
    rng = np.random.default_rng(seed)
    times = np.arange(WINDOW.history + WINDOW.horizon)
    doppler = rng.uniform(-0.08, 0.08, (samples, 1, 1, 1))
    gains = rng.normal(size=(samples, 2, 1, 4)) + 1j * rng.normal(size=(samples, 2, 1, 4))
    gains /= np.sqrt(np.mean(np.abs(gains) ** 2, axis=(1, 2, 3), keepdims=True))
    csi = (gains * np.exp(2j * np.pi * doppler * times[:, None])).astype(np.complex64)
    return prediction.Windows(csi[:, :, : WINDOW.history], csi[:, :, WINDOW.history :])


@pytest.fixture(scope="module")
def backbone():
    return load_backbone()


def gru(seed=1):
    return prediction.make("gru", WINDOW, seed=seed, width=16, layers=1)


def weights(predictor):
    return torch.cat([p.detach().flatten() for p in predictor.parameters()])


def test_an_epoch_sees_every_sample_once_with_noise_of_its_own():
    data = windows(10)
    trainer = prediction.Trainer(gru(), data, TRAINING, seed=7)
    seen = [torch.cat([past for past, _ in trainer.batches(epoch)]).numpy() for epoch in (0, 0, 1)]
    assert [len(past) for past, _ in trainer.batches(0)] == [4, 4, 2]
    np.testing.assert_array_equal(seen[0], seen[1])
    for epoch in (0, 2):
        distance = np.abs(seen[epoch][:, None] - data.past[None]).mean((2, 3, 4))
        assert sorted(distance.argmin(1)) == list(range(10))  # each once: noise is smaller than what tells them apart
        snr_db = -10 * np.log10(np.mean(np.abs(seen[epoch] - data.past[distance.argmin(1)]) ** 2, axis=(1, 2, 3)))
        assert 3 < snr_db.min() < snr_db.max() < 22


def test_training_learns_and_is_measured_against_what_was_sent():
    trainer = prediction.Trainer(gru(), windows(64), TRAINING, seed=1)
    test = windows(32, seed=9)
    before = prediction.evaluate(trainer.predictor, test, 20.0, seed=3)
    losses = [trainer.epoch(epoch) for epoch in range(20)]
    after = prediction.evaluate(trainer.predictor, test, 20.0, seed=3)
    held = prediction.evaluate(prediction.make("hold-last", WINDOW), test, 20.0, seed=3)
    assert losses[-1] < 0.7 * losses[0]
    assert after.mean_nmse < 0.8 * before.mean_nmse
    assert after.mean_nmse < held.mean_nmse
    assert after.nmse.shape == after.spectral_efficiency.shape == (32,)
    # precoding does not mind a rotation common to all antennas, and that is all that holding the last gets wrong here
    assert before.spectral_efficiency.mean() < after.spectral_efficiency.mean() < held.spectral_efficiency.mean()


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru", "cnn", "transformer", "lam"])
def test_mixed_precision_learns_the_same_in_float32_weights(model, backbone):
    """What `paper` trains with: the same course of the loss but for rounding."""
    losses = {}
    for precision in ("fp32", "bf16"):
        made = prediction.Lam(WINDOW, backbone, LAM) if model == "lam" else prediction.make(model, WINDOW, seed=1)
        settings = prediction.TrainingSettings(batch_size=4, learning_rate=3e-4, precision=precision)
        trainer = prediction.Trainer(made, windows(12), settings, seed=1)
        losses[precision] = [trainer.epoch(epoch) for epoch in range(3)]
        assert {p.dtype for p in made.parameters()} == {torch.float32}
    assert losses["bf16"] != losses["fp32"]
    np.testing.assert_allclose(losses["bf16"], losses["fp32"], rtol=0.03)


def test_a_loss_that_is_not_finite_stops_training():
    settings = prediction.TrainingSettings(batch_size=4, learning_rate=1e20, optimiser="sgd")
    trainer = prediction.Trainer(gru(), windows(16), settings, seed=1)
    with pytest.raises(Diverged, match="A smaller learning rate than 1e"):
        trainer.epoch(0)


def test_resumed_training_ends_as_uninterrupted(tmp_path):
    whole = prediction.Trainer(gru(), windows(16), TRAINING, seed=1)
    for epoch in range(4):
        whole.epoch(epoch)
    first = prediction.Trainer(gru(), windows(16), TRAINING, seed=1)
    for epoch in range(2):
        first.epoch(epoch)
    facts = {"method": "gru", "seed": "1"}
    path = tmp_path / "half.safetensors"
    prediction.save_checkpoint(path, first.predictor, [first.optimiser], {**facts, "epoch": "2"})
    second = prediction.Trainer(gru(seed=5), windows(16), TRAINING, seed=1)
    assert prediction.load_checkpoint(path, second.predictor, [second.optimiser], facts)["epoch"] == "2"
    for epoch in range(2, 4):
        second.epoch(epoch)
    assert torch.equal(weights(second.predictor), weights(whole.predictor))


def test_dropout_of_the_adapters_follows_from_the_seed(backbone):
    """Whatever else this process draws, and where training is taken up again."""
    settings = dataclasses.replace(LAM, lora=LoraSettings(rank=2, dropout=0.5))

    def trainer():
        return prediction.Trainer(prediction.Lam(WINDOW, backbone, settings), windows(8), TRAINING, seed=2**62)

    whole, disturbed = trainer(), trainer()
    losses = [whole.epoch(epoch) for epoch in range(2)]
    torch.randn(17)
    assert disturbed.epoch(0) == losses[0]
    resumed = trainer()
    resumed.predictor.load_state_dict(disturbed.predictor.state_dict())
    resumed.optimiser.load_state_dict(disturbed.optimiser.state_dict())
    torch.randn(5)
    assert resumed.epoch(1) == losses[1]


def test_foreign_checkpoints_are_refused_and_change_nothing(tmp_path):
    trainer = prediction.Trainer(gru(), windows(8), TRAINING, seed=1)
    trainer.epoch(0)
    path = tmp_path / "c.safetensors"
    prediction.save_checkpoint(path, trainer.predictor, [trainer.optimiser], {"seed": "1"})
    other = prediction.make("gru", WINDOW, seed=2, width=8, layers=1)
    optimiser = torch.optim.Adam(other.parameters())
    before = weights(other).clone()
    (tmp_path / "text").write_text("not a checkpoint")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(path.read_bytes()[:-10])
    for file, facts, words in (
        (path, {"seed": "2"}, "its seed is '1', not '2'"),
        (path, {}, "does not fit"),
        (tmp_path / "text", {}, "cannot be read"),
        (broken, {}, "cannot be read"),
        (tmp_path / "absent", {}, "cannot be read"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            prediction.load_checkpoint(file, other, [optimiser], facts)
    with pytest.raises(ConfigurationError, match="more than the 0 optimisers"):
        prediction.load_checkpoint(path, gru(), [], {})
    assert torch.equal(weights(other), before)


def federation(rule, backbone, shards):
    def make():
        return prediction.Lam(WINDOW, backbone, LAM, seed=2) if backbone else gru()

    trainers = [prediction.Trainer(make(), shard, TRAINING, seed=10 + i) for i, shard in enumerate(shards)]
    return prediction.Federation(make(), trainers, RULES[rule])


def simulate(federation, rounds):
    records, transfers = [], []

    async def main(sim):
        servers = [sim.node(f"edge{i}") for i in range(len(federation.trainers))]
        await federated.run(
            sim, federation, clients=servers, server=sim.node("cloud0"), rounds=rounds, report=records.append
        )

    nodes = {f"edge{i}": "edge" for i in range(len(federation.trainers))} | {"cloud0": "cloud"}
    cosim.simulate(main, nodes=nodes, on_transfer=transfers.append)
    return records, transfers


def test_one_round_of_plain_averaging_by_hand():
    """Two servers with 4 and 12 samples: the merged weights are 1/4 and 3/4 of theirs."""
    shards = [windows(4, seed=1), windows(12, seed=2)]
    own = []
    for index, shard in enumerate(shards):
        alone = prediction.Trainer(gru(), shard, TRAINING, seed=10 + index)
        alone.epoch(0)
        own.append(weights(alone.predictor))
    merged = federation("fedit", None, shards)
    records, transfers = simulate(merged, range(1))
    torch.testing.assert_close(weights(merged.model), 0.25 * own[0] + 0.75 * own[1])
    model_bytes = 4 * len(own[0])
    assert records[0].down_bytes == 2 * model_bytes
    assert records[0].up_bytes == 2 * (model_bytes + 4)  # and each server's loss
    assert len(transfers) == 4


@pytest.mark.parametrize("rule", [name for name, rule in RULES.items() if not rule.personal])
def test_federated_adapters_learn_and_resume(rule, backbone, tmp_path):
    """All models agree after each round; put aside after the first of two rounds, the second ends the same."""
    shards = [windows(8, seed=1), windows(8, seed=2)]
    whole = federation(rule, backbone, shards)
    records, _ = simulate(whole, range(2))
    assert records[1].loss < records[0].loss
    assert [record.round for record in records] == [0, 1]

    half = federation(rule, backbone, shards)
    simulate(half, range(1))
    path = tmp_path / "round1.safetensors"
    prediction.save_checkpoint(path, half.model, [trainer.optimiser for trainer in half.trainers], {"rule": rule})
    resumed = federation(rule, backbone, shards)
    prediction.load_checkpoint(path, resumed.model, [trainer.optimiser for trainer in resumed.trainers], {"rule": rule})
    resumed.adopt()
    simulate(resumed, range(1, 2))
    torch.testing.assert_close(weights(resumed.model), weights(whole.model), rtol=1e-4, atol=1e-6)


def test_the_loss_of_a_batch_weighs_strong_samples_more():
    prediction_of, target = (
        torch.zeros(2, 1, 1, 2, dtype=torch.complex64),
        torch.zeros(2, 1, 1, 2, dtype=torch.complex64),
    )
    target[0], target[1] = 1, 3
    prediction_of[1] = 3
    assert float(prediction.nmse(prediction_of, target).mean()) == pytest.approx(0.5)
    assert float(batch_nmse(prediction_of, target)) == pytest.approx(2 / 20)
    losses = {}
    for loss in ("sample", "batch"):
        data = windows(16)
        data.future[:4] *= 0.1
        trainer = prediction.Trainer(gru(), data, dataclasses.replace(TRAINING, loss=loss), seed=1)
        losses[loss] = [trainer.epoch(epoch) for epoch in range(4)]
        assert losses[loss][-1] < losses[loss][0]
    assert losses["batch"][0] < losses["sample"][0]
