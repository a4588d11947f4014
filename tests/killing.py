"""Processes that end by kill -9 where a test says, and all that a training holds, to compare."""

import dataclasses
import itertools
import multiprocessing
import os
import signal
import stat
import time

import torch
from conftest import Watched, train_to

from resparse import resuming
from resparse.history import read_events
from resparse.masks import moments
from resparse.training import model_state

OPERATIONS = ("fsync", "mkdir", "rename", "replace", "rmdir", "unlink")  # what a disk is told


def die(*_):
    """End this process without a word to anybody."""
    os.kill(os.getpid(), signal.SIGKILL)


def forked(work):
    """Exit code of a process that does ``work`` from here on, negative where a signal ended it."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    end = time.monotonic() + 120
    while child.exitcode is None and time.monotonic() < end:  # join(120) waits for its children too
        time.sleep(0.002)
    child.kill()
    return child.exitcode


def killed_before(step, path, run, parent=None, data=None, **options):
    """Train until ``step`` would begin, then kill -9."""
    watched = Watched(lambda at, *_: die() if at == step else None, data)
    code = forked(lambda: train_to(path, run, parent, watched, **options))
    assert code == -signal.SIGKILL, code


def at_operation(number, act):
    """From now on call ``act(operation's name, its first argument)`` before the number-th."""
    count = itertools.count()

    def patched(name, real):
        def call(first, *rest, **named):
            if next(count) == number:
                act(name, first)
            return real(first, *rest, **named)

        return call

    for name in OPERATIONS:
        setattr(os, name, patched(name, getattr(os, name)))


def torn(name, handle):
    """A power cut: half of what an fsync was asked for is on the disk, and nothing runs on."""
    if name == "fsync" and stat.S_ISREG(os.fstat(handle).st_mode):
        os.ftruncate(handle, os.fstat(handle).st_size // 2)
    die()


def in_checkpoint(step, number, act, path, run, parent=None, data=None, **options):
    """Train; when the checkpoint of ``step`` is written, ``act`` before its number-th operation.

    Returns the exit code: 0 where there are no more operations.
    """
    real = resuming.save_checkpoint

    def save(folder, at, *given, **named):
        if at == step:
            at_operation(number, act)
        real(folder, at, *given, **named)
        if at == step:
            os._exit(0)

    def work():
        resuming.save_checkpoint = save
        train_to(path, run, parent, data, **options)

    return forked(work)


def events(path):
    """What happened in a run's folder, in order."""
    return read_events(path)[0]


def everything(t):
    """All that decides a training's next step, and all it has found."""
    tensors = model_state(t)
    for what in resuming.MASKS:
        tensors |= {f"{what}/{n}": tensor for n, tensor in getattr(t.masks, what).items()}
    for name, parameter in t.model.named_parameters():
        for number, moment in enumerate(moments(t.optimizer, parameter)):
            tensors[f"moment/{number}/{name}"] = moment
    tensors |= {f"state/{name}": tensor for name, tensor in t.method.state.items()}
    copied = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    progress = dataclasses.asdict(t.progress) | {"loss_sum": float(t.watch.loss)}
    return copied | {"rng": torch.get_rng_state()}, progress


def whole(path, run, parent=None, data=None, **options):
    """Train to the end: (what train() returns, all after the last step, the bytes of its files)."""
    found = []

    def see(t):
        if t.progress.step == run.recipe.steps:
            found.append(everything(t))

    trained = train_to(path, run, parent, data, see=see, **options)
    files = {name: (path / name).read_bytes() for name in trained.files}
    return trained, found[-1], files


def require_same(found, expected):
    """Bit for bit, whichever of them was interrupted."""
    assert found[0] == expected[0]
    (tensors, progress), (others, theirs) = found[1], expected[1]
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, others[name]), name
    assert progress == theirs
    assert found[2] == expected[2]
