# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of the study, worked out from the tables of its folder: what `report` prints and `plot` draws."""

from __future__ import annotations

import pandas as pd

from edgelam.runs import Run
from edgelam.runs.claims import Claim, every, less

from ..ways import by_seed, ends, means, split
from .settings import NONE

FOUND = 0.3
"""Share of the accounted epsilon that an audit is asked to find."""


def _table(run: Run, name: str) -> pd.DataFrame:
    return split(run[name]) if name in run and not run[name].empty else pd.DataFrame(columns=["way", "seed"])


def attacked(run: Run) -> pd.DataFrame:
    """By way and seed: tokens, labels (shares recovered), largest (share of the largest label), auc of membership."""
    rows = ends(run)[["way", "seed"]]
    tokens = _table(run, "leaks")
    if len(tokens):
        tokens = tokens.groupby(["way", "seed"], sort=False)["recovered"].mean().rename("tokens").reset_index()
        rows = rows.merge(tokens, on=["way", "seed"], how="left")
    labels = _table(run, "label_leaks")
    if len(labels):
        labels = labels[["way", "seed", "recovered", "largest"]].rename(columns={"recovered": "labels"})
        rows = rows.merge(labels, on=["way", "seed"], how="left")
    members = _table(run, "members")
    if len(members):
        rows = rows.merge(members[["way", "seed", "auc", "advantage"]], on=["way", "seed"], how="left")
    return rows


def spent(run: Run) -> pd.DataFrame:
    """By way and seed: noise_multiplier, epsilon_rdp and epsilon_pld, the largest of a device."""
    found = []
    for name in ("privacy", "user_privacy"):
        rows = _table(run, name)
        if len(rows):
            columns = ["noise_multiplier", "epsilon_rdp", "epsilon_pld"]
            found.append(rows.groupby(["way", "seed"], sort=False)[columns].max().reset_index())
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["way", "seed"])


def runs_of(run: Run) -> pd.DataFrame:
    """One row for each simulation, as `ways.ends` gives it, with what was spent and what attacks found."""
    rows = ends(run)
    for more in (spent(run), attacked(run)):
        rows = rows.merge(more, on=["way", "seed"], how="left")
    return rows


def summary(run: Run) -> pd.DataFrame:
    """Means over seeds, a row for each way in the order in which they ran."""
    return means(runs_of(run))


def depths(run: Run) -> pd.DataFrame:
    """Share of tokens recovered behind a cut, means over seeds: blocks, known, tokens, recovered."""
    if "depths" not in run or run["depths"].empty:
        return pd.DataFrame(columns=["blocks", "recovered"])
    return run["depths"].groupby("blocks")[["known", "tokens", "recovered"]].mean().reset_index()


def matched(run: Run) -> pd.DataFrame:
    """Shares found behind gradients, means over seeds: noise, samples, tokens, recovered (of tokens), labels."""
    if "matched" not in run or run["matched"].empty:
        return pd.DataFrame(columns=["noise", "recovered"])
    return run["matched"].groupby("noise")[["samples", "tokens", "recovered", "labels"]].mean().reset_index()


def audits(run: Run) -> pd.DataFrame:
    """Every audit: way, seed, what, noise_multiplier, epsilon_lower, epsilon_rdp, epsilon_pld."""
    return _table(run, "audits")


def claims(run: Run) -> list[Claim]:
    """Claims: audits never exceed what is accounted, and find faults; what each protection costs against none."""
    rows, found = runs_of(run), []
    tests = audits(run)
    if len(tests):
        right = tests[tests["what"] == "as it is"]
        wrong = tests[tests["what"] != "as it is"]
        under = int((right["epsilon_lower"] <= right["epsilon_pld"].fillna(right["epsilon_rdp"])).sum())
        over = int((wrong["epsilon_lower"] > wrong["epsilon_rdp"]).sum())
        reached = int((right["epsilon_lower"] >= FOUND * right["epsilon_pld"].fillna(right["epsilon_rdp"])).sum())
        found += [
            every("an audit finds at most the accounted epsilon of one release", under, len(right), "audits"),
            every(f"it finds at least {FOUND:.0%} of it", reached, len(right), "audits"),
            every("with too little noise or without a clip it finds more", over, len(wrong), "audits"),
        ]
    for way in dict.fromkeys(rows["way"]):
        if way == NONE or NONE not in set(rows["way"]):
            continue
        ours, theirs = (by_seed(rows, each, "accuracy") for each in (way, NONE))
        found.append(less(f"{way} is less accurate than {NONE}", ours, theirs))
    return found
