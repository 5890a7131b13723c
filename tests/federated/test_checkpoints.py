# SPDX-License-Identifier: GPL-2.0-only
"""A run that is stopped goes on from its checkpoint, and learns what an uninterrupted one learns, bit by bit."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from edgelam import cosim
from edgelam.errors import ConfigurationError
from edgelam.federated import METHODS, EvaluationRecord, RoundRecord, SplitFedFTSettings, StalenessRecord, prepare
from edgelam.federated.decomposition.settings import DecompositionSettings
from edgelam.learning.compressors.settings import CompressionSettings
from edgelam.learning.course import Course, Weights
from edgelam.learning.privacy.settings import PrivacySettings
from edgelam.models import LoraSettings

NODES = {"ue0": "ue", "ue1": "ue", "ue2": "ue", "edge0": "edge"}
ROUNDS = 7


class StoppedError(Exception):
    pass


@pytest.fixture
def base(tiny_bert, token_file):
    return SplitFedFTSettings(
        task=str(token_file), backbone=str(tiny_bert), num_devices=3, partition="iid", rounds=ROUNDS, local_steps=1,
        lora=LoraSettings(rank=2, dropout=0.2), evaluations=ROUNDS, test_samples=15,
    )  # fmt: skip


def ran(settings, method, path=None, *, stop=None, every=2, **network):
    """Records of a run; stop: it is stopped when this round has ended."""
    course = Course() if path is None else Course(path, every, {"settings": repr(settings)})
    setup = replace(prepare(settings, 1), course=course)
    records = []

    def report(record):
        records.append(record)
        if stop is not None and isinstance(record, RoundRecord) and record.round == stop:
            raise StoppedError

    async def main(sim):
        return await METHODS[method](sim, setup, report)

    network = {"nodes": NODES} | network
    if stop is None:
        cosim.simulate(main, seed=1, **network)
    else:
        with pytest.raises(ExceptionGroup) as caught:
            cosim.simulate(main, seed=1, **network)
        assert caught.group_contains(StoppedError)
    return records, course


def learnt(records, first=0):
    """Losses of rounds (as text: with privacy they are NaN) and evaluations, exactly."""
    rounds = [(r.round, repr(r.loss)) for r in records if isinstance(r, RoundRecord) and r.round >= first]
    scores = [(r.step, r.head, r.test_set, r.accuracy, r.loss) for r in records
              if isinstance(r, EvaluationRecord) and r.step > first]  # fmt: skip
    return rounds, scores


CASES = {
    "split": ("split-fedft", {}),
    "split with a trained embedding": ("split-fedft", {"train_embedding": True, "accumulation": 2}),
    "split with some devices": ("split-fedft", {"participation": 0.6}),
    "split with privacy": ("split-fedft", {"privacy": PrivacySettings(clip=0.5, noise_multiplier=1.0)}),
    "FedIT with some devices": ("fed-lora", {"participation": 0.6, "head_averaging": "none"}),
    "compressed": ("fed-lora", {"compression": CompressionSettings(kind="top-k", share=0.2)}),
    "FLoRA compressed": ("fed-lora", {"aggregation": "flora", "compression": CompressionSettings(kind="int8")}),
    "FedSA": ("fed-lora", {"aggregation": "fedsa-lora"}),
    "cuts": ("decomposed", {"decomposition": DecompositionSettings(blocks=(0, 1, 2))}),
    "cuts and small messages": (
        "decomposed",
        {"decomposition": DecompositionSettings(blocks=(1, 2), activations=("int4",), jacobian_share=0.3)},
    ),
    "one device of FedBuff": ("fedbuff", {"num_devices": 1, "buffer": 1}),
    "full": ("fed-lora", {"tuning": "full", "learning_rate": 1e-3}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_goes_on_learns_as_one_that_was_not_stopped(case, base, tmp_path):
    method, changes = CASES[case]
    settings = replace(base, **changes)
    whole, _ = ran(settings, method)
    path = tmp_path / "it.safetensors"
    ran(settings, method, path, stop=5)
    rest, course = ran(settings, method, path)
    assert course.first == 4
    assert learnt(rest) == learnt(whole, first=4)


def test_updates_of_several_devices_go_on_from_the_newest_version(base, tmp_path):
    """What was on its way is lost, and asked for again: the run has as many updates as one that was not stopped."""
    settings = replace(base, buffer=2, rounds=8)
    path = tmp_path / "it.safetensors"
    first, _ = ran(settings, "fedbuff", path, stop=6)
    rest, course = ran(settings, "fedbuff", path)
    assert course.first == 6
    updates = [r.update for r in rest if isinstance(r, StalenessRecord)]
    assert updates == list(range(12, 24)), "two for each version before, 24 in all"
    assert [r.round for r in rest if isinstance(r, RoundRecord)] == [6, 7, 8, 9, 10, 11]
    staleness = [r.staleness for r in rest if isinstance(r, StalenessRecord)]
    assert staleness[:2] == [0, 0], "all begin with the newest version"
    done = [r.step for r in (*first, *rest) if isinstance(r, EvaluationRecord) and r.head == "average"]
    assert done[-1] == 8


def test_the_clock_goes_on_where_the_checkpoint_was(base, tmp_path):
    path = tmp_path / "it.safetensors"
    network = {"nodes": None, "scenario": "wired-star", "options": {"numUe": 3}}
    stopped, _ = ran(base, "split-fedft", path, stop=5, **network)
    begun = [r.start_s for r in stopped if isinstance(r, RoundRecord) and r.round == 4]
    course = Course(path, 2, {"settings": repr(base)})
    assert course.clock_s == begun[0] > 0.0
    rest, course = ran(base, "split-fedft", path, **network)
    assert [r.round for r in rest if isinstance(r, RoundRecord)] == [4, 5, 6]
    assert min(r.start_s for r in rest if isinstance(r, RoundRecord)) < 0.01, "a new simulation begins at 0"
    # it has put itself aside again: offsets add up
    sixth = [r.start_s for r in rest if isinstance(r, RoundRecord) and r.round == 6]
    again = Course(path, 2, {"settings": repr(base)})
    assert (again.first, again.clock_s) == (6, begun[0] + sixth[0])


def test_what_the_caller_keeps_comes_back(tmp_path):
    path = tmp_path / "it.safetensors"
    weight = torch.tensor([1.0])
    course = Course(
        path, 1, {"what": "a test"}, mark=lambda: {"bytes": 7}, rows=lambda rounds: list(range(rounds or 9))
    )
    course.restore({"server": Weights({"w": weight}), "ue0": Weights({"w": torch.tensor([5.0])})})
    for number in range(3):
        course.begins("server", number, 10.0 * number)
        weight += 1.0  # within the round
        course.finished(number)
    back = Course(path, 1, {"what": "a test"})
    assert (back.first, back.clock_s, back.complete) == (2, 20.0, False)
    assert (back.marked, back.kept) == ({"bytes": 7}, [0, 1])
    found = torch.zeros(1)
    back.restore({"server": Weights({"w": found})})
    assert found.tolist() == [3.0], "as the round began, not as it ended"
    back.end(3, 5.0)
    last = Course(path, 1, {"what": "a test"})
    assert (last.first, last.clock_s, last.complete) == (3, 25.0, True)


def test_foreign_and_damaged_checkpoints_are_refused(tmp_path):
    path = tmp_path / "it.safetensors"
    course = Course(path, 1, {"settings": "these"})
    course.restore({"server": Weights({"w": torch.ones(3)})})
    course.end(1, 1.0)
    with pytest.raises(ConfigurationError, match="settings is 'these', not 'others'"):
        Course(path, 1, {"settings": "others"})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Course(path, 1, {"settings": "these"})
    path.write_bytes(b"nothing")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Course(path, 1, {"settings": "these"})


PROGRAM = """
import json, os, signal, sys
from pathlib import Path
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder
from edgelam.runs.configuration import from_toml
from experiments.split_fedft import jobs, tables
from experiments.split_fedft.config import Config
config = from_toml(Path(sys.argv[1]), Config)
report = tables.MethodTables.report
def killing(self, record):
    report(self, record)
    if type(record).__name__ == "RoundRecord" and record.round == 5:
        os.kill(os.getpid(), signal.SIGKILL)
