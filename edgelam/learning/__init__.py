# SPDX-License-Identifier: GPL-2.0-only
"""What all ways of learning over a network share. No task, model or experiment is known here.

| module | what it has |
|---|---|
| `conversation` | a server and its devices: who they are, messages that begin with their step, and how time is spent |
| `rounds` | the round loop of both sides: invitations, participation, deadlines, stragglers |
| `aggregation` | rules that combine LoRA adapters, one per file; `averaging` is the plain weighted average |
| `compressors` | model updates in fewer bytes, one per file |
| `optimisers`, `search`, `divergence` | optimisers, the search for a learning rate, the end of a run that diverges |
| `memory` | how much memory training takes, and memory that is given back |
| `participation` | who takes part in a round |
| `band`, `channels` | shares of the band of 5G cells, told to base stations and kept to; reports of channels |
| `secure_sum` | pairwise masks: a server learns the sum of what devices send and nothing else of it |
"""
