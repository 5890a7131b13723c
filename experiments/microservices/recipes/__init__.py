# SPDX-License-Identifier: GPL-2.0-only
"""What `edgelam run microservices --config NAME` starts from; each recipe is a file of its own."""

from .declared import declared
from .deployment import deployment
from .migration import migration, migration_far, migration_far_language, migration_seeds
from .orchestration import orchestration
from .paper import paper
from .quick import quick, quick_seeds
from .seeds import seeds

RECIPES = {
    "quick": quick, "quick-seeds": quick_seeds, "declared": declared, "seeds": seeds, "deployment": deployment,
    "migration": migration, "migration-seeds": migration_seeds, "migration-far": migration_far,
    "migration-far-language": migration_far_language, "orchestration": orchestration, "paper": paper,
}  # fmt: skip
