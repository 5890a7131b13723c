# SPDX-License-Identifier: GPL-2.0-only
"""The recipes of channel-prediction."""

import dataclasses

from edgelam.air.prediction.settings import LamSettings, TrainingSettings, WindowSettings
from edgelam.runs.network import Network

from .across.settings import AcrossSettings
from .config import EQUAL, SMALL_LAM, Config
from .in_loop.settings import PERFECT, LoopSettings
from .tasks.settings import TasksSettings

OF_SPEEDS = ("rnn", "lstm", "gru", "cnn", "transformer", "lam", "lam-random")


def quick() -> Config:
    """Federated LAM, and GRU and LAM on local data; two servers, two antennas: at most 5 minutes on 2 cores."""
    return Config()


def paper() -> Config:
    """The case study: RNN, GRU and LLM4CP on local data, federated LAM of 2, 5 and 10 servers, 50 epochs. For a GPU."""
    return Config(
        methods=(
            "hold-last", "rnn-local", "gru-local", "lam-local", "rnn-federated", "gru-federated", "lam-federated",
            "gru-pooled", "lam-pooled",
        ),
        servers=(2, 5, 10),
        samples_per_server=405,
        test_samples=900,
        csi=(),
        training=TrainingSettings(precision="bf16"),
        epochs=50,
        search_factors=(0.3, 1.0, 3.0),
        repeats=5,
        network_repeats=1,
        lam=LamSettings(),
    )  # fmt: skip


def small() -> Config:
    """The case study scaled down to two processor cores: two antennas, a small pre-encoder, 2 layers; a few hours."""
    return dataclasses.replace(
        paper(),
        csi=("gnbRows=1", "gnbColumns=1"),
        samples_per_server=100,
        test_samples=400,
        training=TrainingSettings(batch_size=4),
        epochs=16,
        search_epochs=16,
        lam=SMALL_LAM,
    )


def speeds() -> Config:
    """Error over speed, 10 to 100 km/h, of all predictors, trained on all servers' samples in one place."""
    return dataclasses.replace(
        small(),
        methods=("hold-last", "prony", *(f"{model}-pooled" for model in OF_SPEEDS)),
        servers=(5,),
        test_speeds_kmh=(10.0, 30.0, 50.0, 70.0, 100.0),
        network=Config().network.ideal(),
        repeats=1,
    )


def question() -> Config:
    """What makes the LAM good or bad: pooled, with its controls, at one learning rate; a campaign varies one setting.

    24 tones over the band of 48, 200 samples, 200 steps: about a minute and a half on one core for each value and seed.
    """
    return dataclasses.replace(
        speeds(),
        methods=("hold-last", "prony", f"{EQUAL}-pooled", "lam-pooled", "lam-random-pooled"),
        servers=(1,),
        samples_per_server=200,
        test_samples=200,
        test_speeds_kmh=(30.0, 100.0),
        csi=("gnbRows=1", "gnbColumns=1", "tones=24", "toneSpacing=360e3"),
        window=WindowSettings(tones=24),
        epochs=4,
        evaluations=1,
        training=TrainingSettings(batch_size=4, learning_rate=2e-3),
        search_factors=(),
        lam=dataclasses.replace(SMALL_LAM, residual="prony"),
    )


def adapters() -> Config:
    """LoRA against training all weights: federated over five servers, paired, three seeds; the first in the network."""
    return dataclasses.replace(
        small(), methods=("lam-federated", "lam-full-federated"), servers=(5,), epochs=8, repeats=3, test_samples=200,
        search_factors=(0.3, 1.0), search_epochs=6, search_beyond=1, evaluations=1,
    )  # fmt: skip


def medium() -> Config:
    """The case study at half size for two cores: 8 antennas, all 6 layers, 50 epochs, Adam; an hour, in slices."""
    return dataclasses.replace(
        paper(),
        methods=("hold-last", "prony", "gru-local", "lam-local", "lam-federated"),
        servers=(2, 5),
        samples_per_server=32,
        test_samples=200,
        csi=("gnbRows=2", "gnbColumns=2"),
        training=TrainingSettings(batch_size=4),
        search_factors=(),
        evaluations=5,
        repeats=3,
        lam=dataclasses.replace(SMALL_LAM, layers=6),
    )


