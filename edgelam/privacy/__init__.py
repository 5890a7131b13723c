# SPDX-License-Identifier: GPL-2.0-only
"""What a server or a device can learn from what passes through it. Remedies that learning uses are in edgelam.learning.

| module | what |
|---|---|
| `least_squares` | the input of a linear map from some of its output's columns, weights known or learnt |
| `label_clusters` | the labels behind Jacobians, by grouping these |
| `canary_audit` | an empirical lower bound of epsilon, from canaries that a release should hide |
| `token_lookup` | which tokens were encoded, by comparison with every token of the vocabulary |

An attack is a function of what was seen and what is known; it knows no network and no experiment.
"""
