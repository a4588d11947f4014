"""Streams, settings and clocks that others share: a method that touches one is found."""

import datetime
import os
import random
import time

import numpy as np
import pytest
import torch
from faults import Sound, fault, require_found

from resparse.contract import conduct, shared


def drawing(what, draw):
    """The question's answer, after a draw from a stream that is not the method's."""

    def answer(self, *question):
        draw()
        return getattr(Sound, what)(self, *question)

    return answer


def leaving(change):
    """An update after which a setting of torch is another."""

    def update_masks(self, step, layers):
        change()
        return Sound.update_masks(self, step, layers)

    return update_masks


SETTINGS = [
    fault(
        conduct.settings_are_kept,
        f"update_masks changed torch's {says}, for all that comes after it; valid: settings left",
        step=3,
        update_masks=leaving(change),
    )
    for says, change in {
        "grad mode from True to False": lambda: torch.set_grad_enabled(False),
        "default dtype from torch.float32 to torch.float64": lambda: torch.set_default_dtype(
            torch.float64
        ),
        "number of threads from 1 to 2": lambda: torch.set_num_threads(2),
        "deterministic algorithms from True to False": lambda: torch.use_deterministic_algorithms(
            False
        ),
    }.items()
]

CHANCES = [
    fault(
        conduct.streams_are_kept,
        f"{what} used {source}, which does not follow the seed; valid: draws from self.rng",
        step=step,
        **{what: drawing(what, draw)},
    )
    for what, step in (("init_masks", -1), ("update_masks", 3), ("train_flops", None))
    for source, draw in {
        "torch.Generator": lambda: torch.Generator().manual_seed(0),
        "random.Random": lambda: random.Random(0),
        "numpy.random.default_rng": lambda: np.random.default_rng(0),
        "time.time": lambda: time.time() // 60,
        "datetime.datetime.now": lambda: datetime.datetime.now().hour,
        "os.getpid": lambda: os.getpid() + 1,
    }.items()
]

STREAMS = {
    "torch": lambda: torch.rand(1),
    "torch,": lambda: torch.manual_seed(0),
    "numpy.random": np.random.rand,
    "random": random.random,
}
DRAWS = [
    fault(
        conduct.streams_are_kept,
        f"{what} used the random stream of {stream.strip(',')}, which",
        step=step,
        **{what: drawing(what, draw)},
    )
    for what, step in (
        ("init_masks", -1),
        ("observe", 0),
        ("updates_at", 0),
        ("update_masks", 3),
        ("nnz_at", -1),
        ("random_growth_at", 0),
        ("train_flops", None),
    )
    for stream, draw in STREAMS.items()
]


@pytest.mark.parametrize(
    ("cls", "fields", "holds", "step", "layer", "says", "early"), [*SETTINGS, *CHANCES, *DRAWS]
)
def test_a_method_that_touches_what_others_share_is_found(
    cls, fields, holds, step, layer, says, early
):
    before = [read() for read, _ in shared.SETTINGS.values()]
    require_found(cls, fields, holds, step, layer, says, early)
    assert [read() for read, _ in shared.SETTINGS.values()] == before
