# SPDX-License-Identifier: GPL-2.0-only
"""Pairwise masks: the sum is exact, one message tells nothing, and who drops out is handled."""

import math
from collections.abc import Iterator
from decimal import Decimal, getcontext
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgelam.errors import ConfigurationError
from edgelam.learning.secure_sum import KEY_BYTES, PRIME, FixedPoint, Masker, unmasked_sum

NAMES = ("ue0", "ue1", "ue2", "ue3")
FIXED = FixedPoint(44)


@cache
def maskers(names: tuple[str, ...] = NAMES) -> dict[str, Masker]:
    found = {name: Masker(name, seed=7) for name in names}
    keys = {name: masker.public_key for name, masker in found.items()}
    for masker in found.values():
        masker.meet(keys)
    return found


def test_the_group_is_that_of_rfc_3526() -> None:
    """2^2048 - 2^1984 - 1 + 2^64 ([2^1918 pi] + 124476), as the standard defines it; p and (p - 1) / 2 are prime."""
    getcontext().prec = 640
    assert 2**2048 - 2**1984 - 1 + 2**64 * (int(Decimal(2) ** 1918 * _pi()) + 124476) == PRIME
    assert pow(3, PRIME - 1, PRIME) == 1
    assert pow(3, (PRIME - 1) // 2 - 1, (PRIME - 1) // 2) == 1


def _pi() -> Decimal:
    """Machin: 16 arctan(1/5) - 4 arctan(1/239)."""

    def terms(x: int) -> Iterator[Decimal]:
        power, k = Decimal(1) / x, 0
        while power > Decimal(10) ** -636:
            yield (power if k % 2 == 0 else -power) / (2 * k + 1)
            power, k = power / (x * x), k + 1

    return 16 * sum(terms(5), Decimal(0)) - 4 * sum(terms(239), Decimal(0))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(0, 5), scale=st.floats(-8, 3))
def test_the_sum_is_that_of_the_values(seed: int, rows: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = {name: torch.randn(rows, 3, generator=generator, dtype=torch.float64) * 10**scale for name in NAMES}
    sent = [masker.masked(values[name], "step 0", NAMES, FIXED) for name, masker in maskers().items()]
    expected = torch.stack(list(values.values())).sum(dim=0)
    torch.testing.assert_close(unmasked_sum(sent, FIXED), expected, rtol=1e-15, atol=4 * 2.0**-44)


def test_a_message_alone_is_uniform_and_different_every_time() -> None:
    x = torch.zeros(20_000)
    first, second = (maskers()["ue0"].masked(x, message, NAMES, FIXED) for message in ("a", "b"))
    for sent in (first, second):
        bits = [(value >> k) & 1 for value in sent[:2000].tolist() for k in (0, 20, 44, 63)]
        assert abs(sum(bits) / len(bits) - 0.5) < 4 * 0.5 / math.sqrt(len(bits))
        share = sent.double() / 2.0**63
        assert abs(float(share.mean())) < 0.02
        assert float(share.std()) == pytest.approx(1 / math.sqrt(3), rel=0.02)
    assert not torch.equal(first, second)
    assert torch.equal(first, maskers()["ue0"].masked(x, "a", NAMES, FIXED))


def test_devices_that_drop_out() -> None:
    """ue1 and ue3 agreed to take part and then sent nothing: the others' sum is still found, exactly."""
    group = maskers()
    values = {name: torch.full((2, 2), 1.5 + k, dtype=torch.float64) for k, name in enumerate(NAMES)}
    left = ("ue0", "ue2")
    sent = {name: group[name].masked(values[name], "m", NAMES, FIXED) for name in left}
    expected = values["ue0"] + values["ue2"]
    assert not torch.allclose(unmasked_sum(sent.values(), FIXED), expected)
    told = [group[name].revealed("m", ("ue1", "ue3"), torch.Size((2, 2))) for name in left]
    assert torch.equal(unmasked_sum(sent.values(), FIXED, told), expected)
    alone = unmasked_sum([sent["ue0"]], FIXED, [told[0]])  # still masked towards ue2
    assert not torch.allclose(alone, values["ue0"])


def test_both_ends_of_a_pair_have_the_same_secret_and_nobody_else() -> None:
    group = maskers()
    shape = torch.Size((4,))
    assert torch.equal(group["ue0"].mask("ue1", "m", shape), group["ue1"].mask("ue0", "m", shape))
    assert not torch.equal(group["ue0"].mask("ue1", "m", shape), group["ue2"].mask("ue1", "m", shape))
    assert len(group["ue0"].public_key) == KEY_BYTES


def test_what_is_not_legal() -> None:
    masker = maskers()["ue0"]
    with pytest.raises(ConfigurationError, match=r"too large for the fixed point .* below 131072 in a sum of 4"):
        masker.masked(torch.tensor([2.0**17]), "m", NAMES, FIXED)
    with pytest.raises(ConfigurationError, match="too large"):
        masker.masked(torch.tensor([math.nan]), "m", NAMES, FIXED)
    with pytest.raises(ConfigurationError, match="has no secret with ue9"):
        masker.masked(torch.zeros(1), "m", [*NAMES, "ue9"], FIXED)
    with pytest.raises(ConfigurationError, match="the public key of ue9 is no element"):
        masker.meet({"ue9": (1).to_bytes(KEY_BYTES, "big")})
    with pytest.raises(ConfigurationError, match="a sum of no messages"):
        unmasked_sum([], FIXED)
