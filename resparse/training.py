"""One run in memory: how it starts, how it is saved, how it continues bit for bit."""

import copy
import dataclasses
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from resparse import registry
from resparse.blame import guarded
from resparse.checkpoint import load_checkpoint, save_checkpoint
from resparse.data import Data
from resparse.errors import RunFailed
from resparse.flops import forward_flops, layer_macs
from resparse.masks import Change, Layer, Masks, moments
from resparse.method import Method, Parent
from resparse.models import build_model, maskable
from resparse.record import Run, RunFolder, RunStore
from resparse.seeds import derive

Lap = Callable[[str], None]  # told the name of a part of the work when that part ends


def untimed(part: str) -> None:
    """The stopwatch that is not there."""


@dataclass
class Progress:
    """What the loop has found so far; plain values, saved with every checkpoint."""

    step: int
    best_val: int = -1  # correct validation images, the first epoch that reached them
    best_epoch: int = 0
    best_test: int = 0  # correct test images at that epoch
    most_tested: int = -1  # correct test images in the best of the epochs that were tested
    most_tested_epoch: int = 0
    test_top1: list[float] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_steps: int = 0
    val_top1: list[float] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    installed: int = 0  # steps done when the present masks came
    forward: list[tuple[int, float]] = field(default_factory=list)  # (after step, FLOPs an image)
    starved: list[str] = field(default_factory=list)  # layers that a rule kept alive so far


@dataclass
class Training:
    """A run in memory."""

    run: Run
    data: Data
    model: nn.Module
    optimizer: torch.optim.SGD
    masks: Masks
    method: Method
    macs: dict[str, int]
    progress: Progress
    device: torch.device
    counts: dict[str, int]  # weights per layer that the run's density asks for
    due: list[int]  # steps at which masks may move: a function of the step alone, so asked once

    def forward_now(self) -> float:
        """Forward FLOPs of one image under the installed masks."""
        return forward_flops(self.macs, self.masks.nnz(), self.method.sizes)

    def announced(self, step: int) -> int | dict[str, int]:
        """The active weights that the method announces for a step."""
        with guarded(self.run.method, step, {}, what="nnz_at"):
            return self.method.nnz_at(step)

    def interval(self) -> int:
        """Steps of the update interval that the present masks live in; 1 where masks never move.

        From the update they came by to the next. The last masks have no next: the interval before.
        The first may come inside one: the interval after, or all there is where only one ends.
        """
        if not self.due:
            return 1
        ends = [0, *(step + 1 for step in self.due)]
        past = bisect_left(self.due, self.progress.installed)
        begun = min(max(past, 1), len(self.due) - 1)
        return ends[begun + 1] - ends[begun]

    def note_trained(self) -> None:
        """Count the present masks as trained where they have lived a whole update interval."""
        whole = self.interval()
        if self.progress.step - self.progress.installed >= whole:
            self.masks.note_trained()

    def note_starved(self, changes: Mapping[str, Change]) -> None:
        """Remember the layers that the masks' rule has just kept alive."""
        known = self.progress.starved
        known += [name for name, c in changes.items() if c.starved and name not in known]

    def reseed(self, step: int) -> None:
        """The method's draws depend on (seed, step) only, so there is no RNG state to save."""
        self.method.rng.manual_seed(derive(self.run.seed, "mask", step))


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
    final = load_file(folder / "final.safetensors")
    masks = {n.removeprefix("mask/"): m for n, m in final.items() if n.startswith("mask/")}
    parent = Parent(
        masks=masks,
        train_flops=sum(record.outcome["train_flops"].values()),
        step=run.start_step,
        weights={name: final[f"model/{name}.weight"] for name in masks},
    )
    if run.start_step == 0:
        return parent, None
    weights = load_file(folder / f"snapshot-{run.start_step}.safetensors")
    return parent, {n.removeprefix("model/"): w for n, w in weights.items()}


