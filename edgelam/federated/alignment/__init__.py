# SPDX-License-Identifier: GPL-2.0-only
"""Parts of contrastive alignment of two modalities: settings, the pair of tasks, what devices and server compute."""
