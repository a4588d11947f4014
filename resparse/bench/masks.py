"""What masks cost beside training: the trainer's own steps, timed part by part.

Mask work is what a method adds to a step of the masked engine: the update every 100 steps (dense
gradients kept for it, scores, selection, installation, checks, counts, forward cost), what it
observes at every step, and the first masks, all spread over the paper's whole training: after a
method's last update there is none. The share while masks are updated, as many weights at each
update as at the first, has a column of its own. Zeroing gradients outside the masks is the engine's
step itself, alike for all methods and intervals, in one pass with the look at them: it is part of
the step here, and ``bench step`` holds it against a dense one.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from resparse import precision, registry
from resparse.beginning import start
from resparse.data.memory import InMemory
from resparse.distributions import layer_counts
from resparse.errors import UsageError, VerdictFailed
from resparse.how import How
from resparse.masks import top_k
from resparse.method import Parent
from resparse.models import build_model, maskable
from resparse.record import Recipe, Run
from resparse.seeds import generator
from resparse.trainer import train_steps

INTERVAL = 100  # steps between updates that the share is for
DENSITY, BATCH, IMAGE, CLASSES = 0.1, 128, (3, 32, 32), 10
UPDATES = {"mlp": 10, "wrn22_2": 2}  # timed by default: a step of the latter takes seconds
STEPS = {"mlp": 70_200, "wrn22_2": 87_750}  # 200 epochs (ITOP, table 3), 250 (RigL reproduction)
Clock = Callable[[], float]
WARMUP = 2  # steps not counted: buffers are made in them


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of one method on one model; medians, but ``init_s``, which is there once."""

    model: str
    method: str
    limit: float  # percent of step time that mask work may cost
    steps: int  # of the whole training
    exploring: float  # share of them up to the last update
    step_s: float  # a step without an update: forward, backward, masking, optimizer
    observe_s: float  # what the method sees at every step
    update_s: float  # all that an update adds to its step; 0 where masks stay
    init_s: float  # the first masks

    @property
    def updating_s(self) -> float:
        """Mask work a step at the interval, up to the last update."""
        return self.update_s / INTERVAL + self.observe_s

    @property
    def work_s(self) -> float:
        """Mask work a step, over the whole training."""
        return self.exploring * self.updating_s + self.init_s / self.steps

    @property
    def share(self) -> float:
        """Percent of training time that is mask work."""
        return 100.0 * self.work_s / (self.step_s + self.work_s)

    @property
    def share_updating(self) -> float:
        """Percent of time that is mask work up to the last update."""
        return 100.0 * self.updating_s / (self.step_s + self.updating_s)

    def as_json(self) -> dict[str, float | str]:
        """All fields and shares."""
        shares = {"share": self.share, "share_updating": self.share_updating}
        return {**vars(self), **shares, "within": self.share <= self.limit}


class Stopwatch:
    """Seconds by name of part, each since the part before it ended."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.last = clock, clock()
        self.parts: dict[str, float] = {}

    def lap(self, part: str) -> None:
        """A part of the work has ended."""
        now = self.clock()
        self.parts[part] = self.parts.get(part, 0.0) + now - self.last
        self.last = now

    def take(self) -> dict[str, float]:
        """The parts since the last call."""
        parts, self.parts = self.parts, {}
        return parts


def random_images() -> InMemory:
    """One batch of random images of CIFAR's shape."""
    rng = generator(0, "bench")
    images = torch.randint(0, 256, (BATCH, *IMAGE), generator=rng).to(torch.uint8)
    labels = torch.randint(0, CLASSES, (BATCH,), generator=rng)
    return InMemory("random", CLASSES, {"train": (images, labels)}, mean=127.5, std=73.9)


def bench_run(model: str, method: str, dataset: str) -> Run:
    """A run as long as the paper's that updates at every second step from the start.

    So updates move as many weights as they ever do, and each stands beside a step without one:
    drop fractions start at their largest, and a pruning curve has as many updates as at INTERVAL,
    so that each prunes as much; it is steepest at its start.
    """
    own = registry.own_fields(registry.load(method))
    short: dict[str, object] = {"interval": 2, "begin": 0.0}
    if "begin" in own and "end" in own:
        short["end"] = (own["end"] - own["begin"]) * 2 / INTERVAL
    fields = {name: value for name, value in short.items() if name in own}
    dense = method == "dense"
    return Run(
        model=model,
        dataset="random",
        dataset_sha256=dataset,
        method=method,
        fields=registry.resolve_fields(method, fields),
        distribution="dense" if dense else "erk",
        density=1.0 if dense else DENSITY,
        recipe=Recipe(
            batch_size=BATCH,
            steps=STEPS[model],
            lr=0.01,
            lr_shape="cosine",
            nesterov=True,
            weight_decay=5e-4,
        ),
        seed=0,
        precision="fp32",
    )


