# SPDX-License-Identifier: GPL-2.0-only
"""Every cut of every model gives the logits of the whole, with padding and with keys and values that are kept."""

from itertools import pairwise

import pytest
import torch
import transformers

from edgelam.errors import ConfigurationError
from edgelam.models import load_backbone
from edgelam.models.cuts import EfficientNetCuts, ImageCuts, SpeechCuts, TextCuts
from edgelam.models.efficientnet_lite import EfficientNetLite, preprocess
from edgelam.models.padding import mask_of
from edgelam.random_streams import torch_generator
from tests.models.tiny_models import SAME, save

CUT = ["Bert", "DistilBert", "Roberta", "MPNet", "DebertaV2", "ModernBert", "RoFormer", "Electra", "OPT", "GPT2",
       "GPTNeoX", "Phi", "Llama", "Mistral", "Qwen2", "Gemma", "Gemma2", "Gemma3Text"]  # fmt: skip


@pytest.fixture
def backbone_of(tmp_path):
    """Load a tiny backbone of a kind, with three layers."""

    def load(kind: str):
        settings = dict(SAME[kind])
        name = next(n for n in ("num_hidden_layers", "n_layers", "n_layer", "num_layers") if n in settings)
        return load_backbone(save(kind, {**settings, name: 3}, tmp_path / kind))

    return load


def head_of(backbone):
    torch.manual_seed(2)
    return torch.nn.Linear(backbone.hidden_width, 5)


@pytest.mark.parametrize("kind", CUT)
def test_every_cut_gives_the_whole_models_logits(backbone_of, kind):
    backbone = backbone_of(kind)
    cuts = TextCuts(backbone, head_of(backbone))
    assert cuts.stages == ("embedding", "layer 0", "layer 1", "layer 2", "head")
    lengths = torch.tensor([9, 4])
    ids = torch.randint(5, 90, (2, 9), generator=torch_generator(1))
    mask = mask_of(lengths)
    with torch.no_grad():
        whole = cuts.head(backbone.entry.hidden(backbone.model, backbone.model.get_input_embeddings()(ids), mask))
        for cut in range(len(cuts.stages) + 1):
            near = cuts.run({"ids": ids, "mask": mask}, 0, cut)
            far = cuts.run(near, cut, len(cuts.stages))
            torch.testing.assert_close(far["logits"][mask], whole[mask], rtol=0, atol=1e-5)
            assert set(near) <= {"ids", "hidden", "mask", "logits"}


def test_a_model_in_three_places_trains_as_the_whole(backbone_of):
    backbone = backbone_of("Llama")
    model = backbone.model.double()
    model.requires_grad_(True)
    cuts = TextCuts(backbone, head_of(backbone).double())
    ids = torch.randint(5, 90, (2, 6), generator=torch_generator(1))
    state = {"ids": ids}
    for first, last in pairwise([0, 2, 3, 5]):
        state = cuts.run(state, first, last)
    gradients = torch.autograd.grad(state["logits"].square().sum(), list(model.layers.parameters()))
    whole = cuts.head(model(input_ids=ids).last_hidden_state)
    own = torch.autograd.grad(whole.square().sum(), list(model.layers.parameters()))
    for found, expected in zip(gradients, own, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["Llama", "GPT2", "Gemma3Text", "OPT"])
