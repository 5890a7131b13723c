# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of the closed loop from the tables of a run folder."""

from __future__ import annotations

import pandas as pd
from rich.console import Console

from edgelam.output.terminal import TextTable
from edgelam.runs import Run
from edgelam.runs.claims import verdict
from edgelam.runs.statistics import half_interval, paired_difference, with_interval

from .config import phases_name

BASE = "rzf"
WITHIN = 0.05
"""The ratio of the goodputs of two methods may differ by this share from the ratio of their predicted rates."""
COMPARED = (("wmmse", "rzf"), ("rzf", "zf"), ("rzf", "mrt"), ("graph-lam", "rzf"), ("graph-lam", "unrolled-wmmse"),
            ("wmmse", "graph-lam"), ("wmmse-backlog", "wmmse"), ("coordinated-wmmse", "wmmse"),
            ("coordinated-graph-lam", "graph-lam"), ("coordinated-wmmse", "coordinated-graph-lam"),
            *((phases_name(method, one), phases_name(method, other)) for method in ("rzf", "wmmse", "graph-lam")
              for one, other in (("bcd", "random"), ("policy", "random"), ("policy", "bcd"))))  # fmt: skip


def summary(run: Run) -> pd.DataFrame:
    """Return one row for each age and method: goodput, 5 % user rate, block errors, latencies, delay of decisions."""
    found = []
    users = run["loop_users"]
    latencies = run["loop_latencies"] if "loop_latencies" in run else None  # noqa: SIM401  # `get` raises
    for (age, method), rows in run["loop"].groupby(["age", "method"], sort=False):
        mine = users[(users["age"] == age) & (users["method"] == method)]
        row = {
            "age": age, "method": method, "goodput": rows["goodput_mbps"].mean(),
            "interval": half_interval(rows["goodput_mbps"]), "predicted": rows["predicted_mbps"].mean(),
            "p5_user": mine["goodput_mbps"].quantile(0.05), "block_errors": rows["block_errors"].mean(),
            "decision_ms": rows["decision_ms"].mean(), "delay_ms": rows["delay_ms"].mean(),
            "left_out": rows["left_out"].sum() / max((rows["decisions"] + rows["left_out"]).sum(), 1),
        }  # fmt: skip
        if latencies is not None:
            waits = latencies.loc[(latencies["age"] == age) & (latencies["method"] == method), "latency_ms"]
            row |= {"latency_median": waits.median(), "latency_p95": waits.quantile(0.95)}
        found.append(row)
    return pd.DataFrame(found)


