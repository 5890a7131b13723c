# SPDX-License-Identifier: GPL-2.0-only
"""How the block is divided: whole attention heads and whole feed-forward columns for each device, any number of each.

A device's shard are rows of what makes queries, keys, values and pre-activations, and the same columns of what maps
them back to the full width (the split of Megatron-LM, arXiv 1909.08053), so that the sum of the devices' outputs is the
block's. With encoded inputs, the columns of the embedding that belong to a device's heads are in its shard too. All
other parameters (norms, biases behind the sums, head, replicated embedding) are the server's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgelam.errors import ConfigurationError
from edgelam.parallel.looped_model import LoopedConfig

BLOCK = {
    **{f"{name}.{part}": (0, "heads") for name in ("query", "key", "value") for part in ("weight", "bias")},
    "output.weight": (1, "heads"),
    "inner.weight": (0, "columns"),
    "inner.bias": (0, "columns"),
    "outer.weight": (1, "columns"),
}
"""Parameters that are split: axis, and by what."""
EMBEDDING = {"tokens.weight": (1, "heads"), "positions.weight": (1, "heads")}
"""Parameters that are split as well where inputs are encoded."""

State = dict[str, Tensor]


@dataclass(frozen=True)
class Split:
    """Who has how much of the block: `heads[k]` attention heads and `columns[k]` feed-forward columns on `devices[k]`.

    Both may be 0: such a device takes no part. In the order of the devices, the first has the first heads and columns.
    """

    devices: tuple[str, ...]
    """Names of nodes."""
    heads: tuple[int, ...]
    columns: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what is no split of anything."""
        if not len(self.devices) == len(self.heads) == len(self.columns):
            raise ConfigurationError(
                f"a split of {len(self.devices)} devices has {len(self.heads)} numbers of heads and "
                f"{len(self.columns)} of columns; one of each for every device is needed"
            )
        if len(set(self.devices)) != len(self.devices):
            raise ConfigurationError(f"a split names a device twice: {', '.join(self.devices)}")
        for what, numbers in (("heads", self.heads), ("columns", self.columns)):
            for name, number in zip(self.devices, numbers, strict=True):
                if type(number) is not int or number < 0:
                    raise ConfigurationError(f"{what} of {name}: {number!r}; a whole number from 0 is needed")

    def check(self, config: LoopedConfig) -> None:
        """Raise ConfigurationError unless all heads and columns of the configuration are given out."""
        for what, numbers, wanted in (
            ("heads", self.heads, config.num_heads), ("columns", self.columns, config.feed_forward),
        ):  # fmt: skip
            if sum(numbers) != wanted:
                raise ConfigurationError(
                    f"the {what} of the split are {' + '.join(map(str, numbers))} = {sum(numbers)}; the model has "
                    f"{wanted}"
                )

    @property
    def taking_part(self) -> tuple[str, ...]:
        """The devices that have heads or columns."""
        return tuple(n for n, h, f in zip(self.devices, self.heads, self.columns, strict=True) if h or f)

    @property
    def with_heads(self) -> tuple[str, ...]:
        """The devices that have heads."""
        return tuple(name for name, number in zip(self.devices, self.heads, strict=True) if number)

    @property
    def with_columns(self) -> tuple[str, ...]:
        """The devices that have columns."""
        return tuple(name for name, number in zip(self.devices, self.columns, strict=True) if number)

    def share(self, device: str) -> tuple[int, int]:
        """(heads, columns) of a device; (0, 0) where the split does not name it."""
        if device not in self.devices:
            return 0, 0
        index = self.devices.index(device)
        return self.heads[index], self.columns[index]

    def ranges(self, config: LoopedConfig) -> dict[str, dict[str, slice]]:
        """For each device: which features of the heads, and which columns, are its own."""
        found: dict[str, dict[str, slice]] = {}
        head = column = 0
        for name, heads, columns in zip(self.devices, self.heads, self.columns, strict=True):
            found[name] = {
                "heads": slice(head * config.head_width, (head + heads) * config.head_width),
                "columns": slice(column, column + columns),
            }
            head, column = head + heads, column + columns
        return found


def equal_split(config: LoopedConfig, devices: Sequence[str]) -> Split:
    """As many heads and columns on every device as on any other, give or take one."""
    return weighted_split(config, devices, [1.0] * len(devices))


def weighted_split(config: LoopedConfig, devices: Sequence[str], weights: Sequence[float]) -> Split:
    """Heads and columns in proportion to `weights` (positive for at least one), by the largest remainder."""
    if len(weights) != len(devices) or not devices or min(weights) < 0 or not sum(weights) > 0:
        raise ConfigurationError(f"weights {list(weights)} of devices {list(devices)}: one from 0 for each, not all 0")
    heads = _apportion(config.num_heads, weights)
    return Split(tuple(devices), heads, _apportion(config.feed_forward, weights))


def without(split: Split, config: LoopedConfig, gone: Sequence[str]) -> Split:
    """What the devices `gone` had goes to the others, in proportion to what they have."""
    left = [name for name in split.devices if name not in gone]
    shares = [split.share(name) for name in left]
    weights = [h / config.num_heads + f / config.feed_forward for h, f in shares]
    return weighted_split(config, left, weights if sum(weights) > 0 else [1.0] * len(left))


def _apportion(total: int, weights: Sequence[float]) -> tuple[int, ...]:
    whole = sum(weights)
    exact = [total * weight / whole for weight in weights]
    parts = [int(value) for value in exact]
    by_remainder = sorted(range(len(parts)), key=lambda k: (parts[k] - exact[k], k))
    for k in by_remainder[: total - sum(parts)]:
        parts[k] += 1
    return tuple(parts)


# ---- tensors -------------------------------------------------------------------------------------------------------


def cuts(config: LoopedConfig) -> dict[str, tuple[int, str]]:
    """The parameters that are split, with the axis and by what ("heads" or "columns")."""
    return {**BLOCK, **(EMBEDDING if config.inputs == "encoded" else {})}


def server_state(state: Mapping[str, Tensor], config: LoopedConfig) -> State:
    """The part of a whole model's tensors (weights, or moments of the optimiser) that is the server's."""
    split = cuts(config)
    return {name: tensor.clone() for name, tensor in state.items() if name not in split}


def shard_state(state: Mapping[str, Tensor], config: LoopedConfig, split: Split, device: str) -> State:
    """The part of a whole model's tensors that is a device's; parameters of which it has nothing are left out."""
    own = split.ranges(config)[device]
    shard = {}
    for name, (axis, by) in cuts(config).items():
        start, stop = own[by].start, own[by].stop
        if stop > start:
            shard[name] = state[name].narrow(axis, start, stop - start).clone()
    return shard


def whole_state(
    server: Mapping[str, Tensor], shards: Mapping[str, Mapping[str, Tensor]], config: LoopedConfig, split: Split
) -> State:
    """The whole model's tensors from the server's and every participating device's."""
    state = {name: tensor.clone() for name, tensor in server.items()}
    for name, (axis, by) in cuts(config).items():
        devices = split.with_heads if by == "heads" else split.with_columns
        state[name] = torch.cat([shards[device][name] for device in devices], dim=axis)
    return state
