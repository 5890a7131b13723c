# SPDX-License-Identifier: GPL-2.0-only
"""Sessions: a state goes on with the same tokens, bit for bit, and its bytes are those that one works out."""

import pytest
import torch
from small_llama import small_llama

from edgelam.cosim import encoding as codec
from edgelam.errors import ConfigurationError
from edgelam.modalities.session import STATE, Session, SessionTurn, cache_bytes
from edgelam.models.fetch import is_fetched

IDS = torch.tensor([5, 17, 3, 99, 42, 7])


def turns(module, state, count, through=None):
    """Tokens of several turns, with the state passed through a function between them."""
    said = []
    for i in range(count):
        given = dict(state) | {"ids": IDS + i, "most_tokens": torch.tensor([5])}
        outputs = module.forward(given)
        said.append(outputs["tokens"])
        state = {name: outputs[name] for name in STATE}
        state = through(state) if through else state
    return torch.cat(said), state


def over_a_wire(state):
    sent = codec.encode(state, "exact")
    return codec.decode(codec.Encoded("exact", sent.nbytes, sent.parts, sent.tree), wire=None)


def test_a_session_writes_what_generate_of_transformers_writes():
    network = small_llama()
    session = Session(network)
    session.read(network.get_input_embeddings().weight[IDS])
    written = []
    for _ in range(20):
        written.append(session.next())
        session.write(written[-1])
    expected = network.generate(
        IDS[None], attention_mask=torch.ones(1, len(IDS), dtype=torch.long), do_sample=False, max_new_tokens=20,
        eos_token_id=-1, pad_token_id=0,
    )  # fmt: skip
    assert written == expected[0, len(IDS) :].tolist()
    assert len(set(written)) > 3  # it does not write one token again and again
    assert session.tokens == len(IDS) + 20


def test_a_state_that_was_sent_goes_on_with_the_same_bits():
    module = SessionTurn("small", small_llama())
    stayed, at_home = turns(module, module.empty_state(), 4)
    moved, abroad = turns(module, module.empty_state(), 4, over_a_wire)
    assert torch.equal(stayed, moved)
    for name in STATE:
        assert torch.equal(at_home[name], abroad[name])


def test_bytes_of_a_state():
    """2 layers, 2 heads of 16, keys and values of 4 bytes: 512 bytes a token; 64 * 4 bytes of the hidden state."""
    module = SessionTurn("small", small_llama())
    _, state = turns(module, module.empty_state(), 2)
    tokens = 2 * (len(IDS) + 5)
    assert state["keys"].shape == (2, 2, tokens, 16)
    assert module.state_bytes(tokens) == 512 * tokens + 256 == codec.wire_size(state, "exact")
    assert cache_bytes(module.network, 1) == 512


def test_the_second_turn_depends_on_the_first():
    module = SessionTurn("small", small_llama())
    _, state = turns(module, module.empty_state(), 1)
    given = {"ids": IDS, "most_tokens": torch.tensor([5])}
    anew = module.forward(module.empty_state() | given)["hidden"]
    later = module.forward(state | given)["hidden"]
    assert not torch.equal(anew, later)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ids": torch.tensor([500])}, "legal are ids from 0 to 499"),
        ({"ids": torch.tensor([-1])}, "ids from -1"),
        ({"most_tokens": torch.tensor([0])}, "1 token or more"),
        ({"hidden": torch.zeros(3)}, "the hidden of a session"),
        ({"keys": torch.zeros(2, 2, 3, 16)}, "the values of a session"),
        ({"keys": torch.zeros(2, 2, 0, 16, dtype=torch.float16)}, "torch.float16"),
    ],
)
def test_what_is_not_legal_is_refused(changes, text):
    module = SessionTurn("small", small_llama())
    given = module.empty_state() | {"ids": IDS, "most_tokens": torch.tensor([1])} | changes
    with pytest.raises(ConfigurationError, match=text):
        module.forward(given)


def test_the_state_of_smollm2_goes_on_with_the_same_tokens():
    if not is_fetched("smollm2-135m"):
        pytest.skip("edgelam models fetch smollm2-135m")
    from edgelam.modalities.language import LanguageModel, tokenizer

    model = LanguageModel()
    module = SessionTurn("smollm2", model.network)
    ids = torch.tensor(tokenizer()("The capital of France is")["input_ids"])
    first = module.forward(module.empty_state() | {"ids": ids, "most_tokens": torch.tensor([6])})
    state = {name: first[name] for name in STATE}
    assert codec.wire_size(state, "exact") == module.state_bytes(len(ids) + 6) == 46_080 * (len(ids) + 6) + 4 * 576
    more = {"ids": torch.tensor([28]), "most_tokens": torch.tensor([6])}
    here, there = module.forward(state | more), module.forward(over_a_wire(state) | more)
    assert torch.equal(here["tokens"], there["tokens"])
    assert torch.equal(here["keys"], there["keys"])
