# SPDX-License-Identifier: GPL-2.0-only
"""For all tests."""

import signal

# A shell starts background jobs with Ctrl-C ignored, and child processes inherit that: tests of Ctrl-C would wait in
# vain. With a handler here, children start with the default again.
signal.signal(signal.SIGINT, signal.default_int_handler)
