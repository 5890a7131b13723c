# SPDX-License-Identifier: GPL-2.0-only
"""Training of small modules: the same bytes again, after an interruption too; what is damaged or foreign is refused."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from edgelam.commands.main import main
from edgelam.errors import ConfigurationError
from edgelam.modalities import trained
from edgelam.modalities.recipes import digit_decoder
from edgelam.models import fetch


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of its own, and a decoder that needs few steps."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(digit_decoder, "STEPS", 60)
    monkeypatch.setattr(digit_decoder, "CHECKPOINT", 20)
    return tmp_path / "edgelam" / "models"


def weights_of(folder):
    return (folder / trained.WEIGHTS).read_bytes()


def kept(cache):
    return sorted(path.name for path in cache.iterdir())


def test_a_seed_gives_its_weights_and_another_seed_replaces_them(cache):
    said = []
    with pytest.raises(ConfigurationError, match=r"'digit-decoder' is not there: edgelam models train digit-decoder"):
        trained.load_trained("digit-decoder")
    folder = trained.train("digit-decoder", say=said.append)
    first = weights_of(folder)
    assert said == [f"digit-decoder: step {step} of 60: loss {loss}" for step, loss in
                    ((s, line.split()[-1]) for s, line in zip((20, 40, 60), said, strict=True))]  # fmt: skip
    assert json.loads((folder / fetch.RECORD).read_text())["seed"] == 0
    trained.train("digit-decoder", say=said.append)
    assert len(said) == 3  # it was there
    trained.train("digit-decoder", seed=1, say=said.append)
    assert weights_of(folder) != first
    trained.train("digit-decoder", say=said.append)
    assert weights_of(folder) == first
    assert kept(cache) == ["digit-decoder"]
    with pytest.raises(ConfigurationError, match="seed -1"):
        trained.train("digit-decoder", seed=-1)


def test_a_killed_training_goes_on_to_the_same_weights(cache):
    code = """
import time
from edgelam.modalities import trained
from edgelam.modalities.recipes import digit_decoder
digit_decoder.STEPS, digit_decoder.CHECKPOINT = 60, 20
def say(line):
    print(line, flush=True)
    if "step 40" in line:
        time.sleep(60)
trained.train("digit-decoder", say=say)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert "step 20" in process.stdout.readline()
    assert "step 40" in process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert kept(cache) == [".training-digit-decoder"]
    said = []
    resumed = weights_of(trained.train("digit-decoder", say=said.append))
    assert [line.split(":")[1] for line in said] == [" step 40 of 60", " step 60 of 60"]
    trained.train("digit-decoder", seed=1, say=said.append)
    assert weights_of(trained.train("digit-decoder", say=said.append)) == resumed  # in one go


def test_checkpoints_of_another_seed_are_not_used(cache):
    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained.train("digit-decoder", seed=7, say=stop)
    left = trained.train("digit-decoder", say=lambda line: None)
    fresh = weights_of(left)
    trained.train("digit-decoder", seed=1, say=lambda line: None)
    assert weights_of(trained.train("digit-decoder", say=lambda line: None)) == fresh


def test_damaged_and_foreign_files_are_refused(cache):
    folder = trained.train("digit-decoder", say=lambda line: None)
    good, record = weights_of(folder), (folder / fetch.RECORD).read_text()
    (folder / trained.WEIGHTS).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ConfigurationError, match=r"is damaged.*edgelam models train digit-decoder"):
        trained.load_trained("digit-decoder")
    save_file({"other": torch.zeros(2)}, folder / trained.WEIGHTS)
    foreign = json.loads(record)
    foreign["files"][trained.WEIGHTS] = trained.digest_of(folder / trained.WEIGHTS)
    (folder / fetch.RECORD).write_text(json.dumps(foreign))
    with pytest.raises(ConfigurationError, match="does not hold a digit-decoder"):
        trained.load_trained("digit-decoder")
    (folder / trained.WEIGHTS).write_bytes(good)
    (folder / fetch.RECORD).write_text(record.replace('"sources": {}', '"sources": {"dinov2-small": "0"}'))
    with pytest.raises(ConfigurationError, match=r"was trained with other files .*train it again"):
        trained.load_trained("digit-decoder")
    for text, said in (("{", "cannot be read as JSON"), ('{"format": 9}', "another version of edgelam")):
        (folder / fetch.RECORD).write_text(text)
        with pytest.raises(ConfigurationError, match=said):
            trained.load_trained("digit-decoder")
    again = trained.train("digit-decoder", say=lambda line: None)
    assert weights_of(again) == good
    assert load_file(again / trained.WEIGHTS).keys() == digit_decoder.empty().state_dict().keys()


def test_what_a_recipe_needs_is_asked_for_by_its_command(cache, capsys):
    with pytest.raises(ConfigurationError, match=r"edgelam models fetch dinov2-small \(90 MB\)"):
        trained.train("image-projector")
    assert main(["models", "train", "image-projecter"]) != 0
    assert "did you mean 'image-projector'" in capsys.readouterr().err
    assert main(["models", "train"]) != 0
    assert "--all" in capsys.readouterr().err
    assert main(["models", "score", "image"]) != 0
    assert "no task is called 'image'" in capsys.readouterr().err


def test_a_decoder_learns_to_draw(cache, monkeypatch):
    """After 300 steps, pictures are nearer to real ones of their digit than those of a decoder that has learnt less."""
    monkeypatch.setattr(digit_decoder, "STEPS", 300)
    trained.train("digit-decoder", say=lambda line: None)
    after = _error(trained.load_trained("digit-decoder"))
    monkeypatch.setattr(digit_decoder, "STEPS", 20)
    trained.train("digit-decoder", seed=1, say=lambda line: None)
    assert after < 0.8 * _error(trained.load_trained("digit-decoder"))


def _error(network):
    from edgelam.modalities.denoising import loss

    pictures, digits = map(torch.from_numpy, digit_decoder.parts()[2:])
    condition = torch.nn.functional.one_hot(digits, 10).float()
    with torch.no_grad():
        return float(loss(network, pictures.flatten(1), condition, torch.Generator().manual_seed(1)))
