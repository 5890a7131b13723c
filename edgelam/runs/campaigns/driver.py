# SPDX-License-Identifier: GPL-2.0-only
"""Runs the unfinished jobs of a campaign, several at a time, until all are finished or have failed."""

import time
from collections import deque
from collections.abc import Callable, Sequence

from edgelam.runs.campaigns.display import Display, reason_of
from edgelam.runs.campaigns.folder import CampaignFolder, Claim, Job
from edgelam.runs.campaigns.local import Workers
from edgelam.runs.many import update_index

POLL_S = 0.1
INDEX_S = 10.0  # between two updates of the index of results


def run_jobs(
    folder: CampaignFolder,
    jobs: Sequence[Job],
    workers: Workers,
    display: Display,
    *,
    experiment: str,
    recipe: str,
    on_first: Callable[[Job], object],
) -> list[Job]:
    """Run `jobs`; return those that failed. A run that another campaign has is waited for, and run if that gives it up.

    on_first: called with the first job that is finished; what it raises ends the campaign, and finished runs stay.
    Whatever ends this (Ctrl-C, a full disk), no run is left running, and nothing half done is left.
    """
    waiting, elsewhere, failed = deque(jobs), deque[Job](), list[Job]()
    running: dict[str, Claim] = {}
    indexed, indexed_at, first = True, time.monotonic(), True
    try:
        while waiting or running or elsewhere:
            while waiting and workers.free() > 0:
                job = waiting.popleft()
                if (claim := folder.claim(job)) is not None:
                    running[job.name] = claim
                    folder.prepare(claim, experiment, recipe)
                    workers.start(claim)
                    display.started(claim)
                elif folder.is_finished(job):
                    display.found()
                else:
                    elsewhere.append(job)
            display.elsewhere = len(elsewhere)
            ended = workers.ended()
            for claim in ended:
                reason = reason_of(claim.scratch)
                finished = folder.collect(claim, experiment)
                del running[claim.job.name]
                display.ended(claim.job, finished, reason)
                indexed = False
                if not finished:
                    failed.append(claim.job)
                elif first:
                    first = False
                    on_first(claim.job)
            if not indexed and time.monotonic() - indexed_at > INDEX_S:
                update_index(folder.path)
                indexed, indexed_at = True, time.monotonic()
            if not waiting and elsewhere and workers.free() > 0:
                waiting, elsewhere = elsewhere, deque()
                time.sleep(5 * POLL_S)
            elif not ended:
                time.sleep(POLL_S)
    finally:
        workers.stop()
        for claim in running.values():
            folder.release(claim)
    return failed
