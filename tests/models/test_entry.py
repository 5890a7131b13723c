# SPDX-License-Identifier: GPL-2.0-only
"""The cut model is the model or is refused, over the architectures of transformers and the way models are loaded."""

from pathlib import Path

import pytest
import tiny_models
import torch

from edgelam.errors import ConfigurationError
from edgelam.models import Encoder, Head, LoraSettings, TokenEmbedding, load_backbone
from edgelam.models.backbone import Backbone
from edgelam.models.entry import AbsentTable
from edgelam.models.padding import mask_of

LENGTHS = [5, 2, 11]


@pytest.mark.parametrize("name", tiny_models.SAME)
def test_the_cut_model_gives_the_hidden_states_of_the_whole_one(name: str, tmp_path: Path) -> None:
    backbone = load_backbone(tiny_models.save(name, tiny_models.SAME[name], tmp_path))
    generator = torch.Generator().manual_seed(7)
    rows = [torch.randint(5, tiny_models.VOCABULARY, (length,), generator=generator) for length in LENGTHS]
    encoder = Encoder(
        backbone, LoraSettings(rank=2, targets=("in_proj",) if name == "Mamba" else ("all-linear",)), cut="tokens"
    ).eval()
    assert isinstance(encoder.model.get_input_embeddings(), AbsentTable)
    mask = mask_of(torch.tensor(LENGTHS))
    ids = torch.full(mask.shape, 9)  # padding is hidden by the mask, whatever it is
    ids[mask] = torch.cat(rows)
    with torch.no_grad():
        hidden = encoder(TokenEmbedding(backbone)(ids), mask)
        for found, row in zip(hidden, rows, strict=True):
            whole = backbone.model(input_ids=row[None], attention_mask=torch.ones_like(row)[None]).last_hidden_state[0]
            scale = float(whole.square().mean().sqrt())
            torch.testing.assert_close(found[: len(row)] / scale, whole / scale, rtol=0, atol=2e-5)
    assert hidden.shape[-1] == backbone.hidden_width == Head(backbone, 3).linear.in_features
    assert backbone.causal == (name in tiny_models.CAUSAL)
    assert backbone.max_length == (None if name in tiny_models.UNBOUNDED else 64 - 2 * (name in tiny_models.FROM_TWO))


@pytest.mark.parametrize("name", tiny_models.OTHER)
def test_what_would_be_another_model_is_refused(name: str, tmp_path: Path) -> None:
    settings, fault = tiny_models.OTHER[name]
    with pytest.raises(ConfigurationError, match=fault) as error:
        load_backbone(tiny_models.save(name, settings, tmp_path))
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_a_leak_is_refused_with_its_size_however_the_backbone_was_made() -> None:
    """The check belongs to the backbone, not to `load_backbone`; here to one that adds the mean of all tokens."""
    backbone = load_backbone()
    leak = 1e-3

    def add_mean(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        return output + leak * output.mean(dim=1, keepdim=True)

    backbone.model.embeddings.register_forward_hook(add_mean)
    made = Backbone("leaking", backbone.model, None, False, False)
    with pytest.raises(ConfigurationError, match=r"hidden states of 4 tokens differ by [0-9.e-]+ .*padding"):
        Encoder(made, LoraSettings())
    leak = 0.0
    with torch.no_grad():
        assert Encoder(Backbone("whole", backbone.model, None, False, False), LoraSettings()).hidden is not None


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = tiny_models.save("Bert", tiny_models.TEXT, tmp_path) / "model.safetensors"
    weights = load_file(file)
    next(value for name, value in weights.items() if name.endswith("query.weight"))[0, 0] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ConfigurationError, match="NaN or infinite"):
        load_backbone(tmp_path)


def test_checking_changes_neither_the_model_nor_the_random_numbers(tmp_path: Path) -> None:
    backbone = load_backbone(tiny_models.save("BigBird", tiny_models.TEXT, tmp_path))
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert backbone.entry == Backbone("again", backbone.model, None, False, True).entry
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(value, before[name]) for name, value in backbone.model.state_dict().items())
    assert backbone.model.encoder.layer[0].attention.attention_type == "block_sparse"  # not what short text makes it
