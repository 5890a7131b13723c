# SPDX-License-Identifier: GPL-2.0-only
"""``python -m edgelam`` is the command ``edgelam``."""

from edgelam.commands.main import program

if __name__ == "__main__":
    program()
