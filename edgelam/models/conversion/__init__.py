# SPDX-License-Identifier: GPL-2.0-only
"""Readers of model files in other formats, one model per file: each writes a folder that transformers can load.

Every module has ``convert(source, folder)``: `source` is the folder of the unpacked files of the package, `folder` is
empty and receives ``config.json``, ``model.safetensors`` and the files of the tokeniser or preprocessor.
"""
