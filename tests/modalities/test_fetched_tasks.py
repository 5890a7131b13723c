# SPDX-License-Identifier: GPL-2.0-only
"""Tasks with fetched models and trained modules. Skipped, with the command that helps, where these are not there."""

import pytest
import torch

from edgelam.data.fetched import ACTIVITIES, mnist, motions
from edgelam.errors import ConfigurationError
from edgelam.modalities import TASKS, Modules, bytes_to_text, join, scores, spoken, text_to_bytes
from edgelam.modalities.trained import TRAINED, command, is_trained, one_thread
from edgelam.models import fetch


@pytest.fixture(autouse=True)
def single_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def modules():
    return Modules()


def need(*names):
    """Skip the test unless models and modules are there."""
    missing = [command(name) if name in TRAINED else fetch.command(name) for name in names
               if not (is_trained(name) if name in TRAINED else fetch.is_fetched(name))]  # fmt: skip
    if missing:
        pytest.skip("; ".join(missing))


def voice_of(modules):
    need("piper-joe")
    pytest.importorskip("onnxruntime")
    try:
        return modules["piper-joe"]
    except ConfigurationError as error:  # espeak-ng is missing
        pytest.skip(str(error))


def test_one_request_with_two_questions_encodes_its_image_once(modules, monkeypatch):
    need("dinov2-small", "smollm2-135m", "whisper-tiny.en", "mnist-5000", "image-projector")
    voice = voice_of(modules)
    encoder, calls = modules["dinov2-small"], []
    forward = encoder.forward
    monkeypatch.setattr(encoder, "forward", lambda inputs: calls.append(1) or forward(inputs))
    images, digits = mnist("test", 4)
    speech = torch.from_numpy(voice.say("Is it even or odd?"))
    both = join("both", TASKS["image-question"], TASKS["image-speech"])
    right = 0
    for image, digit in zip(images, digits, strict=True):
        inputs = {"image": torch.from_numpy(image), "speech": speech, "question": text_to_bytes("Which digit is it?")}
        values = both.run(inputs, modules)
        word, parity = scores.DIGITS[digit], scores.PARITY[digit % 2]
        right += scores.names(bytes_to_text(values["answer"]), word)
        right += scores.names(bytes_to_text(values["answer@image-speech"]), parity)
    assert len(calls) == len(images)
    alone = TASKS["image-question"].run(inputs, modules)
    assert torch.equal(alone["answer"], values["answer"])
    assert right >= 5  # of 8


def test_the_halves_of_whisper_write_what_the_whole_writes(modules):
    need("whisper-tiny.en")
    voice = voice_of(modules)
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    from edgelam.modalities import pretrained

    folder = fetch.model_folder("whisper-tiny.en")
    whole = pretrained.load("whisper-tiny.en", WhisperForConditionalGeneration)
    said = torch.from_numpy(voice.say(spoken.SENTENCES[0]))
    mel = WhisperFeatureExtractor.from_pretrained(folder)((said.float() / 32768).numpy(), sampling_rate=16_000,
                                                           return_tensors="pt").input_features  # fmt: skip
    with torch.no_grad():
        states = whole.model.encoder(mel).last_hidden_state
        expected = whole.generate(mel, do_sample=False, num_beams=1)[0]
    given = modules["whisper-encoder"].forward({"speech": said})["speech_states"]
    assert (given - states[0]).abs().max() < 1e-4
    decoder = modules["whisper-decoder"]
    text = bytes_to_text(decoder.forward({"speech_states": given})["transcript"])
    assert text == decoder._tokenizer.decode(expected, skip_special_tokens=True).strip()
    assert spoken.word_error_rate(spoken.SENTENCES[0], text) <= 1 / 7
    with pytest.raises(ConfigurationError, match=r"480001 samples; legal are at most 480000 \(30 s\)"):
        modules["whisper-encoder"].forward({"speech": torch.zeros(480_001, dtype=torch.int16)})


