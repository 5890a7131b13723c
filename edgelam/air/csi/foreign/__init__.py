# SPDX-License-Identifier: GPL-2.0-only
"""CSI in the files of other programs: arrays whose axes are named (`axes`), in .mat, .npy or .npz (`arrays`).

`importing` makes a recording of them, `exporting` writes them. `layouts` has what is published: LLM4CP, QuaDRiGa,
DeepMIMO.
"""
