"""What a method raises, as one sentence: its own line of code, and the layer where it shows."""

import sys
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType

from resparse.blame import layer_of
from resparse.errors import ContractBroken
from resparse.method import Method

VALID = {
    "the constructor": "fields that the method accepts on a network of 3 layers and 20 steps",
    "prepare_scoring": "a change of the copied network in place",
    "init_masks": "a dict of one mask for every layer",
    "observe": "nothing; what is to be kept goes into self.state",
    "updates_at": "True or False for every step",
    "update_masks": "a dict of one Change for every layer that changes",
    "nnz_at": "a dict of one count for every layer, or the total of a global budget",
    "random_growth_at": "None, or a dict of (k grown, C candidates) for every layer",
    "train_flops": "a dict of FLOPs under init, train and parent",
}


@contextmanager
def blamed(
    cls: type[Method], what: str, step: int | None, layers: Collection[str]
) -> Iterator[None]:
    """Turn whatever the method raises in ``what`` into ContractBroken, with file and line.

    A method that asks the interpreter to exit is blamed too; an interrupt passes.
    """
    try:
        yield
    except ContractBroken:
        raise
    except (Exception, SystemExit) as error:
        frames = _own_frames(cls, error)
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".rstrip(": ")
        raise ContractBroken(
            f"{what} raised {said} ({_place(cls, frames)}); valid: {VALID[what]}",
            step=step,
            layer=layer_of(error, [frame for frame, _ in frames], layers),
        ) from error


def _files(cls: type[Method]) -> dict[str, str]:
    """The files that define the class and its bases, and what to call each; the contract's no."""
    modules = [c.__module__ for c in cls.__mro__ if c not in (Method, object)]
    files = {getattr(sys.modules.get(module), "__file__", None): module for module in modules}
    return {str(file): f"{module.split('.')[-1]}.py" for file, module in files.items() if file}


def _own_frames(cls: type[Method], error: BaseException) -> list[tuple[FrameType, int]]:
    """Frames of the method's own code with the lines they were at, innermost last."""
    files = _files(cls)
    walked = traceback.walk_tb(error.__traceback__)
    return [(frame, line) for frame, line in walked if frame.f_code.co_filename in files]


def _place(cls: type[Method], frames: list[tuple[FrameType, int]]) -> str:
    """file.py:line of the innermost frame; the class where none of its own was reached."""
    if not frames:
        return f"class {cls.__name__}"
    frame, line = frames[-1]
    return f"{_files(cls)[frame.f_code.co_filename]}:{line}"
