# SPDX-License-Identifier: GPL-2.0-only
"""Where each device's model is cut: how many blocks it runs, with which rank of adapters and encoding of activations.

Start with docs/decomposition.md. `edgelam.federated.decomposed` is the method that learns so; `costs` says what each
option takes, `choice` tries all of them for each device (exact), with hysteresis; `links` measures the network.
"""
