"""Golden losses: the first of a run of every method. ``python tests/golden.py --write`` adds them.

A change that must not move numbers leaves golden.json as it is.
"""

import json
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from conftest import (
    METHODS,
    counts_of,
    make_run,
    parent_of,
)  # sets the environment, so before torch

# isort: split
import torch

from resparse import precision
from resparse.data import digits
from resparse.trainer import train_steps
from resparse.training import start

FILE = Path(__file__).with_name("golden.json")
STEPS = 12  # with two mask updates and a step after each, also of gmp: after steps 4 and 9


def step_losses(run, steps, parent=None):
    """The loss of each of the first ``steps`` steps."""
    t = start(run, digits.load(), counts_of(run), parent, torch.device("cpu"))
    losses = []
    for _ in train_steps(t, run.start_step + steps):
        losses.append(t.progress.loss_sum)
        t.progress.loss_sum = 0.0
    return losses


def losses_of(method, folder):
    """The golden losses of a method; what its parent leaves goes to ``folder``."""
    run = make_run(method)
    return step_losses(run, STEPS, parent_of(run, folder))


def stored():
    """torch version -> method -> losses."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def write():
    """Run, and store under the running torch version; other versions stay."""
    precision.enter("portable")
    with tempfile.TemporaryDirectory() as folder:
        losses = {method: losses_of(method, Path(folder)) for method in METHODS}
    values = stored() | {str(torch.__version__): losses}
    FILE.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/golden.py --write")
    write()
