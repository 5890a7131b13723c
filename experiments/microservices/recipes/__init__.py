# SPDX-License-Identifier: GPL-2.0-only
"""What `edgelam run microservices --config NAME` starts from; each recipe is a file of its own."""

from .declared import declared
from .seeds import seeds

RECIPES = {"declared": declared, "seeds": seeds}
