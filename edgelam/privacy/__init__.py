# SPDX-License-Identifier: GPL-2.0-only
"""What a server or a device can learn from what passes through it, and what can be done about it.

| module | what |
|---|---|
| `secure_sum` | pairwise masks: a server learns the sum of what devices send and nothing else of it |
"""
