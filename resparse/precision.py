"""Numerics by name: "portable" gives the same bits on every x86-64 machine, "fp32" is plain.

"tf32" rounds the factors of products on a GPU; "bf16" and "fp16" train in mixed precision; "fp64"
is for holding two ways of computing against each other.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from resparse.allocator import keep_memory
from resparse.errors import UsageError

# Read once, when torch is imported: a process must be started with them.
PORTABLE_ENV = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
PRECISIONS = ("portable", "fp64", "fp32", "tf32", "bf16", "fp16")
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}  # of forward and backward; weights: fp32


def enter(precision: str, threads: int = 1) -> None:
    """Set this process up; raises UsageError where portable numerics are no longer possible.

    By default one thread: sums have one order whatever the number of cores, and runs beside each
    other do not wait for each other's threads, which makes them ten times slower.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}; valid: {', '.join(PRECISIONS)}")
    if precision == "portable":
        _enter_portable()
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.set_num_threads(threads)
    keep_memory()


def _enter_portable() -> None:
    wrong = [name for name, value in PORTABLE_ENV.items() if os.environ.get(name) != value]
    if wrong or torch.backends.cpu.get_cpu_capability() != "DEFAULT":
        raise UsageError(
            f"portable numerics need {', '.join(f'{k}={v}' for k, v in PORTABLE_ENV.items())}"
            " set before Python starts"
        )
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    torch.backends.nnpack.set_flags(False)  # type: ignore[no-untyped-call]
    torch.use_deterministic_algorithms(True)
    # filling fresh memory costs 30 % of a step; the kernels used here write all of theirs
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def forward(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """What the forward pass runs in: half precision where products allow it, or as it is."""
    if precision not in HALVES:
        return nullcontext()
    return torch.autocast(device.type, HALVES[precision])


def taken(precision: str, tensor: Tensor) -> Tensor:
    """Images, or a network's numbers, in the kind of number that the precision stores."""
    return tensor.double() if precision == "fp64" else tensor


def returned(logits: Tensor) -> Tensor:
    """Logits in the kind of number that a loss is computed in: fp32 where they were halved."""
    return logits.float() if logits.dtype in HALVES.values() else logits


def scaler(precision: str, device: torch.device) -> torch.amp.GradScaler | None:
    """What keeps small fp16 gradients from becoming 0; None where the precision needs none."""
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None


def half() -> str:
    """The half precision of the GPU that is here: bf16, or fp16 where it has none (V100).

    Emulated bf16 is none: it is slower than fp32.
    """
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16"


def facts(precision: str, device: str) -> dict[str, Any]:
    """What a repetition on the same machine gives, and what products were computed in.

    bitwise: the same bits; seeded: the same draws, other bits. A run that was stopped and continued
    in another way (see How) has none.
    """
    return {
        "determinism": "bitwise" if device == "cpu" or precision == "portable" else "seeded",
        "tf32": precision == "tf32",
        "autocast": str(HALVES[precision]).removeprefix("torch.") if precision in HALVES else "no",
    }
