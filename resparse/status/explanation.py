"""One run in words: what was trained, what came out, where, and whether by today's code."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resparse.errors import ResparseError
from resparse.history import read_events
from resparse.record import Recipe, Run, RunStore
from resparse.worker import code_of, know

Lines = Iterator[tuple[str, str]]  # what is said of what


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A run's numbers as JSON, a Record's or a frozen line's, and what is known of the run."""

    places: list[str]  # where they lie
    run: Run | None
    json: dict[str, Any]
    folder: Path | None = None  # where its events are
    unknown: str = ""  # why it is not known which run a frozen line is of


def text(found: Explained, store: RunStore) -> str:
    """Some 25 lines; the store holds the files of a method or workload from outside."""
    said = found.json
    parts: dict[str, Lines] = {
        "what was trained": trained(found),
        "what came out": came_out(said["outcome"]),
        "where it was made": made(found, store),
    }
    reason = f": {said['reason']}" if said.get("reason") else ""
    lines = [f"run {said['key']}, {said['status']}{reason}"]
    lines += [f"  in {place}" for place in found.places]
    for part, named in parts.items():
        lines += [part, *(f"  {name:<13}{value}" for name, value in named)]
    return "\n".join(lines)


def trained(found: Explained) -> Lines:
    """The configuration; of a frozen line without one, what the line says by itself."""
    run, said = found.run, found.json
    if run is None:
        named = {x: said[x] for x in ("row", "workload", "sparsity", "length", "seed") if x in said}
        yield from ((name, str(value)) for name, value in named.items())
        yield "configuration", f"not known: {found.unknown}"
        return
    yield "method", run.method + (", from a file" if run.method_sha256 else "")
    if run.fields:
        yield "fields", ", ".join(f"{name} = {value}" for name, value in run.fields.items())
    outside = ", from a file" if run.workload_sha256 else ""
    yield "network", f"{run.model} on {run.dataset}{outside}; {run.precision} numerics"
    if "workload" in said:
        yield "workload", f"{said['workload']}, length {said['length']:g}"
    yield "density", f"{run.density:g}, {run.distribution} (sparsity {1 - run.density:g})"
    yield "recipe", recipe_of(run.recipe)
    yield "seed", str(run.seed)
    if run.parent is not None:
        start = f"its weights at step {run.start_step}" if run.start_step else "its initialisation"
        yield "parent", f"{run.parent.key} ({run.parent.method}), from {start}"


def recipe_of(recipe: Recipe) -> str:
    """Steps, batch, learning rate, and what of the rest is not zero."""
    drops = f", x {recipe.lr_factor:g} at step {', '.join(map(str, recipe.lr_drops))}"
    said = f"{recipe.steps:,} steps of {recipe.batch_size} images, lr {recipe.lr:g} ("
    said += recipe.lr_shape + drops * bool(recipe.lr_drops)
    said += f"), momentum {recipe.momentum:g}" + " (nesterov)" * recipe.nesterov
    for name in ("weight_decay", "label_smoothing", "warmup"):
        if value := getattr(recipe, name):
            said += f", {name.replace('_', ' ')} {value:g}" + " steps" * (name == "warmup")
    return said


def came_out(outcome: dict[str, Any]) -> Lines:
    """Accuracy, R_s, costs and weights, as far as the outcome has them."""
    yield "top-1", f"{outcome['top1_last']:.2f} % at the last step"
    for of, what in (("val", "by validation"), ("test", "on the test images, which flatters")):
        if (top1 := outcome.get(f"top1_best_{of}")) is not None:
            yield f"best of {of}", f"{top1:.2f} % at epoch {outcome[f'best_{of}_epoch']}, {what}"
    expected = ""
    if "rs_expected" in outcome:
        expected = f" ({outcome['rs_expected']:.4f} expected, {outcome['rs_z']:+.1f} sd)"
    yield "R_s", f"{outcome['rs']:.4f}{expected}, trained {outcome['rs_trained']:.4f}"
    forward = outcome["test_flops"] / outcome["dense_forward_flops"]
    spent = f"{sum(outcome['train_flops'].values()):.3e}"
    yield "train FLOPs", f"{outcome['train_flops_vs_dense']:.4f} x dense ({spent})"
    yield "test FLOPs", f"{forward:.4f} x dense ({outcome['test_flops']:.3e})"
    nnz, maskable = sum(outcome["nnz"].values()), outcome["maskable"]
    share = f"{nnz / maskable:.4f}"
    yield "weights", f"{nnz:,} of {maskable:,} maskable ({share}), {outcome['total']:,} in all"
    yield "mask updates", f"{outcome['updates']:,}"
    if starved := outcome.get("starved"):
        yield "averted", f"collapse of layers {', '.join(starved)}"


def made(found: Explained, store: RunStore) -> Lines:
    """Machine, time and code."""
    facts = found.json["provenance"]
    place = ("device", ""), ("threads", "threads "), ("cpu_capability", "CPU code ")
    known = [f"{said}{facts[name]}" for name, said in place if name in facts]
    yield "device", ", ".join([*known, *(facts[x] for x in ("determinism",) if x in facts)])
    yield (
        "versions",
        ", ".join(f"{x} {facts[x]}" for x in ("torch", "cuda", "python") if x in facts),
    )
    if special := computed(facts):
        yield "computed", special
    if found.folder is not None:
        yield "events", attempts(found.folder)
    yield "wall time", f"{facts['wall_s']:,.1f} s" if "wall_s" in facts else "not kept"
    changed = ", with uncommitted changes" * bool(facts.get("git_dirty"))
    yield "git sha", f"{facts.get('git_sha', 'unknown')}{changed}"
    if "command" in facts:
        yield "command", facts["command"]
    yield "fingerprint", f"{found.json['fingerprint']}; {today(found, store)}"


def computed(facts: dict[str, Any]) -> str:
    """How, as far as it is not the usual way: precision of products, parts, processes."""
    usual = {"autocast": "no", "accumulate": 1, "replicates": 1, "processes": 1}
    said = [f"{name} {facts[name]}" for name, one in usual.items() if facts.get(name, one) != one]
    return ", ".join([*said, *(x for x in ("tf32", "channels_last", "compile") if facts.get(x))])


def attempts(folder: Path) -> str:
    """How often it was begun, where it went on, and what of its checkpoints was not used."""
    events, torn = read_events(folder)
    of = [event["event"] for event in events]
    resumed = ", ".join(str(e.get("step")) for e in events if e["event"] == "resumed")
    said = [f"started {of.count('started')} x", *[f"resumed at step {resumed}"] * bool(resumed)]
    passed = of.count("checkpoint passed over")
    said += [f"{passed} x a checkpoint passed over"] * bool(passed)
    said += [f"{torn} torn lines"] * bool(torn)
    return f"{', '.join(said)} ({folder / 'events.jsonl'})"


def today(found: Explained, store: RunStore) -> str:
    """Whether the code that decides the run's numbers is what it was."""
    if found.run is None:
        return "whether today's code is the same is not known"
    try:
        know(found.run, store.root)
        code = code_of(found.run, store.root)
    except (ResparseError, OSError) as error:
        return f"today's cannot be told ({error})"
    return "today's code is the same" if code == found.json["fingerprint"] else f"today's is {code}"
