# SPDX-License-Identifier: GPL-2.0-only
"""Learning tasks (built in or the user's own) and how their training sets are divided among devices."""

from edgelam.data.split import split_dirichlet, split_iid
from edgelam.data.task import BUILT_IN, Examples, Task, check_task, load_task

__all__ = ["BUILT_IN", "Examples", "Task", "check_task", "load_task", "split_dirichlet", "split_iid"]
