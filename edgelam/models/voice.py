# SPDX-License-Identifier: GPL-2.0-only
"""Text to speech: a voice of Piper (VITS), run by onnxruntime on phonemes of espeak-ng, which runs as a process.

VITS draws noise for variety (J. Kim, J. Kong, J. Son, ICML 2021, arXiv 2106.06103). Here both noise scales are zero, so
that the same text gives the same samples.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

from edgelam.errors import ConfigurationError
from edgelam.files import read_json
from edgelam.models.conversion.packages import needed
from edgelam.models.onnx_work import flops

MOST_CHARACTERS = 2000
_START, _END, _PAD = "^", "$", "_"
_CLAUSES = re.compile(r"[^.,;:!?]+[.,;:!?]?")


class Voice:
    """A voice from a folder that `edgelam.models.fetch` has made."""

    def __init__(self, folder: Path) -> None:
        """Load the voice. Raises ConfigurationError if files, onnxruntime or espeak-ng are missing."""
        runtime = needed("onnxruntime", "to speak")
        if shutil.which("espeak-ng") is None:
            raise ConfigurationError("espeak-ng is needed to turn text into phonemes: apt-get install espeak-ng")
        self.path = folder / "voice.onnx"
        settings = read_json(folder / "voice.json")
        self.rate: int = settings["audio"]["sample_rate"]
        """Samples per second."""
        self._language: str = settings["espeak"]["voice"]
        self._numbers: dict[str, list[int]] = settings["phoneme_id_map"]
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1  # the order of sums, and so the samples, do not depend on the machine's cores
        try:
            self._session = runtime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # a damaged file may raise anything
            raise ConfigurationError(f"{self.path} cannot be read ({str(error).splitlines()[0][:200]})") from None

    def speak(self, text: str) -> np.ndarray:
        """Turn text into samples [samples], float32 from -1 to 1, `rate` per second."""
        samples: np.ndarray = self._session.run(None, self._inputs(text))[0]
        return samples.reshape(-1)

    def work(self, text: str) -> int:
        """Return the floating-point operations of `speak` for this text."""
        return flops(self.path, self._inputs(text))

    def phonemes(self, text: str) -> str:
        """Turn text into phonemes of the International Phonetic Alphabet, with the punctuation between clauses."""
        if not text.strip() or len(text) > MOST_CHARACTERS:
            raise ConfigurationError(f"a text of {len(text)} characters; legal are 1 to {MOST_CHARACTERS}, not blank")
        clauses = [clause.strip() for clause in _CLAUSES.findall(" ".join(text.split()))]
        # one line for each clause, on standard input: no text is ever read as an option
        spoken = subprocess.run(
            ["espeak-ng", "-q", "--ipa", "-v", self._language, "--stdin"],
            input="\n".join(re.sub(r"[.,;:!?]$", "", clause) + "\n" for clause in clauses),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        lines = [line.strip() for line in spoken.stdout.splitlines() if line.strip()]
        marks = [clause[-1] if clause[-1] in ".,;:!?" else "" for clause in clauses if clause.strip(".,;:!? ")]
        return " ".join(line + mark for line, mark in zip(lines, marks + [""] * len(lines), strict=False))

    def _inputs(self, text: str) -> dict[str, Any]:
        known = [c for c in unicodedata.normalize("NFD", self.phonemes(text)) if c in self._numbers]
        numbers = [*self._numbers[_START], *self._numbers[_PAD]]
        for phoneme in known:
            numbers += [*self._numbers[phoneme], *self._numbers[_PAD]]
        numbers += self._numbers[_END]
        return {
            "input": np.array([numbers], np.int64),
            "input_lengths": np.array([len(numbers)], np.int64),
            "scales": np.array([0.0, 1.0, 0.0], np.float32),  # noise, length, noise of durations
        }
