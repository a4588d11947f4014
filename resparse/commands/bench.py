"""`resparse bench`: how long things take on this machine."""

import argparse
import json

from resparse.commands import options
from resparse.errors import Missing, UsageError

SUMMARY = "time masks, steps, replicates or data, or ffcv against torch; hold them to limits"
EXAMPLE = "resparse bench masks --model mlp --method rigl"
OWN = {  # what is timed: its options
    "masks": ("model", "method", "threads", "updates"),
    "step": ("model", "threads"),
    "engines": ("threads", "plot"),
    "loaders": ("data_root", "images", "workers", "batch"),
    "replicates": ("threads",),
    "memory": ("data_root", "images", "threads", "dataset"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to time, on how many threads."""
    options.json_option(parser)
    parser.add_argument("what", choices=tuple(OWN))
    text = "masks, step: mlp, wrn22_2, on a GPU resnet50 (step); repeatable (default: all)"
    parser.add_argument("--model", action="append", metavar="M", help=text)
    text = "masks: repeatable (default: all in methods/)"
    parser.add_argument("--method", action="append", metavar="M", help=text)
    text = "masks, memory, replicates, step: threads (default: 1, as records; step: all cores)"
    parser.add_argument("--threads", type=options.whole, metavar="N", help=text)
    text = "masks: updates to time for each method (default: 10 on mlp, 2 on wrn22_2)"
    parser.add_argument("--updates", type=options.whole, metavar="N", help=text)
    text = "loaders, memory: the folder with imagenet-sample/, prepared/ (default: RESPARSE_DATA)"
    parser.add_argument("--data-root", type=options.folder, metavar="DIR", help=text)
    text = "loaders, memory: images to time after the warm-up (default: 4000; 51200)"
    parser.add_argument("--images", type=options.whole, metavar="N", help=text)
    text = "loaders: processes of torch, threads of ffcv (default: one per core)"
    parser.add_argument("--workers", type=options.whole, metavar="W", help=text)
    text = "loaders: images of a batch (default: 100)"
    parser.add_argument("--batch", type=options.whole, metavar="N", help=text)
    text = "engines: draw step times there, an .svg or .png file"
    parser.add_argument("--plot", type=options.folder, metavar="FILE", help=text)
    text = "memory: a prepared dataset (default: cifar10_jpeg75)"
    parser.add_argument("--dataset", metavar="NAME", help=text)


def execute(given: argparse.Namespace) -> int:
    """Print the rows as they come; exit code 1 where one is over its limit."""
    for name in dict.fromkeys(name for names in OWN.values() for name in names):
        if name not in OWN[given.what] and getattr(given, name) is not None:
            option = f"--{name.replace('_', '-')}"
            takers = " and ".join(what for what, names in OWN.items() if name in names)
            raise UsageError(f"bench {given.what} {option}; valid: only for bench {takers}")
    timed = {"masks": _masks, "step": _step, "replicates": _replicates, "engines": _engines}
    return (timed | {"loaders": _loaders, "memory": _memory})[given.what](given)


def _masks(given: argparse.Namespace) -> int:
    from resparse import registry
    from resparse.bench import masks

    threads = given.threads or 1
    if not given.json:
        print(f"threads {threads}, batch {masks.BATCH}, density {masks.DENSITY} (erk), fp32")
        print(masks.HEADER, flush=True)
    rows = masks.masks_report(
        given.model or masks.STEPS,
        given.method or registry.names(),
        threads,
        given.updates,
        (lambda line: None) if given.json else (lambda line: print(line, flush=True)),
    )
    if given.json:
        print(json.dumps([row.as_json() for row in rows], indent=1))
    masks.require_within(rows)
    return 0


def _step(given: argparse.Namespace) -> int:
    import os

    from resparse.bench import masks, step

    threads = given.threads or len(os.sched_getaffinity(0))
    if not given.json:
        batch, images = masks.BATCH, step.IMAGES
        print(f"batch {batch}, density {step.DENSITY}, epochs of {images:,} images, data")
        print(f"included; load {os.getloadavg()[0]:.1f}")
        print(step.HEADER, flush=True)
    say = (lambda line: None) if given.json else (lambda line: print(line, flush=True))
    rows = step.step_report(given.model or [], threads, say)
    if given.json:
        print(json.dumps([row.as_json() for row in rows], indent=1))
    step.require_quick(rows)
    return 0


def _replicates(given: argparse.Namespace) -> int:
    import os

    from resparse.bench import masks, replicates, step

    if not given.json:
        print(f"mlp in fp32, batch {masks.BATCH}, density {step.DENSITY}, static masks, data")
        print(f"included, runs of {masks.STEPS['mlp']:,} steps; load {os.getloadavg()[0]:.1f}")
        print(replicates.HEADER, flush=True)
    say = (lambda line: None) if given.json else (lambda line: print(line, flush=True))
    rows = replicates.replicates_report(given.threads or 1, say)
    if given.json:
        print(json.dumps([row.as_json() for row in rows], indent=1))
    replicates.require_gain(rows)
    return 0


def _engines(given: argparse.Namespace) -> int:
    import os

    from resparse.bench import engines

    threads = given.threads or len(os.sched_getaffinity(0))
    if not given.json:
        print(
            f"threads {threads}, batch not included, epoch with it; load {os.getloadavg()[0]:.1f}"
        )
        print(engines.HEADER, flush=True)

    def say(row: engines.Row) -> None:
        if not given.json:
            print(engines.line(row), flush=True)

    rows = engines.engines_report(threads, say)
    if given.json:
        print(json.dumps([row.as_json() for row in rows], indent=1))
    if given.plot is not None:
        from resparse.bench.engines_plot import draw

        draw(rows, given.plot)
    engines.require_fast(rows, threads)
    return 0


def _loaders(given: argparse.Namespace) -> int:
    import os

    from resparse.bench import loaders
    from resparse.data.places import NO_ROOT

    root = options.data_root(given)
    if root is None:
        raise Missing(f"{NO_ROOT} ({loaders.FOLDER} is needed there)")
    images, batch = given.images or 4000, given.batch or 100
    workers = given.workers or len(os.sched_getaffinity(0))
    if not given.json:
        print(f"workers {workers}, batch {batch}, {images} images, load {os.getloadavg()[0]:.1f}")
        print(loaders.HEADER, flush=True)
    say = (lambda line: None) if given.json else (lambda line: print(line, flush=True))
    rows = loaders.loaders_report(root, images, workers, batch, say)
    if given.json:
        print(json.dumps(loaders.as_json(rows, images, workers, batch), indent=1))
    loaders.require_fast(rows)
    return 0


def _memory(given: argparse.Namespace) -> int:
    from resparse.bench import memory

    name, batch = given.dataset or "cifar10_jpeg75", memory.BATCH
    steps = -(-(given.images or 51_200) // batch)
    if not given.json:
        print(f"{name}, batch {batch}, {steps} batches, data waited for by steps of the mlp")
        print(memory.HEADER, flush=True)
    row = memory.memory_report(name, options.data_root(given), given.threads or 1, steps)
    print(json.dumps(memory.as_json(name, row)) if given.json else memory.line(row))
    memory.require_quick(row)
    return 0
