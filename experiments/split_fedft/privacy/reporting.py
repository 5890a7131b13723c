# SPDX-License-Identifier: GPL-2.0-only
"""The result tables of the study on the console, from its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs import claims, load

from . import results


def report(path: Path, console: Console) -> None:
    """Print what each way cost, what attacks found, and which claims hold."""
    run = load(path)
    table = TextTable(
        "Ways to protect, means over seeds", "way", "accuracy", "loss", "noise z", "epsilon (RDP)", "epsilon (PLD)",
        "tokens named", "labels grouped", "largest label", "membership AUC",
    )  # fmt: skip
    table.caption = (
        "epsilon: of one sample's label, or of all data of a device (user-epsilon); tokens are told by embeddings, "
        "which noise on Jacobians does not hide"
    )
    for row in results.summary(run).to_dict("records"):
        table.add_row(
            str(row["way"]), f"{row['accuracy']:.3f}", f"{row['loss_nats']:.3f}",
            _number(row.get("noise_multiplier"), ".3g"), _number(row.get("epsilon_rdp"), ".3g"),
            _number(row.get("epsilon_pld"), ".3g"), _number(row.get("tokens"), ".1%"),
            _number(row.get("labels"), ".1%"), _number(row.get("largest"), ".1%"), _number(row.get("auc"), ".3f"),
        )  # fmt: skip
    table.print(console)
    deep = TextTable("Tokens named behind a cut", "blocks on the device", "tokens known", "tokens attacked", "named")
    deep.caption = "a linear map back to embeddings, learnt from texts of the attacker's own, and the nearest token"
    for row in results.depths(run).to_dict("records"):
        deep.add_row(f"{row['blocks']:.0f}", f"{row['known']:.0f}", f"{row['tokens']:.0f}", f"{row['recovered']:.1%}")
    deep.print(console)
    texts = TextTable("Named behind gradients", "noise", "samples", "tokens", "tokens named", "labels named")
    texts.caption = "of one sample, as the server of an un-split method sees them; noise: its norm by the gradient's"
    for row in results.matched(run).to_dict("records"):
        texts.add_row(
            f"{row['noise']:g}", f"{row['samples']:.0f}", f"{row['tokens']:.0f}", f"{row['recovered']:.1%}",
            f"{row['labels']:.1%}",
        )  # fmt: skip
    texts.print(console)
    audits = TextTable("Audits of one release by canaries", "way", "what", "noise z", "found", "RDP", "PLD", left=2)
    audits.caption = "found: a lower bound of epsilon with 95 % confidence"
    for row in results.audits(run).to_dict("records"):
        audits.add_row(
            str(row["way"]), str(row["what"]), f"{row['noise_multiplier']:.3g}", f"{row['epsilon_lower']:.3g}",
            _number(row["epsilon_rdp"], ".3g"), _number(row["epsilon_pld"], ".3g"),
        )  # fmt: skip
    audits.print(console)
    claims.table(results.claims(run)).print(console)


def _number(value: Any, form: str) -> str:
    return "-" if value is None or pd.isna(value) else f"{value:{form}}"
