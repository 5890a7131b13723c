# SPDX-License-Identifier: GPL-2.0-only
"""Beamforming that is learned: policies from the graph of users to precoders, trained on the rate itself.

| module | policy |
|---|---|
| `graph_lam` | GNN, tokens, a frozen transformer with adapters, outputs |
| `gnn` | message passing alone |
| `unrolled` | a few iterations of WMMSE with trained steps |

`policy` has what all share: from two numbers for each user to a precoder that keeps to the power limit.
"""