def learning(run: Run) -> pd.DataFrame:
    """Return one row for each age and method: simulated time of all rounds, mean time of one, accuracy; seeds in which
    fine-tuning was given up."""
    found = []
    for (age, method), rows in run["loop_learning"].groupby(["age", "method"], sort=False):
        ends = rows.groupby("seed")["time_s"].max()
        found.append(
            {
                "age": age, "method": method, "learned": rows["learned"].iloc[0], "time_s": ends.mean(),
                "interval": half_interval(ends), "round_s": rows["round_s"].mean(), "rounds": int(rows["round"].max()),
                "accuracy": rows["accuracy"].mean(), "given_up": int((~rows["ended"]).sum()),
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def learning_claims(run: Run) -> pd.DataFrame:
    """Return one row for each age and pair of methods: how much sooner all rounds are done with the first, s."""
    found = []
    for age, rows in run["loop_learning"].groupby("age", sort=False):
        table = rows.pivot_table(index="seed", columns="method", values="time_s", aggfunc="max")
        for one, other in COMPARED:
            if one in table and other in table:
                sooner = paired_difference(table[other], table[one])
                found.append(
                    {
                        "age": age, "claim": f"rounds are done sooner with {one} than with {other}",
                        "difference": sooner.mean, "interval": sooner.interval,
                        "verdict": verdict(sooner, more=True),
                    }
                )  # fmt: skip
    return pd.DataFrame(found, columns=["age", "claim", "difference", "interval", "verdict"])


def claims(run: Run) -> pd.DataFrame:
    """Return one row for each age and pair of methods: difference of goodput, and its ratio beside the predicted."""
    found = []
    for age, rows in run["loop"].groupby("age", sort=False):
        came, said = (rows.pivot_table(index="seed", columns="method", values=f"{name}_mbps")
                      for name in ("goodput", "predicted"))  # fmt: skip
        for one, other in COMPARED:
            if one not in came or other not in came:
                continue
            difference = paired_difference(came[one], came[other])
            ratio, wanted = came[one].sum() / came[other].sum(), said[one].sum() / said[other].sum()
            found.append(
                {
                    "age": age, "claim": f"{one} carries more than {other}", "difference": difference.mean,
                    "interval": difference.interval, "verdict": verdict(difference, more=True),
                    "ratio": ratio, "predicted_ratio": wanted, "as_predicted": bool(abs(ratio / wanted - 1) <= WITHIN),
                }
            )  # fmt: skip
    return pd.DataFrame(found)


def report(run: Run, console: Console) -> None:
    """Print a table for each age, and the claims."""
    found = summary(run)
    latencies = "latency_median" in found
    for age, rows in found.groupby("age", sort=False):
        columns = ["method", "goodput (Mb/s)", "predicted", "5 % user (Mb/s)", "block errors", "decision (ms)",
                   "delay (ms)", "left out", *(["latency, median, 95 % (ms)"] if latencies else [])]  # fmt: skip
        table = TextTable(f"Closed loop, CSI {age} old", *columns, caption="95 % intervals over seeds")
        for row in rows.sort_values("goodput").to_dict("records"):
            cells = [
                row["method"], with_interval(row["goodput"], row["interval"]), f"{row['predicted']:.4g}",
                f"{row['p5_user']:.3g}", f"{row['block_errors']:.1%}", f"{row['decision_ms']:.3g}",
                f"{row['delay_ms']:.3g}", f"{row['left_out']:.0%}",
            ]  # fmt: skip
            if latencies:
                cells.append(f"{row['latency_median']:.3g}, {row['latency_p95']:.3g}")
            table.add_row(*cells)
        table.print(console)
    judged = claims(run)
    if len(judged):
        table = TextTable("Claims, paired by seed", "CSI", "claim", "difference (Mb/s)", "", "ratio", "predicted",
                          "within 5 %")  # fmt: skip
        for row in judged.to_dict("records"):
            table.add_row(
                row["age"], row["claim"], with_interval(row["difference"], row["interval"], sign="+"), row["verdict"],
                f"{row['ratio']:.3f}", f"{row['predicted_ratio']:.3f}", "yes" if row["as_predicted"] else "no",
            )  # fmt: skip
        table.print(console)
    if "loop_learning" in run and len(run["loop_learning"]):
        _report_learning(run, console)


def _report_learning(run: Run, console: Console) -> None:
    found = learning(run)
    table = TextTable(f"{found['learned'].iloc[0]} under each precoder", "CSI", "method", "rounds", "all rounds (s)",
                      "one (s)", "accuracy", "given up", caption="simulated; 95 % intervals over seeds")  # fmt: skip
    for row in found.sort_values(["age", "time_s"]).to_dict("records"):
        table.add_row(row["age"], row["method"], f"{row['rounds']}", with_interval(row["time_s"], row["interval"]),
                      f"{row['round_s']:.3g}", f"{row['accuracy']:.3f}", f"{row['given_up']}")  # fmt: skip
    table.print(console)
    judged = learning_claims(run)
    if len(judged):
        table = TextTable("Claims on rounds, paired by seed", "CSI", "claim", "sooner (s)", "")
        for row in judged.to_dict("records"):
            table.add_row(row["age"], row["claim"], with_interval(row["difference"], row["interval"], sign="+"),
                          row["verdict"])  # fmt: skip
        table.print(console)