@pytest.mark.parametrize("cut", [0, 1, 2, 4, 5])
def test_tokens_one_by_one_with_a_memory_on_each_side(backbone_of, kind, cut):
    backbone = backbone_of(kind)
    cuts = TextCuts(backbone, head_of(backbone))
    ids = torch.randint(5, 90, (2, 21), generator=torch_generator(1))  # beyond the sliding window of 16
    mask = mask_of(torch.tensor([21, 18]), side="left" if backbone.entry.explicit_positions else "right")
    mask = mask if backbone.entry.explicit_positions else torch.ones_like(mask)
    stages = len(cuts.stages)
    with torch.no_grad():
        whole = cuts.run({"ids": ids, "mask": mask}, 0, stages)["logits"]
        near, far, found = cuts.memory(0, cut), cuts.memory(cut, stages), []
        for first, last in pairwise([0, 6, 7, 8, *range(9, 22)]):
            crossing = cuts.run({"ids": ids[:, first:last], "mask": mask[:, first:last]}, 0, cut, near)
            if "mask" not in crossing and cut == stages:
                found.append(crossing["logits"])
            else:
                found.append(cuts.run(crossing, cut, stages, far)["logits"])
    torch.testing.assert_close(torch.cat(found, dim=1)[mask], whole[mask], rtol=0, atol=1e-5)


def test_weights_are_counted_once(backbone_of):
    backbone = backbone_of("Llama")
    cuts = TextCuts(backbone)  # logits by the token table
    total = sum(w.numel() * 4 for w in backbone.model.parameters())
    assert cuts.weight_bytes(0, len(cuts.stages)) == total
    table = 4 * backbone.token_table.numel()
    assert cuts.weight_bytes(0, 1) == cuts.weight_bytes(4, 5) == table
    assert cuts.weight_bytes(0, 2) + cuts.weight_bytes(2, 5) == total + table  # both sides need it
    assert cuts.weight_bytes(2, 2) == 0


def test_language_model_with_its_own_table(backbone_of):
    backbone = backbone_of("Llama")
    cuts = TextCuts(backbone)
    ids = torch.tensor([[5, 6, 7]])
    causal = transformers.LlamaForCausalLM(backbone.model.config)
    causal.model = backbone.model
    causal.lm_head.weight = backbone.model.get_input_embeddings().weight
    with torch.no_grad():
        expected = causal(input_ids=ids).logits
        torch.testing.assert_close(cuts.run({"ids": ids}, 0, 5)["logits"], expected, rtol=0, atol=1e-5)


def test_what_is_refused(backbone_of):
    cuts = TextCuts(backbone_of("Bert"), torch.nn.Identity())
    good = torch.tensor([[5, 6]])
    with pytest.raises(ConfigurationError, match=r"stages 0 to 6 .* legal are 0 <= first <= last <= 5: embedding"):
        cuts.run({"ids": good}, 0, 6)
    with pytest.raises(ConfigurationError, match="stages 3 to 2"):
        cuts.run({"ids": good}, 3, 2)
    with pytest.raises(ConfigurationError, match=r"before layer 1 lacks hidden; it has ids"):
        cuts.run({"ids": good}, 2, 5)
    with pytest.raises(ConfigurationError, match="ids from 5 to 96; legal are 0 to 95"):
        cuts.run({"ids": torch.tensor([[5, 96]])}, 0, 1)
    with pytest.raises(ConfigurationError, match=r"ids are torch.int64 \[2\]"):
        cuts.run({"ids": torch.tensor([5, 6])}, 0, 1)
    with pytest.raises(ConfigurationError, match=r"the mask is torch.int64 \[1, 2\]; legal is torch.bool"):
        cuts.run({"ids": good, "mask": good}, 0, 1)
    with pytest.raises(ConfigurationError, match=r"is not causal: it does not continue sequences"):
        cuts.memory(0, 3)
    with pytest.raises(ConfigurationError, match=r"before layer 1 are \[1, 2, 9\]; legal is \[batch, length, 32\]"):
        cuts.run({"hidden": torch.zeros(1, 2, 9)}, 2, 3)
    longest = cuts.backbone.max_length
    with pytest.raises(ConfigurationError, match=rf"{longest + 1} tokens; backbone .* takes at most {longest}"):
        cuts.run({"ids": torch.ones(1, longest + 1, dtype=torch.int64)}, 0, 2)


