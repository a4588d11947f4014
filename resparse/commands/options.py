"""Options that several commands share, and the values they take."""

import argparse
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resparse.errors import UsageError

if TYPE_CHECKING:
    from resparse.how import How


def json_option(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def workers(parser: argparse.ArgumentParser) -> None:
    """--workers N."""
    text = "runs at once (default: one per core)"
    parser.add_argument("--workers", type=whole, metavar="N", help=text)


def runs(parser: argparse.ArgumentParser) -> None:
    """--runs DIR."""
    text = "the run store (default: runs/ of the checkout)"
    parser.add_argument("--runs", type=folder, metavar="DIR", help=text)


def out(parser: argparse.ArgumentParser) -> None:
    """--out DIR."""
    text = "folder of the reports (default: reports/)"
    parser.add_argument("--out", type=folder, metavar="DIR", help=text)


def device(parser: argparse.ArgumentParser) -> None:
    """--device and --data-root."""
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    text = "folder of the datasets (default: RESPARSE_DATA)"
    parser.add_argument("--data-root", type=folder, metavar="DIR", help=text)


def computing(parser: argparse.ArgumentParser) -> None:
    """How runs are computed, whatever they are: --gpus to --tensorboard (see How)."""
    text = "GPUs that share each batch of a run (default: 1; under torchrun its processes do)"
    parser.add_argument("--gpus", type=whole, metavar="N", help=text)
    text = "threads of one run (default: 1); their number is in the last bits of the numbers"
    parser.add_argument("--threads", type=whole, metavar="N", help=text)
    text = "parts that each GPU's share of a batch is computed in, where memory does not hold it"
    parser.add_argument("--accumulate", type=whole, metavar="N", help=text)
    text = "runs alike but for seed, method, fields, density that a process trains at once (MLPs)"
    parser.add_argument("--replicates", type=whole, metavar="R", help=text)
    text = "convolutions in NHWC, as GPUs with half precision want them"
    parser.add_argument("--channels-last", action="store_true", help=text)
    parser.add_argument("--compile", action="store_true", help="by torch.compile")
    text = "between checkpoints inside an epoch (default: 5); its end has one as well"
    parser.add_argument("--checkpoint-minutes", type=float, metavar="M", help=text)
    text = "that several processes wait for a silent one before all restart (default: 10)"
    parser.add_argument("--timeout-minutes", type=float, metavar="M", help=text)
    text = "write event files of what trains now to STORE/KEY/tensorboard/"
    parser.add_argument("--tensorboard", action="store_true", help=text)


HOW = (
    *("gpus", "threads", "accumulate", "replicates", "channels_last", "compile"),
    *("checkpoint_minutes", "timeout_minutes", "tensorboard"),
)


def how(given: argparse.Namespace) -> "How":
    """What computing() was told; raises UsageError for several GPUs on a CPU."""
    from resparse.how import How

    said = {name: getattr(given, name) for name in HOW if getattr(given, name) is not None}
    if "gpus" in said and given.device == "cpu":
        raise UsageError(f"--gpus {given.gpus} on --device cpu; valid: without one of the two")
    if "timeout_minutes" in said:
        said["timeout_s"] = 60 * said.pop("timeout_minutes")
    world = said.pop("gpus", 1)
    return How(device="cuda" if given.gpus else given.device, world=world, **said)


def workload(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """--workload NAME or FILE."""
    text = "a name (resparse list) or a file with a model, data and a recipe"
    text += f" (default: {default})" if default else ""
    parser.add_argument("--workload", default=default, metavar="NAME|FILE", help=text)


def whole(text: str) -> int:
    """A whole number from 1."""
    if not re.fullmatch(r"0*[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text!r}; valid: a whole number, 1 or more")
    return int(text)


def from_zero(text: str) -> int:
    """A whole number from 0."""
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r}; valid: a whole number, 0 or more")
    return int(text)


def speed(text: str) -> float:
    """TFLOP/s above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}; valid: TFLOP/s above 0, like 60")
    return value


def folder(text: str) -> Path:
    """An absolute path; ~ is the home folder."""
    if not text:
        raise argparse.ArgumentTypeError("''; valid: a folder")
    return Path(text).expanduser().resolve()


def file(text: str) -> Path:
    """An absolute path of a file, there or not; ~ is the home folder."""
    if not text or text.endswith("/") or (path := Path(text).expanduser().resolve()).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}; valid: a file, not a folder")
    return path


def data_root(given: argparse.Namespace) -> Path | None:
    """The folder of --data-root or RESPARSE_DATA; raises UsageError where it is none."""
    from resparse.data.places import data_folder

    return data_folder(given.data_root)


def numbers(texts: Sequence[str], kind: type, option: str) -> tuple[Any, ...]:
    """The numbers of a repeatable option whose values are lists like 0,1,2."""
    try:
        return tuple(kind(part) for text in texts for part in text.split(","))
    except ValueError:
        like = "0,1,2" if kind is int else "0.9,0.8"
        raise UsageError(f"{option} {','.join(texts)!r}; valid: numbers like {like}") from None
