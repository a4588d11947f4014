"""The toy's masks in another process, where strings hash otherwise and a set has another order.

A method from outside is taken there by its file; the suite's own are by the tests, all at once.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from resparse import registry
from resparse.contract.run import Run
from resparse.contract.toy import SHAPES, Toy
from resparse.errors import ContractBroken

LIMIT_S = 90  # of the other process, which takes 3 s; it ends itself
Digests = list[dict[str, str]]  # by layer, of the initial masks and after every update

_ASK = "import gc, json, sys; gc.disable(); sys.path[:] = json.loads(sys.argv[1]); "
_ASK += "from resparse.contract import elsewhere; elsewhere.answer()"


def same_masks_elsewhere(toy: Toy) -> None:
    """Step and layer of the first that differ are named."""
    name = toy.cls.__module__.rpartition(".")[2]
    if not registry.is_outside(name):
        return
    file = registry.source(name)
    (there,) = masks_elsewhere([(name, file, toy.fields)])
    here = Run(toy, watch=())
    for step, ours, theirs in zip(here.moved, digests(here), there, strict=True):
        for layer in SHAPES:
            if ours[layer] != theirs[layer]:
                raise ContractBroken(
                    "the same seed gives other masks in another process; valid: nothing that "
                    "depends on hash(), on the order of a set, or on the process",
                    step=step,
                    layer=layer,
                )


def digests(run: Run) -> Digests:
    """Of all masks of a training."""
    return [
        {n: sha256(m.numpy().tobytes()).hexdigest() for n, m in masks.items()}
        for masks in run.history
    ]


def masks_elsewhere(methods: Sequence[tuple[str, Path, Mapping[str, Any]]]) -> list[Digests]:
    """Of a trial of each (name, file, fields) in one new process with another hash seed.

    Raises ContractBroken with what a method breaks there.
    """
    root = str(Path(__file__).resolve().parents[2])  # of this very package, whatever comes first
    done = subprocess.run(
        [sys.executable, "-c", _ASK, json.dumps([root, *sys.path])],
        input=pickle.dumps([(name, str(file), dict(fields)) for name, file, fields in methods]),
        env={**os.environ, "PYTHONHASHSEED": other_hash_seed()},
        capture_output=True,
        check=False,
    )
    lines = (done.stdout or b"").decode().splitlines()
    if done.returncode != 0 or not lines:
        last = " ".join(done.stderr.decode().split("\n")[-2:]).strip()
        raise ContractBroken(
            f"in another process with other string hashes it ended with exit code "
            f"{done.returncode} ({last}); valid: the same as here"
        )
    found: list[Digests] = json.loads(lines[-1])
    return found


def other_hash_seed() -> str:
    """The first PYTHONHASHSEED under which the layers' names make a set in another order."""
    ask, here = f"print(list(set({list(SHAPES)})))", str(list(set(SHAPES)))
    for seed in map(str, count(1)):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        told = subprocess.run(
            [sys.executable, "-S", "-c", ask], env=environment, capture_output=True, check=True
        )
        if told.stdout.decode().strip() != here:
            return seed
    raise AssertionError


def answer() -> None:
    """The other process: what is asked comes by standard input, the digests go to the last line."""
    signal.alarm(LIMIT_S)
    found = []
    for name, file, fields in pickle.load(sys.stdin.buffer):
        cls = registry.load(name) if name in registry.names() else registry.add(name, Path(file))
        found.append(digests(Run(Toy(cls, fields), watch=())))
    print(f"\n{json.dumps(found)}")
