# SPDX-License-Identifier: GPL-2.0-only
"""A run whose weights are no longer numbers ends with an error that names the round, the device and the remedy."""

from pathlib import Path

import numpy as np
import pytest

from edgelam import cosim
from edgelam.commands import main as cli
from edgelam.errors import ConfigurationError, Diverged
from edgelam.federated import METHODS, SplitFedFTSettings, controls, prepare
from edgelam.federated.records import EvaluationRecord, Record
from edgelam.runs import load
from edgelam.runs.folders.folder import first_cause

NODES = {"ue0": "ue", "ue1": "ue", "edge0": "edge"}
WITHOUT_A_CELL = [method for method in METHODS if method != "air-fed-lora"]


def simulate(tiny: Path, tokens: Path, method: str, **settings: object) -> list[Record]:
    """Everything a method reports, on a tiny backbone without a network."""
    chosen = SplitFedFTSettings(task=str(tokens), backbone=str(tiny), num_devices=2, **settings)  # type: ignore[arg-type]
    setup, records = prepare(chosen, seed=1), []

    async def main(sim: cosim.Simulation) -> None:
        await METHODS[method](sim, setup, records.append)

    try:
        cosim.simulate(main, nodes=NODES, compute="free")
    except ExceptionGroup as group:
        raise first_cause(group) from None
    assert records
    return records


@pytest.mark.parametrize("method", WITHOUT_A_CELL)
@pytest.mark.parametrize("encoding", ["fp16", "int8", "fp32"])
def test_every_method_ends_where_it_diverges(tiny_bert: Path, token_file: Path, method: str, encoding: str) -> None:
    settings = {"rounds": 8, "optimiser": "sgd", "learning_rate": 1e38, "head_learning_rate": 1e38}
    with pytest.raises(Diverged, match=r"(ue\d|edge0|head: ).*learning_rate 1e\+38 and head_learning_rate 1e\+38"):
        simulate(tiny_bert, token_file, method, encoding=encoding, weight_encoding="fp32", **settings)


@pytest.mark.parametrize("method", [each for each in WITHOUT_A_CELL if each != "dp-fed-lora"])  # its update is clipped
def test_who_diverges_in_the_last_step_gets_no_accuracy(tiny_bert: Path, token_file: Path, method: str) -> None:
    """The loss of the only step is of weights before it: only the evaluation can see what became of them."""
    settings = {"rounds": 1, "optimiser": "sgd", "learning_rate": 1e38, "head_learning_rate": 1e38, "local_steps": 1}
    with pytest.raises(Diverged):
        simulate(tiny_bert, token_file, method, weight_encoding="fp32", **settings)


def test_a_large_loss_is_no_divergence(tiny_bert: Path, token_file: Path) -> None:
    records = simulate(tiny_bert, token_file, "local", rounds=3, optimiser="sgd", head_learning_rate=1e4)
    assert max(record.loss for record in records if isinstance(record, EvaluationRecord)) > 100


SEARCH = (
    "run", "split-fedft", "--scenario", "none", "--num-devices", "2", "--controls", "--no-report", "--rounds", "2",
    "--optimiser", "sgd", "--search-rounds", "4", "--head-learning-rate", "1e38", "--learning-rate", "1e38",
    "--weight-encoding", "fp32",
)  # fmt: skip


def test_the_search_takes_no_rate_that_diverges(
    tiny_bert: Path, token_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--backbone", str(tiny_bert), "--task", str(token_file), "--out", str(tmp_path))
    assert cli.main([*SEARCH, *more, "--search-factors", "1", "1e-40"]) == 0
    (path,) = (tmp_path / "split-fedft").iterdir()
    tries = load(path)["search"]
    assert np.isnan(tries["heldout_loss_nats"]).tolist() == [True, False]
    assert "0.01 has the least held-out loss" in capsys.readouterr().err
    assert cli.main([*SEARCH, *more, "--search-factors", "1", "2"]) == 2
    assert "diverges at every factor" in capsys.readouterr().err


def test_controls_that_cannot_be_fitted_say_so(tiny_text_bert: Path, tmp_path: Path) -> None:
    path = tmp_path / "letters.csv"
    path.write_text("text,label\n" + "a,x\nb,y\n" * 10)  # no words: the linear control leaves single letters out
    setup = prepare(SplitFedFTSettings(task=str(path), backbone=str(tiny_text_bert), num_devices=2), seed=1)
    with pytest.raises(ConfigurationError, match=r"control 'TF-IDF \+ linear .*leave it out of controls"):
        controls.linear(setup)


def test_a_control_that_has_seen_one_class_has_a_loss(tiny_bert: Path, tmp_path: Path) -> None:
    path = tmp_path / "tokens.npz"
    np.savez(path, tokens=np.random.default_rng(0).normal(size=(80, 2, 3)), labels=np.repeat([0, 1], [76, 4]))
    settings = SplitFedFTSettings(task=str(path), backbone=str(tiny_bert), num_devices=2, rounds=1, batch_size=1)
    same, _ = controls.linear(prepare(settings, seed=1))
    assert same.num_train_samples == 2
    # the floor of 1e-6 for the class it does not know, and 16 test samples of which one is of it
    assert same.loss == pytest.approx(-np.log(1e-6) / 16, rel=1e-3)
