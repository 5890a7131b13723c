# SPDX-License-Identifier: GPL-2.0-only
"""Rules for aggregating LoRA adapters in federated learning, one per file.

| rule | up | down | exact |
|---|---|---|---|
| `fedit` | A, B | mean A, mean B | no |
| `ffa-lora` | B | mean B | yes, A is not trained |
| `fedex-lora` | A, B | means and residual, or all A, B | yes |
| `flora` | A, B | all A, B stacked | yes, also with mixed ranks |
| `hetlora` | A, B | mean A, mean B, padded with zeros | no; mixed ranks |
| `fedsa-lora` | A | mean A | B stays on its client |

`fedavg` averages whatever is trained, for methods without low-rank adapters; `whole_models` is for models that have
adapters and other trained weights.
"""

from edgelam.learning.aggregation.fedavg import FedAvg
from edgelam.learning.aggregation.fedex_lora import FedExLoRA
from edgelam.learning.aggregation.fedit import FedIT
from edgelam.learning.aggregation.fedsa_lora import FedSALoRA
from edgelam.learning.aggregation.ffa_lora import FFALoRA
from edgelam.learning.aggregation.flora import FLoRA
from edgelam.learning.aggregation.hetlora import HetLoRA
from edgelam.learning.aggregation.rule import Aggregation

RULES: dict[str, Aggregation] = {
    rule.name: rule for rule in (FedIT(), FFALoRA(), FedExLoRA(), FLoRA(), HetLoRA(), FedSALoRA())
}

__all__ = ["RULES", "Aggregation", "FFALoRA", "FLoRA", "FedAvg", "FedExLoRA", "FedIT", "FedSALoRA", "HetLoRA"]
