# SPDX-License-Identifier: GPL-2.0-only
"""docs/security.md, line by line: files that are read execute nothing, runs keep apart, the bridge is one user's."""

import ast
import json
import os
import pickle
import secrets
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from edgelam import _bridge
from edgelam.air.csi.npz import load_npz
from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.models import load_backbone

TOP = Path(__file__).parent.parent
EXECUTING_MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
EXECUTING_CALLS = {"eval", "exec", "torch.load", "pandas.read_pickle", "pd.read_pickle", "yaml.load", "runpy.run_path"}
# Messages between the processes of one run, which are of one user and check that (docs/security.md).
BETWEEN_PROCESSES = {"edgelam/cosim/participants.py", "edgelam/cosim/transfers.py"}
BETWEEN_PROCESSES |= {f"edgelam/parallel/{name}.py" for name in ("host", "launch", "launchers", "rank", "reporting")}
# What a rank runs is the program that the user has typed.
TYPED = {"edgelam/parallel/rank.py": "runpy"}


def executing(source: str) -> list[str]:
    """What in a module's text may execute what it reads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.split(".")[0] in EXECUTING_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in EXECUTING_MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Call):
            name, keywords = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
            if name == "torch.load" and keywords.get("weights_only") == "True":
                continue  # PyTorch's own reader, which makes tensors only
            if name in EXECUTING_CALLS or keywords.get("allow_pickle", "False") != "False":
                found.append(ast.unparse(node))
            if name in ("np.load", "numpy.load") and keywords.get("allow_pickle") != "False":
                found.append(ast.unparse(node))
            if keywords.get("trust_remote_code", "False") != "False":
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from joblib import load", "torch.load(f)", "torch.load(f, weights_only=x)", "eval('1')",
     "np.load(f)", "f(x, allow_pickle=True)", "np.load(f, allow_pickle=yes)",
     "AutoModel.from_pretrained(x, trust_remote_code=True)"],
)  # fmt: skip
def test_what_may_execute_a_file_is_recognised(text):
    assert executing(text)
    assert not executing(
        "np.load(f, allow_pickle=False); torch.load(f, weights_only=True); model.eval(); torch.save(x, f)"
    )
    assert not executing("tomllib.load(f)")


def test_nothing_that_executes_what_it_reads_is_used():
    sources = [path for folder in ("edgelam", "experiments") for path in (TOP / folder).rglob("*.py")]
    assert len(sources) > 100
    found = {path.relative_to(TOP).as_posix(): executing(path.read_text()) for path in sources}
    assert {path for path, what in found.items() if what} == BETWEEN_PROCESSES
    for path in BETWEEN_PROCESSES:
        assert {what for what in found[path] if not what.startswith(TYPED.get(path, "pickle"))} <= {"pickle"}


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture
def trap(tmp_path):
    """A bomb and the file it makes; the bomb is real."""
    trap = tmp_path / "exploded"
    pickle.loads(pickle.dumps(Bomb(trap))).close()  # noqa: S301  # our own bomb
    assert trap.exists()
    trap.unlink()
    return trap


@pytest.fixture
def model_folder(tmp_path):
    """The folder of a small model with a safetensors file."""
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertModel(config).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_pickled_weights_are_not_loaded(trap, model_folder):
    (model_folder / "model.safetensors").unlink()
    torch.save({"embeddings": Bomb(trap)}, model_folder / "pytorch_model.bin")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        load_backbone(model_folder)
    assert not trap.exists()


def test_code_in_a_model_folder_is_not_run(trap, model_folder):
    load_backbone(model_folder)
    (model_folder / "own.py").write_text(
        f"open({str(trap)!r}, 'w')\n"
        "from transformers import BertConfig as Own, BertModel as OwnModel, BertTokenizer as OwnTokenizer\n"
    )
    code = {"AutoConfig": "own.Own", "AutoModel": "own.OwnModel", "AutoTokenizer": ["own.OwnTokenizer", None]}
    settings = model_folder / "config.json"
    facts = json.loads(settings.read_text())
    for kind in ("bert", "own-kind"):  # one that transformers knows, and one that only the code knows
        settings.write_text(json.dumps({**facts, "model_type": kind, "auto_map": code}))
        if kind == "bert":
            load_backbone(model_folder)
        else:
            with pytest.raises(ConfigurationError):
                load_backbone(model_folder)
        assert not trap.exists()


def test_a_recording_with_objects_is_refused(trap, tmp_path):
    path = tmp_path / "recording.npz"
    for bad in ("csi", "metadata"):
        arrays = {"csi": np.zeros((1, 1), "c8"), "metadata": np.array("{}")}
        arrays[bad] = np.array([Bomb(trap)], dtype=object)
        with zipfile.ZipFile(path, "w") as archive:
            for name, values in arrays.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, values)
        with pytest.raises(EdgelamError, match=r"recording\.npz is not a whole"):
            load_npz(path)
        assert not trap.exists()


def test_a_configuration_that_is_a_program_is_refused(trap, tmp_path):
    path = tmp_path / "config.py"
    path.write_text(f"open({str(trap)!r}, 'w')\n")
    command = [sys.executable, "-m", "edgelam", "run", "split-fedft", "--config", str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "config.py" in done.stderr
    assert "Traceback" not in done.stderr
    assert not trap.exists()


MANY_RUNS = """
import dataclasses, datetime, sys
from pathlib import Path
from edgelam.runs.folders.folder import RunFolder

@dataclasses.dataclass
class Settings:
    seed: int = 1

moment = datetime.datetime(2030, 1, 2, 12, 0, 0, tzinfo=datetime.UTC)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(5):
    print(RunFolder.create("same", Settings(), seed=1, out=Path(sys.argv[1]), now=moment).path)
"""


def test_runs_that_start_at_once_in_several_processes_never_share_a_folder(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MANY_RUNS, tmp_path], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    paths = [line for process in processes for line in process.communicate(timeout=120)[0].splitlines()]
    assert len(paths) == len(set(paths)) == 10
    assert {Path(path) for path in paths} == set((tmp_path / "same").iterdir())
    assert all((Path(path) / "manifest.json").exists() for path in paths)


LISTENER = """
import os, socket, sys
os.setuid(65534)
line = socket.socket(socket.AF_UNIX)
line.bind("\\0" + sys.argv[1][1:])
line.listen()
print("ready", flush=True)
line.accept()[0].recv(1)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_participant_does_not_attach_to_another_user():
    address = f"@edgelam-{os.getuid()}-{secrets.token_hex(8)}"
    stranger = subprocess.Popen([sys.executable, "-c", LISTENER, address], text=True, stdout=subprocess.PIPE)
    try:
        assert stranger.stdout.readline() == "ready\n"
        with pytest.raises(_bridge.AttachRefused, match="belongs to user 65534, not to user 0"):
            _bridge.Participant(address, 0, timeout_s=30)
    finally:
        stranger.kill()
        stranger.communicate()
