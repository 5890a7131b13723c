# SPDX-License-Identifier: GPL-2.0-only
"""What `edgelam run microservices --config NAME` starts from; each recipe is a file of its own."""

from .declared import declared
from .deployment import deployment
from .migration import migration, migration_seeds
from .orchestration import orchestration
from .paper import paper
from .quick import quick
from .seeds import seeds

RECIPES = {
    "quick": quick, "declared": declared, "seeds": seeds, "deployment": deployment, "migration": migration,
    "migration-seeds": migration_seeds, "orchestration": orchestration, "paper": paper,
}  # fmt: skip