def medium_sgd() -> Config:
    """The same with SGD, as the seed paper has it."""
    return dataclasses.replace(medium(), training=TrainingSettings(batch_size=4, optimiser="sgd", learning_rate=0.1))


def across() -> Config:
    """One model for six configurations, two of them unseen, beside a model for each; federated in a cell; 3 seeds."""
    return Config(
        methods=(),
        csi=(),
        window=WindowSettings(antennas=2),
        test_samples=100,
        training=TrainingSettings(batch_size=8, learning_rate=2e-3),
        across=AcrossSettings(
            seen=(
                "deployment=UMa,frequency=2.4e9,gnbRows=4,gnbColumns=4,minSpeed=10,maxSpeed=60",
                "deployment=UMi,frequency=3.5e9,gnbRows=2,gnbColumns=4,gnbHeight=10,maxSpeed=40",
                "deployment=RMa,frequency=7e8,gnbRows=1,gnbColumns=2,gnbHeight=35,minSpeed=60,maxSpeed=200",
                "deployment=InH-Open,frequency=4.9e9,gnbRows=1,gnbColumns=1,gnbHeight=3,minDistance=5,maxDistance=40,"
                "minSpeed=3,maxSpeed=20",
            ),
            unseen=(
                "deployment=UMa,frequency=4.9e9,gnbRows=2,gnbColumns=2,minSpeed=10,maxSpeed=60",
                "deployment=UMi,frequency=2.1e9,gnbRows=1,gnbColumns=4,gnbHeight=10,minSpeed=30,maxSpeed=100",
            ),
        ),
        repeats=3,
    )


def tasks() -> Config:
    """One backbone for prediction and beamforming, beside models of their own, three seeds."""
    return Config(
        methods=(),
        test_samples=200,
        training=TrainingSettings(batch_size=4, learning_rate=1e-3),
        tasks=TasksSettings(steps=300),
        repeats=3,
        network=Config().network.ideal(),
    )


def fdd() -> Config:
    """The other band: 4,000 samples of two antennas in one place, one seed; about an hour on two cores."""
    return dataclasses.replace(
        speeds(),
        methods=("gru-pooled", "cnn-pooled", "transformer-pooled", "lam-pooled"),
        servers=(1,),
        samples_per_server=4000,
        epochs=16,
        evaluations=4,
        window=WindowSettings(duplex="fdd"),
        training=TrainingSettings(batch_size=32),
        search_factors=(),
    )


def in_loop() -> Config:
    """Predictors supply the channels for the precoders of a cell: over speed and pilot period, three seeds."""
    return Config(
        methods=(),
        window=WindowSettings(history=8),
        training=TrainingSettings(batch_size=8, learning_rate=2e-3, snr_db=(10.0, 30.0), noisy_target=False),
        loop=LoopSettings(predictors=(PERFECT, "hold-last", "prony", "cnn", "lam")),
        test_snr_db=20.0,
        repeats=3,
        network=Network(
            devices=("gnb*=datacentre-gpu",),
            options=("bandwidth=20", "joined=5", "gnbRows=1", "gnbColumns=8", "gnbPolarisations=1",
                     "edgelam::RadioChannel::CoherenceDistance=0"),
        ),
    )  # fmt: skip


def in_loop_quick() -> Config:
    """One speed, one pilot period, one seed: at most 5 minutes on 2 cores."""
    config = in_loop()
    loop = dataclasses.replace(
        config.loop, speeds_kmh=(20.0,), periods=(10,), training_drops=4, training_steps=120, measured_ms=120.0
    )
    return dataclasses.replace(config, loop=loop, repeats=1)


RECIPES = {
    "quick": quick, "paper": paper, "small": small, "speeds": speeds, "question": question, "adapters": adapters,
    "medium": medium, "medium-sgd": medium_sgd, "across": across, "tasks": tasks, "fdd": fdd, "in-loop": in_loop,
    "in-loop-quick": in_loop_quick,
}  # fmt: skip
