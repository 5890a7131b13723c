# SPDX-License-Identifier: GPL-2.0-only
"""``python -m edgelam`` is the command ``edgelam``."""

import sys

from edgelam.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
