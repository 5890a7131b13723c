# SPDX-License-Identifier: GPL-2.0-only
"""Runs transformers without a hub and without output of its own."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants as hub


@contextmanager
def offline_and_quiet() -> Iterator[None]:
    """Do without the hub, whatever a configuration asks for, and without transformers' progress bars and loading
    reports; what is important in them is checked here."""
    from transformers.utils import logging as transformers_logging

    logger = logging.getLogger("transformers")
    level = logger.level
    bar = transformers_logging.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    offline, hub.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = offline
        logger.setLevel(level)
        if bar:
            transformers_logging.enable_progress_bar()
