# SPDX-License-Identifier: GPL-2.0-only
"""Replays of real runs of split-fedft: the tables of a replay are those of really running it over that network."""

import asyncio
import dataclasses
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from edgelam.experiments.split_fedft import jobs
from edgelam.experiments.split_fedft.config import Config
from rich.console import Console
from transformers import BertConfig, BertModel

from edgelam import cosim, paths
from edgelam.commands import main as cli
from edgelam.errors import ConfigurationError, NotReplayable
from edgelam.federated import SplitFedFTSettings
from edgelam.output.progress import Progress
from edgelam.runs import RunFolder, StorageError, load, programs, replay
from edgelam.runs.network import Network

FAR = {"rate": "90Mbps", "delay": "17ms"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """All methods with a small backbone: the un-split ones send the whole model."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(1)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=64, max_position_embeddings=40, **size), False).save_pretrained(folder)
    learning = SplitFedFTSettings(
        task="digits", num_devices=3, batch_size=4, rounds=3, evaluations=3, test_samples=20, local_steps=1,
        backbone=str(folder),
    )  # fmt: skip
    network = Network("wired-star", ("rate=500Mbps",), ("ue*=jetson-orin", "edge*=cpu-server"))
    return Config(
        learning=learning, network=network, threads=1,
        methods=("split-fedft", "fed-lora", "local", "centralised"), controls=("random-weights", "majority"),
    )  # fmt: skip


def over(config, **changes):
    return dataclasses.replace(config, network=dataclasses.replace(config.network, **changes))


def run(out, config):
    with RunFolder.create("split-fedft", config, seed=config.seed, out=out) as folder:
        jobs.run(config, folder, Progress(Console(file=io.StringIO())))
    return load(folder.path)


@pytest.fixture(scope="module")
def original(base, tmp_path_factory):
    return run(tmp_path_factory.mktemp("original"), base)


def assert_same_tables(one, other):
    """All tables of two runs, but wall-clock times; rows of one instant may stand in another order."""
    names = set(one) - {"wall", "program"}
    assert names == set(other) - {"wall", "program"}
    assert names >= {"transfers", "compute", "metrics", "rounds", "device_rounds", "devices"}
    for name in names:
        tables = []
        for each in (one, other):
            table = each[name].drop(columns="transfer", errors="ignore")  # transfers are numbered with futures
            text = [column for column in table if not pd.api.types.is_float_dtype(table[column])]
            order = [*text, *(column for column in table if column not in text)]
            tables.append(table.sort_values(order).reset_index(drop=True))
        pd.testing.assert_frame_equal(*tables, check_exact=True, obj=name)


def test_over_the_same_network_everything_comes_out_again(original, tmp_path):
    again = replay(original.path, out=tmp_path)
    for name in set(original) - {"wall", "program"}:
        pd.testing.assert_frame_equal(again[name], original[name], check_exact=True, obj=name)
    assert again.manifest["replay"] == {
        "of": str(original.path),
        "differs": {},
        "any_order": False,
        "seed_of_what_was_learned": 1,
    }
    assert (again.path / "config.toml").read_bytes() == (original.path / "config.toml").read_bytes()
    with pytest.raises(NotReplayable, match="itself a replay"):
        replay(again, out=tmp_path)


def test_over_another_network_it_is_what_really_running_there_gives(base, original, tmp_path):
    real = run(tmp_path / "real", over(base, options=("rate=90Mbps", "delay=17ms")))
    replayed = replay(original, options=FAR, out=tmp_path)
    assert_same_tables(replayed, real)
    assert replayed.metrics["time_s"].max() > 2 * original.metrics["time_s"].max()
    assert (replayed.path / "config.toml").read_bytes() == (real.path / "config.toml").read_bytes()
    before, after = replayed.manifest["replay"]["differs"]["scenario_options"]
    assert (before["rate"], after["rate"]) == ("500Mbps", "90Mbps")


def test_over_the_5g_cell_and_other_devices(base, original, tmp_path):
    small = over(dataclasses.replace(base, methods=("split-fedft",), controls=()), options=())
    devices = ("ue*=phone", "edge*=datacentre-gpu")
    cell = over(small, scenario="nr-urban-micro", devices=devices)
    wired = run(tmp_path / "wired", small)
    replayed = replay(wired, scenario="nr-urban-micro", devices=dict(d.split("=") for d in devices), out=tmp_path)
    assert_same_tables(replayed, run(tmp_path / "real", cell))


def test_recorded_without_a_network(base, original, tmp_path):
    free = run(tmp_path / "free", over(base, scenario="none", options=()))
    assert_same_tables(replay(free, scenario="wired-star", options={"rate": "500Mbps"}, out=tmp_path), original)


def test_the_command_needs_no_torch_and_draws_the_figures(original, tmp_path):
    code = (
        "import sys; from edgelam.commands.main import main; status = main(sys.argv[1:]);"
        "sys.exit(9 if 'torch' in sys.modules else status)"
    )
    command = ["replay", str(original.path), "--options", "rate=90Mbps", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "split-fedft").iterdir()
    assert f"run folder: {path}" in done.stdout
    assert (path / "accuracy_time.svg").exists()
    assert load(path).state == "completed"


def test_a_scenario_that_only_the_run_names_is_not_run_unasked(base, tmp_path, capsys):
    program = tmp_path / "cell"
    program.symlink_to(paths.scenarios()["wired-star"])
    there = run(tmp_path / "there", over(dataclasses.replace(base, methods=("fed-lora",)), scenario=str(program)))
    command = ["replay", str(there.path), "--out", str(tmp_path / "out")]
    assert cli.main(command) == 2
    told = capsys.readouterr().err
    assert f"{there.path} names the scenario {str(program)!r}" in told
    assert f"--trust {program}" in told
    assert not (tmp_path / "out").exists()
    assert cli.main([*command, "--scenario", "wired-star"]) == 0
    assert_same_tables(replay(there.path, trust=[str(program)], out=tmp_path), there)


def test_a_run_cannot_say_where_its_replay_goes(original, tmp_path):
    foreign = load(original.path)
    foreign.manifest["experiment"] = str(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="one part of a path"):
        replay(foreign, out=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_stragglers_that_are_dropped_cannot_be_replayed(base, tmp_path, capsys):
    learning = dataclasses.replace(base.learning, stragglers="drop", round_deadline_s=5.0)
    dropping = run(tmp_path, dataclasses.replace(base, learning=learning, methods=("split-fedft",), controls=()))
    assert cli.main(["replay", str(dropping.path), "--options", "rate=90Mbps", "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "cannot be replayed" in told
    assert "split FedFT: asyncio.wait" in told
    assert len(list((tmp_path / "split-fedft").iterdir())) == 1  # nothing was begun


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"scenario": "wired-sta"}, "did you mean 'wired-star'"),
        ({"options": {"rat": "1Mbps"}}, "rat"),
        ({"devices": {"ue*": "fone"}}, "did you mean 'phone'"),
        ({"compute": "measured"}, "modelled or free"),
        ({"scenario": "none", "options": {"rate": "1Mbps"}}, "scenario none has no options"),
        ({"seed": 0}, "seed"),
    ],
)
def test_what_is_not_legal_is_refused_before_anything_is_made(original, tmp_path, settings, told):
    with pytest.raises(ConfigurationError, match=told):
        replay(original, out=tmp_path, **settings)
    assert not list(tmp_path.iterdir())


def test_a_folder_without_programs_and_one_that_is_none(base, tmp_path):
    with RunFolder.create("split-fedft", base, seed=1, out=tmp_path) as folder:
        pass
    with pytest.raises(NotReplayable, match="no table 'program'"):
        replay(folder.path, out=tmp_path)
    folder = RunFolder.create("split-fedft", base, seed=1, out=tmp_path)
    folder.note(process={"pid": 2**22 + 1})  # no process has that
    with pytest.raises(NotReplayable, match="is killed, and only a completed run can be replayed"):
        replay(folder.path, out=tmp_path)
    with pytest.raises(StorageError, match="not a run folder"):
        replay(tmp_path / "nothing", out=tmp_path)


@dataclasses.dataclass(frozen=True)
class Own:
    seed: int = 1


def test_a_run_of_a_script_of_ones_own(tmp_path):
    """No experiment is installed under its name: its network is what `simulate` was given."""

    def real(out, rate):
        with RunFolder.create("my-script", Own(), seed=1, out=out) as folder:
            table = folder.table("pings", {"ping": int, "sent_s": float, "took_s": float})

            async def main(sim):
                ue, edge = sim.node("ue0"), sim.node("edge0")
                for ping in range(3):
                    start_s = sim.now_s
                    await ue.send(edge, bytes(5_000), tag="ping")
                    table.append({"ping": ping, "sent_s": start_s, "took_s": sim.now_s - start_s})
                    await asyncio.sleep(0.01)

            options = {"numUe": 1, "rate": rate}
            program = programs.record(folder, "pings")
            cosim.simulate(main, scenario="wired-star", options=options, program=program)
        return load(folder.path)

    slow, fast = real(tmp_path / "a", "1Mbps"), real(tmp_path / "b", "100Mbps")
    replayed = replay(fast, options={"rate": "1Mbps"}, out=tmp_path)
    pd.testing.assert_frame_equal(replayed["pings"], slow["pings"], check_exact=True)
    assert json.loads((replayed.path / "manifest.json").read_text())["experiment"] == "my-script"


@dataclasses.dataclass(frozen=True)
class Wired:
    scenario: str
    seed: int = 1


def test_a_scenario_file_that_was_edited_since(tmp_path, capsys):
    """Its network is another now: the replay says so, and the run folder has the file of the run."""
    file = tmp_path / "line.py"
    file.write_text((Path(__file__).parents[1] / "scenarios" / "wire.py").read_text())
    with RunFolder.create("my-script", Wired(str(file)), seed=1, out=tmp_path / "runs") as folder:

        async def main(sim):
            await sim.node("ue0").send(sim.node("edge0"), bytes(100_000))

        cosim.simulate(main, scenario=str(file), program=programs.record(folder, "one"))
    text = file.read_text()
    assert (folder.path / "line.py").read_text() == text
    assert replay(folder.path, trust=[str(file)], out=tmp_path / "same").manifest["replay"]["differs"] == {}
    assert "changed" not in capsys.readouterr().err
    file.write_text(text.replace("10e6", "1e6"))
    changed = replay(folder.path, trust=[str(file)], out=tmp_path / "changed")
    assert "line.py has changed since the run" in capsys.readouterr().err
    ((what, (before, now)),) = changed.manifest["replay"]["differs"].items()
    assert what == "scenario file changed since the run"
    assert (before, now) == tuple(hashlib.sha256(each.encode()).hexdigest() for each in (text, file.read_text()))


def test_progress_counts_transfers_and_the_seed_is_of_the_network(tmp_path):
    """A multicast is one transfer of the total, however many receive it."""

    class Counted(Progress):
        def begin(self, label, rounds, unit="rounds"):
            totals.append((rounds, unit))

        def step(self, done, *, simulated_s=None, **values):
            steps.append(done)

    totals, steps = [], []
    with RunFolder.create("my-script", Own(), seed=1, out=tmp_path) as folder:

        async def main(sim):
            await sim.node("edge0").send(sim.nodes_with_role("ue"), bytes(1000))
            await sim.node("ue0").send(sim.node("edge0"), bytes(1000))

        cosim.simulate(main, scenario="wired-star", options={"numUe": 3}, program=programs.record(folder, "one"))
    replayed = replay(folder.path, seed=3, out=tmp_path, progress=Counted(Console(file=io.StringIO())))
    assert totals == [(2, "transfers")]
    assert sorted(steps) == steps
    assert set(steps) == {1, 2}
    assert replayed.manifest["replay"]["seed_of_what_was_learned"] == 1
    assert "seed = 3" in (replayed.path / "config.toml").read_text()
