"""Processes forked from one that has torch loaded; its environment decides their numerics."""

import multiprocessing
import os
from multiprocessing.context import ForkServerContext

from resparse.precision import PORTABLE_ENV


def context(*, portable: bool) -> ForkServerContext:
    """The fork server's context; the first to start a process with it settles its numerics.

    ``portable`` sets what torch reads when the fork server imports it (precision.PORTABLE_ENV).
    """
    if portable:
        os.environ.update(PORTABLE_ENV)
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["resparse.worker", "sklearn.datasets"])
    return found
