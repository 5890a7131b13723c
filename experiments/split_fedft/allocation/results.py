# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of the study, worked out from the tables of its folder: what `report` prints and `plot` draws."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd

from edgelam.runs import Run
from edgelam.runs.claims import Claim, more
from edgelam.runs.scores import Score
from edgelam.runs.statistics import half_interval

from .settings import FREE, OURS, SOFT

_OVER = ("seed",)
SCORES = (
    Score("accuracy", better="higher", group=("method",), over=_OVER),
    Score("loss_nats", "nat", "lower", group=("method",), over=_OVER),
    Score("simulated_s", "s", "lower", column="time_s", group=("method",), over=_OVER),
)
MEDIAN, P90 = 0.10, 0.25
"""Relative errors of predicted times that are asked for."""
OVER_BUDGET = 1.02
"""What mean use of a budget may be at the end of the repeated rounds."""


def table(run: Run, name: str) -> pd.DataFrame:
    """A table of the run; without rows if there is none."""
    return run[name] if name in run else pd.DataFrame(columns=["method", "seed"])


def methods(run: Run) -> list[str]:
    """The rules, in the order in which they ran."""
    return list(dict.fromkeys(table(run, "metrics")["method"]))


def curves(run: Run) -> pd.DataFrame:
    """Evaluations with what devices had spent by then: method, seed, step, time_s, energy_j, accuracy, loss_nats."""
    scores, decisions = table(run, "metrics"), table(run, "decisions")
    if scores.empty or decisions.empty:
        return pd.DataFrame(columns=["method", "seed", "step", "time_s", "energy_j", "accuracy", "loss_nats"])
    spent = decisions.sort_values("round").assign(
        energy_j=decisions.sort_values("round").groupby(["method", "seed"])["energy_j"].cumsum()
    )
    # an evaluation after round r (0-based) belongs to the step r + 1, or to the last round that ended before it
    rounds = table(run, "rounds")[["method", "seed", "round", "step"]]
    joined = scores.merge(rounds, on=["method", "seed", "step"], how="left")
    return joined.merge(spent[["method", "seed", "round", "energy_j"]], on=["method", "seed", "round"], how="left")


def at_common(run: Run, column: str) -> pd.DataFrame:
    """Accuracy of each rule where the frugal one has ended: method, seed, accuracy.

    column: time_s or energy_j. For each seed, it is taken where the rule that needs least of it has spent all of its
    own; between two evaluations, the earlier one counts.
    """
    rows = curves(run)
    found = []
    for seed, part in rows.groupby("seed"):
        end = part.groupby("method")[column].max().min()
        for method, own in part.groupby("method", sort=False):
            reached = own[own[column] <= end + 1e-12]
            last = reached.sort_values("step")["accuracy"].iloc[-1] if len(reached) else 0.0
            found.append({"method": method, "seed": seed, "accuracy": last})
    return pd.DataFrame(found, columns=["method", "seed", "accuracy"])


def summary(run: Run) -> pd.DataFrame:
    """One row for each rule, means over seeds: what it took, what was learnt, what was left of the budgets."""
    last = curves(run).sort_values("step").groupby(["method", "seed"], sort=False).last().reset_index()
    decisions, rounds = table(run, "decisions"), table(run, "rounds")
    if last.empty:
        return pd.DataFrame(columns=["method"])
    by = ["method", "seed"]
    extra = decisions.groupby(by).agg(
        devices=("admitted", "mean"), cost=("cost", "mean"), round_j=("energy_j", "mean"),
    )  # fmt: skip
    extra["deciding_s"] = (decisions["in_force_s"] - decisions["asked_s"]).groupby([decisions[c] for c in by]).mean()
    extra["round_s"] = (rounds["end_s"] - rounds["start_s"]).groupby([rounds[c] for c in by]).mean()
    joined = last.merge(extra.reset_index(), on=by)
    numbers = ["accuracy", "loss_nats", "time_s", "energy_j", *extra.columns]
    means = joined.groupby("method", sort=False)[numbers].mean()
    return means.loc[[name for name in methods(run) if name in means.index]].reset_index()


def errors(run: Run) -> pd.DataFrame:
    """Relative errors of predicted device times, a row for each prediction: method, seed, error (not negative)."""
    rows = table(run, "allocations")
    if rows.empty:
        return pd.DataFrame(columns=["method", "seed", "error"])
    known = rows[rows["predicted_s"].notna() & rows["simulated_s"].notna() & rows["admitted"]]
    error = (known["predicted_s"] - known["simulated_s"]).abs() / known["simulated_s"]
    return known[["method", "seed"]].assign(error=error)


def prediction(run: Run) -> pd.DataFrame:
    """By rule: how many predictions, and the median and 90th percentile of their relative errors."""
    rows = errors(run)
    found = rows.groupby("method", sort=False)["error"].agg(
        predictions="count", median="median", p90=lambda error: error.quantile(0.9)
    )
    return found.reset_index()


