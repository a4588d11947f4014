"""Small portable runs for the tests; the environment must be set before torch is imported."""

import os

os.environ.update(  # resparse.precision.PORTABLE_ENV, literally: importing it would import torch
    {
        "MKL_CBWR": "COMPATIBLE",
        "ATEN_CPU_CAPABILITY": "default",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
)

import dataclasses
import gc
from pathlib import Path

import pytest
import torch
from filed import brought  # noqa: F401
from safetensors.torch import load_file
from slurm_programs import queue  # noqa: F401

from resparse import precision, registry
from resparse.beginning import start
from resparse.data import digits
from resparse.distributions import layer_counts
from resparse.how import How
from resparse.method import Parent
from resparse.models import build_model, maskable
from resparse.record import Recipe, Run, RunFolder
from resparse.trainer import train, train_steps

gc.disable()  # until the tests are collected: see pytest_collection_finish
STEPS, PER_EPOCH, REWIND = 30, 14, 6  # 897 digits in batches of 64: 14 steps an epoch

METHODS = tuple(registry.names())  # every file in methods/

# fields under which masks move on both sides of step 17, where an interval alone will not do
FIELDS = {
    "gmp": {"interval": 5, "begin": 0.1, "end": 0.9},
    "rigl": {"interval": 4, "alpha": 0.4, "t_end": 0.9},
    "set": {"interval": 4, "alpha": 0.4, "t_end": 1.0},
    "snfs": {"interval": 4, "alpha": 0.4, "t_end": 0.9},
}
PARENTS = {"ltr": ("gmp", REWIND)}  # parent and rewind step; other tickets: a dense run, step 0


def in_faults(names, but):
    """Parameters of which `nox -s tests` has those in ``but``, and `nox -s faults` all.

    A case is a name, or a tuple that a parametrized test takes apart.
    """
    assert set(but) <= set(names), set(but) - set(names)
    cases = []
    for name in names:
        values = name if isinstance(name, tuple) else (name,)
        marks = () if name in but else (pytest.mark.fault, pytest.mark.long)
        cases.append(pytest.param(*values, marks=marks))
    return cases


def fields_of(method):
    """The table's, or for a method that is not in it an interval under which masks move."""
    moves = "interval" in registry.own_fields(registry.load(method))
    return FIELDS.get(method, {"interval": 4} if moves else {})


def make_run(method, steps=STEPS, seed=0, lr=0.1, snapshots=(), **fields):
    """A run of resnet8 on digits; a parent, where one is needed, is as long as its child."""
    needs_parent = registry.load(method).needs_parent
    parent, rewind = PARENTS.get(method, ("dense", 0)) if needs_parent else (None, 0)
    return Run(
        model="resnet8",
        dataset="digits",
        dataset_sha256="0" * 64,
        method=method,
        fields=registry.resolve_fields(method, fields_of(method) | fields),
        distribution="dense" if method == "dense" else "erk",
        density=1.0 if method == "dense" else 0.2,
        recipe=Recipe(
            batch_size=64, steps=steps, lr=lr, lr_shape="cosine", nesterov=True, weight_decay=5e-4
        ),
        seed=seed,
        precision="portable",
        parent=make_run(parent, steps, seed, lr, (rewind,) * (rewind > 0)) if parent else None,
        start_step=rewind,
        snapshots=snapshots,
    )


def counts_of(run, data=None):
    """Target weights per layer, by default of the network for digits."""
    classes, shape = (data.classes, data.image_shape) if data else (10, (1, 8, 8))
    weights = maskable(build_model(run.model, classes, shape, 0))
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    return layer_counts(run.distribution, shapes, run.density)


def parent_of(run, root, data=None):
    """What start() takes: the parent's masks, weights and snapshot, read from its folder."""
    if run.parent is None:
        return None
    data = data or digits.load()
    known = run.parent.key, run.start_step, data.sha256
    if known not in _PARENTS:
        _PARENTS[known] = _trained_parent(run, root, data)
    return _PARENTS[known]


_PARENTS = {}  # what parents left, trained once a process; nothing writes to it


def _trained_parent(run, root, data):
    folder = new_folder(root / f"parent-{run.parent.key}")
    outcome = train(run.parent, data, counts_of(run.parent, data), folder)[2]
    final = load_file(folder.path / "final.safetensors")
    masks = part(final, "mask/")
    parent = Parent(
        masks=masks,
        train_flops=sum(outcome["train_flops"].values()),
        step=run.start_step,
        weights={name: final[f"model/{name}.weight"] for name in masks},
    )
    if run.start_step == 0:
        return parent, None
    snapshot = load_file(folder.path / f"snapshot-{run.start_step}.safetensors")
    return parent, part(snapshot, "model/")


def part(tensors, prefix):
    """The tensors under a prefix, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def undrawn(name, classes, image_shape):
    """A model for counting: to draw the weights of a large one takes longer than to count them."""
    with torch.device("meta"):
        model = build_model(name, classes, image_shape, 0)
    model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.fill_(1)
    return model


def new_folder(path: Path) -> RunFolder:
    path.mkdir(parents=True, exist_ok=True)
    return RunFolder(path)


def step_losses(run, steps, parent=None):
    """The loss of each of the first ``steps`` steps."""
    t = start(run, digits.load(), counts_of(run), parent, How())
    losses = []
    for _ in train_steps(t, run.start_step + steps):
        losses.append(t.watch.take())
    return losses


class Watched:
    """Digits that call ``see(step, images, labels)`` before each training batch is used."""

    def __init__(self, see, data=None):
        self.data, self.see = data or digits.load(), see

    def __getattr__(self, name):
        return getattr(self.data, name)

    def train_batches(self, seed, batch_size, start, stop):
        batches = self.data.train_batches(seed, batch_size, start, stop)
        for step, (images, labels) in enumerate(batches, start=start):
            changed = self.see(step, images, labels)
            yield (images if changed is None else changed), labels


def train_to(path, run, parent=None, data=None, **options):
    """train() in a folder of its own."""
    data = data or digits.load()
    return train(run, data, counts_of(run, data), new_folder(path), parent=parent, **options)


def pytest_collection_finish():
    """From now on the collector runs, and passes over the million objects that are there."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def portable():
    """Every test of the process computes in portable numerics, whatever their order."""
    precision.enter("portable")
    assert torch.get_num_threads() == 1


@pytest.fixture(autouse=True)
def one_thread():
    """A test leaves one thread, as it was given: what is forked from more may stand still."""
    yield
    left = torch.get_num_threads()
    torch.set_num_threads(1)
    assert left == 1


@pytest.fixture
def small_run():
    """A function from a method's name (and overrides of Run's fields) to a small Run."""

    def small(method, **changes):
        return dataclasses.replace(make_run(method), **changes)

    return small


def pytest_collection_modifyitems(config, items):
    """What is long runs where faults are asked for."""
    if "fault" in (config.getoption("-m") or ""):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long: nox -s faults runs it"))
