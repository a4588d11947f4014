"""What a level would run and cost, before anything runs."""

import statistics
import time
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from resparse import data
from resparse.artifact import Artifact, Planned
from resparse.asked import Options
from resparse.disk import kept_bytes, training_bytes
from resparse.exact import network, sizes_of
from resparse.flops import forward_flops
from resparse.models import build_model
from resparse.outside import prints_aside
from resparse.record import Run
from resparse.runner import with_parents
from resparse.workloads import Workload

MEASURED_S, MOST_PASSES = 0.3, 50  # what a speed is measured on: three passes or more


def activation_bytes(problem: Workload) -> int:
    """What backward keeps of one image, in fp32: the tensors autograd saves, counted by storage."""
    shape = data.describe(problem.dataset)
    with prints_aside():
        model = build_model(problem.model, shape.classes, shape.image_shape, 0)

    def saved(batch: int) -> int:
        storages: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with prints_aside(), hooks:
            kept = model(torch.randn(batch, *shape.image_shape))
        del kept  # alive until here, so that no storage was counted under a reused address
        return sum(storages.values())

    return saved(2) - saved(1)


def measured_speed(problem: Workload, device: str | None = None) -> tuple[float, str]:
    """(FLOP/s, how it was measured): forward and backward of this model, by default on a GPU.

    On the CPU where there is none, by one thread, as a run has.
    """
    shape = data.describe(problem.dataset)
    device = device if device and torch.cuda.is_available() else None
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    batch = 64 if device == "cuda" or problem.model != "resnet50" else 4
    model = build_model(problem.model, shape.classes, shape.image_shape, 0).to(device)
    images = torch.randn(batch, *shape.image_shape, device=device)
    labels = torch.zeros(batch, dtype=torch.long, device=device)
    _, macs, _ = network(problem.model, problem.dataset)
    threads = torch.get_num_threads()
    took: list[float] = []
    torch.set_num_threads(1)
    try:
        while len(took) < 4 or (sum(took) < MEASURED_S and len(took) < MOST_PASSES):
            began = time.perf_counter()
            F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
            if device == "cuda":
                torch.cuda.synchronize()
            took.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    seconds = statistics.median(took[1:])  # the first pass warms up
    name = torch.cuda.get_device_name() if device == "cuda" else "this CPU"
    return 3 * 2 * sum(macs.values()) * batch / seconds, f"measured on {name}, batch {batch}"


def run_flops(run: Run) -> float:
    """FLOPs of training ``run`` as the masked engine computes it: dense, 3 x forward an image."""
    shapes, macs, _ = network(run.model, run.dataset)
    sizes = sizes_of(shapes)
    image = 3 * forward_flops(macs, sizes, sizes)
    return image * run.recipe.batch_size * (run.recipe.steps - run.start_step)


COMPUTES = {
    "masked": "the masked engine computes dense FLOPs",
    "auto": "hours are of dense FLOPs, of which sparse layers compute a part",
}


def text(table: Artifact, options: Options, planned: Sequence[Planned], problem: Workload) -> str:
    """The plan in words: runs, steps, FLOPs, hours, data, disk."""
    runs = with_parents([p.run for p in planned])
    if options.speed:
        speed, how = options.speed * 1e12, f"stated: {options.speed} TFLOP/s"
    else:
        speed, how = measured_speed(problem)
    width = max(14, *(len(p.label) for p in planned))
    lines = [
        f"{table.id} at level {options.level}: {len(runs)} runs of {problem.model} on "
        f"{problem.dataset}; it shows {table.level(options.level).shows}",
        f"speed: {speed / 1e12:.4g} TFLOP/s ({how}); {COMPUTES[table.level(options.level).engine]}",
        "",
        f"{'row':{width}} {'sparsity':>8} {'runs':>5} {'steps':>9} {'batch':>6} {'FLOPs a run':>12}"
        f" {'hours a run':>12}",
    ]

    named = {p.run.key for p in planned}
    parents = [
        Planned(label="(parent)", sparsity=1.0 - run.density, run=run)
        for run in runs
        if run.key not in named
    ]
    listed: dict[tuple[str, float], list[Run]] = {}
    for item in (*planned, *parents):
        listed.setdefault((item.label, round(item.sparsity, 9)), []).append(item.run)
    for (label, sparsity), cell in listed.items():
        recipe, cost = cell[0].recipe, run_flops(cell[0])
        lines.append(
            f"{label:{width}} {sparsity:8} {len(cell):5} {recipe.steps:9,} {recipe.batch_size:6} "
            f"{cost:12.3g} {cost / speed / 3600:12.4g}"
        )
    total = sum(map(run_flops, runs))
    batch = max(run.recipe.batch_size for run in runs)
    kind = "GPU-hours" if torch.cuda.is_available() or options.speed else "hours on this CPU"
    gpus = options.how.world
    shared = f", at least {total / speed / 3600 / gpus:.4g} hours on {gpus}" if gpus > 1 else ""
    training, kept = max(map(training_bytes, runs)), sum(map(kept_bytes, runs))
    lines += [
        "",
        f"together {total:.3g} FLOPs, {total / speed / 3600:.4g} {kind}{shared} "
        f"(dense rows are trained once and shared by the sparsities)",
        f"disk: {kept / 1e9:.2f} GB for what all runs keep, and {training / 1e9:.2f} GB for the "
        "checkpoints of each that trains at the same time",
    ]
    each = activation_bytes(problem)
    part = -(-batch // (gpus * options.how.accumulate))
    split = f", {part} at once" if part < batch else "; --gpus and --accumulate divide it"
    lines.append(
        f"memory: {part * each / 1e9:.1f} GB of activations in fp32 for a batch of {batch}{split} "
        f"({each / 1e6:.1f} MB an image, counted on this model)"
    )
    lack = data.missing(problem.dataset, options.data_root)
    lines.append(f"data: missing: {lack}" if lack else f"data: {problem.dataset} is there")
    if problem.dataset == "imagenet":
        lines.append("the images take about 150 GB")
    if problem.needs_gpu and not torch.cuda.is_available():
        lines.append("device: no CUDA GPU is visible; this level needs one")
    return "\n".join(lines)