@pytest.mark.parametrize(
    "kind", ["Albert", "T5Encoder"]
)  # layers that share weights; the first one makes a bias for all
def test_a_backbone_that_cannot_be_cut_at_every_layer_is_refused(backbone_of, kind):
    backbone = backbone_of(kind)
    with pytest.raises(ConfigurationError, match=r"cannot be cut between layers: .*(are not found|differ by)"):
        TextCuts(backbone, head_of(backbone))


def test_dinov2():
    torch.manual_seed(1)
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, image_size=28, patch_size=14
    )
    model = transformers.Dinov2Model(config).eval()
    cuts = ImageCuts(model, lambda image: image.float() / 255, lambda tokens: tokens[:, 0])
    image = torch.randint(256, (2, 3, 28, 28), generator=torch_generator(1), dtype=torch.uint8)
    with torch.no_grad():
        whole = model(image.float() / 255).last_hidden_state[:, 0]
        for cut in range(len(cuts.stages) + 1):
            logits = cuts.run(cuts.run({"image": image}, 0, cut), cut, len(cuts.stages))["logits"]
            torch.testing.assert_close(logits, whole, rtol=0, atol=1e-5)
    own = sum(w.numel() * 4 for w in model.parameters())
    assert cuts.weight_bytes(0, len(cuts.stages)) == own


def test_efficientnet():
    torch.manual_seed(1)
    model = EfficientNetLite("lite0").eval()
    cuts = EfficientNetCuts(model)
    image = torch.randint(256, (1, 3, 64, 64), generator=torch_generator(1), dtype=torch.uint8)
    with torch.no_grad():
        whole = model(preprocess(image.float()))
        maps = [cuts.run({"image": image}, 0, cut) for cut in range(len(cuts.stages) + 1)]
        for cut, state in enumerate(maps):
            torch.testing.assert_close(cuts.run(state, cut, 9)["logits"], whole, rtol=0, atol=1e-5)
    kilobytes = [state["map"].numel() * 2 // 1000 for state in maps[2:9]]  # fp16, after stages 1 to 7
    assert kilobytes == [401, 150, 62, 31, 43, 18, 31]


@pytest.fixture(scope="module")
def whisper():
    torch.manual_seed(1)
    config = transformers.WhisperConfig(
        vocab_size=60, num_mel_bins=8, d_model=16, encoder_layers=2, decoder_layers=3, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_source_positions=20,
        max_target_positions=12, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    return transformers.WhisperForConditionalGeneration(config).eval()


def test_whisper_at_every_cut_and_token_by_token(whisper):
    cuts = SpeechCuts(whisper, lambda speech: speech)
    assert cuts.stages == (
        "spectrum",
        "encoder 0",
        "encoder 1",
        "embedding",
        "decoder 0",
        "decoder 1",
        "decoder 2",
        "head",
    )
    mel = torch.randn(2, 8, 40, generator=torch_generator(1))
    ids = torch.randint(60, (2, 6), generator=torch_generator(2))
    stages = len(cuts.stages)
    with torch.no_grad():
        whole = whisper(input_features=mel, decoder_input_ids=ids).logits
        for cut in range(stages + 1):
            logits = cuts.run(cuts.run({"speech": mel, "ids": ids}, 0, cut), cut, stages)["logits"]
            torch.testing.assert_close(logits, whole, rtol=0, atol=1e-5)
            near, far, found = cuts.memory(0, cut), cuts.memory(cut, stages), []
            for first, last in pairwise([0, 2, 3, 4, 6]):
                crossing = cuts.run({"speech": mel, "ids": ids[:, first:last]} if first == 0
                                    else {"ids": ids[:, first:last]}, 0, cut, near)  # fmt: skip
                assert first == 0 or "states" not in crossing
                found.append(cuts.run(crossing, cut, stages, far)["logits"])
            torch.testing.assert_close(torch.cat(found, dim=1), whole, rtol=0, atol=1e-5)
    with pytest.raises(ConfigurationError, match="a spectrum of 10 states; this model takes 20"):
        cuts.run({"speech": mel[:, :, :20], "ids": ids}, 0, 1)
