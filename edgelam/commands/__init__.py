# SPDX-License-Identifier: GPL-2.0-only
"""What the command ``edgelam`` offers, one file for each group of subcommands: their options, and what they do."""
