# SPDX-License-Identifier: GPL-2.0-only
"""What a server or a device can learn from what passes through it. Remedies that learning uses are in edgelam.learning.

| module | what |
|---|---|
| `least_squares` | the input of a linear map from some of its output's columns, weights known or learnt |
| `gradient_matching` | the inputs behind a gradient, by making the same gradient |
| `inversion` | the inputs behind what crosses at a cut of a model, by a map learned from inputs of one's own |
| `label_clusters` | the labels behind Jacobians, by grouping these |
| `canary_audit` | an empirical lower bound of epsilon, from canaries that a release should hide |
| `membership` | whether a sample was trained on, by heads that the attacker trains itself |
| `token_lookup` | which tokens were encoded, by comparison with every token of the vocabulary |

An attack is a function of what was seen and what is known; it knows no network and no experiment.
"""