def start(
    run: Run,
    data: Data,
    counts: dict[str, int],
    parent: tuple[Parent, dict[str, Tensor] | None] | None,
    device: torch.device,
    lap: Lap = untimed,
) -> Training:
    """Model, optimizer and masks before the first step; ``parent`` brings masks and weights.

    ``lap`` hears "network", then "masks" when those are installed.
    """
    model = build_model(run.model, data.classes, data.image_shape, derive(run.seed, "init"))
    macs = layer_macs(model, data.image_shape)
    if parent is not None and parent[1] is not None:
        model.load_state_dict(parent[1])
    model.to(device)
    weights = maskable(model)
    sizes = {name: weight.numel() for name, weight in weights.items()}
    densities = {name: counts[name] / size for name, size in sizes.items()}
    steps = run.recipe.steps
    method = registry.build(
        run.method, run.fields, densities, sizes, steps, parent=parent[0] if parent else None
    )
    recipe = run.recipe
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        foreach=True,
    )
    lap("network")
    full = {n: torch.ones_like(w, dtype=torch.bool) for n, w in weights.items()}
    layers = Masks(weights, full).layers(None, optimizer)
    if method.scores_at_init:
        layers = scored(run, data, model, method, device)
    method.rng.manual_seed(derive(run.seed, "mask", "init"))
    with guarded(run.method, -1, layers):
        first = method.init_masks(layers)
    with guarded(run.method, -1, {}):
        masks = Masks(weights, first)
        masks.check_counts(method.nnz_at(-1))
    lap("masks")
    torch.manual_seed(derive(run.seed, "train"))
    training = Training(
        *(run, data, model, optimizer, masks, method, macs, Progress(run.start_step), device),
        counts=counts,
        due=registry.due_steps(run.method, method, RunFailed),
    )
    training.progress.installed = run.start_step
    training.progress.forward.append((run.start_step - 1, training.forward_now()))
    return training


def require_copies(
    method: str, step: int, state: Mapping[str, Tensor], layers: Mapping[str, Layer]
) -> None:
    """Raise RunFailed where ``state`` holds a dense gradient itself: it is about to be masked."""
    grads = {name: layer.grad for name, layer in layers.items() if layer.grad is not None}
    owner = {grad.untyped_storage().data_ptr(): name for name, grad in grads.items()}
    for key, value in state.items():
        name = owner.get(value.untyped_storage().data_ptr())
        if name is not None:
            raise RunFailed(
                f"method {method}, step {step}, layer {name}: state[{key!r}] is the gradient "
                "itself, which is masked next; valid: a copy"
            )


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
    batches = data.train_batches(derive(run.seed, "score"), run.recipe.batch_size, 0, 1)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for images, labels in batches:
            loss = F.cross_entropy(
                copied(images.to(device)),
                labels.to(device),
                label_smoothing=run.recipe.label_smoothing,
            )
            loss.backward()  # type: ignore[no-untyped-call]
    layers = {}
    for name, weight in maskable(copied).items():
        mask = torch.ones_like(weight, dtype=torch.bool)
        layers[name] = Layer(mask, mask.clone(), weight.detach(), weight.grad)
    return layers


def model_state(t: Training) -> dict[str, Tensor]:
    """Parameters and buffers under model/."""
    return {f"model/{name}": tensor for name, tensor in t.model.state_dict().items()}


def save(t: Training, folder: RunFolder) -> None:
    """Write a checkpoint of all that the next step depends on."""
    tensors = model_state(t)
    tensors |= {f"mask/{name}": mask for name, mask in t.masks.mask.items()}
    tensors |= {f"ever/{name}": ever for name, ever in t.masks.ever.items()}
    tensors |= {f"trained/{name}": trained for name, trained in t.masks.trained.items()}
    tensors |= {f"state/{name}": value for name, value in t.method.state.items()}
    for name, parameter in t.model.named_parameters():
        for moment in moments(t.optimizer, parameter):
            tensors[f"momentum/{name}"] = moment
    tensors["rng"] = torch.get_rng_state()
    save_checkpoint(folder.path, t.progress.step, tensors, dataclasses.asdict(t.progress))
    folder.event(event="checkpoint", step=t.progress.step)


def resume(t: Training, folder: RunFolder) -> None:
    """Continue from the newest sound checkpoint in ``folder``, if there is one."""
    found = load_checkpoint(
        folder.path, lambda what: folder.event(event="damaged checkpoint passed over", what=what)
    )
    if found is None:
        return
    step, tensors, state = found
    state["forward"] = [tuple(pair) for pair in state["forward"]]
    t.progress = Progress(**state)

    def part(prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): value.to(t.device)
            for name, value in tensors.items()
            if name.startswith(prefix)
        }

    t.model.load_state_dict(part("model/"))
    t.masks.restore(part("mask/"), part("ever/"), part("trained/"))
    t.method.state = part("state/")
    momentum = part("momentum/")
    for name, parameter in t.model.named_parameters():
        if name in momentum:
            t.optimizer.state[parameter] = {"momentum_buffer": momentum[name]}
    torch.set_rng_state(tensors["rng"])
    folder.event(event="resumed", step=step)
