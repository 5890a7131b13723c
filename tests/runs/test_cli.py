# SPDX-License-Identifier: GPL-2.0-only
import dataclasses
import os
import signal
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from edgelam.commands import main as cli
from edgelam.errors import ConfigurationError
from edgelam.runs import experiments, load
from edgelam.runs.configuration import from_toml, to_toml
from edgelam.runs.network import Network


def edgelam(*arguments: str, timeout: float = 120, **options) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "300"}
    return subprocess.run(
        [sys.executable, "-m", "edgelam", *arguments],
        capture_output=True, text=True, timeout=timeout, env=environment, check=False, **options,
    )  # fmt: skip


def in_process(capsys, *arguments: str) -> tuple[int, str, str]:
    try:
        status = cli.main(arguments)
    except SystemExit as stop:
        status = int(stop.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def split_fedft():
    return experiments.find("split-fedft")


def options_of(kind: type, prefix: str = "") -> dict[str, str]:
    """Option -> field by the naming rule: dashes, nested groups with a dot, flattened where the name is empty."""
    found = {}
    for field in dataclasses.fields(kind):
        hint = typing.get_type_hints(kind, include_extras=True)[field.name]
        flattened = hint is Network or any(
            getattr(note, "name", None) == "" for note in getattr(hint, "__metadata__", ())
        )
        plain = typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
        name = field.name.replace("_", "-")
        if dataclasses.is_dataclass(plain):
            found |= options_of(plain, prefix if flattened else f"{prefix}{name}.")
        else:
            found[f"--{prefix}{name}"] = field.name
    return found


def test_every_field_of_the_configuration_is_an_option(capsys, split_fedft):
    status, text, _ = in_process(capsys, "run", "split-fedft", "--help")
    assert status == 0
    options = options_of(split_fedft.config)
    for option in ("--seed", "--scenario", "--rounds", "--num-devices", "--lora.rank", "--round-deadline-s"):
        assert option in options
    words = set(text.replace(",", " ").split())
    missing = [option for option in [*options, "--config", "--out"] if option not in words]
    assert not missing


def test_start_up_does_not_import_torch():
    code = "import sys, edgelam.commands.main as m\ntry: m.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print('heavy', [m for m in ('torch', 'pandas', 'matplotlib') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "heavy []" in done.stdout
    for command in ("run", "plot", "list", "doctor", "bench", "scenario"):
        assert command in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "split-fedtf"], "no experiment is called 'split-fedtf'; did you mean 'split-fedft'"),
        (
            ["run", "split-fedft", "--scenario", "lte-marco"],
            "no scenario is called 'lte-marco'; did you mean 'lte-macro'",
        ),
        (["run", "split-fedft", "--config", "quikc"], "no recipe is called 'quikc'; did you mean 'quick'"),
        (["run", "split-fedft", "--config", "nowhere.toml"], "cannot read the configuration nowhere.toml"),
        (["run", "split-fedft", "--round", "7"], "--rounds"),
        (["run", "split-fedft", "--rounds", "seven"], "seven"),
        (["run", "split-fedft", "--rounds", "0"], "rounds is 0; it must be at least 1"),
        (["run", "split-fedft", "--cut", "middle"], "tokens"),
        (["run", "split-fedft", "--seed", "-1"], "seed is -1"),
        (["run", "split-fedft", "--options", "numUe"], "--options takes NAME=VALUE, got 'numUe'"),
        (["run", "split-fedft", "--options", "numUE=3"], "option --numUE is unknown; did you mean --numUe?"),
        (["run", "split-fedft", "--options", "numUe=0"], "option --numUe=0 is not legal"),
        (["run", "split-fedft", "--options", "numUe=3"], "has 3 nodes of role ue, and 4 are needed"),
        (["run", "split-fedft", "--scenario", "none", "--options", "a=1"], "scenario none has no options"),
        (["run", "split-fedft", "--scenario", "./no-such"], "'./no-such' is not a program that can be run"),
        (
            ["run", "split-fedft", "--traces", "block"],
            "scenario nr-urban-micro has no trace 'block'; did you mean 'blocks'? There are: blocks, packets, csi",
        ),
        (["run", "split-fedft", "--traces", "csi", "--scenario", "wired-star"], "scenario wired-star has no traces"),
        (["run", "split-fedft", "--traces", "csi", "--scenario", "none"], "scenario none has no traces"),
        (["run", "split-fedft", "--task", "mnist"], "no task 'mnist': built in are ns3-comments, digits"),
        (["run", "split-fedft", "--task", "mine.csv"], "mine.csv: no such file"),
        (["run", "split-fedft", "--devices", "ue*=jetson-oring"], "did you mean 'jetson-orin'"),
        (
            ["run", "split-fedft", "--devices", "ue*=phone,battery_j=0"],
            "--devices ue*=phone,battery_j=0: device 'phone,battery_j=0': battery_j = 0.0 must be positive and finite",
        ),
        (["run", "--seed", "3", "split-fedft"], "EXPERIMENT"),
        (["run"], "EXPERIMENT"),
        (["run", "split-fedft", "--backbone", "minlm"], "backbone 'minlm' is neither a local model folder nor"),
        (["run", "channel-prediction", "--backbone", "gpt3"], "backbone 'gpt3' is neither a local model folder nor"),
        (["run", "channel-prediction", "--device", "gpu"], "device is 'gpu'; legal are PyTorch's: cpu, cuda"),
        (["run", "channel-prediction", "--duplex", "fdd"], "method hold-last cannot predict another band; legal"),
        (["plott", "x"], "no command is called 'plott'; did you mean 'plot'? There are: run, campaign"),
        (["csi", "shw", "x"], "no command is called 'csi shw'; did you mean 'show'? There are: record, show"),
        (["compare", "a", "b", "--out", "nowhere/c.html"], "--out nowhere/c.html: there is no folder nowhere"),
        (["bench", "brige"], "bridge"),
        (["bench", "channel", "--growth"], "--growth belongs to: edgelam bench radio"),
        (["bench", "transfers", "--cells"], "--cells belongs to: edgelam bench radio"),
        (["bench", "radio", "--figure", "x"], "--figure belongs to: edgelam bench collectives, or to --growth"),
    ],
)
def test_wrong_usage_is_one_clear_block_with_what_is_right(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    status, out, err = in_process(capsys, *arguments)
    assert status != 0
    assert message in " ".join(err.split()) or message in " ".join(out.split())
    assert "Traceback" not in err
    assert status == 2 or "cannot read" in err
    assert not list(tmp_path.iterdir())  # nothing is made for what cannot be run


def test_a_scenario_of_a_file_needs_its_path(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("cell.cc").touch()
    assert in_process(capsys, "run", "split-fedft", "--scenario", "cell")[2].startswith(
        "edgelam: no scenario is called 'cell'; for the file say ./cell.cc; there are: csi"
    )


def test_an_error_prints_no_traceback_and_exits_1(tmp_path):
    done = edgelam("plot", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == f"edgelam: {tmp_path} is not a run folder: it has no manifest.json\n"


def test_version():
    import edgelam as package

    assert edgelam("--version").stdout == f"edgelam {package.__version__}\n"


def test_list_names_experiments_recipes_and_scenarios(capsys):
    status, text, err = in_process(capsys, "list")
    assert status == 0, err
    for word in ("split-fedft", "quick", "full", "wired-star", "lte-macro", "nr-urban-micro", "nr-indoor", "none"):
        assert word in text
    assert "wired-star  devices and edge servers around one router" in text


@pytest.mark.parametrize("recipe", ["quick", "full"])
def test_a_recipe_survives_toml(split_fedft, tmp_path, recipe):
    config = split_fedft.recipes[recipe]()
    file = tmp_path / "c.toml"
    file.write_text(to_toml(config))
    assert from_toml(file, split_fedft.config) == config


def test_options_override_the_file_and_the_file_the_defaults(capsys, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text("seed = 5\nscenario = 'none'\n[learning]\nrounds = 7\n[learning.lora]\nrank = 3\n")
    status, text, err = in_process(
        capsys, "run", "split_fedft", "--config", str(file), "--seed", "9", "--lora.alpha", "4", "--print-config"
    )
    assert status == 0, err
    again = tmp_path / "again.toml"
    again.write_text(text)
    config = from_toml(again, experiments.find("split-fedft").config)
    assert (config.seed, config.network.scenario, config.learning.rounds) == (9, "none", 7)
    assert (config.learning.lora.rank, config.learning.lora.alpha) == (3, 4.0)


def test_a_value_in_a_file_is_checked_like_an_option(tmp_path, split_fedft):
    file = tmp_path / "c.toml"
    file.write_text("[learning]\nrounds = 0\n")
    with pytest.raises(ConfigurationError, match="rounds is 0"):
        from_toml(file, split_fedft.config)
    file.write_text("[learning]\nencoding = 'int4'\n")
    with pytest.raises(ConfigurationError, match=r"learning\.encoding is 'int4'; legal are fp64, fp32"):
        from_toml(file, split_fedft.config)


def test_a_plain_source_tree_finds_its_experiments(tmp_path):
    code = (
        "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'Editable' not in type(f).__name__ "
        "and 'ScikitBuild' not in type(f).__name__]\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from edgelam.runs import experiments; print(experiments.names())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "split-fedft" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "split-fedft", "--options", "numUe=5", "--options", "bandwidth=20"], "--options is given twice"),
        (["run", "split-fedft", "--seed=1", "--seed", "2"], "--seed is given twice"),
        (["campaign", "split-fedft"], "a campaign of one run"),
        (["campaign", "split-fedft", "--grid"], "a campaign of one run"),
    ],
)
def test_what_would_be_taken_without_a_word_is_refused(capsys, arguments, words):
    status, _, error = in_process(capsys, *arguments)
    assert status == 2
    assert words in error


OWN = """
\"\"\"An experiment whose figures fail until they are mended.\"\"\"
import dataclasses
import os
from edgelam.runs import load

@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 1
    rows: int = 1

RECIPES = {"one": Config}

def run(config, folder, progress):
    table = folder.table("metrics", {"loss": float})
    if config.rows < 0:
        os.kill(os.getpid(), 9)
    for row in range(config.rows):
        table.append({"loss": row})

def plot(path):
    raise ZeroDivisionError("no such scale")

def report(path, console):
    console.print(f"loss {load(path).metrics.iloc[-1].loss}")
"""


def test_an_error_in_a_figure_leaves_the_run_completed_and_it_is_drawn_later(tmp_path):
    file = tmp_path / "own" / "mine.py"
    file.parent.mkdir()
    file.write_text(OWN)
    environment = os.environ | {"EDGELAM_EXPERIMENTS": str(file.parent)}

    def run(*arguments):
        command = [sys.executable, "-m", "edgelam", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)

    done = run("run", "mine")
    (path,) = (tmp_path / "runs" / "mine").iterdir()
    assert done.returncode == 1
    assert f"plot() of experiment mine cannot show {path.relative_to(tmp_path)}: ZeroDivisionError: no such scale" in (
        done.stderr
    )
    line = OWN[: OWN.index("raise")].count("\n") + 1
    assert f"{file}:{line})" in done.stderr
    assert "loss 0.0" in done.stdout  # tables and report come all the same
    assert (path / "report.html").exists()
    assert load(path).state == "completed"
    assert load(path).metrics["loss"].tolist() == [0.0]
    assert "Traceback" not in done.stderr
    assert "use: edgelam plot" in done.stderr
    file.write_text(OWN.replace('raise ZeroDivisionError("no such scale")', 'return [path / "loss.svg"]'))
    again = run("plot", str(path))
    assert (again.returncode, again.stderr) == (0, "")
    assert "figure: " in again.stdout

    killed = run("run", "mine", "--rows", "-1")
    assert killed.returncode == -signal.SIGKILL
    unfinished = max((tmp_path / "runs" / "mine").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    for command in ("plot", "report"):
        shown = run(command, str(unfinished))
        assert "Traceback" not in shown.stderr
    assert "(the run is killed: its tables may lack rows, or be missing)" in " ".join(
        run("plot", str(unfinished)).stderr.split()
    )
    assert "report() of experiment mine cannot show" in (unfinished / "report.html").read_text()
