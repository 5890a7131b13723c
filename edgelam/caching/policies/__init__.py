# SPDX-License-Identifier: GPL-2.0-only
"""Which block a cache gives up, one policy in each file; Belady's needs to know all requests beforehand."""

from collections.abc import Callable

from edgelam.caching.cache import Policy
from edgelam.caching.policies.belady import Belady
from edgelam.caching.policies.gdsf import Gdsf
from edgelam.caching.policies.lfu import Lfu
from edgelam.caching.policies.lru import Lru

POLICIES: dict[str, Callable[[], Policy]] = {"lru": Lru, "lfu": Lfu, "gdsf": Gdsf}
"""Those that decide online."""

__all__ = ["POLICIES", "Belady", "Gdsf", "Lfu", "Lru"]
