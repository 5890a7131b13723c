# SPDX-License-Identifier: GPL-2.0-only
"""Secure aggregation by pairwise masks (Bonawitz et al., CCS 2017, the protocol without its double masking): a server
learns the sum of what the devices send, and of each message alone nothing.

    value -> fixed point, 64-bit integers -> + mask(k, j) for every j after k, - mask(j, k) for every j before
    sum of all messages modulo 2^64: the masks cancel, exactly -> back to floating point

A pair's mask is SHAKE-256 of their shared secret and the number of the message, so a message is uniformly distributed
over 64-bit integers to everybody who lacks a secret. Secrets come from a Diffie-Hellman exchange in the 2048-bit group
of RFC 3526; a public key is 256 bytes. If devices drop out, the others tell the server the masks that they shared with
these for that message, and the sum of those that are left is found. A server that lies about who dropped out could
unmask a late message: the second mask of the paper, which prevents that, is left out.

Exponents are drawn from a seeded stream, so that runs repeat: real deployments draw them from the system.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.random_streams import derive_seed

PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B"
    "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6"
    "49286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D"
    "670C354E4ABC9804F1746C08CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718"
    "3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF", 16,
)  # fmt: skip
"""The 2048-bit group of RFC 3526 (number 14), with generator 2."""
KEY_BYTES = 256
MASK_OPERATIONS_A_BYTE = 30
"""Integer operations of SHAKE-256 for a byte: 24 rounds of Keccak-f[1600] of about 170 each give 136 bytes."""

EXPONENTIATION_OPERATIONS = 3072 * 2 * 2 * 64 * 64
"""Of a power in that group: about 2048 squarings and 1024 products of 64 words of 32 bits, each product with its
reduction 2 x 64^2 multiplications and additions."""


@dataclass(frozen=True)
class FixedPoint:
    """Numbers as 64-bit integers: multiples of 2^-fraction_bits, whose sum must stay within +-2^(63 - fraction_bits).

    The error of a number is at most 2^-(fraction_bits + 1).
    """

    fraction_bits: int = 44

    def encode(self, x: Tensor, terms: int) -> Tensor:
        """Floating point -> int64 of the same shape. Raises ConfigurationError if a sum of `terms` could overflow."""
        limit = 2.0 ** (63 - self.fraction_bits) / terms
        largest = float(x.detach().abs().max()) if x.numel() else 0.0
        if not largest < limit:
            raise ConfigurationError(
                f"a value of {largest:g} is too large for the fixed point of secure aggregation: legal are values "
                f"below {limit:g} in a sum of {terms}"
            )
        return (x.detach().double() * 2.0**self.fraction_bits).round().to(torch.int64)

    def decode(self, total: Tensor) -> Tensor:
        """int64 -> float64."""
        return total.double() / 2.0**self.fraction_bits


class Masker:
    """One device's keys, and its masks with the others."""

    def __init__(self, name: str, seed: int) -> None:
        """Draw the exponent of the device `name` from `seed`."""
        self.name = name
        self._exponent = derive_seed(seed, f"mask exponent of {name}") | derive_seed(seed, f"2 of {name}") << 128
        self.public_key = pow(2, self._exponent, PRIME).to_bytes(KEY_BYTES, "big")
        self._secrets: dict[str, bytes] = {}

    def meet(self, public_keys: Mapping[str, bytes]) -> None:
        """Agree on a secret with everybody whose public key is given, by name (the own one is passed over)."""
        for name, key in public_keys.items():
            number = int.from_bytes(key, "big")
            if not 1 < number < PRIME - 1:
                raise ConfigurationError(f"the public key of {name} is no element of the group")
            if name != self.name:
                shared = pow(number, self._exponent, PRIME).to_bytes(KEY_BYTES, "big")
                self._secrets[name] = hashlib.sha256(shared).digest()

    def mask(self, other: str, message: str, shape: torch.Size) -> Tensor:
        """The mask shared with `other` for the message of that name: int64, of both with the same sign."""
        if other not in self._secrets:
            raise ConfigurationError(f"{self.name} has no secret with {other}: it has met {', '.join(self._secrets)}")
        length = 8 * shape.numel()
        stream = hashlib.shake_256(self._secrets[other] + message.encode()).digest(length)
        return torch.frombuffer(bytearray(stream), dtype=torch.int64).reshape(shape) if length else torch.zeros(
            shape, dtype=torch.int64
        )  # fmt: skip

    def masked(self, x: Tensor, message: str, group: Iterable[str], fixed: FixedPoint) -> Tensor:
        """What to send: int64 of the shape of x. group: all who send this message, in any order."""
        members = sorted(set(group))
        total = fixed.encode(x, len(members))
        for other in members:
            if other != self.name:
                mask = self.mask(other, message, total.shape)
                total = total + mask if self.name < other else total - mask
        return total

    def revealed(self, message: str, dropped: Iterable[str], shape: torch.Size) -> Tensor:
        """What a device tells the server where others dropped out: the sum of its masks with these, as it used them."""
        total = torch.zeros(shape, dtype=torch.int64)
        for other in sorted(set(dropped)):
            mask = self.mask(other, message, shape)
            total = total + mask if self.name < other else total - mask
        return total


def unmasked_sum(messages: Iterable[Tensor], fixed: FixedPoint, revealed: Iterable[Tensor] = ()) -> Tensor:
    """The sum of the values behind `messages`, float64; revealed: what the senders told of those who dropped out."""
    total = None
    for message in messages:
        total = message if total is None else total + message
    if total is None:
        raise ConfigurationError("a sum of no messages")
    for correction in revealed:
        total = total - correction
    return fixed.decode(total)
