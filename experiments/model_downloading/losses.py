# SPDX-License-Identifier: GPL-2.0-only
"""Parts loss and ladder, with trained weights: udp with losses, and the quality of all sizes.

TS 22.261 asks for 99.9 % of the weights and 99.999 % of the topology. Here, frames (scales, biases) and the manifest
come whole, and planes cross a link that loses packets. What a model is worth then is measured: with what is known of
the losses (a weight keeps the bits that came before), and as if lost bytes were zeros, which nobody noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from edgelam import cosim
from edgelam.downloading import Point, Received
from edgelam.downloading.ladder import csv, measure
from edgelam.files.storage import write_atomically
from edgelam.modalities.trained import one_thread
from edgelam.runs import RunFolder
from edgelam.runs.needs import Needs
from edgelam.runs.network import Network

from .config import Config
from .models import TRAINED, encoded, held_out, trained

LOSS = {
    "seed": int, "loss": float, "bits": int, "sent_bytes": int, "lost_share": float, "accuracy": float,
    "accuracy_unnoticed": float,
}  # fmt: skip
"""One row a loss and number of bits. lost_share: of the bytes of planes; accuracy: with what is known of losses;
accuracy_unnoticed: lost bytes are zeros."""
LADDER = {
    "model": str, "depth": int, "width": int, "bits": int, "samples": int, "accuracy": float, "agreement": float,
    "megabytes": float,
}  # fmt: skip
BATCH = 100


def simulations(config: Config) -> int:
    """Return how many simulations part loss runs."""
    return config.num_seeds * len(config.losses)


def run(config: Config, folder: RunFolder, step: Callable[[], object]) -> None:
    """Send all planes over a lossy link, once for each loss and seed, and measure what came with 8, 4 and 2 bits."""
    lattice, contents = encoded(config.model)
    planes = {block.digest: contents[block.digest] for piece, block in lattice.pieces.items() if piece.first >= 0}
    samples = held_out(config.model, config.samples, config.seed)
    for seed in range(config.seed, config.seed + config.num_seeds):
        for loss in config.losses:
            network = Network("wired-star", options=("rate=1Gbps", f"loss={loss}"))
            lost = _sent(network, planes, seed, folder, f"loss {loss:g}, seed {seed}")
            share = sum(b - a for ranges in lost.values() for a, b in ranges) / sum(map(len, planes.values()))
            zeroed = dict(contents)
            for digest, ranges in lost.items():
                data = bytearray(contents[digest])
                for begin, end in ranges:
                    data[begin:end] = bytes(end - begin)
                zeroed[digest] = bytes(data)
            with one_thread():
                for bits in {lattice.bits[-1], lattice.bits[min(2, len(lattice.bits) - 1)], lattice.bits[0]}:
                    point = Point(lattice.shape.layers, lattice.shape.widths - 1, bits)
                    known = Received(lattice, point, zeroed.__getitem__, lost)
                    naive = Received(lattice, point, zeroed.__getitem__)
                    folder.table("loss", LOSS).append(
                        {"seed": seed, "loss": loss, "bits": bits, "sent_bytes": sum(map(len, planes.values())),
                         "lost_share": share, "accuracy": accuracy(known, samples),
                         "accuracy_unnoticed": accuracy(naive, samples)}
                    )  # fmt: skip
            step()


def ladder(config: Config, folder: RunFolder) -> None:
    """Measure the quality of all sizes; the manifest and the ladder are also written as files."""
    lattice, contents = encoded(config.model)
    with one_thread():
        table = measure(trained(config.model), lattice, contents, *held_out(config.model, config.samples))
    for row in table.to_dict("records"):
        folder.table("ladder", LADDER).append({"model": TRAINED[config.model]} | {str(k): v for k, v in row.items()})
    write_atomically(folder.path / f"{config.model}.json", lattice.manifest)
    write_atomically(folder.path / f"ladder-{config.model}.csv", csv(table))


def accuracy(model: Received, samples: tuple) -> float:
    """Return the share of right answers."""
    inputs, mask, labels = samples
    right = 0
    for at in range(0, len(labels), BATCH):
        part = None if mask is None else mask[at : at + BATCH]
        right += int((model.run(inputs[at : at + BATCH], part).argmax(dim=1) == labels[at : at + BATCH]).sum())
    return right / len(labels)


def _sent(
    network: Network, planes: dict[str, bytes], seed: int, folder: RunFolder, label: str
) -> dict[str, list[tuple[int, int]]]:
    """Send blocks by udp over a network; return what was lost of each."""

    async def main(sim: cosim.Simulation) -> dict[str, list[tuple[int, int]]]:
        source, to = sim.node("edge0"), sim.node("ue0")
        found = {}
        for digest, content in planes.items():
            sending = asyncio.create_task(
                source.send(to, np.frombuffer(content, np.uint8), tag=digest[:16], protocol="udp", encoding="exact",
                            give_up_s=0.05)
            )  # fmt: skip
            record = await sending
            found[digest] = [(0, len(content))]
            if record.delivered_bytes:
                found[digest] = list((await to.receive(source, tag=digest[:16])).lost)
        return found

    return network.simulate(main, Needs(roles={"ue": 1, "edge": 1}), folder, label, seed=seed)
