# SPDX-License-Identifier: GPL-2.0-only
"""For all tests."""

import os
import signal

# PyTorch's idle threads spin by default and take the core that another process needs: tests of training are many times
# slower on a busy machine. Read when PyTorch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A shell starts background jobs with Ctrl-C ignored, and child processes inherit that: tests of Ctrl-C would wait in
# vain. With a handler here, children start with the default again.
signal.signal(signal.SIGINT, signal.default_int_handler)
