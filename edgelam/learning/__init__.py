# SPDX-License-Identifier: GPL-2.0-only
"""What every way of learning over a network shares: no task, no model, no experiment is known here.

| module | what |
|---|---|
| `conversation` | a server and its devices: who they are, messages headed by their step, and where the time goes |
| `rounds` | the round loop of both sides: invitations, participation, deadlines, stragglers |
| `aggregation` | rules that put LoRA adapters together, one per file; `averaging` is the plain weighted average |
| `compressors` | model updates in fewer bytes, one per file |
| `optimisers`, `search`, `divergence` | optimisers, the search for a learning rate, what is no number ends a run |
| `memory` | how much memory training takes, and memory that is given back |
| `participation` | who takes part in a round |
"""
