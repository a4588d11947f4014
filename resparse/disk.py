"""The disk that trainings take, and whether there is room for it before the first one begins."""

from collections.abc import Sequence
from functools import cache

import torch

from resparse import data, registry
from resparse.checkpoint import KEEP
from resparse.files import require_writable
from resparse.garbage import size
from resparse.models import build_model, maskable
from resparse.outside import prints_aside
from resparse.record import Run, RunStore

OTHER = 300_000  # bytes for names and shapes of tensors, curves, events: 80,000 for a ResNet-50


def network_bytes(run: Run) -> tuple[int, int, int]:
    """(bytes of parameters and buffers, number of parameters, number of maskable weights)."""
    return _bytes_of(run.model, run.dataset, run.workload_sha256)


@cache
def _bytes_of(model: str, dataset: str, _: str) -> tuple[int, int, int]:
    """The same by names and the workload's file: a plan asks it twice for each of its runs."""
    shape = data.describe(dataset)
    with torch.device("meta"), prints_aside():
        net = build_model(model, shape.classes, shape.image_shape, 0)
    saved = sum(t.numel() * t.element_size() for t in net.state_dict().values())
    parameters = sum(p.numel() for p in net.parameters())
    return saved, parameters, sum(weight.numel() for weight in maskable(net).values())


def checkpoint_bytes(run: Run) -> int:
    """One checkpoint: network, a moment of each parameter, three masks of each maskable weight.

    A method that watches every step also keeps a number for each of those (SNFS its average).
    """
    network, parameters, masked = network_bytes(run)
    moments = 4 * parameters * (run.recipe.momentum > 0)
    state = 4 * masked * (registry.load(run.method).grads == "always")
    return network + moments + 3 * masked + state + torch.get_rng_state().numel() + OTHER


def kept_bytes(run: Run) -> int:
    """What a finished run keeps: weights and masks, the network of each snapshot, its record."""
    network, _, masked = network_bytes(run)
    return (1 + len(run.snapshots)) * (network + OTHER) + masked


def training_bytes(run: Run) -> int:
    """What is there beside that while a run trains: checkpoints kept, and the one being written."""
    return (KEEP + 1) * checkpoint_bytes(run)


def require_room(todo: Sequence[Run], store: RunStore, at_once: int) -> None:
    """Raise Missing unless ``todo`` can be trained, ``at_once`` at a time; nothing is trained yet.

    What a run that was interrupted has written already is not asked for again.
    """
    kept, training = sum(map(kept_bytes, todo)), sorted(map(training_bytes, todo), reverse=True)
    there = sum(size(p) for run in todo if (p := store.folder(run).path).is_dir())
    require_writable(store.root, max(0, kept + sum(training[:at_once]) - there))