if len(sys.argv) > 3:
    tables.MethodTables.report = killing
with RunFolder.create("split-fedft", config, seed=1, out=Path(sys.argv[2])) as folder:
    jobs.run(config, folder, Progress())
print(folder.path)
"""


def test_a_killed_run_goes_on_with_all_its_rows(base, tmp_path):
    from edgelam.runs import load
    from edgelam.runs.configuration import to_toml
    from edgelam.runs.network import Network
    from experiments.split_fedft.config import Config

    config = Config(
        learning=base, methods=("split-fedft", "fed-lora"), controls=(), checkpoints=str(tmp_path / "kept"),
        checkpoint_every=2, network=Network(scenario="wired-star"),
    )  # fmt: skip
    (tmp_path / "c.toml").write_text(to_toml(config))

    def run(*more):
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "c.toml"), str(tmp_path / "runs"), *more],
            capture_output=True, text=True, cwd=root, check=False,
        )  # fmt: skip

    assert run("kill").returncode == -signal.SIGKILL
    done = run()
    assert done.returncode == 0, done.stderr
    folder = load(done.stdout.strip().splitlines()[-1])
    rounds = folder["rounds"][folder["rounds"]["method"] == "split FedFT"]
    assert rounds["round"].tolist() == list(range(ROUNDS))
    assert (rounds["start_s"].diff().dropna() > 0).all()
    scores = folder["metrics"].query("method == 'split FedFT' and head == 'average'")
    assert scores["step"].tolist() == list(range(1, ROUNDS + 1))
    assert (scores["uplink_bytes"].diff().dropna() > 0).all()
    (row,) = folder["resumed"].to_dict("records")
    assert (row["method"], row["round"]) == ("split FedFT", 4)
    assert row["offset_s"] == pytest.approx(rounds["start_s"].iloc[4])
