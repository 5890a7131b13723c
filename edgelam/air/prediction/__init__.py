# SPDX-License-Identifier: GPL-2.0-only
"""Channel prediction: from the past of a channel to its future, by methods from the simplest to a large AI model.

windows = prediction.cut(csi.load("csi.npz"), prediction.WindowSettings())
predictor = prediction.make("gru", prediction.WindowSettings(), seed=1)
nmse = prediction.nmse(predictor(torch.from_numpy(windows.past)), torch.from_numpy(windows.future)).mean()
"""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.air.prediction.checkpoints import load_checkpoint, read_metadata, save_checkpoint
    from edgelam.air.prediction.continued import Continued
    from edgelam.air.prediction.error import nmse, spectral_efficiency
    from edgelam.air.prediction.federated import FederatedRound, Federation
    from edgelam.air.prediction.lam import Lam
    from edgelam.air.prediction.methods import PREDICTORS, make
    from edgelam.air.prediction.predictor import Predictor
    from edgelam.air.prediction.settings import LamSettings, TrainingSettings, WindowSettings
    from edgelam.air.prediction.training import Score, Trainer, evaluate
    from edgelam.air.prediction.windows import Windows, add_noise, cut, cut_sample, join, stack

_HOME = {
    **dict.fromkeys(("load_checkpoint", "read_metadata", "save_checkpoint"), "checkpoints"),
    "Continued": "continued",
    **dict.fromkeys(("nmse", "spectral_efficiency"), "error"),
    **dict.fromkeys(("FederatedRound", "Federation"), "federated"),
    "Lam": "lam",
    **dict.fromkeys(("LamSettings", "TrainingSettings", "WindowSettings"), "settings"),
    **dict.fromkeys(("PREDICTORS", "make"), "methods"),
    "Predictor": "predictor",
    **dict.fromkeys(("Score", "Trainer", "evaluate"), "training"),
    **dict.fromkeys(("Windows", "add_noise", "cut", "cut_sample", "join", "stack"), "windows"),
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = [
    "PREDICTORS",
    "Continued",
    "FederatedRound",
    "Federation",
    "Lam",
    "LamSettings",
    "Predictor",
    "Score",
    "Trainer",
    "TrainingSettings",
    "WindowSettings",
    "Windows",
    "add_noise",
    "cut",
    "cut_sample",
    "evaluate",
    "join",
    "load_checkpoint",
    "make",
    "nmse",
    "read_metadata",
    "save_checkpoint",
    "spectral_efficiency",
    "stack",
]
