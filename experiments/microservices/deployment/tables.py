# SPDX-License-Identifier: GPL-2.0-only
"""The tables of the study deployment, beside those that every run has; times are simulated seconds.

curves     one row for each point of a learning curve: the mean distance from the optimum on problems of other draws
learners   one row a learner: whether its curve has flattened (edgelam.agents.curve)
model      one row a problem and method: the mean delay of its plan on the planner's model, beside the exact one's
metrics    one row a simulation: what edgelam/inference/metrics.py says, the predicted mean latency, the decision, and
           the gap that the exact solver states (NaN: of another method)
requests   one row a request, with its delay taken apart (edgelam/inference/records.py)
refused    one row a method that found no plan, with the reason
"""

CURVES = {"method": str, "updates": int, "distance": float}
LEARNERS = {"method": str, "updates": int, "flat": bool}
MODEL = {
    "set": str, "problem": int, "method": str, "best_s": float, "gap": float, "delay_s": float, "excess": float,
    "operations": int, "reason": str,
}  # fmt: skip
CASE: dict[str, type] = {"method": str, "charge": bool, "seed": int}
METRICS = CASE | {
    "requests": int, "completed": int, "on_time_ratio": float, "e2e_mean_s": float, "e2e_p50_s": float,
    "e2e_p95_s": float, "e2e_p99_s": float, "memory_bytes": int, "instances": int, "predicted_s": float,
    "collected_s": float, "decided_s": float, "operations": int, "gap": float, "link_error_p50": float,
    "link_error_p95": float, "declared": bool,
}  # fmt: skip
REFUSED = CASE | {"reason": str}