def test_the_backbone_continues_as_transformers_does_and_refuses_wrong_prompts(modules):
    need("smollm2-135m")
    backbone, prompt = modules["smollm2-135m"], modules["prompt-question"]
    inputs = prompt.forward({"question": text_to_bytes("What is the capital of France?")})
    steps, tokens = backbone.generate(inputs), []
    while True:
        try:
            tokens.append(int(next(steps)["token"]))
        except StopIteration as end:
            outputs = end.value
            break
    ids = inputs["ids"][None]
    expected = backbone.network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=16, do_sample=False)
    assert tokens == expected[0, ids.shape[1] : ids.shape[1] + len(tokens)].tolist()
    assert "Paris" in bytes_to_text(outputs["answer"])
    assert outputs["state"].shape == (576,)
    # a soft token that is a word's embedding is that word
    table = backbone.network.get_input_embeddings().weight
    soft = {"ids": inputs["ids"].clone(), "most_tokens": torch.tensor([0]), "soft": table[inputs["ids"][3]][None]}
    soft["ids"][3] = -1
    assert torch.equal(backbone.forward(soft)["state"], outputs["state"])
    for change, said in (
        ({"soft": torch.zeros(2, 576)}, r"legal is torch.float32 \[1, 576\]"),
        ({"ids": torch.tensor([-2, 5]), "soft": torch.zeros(0, 576)}, "ids from -2 to 5"),
        ({"ids": torch.tensor([49_152]), "soft": torch.zeros(0, 576)}, "from -1 to 49151"),
        ({"most_tokens": torch.tensor([257])}, "legal is 0 to 256"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            backbone.forward(soft | change)
    assert backbone.cache_bytes(1) == 46_080  # twice the published 23,040 in float16


def test_activities_and_their_control():
    need("basic-motions", "sensor-model")
    series, labels = map(torch.from_numpy, motions("test"))
    with torch.no_grad():
        right, random = (
            float((modules.network("sensor-model")(series).argmax(dim=1) == labels).float().mean())
            for modules in (Modules(), Modules(["sensor-model"]))
        )
    assert right >= 0.9
    assert right > random
    activity = Modules()
    one = {"series": series[0]}
    for name in ("sensor-tokenizer", "sensor-encoder", "activity-classifier"):
        one = activity[name].forward(one)
    assert bytes_to_text(one["activity"]) == ACTIVITIES[labels[0]]


def test_words_are_understood_without_a_transcript(modules):
    need("whisper-tiny.en", "smollm2-135m", "speech-projector")
    voice = voice_of(modules)
    words = list(zip(*spoken.spoken_words(voice, (1.06,), 1), strict=True))
    for said, number in words[:2]:
        answer = TASKS["spoken-word"].run({"speech": torch.from_numpy(said)}, modules)["answer"]
        assert scores.names(bytes_to_text(answer), spoken.WORDS[number])


def test_pictures_are_of_the_digit_that_is_asked_for_and_not_with_random_weights():
    need("digit-decoder")
    from sklearn.svm import SVC

    from edgelam.modalities.denoising import draw, start
    from edgelam.modalities.recipes import digit_decoder

    pictures, labels, test, wanted = digit_decoder.parts()
    judge = SVC(C=10.0).fit(pictures.reshape(len(pictures), -1), labels)
    assert judge.score(test.reshape(len(test), -1), wanted) > 0.95
    digits = torch.arange(100) % 10
    condition = torch.nn.functional.one_hot(digits, 10).float()
    shares = []
    for modules in (Modules(), Modules(["digit-decoder"])):
        drawn = draw(modules.network("digit-decoder"), condition, start(100, 1)).numpy()
        shares.append((judge.predict(drawn) == digits.numpy()).mean())
    assert shares[0] > 0.85
    assert shares[1] < 0.3


def test_weights_and_settings_are_in_a_hash(modules):
    need("digit-decoder")
    own = modules["digit-decoder"].weights_hash
    assert own == Modules()["digit-decoder"].weights_hash
    assert own != Modules(["digit-decoder"])["digit-decoder"].weights_hash
    assert modules["digit-decoder"].weight_bytes == 4 * sum(
        each.numel() for each in modules["digit-decoder"].network.parameters()
    )
