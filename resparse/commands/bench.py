"""`resparse bench`: how long things take on this machine."""

import argparse
import json

from resparse.commands import options
from resparse.errors import Missing, UsageError

SUMMARY = "time masks against training, or the ffcv loader against torch's, and hold them to limits"
EXAMPLE = "resparse bench masks --model mlp --method rigl"
OWN = {  # options that only one of the two has
    "masks": ("model", "method", "threads", "updates"),
    "loaders": ("data_root", "images", "workers", "batch"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to time, on how many threads."""
    options.json_option(parser)
    parser.add_argument("what", choices=("masks", "loaders"))
    text = "masks: mlp or wrn22_2; repeatable (default: both)"
    parser.add_argument("--model", action="append", metavar="M", help=text)
    text = "masks: repeatable (default: all in methods/)"
    parser.add_argument("--method", action="append", metavar="M", help=text)
    text = "masks: threads of a run (default: 1, as records are made)"
    parser.add_argument("--threads", type=options.whole, metavar="N", help=text)
    text = "masks: updates to time for each method (default: 10 on mlp, 2 on wrn22_2)"
    parser.add_argument("--updates", type=options.whole, metavar="N", help=text)
    text = "loaders: the folder with imagenet-sample/ (default: RESPARSE_DATA)"
    parser.add_argument("--data-root", type=options.folder, metavar="DIR", help=text)
    text = "loaders: images to time after an epoch of warm-up (default: 4000)"
    parser.add_argument("--images", type=options.whole, metavar="N", help=text)
    text = "loaders: processes of torch, threads of ffcv (default: one per core)"
    parser.add_argument("--workers", type=options.whole, metavar="W", help=text)
    text = "loaders: images of a batch (default: 100)"
    parser.add_argument("--batch", type=options.whole, metavar="N", help=text)


def execute(given: argparse.Namespace) -> int:
    """Print the rows as they come; exit code 1 where one is over its limit."""
    for what, names in OWN.items():
        wrong = [name for name in names if what != given.what and getattr(given, name) is not None]
        if wrong:
            raise UsageError(
                f"bench {given.what} --{wrong[0].replace('_', '-')}; valid: only for bench {what}"
            )
    return _masks(given) if given.what == "masks" else _loaders(given)


def _masks(given: argparse.Namespace) -> int:
    from resparse import bench, registry

    threads = given.threads or 1
    if not given.json:
        print(f"threads {threads}, batch {bench.BATCH}, density {bench.DENSITY} (erk), fp32")
        print(bench.HEADER, flush=True)
    rows = bench.masks_report(
        given.model or bench.STEPS,
        given.method or registry.names(),
        threads,
        given.updates,
        (lambda line: None) if given.json else (lambda line: print(line, flush=True)),
    )
    if given.json:
        print(json.dumps([row.as_json() for row in rows], indent=1))
    bench.require_within(rows)
    return 0


def _loaders(given: argparse.Namespace) -> int:
    import os

    from resparse import bench_loaders
    from resparse.data.places import NO_ROOT

    root = options.data_root(given)
    if root is None:
        raise Missing(f"{NO_ROOT} ({bench_loaders.FOLDER} is needed there)")
    images, batch = given.images or 4000, given.batch or 100
    workers = given.workers or len(os.sched_getaffinity(0))
    if not given.json:
        print(f"workers {workers}, batch {batch}, {images} images, load {os.getloadavg()[0]:.1f}")
        print(bench_loaders.HEADER, flush=True)
    say = (lambda line: None) if given.json else (lambda line: print(line, flush=True))
    rows = bench_loaders.loaders_report(root, images, workers, batch, say)
    if given.json:
        print(json.dumps(bench_loaders.as_json(rows, images, workers, batch), indent=1))
    bench_loaders.require_fast(rows)
    return 0