def time_method(model: str, method: str, updates: int, clock: Clock) -> Timing:
    """Train ``2 * updates`` steps after the warm-up, and time their parts."""
    data = random_images()
    run = bench_run(model, method, data.sha256)
    other = maskable(build_model(model, CLASSES, IMAGE, 1))
    counts = layer_counts(
        run.distribution, {n: tuple(w.shape) for n, w in other.items()}, run.density
    )
    parent = None
    if registry.load(method).needs_parent:
        weights = {name: weight.detach() for name, weight in other.items()}
        masks = {name: top_k(weight.abs(), counts[name]) for name, weight in weights.items()}
        parent = Parent(masks=masks, train_flops=0.0, step=0, weights=weights), None
    watch = Stopwatch(clock)
    t = start(run, data, counts, parent, How(), watch.lap)
    init_s = watch.take()["masks"]
    plain: list[dict[str, float]] = []
    due: list[dict[str, float]] = []
    for step in train_steps(t, WARMUP + 2 * updates, watch.lap):
        parts = watch.take()
        if step >= WARMUP:
            (due if "update" in parts else plain).append(parts)
    always = registry.load(method).grads == "always"
    return timing(
        plain,
        due,
        model=model,
        method=method,
        steps=STEPS[model],
        exploring=exploring(run),
        limit=5.0 if always else 3.0,
        init_s=init_s,
    )


def exploring(run: Run) -> float:
    """Share of the steps up to the method's own last update; 0 where its masks never move."""
    fields = {name: value for name, value in run.fields.items() if name not in ("begin", "end")}
    steps = run.recipe.steps
    method = registry.probe(run.method, fields, steps)
    last = next((s for s in reversed(range(steps)) if method.updates_at(s)), -1)
    return (last + 1) / steps


def timing(
    plain: Sequence[dict[str, float]], due: Sequence[dict[str, float]], **known: object
) -> Timing:
    """Medians over the steps without an update (``plain``) and with one (``due``).

    An update is charged for what its step observes beyond a plain one; that it may save the
    optimizer's step is not credited.
    """
    seconds = {
        "step_s": median(p["backward"] + p["step"] for p in plain),
        "observe_s": median(p["observe"] for p in plain),
    }
    whole = median(p["observe"] + p["update"] for p in due) if due else 0.0
    seconds["update_s"] = max(0.0, whole - seconds["observe_s"]) if due else 0.0
    return Timing(**seconds, **known)  # type: ignore[arg-type]


def masks_report(
    models: Iterable[str],
    methods: Iterable[str],
    threads: int,
    updates: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Timing]:
    """Time every method on every model with ``threads`` threads; ``say`` hears each row.

    One thread is timed in seconds of this process, which other processes disturb less; more
    threads in seconds of the wall clock.
    Raises UsageError for an unknown model or method before anything is timed.
    """
    models, methods = list(models), list(methods)
    for model in models:
        if model not in STEPS:
            raise UsageError(f"unknown model {model!r}; valid: {', '.join(STEPS)}")
    for method in methods:
        registry.load(method)
    precision.enter("fp32")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    rows = []
    try:
        for model in models:
            for method in methods:
                rows.append(time_method(model, method, updates or UPDATES[model], clock))
                say(line(rows[-1]))
    finally:
        torch.set_num_threads(before)
    return rows


HEADER = (
    f"{'model':8} {'method':14} {'step ms':>9} {'update ms':>9} {'observe ms':>10} {'init ms':>8}"
    f" {'updating %':>10} {'share %':>8} {'limit %':>8}"
)


def line(row: Timing) -> str:
    """One row of the table under HEADER; over its limit, it says so."""
    over = "  OVER" * (row.share > row.limit)
    return (
        f"{row.model:8} {row.method:14} {1e3 * row.step_s:9.2f} {1e3 * row.update_s:9.2f}"
        f" {1e3 * row.observe_s:10.3f} {1e3 * row.init_s:8.1f} {row.share_updating:10.2f}"
        f" {row.share:8.2f} {row.limit:8.1f}{over}"
    )


def require_within(rows: Iterable[Timing]) -> None:
    """Raise VerdictFailed naming method, model and share where mask work exceeds its limit."""
    over = [
        f"{row.method} on {row.model} {row.share:.2f} % (limit {row.limit:.0f} %)"
        for row in rows
        if not row.share <= row.limit
    ]
    if over:
        raise VerdictFailed(f"mask work at interval {INTERVAL} costs too much: {'; '.join(over)}")