def repeated(run: Run) -> pd.DataFrame:
    """Means over seeds of the rounds that were repeated, by V and number of rounds, with gap (best minus worth)."""
    rows = table(run, "repeated")
    if rows.empty:
        return pd.DataFrame(columns=["v", "rounds"])
    rows = rows.assign(
        gap=rows["best_worth"] - rows["worth"], use=rows[["cost_use", "energy_use"]].max(axis=1),
        queue_part=rows[["cost_queue_part", "energy_queue_part"]].max(axis=1),
    )  # fmt: skip
    numbers = ["worth", "best_worth", "gap", "use", "queue_part", "cost_use", "energy_use"]
    return rows.groupby(["v", "rounds"])[numbers].mean().reset_index()


def slope(run: Run) -> float:
    """Return the slope of log gap over log 1/V at the end of the repeated rounds; NaN without two gaps above 0."""
    rows = repeated(run)
    if rows.empty:
        return math.nan
    last = rows[(rows["rounds"] == rows["rounds"].max()) & (rows["gap"] > 0)]
    if len(last) < 2:
        return math.nan
    return float(np.polyfit(np.log(1 / last["v"]), np.log(last["gap"]), 1)[0])


def claims(run: Run) -> list[Claim]:
    """The claims of the study that this run has figures for."""
    found = [*_claims_of_prediction(run), *_claims_of_budgets(run)]
    for column, what in (("time_s", "simulated time"), ("energy_j", "energy")):
        scores = at_common(run, column)
        own = {name: part.set_index("seed")["accuracy"] for name, part in scores.groupby("method")}
        for ours in (OURS, SOFT):
            for name in methods(run):
                if ours in own and name in own and name not in (OURS, FREE, SOFT):
                    text = f"at equal {what}, {ours} is more accurate than {name}"
                    found.append(more(text, own[ours], own[name]))
    return found + _claim_of_deciding(run)


def _claims_of_prediction(run: Run) -> list[Claim]:
    rows = prediction(run)
    own = rows[rows["method"] == OURS]
    if own.empty:
        return []
    median, p90, count = (own[name].iloc[0] for name in ("median", "p90", "predictions"))
    text = f"device times are predicted within {MEDIAN:.0%} (median) and {P90:.0%} (90th percentile)"
    holds = median <= MEDIAN and p90 <= P90
    measured = f"{median:.1%} and {p90:.1%} of {count:.0f}"
    return [Claim(text, measured, "holds" if holds else "does not hold")]


def _claims_of_budgets(run: Run) -> list[Claim]:
    rows = repeated(run)
    if rows.empty:
        return []
    last = rows[rows["rounds"] == rows["rounds"].max()]
    rounds = int(last["rounds"].iloc[0])
    most = table(run, "repeated")
    most = most[most["rounds"] == rounds][["cost_use", "energy_use"]].to_numpy().max()
    falls = all(
        part.sort_values("rounds")["queue_part"].iloc[-1] <= part.sort_values("rounds")["queue_part"].iloc[0]
        for _, part in rows.groupby("v")
    )
    tilt = slope(run)
    ordered = last.sort_values("v")
    return [
        Claim(
            f"mean use is at most {OVER_BUDGET:g} budgets after {rounds} rounds, for each V (recorded efficiencies)",
            f"at most {most:.4f}", "holds" if most <= OVER_BUDGET else "does not hold",
        ),
        Claim("Q / T falls with T for each V (recorded efficiencies)",
              f"{ordered['queue_part'].min():.2g} to {ordered['queue_part'].max():.2g} at the end",
              "holds" if falls else "does not hold"),
        Claim("the gap to the best on average falls as V grows (recorded efficiencies)",
              f"{', '.join(f'{gap:.3g}' for gap in ordered['gap'])}; slope over 1 / V {tilt:.2g}",
              _falls(ordered["gap"])),
    ]  # fmt: skip


def _falls(gaps: pd.Series) -> str:
    """Judge gaps in the order of V; without a gap (all devices cost the same) there is nothing to judge."""
    if gaps.abs().max() <= 1e-9:
        return "undecided"
    return "holds" if (gaps.diff().dropna() <= 1e-9).all() else "does not hold"


def _claim_of_deciding(run: Run) -> list[Claim]:
    last = curves(run).groupby(["method", "seed"])["time_s"].max()
    names = last.index.get_level_values("method") if len(last) else ()
    if OURS not in names or FREE not in names:
        return []
    text = "deciding takes time: the run is longer than with free decisions"
    claim = more(text, last[OURS], last[FREE], unit="s")
    return [dataclasses.replace(claim, measured=f"{claim.measured} of {last[OURS].mean():.3g} s")]


def mean_curves(run: Run) -> dict[str, pd.DataFrame]:
    """Rule -> by step: means over seeds of time_s, energy_j, accuracy, and half the interval of accuracy."""
    found = {}
    for name, part in curves(run).groupby("method", sort=False):
        groups = part.groupby("step")
        means = groups[["time_s", "energy_j", "accuracy"]].mean()
        found[str(name)] = means.assign(interval=groups["accuracy"].apply(half_interval)).reset_index()
    return found
