# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of a run of the study deployment, worked out from the tables of its folder."""

from __future__ import annotations

import math

import pandas as pd

from edgelam.runs import Run
from edgelam.runs.claims import DOES_NOT_HOLD, HOLDS, UNDECIDED, Claim, verdict
from edgelam.runs.scores import Score
from edgelam.runs.statistics import Difference, half_interval, paired_difference, with_interval

from .settings import LEARNED

_BY, _OVER = ("method", "charge"), ("seed",)
SCORES = (
    Score("e2e_mean_s", "s", "lower", group=_BY, over=_OVER),
    Score("e2e_p95_s", "s", "lower", group=_BY, over=_OVER),
    Score("on_time_ratio", better="higher", group=_BY, over=_OVER),
)
OPTIMAL, PROVEN = 2e-4, 1e-3
"""A plan counts as optimal if its delay is within `OPTIMAL` and the exact solver's gap of the exact plan's. Where that
gap is above `PROVEN`, the optimum is not known, and nothing counts as optimal or not."""
DIFFUSION = ("diffusion-likelihood", "diffusion-rl")
RIVALS = ("greedy", "d2sac", "sac", "dqn")
SEEN = "5 nodes, as trained"


def table(run: Run, name: str, columns: list[str]) -> pd.DataFrame:
    """Return a table; no rows if there is none."""
    return run[name] if name in run else pd.DataFrame(columns=columns)


def flat(run: Run) -> dict[str, bool]:
    """Learner -> whether its curve has flattened."""
    rows = table(run, "learners", ["method", "flat"])
    return {str(name): bool(value) for name, value in zip(rows["method"], rows["flat"], strict=True)}


def model(run: Run) -> pd.DataFrame:
    """Distances from the optimum by set and method, in order.

    Columns: set, method, problems, distance (mean of delay / best - 1), interval, known (problems whose optimum is
    known), optimal (share of them) and without_plan (share of all).
    """
    found = []
    rows = table(run, "model", ["set", "method"])
    for (title, method), mine in rows.groupby(["set", "method"], sort=False):
        distance = _distance(mine).dropna()
        known = mine["gap"] <= PROVEN * (1 + 1e-9)
        optimal = known & (_distance(mine) <= mine["gap"] + OPTIMAL)
        found.append(
            {
                "set": title, "method": method, "problems": len(mine), "distance": distance.mean(),
                "interval": half_interval(distance), "known": int(known.sum()),
                "optimal": optimal.sum() / known.sum() if known.any() else math.nan,
                "without_plan": 1 - len(distance) / len(mine),
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def scores(run: Run) -> pd.DataFrame:
    """Means over seeds of what ns-3 measured, by method and charge."""
    rows = table(run, "metrics", ["method", "charge"])
    if rows.empty:
        return pd.DataFrame()
    numbers = [name for name in rows.columns if pd.api.types.is_numeric_dtype(rows[name]) and name not in _BY + _OVER]
    return rows.groupby(list(_BY), sort=False)[numbers].mean()


def claims(run: Run) -> list[Claim]:
    """Return what the run says about each claim that it can say something about."""
    return [*_never_better(run), *_greedy(run), *_on_the_model(run), *_by_ns3(run), *_charge(run)]


def _distance(rows: pd.DataFrame) -> pd.Series:
    return rows["delay_s"] / rows["best_s"] - 1


def _never_better(run: Run) -> list[Claim]:
    rows = table(run, "model", [])
    if rows.empty:
        return []
    beyond = -(_distance(rows) + rows["gap"])
    most = float(beyond.max())
    measured = f"{int(rows['delay_s'].notna().sum())} plans; the best is {max(most, 0):.1e} beyond the gap"
    return [Claim("no method beats the exact solver on its own model by more than its gap", measured,
                  HOLDS if most <= 1e-9 else DOES_NOT_HOLD)]  # fmt: skip


def _greedy(run: Run) -> list[Claim]:
    return [
        Claim(
            f"greedy is optimal in 93.7 % of instances (published for S2M3): {row['set']}",
            f"{100 * row['optimal']:.0f} % of {row['known']}", _share(row["optimal"], row["known"], 0.937),
        )
        for row in model(run).to_dict("records")
        if row["method"] == "greedy" and row["known"]
    ]  # fmt: skip


def _share(share: float, count: int, published: float) -> str:
    """Compare a share with a published one by its 95 % interval (Clopper and Pearson)."""
    from scipy.stats import binomtest

    interval = binomtest(round(share * count), count).proportion_ci()
    return UNDECIDED if interval.low <= published <= interval.high else DOES_NOT_HOLD


def _pairs(there: pd.Series) -> list[tuple[str, str]]:
    names = set(there)
    return [(mine, rival) for mine in DIFFUSION for rival in RIVALS if {mine, rival} <= names]


def _on_the_model(run: Run) -> list[Claim]:
    rows = table(run, "model", ["method"])
    found = []
    for mine, rival in _pairs(rows["method"]):
        for title, chosen in ((SEEN, rows["set"] == SEEN), ("sizes and demands not trained on", rows["set"] != SEEN)):
            if not chosen.any():
                continue
            of = {
                name: _distance(part.set_index(["set", "problem"]))
                for name, part in rows[chosen].groupby("method", sort=False)
            }  # fmt: skip
            difference = paired_difference(of[mine], of[rival])
            text = f"{mine} plans better than {rival} on the model: {title}"
            found.append(_faster(run, text, (mine, rival), difference, _said(difference, 100, "% of the optimum")))
    return found


def _by_ns3(run: Run) -> list[Claim]:
    rows = table(run, "metrics", ["method", "charge"])
    rows = rows[rows["charge"].astype(bool)]
    found = []
    for mine, rival in _pairs(rows["method"]):
        means = {name: part.set_index("seed")["e2e_mean_s"] for name, part in rows.groupby("method", sort=False)}
        difference = paired_difference(means[mine], means[rival])
        text = f"{mine} is faster than {rival} (mean E2E, ns-3, decision charged)"
        found.append(_faster(run, text, (mine, rival), difference, _said(difference, 1000, "ms")))
    return found


def _charge(run: Run) -> list[Claim]:
    rows = table(run, "metrics", ["method", "charge"])
    found = []
    for method, mine in rows.groupby("method", sort=False):
        charged = mine[mine["charge"].astype(bool)].set_index("seed")["e2e_mean_s"]
        free = mine[~mine["charge"].astype(bool)].set_index("seed")["e2e_mean_s"]
        difference = paired_difference(charged, free)
        text = f"what deciding costs makes {method} slower (mean E2E)"
        found.append(Claim(text, _said(difference, 1000, "ms"), verdict(difference, more=True)))
    return found


def _faster(run: Run, text: str, pair: tuple[str, str], difference: Difference, said: str) -> Claim:
    """A claim that the first of a pair has less than the second; nobody whose curve still falls is called worse."""
    word = verdict(difference, more=False)
    worse = {DOES_NOT_HOLD: pair[0], HOLDS: pair[1]}.get(word, "")
    if worse in LEARNED and not flat(run).get(worse, False):
        word = f"{UNDECIDED}: the curve of {worse} has not flattened"
    return Claim(text, said, word)


def _said(difference: Difference, scale: float, unit: str) -> str:
    return (
        f"{with_interval(scale * difference.mean, scale * difference.interval, sign='+')} {unit} ({difference.pairs})"
    )
