# SPDX-License-Identifier: GPL-2.0-only
"""The quality of each size of a model: measured on a task's test samples, kept as a small CSV file.

Columns: depth, width, bits, samples, accuracy (share of right answers), agreement (share of answers that are those of
the whole model in float32), megabytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from edgelam.downloading.encoding import Received
from edgelam.downloading.lattice import Lattice, Point
from edgelam.errors import ConfigurationError
from edgelam.files.storage import StorageError
from edgelam.models.nested.network import Nested

COLUMNS = ("depth", "width", "bits", "samples", "accuracy", "agreement", "megabytes")
BATCH = 50


@torch.no_grad()
def measure(  # noqa: PLR0917
    nested: Nested, lattice: Lattice, contents: dict[str, bytes], inputs: Tensor, mask: Tensor | None, labels: Tensor,
    say: Callable[[str], object] = lambda line: None,
) -> pd.DataFrame:  # fmt: skip
    """Run every point, decoded from its blocks, on test samples. Depths of a width share one pass.

    inputs, mask, labels: [samples, ...], as the network takes them.
    """
    expected = _answers(nested, inputs, mask)[lattice.shape.layers]
    found = []
    for width in range(lattice.shape.widths):
        for bits in lattice.bits:
            whole = Point(lattice.shape.layers, width, bits)
            received = Received(lattice, whole, contents.__getitem__)
            exits = {depth: Received(lattice, Point(depth, width, bits), contents.__getitem__)
                     for depth in lattice.shape.exits}  # fmt: skip

            def run(x: Tensor, m: Tensor | None, received: Received = received, exits: dict[int, Received] = exits
                    ) -> dict[int, Tensor]:  # fmt: skip
                x, logits = received.advance("stem", x), {}
                for i in range(lattice.shape.layers):
                    x = received.advance(f"layer {i}", x, m)
                    if i + 1 in exits:
                        logits[i + 1] = exits[i + 1].advance(lattice.shape.exit_name(i + 1), x, m)
                return logits

            for depth, answers in _answers(run, inputs, mask).items():
                point = Point(depth, width, bits)
                found.append(
                    {"depth": depth, "width": width, "bits": bits, "samples": len(labels),
                     "accuracy": float((answers == labels).float().mean()),
                     "agreement": float((answers == expected).float().mean()),
                     "megabytes": lattice.size_bytes(point) / 1e6}
                )  # fmt: skip
            say(f"width {width}, {bits} bits: accuracy {found[-1]['accuracy']:.3f} at the whole depth")
    return pd.DataFrame(found, columns=COLUMNS).sort_values(["depth", "width", "bits"], ignore_index=True)


def csv(table: pd.DataFrame) -> bytes:
    """Return a ladder as a file."""
    return table.to_csv(index=False, float_format="%.5g").encode()


def read(content: bytes, lattice: Lattice, path: Path) -> dict[Point, float]:
    """Return point -> accuracy of all points of a lattice. path: for errors.

    Raises StorageError for a file that is no ladder, ConfigurationError for one that lacks a point of the lattice.
    """
    try:
        table = pd.read_csv(io.BytesIO(content))
        found = {
            Point(int(row["depth"]), int(row["width"]), int(row["bits"])): float(row["accuracy"])
            for row in table.to_dict("records")
        }
    except (ValueError, KeyError) as error:
        raise StorageError(f"{path} is no ladder of qualities: {error}") from None
    if absent := [point for point in lattice.points if not 0 <= found.get(point, -1.0) <= 1]:
        raise ConfigurationError(f"{path} has no accuracy from 0 to 1 of {absent[0]} of model {lattice.name!r}")
    return {point: found[point] for point in lattice.points}


def _answers(
    run: Callable[[Tensor, Tensor | None], dict[int, Tensor]], inputs: Tensor, mask: Tensor | None
) -> dict[int, Tensor]:
    found: dict[int, list[Tensor]] = {}
    for at in range(0, len(inputs), BATCH):
        part = None if mask is None else mask[at : at + BATCH]
        for depth, logits in run(inputs[at : at + BATCH], part).items():
            found.setdefault(depth, []).append(logits.argmax(dim=1))
    return {depth: torch.cat(parts) for depth, parts in found.items()}
