# SPDX-License-Identifier: GPL-2.0-only
"""Differential privacy of what a device sends: each sample's share is clipped, and Gaussian noise is added to it.

| module | what |
|---|---|
| `settings` | bounds, noise, budget |
| `gaussian` | clipping of each sample, and noise |
| `accounting` | epsilon of a number of releases, and the noise for a target (dp-accounting) |
| `user` | settings for the privacy of a whole device's data |
| `analog` | what an analog uplink's thermal noise supplies |

Two data sets are neighbours if one sample is replaced by another (in split fine-tuning: its label, docs/privacy.md).
"""
