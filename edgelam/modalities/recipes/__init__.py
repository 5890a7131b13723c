# SPDX-License-Identifier: GPL-2.0-only
"""How each small module is trained, one a file: ``empty()`` makes the network, ``fit(bench)`` trains one.

``control()``, if there is one, makes a network with random weights as a control; otherwise ``empty()`` does.
"""
