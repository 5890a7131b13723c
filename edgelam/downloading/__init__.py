# SPDX-License-Identifier: GPL-2.0-only
"""Models are downloaded where they are needed, in a size that fits, and are refined as they come."""

from typing import TYPE_CHECKING

from edgelam import lazy

if TYPE_CHECKING:
    from edgelam.downloading.device import Device
    from edgelam.downloading.download import Download, Progress, Step, Way
    from edgelam.downloading.encoding import Received, encode, keep
    from edgelam.downloading.lattice import Lattice, Piece, Point, library_of
    from edgelam.downloading.multicast import Shared, distribute
    from edgelam.downloading.selector import Limits, Plan, Selector
    from edgelam.downloading.serving import Answered, Serving, while_receiving
    from edgelam.downloading.triggers import Application, Area, At, Cell, first, nearest_site

_HOME = {
    "Device": "device",
    **dict.fromkeys(("Download", "Progress", "Step", "Way"), "download"),
    **dict.fromkeys(("Received", "encode", "keep"), "encoding"),
    **dict.fromkeys(("Lattice", "Piece", "Point", "library_of"), "lattice"),
    **dict.fromkeys(("Shared", "distribute"), "multicast"),
    **dict.fromkeys(("Limits", "Plan", "Selector"), "selector"),
    **dict.fromkeys(("Answered", "Serving", "while_receiving"), "serving"),
    **dict.fromkeys(("Application", "Area", "At", "Cell", "first", "nearest_site"), "triggers"),
}

__getattr__ = lazy.attributes(__name__, _HOME)

__all__ = [
    "Answered",
    "Application",
    "Area",
    "At",
    "Cell",
    "Device",
    "Download",
    "Lattice",
    "Limits",
    "Piece",
    "Plan",
    "Point",
    "Progress",
    "Received",
    "Selector",
    "Serving",
    "Shared",
    "Step",
    "Way",
    "distribute",
    "encode",
    "first",
    "keep",
    "library_of",
    "nearest_site",
    "while_receiving",
]
