# SPDX-License-Identifier: GPL-2.0-only
"""What a person sees: figures for a paper, tables on a terminal, the progress of a run."""
