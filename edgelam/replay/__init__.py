# SPDX-License-Identifier: GPL-2.0-only
"""Recording what a run's tasks do, and doing it again over another network (docs/replay.md).

recorder.py records a simulation's program. It is an observer of cosim's loop, with the futures and tasks
(recorded_futures.py) and the wrappers of asyncio (recorded_asyncio.py) that it needs, and times that remember how they
were computed (traced.py). programs.py keeps programs in a run folder. player.py plays one; replay_run.py replays a run,
and tables.py writes its tables again.
"""

from edgelam.replay.player import ProgramPlayer
from edgelam.replay.recorder import ProgramRecorder
from edgelam.replay.replay_run import replay

__all__ = ["ProgramPlayer", "ProgramRecorder", "replay"]
