"""How a run starts: network, optimizer and first masks, from its configuration and its parent."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resparse import distributed, precision, registry
from resparse.blame import guarded
from resparse.checkpoint import load_tensors
from resparse.consensus import decided, require_same
from resparse.data import Data
from resparse.engine import engine_of
from resparse.errors import RunFailed, UsageError
from resparse.flops import layer_macs
from resparse.how import How
from resparse.masks import Change, Layer, Masks
from resparse.method import Method, Parent
from resparse.models import build_model, maskable
from resparse.record import Run, RunStore
from resparse.seeds import derive
from resparse.training import Lap, Progress, Training, untimed
from resparse.watch import Watch

EVERY = 50  # steps between looks at a GPU's losses


def parent_of(run: Run, store: RunStore) -> tuple[Parent, dict[str, Tensor] | None] | None:
    """What ``run`` takes from its parent: final masks, weights, cost, and the rewound network.

    None in place of the network at step 0: equal seeds draw equal initial weights.
    """
    if run.parent is None:
        return None
    record = store.record(run.parent)
    if record is None:
        raise RunFailed(f"parent run {run.parent.key} of {run.key} is not finished")
    folder = store.folder(run.parent).path
    final = load_tensors(folder / "final.safetensors")
    masks = {n.removeprefix("mask/"): m for n, m in final.items() if n.startswith("mask/")}
    parent = Parent(
        masks=masks,
        train_flops=sum(record.outcome["train_flops"].values()),
        step=run.start_step,
        weights={name: final[f"model/{name}.weight"] for name in masks},
    )
    if run.start_step == 0:
        return parent, None
    weights = load_tensors(folder / f"snapshot-{run.start_step}.safetensors")
    return parent, {n.removeprefix("model/"): w for n, w in weights.items()}


def start(
    run: Run,
    data: Data,
    counts: dict[str, int],
    parent: tuple[Parent, dict[str, Tensor] | None] | None,
    how: How,
    lap: Lap = untimed,
) -> Training:
    """Model, optimizer and masks before the first step; ``parent`` brings masks and weights.

    ``lap`` hears "network", then "masks" when those are installed.
    """
    model = build_model(run.model, data.classes, data.image_shape, derive(run.seed, "init"))
    macs = layer_macs(model, data.image_shape)
    if parent is not None and parent[1] is not None:
        model.load_state_dict(parent[1])
    device = torch.device(how.device)
    model.to(device)
    if run.precision == "fp64":
        model.double()
    if run.recipe.sync_batch_norm:
        model = synchronised(model, device)
    if how.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    engine = engine_of(run, model, macs, counts, how, registry.load(run.method))
    weights = maskable(model)
    sizes = {name: weight.numel() for name, weight in weights.items()}
    densities = {name: counts[name] / size for name, size in sizes.items()}
    steps = run.recipe.steps
    method = registry.build(
        run.method, run.fields, densities, sizes, steps, parent=parent[0] if parent else None
    )
    optimizer = optimizer_of(model, run)
    lap("network")
    full = {n: torch.ones_like(w, dtype=torch.bool) for n, w in weights.items()}
    layers: Mapping[str, Layer] = Masks(weights, full).layers(None, optimizer)
    if method.scores_at_init:
        layers = scored(run, data, model, method, device)
    method.rng.manual_seed(derive(run.seed, "mask", "init"))

    def ask() -> dict[str, Change]:
        with guarded(run.method, -1, layers):
            return {name: Change(mask) for name, mask in method.init_masks(layers).items()}

    drawn = decided(method, device, ask)
    with guarded(run.method, -1, {}):
        first = {name: change.mask for name, change in drawn.items()}
        masks = Masks(weights, first, engine.stored, optimizer)
        masks.check_counts(method.nnz_at(-1))
    lap("masks")
    torch.manual_seed(derive(run.seed, "train"))
    watch = Watch(device, every=1 if device.type == "cpu" else EVERY)
    if device.type != "cpu" and run.precision != "fp16":  # whose scaler sets it
        optimizer.found_inf = watch.skip  # type: ignore[attr-defined]
    if how.compile:
        model.compile()
    training = Training(
        *(run, data, model, optimizer, masks, method, macs, Progress(run.start_step), device),
        how=how,
        watch=watch,
        scaler=precision.scaler(run.precision, device),
        counts=counts,
        due=registry.due_steps(run.method, method, RunFailed),
        network=distributed.reducing(model, device),
        engine=engine.said,
    )
    training.progress.crossover = engine.crossover
    training.progress.installed = run.start_step
    training.note_masks(run.start_step - 1, sum(masks.nnz().values()))
    require_same(masks, model, run.start_step - 1)
    return training


def synchronised(model: nn.Module, device: torch.device) -> nn.Module:
    """The network with the batch norms of all processes in one; raises UsageError on a CPU."""
    if device.type == "cpu":
        raise UsageError("sync_batch_norm on the CPU; valid: on GPUs, torch has it nowhere else")
    made: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return made


def optimizer_of(model: nn.Module, run: Run) -> torch.optim.SGD:
    """SGD in one pass over the weights; in portable numerics torch's plain order of operations."""
    recipe, fused = run.recipe, run.precision != "portable"
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=fused,
        foreach=not fused,
    )
    if fused and recipe.momentum:
        # torch makes the moments in its first step, and where that is held back (a scaler's too
        # large scale) leaves whatever was in their memory; from 0 the first step is the same
        for parameter in model.parameters():
            optimizer.state[parameter] = {"momentum_buffer": torch.zeros_like(parameter)}
    return optimizer


def scored(
    run: Run, data: Data, model: nn.Module, method: Method, device: torch.device
) -> dict[str, Layer]:
    """Layers with the dense gradients of one batch of its own, taken on a deep copy in train mode.

    The network that is trained, its buffers and every random stream stay as they are.
    """
    copied = copy.deepcopy(model).train()
    method.rng.manual_seed(derive(run.seed, "mask", "score"))
    with guarded(run.method, -1, {}, what="prepare_scoring"):
        method.prepare_scoring(copied)
    whole, world = run.recipe.batch_size, distributed.world()
    batches = data.train_batches(derive(run.seed, "score"), whole, 0, 1)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for images, labels in batches:
            loss = F.cross_entropy(
                copied(precision.taken(run.precision, images).to(device)),
                labels.to(device),
                label_smoothing=run.recipe.label_smoothing,
            )
            (loss * (len(labels) * world / whole)).backward()  # type: ignore[no-untyped-call]
    layers = {}
    for name, weight in maskable(copied).items():
        mask = torch.ones_like(weight, dtype=torch.bool)
        grad = None if weight.grad is None else distributed.summed(weight.grad) / world
        layers[name] = Layer(mask, mask.clone(), weight.detach(), grad)
    return layers
